//! The socket of a failed call, as the recorder keeps it: its type and protocol in one number. It must not know the call.

use super::bind;
use crate::capture::event::{Address, Object, Protocol};

/// Type in the low byte, protocol in the high one; a call without a socket has neither. Families other
/// than the internet's count their protocols otherwise.
pub(super) fn protocol(socket: u16, object: &Object) -> Option<Protocol> {
    if socket == 0 {
        return None;
    }
    match object {
        Object::Address(Address::Unix(_) | Address::Netlink | Address::Family(_)) => {
            Some(Protocol::Other(0))
        }
        Object::Address(Address::Inet(_) | Address::None)
        | Object::None
        | Object::Path { .. }
        | Object::File { .. }
        | Object::Dns(_)
        | Object::Pids { .. } => bind::protocol((socket >> 8).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_internet_sockets_have_an_internet_protocol() {
        assert_eq!(protocol(0, &Object::None), None);
        assert_eq!(protocol(0x0001, &Object::None), Some(Protocol::Other(0)));
        assert_eq!(protocol(0x1102, &Object::None), Some(Protocol::Udp));
        let netlink = Object::Address(Address::Netlink);
        assert_eq!(protocol(0x0603, &netlink), Some(Protocol::Other(0)));
    }
}

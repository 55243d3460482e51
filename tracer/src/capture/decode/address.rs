//! Socket addresses as user space gives them (`struct sockaddr_*`). It must not know the socket.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

use crate::{capture::event::Address, linux::text::Text};

/// Address families of include/linux/socket.h.
const AF_UNIX: u16 = 1;
const AF_INET: u16 = 2;
const AF_INET6: u16 = 10;
const AF_NETLINK: u16 = 16;

/// The address in `bytes`. One that is too short for its family is only its family; a v4-mapped
/// address stays IPv6.
pub(super) fn address(bytes: &[u8]) -> Address {
    let Some((family, rest)) = bytes.split_first_chunk() else {
        return Address::None;
    };
    let family = u16::from_ne_bytes(*family);
    let inet = match family {
        AF_UNIX => return Address::Unix(unix(rest)),
        AF_NETLINK => return Address::Netlink,
        AF_INET => v4(rest),
        AF_INET6 => v6(rest),
        _ => None,
    };
    inet.map_or(Address::Family(family), Address::Inet)
}

fn v4(bytes: &[u8]) -> Option<SocketAddr> {
    let (port, rest) = bytes.split_first_chunk()?;
    let (address, _) = rest.split_first_chunk::<4>()?;
    let address = Ipv4Addr::from(*address);
    Some(SocketAddrV4::new(address, u16::from_be_bytes(*port)).into())
}

/// The scope may be missing: the kernel takes 24 bytes too (SIN6_LEN_RFC2133).
fn v6(bytes: &[u8]) -> Option<SocketAddr> {
    let (port, rest) = bytes.split_first_chunk()?;
    let (flow, rest) = rest.split_first_chunk()?;
    let (address, rest) = rest.split_first_chunk::<16>()?;
    let scope = rest.first_chunk().map_or(0, |scope| u32::from_ne_bytes(*scope));
    let (port, flow) = (u16::from_be_bytes(*port), u32::from_be_bytes(*flow));
    Some(SocketAddrV6::new(Ipv6Addr::from(*address), port, flow, scope).into())
}

/// A path ends at its NUL; an abstract name begins with one and has all the bytes that follow.
fn unix(bytes: &[u8]) -> Text {
    match bytes.split_first() {
        Some((0, name)) => Text([b"@", name].concat()),
        _ => Text::until_nul(bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(family: u16, rest: &[u8], expected: Address) {
        let bytes = [family.to_ne_bytes().as_slice(), rest].concat();
        assert_eq!(address(&bytes), expected);
    }

    fn inet(text: &str) -> Address {
        Address::Inet(text.parse().unwrap())
    }

    fn v6_bytes(address: &str, scope: &[u8]) -> Vec<u8> {
        let address: Ipv6Addr = address.parse().unwrap();
        [&[0x24, 0xe3, 0, 0, 0, 0], address.octets().as_slice(), scope].concat()
    }

    #[test]
    fn ip_addresses_have_their_port_in_network_order() {
        check(AF_INET, &[0x24, 0xe3, 10, 0, 0, 7, 0, 0], inet("10.0.0.7:9443"));
        check(AF_INET6, &v6_bytes("::1", &[0; 4]), inet("[::1]:9443"));
        check(AF_INET6, &v6_bytes("fe80::1", &2_u32.to_ne_bytes()), inet("[fe80::1%2]:9443"));
        check(AF_INET6, &v6_bytes("::", &[]), inet("[::]:9443"));
    }

    #[test]
    fn a_mapped_address_stays_ipv6() {
        check(AF_INET6, &v6_bytes("::ffff:10.0.0.7", &[0; 4]), inet("[::ffff:10.0.0.7]:9443"));
    }

    #[test]
    fn unix_addresses_are_paths_or_abstract_names() {
        check(AF_UNIX, b"/run/app.sock\0junk", Address::Unix(Text::from("/run/app.sock")));
        check(AF_UNIX, b"/run/app.sock", Address::Unix(Text::from("/run/app.sock")));
        check(AF_UNIX, b"\0bus\0x", Address::Unix(Text(b"@bus\0x".to_vec())));
        check(AF_UNIX, b"", Address::Unix(Text::default()));
    }

    #[test]
    fn other_and_short_addresses_are_their_family() {
        check(AF_NETLINK, &[0; 10], Address::Netlink);
        check(AF_INET, &[0x24, 0xe3, 10], Address::Family(AF_INET));
        check(AF_INET6, &[0; 21], Address::Family(AF_INET6));
        check(17, &[0; 18], Address::Family(17));
        check(0, &[0; 14], Address::Family(0));
    }

    #[test]
    fn no_bytes_are_no_address() {
        assert_eq!(address(&[]), Address::None);
        assert_eq!(address(&[2]), Address::None);
    }
}

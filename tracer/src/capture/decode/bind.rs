//! bind and listen.

use tracer_ebpf::abi::bind as abi;

use super::{
    address,
    error::DecodeError,
    record::{Body, Record},
};
use crate::{
    capture::event::{Bind, Event, Protocol, What},
    linux::errno::Errno,
};

const AF_INET: u32 = 2;
const AF_INET6: u32 = 10;

pub(super) fn bind(record: &Record<'_>) -> Result<Event, DecodeError> {
    let bind: Body<abi::Bind> = record.whole()?;
    let size = record.at_most("address.size", bind.address.size, bind.address.bytes.len())?;
    Ok(record.event(What::Bind(Bind {
        listen: match bind.call {
            abi::call::BIND => false,
            abi::call::LISTEN => true,
            other => return Err(record.meaningless("call", other)),
        },
        errno: (bind.errno != 0).then_some(Errno(bind.errno)),
        fd: bind.fd,
        address: address::address(&bind.address.bytes[..size]),
        protocol: match bind.family {
            AF_INET | AF_INET6 => protocol(bind.protocol)
                .ok_or_else(|| record.meaningless("protocol", bind.protocol))?,
            // Other families count their protocols otherwise: 6 is XFRM of netlink.
            _ => Protocol::Other(0),
        },
        port: u16::try_from(bind.port).map_err(|_| record.meaningless("port", bind.port))?,
        reuse_address: bind.reuse & abi::reuse::ADDRESS != 0,
        reuse_port: bind.reuse & abi::reuse::PORT != 0,
        net_ns: bind.net_ns,
        family: bind.family,
        v6_only: bind.reuse & abi::reuse::V6_ONLY != 0,
    })))
}

/// `IPPROTO_*`; SMC (256) and MPTCP (262) take their ports from TCP (include/uapi/linux/in.h).
pub(super) fn protocol(raw: u32) -> Option<Protocol> {
    match raw {
        6 | 256 | 262 => Some(Protocol::Tcp),
        17 => Some(Protocol::Udp),
        other => u8::try_from(other).ok().map(Protocol::Other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::{
        decode::{Arch, decode, golden},
        event::Address,
    };

    #[test]
    fn a_failed_bind_has_its_error_and_address() {
        let bytes = golden::bind(98, &golden::sockaddr_in(9443, [0; 4]));
        assert_eq!(
            decode(&bytes, Arch::X86_64).unwrap()[0].what,
            What::Bind(Bind {
                listen: false,
                errno: Some(Errno::EADDRINUSE),
                fd: 3,
                address: Address::Inet("0.0.0.0:9443".parse().unwrap()),
                protocol: Protocol::Tcp,
                port: 9443,
                reuse_address: true,
                reuse_port: false,
                net_ns: 4_026_531_841,
                family: 2,
                v6_only: true,
            })
        );
    }

    #[test]
    fn a_listen_that_succeeds_has_no_error_and_no_address() {
        let mut bytes = golden::bind(0, &[]);
        bytes[108] = 1;
        let What::Bind(bind) = decode(&bytes, Arch::X86_64).unwrap().remove(0).what else {
            panic!("not a bind");
        };
        assert!(bind.listen);
        assert_eq!((bind.errno, bind.address, bind.port), (None, Address::None, 9443));
    }

    #[test]
    fn ports_of_multipath_tcp_are_tcp_ports() {
        assert_eq!(protocol(262), Some(Protocol::Tcp));
        assert_eq!(protocol(17), Some(Protocol::Udp));
        assert_eq!(protocol(132), Some(Protocol::Other(132)));
        assert_eq!(protocol(300), None);
    }

    #[test]
    fn only_internet_sockets_have_an_internet_protocol() {
        let mut bytes = golden::bind(0, &[]);
        bytes[120..124].copy_from_slice(&768_u32.to_ne_bytes());
        bytes[124..128].copy_from_slice(&17_u32.to_ne_bytes());
        let What::Bind(bind) = decode(&bytes, Arch::X86_64).unwrap().remove(0).what else {
            panic!("not a bind");
        };
        assert_eq!((bind.family, bind.protocol), (17, Protocol::Other(0)));
    }

    #[test]
    fn fields_out_of_range_are_refused() {
        for (offset, field, value) in [(108, "call", 0x0101), (128, "port", 0x10000)] {
            let mut bytes = golden::bind(0, &[]);
            bytes[offset..offset + 4].copy_from_slice(&u32::to_ne_bytes(value));
            assert_eq!(
                decode(&bytes, Arch::X86_64),
                Err(DecodeError::Value { record: "bind", field, value: value.into() })
            );
        }
        let mut bytes = golden::bind(0, &[]);
        bytes[144] = 129;
        assert!(matches!(decode(&bytes, Arch::X86_64), Err(DecodeError::Bounds { .. })));
    }
}

//! How amounts, addresses and ends are put into words. It must not decide.

use std::net::{IpAddr, SocketAddr};

use crate::{
    capture::event::{Address, Protocol, Status},
    linux::text::{self, Text},
};

use crate::diagnose::verdict::evidence::programs;

/// `64 MiB`, `63.2 MiB`, `64 KiB`.
pub(super) fn mib(bytes: u64) -> String {
    const MIB: u64 = 1 << 20;
    if bytes.is_multiple_of(MIB) {
        return format!("{} MiB", bytes / MIB);
    }
    if bytes < MIB {
        return format!("{} KiB", bytes.div_ceil(1024));
    }
    let tenths = (u128::from(bytes) * 10 + u128::from(MIB / 2)) / u128::from(MIB);
    format!("{}.{} MiB", tenths / 10, tenths % 10)
}

/// `12 ms`, `10.0 s`.
pub(super) fn span(ns: u64) -> String {
    match ns {
        0..1_000_000 => format!("{} us", ns / 1_000),
        1_000_000..1_000_000_000 => format!("{} ms", ns / 1_000_000),
        _ => format!("{}.{} s", ns / 1_000_000_000, ns / 100_000_000 % 10),
    }
}

/// `exited with status 1`, `was killed by SIGSEGV`.
pub(super) fn ended(status: Status) -> String {
    match (status.signal, status.code) {
        (Some(signal), _) if status.core => format!("was killed by {signal} (core dumped)"),
        (Some(signal), _) => format!("was killed by {signal}"),
        (None, Some(code)) => format!("exited with status {code}"),
        (None, None) => "ended with an unknown status".to_owned(),
    }
}

/// As many bytes of an instruction as a sentence bears: `0f 0b`.
pub(super) fn instruction(bytes: &[u8]) -> String {
    text::hex(&bytes[..bytes.len().min(8)], " ")
}

/// `TCP 127.0.0.1:9443`, `the unix socket /run/x.sock`.
pub(super) fn address(address: &Address, protocol: Option<Protocol>, port: u16) -> String {
    match address {
        Address::Inet(inet) => {
            let mut inet = unmapped(*inet);
            if inet.port() == 0 {
                inet.set_port(port);
            }
            format!("{}{inet}", protocol_prefix(protocol))
        }
        Address::Unix(path) => format!("the unix socket {path}"),
        Address::Netlink => "a netlink socket".to_owned(),
        Address::None if port != 0 => format!("{}port {port}", protocol_prefix(protocol)),
        Address::None => "an unknown address".to_owned(),
        Address::Family(family) => format!("an address of family {family}"),
    }
}

/// `127.0.0.1:80` of `[::ffff:127.0.0.1]:80`: the same peer, as people know it.
pub(super) fn unmapped(inet: SocketAddr) -> SocketAddr {
    match inet.ip().to_canonical() {
        IpAddr::V4(ip) => SocketAddr::new(ip.into(), inet.port()),
        IpAddr::V6(_) => inet,
    }
}

/// `tcp`, `udp`, for details.
pub(super) fn protocol_key(protocol: Protocol) -> Option<&'static str> {
    match protocol {
        Protocol::Tcp => Some("tcp"),
        Protocol::Udp => Some("udp"),
        Protocol::Other(_) => None,
    }
}

pub(super) fn protocol(protocol: Protocol) -> Option<&'static str> {
    match protocol {
        Protocol::Tcp => Some("TCP"),
        Protocol::Udp => Some("UDP"),
        Protocol::Other(_) => None,
    }
}

/// `a, b and c`
pub(super) fn list(items: &[String]) -> String {
    match items {
        [] => String::new(),
        [one] => one.clone(),
        [most @ .., last] => format!("{} and {last}", most.join(", ")),
    }
}

pub(super) fn file_name(path: &Text) -> Text {
    Text(programs::file_name(path.as_bytes()).to_vec())
}

/// A path that no sentence has room for is cut.
pub(super) fn shortened(path: &Text) -> String {
    const LONGEST: usize = 120;
    let shown = path.to_string();
    match shown.char_indices().nth(LONGEST) {
        Some((at, _)) => format!("{}...", &shown[..at]),
        None => shown,
    }
}

/// `0600`
pub(super) fn mode(mode: u32) -> String {
    format!("{:04o}", mode & 0o7777)
}

fn protocol_prefix(given: Option<Protocol>) -> String {
    given.and_then(protocol).map_or(String::new(), |name| format!("{name} "))
}

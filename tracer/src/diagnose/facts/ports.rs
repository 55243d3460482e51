//! Socket tables of /proc/net, and which of their sockets keeps an address from being bound. It must not
//! do I/O.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// One line of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Socket {
    pub local: SocketAddr,
    /// Port 0 of a socket without a peer.
    pub remote: SocketAddr,
    /// `TCP_*` of include/net/tcp_states.h; 10 is LISTEN.
    pub state: u8,
    /// 0 of a socket without an owner (TIME_WAIT).
    pub inode: u64,
}

/// An address that could not be bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// `None` where only the port is known.
    pub ip: Option<IpAddr>,
    pub port: u16,
    pub v6_only: bool,
}

/// TCP_LISTEN.
pub const LISTEN: u8 = 10;

/// All sockets of /proc/net/{tcp,tcp6,udp,udp6} that can be read.
pub fn parse_table(table: &[u8]) -> Vec<Socket> {
    table.split(|byte| *byte == b'\n').filter_map(parse_line).collect()
}

/// Sockets that keep `wanted` from being bound, listeners first. That a socket of `[::]` is for IPv6
/// alone is not in the tables: it is taken to be for both.
pub fn conflicting(sockets: &[Socket], wanted: Wanted) -> Vec<Socket> {
    let mut found: Vec<Socket> =
        sockets.iter().filter(|socket| conflicts(socket.local, wanted)).copied().collect();
    found.sort_by_key(|socket| (socket.state != LISTEN, socket.inode == 0));
    found
}

fn conflicts(held: SocketAddr, wanted: Wanted) -> bool {
    if held.port() != wanted.port || wanted.port == 0 {
        return false;
    }
    let Some(wanted_ip) = wanted.ip else { return true };
    match (held.ip().to_canonical(), wanted_ip.to_canonical()) {
        (IpAddr::V4(held), IpAddr::V4(wanted)) => {
            held == wanted || held.is_unspecified() || wanted.is_unspecified()
        }
        (IpAddr::V6(held), IpAddr::V6(wanted)) => {
            held == wanted || held.is_unspecified() || wanted.is_unspecified()
        }
        (IpAddr::V6(held), IpAddr::V4(_)) => held.is_unspecified(),
        (IpAddr::V4(_), IpAddr::V6(ip)) => ip.is_unspecified() && !wanted.v6_only,
    }
}

fn parse_line(line: &[u8]) -> Option<Socket> {
    let text = std::str::from_utf8(line).ok()?;
    let mut fields = text.split_ascii_whitespace();
    let local = parse_address(fields.nth(1)?)?;
    let remote = parse_address(fields.next()?)?;
    let state = u8::from_str_radix(fields.next()?, 16).ok()?;
    let inode = fields.nth(5)?.parse().ok()?;
    Some(Socket { local, remote, state, inode })
}

/// Words of the address in the machine's byte order (net/ipv4/tcp_ipv4.c, `get_openreq4`), then the port.
fn parse_address(field: &str) -> Option<SocketAddr> {
    let (address, port) = field.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let word = |at: usize| {
        let digits = address.get(at * 8..at * 8 + 8)?;
        u32::from_str_radix(digits, 16).ok().map(u32::to_ne_bytes)
    };
    let ip = match address.len() {
        8 => IpAddr::from(Ipv4Addr::from(word(0)?)),
        32 => {
            let words = [word(0)?, word(1)?, word(2)?, word(3)?];
            let mut bytes = [0; 16];
            for (target, source) in bytes.iter_mut().zip(words.iter().flatten()) {
                *target = *source;
            }
            IpAddr::from(Ipv6Addr::from(bytes))
        }
        _ => return None,
    };
    Some(SocketAddr::new(ip, port))
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, UdpSocket};

    use proptest::prelude::*;

    use super::*;

    #[cfg(target_endian = "little")]
    const TCP: &[u8] = b"\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 123456 1 0 100 0 0 10 0
   1: 0500000A:1F90 0900000A:D431 06 00000000:00000000 03:00000BB8 00000000     0        0 0 3 0
";

    #[cfg(target_endian = "little")]
    const TCP6: &[u8] = b"\
  sl  local_address                         remote_address                        st ...
   0: 00000000000000000000000000000000:24E3 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 777 1 0 100 0 0 10 0
   1: 0000000000000000FFFF00000100007F:1F90 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 778 1 0 100 0 0 10 0
";

    fn wanted(address: &str) -> Wanted {
        let address: SocketAddr = address.parse().unwrap();
        Wanted { ip: Some(address.ip()), port: address.port(), v6_only: false }
    }

    fn inodes(table: &[u8], wanted: Wanted) -> Vec<u64> {
        conflicting(&parse_table(table), wanted).iter().map(|socket| socket.inode).collect()
    }

    #[test]
    #[cfg(target_endian = "little")]
    fn lines_of_both_tables_are_read() {
        let sockets = parse_table(TCP);
        assert_eq!(sockets.len(), 2);
        assert_eq!(sockets[0].local, "127.0.0.1:8080".parse().unwrap());
        assert_eq!((sockets[0].state, sockets[0].inode), (LISTEN, 123_456));
        let sockets = parse_table(TCP6);
        assert_eq!(sockets[0].local, "[::]:9443".parse().unwrap());
        assert_eq!(sockets[1].local, "[::ffff:127.0.0.1]:8080".parse().unwrap());
    }

    #[test]
    #[cfg(target_endian = "little")]
    fn wildcards_and_mapped_addresses_conflict() {
        assert_eq!(inodes(TCP, wanted("0.0.0.0:8080")), [123_456, 0]);
        assert_eq!(inodes(TCP, wanted("127.0.0.1:8080")), [123_456]);
        assert_eq!(inodes(TCP, wanted("127.0.0.2:8080")), [0_u64; 0]);
        assert_eq!(inodes(TCP, wanted("127.0.0.1:8081")), [0_u64; 0]);
        assert_eq!(inodes(TCP, wanted("[::]:8080")), [123_456, 0]);
        assert_eq!(inodes(TCP, Wanted { v6_only: true, ..wanted("[::]:8080") }), [0_u64; 0]);
        assert_eq!(inodes(TCP6, wanted("0.0.0.0:9443")), [777]);
        assert_eq!(inodes(TCP6, wanted("127.0.0.1:8080")), [778]);
        assert_eq!(inodes(TCP6, Wanted { ip: None, port: 9443, v6_only: false }), [777]);
    }

    #[test]
    fn sockets_of_this_process_are_in_the_tables_of_this_machine() {
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        for (table, address) in [("tcp", tcp.local_addr()), ("udp", udp.local_addr())] {
            let address = address.unwrap();
            let bytes = std::fs::read(format!("/proc/self/net/{table}")).unwrap();
            let found = conflicting(&parse_table(&bytes), wanted(&address.to_string()));
            assert_eq!(found[0].local, address);
            assert!(found[0].inode > 0);
        }
    }

    proptest! {
        #[test]
        #[cfg(target_endian = "little")]
        fn no_mutated_table_panics(edits in prop::collection::vec((0..TCP6.len(), any::<u8>()), 0..20)) {
            let mut bytes = TCP6.to_vec();
            for (at, value) in edits {
                bytes[at] = value;
            }
            conflicting(&parse_table(&bytes), wanted("[::]:9443"));
        }
    }
}

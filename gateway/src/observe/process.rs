//! Reads from /proc what the kernel counts for this process and its network namespace.

use std::fs;

/// The resident memory of this process; 0 where /proc does not have it.
pub fn resident_bytes() -> u64 {
    status("VmRSS:").map_or(0, |kibibytes| kibibytes * 1024)
}

/// The threads of this process; 0 where /proc does not have them.
pub fn threads() -> u64 {
    status("Threads:").unwrap_or(0)
}

/// The datagrams that found no room in a socket of this network namespace; 0 where /proc does not have them.
pub fn udp_receive_errors() -> u64 {
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    v4_receive_errors(&read("/proc/net/snmp")).unwrap_or(0)
        + v6_receive_errors(&read("/proc/net/snmp6")).unwrap_or(0)
}

/// In /proc/net/snmp a line of names stands above a line of numbers.
fn v4_receive_errors(snmp: &str) -> Option<u64> {
    let mut lines = snmp.lines().filter(|line| line.starts_with("Udp: "));
    let (names, numbers) = (lines.next()?, lines.next()?);
    let mut both = names.split_whitespace().zip(numbers.split_whitespace());
    both.find(|(name, _)| *name == "RcvbufErrors")?.1.parse().ok()
}

/// In /proc/net/snmp6 each number has a line.
fn v6_receive_errors(snmp6: &str) -> Option<u64> {
    let line = snmp6.lines().find_map(|line| line.strip_prefix("Udp6RcvbufErrors"))?;
    line.trim().parse().ok()
}

fn status(key: &str) -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let value = status.lines().find_map(|line| line.strip_prefix(key))?;
    value.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use super::*;

    #[test]
    fn dropped_datagrams_are_read_as_the_kernel_counts_them() {
        let snmp = "Udp: InDatagrams RcvbufErrors SndbufErrors\nUdp: 9 7 1\nUdpLite: 0 0 0\n";
        assert_eq!(v4_receive_errors(snmp), Some(7));
        assert_eq!(v6_receive_errors("Udp6InErrors   3\nUdp6RcvbufErrors \t 5\n"), Some(5));
        assert_eq!((v4_receive_errors(""), v6_receive_errors("")), (None, None));
    }

    #[test]
    fn the_kernel_counts_datagrams_that_found_no_room_for_both_families() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let Ok(socket) = UdpSocket::bind(address) else {
                println!("skipped {address}: it cannot be had here");
                continue;
            };
            // The kernel grants its least.
            rustix::net::sockopt::set_socket_recv_buffer_size(&socket, 1).unwrap();
            let sender = UdpSocket::bind(address).unwrap();
            let before = udp_receive_errors();
            for _ in 0..100 {
                sender.send_to(&[0; 1000], socket.local_addr().unwrap()).unwrap();
            }
            socket.set_nonblocking(true).unwrap();
            let mut arrived = 0;
            while socket.recv(&mut [0; 1000]).is_ok() {
                arrived += 1;
            }
            assert!(arrived < 100, "{address}: all found room");
            let lost = udp_receive_errors() - before;
            assert!(lost >= 100 - arrived, "{address}: {arrived} arrived, {lost} are lost");
        }
    }
}

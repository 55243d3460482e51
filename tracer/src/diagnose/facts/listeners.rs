//! Where a process listens, by its open sockets: what was bound before anybody watched counts too. It must not know why
//! that matters.

use std::{collections::HashSet, fs};

use super::{
    holders::{socket_inode, tables},
    model::Listeners,
    ports::{self, Socket},
    process_dir::ProcessDir,
};
use crate::capture::event::Process;

/// Descriptors that are looked at; servers with more have their listeners among the first.
const DESCRIPTORS_MAX: usize = 1024;
const PORTS_MAX: usize = 64;
/// TCP_CLOSE, which is the state of a UDP socket without a peer (net/ipv4/udp.c).
const UNCONNECTED: u8 = 7;
/// From here on the kernel chooses ports for clients (ip_local_port_range, ip-sysctl.rst).
const CHOSEN_BY_KERNEL: u16 = 32768;

/// The ports of a living process; `None` if it has ended or cannot be seen.
pub fn of(process: &Process) -> Option<Listeners> {
    let inside = ProcessDir::of(process).ok()?;
    let descriptors = fs::read_dir(format!("/proc/{}/fd", process.agent_pid?)).ok()?;
    let own: HashSet<u64> = descriptors
        .flatten()
        .take(DESCRIPTORS_MAX)
        .filter_map(|entry| socket_inode(fs::read_link(entry.path()).ok()?.to_str()?))
        .collect();
    let ports = |protocol, state, below: u16| {
        let is_one = |socket: &Socket| {
            let port = socket.local.port();
            socket.state == state && own.contains(&socket.inode) && port != 0 && port <= below
        };
        let sockets = tables(&inside, protocol)?.into_iter().filter(is_one);
        let mut ports: Vec<u16> = sockets.map(|socket| socket.local.port()).collect();
        ports.sort_unstable();
        ports.dedup();
        ports.truncate(PORTS_MAX);
        Some(ports)
    };
    Some(Listeners {
        pid: process.id.pid,
        tcp: ports("tcp", ports::LISTEN, u16::MAX)?,
        udp: ports("udp", UNCONNECTED, CHOSEN_BY_KERNEL - 1)?,
    })
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream, UdpSocket};

    use super::*;
    use crate::diagnose::facts::process_dir::tests::process_of;

    #[test]
    fn listeners_of_a_living_process_are_found_and_connections_are_not() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let listening = listener.local_addr().unwrap();
        let client = TcpStream::connect(listening).unwrap();
        let served = (21000..22000).find_map(|port| UdpSocket::bind(("127.0.0.1", port)).ok());
        let asking = UdpSocket::bind("127.0.0.1:0").unwrap();
        let found = of(&process_of(std::process::id())).unwrap();
        assert!(found.tcp.contains(&listening.port()), "{found:?}");
        assert!(!found.tcp.contains(&client.local_addr().unwrap().port()), "{found:?}");
        let port = |socket: &UdpSocket| socket.local_addr().unwrap().port();
        assert!(found.udp.contains(&port(&served.unwrap())), "{found:?}");
        assert!(!found.udp.contains(&port(&asking)), "{found:?}");
    }
}

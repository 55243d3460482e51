//! Who holds an address that could not be bound: from the socket tables of the network namespace to the
//! processes that own the sockets. It must not know lives or verdicts.

use std::{
    collections::HashMap,
    fs,
    time::{Duration, Instant},
};

use super::{
    model::{Holder, PortFact},
    ports::{self, Socket, Wanted},
    process_dir::ProcessDir,
};
use crate::{
    capture::event::{Address, Bind, Process, Protocol},
    linux::text::Text,
};

/// Bytes of a socket table that are read. Listeners come first in it.
const TABLE_MAX: usize = 4 << 20;
const COMMAND_MAX: usize = 4096;
const HOLDERS_MAX: usize = 8;
/// `AF_INET6`
const FAMILY_INET6: u32 = 10;
/// How long processes are searched; a node with thousands of them takes this long.
const SEARCH_MAX: Duration = Duration::from_millis(200);

/// Looks up who holds what `bind` wanted. `None` for what has no port: a unix socket, say.
pub fn find(process: &Process, bind: &Bind) -> Option<PortFact> {
    let protocol = match bind.protocol {
        Protocol::Tcp => "tcp",
        Protocol::Udp => "udp",
        Protocol::Other(_) => return None,
    };
    let wanted = wanted(bind)?;
    let sockets = sockets(process, bind.net_ns, protocol);
    let conflicting = ports::conflicting(&sockets, wanted);
    // A socket that only talks from this port is named only where nobody listens on it.
    let listening = conflicting.iter().any(|socket| socket.state == ports::LISTEN);
    let holding: Vec<Socket> = conflicting
        .into_iter()
        .filter(|socket| !listening || socket.state == ports::LISTEN)
        .take(HOLDERS_MAX)
        .collect();
    let owners = owners(&holding, bind.net_ns);
    let suffix = if bind.family == FAMILY_INET6 { "6" } else { "" };
    Some(PortFact {
        protocol: format!("{protocol}{suffix}"),
        port: wanted.port,
        net_ns: bind.net_ns,
        holders: holding.iter().map(|socket| holder(socket, &owners)).collect(),
    })
}

fn wanted(bind: &Bind) -> Option<Wanted> {
    let (ip, port) = match &bind.address {
        Address::Inet(address) => (Some(address.ip()), address.port()),
        Address::None => (None, bind.port),
        Address::Unix(_) | Address::Netlink | Address::Family(_) => return None,
    };
    let port = if port == 0 { bind.port } else { port };
    (port != 0).then_some(Wanted { ip, port, v6_only: bind.v6_only })
}

/// Sockets of both families in the network namespace `net_ns`, as some process in it sees them: the agent itself,
/// the failing one, which may end any moment, or any other.
fn sockets(process: &Process, net_ns: u32, protocol: &str) -> Vec<Socket> {
    let own = ProcessDir::open_pid(std::process::id()).ok();
    let failing = ProcessDir::of(process).ok();
    let others = processes().filter_map(|pid| ProcessDir::open_pid(pid).ok());
    own.into_iter()
        .chain(failing)
        .chain(others)
        .filter(|dir| dir.namespace("ns/net") == Some(net_ns))
        .find_map(|dir| tables(&dir, protocol))
        .unwrap_or_default()
}

/// Both tables of a protocol; `None` if the process has ended.
pub fn tables(inside: &ProcessDir, protocol: &str) -> Option<Vec<Socket>> {
    let table = inside.read(&format!("net/{protocol}"), TABLE_MAX).ok()?;
    let mut sockets = ports::parse_table(&table);
    // A kernel without IPv6 has no second table.
    let table = inside.read(&format!("net/{protocol}6"), TABLE_MAX).unwrap_or_default();
    sockets.extend(ports::parse_table(&table));
    (!(sockets.is_empty() && inside.namespace("ns/net").is_none())).then_some(sockets)
}

/// Processes by the inode of the socket they hold. Those of the same network namespace are looked at
/// first: a socket is seldom held from another.
fn owners(sockets: &[Socket], net_ns: u32) -> HashMap<u64, u32> {
    let until = Instant::now() + SEARCH_MAX;
    let mut owners = HashMap::new();
    let mut wanted: Vec<u64> =
        sockets.iter().map(|socket| socket.inode).filter(|inode| *inode != 0).collect();
    let mut others = Vec::new();
    for pid in processes() {
        if wanted.is_empty() || Instant::now() > until {
            return owners;
        }
        let inside = ProcessDir::open_pid(pid).ok().and_then(|dir| dir.namespace("ns/net"));
        if inside == Some(net_ns) {
            note_owned(pid, &mut wanted, &mut owners);
        } else {
            others.push(pid);
        }
    }
    for pid in others {
        if wanted.is_empty() || Instant::now() > until {
            break;
        }
        note_owned(pid, &mut wanted, &mut owners);
    }
    owners
}

fn note_owned(pid: u32, wanted: &mut Vec<u64>, owners: &mut HashMap<u64, u32>) {
    let Ok(descriptors) = fs::read_dir(format!("/proc/{pid}/fd")) else { return };
    for descriptor in descriptors.flatten() {
        let Ok(target) = fs::read_link(descriptor.path()) else { continue };
        let Some(inode) = target.to_str().and_then(socket_inode) else { continue };
        if let Some(at) = wanted.iter().position(|known| *known == inode) {
            wanted.swap_remove(at);
            owners.insert(inode, pid);
        }
    }
}

/// `socket:[123]`
pub fn socket_inode(target: &str) -> Option<u64> {
    target.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
}

fn processes() -> impl Iterator<Item = u32> {
    fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

fn holder(socket: &Socket, owners: &HashMap<u64, u32>) -> Holder {
    let pid = owners.get(&socket.inode).copied();
    let dir = pid.and_then(|pid| ProcessDir::open_pid(pid).ok());
    Holder {
        address: socket.local.to_string(),
        peer: (socket.remote.port() != 0).then(|| socket.remote.to_string()),
        pid,
        comm: dir.as_ref().map_or_else(Text::default, ProcessDir::comm),
        command: dir.map_or_else(Text::default, |dir| dir.command(COMMAND_MAX)),
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, UdpSocket};

    use super::*;
    use crate::{
        diagnose::facts::process_dir::tests::{process_of, sleeper},
        linux::errno::Errno,
        render::samples,
    };

    fn bind(protocol: Protocol, address: &str) -> Bind {
        let own = ProcessDir::open_pid(std::process::id()).unwrap();
        Bind {
            protocol,
            net_ns: own.namespace("ns/net").unwrap(),
            family: if address.starts_with('[') { 10 } else { 2 },
            ..samples::bind(Some(Errno::EADDRINUSE), address)
        }
    }

    #[test]
    fn the_process_that_listens_on_a_tcp_port_is_named() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let wanted = format!("0.0.0.0:{}", address.port());
        let fact = find(&process_of(std::process::id()), &bind(Protocol::Tcp, &wanted)).unwrap();
        assert_eq!((fact.protocol.as_str(), fact.port), ("tcp", address.port()));
        assert_eq!(fact.holders.len(), 1);
        assert_eq!(fact.holders[0].address, address.to_string());
        assert_eq!(fact.holders[0].pid, Some(std::process::id()));
        assert!(!fact.holders[0].comm.is_empty() && !fact.holders[0].command.is_empty());
    }

    #[test]
    fn the_process_that_holds_a_udp_port_on_ipv6_is_named() {
        let Ok(socket) = UdpSocket::bind("[::1]:0") else {
            println!("skipped: this machine has no IPv6");
            return;
        };
        let address = socket.local_addr().unwrap().to_string();
        let fact = find(&process_of(std::process::id()), &bind(Protocol::Udp, &address)).unwrap();
        assert_eq!(fact.protocol, "udp6");
        assert_eq!(fact.holders[0].pid, Some(std::process::id()));
    }

    #[test]
    fn a_failing_process_that_is_gone_is_no_hindrance() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (mut child, process) = sleeper();
        child.end();
        let fact = find(&process, &bind(Protocol::Tcp, &address)).unwrap();
        assert_eq!(fact.holders[0].pid, Some(std::process::id()));
        let elsewhere = Bind { net_ns: 1, ..bind(Protocol::Tcp, &address) };
        assert!(find(&process, &elsewhere).unwrap().holders.is_empty());
    }

    #[test]
    fn a_unix_socket_has_no_port() {
        let mut bind = bind(Protocol::Other(0), "0.0.0.0:1");
        bind.address = Address::Unix(Text::from("/run/x"));
        assert!(find(&process_of(std::process::id()), &bind).is_none());
    }
}

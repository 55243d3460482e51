//! Opens the sockets that the gateway listens on, and explains why one cannot be opened. The protocols on them are not known
//! here.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, UdpSocket},
    os::fd::OwnedFd,
};

use nix::errno::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, listen, socket_with, sockopt};
use thiserror::Error;

/// The receive buffer that the gateway asks the kernel for; the kernel grants what net.core.rmem_max allows.
const RECEIVE_BUFFER: usize = 4 << 20;
/// How many connections may wait to be accepted.
const BACKLOG: i32 = 1024;

/// A socket cannot be opened.
#[derive(Debug, Error)]
#[error("cannot bind {protocol} {address}: {}; {}", errno(.source), next_step(.source, .setting))]
pub struct BindError {
    pub protocol: &'static str,
    pub address: SocketAddr,
    /// The variable that sets the port.
    pub setting: &'static str,
    pub source: io::Error,
}

/// Opens a socket for datagrams. Returns it with the bytes that may wait in it.
///
/// # Errors
/// The socket cannot be opened.
pub fn udp(address: SocketAddr, setting: &'static str) -> Result<(UdpSocket, usize), BindError> {
    let open = |address| {
        let socket = bound(address, SocketType::DGRAM)?;
        // The kernel may grant less; the gateway reports what it granted.
        let _ = sockopt::set_socket_recv_buffer_size(&socket, RECEIVE_BUFFER);
        let granted = sockopt::socket_recv_buffer_size(&socket)?;
        Ok((UdpSocket::from(socket), granted))
    };
    any_family(address, open).map_err(|source| BindError {
        protocol: "UDP",
        address,
        setting,
        source,
    })
}

/// Opens a socket for connections, which does not block.
///
/// # Errors
/// The socket cannot be opened.
pub fn tcp(address: SocketAddr, setting: &'static str) -> Result<TcpListener, BindError> {
    let open = |address| {
        let socket = bound(address, SocketType::STREAM)?;
        listen(&socket, BACKLOG)?;
        let listener = TcpListener::from(socket);
        listener.set_nonblocking(true)?;
        Ok(listener)
    };
    any_family(address, open).map_err(|source| BindError {
        protocol: "TCP",
        address,
        setting,
        source,
    })
}

fn bound(address: SocketAddr, kind: SocketType) -> io::Result<OwnedFd> {
    let family = match address {
        SocketAddr::V4(_) => AddressFamily::INET,
        SocketAddr::V6(_) => AddressFamily::INET6,
    };
    let socket = socket_with(family, kind, SocketFlags::CLOEXEC, None)?;
    if address.is_ipv6() {
        sockopt::set_ipv6_v6only(&socket, false)?;
    }
    if kind == SocketType::STREAM {
        // Connections of an earlier gateway must not keep the port.
        sockopt::set_socket_reuseaddr(&socket, true)?;
    }
    bind(&socket, &address)?;
    Ok(socket)
}

/// Falls back to all IPv4 addresses where the kernel has no IPv6.
fn any_family<T>(address: SocketAddr, open: impl Fn(SocketAddr) -> io::Result<T>) -> io::Result<T> {
    let without_v6 = [Errno::EAFNOSUPPORT as i32, Errno::EADDRNOTAVAIL as i32];
    match open(address) {
        Err(error)
            if address.is_ipv6()
                && address.ip().is_unspecified()
                && error.raw_os_error().is_some_and(|code| without_v6.contains(&code)) =>
        {
            open(SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), address.port()))
        }
        other => other,
    }
}

fn errno(error: &io::Error) -> String {
    error
        .raw_os_error()
        .map_or_else(|| error.to_string(), |code| format!("{:?}", Errno::from_raw(code)))
}

fn next_step(error: &io::Error, setting: &str) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            format!("another process holds it: stop that one, or set {setting}")
        }
        io::ErrorKind::PermissionDenied => {
            format!("ports below 1024 need CAP_NET_BIND_SERVICE: set {setting} to 1024 or more")
        }
        io::ErrorKind::AddrNotAvailable => {
            "this machine has no such address: correct --address".to_owned()
        }
        _ => format!("{error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANY: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

    #[test]
    fn a_taken_port_is_named_with_its_protocol() {
        let (held, granted) = udp(ANY, "GATEWAY_PORT").unwrap();
        assert!(granted > 0);
        let address = held.local_addr().unwrap();
        let error = udp(address, "GATEWAY_PORT").unwrap_err().to_string();
        assert_eq!(
            error,
            format!(
                "cannot bind UDP {address}: EADDRINUSE; another process holds it: stop that one, or set GATEWAY_PORT"
            )
        );
        let held = tcp(ANY, "HEALTH_PORT").unwrap();
        let address = held.local_addr().unwrap();
        let error = tcp(address, "HEALTH_PORT").unwrap_err().to_string();
        assert!(error.starts_with(&format!("cannot bind TCP {address}: EADDRINUSE")), "{error}");
    }

    #[test]
    fn an_address_of_another_machine_is_said_to_be_that() {
        let address = "192.0.2.1:0".parse().unwrap();
        let error = tcp(address, "GATEWAY_PORT").unwrap_err().to_string();
        assert!(error.contains("EADDRNOTAVAIL; this machine has no such address"), "{error}");
    }
}

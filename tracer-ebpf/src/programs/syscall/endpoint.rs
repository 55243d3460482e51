//! The two ends of a socket: what a descriptor is a socket of, and whom it is connected to.

use tracer_ebpf::{
    abi::recorder::{Call, data_kind},
    offsets as at,
};

use crate::programs::{
    kernel::{Ptr, current, has, pointer, read},
    path::file_of,
};

pub const AF_INET: u16 = 2;
pub const AF_INET6: u16 = 10;
/// S_IFMT and S_IFSOCK (include/uapi/linux/stat.h).
const FILE_TYPE: u16 = 0o170_000;
const SOCKET: u16 = 0o140_000;

/// The `struct socket` behind a descriptor; null if its file is none.
#[inline(always)]
pub fn socket_of(fd: u64) -> Ptr {
    let file = file_of(current(), fd);
    if file.is_null() {
        return core::ptr::null();
    }
    let mode: u16 = read(pointer(file, at::FILE_INODE), at::INODE_MODE);
    if mode & FILE_TYPE == SOCKET { pointer(file, at::FILE_PRIVATE) } else { core::ptr::null() }
}

/// Family, port (as in a socket address) and address, as IPv6, of whom a socket is connected to.
#[inline(always)]
pub fn peer_of(fd: u64) -> Option<(u16, u16, [u8; 16])> {
    let socket = socket_of(fd);
    if socket.is_null() {
        return None;
    }
    let sock = pointer(socket, at::SOCKET_SK);
    let family: u16 = read(sock, at::SK_FAMILY);
    let port: u16 = read(sock, at::SK_PEER_PORT);
    let address = match family {
        AF_INET => mapped(read(sock, at::SK_PEER)),
        AF_INET6 if has(at::SK_PEER6) => read(sock, at::SK_PEER6),
        _ => return None,
    };
    if port == 0 { None } else { Some((family, port, address)) }
}

/// An IPv4 address as IPv6 (RFC 4291 2.5.5.2).
#[inline(always)]
pub fn mapped([a, b, c, d]: [u8; 4]) -> [u8; 16] {
    [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d]
}

/// Puts the peer of a connected socket into a call's data, as a socket address. False if there is none.
#[inline(never)]
pub fn peer(call: &mut Call, fd: u64) -> bool {
    let Some((family, port, address)) = peer_of(fd) else { return false };
    let [low, high] = family.to_ne_bytes();
    (call.data[0], call.data[1]) = (low, high);
    let [low, high] = port.to_ne_bytes();
    (call.data[2], call.data[3]) = (low, high);
    if family == AF_INET {
        call.data[4..8].copy_from_slice(&address[12..16]);
        call.data_size = 16;
    } else {
        call.data[8..24].copy_from_slice(&address);
        call.data_size = 28;
    }
    call.data_kind = data_kind::ADDRESS;
    call.socket = kind_of(fd);
    true
}

/// Type (low byte) and protocol (high byte) of a socket.
#[inline(always)]
pub fn kind_of(fd: u64) -> u16 {
    let socket = socket_of(fd);
    let kind: u16 = read(socket, at::SOCKET_TYPE);
    let protocol: u16 = read(pointer(socket, at::SOCKET_SK), at::SK_PROTOCOL);
    (kind & 0xff) | (protocol << 8)
}

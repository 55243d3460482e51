//! Socket calls: bind and listen with their results, connects, errors told by SO_ERROR.

use tracer_ebpf::{
    abi::{
        bind::{Bind, call, reuse},
        header::Kind,
        recorder::{Call, call_flag, data_kind, lane},
        state::Process,
    },
    offsets as at,
};

use crate::programs::{
    kernel::{Ptr, copy_user, current, has, load, load_user, member, net_ns, pointer, read},
    maps::TASK_SCRATCH,
    path::file_of,
    record::{Ring, begin, scratch, send},
};

use super::{Ended, calls, dns, likeness};

const SOL_SOCKET: u64 = 1;
const SO_ERROR: u64 = 4;
/// S_IFMT and S_IFSOCK (include/uapi/linux/stat.h).
const FILE_TYPE: u16 = 0o170_000;
const SOCKET: u16 = 0o140_000;
pub const AF_INET: u16 = 2;
pub const AF_INET6: u16 = 10;
/// Byte of the bits SO_REUSEADDR (4 bits), SO_REUSEPORT, IPV6_V6ONLY in struct sock_common.
const REUSE_BITS: u8 = 0x0f;
const REUSE_PORT_BIT: u8 = 0x10;
const V6_ONLY_BIT: u8 = 0x20;

/// The `struct socket` behind a descriptor; null if its file is none.
#[inline(always)]
fn socket_of(fd: u64) -> Ptr {
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

/// Reports a bind or listen, failed or not.
#[inline(never)]
pub fn bound(process: &mut Process, ended: &Ended, listen: bool) -> u32 {
    let Some(record) = scratch::<Bind>(&TASK_SCRATCH) else { return 0 };
    let socket = socket_of(ended.args[0]);
    let sock = pointer(socket, at::SOCKET_SK);
    record.errno = if ended.ret < 0 { (-ended.ret) as i32 } else { 0 };
    record.call = if listen { call::LISTEN } else { call::BIND };
    record.fd = ended.args[0] as i32;
    record.socket_type = u32::from(read::<u16>(socket, at::SOCKET_TYPE));
    record.protocol = u32::from(read::<u16>(sock, at::SK_PROTOCOL));
    record.family = u32::from(read::<u16>(sock, at::SK_FAMILY));
    record.port = u32::from(read::<u16>(sock, at::SK_NUM));
    let bits: u8 = load(member(sock, at::SK_REUSE));
    record.reuse = if bits & REUSE_BITS != 0 { reuse::ADDRESS } else { 0 }
        | if bits & REUSE_PORT_BIT != 0 { reuse::PORT } else { 0 }
        | if bits & V6_ONLY_BIT != 0 { reuse::V6_ONLY } else { 0 };
    record.net_ns = net_ns(current());
    record.backlog = if listen { ended.args[1] as u32 } else { 0 };
    record.address.size = 0;
    record._pad = 0;
    if !listen {
        let size = (ended.args[2] & 0xff).min(128) as u32;
        if copy_user(record.address.bytes.as_mut_ptr(), size, ended.args[1]) {
            record.address.size = size;
        }
    }
    let cgroup = process.cgroup;
    let size = size_of::<Bind>() as u32;
    begin(&mut record.header, Kind::Bind, size, cgroup, current(), process.flags);
    send(Ring::Events, Kind::Bind, cgroup, (&raw const *record).cast(), size, false);
    0
}

/// A connect that succeeded or is pending: the peer may be a name server, and what is reached undoes a refusal.
#[inline(never)]
pub fn connected(tgid: u32, process: &mut Process, ended: &Ended) -> u32 {
    dns::note_if_server(process, ended.args[1]);
    if ended.ret != 0 {
        return 0;
    }
    let Some(draft) = scratch::<calls::Draft>(&TASK_SCRATCH) else { return 0 };
    let call = draft.call();
    call.data = [0; tracer_ebpf::abi::recorder::DATA];
    let size = (ended.args[2] & 0xff).min(128) as u32;
    let key = if copy_user(call.data.as_mut_ptr(), size, ended.args[1]) {
        likeness::address_key(call)
    } else {
        0
    };
    calls::reached(tgid, process, key);
    0
}

/// getsockopt: SO_ERROR tells how a pending connect ended.
#[inline(never)]
pub fn option(tgid: u32, process: &mut Process, ended: &Ended) -> u32 {
    if ended.args[1] != SOL_SOCKET || ended.args[2] != SO_ERROR {
        return 0;
    }
    let error: u32 = load_user(ended.args[3]);
    if error > 4095 {
        return 0;
    }
    let Some(draft) = scratch::<calls::Draft>(&TASK_SCRATCH) else { return 0 };
    if error == 0 {
        let call = draft.call();
        call.data = [0; tracer_ebpf::abi::recorder::DATA];
        let key = if peer(call, ended.args[0]) { likeness::address_key(call) } else { 0 };
        calls::reached(tgid, process, key);
        return 0;
    }
    calls::begin(draft, process, ended, error as i32);
    let call = draft.call();
    call.flags = call_flag::REPORTED;
    let key = if peer(call, ended.args[0]) { likeness::address_key(call) } else { 0 };
    call.socket = kind_of(ended.args[0]);
    draft.set_key(key);
    calls::commit(tgid, process, draft, lane::NET);
    0
}

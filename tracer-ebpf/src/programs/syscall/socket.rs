//! Socket calls: bind and listen with their results, connects, errors told by SO_ERROR, DNS messages.

use tracer_ebpf::{
    abi::{
        bind::Bind,
        header::Kind,
        recorder::{DATA, call_flag, data_kind, lane},
        state::Process,
    },
    offsets as at,
};

use crate::programs::{
    kernel::{Ptr, copy_user, current, load, load_user, member, net_ns, pointer, read},
    maps::TASK_SCRATCH,
    path::file_of,
    record::{Ring, begin, scratch, send},
    track::curious,
};

use super::{Ended, calls};

/// Port 53 as it stands in a socket address.
const DNS_PORT: u16 = 53u16.to_be();
const SOL_SOCKET: u64 = 1;
const SO_ERROR: u64 = 4;
/// Header of a DNS message (RFC 1035 4.1.1).
const DNS_HEADER: i64 = 12;
/// Byte of the bits SO_REUSEADDR (4 bits), SO_REUSEPORT, IPV6_V6ONLY in struct sock_common.
const REUSE_BITS: u8 = 0x0f;
const REUSE_PORT_BIT: u8 = 0x10;
const V6_ONLY_BIT: u8 = 0x20;

/// The `struct socket` behind a descriptor, if its file is one: the private data points to it and it points
/// back to the file's inode's socket by `sk`; a wrong guess reads zeroes.
#[inline(always)]
fn socket_of(fd: u64) -> Ptr {
    let file = file_of(current(), fd);
    if file.is_null() { core::ptr::null() } else { pointer(file, at::FILE_PRIVATE) }
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
    record.call = u32::from(listen);
    record.fd = ended.args[0] as i32;
    record.socket_type = u32::from(read::<u16>(socket, at::SOCKET_TYPE));
    record.protocol = u32::from(read::<u16>(sock, at::SK_PROTOCOL));
    record.family = u32::from(read::<u16>(sock, at::SK_FAMILY));
    record.port = u32::from(read::<u16>(sock, at::SK_NUM));
    let bits: u8 = load(member(sock, at::SK_REUSE));
    record.reuse = u32::from(bits & REUSE_BITS != 0)
        | (u32::from(bits & REUSE_PORT_BIT != 0) << 1)
        | (u32::from(bits & V6_ONLY_BIT != 0) << 2);
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

/// Marks the socket of a connect to a name server.
#[inline(always)]
pub fn connected(process: &mut Process, ended: &Ended) {
    mark_if_dns(process, ended.args[0], ended.args[1]);
}

#[inline(always)]
fn mark_if_dns(process: &mut Process, fd: u64, address: u64) {
    // struct sockaddr_in and sockaddr_in6 both begin with family and port.
    let family: u16 = load_user(address);
    let port: u16 = load_user(address + 2);
    if (family == 2 || family == 10) && port == DNS_PORT {
        if process.dns_fd == 0 {
            curious(1);
        }
        process.dns_fd = fd as u32 + 1;
        process.dns_server = if family == 2 {
            let address: [u8; 4] = load_user(address + 4);
            let [a, b, c, d] = address;
            [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d]
        } else {
            load_user(address + 8)
        };
    }
}

/// getsockopt: SO_ERROR with a value tells how a pending connect ended.
#[inline(never)]
pub fn option(tgid: u32, process: &mut Process, ended: &Ended) -> u32 {
    if ended.args[1] != SOL_SOCKET || ended.args[2] != SO_ERROR {
        return 0;
    }
    let error: u32 = load_user(ended.args[3]);
    if error == 0 || error > 4095 {
        return 0;
    }
    let Some(draft) = scratch::<calls::Draft>(&TASK_SCRATCH) else { return 0 };
    calls::begin(draft, process, ended, error as i32);
    draft.call().flags = call_flag::REPORTED;
    draft.call().socket = kind_of(ended.args[0]);
    calls::commit(tgid, process, draft, lane::NET);
    0
}

/// sendto: with an address, or on a socket connected to a name server.
#[inline(always)]
pub fn sent(tgid: u32, process: &mut Process, ended: &Ended, buffer: u64, address: u64) {
    if address != 0 {
        mark_if_dns(process, ended.args[0], address);
    }
    if process.dns_fd != 0 && ended.args[0] + 1 == u64::from(process.dns_fd) {
        dns(tgid, process, ended, buffer, true);
    }
}

/// sendmsg, sendmmsg and recvmsg: the first vector of the first message.
#[inline(always)]
pub fn message(tgid: u32, process: &mut Process, ended: &Ended, sent: bool) {
    // struct user_msghdr: name, namelen, iov, iovlen, ...
    let header = ended.args[1];
    let name: u64 = load_user(header);
    if sent && name != 0 {
        mark_if_dns(process, ended.args[0], name);
    }
    if process.dns_fd == 0 || ended.args[0] + 1 != u64::from(process.dns_fd) {
        return;
    }
    let vector: u64 = load_user(header + 16);
    dns(tgid, process, ended, load_user(vector), sent);
}

/// Keeps the beginning of a DNS message: a question, or an answer whatever its code.
#[inline(never)]
pub fn dns(tgid: u32, process: &mut Process, ended: &Ended, buffer: u64, sent: bool) -> u32 {
    // sendmmsg returns messages, not bytes.
    if !sent && ended.ret < DNS_HEADER {
        return 0;
    }
    let Some(draft) = scratch::<calls::Draft>(&TASK_SCRATCH) else { return 0 };
    calls::begin(draft, process, ended, 0);
    let call = draft.call();
    call.flags = call_flag::REPORTED;
    if sent {
        call.flags |= call_flag::SENT;
    }
    let [.., last_but_one, last] = &mut call.args;
    let server = process.dns_server;
    let half = |at: usize| {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&server[at..at + 8]);
        u64::from_ne_bytes(bytes)
    };
    (*last_but_one, *last) = (half(0), half(8));
    call.data = [0; DATA];
    // SAFETY: a valid reference. Read once more, so that the mask stays: the compiler would leave it out for what the
    // tests prove, which the verifier of 6.1 does not see.
    let received = unsafe { core::ptr::read_volatile(&raw const ended.ret) } as u32 & 0xff;
    let whole = sent || ended.ret >= DATA as i64;
    let size = if whole { DATA as u32 } else { received.min(DATA as u32) };
    if !copy_user(call.data.as_mut_ptr(), size, buffer)
        && !copy_user(call.data.as_mut_ptr(), 64, buffer)
    {
        return 0;
    }
    call.data_kind = data_kind::DNS;
    call.data_size = size as u16;
    call.socket = kind_of(ended.args[0]);
    calls::commit(tgid, process, draft, lane::NET);
    0
}

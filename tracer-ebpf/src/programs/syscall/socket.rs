//! Socket calls: bind and listen with their results, connects, errors told by SO_ERROR.

use tracer_ebpf::{
    abi::{
        bind::{Bind, call, reuse},
        header::Kind,
        recorder::{call_flag, lane},
        state::Process,
    },
    offsets as at,
};

use crate::programs::{
    kernel::{copy_user, current, load, load_user, member, net_ns, pointer, read},
    maps::TASK_SCRATCH,
    record::{Ring, begin, scratch, send},
};

use super::{
    Ended, calls, data, dns,
    endpoint::{kind_of, peer, socket_of},
    likeness,
};

const SOL_SOCKET: u64 = 1;
const SO_ERROR: u64 = 4;
/// Byte of the bits SO_REUSEADDR (4 bits), SO_REUSEPORT, IPV6_V6ONLY in struct sock_common.
const REUSE_BITS: u8 = 0x0f;
const REUSE_PORT_BIT: u8 = 0x10;
const V6_ONLY_BIT: u8 = 0x20;

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
    send(Ring::Events, Kind::Bind, cgroup, (&raw const *record).cast(), size);
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
    data::clear(&mut call.data);
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
        data::clear(&mut call.data);
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

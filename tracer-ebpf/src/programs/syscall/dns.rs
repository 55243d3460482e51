//! Questions to name servers and their answers (RFC 1035), one slot for each name. A socket is a name server's by what it
//! is connected to, or what a message is addressed to: a descriptor's number means nothing once it is closed.

use tracer_ebpf::abi::{
    recorder::{DATA, LOOKUPS, Lookup},
    state::Process,
};

use crate::programs::{
    counter::curious,
    kernel::{copy_kernel, copy_user, load_user},
    maps::TASK_SCRATCH,
    record::{now, scratch},
};

use super::{
    Ended, calls, data,
    endpoint::{AF_INET, AF_INET6, kind_of, mapped, peer_of},
    likeness,
};

/// Port 53 as it stands in a socket address.
const PORT: u16 = 53u16.to_be();
/// So long after it last spoke with a name server a process's reads and writes are looked at.
const LATELY_NS: u64 = 15_000_000_000;
/// Header of a message (RFC 1035 4.1.1).
const HEADER: u32 = 12;
/// Labels of a name that are followed; the names of Kubernetes have six.
const LABELS: usize = 16;
const SOCK_STREAM: u16 = 1;
/// Record types (RFC 1035 3.2.2, RFC 3596).
const A: u16 = 1;
const AAAA: u16 = 28;

/// One message.
#[repr(C)]
pub struct Message {
    data: [u8; DATA],
    server: [u8; 16],
    size: u32,
    socket: u32,
}

/// Notes that a process speaks with a name server, if the address in user memory is one's.
#[inline(always)]
pub fn note_if_server(process: &mut Process, address: u64) -> bool {
    // struct sockaddr_in and sockaddr_in6 both begin with family and port.
    let family: u16 = load_user(address);
    let port: u16 = load_user(address + 2);
    let is_server = (family == AF_INET || family == AF_INET6) && port == PORT;
    if is_server {
        note(process);
    }
    is_server
}

#[inline(always)]
fn note(process: &mut Process) {
    if process.dns_ns == 0 {
        curious(1);
    }
    process.dns_ns = now();
}

/// Whether a process spoke with a name server lately.
#[inline(always)]
pub fn is_asking(process: &mut Process) -> bool {
    if process.dns_ns == 0 {
        return false;
    }
    if now().wrapping_sub(process.dns_ns) > LATELY_NS {
        process.dns_ns = 0;
        curious(-1);
        return false;
    }
    true
}

/// A message by write, send, read or recv: `to` is the address in user memory that it went to or came from, or 0.
#[inline(never)]
pub fn plain(tgid: u32, process: &mut Process, ended: &Ended, to: u64, sent: bool) -> u32 {
    if !(sent && to != 0 && note_if_server(process, to)) && !is_asking(process) {
        return 0;
    }
    take(tgid, process, ended, &Buffer { address: ended.args[1], to, sent, length: ended.ret })
}

/// sendmsg, sendmmsg and recvmsg: the first vector of up to two messages (glibc asks A and AAAA by one sendmmsg).
#[inline(never)]
pub fn vectored(tgid: u32, process: &mut Process, ended: &Ended, sent: bool, many: bool) -> u32 {
    // struct mmsghdr: a struct user_msghdr of 56 bytes, then the length.
    const MMSGHDR: u64 = 64;
    let count = if many { ended.ret } else { 1 };
    for index in 0..2u64 {
        if index as i64 >= count {
            break;
        }
        // struct user_msghdr: name, namelen, iov, iovlen, ...
        let header = ended.args[1] + index * MMSGHDR;
        let to: u64 = load_user(header);
        if !(sent && to != 0 && note_if_server(process, to)) && !is_asking(process) {
            return 0;
        }
        let vector: u64 = load_user(header + 16);
        let length: u64 = load_user(vector + 8);
        let length = if many || sent { length as i64 } else { ended.ret };
        take(tgid, process, ended, &Buffer { address: load_user(vector), to, sent, length });
    }
    0
}

struct Buffer {
    address: u64,
    to: u64,
    sent: bool,
    length: i64,
}

/// Keeps a message, if it is one to or from a name server.
#[inline(never)]
fn take(tgid: u32, process: &mut Process, ended: &Ended, buffer: &Buffer) -> u32 {
    let Some(message) = scratch::<Message>(&TASK_SCRATCH) else { return 0 };
    if !is_from_server(message, ended.args[0], buffer.to) || buffer.length < i64::from(HEADER) {
        return 0;
    }
    note(process);
    message.socket = u32::from(kind_of(ended.args[0]));
    // Over TCP its length stands before it (RFC 1035 4.2.2).
    let skipped = if message.socket as u16 & 0xff == SOCK_STREAM { 2 } else { 0 };
    data::clear(&mut message.data);
    let length = buffer.length - skipped;
    if length < i64::from(HEADER) {
        return 0;
    }
    message.size = if length > DATA as i64 { DATA as u32 } else { length as u32 };
    // SAFETY: a valid reference. Read back from the map value, where the compiler knows nothing of it and keeps the check.
    let size = unsafe { core::ptr::read_volatile(&raw const message.size) } & 0xff;
    if size > DATA as u32
        || !copy_user(message.data.as_mut_ptr(), size, buffer.address + skipped as u64)
    {
        return 0;
    }
    keep(tgid, process, ended, message, buffer.sent)
}

/// Whether the peer is a name server: by the address that the message names, else by what the socket is connected to.
#[inline(always)]
fn is_from_server(message: &mut Message, fd: u64, address: u64) -> bool {
    if address != 0 {
        let family: u16 = load_user(address);
        let port: u16 = load_user(address + 2);
        if family == AF_INET || family == AF_INET6 {
            message.server = if family == AF_INET {
                mapped(load_user(address + 4))
            } else {
                load_user(address + 8)
            };
            return port == PORT;
        }
    }
    let Some((_, port, server)) = peer_of(fd) else { return false };
    message.server = server;
    port == PORT
}

/// Finds the slot of the message's name, or takes the oldest.
#[inline(never)]
fn keep(tgid: u32, process: &mut Process, ended: &Ended, message: &Message, sent: bool) -> u32 {
    let Some((like, of_type)) = name(message) else { return 0 };
    let is_answer = message.data[2] & 0x80 != 0;
    if is_answer == sent {
        return 0;
    }
    let Some(calls) = calls::recorder(tgid, process) else { return 0 };
    // SAFETY: a map value of this process.
    let calls = unsafe { &mut *calls };
    let mut place = LOOKUPS;
    let mut oldest = u32::MAX;
    for index in 0..LOOKUPS {
        let held = &calls.lookups[index];
        if held.seq != 0 && held.like == like {
            place = index;
            break;
        }
        if sent && held.seq < oldest {
            oldest = held.seq;
            place = index;
        }
    }
    if place >= LOOKUPS {
        return 0;
    }
    process.failed = process.failed.wrapping_add(1);
    calls.seen = process.failed;
    if (calls.lookups_used as usize) < LOOKUPS {
        calls.lookups_used += 1;
    }
    let slot: &mut Lookup = &mut calls.lookups[place];
    if slot.seq == 0 || slot.like != like {
        slot.first_ns = now();
        slot.answered_ns = 0;
        slot.answered_by = 0;
        slot.asked = 0;
        slot.answers = [tracer_ebpf::abi::recorder::Answer { code: 0, asked: 0, records: 0 }; 3];
    }
    slot.seq = process.failed;
    slot.like = like;
    slot.tid = aya_ebpf::helpers::bpf_get_current_pid_tgid() as u32;
    slot.fd = ended.args[0] as i32;
    slot.server = message.server;
    slot.socket = message.socket as u16;
    // Constants, so that the verifier knows the place.
    let answer = match of_type {
        0 => &mut slot.answers[0],
        1 => &mut slot.answers[1],
        _ => &mut slot.answers[2],
    };
    if is_answer {
        slot.answered_ns = now();
        slot.answered_by = ended.nr as u32;
        answer.code = (message.data[3] & 0x0f) + 1;
        answer.records = u16::from_be_bytes([message.data[6], message.data[7]]);
    } else {
        slot.last_ns = now();
        slot.asked_by = ended.nr as u32;
        slot.asked += 1;
        answer.asked = answer.asked.saturating_add(1);
        slot.size = message.size as u16;
        copy_kernel(slot.message.as_mut_ptr(), DATA as u32, message.data.as_ptr());
    }
    0
}

/// What the one question of a message asks for: a number for its name, and which of `Lookup::answers` is its type's.
#[inline(never)]
fn name(message: &Message) -> Option<(u32, usize)> {
    // One question.
    if message.data[4] != 0 || message.data[5] != 1 {
        return None;
    }
    let mut at = HEADER as usize;
    let mut hash = 1u64;
    for _ in 0..LABELS {
        if at >= DATA - 8 {
            break;
        }
        let length = message.data[at] as usize & 0x3f;
        if length == 0 {
            break;
        }
        hash = likeness::label(hash, &message.data, at, length);
        at += length + 1;
    }
    if at >= DATA - 8 {
        return Some((hash as u32, 2));
    }
    let kind = u16::from_be_bytes([message.data[at + 1], message.data[at + 2]]);
    let index = match kind {
        A => 0,
        AAAA => 1,
        _ => 2,
    };
    Some((hash as u32, index))
}

//! Keeps the last bytes that a process wrote to descriptors 1 and 2; of a runtime's init, to any.

use tracer_ebpf::abi::{
    header::task_flag,
    state::{LOST_WORDS, Process},
    words::{CHUNK, RING, STREAMS, Words},
};

use crate::programs::{
    kernel::{copy_user, load_user},
    maps::{NO_WORDS, WORDS, setting},
    record::{lost, now},
    track::unwanted,
};

use super::Ended;

/// Vectors of one writev that are kept: its last ones.
const VECTORS: u64 = 6;

/// Keeps what a successful write or writev wrote.
#[inline(never)]
pub fn keep(tgid: u32, process: &mut Process, ended: &Ended, vectored: bool) -> u32 {
    let fd = ended.args[0];
    let written = ended.ret as u64;
    let stream = match fd {
        1 => 0usize,
        2 => 1,
        _ => 2,
    };
    if stream < 2 {
        process.written[stream] += written;
    }
    // What a runtime's init says is the runtime's word, not the program's output.
    let kept = setting!(capture_output) != 0 || process.flags & task_flag::RUNTIME_INIT != 0;
    if !kept || written == 0 {
        return 0;
    }
    if WORDS.get_ptr(&tgid).is_none() {
        if unwanted(process.cgroup) {
            return 0;
        }
        let Some(none) = NO_WORDS.get(0) else { return 0 };
        if WORDS.insert(&tgid, none, 1 /* BPF_NOEXIST */).is_err() {
            lost(process.cgroup, LOST_WORDS);
        }
    }
    let Some(words) = WORDS.get_ptr_mut(&tgid) else { return 0 };
    // SAFETY: a map value; threads that write at the same time may mix their bytes.
    let words = unsafe { &mut *words };
    if !vectored {
        append(words, stream, ended.args[1], written);
        return 0;
    }
    let count = ended.args[2];
    let first = count.saturating_sub(VECTORS);
    for index in 0..VECTORS {
        if first + index >= count {
            break;
        }
        // struct iovec: base, length.
        let vector = ended.args[1] + (first + index) * 16;
        append(words, stream, load_user(vector), load_user(vector + 8));
    }
    0
}

/// Appends the last bytes of one chunk to a stream.
#[inline(always)]
fn append(words: &mut Words, stream: usize, from: u64, length: u64) {
    if stream >= STREAMS || length == 0 {
        return;
    }
    let stream = &mut words.streams[stream];
    stream.total += length;
    stream.time_ns = now();
    let size = if length > CHUNK as u64 {
        stream.cut = 1;
        CHUNK as u32
    } else {
        length as u32
    };
    let mut next = stream.next;
    if next > (RING - CHUNK) as u32 {
        stream.end = next;
        next = 0;
    }
    // SAFETY: next is at most RING - CHUNK and size at most CHUNK.
    let to = unsafe { stream.ring.as_mut_ptr().add(next as usize) };
    if copy_user(to, size, from + (length - u64::from(size))) {
        stream.next = next + size;
    }
}

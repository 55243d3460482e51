//! What a process wrote to its streams: the last bytes, and the first of a burst that is longer than these.

use tracer_ebpf::{
    abi::{
        header::{Kind, task_flag},
        said::{KEPT, PIECE, Said, Tail, key, stream},
        state::{LOST_WORDS, Process, container_flag},
    },
    offsets as at,
};

use super::{
    kernel::{Ptr, copy_kernel, copy_user, load_user, pointer, read},
    maps::{HEADS, NO_HEAD, NO_TAIL, TAILS, TASK_SCRATCH, TRACKED},
    path::file_of,
    record::{Ring, begin, counted, lost, now, scratch, send},
    share,
    track::{container, process},
};

/// A pause this long ends a burst: longer than a program waits for a processor while it writes down why it ends.
const PAUSE_NS: u64 = 300_000_000;
const MASK: u32 = KEPT as u32 - 1;

/// Device 1:3 as the kernel has it (include/linux/kdev_t.h).
const NULL: u32 = (1 << 20) | 3;

/// The stream that a descriptor is: by the file behind it, where that is what the main process began with as stdout or
/// stderr (`echo >&2` writes to descriptor 1), else by its number. And whether it leads to /dev/null: programs close their
/// streams before they end, so that this is known at a write only.
#[inline(always)]
pub fn stream_of(task: Ptr, cgroup: u64, fd: u64) -> (u32, bool) {
    let by_number = match fd {
        1 => stream::STDOUT,
        2 => stream::STDERR,
        _ => return (stream::INIT, false),
    };
    let Some(container) = TRACKED.get_ptr(&cgroup) else { return (by_number, false) };
    // SAFETY: a map value.
    let [stdout, stderr] = unsafe { (*container).stdio };
    let file = file_of(task, fd);
    if file.is_null() {
        return (by_number, false);
    }
    let inode = pointer(file, at::FILE_INODE);
    let address = inode as u64;
    if stdout != stderr && address == stdout {
        (stream::STDOUT, false)
    } else if stdout != stderr && address == stderr {
        (stream::STDERR, false)
    } else {
        (by_number, read::<u32>(inode, at::INODE_RDEV) == NULL)
    }
}

/// Notes what a container's main process has as stdout and stderr.
#[inline(never)]
pub fn note_stdio(task: Ptr, cgroup: u64) -> u32 {
    let Some(container) = TRACKED.get_ptr_mut(&cgroup) else { return 0 };
    // SAFETY: a map value.
    let container = unsafe { &mut *container };
    for (fd, inode) in container.stdio.iter_mut().enumerate() {
        let file = file_of(task, fd as u64 + 1);
        *inode = if file.is_null() { 0 } else { pointer(file, at::FILE_INODE) as u64 };
    }
    0
}

/// The end of a stream, made at its first write.
#[inline(always)]
pub fn tail(tgid: u32, process: &mut Process, stream: u32) -> Option<&'static mut Tail> {
    let key = key(tgid, stream);
    // SAFETY: a map value; threads that write at the same time may mix their bytes.
    let found = |tail: *mut Tail| unsafe { &mut *tail };
    if let Some(tail) = TAILS.get_ptr_mut(&key) {
        return Some(found(tail));
    }
    let container = container(process.cgroup)?;
    if container.flags & container_flag::UNWANTED != 0 {
        return None;
    }
    let is_main = process.flags & task_flag::ROOT != 0;
    if !share::has_room(share::TAILS, container.streams, is_main) {
        lost(process.cgroup, LOST_WORDS);
        return None;
    }
    let none = NO_TAIL.get(0)?;
    if TAILS.insert(&key, none, 1 /* BPF_NOEXIST */).is_ok() {
        process.streams += 1;
        share::count(share::TAILS, Some(&mut container.streams), 1);
    }
    let made = TAILS.get_ptr_mut(&key);
    if made.is_none() {
        lost(process.cgroup, LOST_WORDS);
    }
    made.map(found)
}

/// Notes where a stream leads: what was thrown away does not stand beside what was not. False if this write is not to be
/// kept.
#[inline(always)]
pub fn leads(tail: &mut Tail, to_null: bool) -> bool {
    if tail.total == 0 {
        tail.discarded = u32::from(to_null);
    } else if tail.discarded != 0 && !to_null {
        tail.discarded = 0;
        tail.earlier = tail.total;
        tail.burst = 0;
        tail.head = 0;
    }
    to_null == (tail.discarded != 0)
}

/// Appends one piece of user memory to a stream: what fits into the ring, and the beginning of a burst that does not.
#[inline(never)]
pub fn append(tail: &mut Tail, key: u64, from: u64, length: u64) -> u32 {
    let time = now();
    // A line that is set in goes on with what was said before: a stack trace, while its program waited for a processor.
    let goes_on = |byte: u8| byte == b' ' || byte == b'\t' || byte == b'\n';
    if time.wrapping_sub(tail.time_ns) > PAUSE_NS && !goes_on(load_user(from)) {
        tail.burst = 0;
        tail.head = 0;
    }
    tail.time_ns = time;
    tail.total += length;
    let before = tail.burst;
    tail.burst = before + length;
    let kept = KEPT as u64;
    let mut from = from;
    let mut left = length;
    if before <= kept && before + length > kept {
        // The ring is about to lose the burst's first byte: filled to just that it is the burst's beginning.
        let fill = kept - before;
        put(tail, from, fill as u32);
        keep_head(tail, key);
        from += fill;
        left -= fill;
    }
    if left > kept {
        from += left - kept;
        left = kept;
    }
    put(tail, from, left as u32);
    0
}

/// Copies at most [`KEPT`] bytes into the ring.
#[inline(always)]
fn put(tail: &mut Tail, from: u64, size: u32) {
    let mut from = from;
    let mut left = size;
    for _ in 0..KEPT / PIECE {
        if left == 0 {
            break;
        }
        let size = if left > PIECE as u32 { PIECE as u32 } else { left };
        put_piece(tail, from, size);
        from += u64::from(size);
        left -= size;
    }
}

#[inline(never)]
fn put_piece(tail: &mut Tail, from: u64, size: u32) -> u32 {
    let next = tail.next & MASK;
    let size = if size > PIECE as u32 { PIECE as u32 } else { size };
    // SAFETY: next is below KEPT and size at most PIECE, which is the room behind KEPT.
    let to = unsafe { tail.ring.as_mut_ptr().add(next as usize) };
    if !copy_user(to, size, from) {
        tail.unread = 1;
        return 0;
    }
    let end = next + size;
    tail.next = end & MASK;
    if end > KEPT as u32 {
        // SAFETY: a valid reference. Read back from the map value, where the compiler knows nothing of it and keeps the
        // mask.
        let over =
            unsafe { core::ptr::read_volatile(&raw const tail.next) } & (2 * PIECE as u32 - 1);
        if over <= PIECE as u32 {
            let ring = tail.ring.as_mut_ptr();
            // SAFETY: KEPT + PIECE bytes are there.
            copy_kernel(ring, over, unsafe { ring.add(KEPT) });
        }
    }
    0
}

/// Copies the ring, which is full of the burst's first bytes.
#[inline(always)]
fn keep_head(tail: &mut Tail, key: u64) {
    if HEADS.get_ptr(&key).is_none() {
        begin_head(key);
    }
    let Some(head) = HEADS.get_ptr_mut(&key) else { return };
    // SAFETY: a map value of this process.
    let head = unsafe { &mut *head };
    head.start = tail.next & MASK;
    if copy_kernel(head.bytes.as_mut_ptr(), KEPT as u32, tail.ring.as_ptr()) {
        tail.head = 1;
    }
}

/// Makes room for a stream's beginning. Where there is none, the count of what was skipped tells it.
#[inline(always)]
fn begin_head(key: u64) {
    let Some(process) = process((key >> 8) as u32) else { return };
    let is_main = process.flags & task_flag::ROOT != 0;
    let held = container(process.cgroup).map(|it| &mut it.heads);
    let count = held.as_ref().map_or(0, |held| **held);
    let Some(none) = NO_HEAD.get(0) else { return };
    if share::has_room(share::HEADS, count, is_main)
        && HEADS.insert(&key, none, 1 /* BPF_NOEXIST */).is_ok()
    {
        share::count(share::HEADS, held, 1);
    }
}

#[repr(C)]
struct Buffer {
    said: Said,
    tail: [u8; KEPT],
    head: [u8; KEPT],
}

/// Sends what a process wrote, one record for each stream.
#[inline(always)]
pub fn flush(tgid: u32, task: Ptr, cgroup: u64, flags: u32, ring: Ring) {
    for stream in [stream::STDOUT, stream::STDERR, stream::INIT] {
        flush_stream(&Ended { tgid, stream, flags, ring, task, cgroup });
    }
}

/// Whose stream is sent; a function of BPF takes five arguments at most.
struct Ended {
    tgid: u32,
    stream: u32,
    flags: u32,
    ring: Ring,
    task: Ptr,
    cgroup: u64,
}

#[inline(never)]
fn flush_stream(ended: &Ended) -> u32 {
    let &Ended { tgid, stream, flags, ring, task, cgroup } = ended;
    let key = key(tgid, stream);
    let Some(tail) = TAILS.get_ptr_mut(&key) else { return 0 };
    // SAFETY: a map value of this process, which is ending.
    let tail = unsafe { &mut *tail };
    let Some(buffer) = scratch::<Buffer>(&TASK_SCRATCH) else { return 0 };
    let said = &mut buffer.said;
    said.stream = stream;
    said.tail_next = tail.next & MASK;
    said.total = tail.total;
    said.time_ns = tail.time_ns;
    said.burst = tail.burst;
    said.earlier = tail.earlier;
    said.unread = tail.unread;
    said.head_size = 0;
    said.head_start = 0;
    said.discarded = tail.discarded;
    // Until the ring is full its bytes begin at 0.
    said.tail_size =
        if tail.total >= KEPT as u64 { KEPT as u32 } else { (tail.total as u32).min(tail.next) };
    copy_kernel(buffer.tail.as_mut_ptr(), KEPT as u32, tail.ring.as_ptr());
    let mut size = size_of::<Said>() as u32 + (said.tail_size & (KEPT as u32 * 2 - 1));
    if tail.head != 0
        && tail.total >= KEPT as u64
        && let Some(head) = HEADS.get_ptr(&key)
    {
        // SAFETY: as above.
        let head = unsafe { &*head };
        said.head_size = KEPT as u32;
        said.head_start = head.start & MASK;
        copy_kernel(buffer.head.as_mut_ptr(), KEPT as u32, head.bytes.as_ptr());
        size = size_of::<Buffer>() as u32;
    }
    let size = size.min(size_of::<Buffer>() as u32);
    begin(&mut said.header, Kind::Said, size, cgroup, task, flags);
    counted(&mut said.header, size_of::<Said>());
    send(ring, Kind::Said, cgroup, (&raw const *buffer).cast(), size);
    0
}

/// Notes that a process becomes another program: what it wrote so far is not that one's word.
#[inline(never)]
pub fn note_exec(tgid: u32) -> u32 {
    for stream in [stream::STDOUT, stream::STDERR] {
        if let Some(tail) = TAILS.get_ptr_mut(&key(tgid, stream)) {
            // SAFETY: a map value of this process.
            let tail = unsafe { &mut *tail };
            tail.earlier = tail.total;
            tail.burst = 0;
            tail.head = 0;
        }
    }
    0
}

/// Drops what was kept of a process's streams.
#[inline(never)]
pub fn forget(tgid: u32, cgroup: u64) -> u32 {
    for stream in [stream::STDOUT, stream::STDERR, stream::INIT] {
        let key = key(tgid, stream);
        if TAILS.remove(&key).is_ok() {
            share::count(share::TAILS, container(cgroup).map(|it| &mut it.streams), -1);
        }
        if HEADS.remove(&key).is_ok() {
            share::count(share::HEADS, container(cgroup).map(|it| &mut it.heads), -1);
        }
    }
    0
}

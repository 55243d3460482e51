//! What the threads of a process were doing.

use tracer_ebpf::abi::signal as abi;
use zerocopy::FromBytes;

use super::{arch::Arch, error::DecodeError, record::Record, signal};
use crate::capture::event::{Event, Thread, ThreadState, Threads, What};

pub(super) fn threads(record: &Record<'_>, arch: Arch) -> Result<Event, DecodeError> {
    const SIZE: usize = size_of::<abi::Thread>();
    let (head, mut tail) = record.body::<abi::Threads>()?;
    let count = record.at_most("count", head.count, abi::THREADS_MAX)?;
    let mut threads = Vec::with_capacity(count);
    for _ in 0..count {
        let bytes = tail.take("thread", SIZE as u32, SIZE)?;
        let raw = abi::Thread::read_from_bytes(bytes).map_err(|_| DecodeError::Short {
            part: "thread",
            needed: SIZE,
            got: bytes.len(),
        })?;
        threads.push(Thread {
            tid: raw.tid,
            state: state(raw.state),
            syscall: signal::syscall(raw.syscall, arch),
        });
    }
    tail.finish()?;
    Ok(record.event(What::Threads(Threads { total: head.total, threads })))
}

/// `TASK_*` and `EXIT_*` of include/linux/sched.h. TASK_KILLABLE and TASK_FREEZABLE add bits to the
/// basic states; TASK_IDLE (0x402) is a kernel thread that waits.
fn state(raw: u32) -> ThreadState {
    const NOLOAD: u32 = 0x400;
    let any = |bits: u32| raw & bits != 0;
    if raw == 0 {
        ThreadState::Running
    } else if any(0x1) || any(NOLOAD) {
        ThreadState::Waiting
    } else if any(0x2) {
        ThreadState::Uninterruptible
    } else if any(0x4 | 0x8) {
        ThreadState::Stopped
    } else if any(0x10 | 0x20 | 0x80) {
        ThreadState::Dead
    } else {
        ThreadState::Other
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::decode::{decode, golden};

    #[test]
    fn each_thread_has_state_and_system_call() {
        let bytes = golden::threads(&[(4242, 0, -1), (4243, 1, 202), (4244, 0x102, 9999)]);
        let thread = |tid, state, syscall| Thread { tid, state, syscall };
        assert_eq!(
            decode(&bytes, Arch::X86_64).unwrap()[0].what,
            What::Threads(Threads {
                total: 70,
                threads: vec![
                    thread(4242, ThreadState::Running, None),
                    thread(4243, ThreadState::Waiting, Some((202, "futex"))),
                    thread(4244, ThreadState::Uninterruptible, Some((9999, "unknown"))),
                ],
            })
        );
    }

    #[test]
    fn states_are_those_of_the_scheduler() {
        let check = |raw, expected| assert_eq!(state(raw), expected, "{raw:#x}");
        check(0x2001, ThreadState::Waiting);
        check(0x402, ThreadState::Waiting);
        check(0x2, ThreadState::Uninterruptible);
        check(0x104, ThreadState::Stopped);
        check(0x8, ThreadState::Stopped);
        check(0x20, ThreadState::Dead);
        check(0x80, ThreadState::Dead);
        check(0x40, ThreadState::Other);
    }

    #[test]
    fn more_threads_than_are_noted_are_refused() {
        let mut bytes = golden::threads(&[(1, 0, -1)]);
        bytes[104] = 65;
        assert_eq!(
            decode(&bytes, Arch::X86_64),
            Err(DecodeError::Bounds { record: "threads", field: "count", value: 65, most: 64 })
        );
        bytes[104] = 2;
        assert_eq!(
            decode(&bytes, Arch::X86_64),
            Err(DecodeError::Short { part: "thread", needed: 16, got: 0 })
        );
    }
}

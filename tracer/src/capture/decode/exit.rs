//! The end of a process.

use std::mem::offset_of;

use tracer_ebpf::abi::exit as abi;

use super::{arch::Arch, components, error::DecodeError, record::Record};
use crate::{
    capture::event::{Event, Exit, Limits, MemoryUse, MoreLimits, Status, What},
    linux::signal::Signal,
};

/// Most bytes of a working directory: a path and the NUL behind its last name.
const CWD_MAX: usize = 4097;
/// Set in a wait status when the kernel wrote a core dump (include/linux/sched/signal.h).
const CORE: u32 = 0x80;

pub(super) fn exit(record: &Record<'_>, arch: Arch) -> Result<Event, DecodeError> {
    let (exit, mut tail) = record.body::<abi::Exit>()?;
    let cwd = tail.take("cwd_size", exit.cwd_size, CWD_MAX)?;
    tail.finish()?;
    Ok(record.event(What::Exit(Exit {
        status: status(exit.status),
        cwd: (exit.cwd_cut == 0).then(|| components::path(cwd, false)),
        limits: Limits {
            open_files: limit(exit.rlimit_nofile),
            processes: limit(exit.rlimit_nproc),
            address_space_bytes: limit(exit.rlimit_as),
            core_bytes: limit(exit.rlimit_core),
        },
        max_rss_bytes: arch.bytes_of_pages(exit.max_rss_pages),
        written: (!exit.written.contains(&u64::MAX)).then_some(exit.written),
        failed_calls: exit.failed_calls,
        forks: exit.forks,
        cap_effective: exit.cap_effective,
        recorded: exit.recorder != 0,
        user_time_ns: exit.user_time_ns,
        system_time_ns: exit.system_time_ns,
        memory: exit
            .has(offset_of!(abi::Exit, rlimit_memlock))
            .then(|| memory(&exit, arch))
            .flatten(),
        more_limits: exit.has(offset_of!(abi::Exit, cap_bounding)).then(|| MoreLimits {
            locked_memory_bytes: limit(exit.rlimit_memlock),
            file_size_bytes: limit(exit.rlimit_fsize),
            cpu_seconds: limit(exit.rlimit_cpu),
            stack_bytes: limit(exit.rlimit_stack),
            data_bytes: limit(exit.rlimit_data),
        }),
        cap_bounding: exit.has(size_of::<abi::Exit>()).then_some(exit.cap_bounding),
    })))
}

/// `None` where the kernel does not say.
fn memory(exit: &abi::Exit, arch: Arch) -> Option<MemoryUse> {
    (exit.memory_peak_pages != u64::MAX).then(|| MemoryUse {
        peak_bytes: arch.bytes_of_pages(exit.memory_peak_pages),
        limit_bytes: arch.limit_of_pages(exit.memory_limit_pages),
    })
}

/// A wait(2) status. Bits above the lower 16 are no part of it (ptrace leaves events there).
fn status(raw: u32) -> Status {
    let signal = raw & 0x7f;
    if signal == 0 {
        let [_, code, _, _] = raw.to_le_bytes();
        return Status { code: Some(code), signal: None, core: false };
    }
    Status { code: None, signal: Some(Signal(signal)), core: raw & CORE != 0 }
}

/// `None` for RLIM_INFINITY.
pub(super) fn limit(raw: u64) -> Option<u64> {
    (raw != u64::MAX).then_some(raw)
}

#[cfg(test)]
mod tests {
    use tracer_ebpf::abi::header::Kind;

    use super::*;
    use crate::{
        capture::decode::{decode, golden},
        linux::text::Text,
    };

    #[test]
    fn an_exit_has_status_limits_and_totals() {
        let events = decode(&golden::exit(0x0100), Arch::X86_64).unwrap();
        assert_eq!(events[0].process, golden::process());
        assert_eq!(
            events[0].what,
            What::Exit(Exit {
                status: Status { code: Some(1), signal: None, core: false },
                cwd: Some(Text::from("/srv/app")),
                limits: Limits {
                    open_files: Some(1_048_576),
                    processes: None,
                    address_space_bytes: None,
                    core_bytes: Some(0),
                },
                max_rss_bytes: 2560 * 4096,
                written: Some([12, 34]),
                failed_calls: 40,
                forks: 2,
                cap_effective: 0x400,
                recorded: true,
                user_time_ns: 5_000_000,
                system_time_ns: 6_000_000,
                memory: None,
                more_limits: None,
                cap_bounding: None,
            })
        );
    }

    #[test]
    fn code_signal_and_core_are_kept_apart() {
        let check = |raw, code, signal: Option<u32>, core| {
            let expected = Status { code, signal: signal.map(Signal), core };
            assert_eq!(status(raw), expected, "{raw:#x}");
        };
        check(0, Some(0), None, false);
        check(0x0100, Some(1), None, false);
        check(0xff00, Some(255), None, false);
        check(9, None, Some(9), false);
        check(0x8b, None, Some(11), true);
        check(0x86, None, Some(6), true);
        check(64, None, Some(64), false);
        check(0x0006_0200, Some(2), None, false);
    }

    #[test]
    fn what_was_written_is_unknown_without_the_recorder() {
        let mut bytes = golden::exit(0);
        let written = offset_of!(abi::Exit, written);
        bytes[written..written + 8].copy_from_slice(&u64::MAX.to_ne_bytes());
        let events = decode(&bytes, Arch::X86_64).unwrap();
        assert!(matches!(&events[0].what, What::Exit(exit) if exit.written.is_none()));
    }

    #[test]
    fn the_root_is_a_working_directory_without_names() {
        let mut bytes = golden::exit(0);
        bytes.truncate(Kind::Exit.first_body());
        bytes[4] = 208;
        bytes[offset_of!(abi::Exit, cwd_size)] = 0;
        let events = decode(&bytes, Arch::X86_64).unwrap();
        let What::Exit(exit) = &events[0].what else { panic!("not an exit") };
        assert_eq!(exit.cwd, Some(Text::from("/")));
    }
}

//! Facts about the machine itself. It must not know containers.

use std::{fs, path::Path};

use rustix::{
    system::uname,
    time::{ClockId, clock_gettime},
};

use super::model::Machine;

const NANOSECONDS: i64 = 1_000_000_000;

/// Looks at the running kernel; what cannot be read stays empty.
pub fn gather() -> Machine {
    let uname = uname();
    Machine {
        kernel: uname.release().to_string_lossy().into_owned(),
        arch: uname.machine().to_string_lossy().into_owned(),
        boot_offset_ns: boot_offset_ns(),
        threads_max: number("/proc/sys/kernel/threads-max"),
        pid_max: number("/proc/sys/kernel/pid_max"),
        memory_bytes: fs::read("/proc/meminfo").ok().and_then(|text| memory_bytes(&text)),
    }
}

/// CLOCK_REALTIME minus CLOCK_BOOTTIME now: a clock that is set later changes it.
pub fn boot_offset_ns() -> i64 {
    let ns = |clock| {
        let time = clock_gettime(clock);
        time.tv_sec.saturating_mul(NANOSECONDS).saturating_add(time.tv_nsec)
    };
    // The boot clock is read on both sides, so that being interrupted between costs only half of it.
    let before = ns(ClockId::Boottime);
    let real = ns(ClockId::Realtime);
    let after = ns(ClockId::Boottime);
    real - (before + (after - before) / 2)
}

fn number(path: impl AsRef<Path>) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// `MemTotal` of /proc/meminfo.
fn memory_bytes(meminfo: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(meminfo).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_running_machine_is_known() {
        let machine = gather();
        assert_eq!(machine.arch, std::env::consts::ARCH);
        assert!(!machine.kernel.is_empty());
        assert!(machine.memory_bytes.unwrap() > 1 << 20);
        assert!(machine.pid_max.is_some() && machine.threads_max.is_some());
        assert!(machine.boot_offset_ns > 0);
    }

    #[test]
    fn memory_is_read_in_bytes() {
        assert_eq!(memory_bytes(b"MemTotal:        2048 kB\nMemFree: 1 kB\n"), Some(2 << 20));
        assert_eq!(memory_bytes(b"MemTotal: x kB\n"), None);
        assert_eq!(memory_bytes(b"\xff"), None);
    }
}

//! Facts about the machine itself. It must not know containers.

use std::{fs, path::Path};

use rustix::{
    system::uname,
    time::{ClockId, clock_gettime},
};

use super::{model::Machine, processor};

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
        cpu_flags: fs::read_to_string("/proc/cpuinfo").ok().and_then(|text| cpu_flags(&text)),
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

/// The flags of the first processor, as far as a level of x86-64 is made of them.
fn cpu_flags(cpuinfo: &str) -> Option<Vec<String>> {
    let line = cpuinfo.lines().find_map(|line| line.strip_prefix("flags"))?;
    let flags: Vec<&str> = line.trim_start_matches(['\t', ' ', ':']).split(' ').collect();
    let of_levels = processor::LEVELS.iter().flat_map(|level| level.flags);
    Some(of_levels.filter(|it| flags.contains(it)).map(|it| (*it).to_owned()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flags_of_the_first_processor_are_read() {
        let text =
            "processor\t: 0\nflags\t\t: fpu sse2 avx movbe\nprocessor\t: 1\nflags\t\t: avx2\n";
        assert_eq!(cpu_flags(text), Some(vec!["avx".to_owned(), "movbe".to_owned()]));
        assert_eq!(cpu_flags("Features\t: fp asimd\n"), None);
    }

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

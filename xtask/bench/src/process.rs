//! What /proc tells of a process: its memory, its CPU time, its eBPF maps and programs. It knows
//! nothing about the tracer.

use std::collections::BTreeMap;
use std::fs;

use anyhow::{Context as _, Result};

/// Resident memory, bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Memory {
    pub now: u64,
    pub most: u64,
    /// The part of `now` that no file backs.
    pub anonymous: u64,
    /// The part of `now` that a file backs: the program, and what the kernel shows of its rings.
    pub of_files: u64,
}

/// Kernel memory of the eBPF maps that a process holds, bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Maps {
    pub now: u64,
    /// If every entry of every map were in use.
    pub full: u64,
}

/// How often and how long an eBPF program ran while the kernel counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Runs {
    pub count: u64,
    pub time_ns: u64,
}

pub fn memory(pid: u32) -> Result<Memory> {
    let status = read(pid, "status")?;
    let bytes = |name: &str| -> Result<u64> {
        let value = field(&status, name).with_context(|| format!("no {name} in /proc"))?;
        Ok(value.trim_end_matches(" kB").parse::<u64>()? * 1024)
    };
    Ok(Memory {
        now: bytes("VmRSS")?,
        most: bytes("VmHWM")?,
        anonymous: bytes("RssAnon")?,
        of_files: bytes("RssFile")?,
    })
}

/// User and system time of all its threads.
pub fn cpu_time_ns(pid: u32) -> Result<u64> {
    let stat = read(pid, "stat")?;
    // The name in parentheses may hold anything; utime and stime are the 12th and 13th field after it.
    let after = stat.rsplit_once(')').map_or("", |(_, after)| after);
    let ticks = after.split_whitespace().skip(11).take(2).map(str::parse::<u64>);
    let ticks: u64 = ticks.sum::<Result<u64, _>>().context("cannot understand /proc/PID/stat")?;
    Ok(ticks * 1_000_000_000 / rustix::param::clock_ticks_per_second())
}

pub fn maps(pid: u32) -> Result<Maps> {
    let mut found = BTreeMap::new();
    for info in descriptors(pid)? {
        let number = |name: &str| field(&info, name).and_then(|value| value.parse::<u64>().ok());
        let Some(id) = number("map_id") else { continue };
        let value = |name: &str| number(name).unwrap_or(0);
        let now = value("memlock");
        let in_use_if_full = match value("map_type") {
            HASH if value_of_hex(&info, "map_flags") & NO_PREALLOC != 0 => {
                let entry = HASH_ENTRY + pad(value("key_size")) + pad(value("value_size"));
                now + value("max_entries") * allocated(entry)
            }
            _ => now,
        };
        found.insert(id, (now, in_use_if_full));
    }
    let sum = |of: fn(&(u64, u64)) -> u64| found.values().map(of).sum();
    Ok(Maps { now: sum(|map| map.0), full: sum(|map| map.1) })
}

/// Run times of the programs that it has attached, by the name of their tracepoint.
pub fn programs(pid: u32) -> Result<BTreeMap<String, Runs>> {
    let descriptors = descriptors(pid)?;
    let number =
        |info: &str, name: &str| field(info, name).and_then(|value| value.parse::<u64>().ok());
    let mut runs = BTreeMap::new();
    for info in &descriptors {
        if let (Some(id), Some(count), Some(time_ns)) =
            (number(info, "prog_id"), number(info, "run_cnt"), number(info, "run_time_ns"))
        {
            runs.insert(id, Runs { count, time_ns });
        }
    }
    let links = descriptors.iter().filter_map(|info| {
        let runs = runs.get(&number(info, "prog_id")?)?;
        Some((field(info, "tp_name")?.to_owned(), *runs))
    });
    Ok(links.collect())
}

/// BPF_MAP_TYPE_HASH and BPF_F_NO_PREALLOC: include/uapi/linux/bpf.h.
const HASH: u64 = 1;
const NO_PREALLOC: u64 = 1;
/// `struct htab_elem` without key and value (kernel/bpf/hashtab.c), and the `struct llist_node` in
/// front of each object of its allocator (kernel/bpf/memalloc.c).
const HASH_ENTRY: u64 = 48 + 8;

fn pad(bytes: u64) -> u64 {
    bytes.next_multiple_of(8)
}

/// What the kernel's allocator takes for a request: kmalloc's sizes, and 96 and 192.
fn allocated(bytes: u64) -> u64 {
    match bytes {
        65..=96 => 96,
        129..=192 => 192,
        _ => bytes.next_power_of_two(),
    }
}

fn value_of_hex(info: &str, name: &str) -> u64 {
    let value = field(info, name).and_then(|value| value.strip_prefix("0x"));
    value.and_then(|value| u64::from_str_radix(value, 16).ok()).unwrap_or(0)
}

fn read(pid: u32, file: &str) -> Result<String> {
    let path = format!("/proc/{pid}/{file}");
    fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))
}

/// Contents of /proc/PID/fdinfo/*.
fn descriptors(pid: u32) -> Result<Vec<String>> {
    let folder = format!("/proc/{pid}/fdinfo");
    let entries = fs::read_dir(&folder).with_context(|| format!("cannot list {folder}"))?;
    // One that is closed meanwhile is no error.
    Ok(entries.flatten().filter_map(|entry| fs::read_to_string(entry.path()).ok()).collect())
}

fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_memory_and_cpu_time_can_be_read() {
        let memory = memory(std::process::id()).unwrap();
        assert!(memory.now > 0 && memory.most >= memory.now && memory.anonymous <= memory.now);
        cpu_time_ns(std::process::id()).unwrap();
    }

    #[test]
    fn a_process_without_maps_holds_no_map_memory() {
        assert_eq!(maps(std::process::id()).unwrap(), Maps { now: 0, full: 0 });
        assert!(programs(std::process::id()).unwrap().is_empty());
    }

    #[test]
    fn fields_are_found_by_their_whole_name() {
        let info = "map_type:\t1\nmap_flags:\t0x81\nmap_id:\t7\n";
        assert_eq!(field(info, "map_id"), Some("7"));
        assert_eq!(field(info, "map"), None);
        assert_eq!(value_of_hex(info, "map_flags"), 0x81);
        assert_eq!([40, 70, 130, 200, 7856].map(allocated), [64, 96, 192, 256, 8192]);
    }
}

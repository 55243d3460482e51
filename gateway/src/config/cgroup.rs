//! The memory limit under which this process runs: that of its cgroups, of version 1 or 2, and the machine's memory. What the
//! limit is for is not known here.

use std::{fs, path::Path};

const MOUNTED: &str = "/sys/fs/cgroup";

/// The smallest memory limit of this process's cgroups, or the machine's memory where that is less; in bytes. `None` where
/// neither can be read.
pub fn memory_limit() -> Option<usize> {
    limit(|path| fs::read_to_string(path).ok())
}

fn limit(read: impl Fn(&str) -> Option<String>) -> Option<usize> {
    let own = read("/proc/self/cgroup").unwrap_or_default();
    let machine = read("/proc/meminfo").and_then(|text| total(&text));
    let limits = own.lines().flat_map(files).filter_map(|path| read(&path)?.trim().parse().ok());
    limits.chain(machine).min()
}

/// The files that may hold a limit for a line of /proc/self/cgroup (cgroups(7)): of the cgroup and all above it. In a
/// container the path may be one of the node's, which is not seen here; then the mount's root is the cgroup itself.
fn files(line: &str) -> Vec<String> {
    let mut parts = line.splitn(3, ':').skip(1);
    let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else { return Vec::new() };
    let (root, name) = match controllers {
        "" => (MOUNTED.to_owned(), "memory.max"),
        of if of.split(',').any(|controller| controller == "memory") => {
            (format!("{MOUNTED}/memory"), "memory.limit_in_bytes")
        }
        _ => return Vec::new(),
    };
    let cgroups = Path::new(path.trim_start_matches('/')).ancestors();
    cgroups.map(|cgroup| Path::new(&root).join(cgroup).join(name).display().to_string()).collect()
}

/// The machine's memory, of /proc/meminfo.
fn total(meminfo: &str) -> Option<usize> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    line.split_whitespace().next()?.parse::<usize>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(files: &[(&str, &str)], expect: Option<usize>) {
        let found = limit(|path| {
            let (_, text) = files.iter().find(|(name, _)| *name == path)?;
            Some((*text).to_owned())
        });
        assert_eq!(found, expect, "{files:?}");
    }

    #[test]
    fn the_smallest_limit_of_the_cgroup_and_those_above_it_counts() {
        check(
            &[
                ("/proc/self/cgroup", "0::/pods/one\n"),
                ("/sys/fs/cgroup/pods/one/memory.max", "max\n"),
                ("/sys/fs/cgroup/pods/memory.max", "1073741824\n"),
                ("/proc/meminfo", "MemTotal:       24682132 kB\nMemFree: 1 kB\n"),
            ],
            Some(1 << 30),
        );
        check(
            &[
                ("/proc/self/cgroup", "5:cpu:/a\n4:memory:/a/b\n0::/\n"),
                ("/sys/fs/cgroup/memory/a/b/memory.limit_in_bytes", "536870912\n"),
                ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n"),
            ],
            Some(512 << 20),
        );
    }

    #[test]
    fn in_a_container_the_mount_s_root_is_the_cgroup() {
        check(
            &[("/proc/self/cgroup", "0::/\n"), ("/sys/fs/cgroup/memory.max", "268435456\n")],
            Some(256 << 20),
        );
        check(
            &[
                ("/proc/self/cgroup", "4:memory:/kubepods/pod1/abc\n"),
                ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "268435456\n"),
            ],
            Some(256 << 20),
        );
    }

    #[test]
    fn without_a_limit_it_is_the_machine_s_memory() {
        let machine = ("/proc/meminfo", "MemTotal:  1024 kB\n");
        check(&[machine], Some(1 << 20));
        check(&[("/proc/self/cgroup", "0::/\nnonsense\n"), machine], Some(1 << 20));
        check(&[], None);
    }

    #[test]
    fn this_process_has_a_limit() {
        assert!(memory_limit().is_some_and(|bytes| bytes > 1 << 20));
    }
}

//! What a machine must have for the chores that run real programs: packages of Debian and of PyPI, and
//! mounted kernel filesystems. It is the one table of them; it knows no chore.

use std::fs;
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::means::exec;
use crate::means::packages::{self, Package};
use crate::means::wheels::Requirements;

/// What the tests use besides the programs of this workspace.
pub const TESTS: &[Package] = &[
    Package { name: "runc", proof: "runc", why: "to provoke deaths in real containers" },
    Package { name: "crun", proof: "crun", why: "because its init fails differently from runc's" },
    Package { name: "containerd", proof: "containerd", why: "to run real pods" },
    Package {
        name: "busybox-static",
        proof: "busybox",
        why: "as the only program of a container's root filesystem",
    },
    Package { name: "gcc", proof: "cc", why: "to compile programs that die on purpose" },
    Package {
        name: "libc6-dev",
        proof: "/usr/include/stdlib.h",
        why: "to compile programs that die on purpose",
    },
    Package {
        name: "perl-base",
        proof: "perl",
        why: "as an interpreter that finds a syntax error",
    },
    Package {
        name: "python3-minimal",
        proof: "python3",
        why: "as an interpreter whose exceptions nothing catches",
    },
    Package { name: "openssl", proof: "openssl", why: "to make and verify certificates" },
    Package { name: "php-cli", proof: "php", why: "as a runtime that limits its own memory" },
    Package {
        name: "kubernetes-client",
        proof: "kubectl",
        why: "as a Go program whose connection is refused",
    },
];

/// What the peer of `tests/peer` imports.
pub const PEER: Requirements = Requirements {
    name: "macula-peer",
    list: "tests/peer/requirements.txt",
    why: "to meet the gateway with a peer that shares no code with it",
};

/// Kernel filesystems that the tracer reads or pins to: type and place.
const MOUNTS: [(&str, &str); 2] = [("tracefs", "/sys/kernel/tracing"), ("bpf", "/sys/fs/bpf")];

/// Installs what is missing of the packages and mounts what is not mounted.
///
/// # Errors
///
/// When something is missing and cannot be had without a person: the error says what to do.
pub fn ensure(packages: &[Package]) -> Result<()> {
    packages::ensure(packages)?;
    let mounted = fs::read_to_string("/proc/self/mounts").context("cannot read mounts")?;
    for (kind, place) in MOUNTS.into_iter().filter(|(kind, place)| !has(&mounted, kind, place)) {
        exec::run_quietly(Command::new("mount").args(["-t", kind, kind, place]))
            .with_context(|| format!("{place} must be mounted: mount -t {kind} {kind} {place}"))?;
    }
    Ok(())
}

/// Whether this process may load eBPF programs and create cgroups: it has CAP_SYS_ADMIN, which
/// root in an ordinary container has not.
pub fn is_privileged() -> bool {
    const CAP_SYS_ADMIN: u32 = 21;
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    effective_capabilities(&status).is_some_and(|set| set & (1 << CAP_SYS_ADMIN) != 0)
}

fn effective_capabilities(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("CapEff:"))?;
    u64::from_str_radix(line.trim(), 16).ok()
}

fn has(mounts: &str, kind: &str, place: &str) -> bool {
    mounts.lines().any(|line| {
        let mut fields = line.split(' ').skip(1);
        fields.next() == Some(place) && fields.next() == Some(kind)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mount_is_known_by_its_type_and_place() {
        let mounts = "bpf /sys/fs/bpf bpf rw 0 0\nnone /sys/kernel/tracing tmpfs rw 0 0\n";
        assert!(has(mounts, "bpf", "/sys/fs/bpf"));
        assert!(!has(mounts, "tracefs", "/sys/kernel/tracing"));
    }

    #[test]
    fn capabilities_are_read_from_the_status_of_a_process() {
        let status = "Name:\tx\nCapEff:\t0000000000200000\n";
        assert_eq!(effective_capabilities(status), Some(1 << 21));
        assert_eq!(effective_capabilities("Name:\tx\n"), None);
    }
}

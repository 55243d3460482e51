//! Machines as the doctor may find them, for its tests.

use std::path::PathBuf;

use super::sight::{Agent, Cgroups, Sight};
use crate::{
    capture::kernel::load::{HOOKS, OOM_HOOK, RECORDER},
    node::health::{Pins, Recorder, Store},
};

/// Nothing lacks.
pub fn works() -> Sight {
    Sight {
        release: "6.12.43+deb13-amd64".to_owned(),
        machine: "x86_64".to_owned(),
        euid: 0,
        initial_user_namespace: Ok(true),
        capabilities: Ok(0x1ff_ffff_ffff),
        lockdown: Ok("integrity".to_owned()),
        missing_members: Ok(Vec::new()),
        object: Some("0123456789abcdef".repeat(4)),
        cgroups: Cgroups {
            unified: Some(PathBuf::from("/sys/fs/cgroup")),
            legacy: false,
            chosen: Ok(PathBuf::from("/sys/fs/cgroup")),
            memory: Some(PathBuf::from("/sys/fs/cgroup")),
        },
        own_cgroup: Ok(()),
        maps: Ok(()),
        hooks: HOOKS.iter().chain([&OOM_HOOK, &RECORDER]).map(|hook| (*hook, Ok(()))).collect(),
        record: Some(Ok(true)),
        initial_pid_namespace: Ok(true),
        tracefs: Some(PathBuf::from("/sys/kernel/tracing")),
        core_pattern: Ok("core".to_owned()),
        runtimes: vec![PathBuf::from("/usr/bin/containerd"), PathBuf::from("/usr/sbin/runc")],
        agent: Ok(Some(Agent {
            version: "1.2.3".to_owned(),
            lacks: Vec::new(),
            recorder: Recorder { mode: "auto".to_owned(), attached: false },
            pins: Pins::default(),
            store: Store { writable: true, ..Store::default() },
        })),
    }
}

/// An ordinary user on a hybrid machine.
pub fn without_root() -> Sight {
    let refused = "cannot load the eBPF object: map error: failed to create map `EVENTS` with code -1: \
                   Operation not permitted (os error 1)";
    Sight {
        euid: 1000,
        capabilities: Ok(0),
        lockdown: Err(
            "cannot read /sys/kernel/security/lockdown: No such file or directory (os error 2)"
                .to_owned(),
        ),
        cgroups: Cgroups {
            unified: Some(PathBuf::from("/sys/fs/cgroup/unified")),
            legacy: true,
            chosen: Ok(PathBuf::from("/sys/fs/cgroup/unified")),
            memory: Some(PathBuf::from("/sys/fs/cgroup/memory")),
        },
        own_cgroup: Err(
            "cannot create the cgroup /sys/fs/cgroup/unified/tracer-doctor-1: Permission denied"
                .to_owned(),
        ),
        maps: Err(refused.to_owned()),
        hooks: Vec::new(),
        record: None,
        tracefs: None,
        runtimes: Vec::new(),
        agent: Err("permission denied".to_owned()),
        ..works()
    }
}

/// A binary without its object on a kernel that is too old.
pub fn stub_on_old_kernel() -> Sight {
    Sight {
        release: "5.4.0-100-generic".to_owned(),
        object: None,
        missing_members: Err(
            "cannot read /sys/kernel/btf/vmlinux: No such file or directory (os error 2)"
                .to_owned(),
        ),
        cgroups: Cgroups {
            unified: None,
            legacy: true,
            chosen: Ok(PathBuf::from("/sys/fs/cgroup/pids")),
            memory: None,
        },
        maps: Err("not tried: there is no eBPF object".to_owned()),
        hooks: Vec::new(),
        record: None,
        core_pattern: Ok("|/usr/share/apport/apport %p".to_owned()),
        ..works()
    }
}

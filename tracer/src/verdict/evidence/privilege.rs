//! What refused a call: a missing capability, a seccomp filter, or neither. It must not name causes.

use crate::event::{Limits, ProcessId};

use crate::verdict::{case::Case, evidence::failure::Failure};

/// A capability's bit and name (linux/capability.h).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::verdict) struct Capability(u8, pub &'static str);

pub(in crate::verdict) const NET_BIND_SERVICE: Capability = Capability(10, "CAP_NET_BIND_SERVICE");

/// The capability that a call needs where it is privileged at all.
pub(in crate::verdict) fn needed_by(call: &str) -> Option<Capability> {
    Some(match call {
        "chown" | "fchown" | "lchown" | "fchownat" => Capability(0, "CAP_CHOWN"),
        "kill" | "tkill" | "tgkill" | "pidfd_send_signal" => Capability(5, "CAP_KILL"),
        "setgid" | "setregid" | "setresgid" | "setgroups" | "setfsgid" => {
            Capability(6, "CAP_SETGID")
        }
        "setuid" | "setreuid" | "setresuid" | "setfsuid" => Capability(7, "CAP_SETUID"),
        "capset" => Capability(8, "CAP_SETPCAP"),
        "setsockopt" => Capability(12, "CAP_NET_ADMIN"),
        "socket" => Capability(13, "CAP_NET_RAW"),
        "mlock" | "mlock2" | "mlockall" => Capability(14, "CAP_IPC_LOCK"),
        "init_module" | "finit_module" | "delete_module" => Capability(16, "CAP_SYS_MODULE"),
        "ioperm" | "iopl" => Capability(17, "CAP_SYS_RAWIO"),
        "chroot" => Capability(18, "CAP_SYS_CHROOT"),
        "ptrace" | "process_vm_readv" | "process_vm_writev" => Capability(19, "CAP_SYS_PTRACE"),
        "mount" | "umount2" | "pivot_root" | "move_mount" | "open_tree" | "fsopen" | "fsconfig"
        | "fsmount" | "mount_setattr" | "unshare" | "setns" | "clone" | "clone3"
        | "sethostname" | "setdomainname" | "swapon" | "swapoff" | "quotactl" => {
            Capability(21, "CAP_SYS_ADMIN")
        }
        "reboot" | "kexec_load" | "kexec_file_load" => Capability(22, "CAP_SYS_BOOT"),
        "setpriority" | "sched_setscheduler" | "sched_setparam" | "sched_setattr"
        | "ioprio_set" => Capability(23, "CAP_SYS_NICE"),
        "setrlimit" | "prlimit64" => Capability(24, "CAP_SYS_RESOURCE"),
        "settimeofday" | "clock_settime" | "adjtimex" | "clock_adjtime" => {
            Capability(25, "CAP_SYS_TIME")
        }
        "mknod" | "mknodat" => Capability(27, "CAP_MKNOD"),
        "syslog" => Capability(34, "CAP_SYSLOG"),
        "perf_event_open" => Capability(38, "CAP_PERFMON"),
        "bpf" => Capability(39, "CAP_BPF"),
        _ => return None,
    })
}

pub(in crate::verdict) struct Refusal {
    /// `capability`, `seccomp` or `unknown`.
    pub by: &'static str,
    pub text: String,
    pub capability: Option<&'static str>,
}

/// What most likely refused a call that is not about a file.
pub(in crate::verdict) fn refusal(
    case: &Case<'_>,
    failure: &Failure<'_>,
    needed: Option<Capability>,
) -> Refusal {
    let held = capabilities(case, failure.process.id);
    let seccomp = failure.process.seccomp;
    let also = if seccomp { "; a seccomp filter is on as well" } else { "" };
    match (needed, held) {
        (Some(it), Some(held)) if held & (1 << it.0) == 0 => Refusal {
            by: "capability",
            text: format!("it lacks {}{also}", it.1),
            capability: Some(it.1),
        },
        (Some(it), None) if !seccomp => {
            Refusal { by: "capability", text: format!("it needs {}", it.1), capability: Some(it.1) }
        }
        (_, _) if seccomp => Refusal {
            by: "seccomp",
            text: "no capability is missing for it, its seccomp filter refuses it".to_owned(),
            capability: None,
        },
        (_, _) => Refusal {
            by: "unknown",
            text: "neither a missing capability nor a seccomp filter explains it".to_owned(),
            capability: None,
        },
    }
}

/// Effective capabilities: at its end, else after its last exec.
pub(in crate::verdict) fn capabilities(case: &Case<'_>, id: ProcessId) -> Option<u64> {
    let at_end = case.end(id).map(|end| end.exit.cap_effective);
    at_end.or_else(|| case.last_exec(id).map(|(_, _, exec)| exec.cap_effective))
}

/// Limits that the process had at its end.
pub(in crate::verdict) fn limits(case: &Case<'_>, id: ProcessId) -> Option<Limits> {
    case.end(id).map(|end| end.exit.limits)
}

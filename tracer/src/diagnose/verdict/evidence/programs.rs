//! Programs that stand between a container and its real work, known by name. It must not judge what they did.

use crate::{capture::event::Exec, linux::text::Text};

const SHELLS: &[&str] =
    &["sh", "bash", "dash", "ash", "zsh", "ksh", "mksh", "yash", "fish", "csh", "tcsh", "hush"];

/// They run another program and end with its status.
const LAUNCHERS: &[&str] = &[
    "tini",
    "tini-static",
    "dumb-init",
    "catatonit",
    "docker-init",
    "s6-svscan",
    "s6-supervise",
    "su-exec",
    "gosu",
    "env",
    "timeout",
    "nice",
    "nohup",
    "setpriv",
    "setsid",
    "sudo",
    "su",
    "chroot",
    "stdbuf",
    "time",
    "xargs",
    "capsh",
    "unshare",
    "nsenter",
    "prlimit",
    "chpst",
    "runuser",
    "ionice",
    "taskset",
    "exec",
    "start-stop-daemon",
];

/// Container runtimes, their shims and monitors, and the node's agents above them.
const RUNTIMES: &[&str] = &[
    "runc",
    "crun",
    "youki",
    "runsc",
    "conmon",
    "conmonrs",
    "dockerd",
    "docker",
    "kubelet",
    "podman",
    "crio",
    "cri-dockerd",
    "nerdctl",
];

/// By the beginning of their names: `containerd-shim-runc-v2`, `runc:[2:INIT]`, runc's copy of itself in memory.
const RUNTIME_FAMILIES: &[&str] =
    &["containerd", "runc:[", "runc_cloned", "kata-", "crun:", "runc."];

/// A shell by its path, or by the interpreter of the script that it runs.
pub(in crate::diagnose::verdict) fn is_shell(exec: &Exec) -> bool {
    let first = exec.args.first().map_or(&b""[..], Text::as_bytes);
    let applet = exec.args.get(1).map_or(&b""[..], Text::as_bytes);
    let path = file_name(exec.path.as_bytes());
    is_shell_name(path)
        || is_shell_name(file_name(first))
        || (path == b"busybox" && is_shell_name(applet))
}

pub(in crate::diagnose::verdict) fn is_shell_name(name: &[u8]) -> bool {
    let name = name.strip_prefix(b"-").unwrap_or(name);
    SHELLS.iter().any(|shell| shell.as_bytes() == name)
}

/// A program whose only work is to run another.
pub(in crate::diagnose::verdict) fn is_launcher(exec: &Exec) -> bool {
    let first = exec.args.first().map_or(&b""[..], Text::as_bytes);
    [exec.path.as_bytes(), first]
        .iter()
        .any(|name| LAUNCHERS.iter().any(|it| it.as_bytes() == file_name(name)))
}

/// A container runtime, its shim, its monitor or the node's agent above it.
pub(in crate::diagnose::verdict) fn is_runtime(name: &Text) -> bool {
    let name = name.as_bytes();
    let name = match name.strip_prefix(b"memfd:") {
        Some(copy) => copy,
        None => file_name(name),
    };
    RUNTIMES.iter().any(|runtime| name == runtime.as_bytes())
        || RUNTIME_FAMILIES.iter().any(|family| name.starts_with(family.as_bytes()))
}

/// Its file's name; of one that was run by a descriptor, as runc and crun run themselves, its first argument's.
pub(in crate::diagnose::verdict) fn name(exec: &Exec) -> Text {
    let shown = exec.args.first().filter(|_| is_by_descriptor(exec)).unwrap_or(&exec.path);
    Text(file_name(shown.as_bytes()).to_vec())
}

/// Its path is that of a descriptor.
pub(in crate::diagnose::verdict) fn is_by_descriptor(exec: &Exec) -> bool {
    let path = exec.path.as_bytes();
    path.starts_with(b"/dev/fd/") || path.starts_with(b"/proc/") || path.starts_with(b"memfd:")
}

/// What follows the last slash.
pub(in crate::diagnose::verdict) fn file_name(path: &[u8]) -> &[u8] {
    path.rsplit(|byte| *byte == b'/').next().unwrap_or_default()
}

/// What stands before the last slash; empty for a bare name.
pub(in crate::diagnose::verdict) fn folder(path: &[u8]) -> &[u8] {
    path.iter().rposition(|byte| *byte == b'/').map_or(&[], |slash| &path[..slash.max(1)])
}

/// Calls that open or make a file, rather than look whether it is there.
pub(in crate::diagnose::verdict) fn opens(call: &str) -> bool {
    matches!(call, "open" | "openat" | "openat2" | "creat" | "chdir" | "mkdir" | "mkdirat")
}

//! Which processes that were found are container runtimes' inits. Pure.

use crate::capture::event::{Found, Process};

/// Programs that make containers, which a container's init still runs before it becomes the container's own.
const RUNTIMES: [&[u8]; 3] = [b"runc", b"crun", b"youki"];

/// Whether a process that was found is still its runtime's init.
pub fn is_runtime_init(found: &Found, process: &Process) -> bool {
    let path = found.path.as_bytes();
    // A runtime runs a copy of itself, in memory or beside its file: `/memfd:runc_cloned:...`, `runc.AbCdEf`.
    let name = match path.strip_prefix(b"/memfd:") {
        Some(copy) => copy,
        None => path.rsplit(|byte| *byte == b'/').next().unwrap_or_default(),
    };
    RUNTIMES.iter().any(|runtime| {
        let rest = name.strip_prefix(*runtime);
        rest.is_some_and(|rest| rest.first().is_none_or(|byte| !byte.is_ascii_alphanumeric()))
            // `runc:[2:INIT]`
            || process.comm.as_bytes().strip_prefix(*runtime).is_some_and(|rest| rest.starts_with(b":["))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{capture::decode::golden, linux::text::Text};

    #[test]
    fn a_runtimes_init_is_known_by_its_program_or_by_its_name() {
        let table: [(&str, &str, bool); 10] = [
            ("/usr/sbin/runc", "exe", true),
            ("/memfd:runc_cloned:/proc/self/exe (deleted)", "exe", true),
            ("/run/containerd/runc/k8s.io/ab/runc.AbCdEf (deleted)", "6", true),
            ("/usr/bin/crun", "crun", true),
            ("", "runc:[2:INIT]", true),
            ("", "youki:[2:INIT]", true),
            ("/usr/bin/runcmd", "runcmd", false),
            ("/opt/runc/server", "server", false),
            ("/victim", "victim", false),
            ("", "", false),
        ];
        for (path, comm, expected) in table {
            let text = |text: &str| Text(text.as_bytes().to_vec());
            let found = Found { found_ns: 1, path: text(path), args: Vec::new() };
            let process = Process { comm: text(comm), ..golden::process() };
            assert_eq!(is_runtime_init(&found, &process), expected, "{path} {comm}");
        }
    }
}

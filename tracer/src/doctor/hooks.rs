//! The hooks: what each tells, and what may be done where the kernel refuses one. Pure.

use super::{check::Check, sight::Sight};
use crate::capture::kernel::load::{HOOKS, OOM_HOOK, RECORDER};

/// What is the matter where nothing can be said of a hook yet.
pub const NOT_TRIED: (&str, &str) = ("tracer exec does not start", "mend the checks above first");

/// One check for each hook.
pub fn checks(sight: &Sight) -> Vec<Check> {
    let all = HOOKS.iter().chain([&OOM_HOOK, &RECORDER]);
    all.map(|hook| {
        let name = format!("hook_{hook}");
        let tried = sight.hooks.iter().find(|(tried, _)| tried == hook);
        match tried {
            Some((_, Ok(()))) => Check::ok(name, "attached and detached"),
            Some((_, Err(why))) => {
                let cost =
                    format!("tracer exec does not start: it would not see {}", seen_by(hook));
                Check::missing(name, why, (&cost, &remedy(sight, why)))
            }
            None => Check::missing(name, "not tried", NOT_TRIED),
        }
    })
    .collect()
}

/// What would not be seen without a hook.
fn seen_by(hook: &str) -> &'static str {
    match hook {
        "cgroup_mkdir" => "containers begin",
        "cgroup_rmdir" => "containers end",
        "cgroup_attach_task" => "processes come into a container",
        "sched_process_fork" => "children",
        "sched_process_exec" => "programs start",
        "sched_process_exit" => "how a process ends",
        "signal_generate" => "who sends a signal",
        "mark_victim" => "OOM kills",
        "sys_exit" => "failed system calls",
        _ => "part of what happens",
    }
}

/// What helps against a refusal, by its text and by what else was seen.
pub fn remedy(sight: &Sight, why: &str) -> String {
    let refused = why.contains("Operation not permitted") || why.contains("Permission denied");
    if refused && sight.lockdown.as_deref() == Ok("confidentiality") {
        return "boot with lockdown=integrity on the kernel's command line".to_owned();
    }
    if refused && sight.initial_user_namespace == Ok(false) {
        return "run it as root outside of the user namespace (no rootless container)".to_owned();
    }
    if refused && sight.euid != 0 {
        return "run it as root: `sudo tracer doctor`".to_owned();
    }
    if refused {
        return "run it with CAP_BPF and CAP_PERFMON; in a container: a privileged one".to_owned();
    }
    "report it with the output of `tracer doctor -o json`".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_known_what_each_hook_tells() {
        for hook in HOOKS.iter().chain([&OOM_HOOK, &RECORDER]) {
            assert_ne!(seen_by(hook), seen_by("no such hook"), "{hook}");
        }
    }
}

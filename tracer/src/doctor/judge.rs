//! From what was seen to checks: what works, what lacks, what that costs, how to mend it. Pure.

use super::{capabilities, check::Check, hooks, members, sight::Sight};

/// The oldest kernel that has all helpers of the programs: bpf_task_pt_regs came last (kernel/trace/bpf_trace.c).
const OLDEST: (u32, u32) = (5, 15);

/// All checks, those first that others stand on.
pub fn judge(sight: &Sight) -> Vec<Check> {
    let mut checks = vec![object(sight), kernel(sight), machine(sight)];
    checks.extend(members::checks(&sight.missing_members));
    checks.extend([user(sight), user_namespace(sight)]);
    checks.extend(capabilities::checks(&sight.capabilities));
    checks.extend([lockdown(sight), cgroup(sight), memory(sight), own_cgroup(sight), maps(sight)]);
    checks.extend(hooks::checks(sight));
    checks.extend([record(sight), pid_namespace(sight)]);
    checks.extend([tracefs(sight), core_pattern(sight), runtimes(sight), agent(sight)]);
    checks
}

fn object(sight: &Sight) -> Check {
    match &sight.object {
        Some(hash) => Check::ok("ebpf_object", format!("embedded, sha256 {hash}")),
        None => Check::missing(
            "ebpf_object",
            "this binary was built without its eBPF object",
            (
                "nothing can be watched",
                "in the sources: `cargo xtask install`, or `cargo xtask build-ebpf` and build it again",
            ),
        ),
    }
}

fn kernel(sight: &Sight) -> Check {
    let (major, minor) = OLDEST;
    let oldest = format!("Linux {major}.{minor} or later is needed");
    match version(&sight.release) {
        Some(version) if version >= OLDEST => Check::ok("kernel", &sight.release),
        Some(_) => {
            let lack = ("its programs cannot be loaded", oldest.as_str());
            Check::missing("kernel", &sight.release, lack)
        }
        None => {
            let lack =
                ("whether the programs can be loaded is told by the hooks alone", oldest.as_str());
            Check::degraded("kernel", format!("{:?} is no version", sight.release), lack)
        }
    }
}

fn agent(sight: &Sight) -> Check {
    let agent = match &sight.agent {
        Ok(Some(agent)) => agent,
        Ok(None) => return Check::ok("agent", "none runs here"),
        Err(why) => {
            let lack = ("what it watches cannot be asked", "run as root, or name its --socket");
            return Check::degraded("agent", why, lack);
        }
    };
    let attached = if agent.recorder.attached { "attached" } else { "detached" };
    let found = format!(
        "version {}, system call recorder {attached} ({})",
        agent.version, agent.recorder.mode
    );
    if !agent.lacks.is_empty() {
        let cost = format!("the agent is not ready: {}", agent.lacks.join("; "));
        return Check::degraded("agent", found, (&cost, "see its log"));
    }
    if let Some(error) = &agent.pins.error {
        let remedy =
            "mount -t bpf bpf /sys/fs/bpf and restart the agent, or set keep_when_stopped = false";
        let cost = format!("what happens while no agent runs will not be told: {error}");
        return Check::degraded("agent", found, (&cost, remedy));
    }
    if let Some(path) = &agent.store.damaged {
        let cost = format!(
            "what it remembered before is not known: its store was damaged, and is {path} now"
        );
        return Check::degraded("agent", found, (&cost, "look at the disk, and remove the file"));
    }
    Check::ok("agent", found)
}

/// `6.1.0-18-amd64` to (6, 1).
fn version(release: &str) -> Option<(u32, u32)> {
    let mut parts = release.split(|c: char| !c.is_ascii_digit());
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

fn machine(sight: &Sight) -> Check {
    match sight.machine.as_str() {
        "x86_64" => Check::ok("machine", "x86_64"),
        "aarch64" => {
            let lack = ("it has not been tested there", "compare what matters with another tool");
            Check::degraded("machine", "aarch64", lack)
        }
        other => {
            let lack = ("its system calls are not known", "use an x86_64 or aarch64 machine");
            Check::missing("machine", other, lack)
        }
    }
}

fn user(sight: &Sight) -> Check {
    if sight.euid == 0 {
        return Check::ok("user", "root");
    }
    let lack = (
        "tracer exec does not start; what is said below about hooks and cgroups holds for this user only",
        "run it as root: `sudo tracer doctor`",
    );
    Check::missing("user", format!("uid {}", sight.euid), lack)
}

fn user_namespace(sight: &Sight) -> Check {
    match &sight.initial_user_namespace {
        Ok(true) => Check::ok("user_namespace", "the initial one"),
        Ok(false) => Check::missing(
            "user_namespace",
            "not the initial one",
            (
                "capabilities do not count for eBPF here: no program can be loaded",
                "run it outside of rootless containers and `unshare --user`",
            ),
        ),
        Err(why) => {
            let lack = (
                "whether capabilities count is told by the hooks alone",
                "mount -t proc proc /proc",
            );
            Check::degraded("user_namespace", why, lack)
        }
    }
}

fn lockdown(sight: &Sight) -> Check {
    match sight.lockdown.as_deref() {
        Ok("confidentiality") => Check::missing(
            "lockdown",
            "confidentiality",
            (
                "programs may not read kernel memory",
                "boot with lockdown=integrity on the kernel's command line",
            ),
        ),
        Ok(mode) => Check::ok("lockdown", mode),
        Err(why) => Check::degraded(
            "lockdown",
            why,
            (
                "if a hook is refused, whether lockdown is why is not known",
                "mount -t securityfs securityfs /sys/kernel/security",
            ),
        ),
    }
}

fn cgroup(sight: &Sight) -> Check {
    let cgroups = &sight.cgroups;
    let mode = match (&cgroups.unified, cgroups.legacy) {
        (Some(_), false) => "version 2",
        (Some(_), true) => "hybrid: version 2 beside version 1",
        (None, _) => "version 1",
    };
    match &cgroups.chosen {
        Ok(mount) => {
            Check::ok("cgroup", format!("{mode}; containers are told apart by {}", mount.display()))
        }
        Err(why) => Check::missing(
            "cgroup",
            why,
            ("nothing can be watched", "mount -t cgroup2 none /sys/fs/cgroup"),
        ),
    }
}

fn memory(sight: &Sight) -> Check {
    match &sight.cgroups.memory {
        Some(place) => Check::ok("memory_controller", place.display().to_string()),
        None => Check::degraded(
            "memory_controller",
            "not found",
            (
                "no cgroup has a memory limit here; OOM kills are told without the cgroup that was full",
                "boot with cgroup_enable=memory, or mount it: \
                 `mkdir -p /sys/fs/cgroup/memory && mount -t cgroup -o memory cgroup /sys/fs/cgroup/memory`",
            ),
        ),
    }
}

fn own_cgroup(sight: &Sight) -> Check {
    match &sight.own_cgroup {
        Ok(()) => Check::ok("own_cgroup", "made and removed"),
        Err(why) if beside_an_agent(sight) => {
            let lack = ("tracer exec does not start here; an agent needs none", "nothing");
            Check::degraded("own_cgroup", why, lack)
        }
        Err(why) => Check::missing(
            "own_cgroup",
            why,
            (
                "tracer exec does not start: its command needs a cgroup of its own",
                "run it as root; where the file system is read-only: `mount -o remount,rw /sys/fs/cgroup`, \
                 or a privileged container",
            ),
        ),
    }
}

fn maps(sight: &Sight) -> Check {
    match &sight.maps {
        Ok(()) => Check::ok("ring_buffer", "maps and both ring buffers created"),
        Err(why) => {
            let remedy = if sight.object.is_none()
                || sight.missing_members.is_err()
                || sight.cgroups.chosen.is_err()
            {
                "mend the checks above first".to_owned()
            } else {
                hooks::remedy(sight, why)
            };
            Check::missing("ring_buffer", why, ("no program can be loaded", &remedy))
        }
    }
}

fn record(sight: &Sight) -> Check {
    let cost = "tracer exec would see nothing of its command";
    match &sight.record {
        Some(Ok(true)) => Check::ok("record", "a new cgroup was told through the ring buffer"),
        Some(Ok(false)) => {
            let remedy = "report it with the output of `tracer doctor -o json`";
            Check::missing("record", "no record came of a new cgroup", (cost, remedy))
        }
        Some(Err(why)) => Check::missing("record", why, (cost, &hooks::remedy(sight, why))),
        None if sight.own_cgroup.is_err() && beside_an_agent(sight) => {
            let lack = ("whether records come is told by the agent alone", "nothing");
            Check::degraded("record", "not tried", lack)
        }
        None => Check::missing("record", "not tried", hooks::NOT_TRIED),
    }
}

/// As in the agent's own pod, where the cgroup file system is read-only.
fn beside_an_agent(sight: &Sight) -> bool {
    matches!(&sight.agent, Ok(Some(_)))
}

fn pid_namespace(sight: &Sight) -> Check {
    let cost = "processes outside of it are known by pid and name only: who holds a port or sent a signal \
                is told without a command line";
    match &sight.initial_pid_namespace {
        Ok(true) => Check::ok("pid_namespace", "the initial one; /proc shows every process"),
        Ok(false) => Check::degraded(
            "pid_namespace",
            "not the initial one",
            (
                cost,
                "run it on the host; in a container with `--pid host`, in a pod with hostPID: true",
            ),
        ),
        Err(why) => Check::degraded("pid_namespace", why, (cost, "mount -t proc proc /proc")),
    }
}

fn tracefs(sight: &Sight) -> Check {
    match &sight.tracefs {
        Some(place) => Check::ok("tracefs", place.display().to_string()),
        None => Check::ok("tracefs", "not mounted, not needed: the hooks are described by BTF"),
    }
}

fn core_pattern(sight: &Sight) -> Check {
    match &sight.core_pattern {
        Ok(pattern) => match pattern.strip_prefix('|') {
            Some(program) => {
                Check::ok("core_pattern", format!("core dumps are piped to {program}"))
            }
            None => Check::ok(
                "core_pattern",
                format!("core dumps go to files by the pattern {pattern:?}"),
            ),
        },
        Err(why) => {
            let lack = ("where core dumps go is not known", "mount -t proc proc /proc");
            Check::degraded("core_pattern", why, lack)
        }
    }
}

fn runtimes(sight: &Sight) -> Check {
    let found: Vec<String> = sight.runtimes.iter().map(|path| path.display().to_string()).collect();
    let found =
        if found.is_empty() { "none found, none needed".to_owned() } else { found.join(", ") };
    Check::ok("container_runtimes", found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        doctor::{
            check::{Report, State},
            samples, table,
        },
        render::Style,
    };

    fn text(sight: &Sight) -> String {
        table::text(&Report { checks: judge(sight) }, Style::Plain)
    }

    fn state_of(sight: &Sight, name: &str) -> State {
        let checks = judge(sight);
        checks.iter().find(|check| check.name == name).unwrap().state
    }

    #[test]
    fn a_machine_where_everything_works_reads_as_one_table() {
        insta::assert_snapshot!(text(&samples::works()));
    }

    #[test]
    fn without_root_it_says_what_it_cannot_see() {
        insta::assert_snapshot!(text(&samples::without_root()));
    }

    #[test]
    fn a_stub_on_an_old_kernel_without_btf_is_told_in_one_go() {
        insta::assert_snapshot!(text(&samples::stub_on_old_kernel()));
    }

    #[test]
    fn each_lack_has_its_cost_and_its_remedy() {
        for sight in [samples::works(), samples::without_root(), samples::stub_on_old_kernel()] {
            for check in judge(&sight) {
                let told = (!check.cost.is_empty(), !check.remedy.is_empty());
                let lacks = check.state != State::Ok;
                assert_eq!(told, (lacks, lacks), "{check:?}");
                assert!(!check.found.is_empty(), "{check:?}");
            }
        }
    }

    #[test]
    fn names_are_unique() {
        let mut names: Vec<String> =
            judge(&samples::works()).into_iter().map(|check| check.name).collect();
        let all = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), all);
    }

    #[test]
    fn a_refused_hook_makes_the_whole_report_fail() {
        let mut sight = samples::works();
        sight.hooks[0].1 = Err("cannot load cgroup_mkdir: Operation not permitted".to_owned());
        assert_eq!(state_of(&sight, "hook_cgroup_mkdir"), State::Missing);
        assert!(!Report { checks: judge(&sight) }.ok());
    }

    #[test]
    fn lockdown_is_the_remedy_where_it_is_the_reason() {
        let mut sight = samples::works();
        sight.lockdown = Ok("confidentiality".to_owned());
        let remedy = hooks::remedy(&sight, "Operation not permitted (os error 1)");
        assert!(remedy.contains("lockdown=integrity"), "{remedy}");
        assert_eq!(state_of(&sight, "lockdown"), State::Missing);
    }

    #[test]
    fn a_degraded_machine_still_passes() {
        let mut sight = samples::works();
        sight.machine = "aarch64".to_owned();
        sight.initial_pid_namespace = Ok(false);
        sight.cgroups.memory = None;
        let report = Report { checks: judge(&sight) };
        assert!(report.ok());
        assert_eq!(report.count(State::Degraded), 3);
    }

    #[test]
    fn an_agents_pod_needs_no_cgroup_of_its_own() {
        let lacks =
            Sight { own_cgroup: Err("read-only".to_owned()), record: None, ..samples::works() };
        assert!(lacks.agent.as_ref().is_ok_and(Option::is_some));
        assert!(Report { checks: judge(&lacks) }.ok());
        let alone = Sight { agent: Ok(None), ..lacks };
        assert!(!Report { checks: judge(&alone) }.ok());
    }

    #[test]
    fn an_agent_that_cannot_keep_its_programs_in_the_kernel_says_so() {
        let mut sight = samples::works();
        if let Ok(Some(agent)) = &mut sight.agent {
            agent.pins.error = Some("no bpf file system".to_owned());
        }
        let checks = judge(&sight);
        let check = checks.iter().find(|check| check.name == "agent").unwrap();
        assert_eq!(check.state, State::Degraded);
        assert!(check.cost.contains("no bpf file system"), "{check:?}");
        assert!(check.remedy.contains("mount -t bpf"), "{check:?}");
    }

    #[test]
    fn an_agent_whose_store_was_damaged_says_where_it_is() {
        let mut sight = samples::works();
        if let Ok(Some(agent)) = &mut sight.agent {
            agent.store.damaged = Some("/var/lib/tracer/x.damaged-1".to_owned());
        }
        let checks = judge(&sight);
        let check = checks.iter().find(|check| check.name == "agent").unwrap();
        assert_eq!(check.state, State::Degraded);
        assert!(check.cost.contains("x.damaged-1"), "{check:?}");
    }

    #[test]
    fn kernels_are_compared_by_their_numbers() {
        assert_eq!(version("6.1.0-18-amd64"), Some((6, 1)));
        assert_eq!(version("5.15.0"), Some((5, 15)));
        assert!(version("5.9.2") < Some(OLDEST));
        assert_eq!(version("unknown"), None);
    }

    #[test]
    fn capabilities_below_root_are_each_told() {
        let mut sight = samples::works();
        // CAP_BPF and CAP_PERFMON alone.
        sight.capabilities = Ok(1 << 38 | 1 << 39);
        assert_eq!(state_of(&sight, "cap_bpf"), State::Ok);
        assert_eq!(state_of(&sight, "cap_sys_ptrace"), State::Degraded);
        sight.capabilities = Ok(1 << 21);
        assert_eq!(state_of(&sight, "cap_perfmon"), State::Ok);
        sight.capabilities = Ok(0);
        assert_eq!(state_of(&sight, "cap_bpf"), State::Missing);
    }
}

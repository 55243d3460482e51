//! Deaths by the OOM killer: whose limit was full, and who of the tree was killed.

use anyhow::Result;

use crate::death::Exit::{Code, Signal};
use crate::{Act, Bundle, Death, Need, Stage};

const MIB: u64 = 1 << 20;
const CGROUP: &[Need] = &[Need::Root, Need::MemoryCgroup];
const CGROUP_AND_SHELL: &[Need] = &[Need::Root, Need::MemoryCgroup, Need::Tool("sh")];
const CGROUP_AND_RUNC: &[Need] = &[Need::Root, Need::MemoryCgroup, Need::Tool("runc")];

pub const DEATHS: &[Death] = &[
    Death::new("oom_silent", "oom_killed", Signal("SIGKILL"), silent)
        .proven()
        .says(&["24 MiB"])
        .needs(CGROUP),
    Death::new("oom_after_words", "oom_killed", Signal("SIGKILL"), after_words)
        .proven()
        .says(&["24 MiB"])
        .needs(CGROUP),
    Death::new("oom_port_table", "oom_killed", Signal("SIGKILL"), port_table)
        .proven()
        .says(&["64 MiB", "RLIMIT_NOFILE"])
        .needs(CGROUP),
    Death::new("oom_status_passed_on", "oom_killed", Code(137), status_passed_on)
        .proven()
        .says(&["24 MiB"])
        .needs(CGROUP_AND_SHELL),
    Death::new("oom_in_container", "oom_killed", Code(137), in_container)
        .proven()
        .says(&["32 MiB"])
        .needs(CGROUP_AND_RUNC),
    Death::new("oom_pod_full", "oom_killed", Signal("SIGKILL"), pod_full)
        .proven()
        .says(&["32 MiB", "pod"])
        .needs(CGROUP),
    Death::new("oom_group", "oom_killed", Signal("SIGKILL"), group)
        .proven()
        .says(&["24 MiB"])
        .needs(&[Need::Root, Need::MemoryCgroup, Need::OomGroup]),
    Death::new("oom_group_of_one", "oom_killed", Signal("SIGKILL"), group_of_one)
        .proven()
        .says(&["24 MiB"])
        .needs(&[Need::Root, Need::MemoryCgroup, Need::OomGroup]),
    Death::new("oom_group_pod", "oom_killed", Signal("SIGKILL"), group_pod)
        .proven()
        .says(&["32 MiB", "pod"])
        .needs(&[Need::Root, Need::MemoryCgroup, Need::OomGroup]),
    Death::new("oom_child", "oom_killed_child", Code(1), child)
        .proven()
        .says(&["24 MiB"])
        .needs(CGROUP),
    Death::new("oom_node", "oom_killed_node", Signal("SIGKILL"), node)
        .proven()
        .needs(&[Need::Root, Need::ThrowAwayMachine]),
];

fn confined(stage: &Stage, procs: &str, words: &[&str]) -> Act {
    let victim = stage.path("victim");
    let cgroup = format!("cgroup={procs}");
    let wrapper = [victim.as_str(), "with", &cgroup, "--", &victim];
    Act::new(wrapper.iter().chain(words))
}

fn silent(stage: &Stage) -> Result<Act> {
    Ok(confined(stage, &stage.memory_cgroups(&[("container", 24 * MIB)])?, &["eat"]))
}

fn after_words(stage: &Stage) -> Result<Act> {
    let procs = stage.memory_cgroups(&[("container", 24 * MIB)])?;
    Ok(confined(stage, &procs, &["eat", "listening on 9443"]))
}

fn port_table(stage: &Stage) -> Result<Act> {
    let cgroup = format!("cgroup={}", stage.memory_cgroups(&[("container", 64 * MIB)])?);
    let victim = stage.path("victim");
    // Not the limit of whoever runs this: it may be too small to matter.
    Ok(Act::new([&victim, "with", "nofile=16384", &cgroup, "--", &victim, "port-table"]))
}

fn status_passed_on(stage: &Stage) -> Result<Act> {
    let procs = stage.memory_cgroups(&[("container", 24 * MIB)])?;
    let victim = stage.path("victim");
    let line = format!("{victim} with cgroup={procs} -- {victim} eat; exit $?");
    Ok(Act::new(["sh", "-c", &line]))
}

fn in_container(stage: &Stage) -> Result<Act> {
    Bundle::new(stage, "runc", &["/victim", "eat"])?.memory(32 * MIB).act()
}

fn pod_full(stage: &Stage) -> Result<Act> {
    let procs = stage.memory_cgroups(&[("pod", 32 * MIB), ("container", 512 * MIB)])?;
    Ok(confined(stage, &procs, &["eat"]))
}

fn group(stage: &Stage) -> Result<Act> {
    let procs = stage.memory_cgroups_killed_as_a_group(&[("group", 24 * MIB)])?;
    Ok(confined(stage, &procs, &["eat-in-group"]))
}

fn group_of_one(stage: &Stage) -> Result<Act> {
    let procs = stage.memory_cgroups_killed_as_a_group(&[("group", 24 * MIB)])?;
    Ok(confined(stage, &procs, &["eat"]))
}

fn group_pod(stage: &Stage) -> Result<Act> {
    let limits = [("pod", 32 * MIB), ("container", 512 * MIB)];
    let procs = stage.memory_cgroups_killed_as_a_group(&limits)?;
    Ok(confined(stage, &procs, &["eat-in-group"]))
}

fn child(stage: &Stage) -> Result<Act> {
    Ok(confined(stage, &stage.memory_cgroups(&[("container", 24 * MIB)])?, &["eat-in-child"]))
}

// The whole machine runs full, and the score makes sure that it is the victim who pays.
fn node(stage: &Stage) -> Result<Act> {
    let victim = stage.path("victim");
    Ok(Act::new([&victim, "with", "oom_score_adj=1000", "--", &victim, "eat"]))
}

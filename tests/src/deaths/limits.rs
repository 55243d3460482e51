//! Deaths by limits: descriptors, processes, threads, address space.

use anyhow::Result;

use crate::death::Exit::Code;
use crate::{Act, Death, Need, Stage};

pub const DEATHS: &[Death] = &[
    Death::new("descriptors_used_up", "fd_limit", Code(1), descriptors).says(&[
        "EMFILE",
        "RLIMIT_NOFILE",
        "16",
    ]),
    Death::new("processes_used_up", "pid_limit", Code(1), processes_of_user)
        .says(&["EAGAIN", "RLIMIT_NPROC"]),
    Death::new("pids_cgroup_full", "pid_limit", Code(1), processes_of_cgroup)
        .says(&["EAGAIN", "pids.max"])
        .needs(&[Need::Root, Need::PidsCgroup]),
    Death::new("threads_used_up", "pid_limit", Code(1), threads_of_cgroup)
        .says(&["EAGAIN", "pids.max"])
        .needs(&[Need::Root, Need::PidsCgroup]),
    Death::new("address_space_used_up", "memory_allocation_failed", Code(1), address_space)
        .says(&["ENOMEM", "RLIMIT_AS"]),
    Death::new("watches_used_up", "watch_limit", Code(1), watches).proven().says(&[
        "EMFILE",
        "fs.inotify.max_user_instances",
        "47002",
    ]),
    Death::new("argument_too_long", "arguments_too_long", Code(1), argument_too_long)
        .proven()
        .says(&["E2BIG"]),
    Death::new("call_unknown_to_seccomp", "call_unsupported", Code(1), call_unknown_to_seccomp)
        .proven()
        .says(&["mount", "ENOSYS", "seccomp"]),
];

fn with(stage: &Stage, options: &[&str], words: &[&str]) -> Act {
    let victim = stage.path("victim");
    let (with, end) = ([victim.as_str(), "with"], ["--", victim.as_str()]);
    Act::new(with.iter().chain(options).chain(&end).chain(words))
}

fn descriptors(stage: &Stage) -> Result<Act> {
    Ok(with(stage, &["nofile=16"], &["descriptors"]))
}

// Root is exempt from RLIMIT_NPROC (kernel/fork.c, copy_process), and other processes of the user would count: the uid
// is one that nobody has.
fn processes_of_user(stage: &Stage) -> Result<Act> {
    Ok(with(stage, &["nproc=4", "uid=47001"], &["processes"]))
}

fn processes_of_cgroup(stage: &Stage) -> Result<Act> {
    let cgroup = format!("cgroup={}", stage.pids_cgroup(4)?);
    Ok(with(stage, &[&cgroup], &["processes"]))
}

fn threads_of_cgroup(stage: &Stage) -> Result<Act> {
    let cgroup = format!("cgroup={}", stage.pids_cgroup(4)?);
    Ok(with(stage, &[&cgroup], &["threads"]))
}

fn address_space(stage: &Stage) -> Result<Act> {
    Ok(with(stage, &["as=67108864"], &["allocate", "1073741824"]))
}

// The limit is of the user, on the whole machine: the uid is one that nobody has.
fn watches(stage: &Stage) -> Result<Act> {
    Ok(with(stage, &["nofile=1024", "uid=47002"], &["instances"]))
}

fn argument_too_long(stage: &Stage) -> Result<Act> {
    let path = stage.path("hello");
    Ok(Act::new([&stage.path("victim"), "long-argument", &path]).says(&path))
}

fn call_unknown_to_seccomp(stage: &Stage) -> Result<Act> {
    Ok(Act::new([&stage.path("victim"), "seccomp-enosys"]))
}

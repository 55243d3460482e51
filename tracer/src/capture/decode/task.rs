//! One process of a record.

use tracer_ebpf::abi::header::{Task, task_flag};

use crate::{
    capture::event::{Process, ProcessId},
    linux::text::Text,
};

/// `seccomp.mode` with filters (include/uapi/linux/seccomp.h: SECCOMP_MODE_FILTER).
const SECCOMP_FILTER: u32 = 2;

pub(super) fn process(task: &Task) -> Process {
    let flag = |bit: u32| task.flags & bit != 0;
    Process {
        id: ProcessId { pid: task.tgid, start_ns: task.start_ns },
        tid: task.tid,
        container_pid: task.ns_tgid,
        agent_pid: (task.agent_tgid != 0).then_some(task.agent_tgid),
        parent_pid: task.parent,
        uid: task.uid,
        gid: task.gid,
        cgroup: task.cgroup,
        pid_ns: task.pid_ns,
        seccomp: task.seccomp == SECCOMP_FILTER,
        comm: Text::until_nul(&task.comm),
        tracked: flag(task_flag::TRACKED),
        root: flag(task_flag::ROOT),
        runtime_init: flag(task_flag::RUNTIME_INIT),
        kernel_thread: flag(task_flag::KERNEL),
        below_root: either(flag(task_flag::BELOW_ROOT), flag(task_flag::OUTSIDE)),
        above: either(flag(task_flag::ABOVE), flag(task_flag::NOT_ABOVE)),
    }
}

/// `None` where neither was noted.
fn either(is: bool, is_not: bool) -> Option<bool> {
    (is || is_not).then_some(is)
}

//! Processes, by OpenTelemetry's `process.*` names where they exist.

use serde_json::Value;

use super::{
    fields::{Fields, id, object},
    time::rfc3339,
};
use crate::{
    event::{Exec, Process, ProcessId, What},
    text::Text,
    timeline::Timeline,
};

/// What names a process within a timeline entry.
pub(super) fn short(fields: &mut Fields, process: &Process, boot_offset_ns: i64) {
    names(fields, process.id, boot_offset_ns);
    fields.put("vpid", process.container_pid).put("parent_pid", process.parent_pid);
    fields.text("comm", &process.comm).object("user", |user| {
        user.put("id", process.uid);
    });
    if process.runtime_init {
        fields.put("runtime_init", true);
    }
    if process.kernel_thread {
        fields.put("kernel_thread", true);
    }
}

/// What an exec made of a process.
pub(super) fn program(fields: &mut Fields, exec: &Exec) {
    fields.object("executable", |executable| {
        executable
            .text("name", &file_name(&exec.path))
            .text("path", &exec.path)
            .put("device", device(exec.device))
            .put("inode", id(exec.inode));
    });
    if let Some(command) = exec.args.first() {
        fields.text("command", command);
    }
    fields
        .texts("command_args", &exec.args)
        .put("args_truncated", exec.args_truncated)
        .put("args_length", exec.args_length);
}

/// All that the timeline knows of a process: its latest state, its last exec, where it ended.
pub(super) fn whole(process: ProcessId, timeline: &Timeline, boot_offset_ns: i64) -> Value {
    let mut own = timeline.entries.iter().rev().filter(|event| event.process.id == process);
    let known =
        timeline.processes.get(&process).or_else(|| own.clone().next().map(|event| &event.process));
    let Some(known) = known else {
        return object(|fields| names(fields, process, boot_offset_ns));
    };
    let cwd = own.clone().find_map(|event| match &event.what {
        What::Exit(exit) => exit.cwd.as_ref(),
        _ => None,
    });
    let exec = own.find_map(|event| match &event.what {
        What::Exec(exec) => Some(exec),
        _ => None,
    });
    object(|fields| {
        short(fields, known, boot_offset_ns);
        fields.object("group", |group| {
            group.put("id", known.gid);
        });
        fields
            .put("cgroup_id", id(known.cgroup))
            .put("pid_namespace", known.pid_ns)
            .put("seccomp", known.seccomp);
        if let Some(exec) = exec {
            program(fields, exec);
        }
        if let Some(cwd) = cwd {
            fields.text("working_directory", cwd);
        }
    })
}

fn names(fields: &mut Fields, process: ProcessId, boot_offset_ns: i64) {
    fields.put("pid", process.pid).object("creation", |creation| {
        creation.put("time", rfc3339(process.start_ns, boot_offset_ns));
    });
}

fn file_name(path: &Text) -> Text {
    let name = path.as_bytes().rsplit(|byte| *byte == b'/').next();
    Text(name.unwrap_or_default().to_vec())
}

/// `major:minor` of the kernel's own device number (include/linux/kdev_t.h: 20 bits are the minor's).
fn device(device: u32) -> String {
    format!("{}:{}", device >> 20, device & 0xf_ffff)
}

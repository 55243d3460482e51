//! Processes, by OpenTelemetry's `process.*` names where they exist.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    readable,
    text::{id, text, texts},
    time::rfc3339,
};
use crate::{
    capture::event::{self, Event, Exec, ProcessId},
    diagnose::timeline::Timeline,
    linux::text::Text,
};

/// A process, as far as it is known. With its creation time a pid names one process for ever.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Process {
    /// In the initial pid namespace.
    pub pid: u32,
    pub creation: Creation,
    /// In its own pid namespace, that of the container.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vpid: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent_pid: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comm_b64: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comm: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<Numbered>,
    #[serde(skip_serializing_if = "is_false")]
    pub runtime_init: bool,
    #[serde(skip_serializing_if = "is_false")]
    pub kernel_thread: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thread_id: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<Numbered>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cgroup_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pid_namespace: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seccomp: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub executable: Option<Executable>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command_b64: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command_args_b64: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command_args: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub args_truncated: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub args_length: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub working_directory_b64: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub working_directory: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Creation {
    /// RFC 3339, UTC, nanoseconds.
    pub time: String,
}

/// A user or a group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Numbered {
    pub id: u32,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Executable {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name_b64: Option<String>,
    /// Last component of the path.
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path_b64: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// `major:minor` of its file system.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inode: Option<String>,
}

pub(super) fn is_false(is: &bool) -> bool {
    !is
}

impl Process {
    /// What names a process.
    fn named(process: ProcessId, boot_offset_ns: i64) -> Self {
        let creation = Creation { time: rfc3339(process.start_ns, boot_offset_ns) };
        Self { pid: process.pid, creation, ..Self::default() }
    }

    fn short(process: &event::Process, boot_offset_ns: i64) -> Self {
        let (comm_b64, comm) = text(&process.comm);
        Self {
            vpid: Some(process.container_pid),
            parent_pid: Some(process.parent_pid),
            comm_b64,
            comm: Some(comm),
            user: Some(Numbered { id: process.uid }),
            runtime_init: process.runtime_init,
            kernel_thread: process.kernel_thread,
            ..Self::named(process.id, boot_offset_ns)
        }
    }

    /// One of its threads, at the moment of an event.
    pub(super) fn thread(process: &event::Process, boot_offset_ns: i64) -> Self {
        Self { thread_id: Some(process.tid), ..Self::short(process, boot_offset_ns) }
    }

    /// With the name of its program, of which nothing else is known.
    pub(super) fn called(self, program: &Text) -> Self {
        let (name_b64, name) = text(program);
        Self { executable: Some(Executable { name_b64, name, ..Executable::default() }), ..self }
    }

    /// With what an exec made of it.
    pub(super) fn running(self, exec: &Exec) -> Self {
        let (name_b64, name) = text(&file_name(&exec.path));
        let (path_b64, path) = text(&exec.path);
        let executable = Executable {
            name_b64,
            name,
            path_b64,
            path: Some(path),
            device: Some(device(exec.device)),
            inode: Some(id(exec.inode)),
        };
        let (command_b64, command) = exec.args.first().map(text).unzip();
        let (command_args_b64, command_args) = texts(&exec.args);
        Self {
            executable: Some(executable),
            command_b64: command_b64.flatten(),
            command,
            command_args_b64,
            command_args: Some(command_args),
            args_truncated: Some(exec.args_truncated),
            args_length: Some(exec.args_length),
            ..self
        }
    }

    /// All that the timeline knows of a process: its latest state, its last exec, where it ended.
    pub(super) fn whole(process: ProcessId, timeline: &Timeline, boot_offset_ns: i64) -> Self {
        let mut own = timeline.entries.iter().rev().filter(|event| event.process.id == process);
        let known = timeline
            .processes
            .get(&process)
            .or_else(|| own.clone().next().map(|event| &event.process));
        let Some(known) = known else { return Self::named(process, boot_offset_ns) };
        let cwd = own.clone().find_map(|event| event.exit()?.cwd.as_ref());
        let exec = own.find_map(Event::exec);
        let (working_directory_b64, working_directory) = cwd.map(text).unzip();
        let whole = Self {
            group: Some(Numbered { id: known.gid }),
            cgroup_id: Some(id(known.cgroup)),
            pid_namespace: Some(known.pid_ns),
            seccomp: Some(known.seccomp),
            working_directory_b64: working_directory_b64.flatten(),
            working_directory,
            ..Self::short(known, boot_offset_ns)
        };
        match exec {
            Some(exec) => whole.running(exec),
            None => whole,
        }
    }

    /// As far as it can be read.
    pub fn read(json: Value) -> Self {
        // A value has no syntax that could be wrong.
        readable::fields(json).unwrap_or_default()
    }

    /// The same process, whatever else is said of it.
    pub fn is(&self, other: &Self) -> bool {
        (self.pid, &self.creation) == (other.pid, &other.creation)
    }
}

fn file_name(path: &Text) -> Text {
    let name = path.as_bytes().rsplit(|byte| *byte == b'/').next();
    Text(name.unwrap_or_default().to_vec())
}

/// `major:minor` of the kernel's own device number (include/linux/kdev_t.h: 20 bits are the minor's).
fn device(device: u32) -> String {
    format!("{}:{}", device >> 20, device & 0xf_ffff)
}

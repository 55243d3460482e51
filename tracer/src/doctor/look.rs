//! Looks at the machine. It must not judge; what cannot be seen becomes a reason.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use tracer_ebpf::offsets::MEMBERS;

use super::sight::{Agent, Cgroups, Sight};
use crate::{
    capture::kernel::{Layout, Options, Programs, layout::VMLINUX, object},
    linux::{
        btf::Btf,
        cgroup::{Hierarchy, OwnCgroup},
    },
    query,
};

const LOCKDOWN: &str = "/sys/kernel/security/lockdown";
const CORE_PATTERN: &str = "/proc/sys/kernel/core_pattern";
/// Inode numbers of the initial namespaces (include/linux/proc_ns.h, PROC_PID_INIT_INO, PROC_USER_INIT_INO).
const INITIAL_PID_NAMESPACE: u64 = 0xEFFF_FFFC;
const INITIAL_USER_NAMESPACE: u64 = 0xEFFF_FFFD;
/// Programs that run containers, and where they may be beside PATH.
const RUNTIMES: [&str; 6] = ["containerd", "crio", "dockerd", "podman", "runc", "crun"];
const PROGRAM_FOLDERS: [&str; 4] = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin"];

/// Looks at everything; an agent is asked at `socket`. Loads and attaches each hook for a moment, and makes a cgroup and removes it.
pub fn look(socket: &Path) -> Sight {
    let uname = rustix::system::uname();
    let hierarchy = Hierarchy::find().map_err(|error| one_line(&error));
    let missing_members = missing_members();
    let own_cgroup = hierarchy.as_ref().map_err(Clone::clone).and_then(own_cgroup);
    let layout = layout(&hierarchy, &missing_members);
    let tried = layout
        .as_ref()
        .map_err(Clone::clone)
        .and_then(|layout| Programs::try_hooks(layout).map_err(|error| one_line(&error)));
    let (maps, hooks) = match tried {
        Ok(hooks) => {
            let hooks = hooks
                .into_iter()
                .map(|(hook, tried)| (hook, tried.map_err(|error| one_line(&error))));
            (Ok(()), hooks.collect())
        }
        Err(why) => (Err(why), Vec::new()),
    };
    let ready = !hooks.is_empty() && hooks.iter().all(|(_, tried)| tried.is_ok());
    let record = match (ready, &layout, &own_cgroup) {
        (true, Ok(layout), Ok(cgroup)) => Some(record(layout, cgroup)),
        _ => None,
    };
    Sight {
        release: uname.release().to_string_lossy().into_owned(),
        machine: uname.machine().to_string_lossy().into_owned(),
        euid: rustix::process::geteuid().as_raw(),
        initial_user_namespace: namespace("/proc/self/ns/user")
            .map(|inode| inode == INITIAL_USER_NAMESPACE),
        capabilities: capabilities(),
        lockdown: lockdown(),
        missing_members,
        object: object::hash(),
        cgroups: cgroups(hierarchy.map(|hierarchy| hierarchy.mount().to_owned())),
        own_cgroup: own_cgroup.map(|_| ()),
        maps,
        hooks,
        record,
        initial_pid_namespace: namespace("/proc/self/ns/pid")
            .map(|inode| inode == INITIAL_PID_NAMESPACE),
        tracefs: mounts()
            .into_iter()
            .find(|mount| mount.kind == "tracefs")
            .map(|mount| mount.place),
        core_pattern: read(CORE_PATTERN).map(|text| printable(text.trim_end())),
        runtimes: runtimes(),
        agent: agent(socket).map_err(|error| printable(&format!("{error:#}"))),
    }
}

/// Asks the agent that listens at `socket`, if one does.
fn agent(socket: &Path) -> anyhow::Result<Option<Agent>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let Some(health) = runtime.block_on(query::health(socket))? else { return Ok(None) };
    Ok(Some(serde_json::from_str(&health)?))
}

fn missing_members() -> Result<Vec<usize>, String> {
    let bytes = fs::read(VMLINUX).map_err(|error| format!("cannot read {VMLINUX}: {error}"))?;
    let btf = Btf::parse(&bytes).map_err(|error| format!("cannot use {VMLINUX}: {error}"))?;
    let lacks = |paths: &[&str]| paths.iter().all(|path| btf.offset(path).is_none());
    Ok(MEMBERS
        .iter()
        .enumerate()
        .filter(|(_, member)| lacks(member.paths))
        .map(|(index, _)| index)
        .collect())
}

/// What the programs would be told; the reason where that cannot be said.
fn layout(
    hierarchy: &Result<Hierarchy, String>,
    members: &Result<Vec<usize>, String>,
) -> Result<Layout, String> {
    if object::bytes().is_none() {
        return Err("not tried: there is no eBPF object".to_owned());
    }
    if members.is_err() {
        return Err("not tried: there is no BTF".to_owned());
    }
    let hierarchy =
        hierarchy.as_ref().map_err(|_| "not tried: there is no cgroup hierarchy".to_owned())?;
    Layout::of_running_kernel(hierarchy, Options::default()).map_err(|error| one_line(&error))
}

/// A cgroup of our own; removed when dropped.
fn own_cgroup(hierarchy: &Hierarchy) -> Result<OwnCgroup, String> {
    let parent = hierarchy.own().map_err(|error| one_line(&error))?;
    let name = format!("tracer-doctor-{}", std::process::id());
    OwnCgroup::create(&parent, &name).map_err(|error| one_line(&error))
}

/// Whether the making of a cgroup is told by the programs. The tracepoint runs in mkdir itself, so its record is
/// there when that returns.
fn record(layout: &Layout, watched: &OwnCgroup) -> Result<bool, String> {
    let mut programs = Programs::attach(layout, None).map_err(|error| one_line(&error))?;
    programs.watch_root(watched.id()).map_err(|error| one_line(&error))?;
    drop(OwnCgroup::create(watched.path(), "life").map_err(|error| one_line(&error))?);
    let (mut deaths, _) = programs.take_ring("DEATHS").map_err(|error| one_line(&error))?;
    Ok(deaths.next().is_some())
}

fn capabilities() -> Result<u64, String> {
    let status = read("/proc/self/status")?;
    let mask = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.ok_or_else(|| "/proc/self/status has no CapEff".to_owned())
}

/// The mode in brackets of `none [integrity] confidentiality`.
fn lockdown() -> Result<String, String> {
    let securityfs = mounts().iter().any(|mount| mount.kind == "securityfs");
    if securityfs && !Path::new(LOCKDOWN).exists() {
        return Ok("not built into this kernel".to_owned());
    }
    let text = read(LOCKDOWN)?;
    let mode = text.split_once('[').and_then(|(_, rest)| rest.split_once(']'));
    mode.map(|(mode, _)| mode.to_owned())
        .ok_or_else(|| format!("{LOCKDOWN} says {:?}", text.trim()))
}

fn cgroups(chosen: Result<PathBuf, String>) -> Cgroups {
    let mounts = mounts();
    let unified =
        mounts.iter().find(|mount| mount.kind == "cgroup2").map(|mount| mount.place.clone());
    let of_version_1 = |option: &str| {
        let has = |mount: &&Mount| {
            mount.kind == "cgroup" && mount.options.split(',').any(|one| one == option)
        };
        mounts.iter().find(has).map(|mount| mount.place.clone())
    };
    let in_unified = unified.clone().filter(|place| {
        let controllers = fs::read_to_string(place.join("cgroup.controllers")).unwrap_or_default();
        controllers.split_whitespace().any(|controller| controller == "memory")
    });
    let legacy =
        mounts.iter().any(|mount| mount.kind == "cgroup" && !mount.options.contains("name="));
    Cgroups { memory: in_unified.or_else(|| of_version_1("memory")), unified, legacy, chosen }
}

/// One line of /proc/self/mounts.
struct Mount {
    kind: String,
    place: PathBuf,
    options: String,
}

fn mounts() -> Vec<Mount> {
    let text = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    text.lines()
        .filter_map(|line| {
            let mut fields = line.split(' ').skip(1);
            let (place, kind, options) = (fields.next()?, fields.next()?, fields.next()?);
            Some(Mount {
                kind: kind.to_owned(),
                place: PathBuf::from(place),
                options: options.to_owned(),
            })
        })
        .collect()
}

fn namespace(path: &str) -> Result<u64, String> {
    let stat = rustix::fs::stat(path)
        .map_err(|error| format!("cannot read {path}: {}", io::Error::from(error)))?;
    Ok(stat.st_ino)
}

fn runtimes() -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders: Vec<PathBuf> =
        std::env::split_paths(&path).chain(PROGRAM_FOLDERS.iter().map(PathBuf::from)).collect();
    let find = |name| folders.iter().map(|folder| folder.join(name)).find(|file| is_program(file));
    RUNTIMES.into_iter().filter_map(find).collect()
}

fn is_program(file: &Path) -> bool {
    file.is_absolute() && file.is_file()
}

fn read(path: &str) -> Result<String, String> {
    fs::read_to_string(path).map_err(|error| format!("cannot read {path}: {error}"))
}

/// Longest reason that is shown whole; a verifier's message may have thousands of lines, the last of which tell.
const REASON_MAX: usize = 500;

fn one_line(error: &dyn std::error::Error) -> String {
    let text = printable(&error.to_string());
    let characters: Vec<char> = text.chars().collect();
    if characters.len() <= REASON_MAX {
        return text;
    }
    let (front, back) =
        (&characters[..REASON_MAX / 2], &characters[characters.len() - REASON_MAX / 2..]);
    front.iter().chain(&[' ', '…', ' ']).chain(back).collect()
}

/// In one line, without anything that could steer a terminal.
fn printable(text: &str) -> String {
    let words: Vec<&str> = text.split(|c: char| c.is_whitespace() || c.is_control()).collect();
    words.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_looks_something_is_seen_and_nothing_panics() {
        let sight = look(Path::new("/nonexistent/tracer.sock"));
        assert!(!sight.release.is_empty());
        assert_eq!(sight.euid, rustix::process::geteuid().as_raw());
        assert!(sight.capabilities.is_ok());
        assert!(matches!(sight.agent, Ok(None)));
    }

    #[test]
    fn a_long_reason_keeps_its_beginning_and_its_end() {
        #[derive(Debug, thiserror::Error)]
        #[error("{0}")]
        struct Long(String);
        let reason = one_line(&Long(format!(
            "cannot load x:\n{}\nR1 invalid\x1b[2J",
            "line\n".repeat(1000)
        )));
        assert!(reason.starts_with("cannot load x: line line"), "{reason}");
        assert!(reason.ends_with("R1 invalid [2J"), "{reason}");
        assert!(reason.chars().count() <= REASON_MAX + 3);
        assert!(!reason.contains(['\n', '\x1b']));
    }
}

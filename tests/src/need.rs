//! What a death needs of the machine, and whether it is here.

use std::path::{Path, PathBuf};

use rustix::process::Resource;

use crate::cgroup::{self, Controller};

/// Set in a throw-away virtual machine, the only place where the whole node may run out of memory.
pub const THROW_AWAY_MACHINE: &str = "TRACER_TEST_THROW_AWAY_MACHINE";

/// Set on a machine that has no more than the deaths' own programs.
pub const SMALL_MACHINE: &str = "TRACER_TEST_SMALL_MACHINE";

/// `required`: a privileged test that cannot run is a failure, unless only a virtual machine of our own could run it.
pub const PRIVILEGED: &str = "TRACER_TEST_PRIVILEGED";

/// Whether a test can run here; else says why not, or panics where tests are required.
pub fn met(test: &str, needs: &[Need]) -> bool {
    let Some((need, why)) = needs.iter().find_map(|need| Some((need, need.lack()?))) else {
        return true;
    };
    assert!(!required() || need.may_be_missing(), "{test} cannot run: {why}");
    eprintln!("{test} skipped: {why}");
    false
}

/// Whether a test that cannot run is a failure.
pub fn required() -> bool {
    std::env::var_os(PRIVILEGED).is_some_and(|value| value == "required")
}

/// Something that must be there to provoke a death.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// Root's uid; capabilities are as the kernel grants them.
    Root,
    /// A memory controller, of cgroup v1 or v2.
    MemoryCgroup,
    /// A pids controller, of cgroup v1 or v2.
    PidsCgroup,
    /// `memory.oom.group`: the memory controller of cgroup v2.
    OomGroup,
    /// A whole machine that may run out of memory.
    ThrowAwayMachine,
    /// A program in PATH.
    Tool(&'static str),
    /// A program in PATH with a library of its own beside it, which a small machine need not have.
    Runtime(&'static str),
    /// Core dumps to a file in the working folder.
    CoreFile,
    /// IPv6 on the loopback.
    Ipv6,
    /// File systems in user space.
    Fuse,
}

impl Need {
    /// Why it is missing, if it is.
    pub fn lack(self) -> Option<String> {
        match self {
            Need::Root => {
                (!rustix::process::geteuid().is_root()).then(|| "not run as root".to_owned())
            }
            Need::MemoryCgroup => cgroup::base(Controller::Memory).err().map(|e| format!("{e:#}")),
            Need::PidsCgroup => cgroup::base(Controller::Pids).err().map(|e| format!("{e:#}")),
            Need::OomGroup => match cgroup::base(Controller::Memory) {
                Ok(base) if base.unified => None,
                Ok(_) => Some("the memory controller is on cgroup v1".to_owned()),
                Err(error) => Some(format!("{error:#}")),
            },
            Need::ThrowAwayMachine => std::env::var_os(THROW_AWAY_MACHINE)
                .is_none()
                .then(|| format!("{THROW_AWAY_MACHINE} is not set: this is no throw-away machine")),
            Need::Tool(name) | Need::Runtime(name) => {
                find(name).is_none().then(|| format!("{name} is not in PATH"))
            }
            Need::CoreFile => core_lack(),
            Need::Ipv6 => (!Path::new("/proc/net/if_inet6").exists())
                .then(|| "this kernel has no IPv6".to_owned()),
            Need::Fuse => std::fs::OpenOptions::new()
                .read(true)
                .write(true)
                .open("/dev/fuse")
                .err()
                .map(|error| format!("/dev/fuse: {error}")),
        }
    }

    /// Whether only a virtual machine of our own can be expected to have it.
    pub fn only_in_a_virtual_machine(self) -> bool {
        matches!(self, Need::OomGroup | Need::ThrowAwayMachine)
    }

    /// Whether it may be missing where tests are required: what only a virtual machine of our own has, and what that one
    /// lacks, since it is small.
    pub fn may_be_missing(self) -> bool {
        let small = std::env::var_os(SMALL_MACHINE).is_some();
        let too_large = small && matches!(self, Need::Runtime(_) | Need::Fuse);
        self.only_in_a_virtual_machine() || too_large
    }
}

/// Where PATH has a program.
pub(crate) fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file())
}

fn core_lack() -> Option<String> {
    let pattern = std::fs::read_to_string("/proc/sys/kernel/core_pattern").unwrap_or_default();
    if pattern.trim() != "core" {
        return Some(format!("kernel.core_pattern is {:?}, not \"core\"", pattern.trim()));
    }
    (rustix::process::getrlimit(Resource::Core).maximum == Some(0))
        .then(|| "the hard limit of core dumps is 0".to_owned())
}

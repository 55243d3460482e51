//! Memory and pids cgroups from a process's own up to the root, in cgroup v1, v2 and both. It must not
//! know what a limit means for a verdict.

use std::{
    ffi::OsStr,
    fs,
    os::unix::{ffi::OsStrExt, fs::MetadataExt},
    path::{Path, PathBuf},
};

use super::{
    model::{MemoryCgroup, PidsCgroup},
    mounts::unescape,
};
use crate::linux::text::Text;

/// One mounted cgroup hierarchy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hierarchy {
    pub mount_point: PathBuf,
    /// What of the hierarchy is mounted, as the agent's cgroup namespace names it.
    pub root: Vec<u8>,
    /// Names of v1 controllers; `None` for v2.
    pub controllers: Option<Vec<Vec<u8>>>,
}

/// Where a process belongs: folders below the mount points of the agent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Membership {
    memory: Option<Place>,
    pids: Option<Place>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Place {
    mount_point: PathBuf,
    unified: bool,
    path: Vec<u8>,
}

/// Deeper trees are cut; Kubernetes needs six levels.
const LEVELS_MAX: usize = 32;
/// PAGE_COUNTER_MAX in bytes on 64 bits, rounded to pages: what v1 shows for no limit.
const V1_UNLIMITED: u64 = 0x7fff_ffff_ffff_f000;

/// The cgroup mounts of a /proc/PID/mountinfo.
pub fn parse_hierarchies(mountinfo: &[u8]) -> Vec<Hierarchy> {
    mountinfo.split(|byte| *byte == b'\n').filter_map(parse_hierarchy).collect()
}

fn parse_hierarchy(line: &[u8]) -> Option<Hierarchy> {
    let fields: Vec<&[u8]> = line.split(|byte| *byte == b' ').collect();
    let after = fields.iter().position(|field| *field == b"-")?;
    let controllers = match *fields.get(after + 1)? {
        b"cgroup2" => None,
        b"cgroup" => {
            let options = fields.get(after + 3)?.split(|byte| *byte == b',');
            Some(options.map(<[u8]>::to_vec).collect())
        }
        _ => return None,
    };
    Some(Hierarchy {
        mount_point: PathBuf::from(OsStr::from_bytes(&unescape(fields.get(4)?))),
        root: unescape(fields.get(3)?),
        controllers,
    })
}

impl Membership {
    /// From the text of /proc/PID/cgroup. With a controller in v1 that counts, else v2.
    pub fn parse(cgroup: &[u8], hierarchies: &[Hierarchy]) -> Self {
        let place = |controller: &[u8]| {
            place(cgroup, hierarchies, Some(controller))
                .or_else(|| place(cgroup, hierarchies, None))
        };
        Self { memory: place(b"memory"), pids: place(b"pids") }
    }

    /// Memory cgroups that exist now, the process's own first.
    pub fn memory(&self) -> Vec<MemoryCgroup> {
        let Some(place) = &self.memory else { return Vec::new() };
        place.levels(|folder, path| MemoryCgroup::read(folder, path, place.unified))
    }

    /// Pids cgroups that exist now, the process's own first; `refused` counts since they were made.
    pub fn pids(&self) -> Vec<PidsCgroup> {
        self.pids.iter().flat_map(|place| place.levels(PidsCgroup::read)).collect()
    }
}

/// `controller` `None` asks for the v2 hierarchy.
fn place(cgroup: &[u8], hierarchies: &[Hierarchy], controller: Option<&[u8]>) -> Option<Place> {
    let path = cgroup.split(|byte| *byte == b'\n').find_map(|line| {
        let mut fields = line.splitn(3, |byte| *byte == b':');
        let (id, controllers, path) = (fields.next()?, fields.next()?, fields.next()?);
        let is_wanted = match controller {
            Some(name) => controllers.split(|byte| *byte == b',').any(|known| known == name),
            None => id == b"0" && controllers.is_empty(),
        };
        is_wanted.then_some(path)
    })?;
    hierarchies.iter().find_map(|hierarchy| {
        let fits = match (&hierarchy.controllers, controller) {
            (Some(known), Some(name)) => known.iter().any(|known| known == name),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        let path = below(&hierarchy.root, path).filter(|_| fits)?;
        Some(Place {
            mount_point: hierarchy.mount_point.clone(),
            unified: controller.is_none(),
            path,
        })
    })
}

/// The part of a cgroup's path below what is mounted. Both may begin with `/..` for what lies above the
/// agent's cgroup namespace.
fn below(root: &[u8], path: &[u8]) -> Option<Vec<u8>> {
    let root = if root == b"/" { &[][..] } else { root };
    let rest = path.strip_prefix(root)?;
    let is_whole = rest.is_empty() || rest.starts_with(b"/");
    let climbs = rest.split(|byte| *byte == b'/').any(|name| name == b"..");
    (is_whole && !climbs).then(|| rest.to_vec())
}

impl Place {
    /// Reads each level from the process's own up to the root.
    fn levels<T>(&self, read: impl Fn(&Path, Text) -> Option<T>) -> Vec<T> {
        let mut levels = Vec::new();
        let mut path = self.path.strip_suffix(b"/").unwrap_or(&self.path);
        for _ in 0..LEVELS_MAX {
            let below = path.strip_prefix(b"/").unwrap_or(path);
            let folder = self.mount_point.join(OsStr::from_bytes(below));
            let shown = if path.is_empty() { Text::from("/") } else { Text(path.to_vec()) };
            levels.extend(read(&folder, shown));
            match path.iter().rposition(|byte| *byte == b'/') {
                Some(at) => path = &path[..at],
                None => break,
            }
        }
        levels
    }
}

impl MemoryCgroup {
    /// `None` if the folder is gone or has no memory controller. The root of v2 has an id only.
    fn read(folder: &Path, path: Text, unified: bool) -> Option<Self> {
        let id = fs::metadata(folder).ok()?.ino();
        let (limit, usage, failures) = if unified {
            let failures = fs::read(folder.join("memory.events")).ok();
            (
                number(folder, "memory.max"),
                number(folder, "memory.current"),
                failures.and_then(|events| keyed(&events, "max")),
            )
        } else {
            (
                number(folder, "memory.limit_in_bytes").filter(|limit| *limit < V1_UNLIMITED),
                number(folder, "memory.usage_in_bytes"),
                number(folder, "memory.failcnt"),
            )
        };
        let is_root = path == Text::from("/");
        (usage.is_some() || is_root).then_some(Self {
            id,
            path,
            limit_bytes: limit,
            usage_bytes: usage,
            failures,
        })
    }
}

impl PidsCgroup {
    /// `None` if the folder is gone or has no pids controller; the root has none.
    fn read(folder: &Path, path: Text) -> Option<Self> {
        let current = number(folder, "pids.current")?;
        let events = fs::read(folder.join("pids.events")).ok();
        Some(Self {
            path,
            max: number(folder, "pids.max"),
            current: Some(current),
            refused: events.and_then(|events| keyed(&events, "max")),
        })
    }
}

/// `None` also for `max`: no limit.
fn number(folder: &Path, file: &str) -> Option<u64> {
    fs::read_to_string(folder.join(file)).ok()?.trim().parse().ok()
}

/// The number behind a name, as in `memory.events`.
fn keyed(text: &[u8], name: &str) -> Option<u64> {
    let text = std::str::from_utf8(text).ok()?;
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HYBRID: &[u8] = b"\
35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
39 31 0:36 / /sys/fs/cgroup/pids rw,relatime - cgroup cgroup rw,pids
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
";
    const UNIFIED: &[u8] = b"30 23 0:26 /../.. /sys/fs/cgroup ro shared:4 - cgroup2 cgroup rw\n";

    fn folder(memory: &Membership) -> String {
        let place = memory.memory.as_ref().unwrap();
        format!("{}{}", place.mount_point.display(), Text(place.path.clone()))
    }

    #[test]
    fn a_v1_controller_is_preferred_to_v2() {
        let cgroup = b"8:pids:/pod/a\n4:cpu,memory:/pod/a\n0::/other\n";
        let place = Membership::parse(cgroup, &parse_hierarchies(HYBRID));
        assert_eq!(folder(&place), "/sys/fs/cgroup/memory/pod/a");
        let place = Membership::parse(b"8:pids:/pod/a\n0::/other\n", &parse_hierarchies(HYBRID));
        assert_eq!(folder(&place), "/sys/fs/cgroup/unified/other");
        assert!(!place.pids.unwrap().unified);
    }

    #[test]
    fn paths_above_the_cgroup_namespace_of_the_agent_are_found() {
        let hierarchies = parse_hierarchies(UNIFIED);
        let place = Membership::parse(b"0::/../../kubepods/pod1/c\n", &hierarchies);
        assert_eq!(folder(&place), "/sys/fs/cgroup/kubepods/pod1/c");
        assert_eq!(Membership::parse(b"0::/elsewhere\n", &hierarchies), Membership::default());
        assert_eq!(below(b"/", b"/../x"), None);
        assert_eq!(below(b"/docker/a", b"/docker/ab"), None);
    }

    fn write(folder: &Path, file: &str, text: &str) {
        fs::create_dir_all(folder).unwrap();
        fs::write(folder.join(file), text).unwrap();
    }

    fn membership(dir: &Path, unified: bool) -> Membership {
        let path = b"/pod/c".to_vec();
        let place = Some(Place { mount_point: dir.to_path_buf(), unified, path });
        Membership { memory: place.clone(), pids: place }
    }

    #[test]
    fn every_level_of_v2_is_read_up_to_the_root() {
        let dir = tempfile::tempdir().unwrap();
        let (pod, container) = (dir.path().join("pod"), dir.path().join("pod/c"));
        write(&container, "memory.max", "1048576\n");
        write(&container, "memory.current", "4096\n");
        write(&container, "memory.events", "low 0\nhigh 0\nmax 7\noom 1\n");
        write(&pod, "memory.max", "max\n");
        write(&pod, "memory.current", "8192\n");
        write(&container, "pids.max", "16\n");
        write(&container, "pids.current", "3\n");
        write(&container, "pids.events", "max 5\n");
        let membership = membership(dir.path(), true);
        let memory = membership.memory();
        assert_eq!(memory.len(), 3);
        assert_eq!(memory[0].id, fs::metadata(&container).unwrap().ino());
        assert_eq!(memory[0].path, Text::from("/pod/c"));
        assert_eq!((memory[0].limit_bytes, memory[0].failures), (Some(1 << 20), Some(7)));
        assert_eq!((memory[1].limit_bytes, memory[1].usage_bytes), (None, Some(8192)));
        assert_eq!(memory[2].path, Text::from("/"));
        let pids = membership.pids();
        assert_eq!(pids.len(), 1);
        assert_eq!((pids[0].max, pids[0].refused), (Some(16), Some(5)));
    }

    #[test]
    fn no_limit_of_v1_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let container = dir.path().join("pod/c");
        write(&container, "memory.limit_in_bytes", "9223372036854771712\n");
        write(&container, "memory.usage_in_bytes", "4096\n");
        write(&container, "memory.failcnt", "2\n");
        let memory = membership(dir.path(), false).memory();
        assert_eq!((memory[0].limit_bytes, memory[0].failures), (None, Some(2)));
    }

    #[test]
    fn a_cgroup_that_is_gone_is_left_out() {
        let dir = tempfile::tempdir().unwrap();
        let gone = membership(dir.path(), true);
        assert_eq!(gone.memory().len(), 1);
        assert!(gone.pids().is_empty());
    }

    #[test]
    fn the_cgroups_of_this_process_are_read() {
        let mountinfo = fs::read("/proc/self/mountinfo").unwrap();
        let cgroup = fs::read("/proc/self/cgroup").unwrap();
        let membership = Membership::parse(&cgroup, &parse_hierarchies(&mountinfo));
        if membership.memory.is_some() {
            assert!(!membership.memory().is_empty());
        } else {
            println!("skipped: no memory hierarchy is visible here");
        }
    }
}

//! What a process holds in the kernel: programs, maps and links, by their ids, which are never given twice. It must not
//! know what they are for.

use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::process::Pid;
use tests::patience::eventually;

/// The kernel frees them a moment after their last user has gone.
const FREED_WITHIN: Duration = Duration::from_secs(10);

/// Ids, as /proc/PID/fdinfo has them.
#[derive(Debug)]
pub struct Held {
    programs: BTreeSet<u32>,
    maps: BTreeSet<u32>,
    links: BTreeSet<u32>,
}

impl Held {
    /// What a living process holds; that it holds nothing is an error.
    pub fn by(pid: Pid) -> Result<Self> {
        let folder = format!("/proc/{}/fdinfo", pid.as_raw_nonzero());
        let mut held =
            Self { programs: BTreeSet::new(), maps: BTreeSet::new(), links: BTreeSet::new() };
        for entry in fs::read_dir(folder)? {
            // It may have been closed since.
            let text = fs::read_to_string(entry?.path()).unwrap_or_default();
            for (name, ids) in [
                ("prog_id:", &mut held.programs),
                ("map_id:", &mut held.maps),
                ("link_id:", &mut held.links),
            ] {
                let id = text.lines().find_map(|line| line.strip_prefix(name));
                ids.extend(id.map(|id| id.trim().parse::<u32>()).transpose()?);
            }
        }
        ensure!(!held.programs.is_empty() && !held.maps.is_empty(), "it holds nothing: {held:?}");
        Ok(held)
    }

    /// Waits until the kernel has none of it any more.
    pub fn gone(&self) -> Result<()> {
        let mut left = String::new();
        let gone = eventually("the end of programs, maps and links", FREED_WITHIN, || {
            let programs = ids(aya::programs::loaded_programs(), |it| it.id(), &self.programs)?;
            let maps = ids(aya::maps::loaded_maps(), |it| it.id(), &self.maps)?;
            let links = ids(aya::programs::loaded_links(), |it| it.id(), &self.links)?;
            left = format!("left are programs {programs:?}, maps {maps:?}, links {links:?}");
            Ok((programs.is_empty() && maps.is_empty() && links.is_empty()).then_some(()))
        });
        gone.with_context(|| left.clone())
    }
}

/// Those of `all` that are among `ours`. What goes while it is looked at is no error: it has gone.
fn ids<T, E>(
    all: impl Iterator<Item = Result<T, E>>,
    id: impl Fn(&T) -> u32,
    ours: &BTreeSet<u32>,
) -> Result<Vec<u32>> {
    Ok(all.flatten().map(|one| id(&one)).filter(|id| ours.contains(id)).collect())
}

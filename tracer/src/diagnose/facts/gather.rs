//! Gathers facts: at once where they would be gone later, the rest at the end of a life. It must not
//! know causes; it only decides what is worth a look.

use std::{
    collections::{HashMap, VecDeque},
    path::Path,
    time::Duration,
};

use super::{
    cgroups::{self, Hierarchy},
    executable,
    held::Held,
    life::Life,
    loader_object::Start,
    loader_search, locks, machine,
    model::{Executable, Facts, LoaderReport, LockFact, Machine, WatchFact},
    name_servers, paths, processor, programs,
    regular::{Budget, RegularFile},
    root::Root,
    watches,
};
use crate::{
    capture::event::{Event, Object, ProcessId, What},
    diagnose::timeline::Timeline,
    linux::{errno::Errno, text::Text},
};

/// One for each agent. Holds descriptors of each life from its first exec until [`Gatherer::forget`].
#[derive(Debug)]
pub struct Gatherer {
    lives: HashMap<u64, Life>,
    /// Cgroup ids in the order of their first sight.
    order: VecDeque<u64>,
    machine: Machine,
    hierarchies: Vec<Hierarchy>,
}

/// More lives at once than a node has containers; the oldest gives way.
const LIVES_MAX: usize = 1024;
/// What a verdict may cost: bytes read from the container and time.
const FINISH_BYTES: u64 = 64 << 20;
const FINISH_TIME: Duration = Duration::from_millis(1500);
const RESOLV_CONF_MAX: usize = 16 << 10;
const GONE: &str = "root of the container: it was gone before it could be held";

impl Default for Gatherer {
    fn default() -> Self {
        Self::new()
    }
}

impl Gatherer {
    /// Looks at the machine once.
    pub fn new() -> Self {
        let mountinfo = std::fs::read("/proc/self/mountinfo").unwrap_or_default();
        Self {
            lives: HashMap::new(),
            order: VecDeque::new(),
            machine: machine::gather(),
            hierarchies: cgroups::parse_hierarchies(&mountinfo),
        }
    }

    /// To be called for every event of a tracked container as it arrives: what it points at may be gone
    /// a moment later. Costs nothing for most events, some 100 µs for a first exec or a failing one, and
    /// at most 200 ms where processes must be searched for who holds a port.
    pub fn observe(&mut self, event: &Event) {
        match &event.what {
            What::Exec(exec) => {
                let (life, hierarchies) = self.life(event.cgroup);
                life.exec(event, exec, hierarchies);
            }
            What::ExecFailed(failed) => {
                let arch = self.machine.arch.clone();
                let (life, hierarchies) = self.life(event.cgroup);
                life.exec_failed(event, failed, hierarchies, &arch);
            }
            What::Bind(bind) => {
                if bind.errno == Some(Errno::EADDRINUSE) {
                    self.life(event.cgroup).0.bind_refused(event, bind);
                }
            }
            What::Signal(signal) => self.life(event.cgroup).0.signal(event, signal),
            What::Oom(_) => {
                let (life, hierarchies) = self.life(event.cgroup);
                life.read_cgroups(event, hierarchies);
            }
            What::Exit(_) => {
                if event.process.root {
                    let (life, hierarchies) = self.life(event.cgroup);
                    life.read_cgroups(event, hierarchies);
                }
            }
            What::Found(_) => {
                let (life, hierarchies) = self.life(event.cgroup);
                life.found(event, hierarchies);
            }
            // crun's init is born outside and moved in.
            What::Fork(_) | What::Cgroup(_) => self.life(event.cgroup).0.forked(&event.process),
            What::Threads(_)
            | What::Call(_)
            | What::CallsForgotten(_)
            | What::Words(_)
            | What::Lost(_) => {}
        }
    }

    /// Lets a folder stand for the root of a life whose entrypoint was never executed: the root file
    /// system of the runtime's bundle.
    ///
    /// # Errors
    /// The folder cannot be opened.
    pub fn hold_folder(&mut self, cgroup: u64, folder: &Path) -> std::io::Result<()> {
        let held = Held::of_folder(Root::open(folder)?);
        let (life, _) = self.life(cgroup);
        if life.held.is_empty() {
            life.held.push(held);
        }
        Ok(())
    }

    /// Everything that is known about a life. What is held stays held, since a process of a life may end
    /// badly before the life does. Reads within bounds for at most two seconds.
    pub fn finish(&mut self, timeline: &Timeline) -> Facts {
        let machine = Machine { boot_offset_ns: machine::boot_offset_ns(), ..self.machine.clone() };
        let mut facts = Facts { machine, ..Facts::default() };
        let cgroup = timeline.entries.first().map(|event| event.cgroup);
        let Some(life) = cgroup.and_then(|cgroup| self.lives.get_mut(&cgroup)) else {
            facts.missing.push(GONE.to_owned());
            return facts;
        };
        life.hold_inits();
        let life = &*life;
        facts.executables = life.executables.clone();
        facts.ports = life.ports.clone();
        facts.senders = life.senders.clone();
        facts.listeners = life.listeners.clone();
        facts.memory = life.memory();
        facts.pids = life.pids();
        if life.held.is_empty() {
            facts.missing.push(GONE.to_owned());
            return facts;
        }
        Ending::new(timeline, life).look(&mut facts);
        facts
    }

    /// Closes what is held for a life, after its verdict.
    pub fn forget(&mut self, cgroup: u64) {
        self.lives.remove(&cgroup);
        self.order.retain(|known| *known != cgroup);
    }

    fn life(&mut self, cgroup: u64) -> (&mut Life, &[Hierarchy]) {
        if !self.lives.contains_key(&cgroup) {
            if self.lives.len() >= LIVES_MAX
                && let Some(oldest) = self.order.pop_front()
            {
                tracing::warn!(
                    cgroup = oldest,
                    "too many containers: facts of the oldest are dropped"
                );
                self.lives.remove(&oldest);
            }
            self.order.push_back(cgroup);
        }
        (self.lives.entry(cgroup).or_insert_with(Life::new), &self.hierarchies)
    }
}

/// The looks that are taken at the end of a life, in the roots that are held.
struct Ending<'a> {
    timeline: &'a Timeline,
    life: &'a Life,
    cwds: HashMap<ProcessId, Text>,
    budget: Budget,
}

impl<'a> Ending<'a> {
    fn new(timeline: &'a Timeline, life: &'a Life) -> Self {
        let cwds = paths::working_directories(&timeline.entries);
        Self { timeline, life, cwds, budget: Budget::new(FINISH_BYTES, FINISH_TIME) }
    }

    fn look(&self, facts: &mut Facts) {
        if let Some(held) = self.held_of(self.timeline.main) {
            facts.mounts = held.mounts.clone();
        }
        facts.executables.extend(self.main_executable(&facts.machine.arch));
        self.look_at_paths(facts);
        self.look_at_loader(facts);
        if let Some(file) = self.resolv_conf() {
            facts.name_servers = name_servers::parse(&file);
            facts.search_domains = name_servers::search_domains(&file);
        }
        facts.locks = self.locks();
        facts.watches = self.watches();
        if self.budget.is_used_up() {
            facts.missing.push("not everything was looked at: it took too long".to_owned());
        }
    }

    fn main_executable(&self, arch: &str) -> Option<Executable> {
        let main = self.timeline.main;
        let exec = programs::last_exec(self.timeline, main)?;
        let held = self.held_of(main)?;
        let cwd = self.cwd_of(main, held);
        Some(executable::describe(&held.root, cwd, &exec.path, main.pid, arch, &self.budget))
    }

    fn look_at_paths(&self, facts: &mut Facts) {
        for blamed in paths::worth_blaming(&self.timeline.entries) {
            if self.budget.is_used_up() {
                break;
            }
            let Some(held) = self.held_of(blamed.process) else { continue };
            let cwd = blamed.cwd.as_ref().unwrap_or(&held.cwd);
            let fact = paths::look_up(&held.root, &held.mounts, cwd, &blamed.path);
            if !facts.paths.contains(&fact) {
                facts.paths.push(fact);
            }
        }
    }

    /// The first program that lacks something, else the main one.
    fn look_at_loader(&self, facts: &mut Facts) {
        let mut complete: Option<LoaderReport> = None;
        for (process, exec) in programs::maybe_unloadable(self.timeline) {
            let Some(held) = self.held_of(process) else { continue };
            let start = Start {
                root: &held.root,
                cwd: self.cwd_of(process, held),
                library_path: held.library_path.as_ref().and_then(Option::as_ref),
                budget: &self.budget,
            };
            match loader_search::examine(start, &exec.path) {
                Ok(Some(report)) if lacks_something(&report, &facts.machine) => {
                    if held.library_path.is_none() {
                        facts.missing.push("LD_LIBRARY_PATH of the main process".to_owned());
                    }
                    facts.loader = Some(report);
                    return;
                }
                Ok(Some(report)) => {
                    complete.get_or_insert(report);
                }
                Ok(None) => {}
                Err(reason) => facts.missing.push(reason),
            }
        }
        facts.loader = complete;
    }

    /// What tells a process that sent DNS messages of its name servers.
    fn resolv_conf(&self) -> Option<Vec<u8>> {
        let asks = |event: &&Event| matches!(&event.what, What::Call(call) if matches!(call.object, Object::Dns(_)));
        let asking = self.timeline.entries.iter().rfind(asks)?;
        let held = self.held_of(asking.process.id)?;
        let found = held.root.find(&held.cwd, &Text::from("/etc/resolv.conf"));
        let file = RegularFile::open(&found, &self.budget).ok()?;
        Some(file.beginning(RESOLV_CONF_MAX))
    }

    fn locks(&self) -> Vec<LockFact> {
        let wanted = locks::wanted(&self.timeline.entries).into_iter();
        wanted.filter_map(|(id, path)| locks::look_up(&self.held_of(id)?.root, path)).collect()
    }

    /// Only where a watch was refused: all processes of the user are looked at.
    fn watches(&self) -> Option<WatchFact> {
        let refused = |event: &&Event| {
            event.call().is_some_and(|call| {
                call.name.starts_with("inotify")
                    && matches!(call.errno, Errno::EMFILE | Errno::ENOSPC)
            })
        };
        let event = self.timeline.entries.iter().rfind(refused)?;
        Some(watches::of_user(event.process.uid))
    }

    fn held_of(&self, process: ProcessId) -> Option<&'a Held> {
        let mount_ns = |process| Some(programs::last_exec(self.timeline, process)?.mount_ns);
        self.life.held_for(mount_ns(process).or_else(|| mount_ns(self.timeline.main)))
    }

    fn cwd_of<'s>(&'s self, process: ProcessId, held: &'s Held) -> &'s Text {
        self.cwds.get(&process).unwrap_or(&held.cwd)
    }
}

fn lacks_something(report: &LoaderReport, machine: &Machine) -> bool {
    !(report.missing.is_empty() && report.versions.is_empty() && report.symbols.is_empty())
        || processor::first_unfit(report, machine).is_some()
}

#[cfg(test)]
#[path = "gather_tests.rs"]
mod tests;

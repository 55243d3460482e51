//! Loads and attaches the eBPF programs. The one place that knows aya.

use std::{io, path::Path, time::Duration};

use aya::{
    Btf, Ebpf, EbpfLoader, VerifierLogLevel,
    maps::{Array, HashMap, Map, MapData, MapError, RingBuf},
    programs::{
        BtfTracePoint, Iter, RawTracePoint,
        links::{FdLink, PinnedLink},
        raw_trace_point::RawTracePointLinkId,
        tp_btf::BtfTracePointLinkId,
    },
};
use thiserror::Error;
use tracer_ebpf::abi::state::{Container, LostKey, Process, UNCOUNTED, container_flag};
use zerocopy::{FromBytes, FromZeros, IntoBytes};

use super::{
    layout::Layout,
    object,
    pins::{PinError, Pins},
};

/// Why the programs do not run.
#[derive(Debug, Error)]
pub enum LoadError {
    #[error(
        "this binary was built without its eBPF object: run `cargo xtask build-ebpf`, then build it again"
    )]
    Stub,
    #[error("cannot load the eBPF object: {}", chain(.0))]
    Object(#[source] aya::EbpfError),
    #[error("cannot read the kernel's BTF: {0}: see `tracer doctor`")]
    Btf(#[from] aya::BtfError),
    #[error("cannot {action} {program}: {}: see `tracer doctor`", chain(.source))]
    Program { action: &'static str, program: &'static str, source: aya::programs::ProgramError },
    #[error("the eBPF object has no {0}: it is not the one that belongs to this binary")]
    Missing(&'static str),
    #[error("cannot use map {map}: {}", chain(.source))]
    Map { map: &'static str, source: aya::maps::MapError },
    #[error(transparent)]
    Pin(#[from] PinError),
    #[error("cannot read the inventory of running processes: {0}")]
    Inventory(io::Error),
}

/// An error with its causes, in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}

/// Programs on BTF tracepoints: name, which is also the tracepoint's.
pub const HOOKS: [&str; 7] = [
    "cgroup_mkdir",
    "cgroup_rmdir",
    "cgroup_attach_task",
    "sched_process_fork",
    "sched_process_exec",
    "sched_process_exit",
    "signal_generate",
];
/// On a raw tracepoint: its argument changed with 6.8.
pub const OOM_HOOK: &str = "mark_victim";
/// The syscall-level recorder, attached last.
pub const RECORDER: &str = "sys_exit";

/// Maps whose contents an agent that comes later takes over. The others are frozen, scratch, or templates: of these each
/// agent has its own, though the programs that an earlier one left go on with theirs.
const MAPS: [&str; 13] = [
    "DEATHS",
    "EVENTS",
    "ROOTS",
    "TRACKED",
    "PROCESSES",
    "CALLS",
    "TAILS",
    "HEADS",
    "USED",
    "VICTIMS",
    "LOST",
    "CURIOUS",
    "ARMED",
];
/// How a map takes an entry (include/uapi/linux/bpf.h): in any case, or only one that is there already.
const BPF_ANY: u64 = 0;
const BPF_EXIST: u64 = 2;
/// Iterates over the tasks that run already.
pub const INVENTORY: &str = "inventory";

/// A hook, and whether the kernel takes it.
pub type Tried = (&'static str, Result<(), LoadError>);

/// The loaded programs; they are detached when this is dropped.
#[derive(Debug)]
pub struct Programs {
    ebpf: Ebpf,
    /// The recorder's link, while it is on.
    recorder: Option<Recorder>,
    pins: Option<Pins>,
}

/// How the recorder's link is held.
#[derive(Debug)]
enum Recorder {
    /// As long as this process lives.
    Held(#[expect(dead_code, reason = "it is closed by being dropped")] FdLink),
    /// By its pin too, so that it stays on whatever becomes of this process.
    Pinned(PinnedLink),
}

impl Programs {
    /// Loads all programs and attaches them, the recorder included.
    ///
    /// # Errors
    /// The binary is a stub, or the kernel refuses a program; the error names it and the reason.
    pub fn attach(layout: &Layout, level: Option<tracing::Level>) -> Result<Self, LoadError> {
        let mut programs = Self::load(layout, level)?;
        let btf = Btf::from_sys_fs()?;
        for hook in HOOKS {
            programs.attach_btf(hook, &btf)?;
        }
        programs.attach_oom()?;
        programs.load_btf(RECORDER, &btf)?;
        programs.arm()?;
        Ok(programs)
    }

    /// Loads all programs and attaches them, but for the recorder, which is only loaded. With `pins` the maps and links
    /// outlive this process; where an earlier agent left them, its links stay and its maps are taken over, with all that
    /// was recorded meanwhile, and the recorder is on if it was left on. Returns whether that was so.
    ///
    /// # Errors
    /// As [`Self::attach`], or pins cannot be made.
    pub fn attach_for_agent(
        layout: &Layout,
        level: Option<tracing::Level>,
        pins: Option<&Pins>,
    ) -> Result<(Self, bool), LoadError> {
        let taken_over = pins.is_some_and(Pins::are_whole);
        if let Some(pins) = pins.filter(|_| !taken_over) {
            pins.begin()?;
        }
        let mut programs = Self::load_with(layout, level, pins.map(Pins::maps))?;
        let btf = Btf::from_sys_fs()?;
        programs.load_btf(RECORDER, &btf)?;
        programs.load_inventory(&btf)?;
        programs.recorder = match pins {
            Some(pins) => pins.pinned(RECORDER)?.map(Recorder::Pinned),
            None => None,
        };
        programs.pins = pins.cloned();
        programs.set_armed(programs.is_armed())?;
        if taken_over {
            return Ok((programs, true));
        }
        for hook in HOOKS {
            let id = programs.attach_btf(hook, &btf)?;
            if let Some(pins) = pins {
                pins.pin(programs.take_btf_link(hook, id)?, hook)?;
            }
        }
        let id = programs.attach_oom()?;
        if let Some(pins) = pins {
            pins.pin(programs.take_oom_link(id)?, OOM_HOOK)?;
            pins.finish()?;
        }
        Ok((programs, false))
    }

    /// Attaches the recorder, and pins it where links are pinned: of what dies after a kill of this process the next is told
    /// all. Does nothing where it is on.
    ///
    /// # Errors
    /// The kernel refuses it, or its pin.
    pub fn arm(&mut self) -> Result<(), LoadError> {
        if self.recorder.is_some() {
            return Ok(());
        }
        let id = self.btf_program(RECORDER)?.attach().map_err(failed("attach", RECORDER))?;
        let link = self.take_btf_link(RECORDER, id)?;
        self.recorder = Some(match &self.pins {
            Some(pins) => Recorder::Pinned(pins.pin(link, RECORDER)?),
            None => Recorder::Held(link),
        });
        // After it: a process that is told to be recorded is.
        self.set_armed(true)
    }

    /// Detaches the recorder. Does nothing where it is off.
    ///
    /// # Errors
    /// The kernel refuses it.
    pub fn disarm(&mut self) -> Result<(), LoadError> {
        if self.recorder.is_some() {
            self.set_armed(false)?;
        }
        match self.recorder.take() {
            Some(Recorder::Pinned(link)) => Pins::unpin(link, RECORDER).map_err(LoadError::Pin),
            Some(Recorder::Held(_)) | None => Ok(()),
        }
    }

    /// True while the recorder is attached.
    pub fn is_armed(&self) -> bool {
        self.recorder.is_some()
    }

    /// Tells the other programs whether the recorder is on, so that each process knows whether it was from its birth.
    fn set_armed(&mut self, armed: bool) -> Result<(), LoadError> {
        let wrong = |source| LoadError::Map { map: "ARMED", source };
        let map = self.ebpf.map_mut("ARMED").ok_or(LoadError::Missing("ARMED"))?;
        let mut map: Array<&mut MapData, u64> = Array::try_from(map).map_err(wrong)?;
        map.set(0, u64::from(armed), 0).map_err(wrong)
    }

    /// Tells of every process that runs in a tracked container, as records in the ring, and lets go of those whose container
    /// nobody wants to know of.
    ///
    /// # Errors
    /// The kernel refuses the iterator.
    pub fn take_inventory(&mut self) -> Result<(), LoadError> {
        let refused = failed("attach", INVENTORY);
        let program = self.ebpf.program_mut(INVENTORY).ok_or(LoadError::Missing(INVENTORY))?;
        let program: &mut Iter = program.try_into().map_err(failed("use", INVENTORY))?;
        let id = program.attach().map_err(refused)?;
        let link = program.take_link(id).map_err(failed("use", INVENTORY))?;
        let mut file =
            link.into_file().map_err(|error| LoadError::Inventory(io::Error::other(error)))?;
        // It writes nothing: reading makes it run.
        io::copy(&mut file, &mut io::sink()).map_err(LoadError::Inventory)?;
        Ok(())
    }

    fn load_inventory(&mut self, btf: &Btf) -> Result<(), LoadError> {
        let program = self.ebpf.program_mut(INVENTORY).ok_or(LoadError::Missing(INVENTORY))?;
        let program: &mut Iter = program.try_into().map_err(failed("use", INVENTORY))?;
        program.load("task", btf).map_err(failed("load", INVENTORY))
    }

    fn btf_program(&mut self, hook: &'static str) -> Result<&mut BtfTracePoint, LoadError> {
        let program = self.ebpf.program_mut(hook).ok_or(LoadError::Missing(hook))?;
        program.try_into().map_err(failed("use", hook))
    }

    fn take_btf_link(
        &mut self,
        hook: &'static str,
        id: BtfTracePointLinkId,
    ) -> Result<FdLink, LoadError> {
        let link = self.btf_program(hook)?.take_link(id).map_err(failed("use", hook))?;
        Ok(link.into())
    }

    fn take_oom_link(&mut self, id: RawTracePointLinkId) -> Result<FdLink, LoadError> {
        let program = self.ebpf.program_mut(OOM_HOOK).ok_or(LoadError::Missing(OOM_HOOK))?;
        let program: &mut RawTracePoint = program.try_into().map_err(failed("use", OOM_HOOK))?;
        Ok(program.take_link(id).map_err(failed("use", OOM_HOOK))?.into())
    }

    /// Loads the object and creates its maps, without any program.
    ///
    /// # Errors
    /// As [`Self::attach`].
    pub fn load(layout: &Layout, level: Option<tracing::Level>) -> Result<Self, LoadError> {
        Self::load_with(layout, level, None)
    }

    /// With `folder`, maps are pinned there, or taken from there.
    fn load_with(
        layout: &Layout,
        level: Option<tracing::Level>,
        folder: Option<&Path>,
    ) -> Result<Self, LoadError> {
        let object = object::bytes().ok_or(LoadError::Stub)?;
        let settings = layout.settings.as_bytes();
        let log_level = log_level(level);
        let mut loader = EbpfLoader::new();
        if let Some(folder) = folder {
            for map in MAPS {
                loader.map_pin_path(map, folder.join(map));
            }
        }
        let ebpf = loader
            .verifier_log_level(VerifierLogLevel::STATS)
            // Nothing in the object is relocated by the kernel's types, which are large.
            .btf(None)
            .override_global("OFFSETS", layout.offsets.as_slice(), true)
            .override_global("SETTINGS", settings, true)
            .override_global("NUMBERS", layout.numbers.as_slice(), true)
            .override_global("SHAPES", layout.shapes.as_slice(), true)
            .override_global("AYA_LOG_LEVEL", &log_level, true)
            .load(object)
            .map_err(LoadError::Object)?;
        Ok(Self { ebpf, recorder: None, pins: None })
    }

    /// Tries each hook alone: attaches it to programs loaded for it, and detaches it again.
    ///
    /// # Errors
    /// None can be tried: the binary is a stub, the maps cannot be created, or the kernel's BTF cannot be read.
    pub fn try_hooks(layout: &Layout) -> Result<Vec<Tried>, LoadError> {
        let btf = Btf::from_sys_fs()?;
        let mut tried = Vec::new();
        for hook in HOOKS.into_iter().chain([OOM_HOOK, RECORDER]) {
            let mut programs = Self::load(layout, None)?;
            let result = if hook == OOM_HOOK {
                programs.attach_oom().map(drop)
            } else {
                programs.attach_btf(hook, &btf).map(drop)
            };
            tried.push((hook, result));
        }
        Ok(tried)
    }

    /// Loads and attaches one program on the BTF tracepoint of the same name.
    ///
    /// # Errors
    /// The kernel refuses it.
    pub fn attach_btf(
        &mut self,
        hook: &'static str,
        btf: &Btf,
    ) -> Result<BtfTracePointLinkId, LoadError> {
        self.load_btf(hook, btf)?;
        self.btf_program(hook)?.attach().map_err(failed("attach", hook))
    }

    fn load_btf(&mut self, hook: &'static str, btf: &Btf) -> Result<(), LoadError> {
        self.btf_program(hook)?.load(hook, btf).map_err(failed("load", hook))
    }

    /// Loads and attaches the OOM program.
    ///
    /// # Errors
    /// The kernel refuses it.
    pub fn attach_oom(&mut self) -> Result<RawTracePointLinkId, LoadError> {
        let program = self.ebpf.program_mut(OOM_HOOK).ok_or(LoadError::Missing(OOM_HOOK))?;
        let program: &mut RawTracePoint = program.try_into().map_err(failed("use", OOM_HOOK))?;
        program.load().map_err(failed("load", OOM_HOOK))?;
        program.attach(OOM_HOOK).map_err(failed("attach", OOM_HOOK))
    }

    /// Tracks a cgroup that exists already; `root` is the id of the watched root above it. One that is tracked is left
    /// as it is, but for being wanted; one that is not, because it is gone, cannot come to be unwanted. Returns how many
    /// processes it holds, about.
    ///
    /// # Errors
    /// The map is full (4096 containers) or gone.
    pub fn track(&mut self, cgroup: u64, root: u64, wanted: bool) -> Result<u32, LoadError> {
        let wrong = |source| LoadError::Map { map: "TRACKED", source };
        let map = self.ebpf.map_mut("TRACKED").ok_or(LoadError::Missing("TRACKED"))?;
        let mut tracked: HashMap<&mut MapData, u64, [u8; size_of::<Container>()]> =
            HashMap::try_from(map).map_err(wrong)?;
        let known =
            tracked.get(&cgroup, 0).ok().and_then(|it| Container::read_from_bytes(&it).ok());
        let unwanted = if wanted { 0 } else { container_flag::UNWANTED };
        let (container, mode) = match known {
            Some(known) => {
                let flags = known.flags & !container_flag::UNWANTED | unwanted;
                (Container { flags, ..known }, BPF_EXIST)
            }
            None if wanted => {
                let flags = container_flag::INHABITED;
                (Container { root, flags, ..Container::new_zeroed() }, BPF_ANY)
            }
            None => return Ok(0),
        };
        let processes = container.processes;
        let mut bytes = [0; size_of::<Container>()];
        bytes.copy_from_slice(container.as_bytes());
        match tracked.insert(cgroup, bytes, mode) {
            // It went just now.
            Err(MapError::SyscallError(error))
                if error.io_error.kind() == io::ErrorKind::NotFound =>
            {
                Ok(0)
            }
            other => other.map(|()| processes).map_err(wrong),
        }
    }

    /// Tracks every cgroup that is made below the one with this id from now on.
    ///
    /// # Errors
    /// The map is full (64 roots) or gone.
    pub fn watch_root(&mut self, id: u64) -> Result<(), LoadError> {
        let map = self.ebpf.map_mut("ROOTS").ok_or(LoadError::Missing("ROOTS"))?;
        let mut roots: HashMap<&mut MapData, u64, u32> =
            HashMap::try_from(map).map_err(|source| LoadError::Map { map: "ROOTS", source })?;
        roots.insert(id, 1, 0).map_err(|source| LoadError::Map { map: "ROOTS", source })
    }

    /// Takes one of the two ring buffers, `DEATHS` or `EVENTS`, with its size in bytes.
    ///
    /// # Errors
    /// It was taken before.
    pub fn take_ring(&mut self, name: &'static str) -> Result<(RingBuf<MapData>, u32), LoadError> {
        let wrong = |source| LoadError::Map { map: name, source };
        let map = self.ebpf.take_map(name).ok_or(LoadError::Missing(name))?;
        let bytes = match &map {
            Map::RingBuf(data) => data.info().map_err(wrong)?.max_entries(),
            _ => 0,
        };
        Ok((RingBuf::try_from(map).map_err(wrong)?, bytes))
    }

    /// What could not be sent or kept: (cgroup id, kind, count).
    ///
    /// # Errors
    /// The map cannot be read.
    pub fn lost(&self) -> Result<Vec<(LostKey, u64)>, LoadError> {
        let wrong = |source| LoadError::Map { map: "LOST", source };
        let map = self.ebpf.map("LOST").ok_or(LoadError::Missing("LOST"))?;
        let lost: HashMap<&MapData, [u8; size_of::<LostKey>()], u64> =
            HashMap::try_from(map).map_err(wrong)?;
        let mut found = Vec::new();
        for entry in lost.iter() {
            let (key, count) = entry.map_err(wrong)?;
            if let Ok(key) = LostKey::read_from_bytes(&key) {
                found.push((key, count));
            }
        }
        Ok(found)
    }

    /// Losses for which there was no room among those: whose, and of what, is not known.
    ///
    /// # Errors
    /// The map cannot be read.
    pub fn uncounted(&self) -> Result<u64, LoadError> {
        let wrong = |source| LoadError::Map { map: "USED", source };
        let map = self.ebpf.map("USED").ok_or(LoadError::Missing("USED"))?;
        let used: Array<&MapData, u64> = Array::try_from(map).map_err(wrong)?;
        used.get(&UNCOUNTED, 0).map_err(wrong)
    }

    /// Makes room for the losses of others: those of a cgroup that is gone were told.
    pub fn forget_lost(&mut self, keys: &[LostKey]) {
        let Some(map) = self.ebpf.map_mut("LOST").filter(|_| !keys.is_empty()) else { return };
        let lost: Result<HashMap<&mut MapData, [u8; size_of::<LostKey>()], u64>, _> =
            HashMap::try_from(map);
        let Ok(mut lost) = lost else { return };
        for key in keys {
            let mut bytes = [0; size_of::<LostKey>()];
            bytes.copy_from_slice(key.as_bytes());
            // It is gone then.
            let _ = lost.remove(&bytes);
        }
    }

    /// For each program of this process its name, run time and runs; zeros where the kernel does not count
    /// (sysctl kernel.bpf_stats_enabled).
    pub fn run_statistics(&self) -> impl Iterator<Item = (&str, Duration, u64)> {
        self.ebpf.programs().filter_map(|(name, program)| {
            let info = program.info().ok()?;
            Some((name, info.run_time(), info.run_count()))
        })
    }

    /// Tracked processes that live now, by pid in the initial namespace.
    ///
    /// # Errors
    /// The map cannot be read.
    pub fn living(&self) -> Result<Vec<(u32, Process)>, LoadError> {
        let wrong = |source| LoadError::Map { map: "PROCESSES", source };
        let map = self.ebpf.map("PROCESSES").ok_or(LoadError::Missing("PROCESSES"))?;
        let processes: HashMap<&MapData, u32, [u8; size_of::<Process>()]> =
            HashMap::try_from(map).map_err(wrong)?;
        let mut found = Vec::new();
        for entry in processes.iter() {
            let (pid, process) = entry.map_err(wrong)?;
            if let Ok(process) = Process::read_from_bytes(&process) {
                found.push((pid, process));
            }
        }
        Ok(found)
    }

    /// A reader of the programs' debug logs, for the `log` and `tracing` world.
    ///
    /// # Errors
    /// The map is gone.
    pub fn logger(&mut self) -> io::Result<aya_log::EbpfLogger<&'static dyn log::Log>> {
        aya_log::EbpfLogger::init(&mut self.ebpf).map_err(io::Error::other)
    }
}

fn failed(
    action: &'static str,
    program: &'static str,
) -> impl FnOnce(aya::programs::ProgramError) -> LoadError {
    move |source| LoadError::Program { action, program, source }
}

/// aya-log's levels: 0 off, 1 error to 5 trace.
fn log_level(level: Option<tracing::Level>) -> u8 {
    match level {
        None => 0,
        Some(tracing::Level::ERROR) => 1,
        Some(tracing::Level::WARN) => 2,
        Some(tracing::Level::INFO) => 3,
        Some(tracing::Level::DEBUG) => 4,
        Some(tracing::Level::TRACE) => 5,
    }
}

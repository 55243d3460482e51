//! Loads and attaches the eBPF programs. The one place that knows aya.

use std::io;

use aya::{
    Btf, Ebpf, EbpfLoader, VerifierLogLevel,
    maps::{Array, HashMap, MapData, RingBuf},
    programs::{BtfTracePoint, RawTracePoint},
};
use thiserror::Error;
use tracer_ebpf::abi::state::{LostKey, Process};
use zerocopy::{FromBytes, IntoBytes};

use super::{layout::Layout, object};

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

/// A hook, and whether the kernel takes it.
pub type Tried = (&'static str, Result<(), LoadError>);

/// The loaded programs; they are detached when this is dropped.
#[derive(Debug)]
pub struct Programs {
    ebpf: Ebpf,
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
        programs.attach_btf(RECORDER, &btf)?;
        programs.set_armed()?;
        Ok(programs)
    }

    /// Tells the other programs that the recorder is on, so that each process knows whether it was from its birth.
    fn set_armed(&mut self) -> Result<(), LoadError> {
        let wrong = |source| LoadError::Map { map: "ARMED", source };
        let map = self.ebpf.map_mut("ARMED").ok_or(LoadError::Missing("ARMED"))?;
        let mut armed: Array<&mut MapData, u64> = Array::try_from(map).map_err(wrong)?;
        armed.set(0, 1, 0).map_err(wrong)
    }

    /// Loads the object and creates its maps, without any program.
    ///
    /// # Errors
    /// As [`Self::attach`].
    pub fn load(layout: &Layout, level: Option<tracing::Level>) -> Result<Self, LoadError> {
        let object = object::bytes().ok_or(LoadError::Stub)?;
        let settings = settings_bytes(layout);
        let log_level = log_level(level);
        let ebpf = EbpfLoader::new()
            .verifier_log_level(VerifierLogLevel::STATS)
            .override_global("OFFSETS", layout.offsets.as_slice(), true)
            .override_global("SETTINGS", settings.as_slice(), true)
            .override_global("NUMBERS", layout.numbers.as_slice(), true)
            .override_global("SHAPES", layout.shapes.as_slice(), true)
            .override_global("AYA_LOG_LEVEL", &log_level, true)
            .load(object)
            .map_err(LoadError::Object)?;
        Ok(Self { ebpf })
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
                programs.attach_oom()
            } else {
                programs.attach_btf(hook, &btf)
            };
            tried.push((hook, result));
        }
        Ok(tried)
    }

    /// Loads and attaches one program on the BTF tracepoint of the same name.
    ///
    /// # Errors
    /// The kernel refuses it.
    pub fn attach_btf(&mut self, hook: &'static str, btf: &Btf) -> Result<(), LoadError> {
        let failed = |action| move |source| LoadError::Program { action, program: hook, source };
        let program = self.ebpf.program_mut(hook).ok_or(LoadError::Missing(hook))?;
        let program: &mut BtfTracePoint = program.try_into().map_err(failed("use"))?;
        program.load(hook, btf).map_err(failed("load"))?;
        program.attach().map_err(failed("attach"))?;
        Ok(())
    }

    /// Loads and attaches the OOM program.
    ///
    /// # Errors
    /// The kernel refuses it.
    pub fn attach_oom(&mut self) -> Result<(), LoadError> {
        let failed =
            |action| move |source| LoadError::Program { action, program: OOM_HOOK, source };
        let program = self.ebpf.program_mut(OOM_HOOK).ok_or(LoadError::Missing(OOM_HOOK))?;
        let program: &mut RawTracePoint = program.try_into().map_err(failed("use"))?;
        program.load().map_err(failed("load"))?;
        program.attach(OOM_HOOK).map_err(failed("attach"))?;
        Ok(())
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

    /// Takes one of the two ring buffers, `DEATHS` or `EVENTS`.
    ///
    /// # Errors
    /// It was taken before.
    pub fn take_ring(&mut self, name: &'static str) -> Result<RingBuf<MapData>, LoadError> {
        let map = self.ebpf.take_map(name).ok_or(LoadError::Missing(name))?;
        RingBuf::try_from(map).map_err(|source| LoadError::Map { map: name, source })
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

fn settings_bytes(layout: &Layout) -> Vec<u8> {
    layout.settings.as_bytes().to_vec()
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

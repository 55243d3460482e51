//! Maps and frozen globals. Their names are part of the contract with the loader.

use aya_ebpf::{
    bindings::BPF_F_NO_PREALLOC,
    macros::map,
    maps::{Array, HashMap, LruHashMap, PerCpuArray, RingBuf},
};
use tracer_ebpf::{
    abi::{
        oom::Oom,
        recorder::Calls,
        said::{Head, Tail},
        state::{Container, LostKey, Process, SHAPES as SHAPES_LEN, Settings, number},
    },
    offsets,
};

/// Ends of processes, OOM kills, fatal signals, recorder flushes: a flood of anything else cannot evict them.
#[map]
pub static DEATHS: RingBuf = RingBuf::with_byte_size(2 << 20, 0);
/// Everything else.
#[map]
pub static EVENTS: RingBuf = RingBuf::with_byte_size(1 << 20, 0);

/// cgroup ids below which every new cgroup is tracked; written by user space.
#[map]
pub static ROOTS: HashMap<u64, u32> = HashMap::with_max_entries(64, BPF_F_NO_PREALLOC);
/// cgroup id to container.
#[map]
pub static TRACKED: HashMap<u64, Container> = HashMap::with_max_entries(4096, BPF_F_NO_PREALLOC);
pub const PROCESSES_MAX: u32 = 12288;
pub const CALLS_MAX: u32 = 368;
pub const TAILS_MAX: u32 = 640;
pub const HEADS_MAX: u32 = 192;
/// tgid to process.
#[map]
pub static PROCESSES: HashMap<u32, Process> =
    HashMap::with_max_entries(PROCESSES_MAX, BPF_F_NO_PREALLOC);
/// tgid to flight recorder.
#[map]
pub static CALLS: HashMap<u32, Calls> = HashMap::with_max_entries(CALLS_MAX, BPF_F_NO_PREALLOC);
/// `said::key` to the end of what was written to a stream.
#[map]
pub static TAILS: HashMap<u64, Tail> = HashMap::with_max_entries(TAILS_MAX, BPF_F_NO_PREALLOC);
/// `said::key` to the beginning of a stream's last long burst.
#[map]
pub static HEADS: HashMap<u64, Head> = HashMap::with_max_entries(HEADS_MAX, BPF_F_NO_PREALLOC);
/// Entries used of the maps above, and losses for which LOST had no room, by the indexes below.
#[map]
pub static USED: Array<u64> = Array::with_max_entries(5, 0);
pub const USED_CALLS: u32 = 0;
pub const USED_TAILS: u32 = 1;
pub const USED_PROCESSES: u32 = 2;
pub const USED_HEADS: u32 = 3;
/// Victims between their SIGKILL and `mark_victim`, by the task that kills. The kernel kills for other reasons too, which
/// nothing follows: what is older makes room.
#[map]
pub static VICTIMS: LruHashMap<u64, Oom> = LruHashMap::with_max_entries(64, 0);
/// What could not be sent or kept.
#[map]
pub static LOST: HashMap<LostKey, u64> = HashMap::with_max_entries(1024, BPF_F_NO_PREALLOC);

/// Zeroed values from which the entries of the maps above are made: they do not fit the 512 byte stack.
#[map]
pub static NO_CALLS: Array<Calls> = Array::with_max_entries(1, 0);
#[map]
pub static NO_TAIL: Array<Tail> = Array::with_max_entries(1, 0);
#[map]
pub static NO_HEAD: Array<Head> = Array::with_max_entries(1, 0);

/// Bytes of the largest record that is put together: header, path and argv.
pub const SCRATCH: usize = 9 * 1024;
/// Where hooks in task context put records together; preemption is off while they run.
#[map]
pub static TASK_SCRATCH: PerCpuArray<[u64; SCRATCH / 8]> = PerCpuArray::with_max_entries(1, 0);
/// signal_generate runs in interrupts too, above a hook in task context, so it has its own.
#[map]
pub static SIGNAL_SCRATCH: PerCpuArray<[u64; SCRATCH / 8]> = PerCpuArray::with_max_entries(1, 0);

/// How many runtime inits and processes that speak with a name server live: while it is 0 most writes and reads are passed
/// over without a look at the process.
#[map]
pub static CURIOUS: Array<u64> = Array::with_max_entries(1, 0);
/// 1 while the syscall-level recorder is attached; written by user space.
#[map]
pub static ARMED: Array<u64> = Array::with_max_entries(1, 0);

#[unsafe(no_mangle)]
pub static SETTINGS: Settings = Settings {
    cgroup_subsystem: 0,
    memory_subsystem: 0,
    agent_pid_ns: 0,
    capture_output: 0,
    victim_is_task: 0,
    rss_stride: 0,
    deaths_budget: 0,
    events_budget: 0,
    agent_mount_ns: 0,
    _pad2: 0,
    window_ns: 0,
    page_shift: 0,
    hierarchy_id: 0,
    pids_subsystem: 0,
    _pad: 0,
};
#[unsafe(no_mangle)]
pub static OFFSETS: [u32; offsets::COUNT] = [0; offsets::COUNT];
#[unsafe(no_mangle)]
pub static NUMBERS: [u32; number::COUNT] = [0; number::COUNT];
#[unsafe(no_mangle)]
pub static SHAPES: [u8; SHAPES_LEN] = [0; SHAPES_LEN];

/// Reads a field of SETTINGS; a plain read would be folded to the initial value.
macro_rules! setting {
    ($field:ident) => {
        // SAFETY: a field of a static.
        unsafe { core::ptr::read_volatile(&raw const $crate::programs::maps::SETTINGS.$field) }
    };
}
pub(crate) use setting;

/// The number of a system call on this machine, `index` from `state::number`.
#[inline(always)]
pub fn number(index: usize) -> u32 {
    // SAFETY: the index is a constant below COUNT.
    unsafe { core::ptr::read_volatile((&raw const NUMBERS).cast::<u32>().add(index)) }
}

/// The shape of a system call.
#[inline(always)]
pub fn shape(nr: u64) -> u8 {
    if nr >= SHAPES_LEN as u64 {
        return 0;
    }
    // SAFETY: checked above.
    unsafe { core::ptr::read_volatile((&raw const SHAPES).cast::<u8>().add(nr as usize)) }
}

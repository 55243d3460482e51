//! match-proto: void signal_generate(int sig, struct kernel_siginfo *info, struct task_struct *task, int group, int result):
//! include/trace/events/signal.h. It runs in the sender's context; delivery would hide sender and number.

use aya_ebpf::{
    helpers::generated::{bpf_get_current_task_btf, bpf_task_pt_regs},
    macros::btf_tracepoint,
    programs::BtfTracePointContext,
};
use tracer_ebpf::{
    abi::{
        header::{Kind, task_flag},
        signal::{
            INFO_NONE, INFO_PRIV, Signal,
            disposition::{DEFAULT, HANDLED, IGNORED},
        },
        state::number as nr,
    },
    offsets as at,
    signal::*,
};

use super::{
    kernel::{
        Ptr, cgroup_of, copy_str, copy_user, current, describe, load, member, mount_ns, pointer,
        read, tgid_of, upid,
    },
    maps::{SIGNAL_SCRATCH, number, setting},
    oom,
    record::{Ring, begin, scratch, send},
    threads,
    track::{Place, place, process},
};

/// Signals that tell something even where a handler takes them.
const TELLING: u64 = 1 << SIGHUP
    | 1 << SIGINT
    | 1 << SIGQUIT
    | 1 << SIGILL
    | 1 << SIGTRAP
    | 1 << SIGABRT
    | 1 << SIGBUS
    | 1 << SIGFPE
    | 1 << SIGKILL
    | 1 << SIGSEGV
    | 1 << SIGTERM
    | 1 << SIGSYS;
/// Never fatal by default (signal(7)).
const HARMLESS: u64 = 1 << SIGCHLD
    | 1 << SIGCONT
    | 1 << SIGSTOP
    | 1 << SIGTSTP
    | 1 << SIGTTIN
    | 1 << SIGTTOU
    | 1 << SIGURG
    | 1 << SIGWINCH;

/// Size of `struct k_sigaction` on x86_64 and aarch64: handler, flags, restorer, mask.
const SIGACTION: usize = 32;

/// Of these the address of the fault is known.
const FAULTS: u64 = 1 << SIGSEGV | 1 << SIGBUS | 1 << SIGILL | 1 << SIGFPE | 1 << SIGTRAP;

/// Instead of the address of a siginfo (include/linux/signal.h, include/linux/sched/signal.h).
const SEND_SIG_NOINFO: u64 = 0;
const SEND_SIG_PRIV: u64 = 1;

/// Codes of signals that a process sent (include/uapi/asm-generic/siginfo.h).
const SI_QUEUE: i32 = -1;
const SI_TKILL: i32 = -6;

/// One signal, and how its process meets it.
struct Sent {
    signal: u32,
    info: u64,
    group: u32,
    result: u32,
    disposition: u32,
    task: Ptr,
    sender: Ptr,
    cgroup: u64,
    flags: u32,
}

#[btf_tracepoint(function = "signal_generate")]
pub fn signal_generate(ctx: BtfTracePointContext) -> i32 {
    let signal: u32 = ctx.arg(0);
    let task: Ptr = ctx.arg(2);
    let Some(process) = process(tgid_of(task)) else { return 0 };
    if signal == 0 || signal > 64 {
        return 0;
    }
    let disposition = disposition(task, signal);
    if !matters(signal, disposition) {
        return 0;
    }
    let sent = Sent {
        signal,
        info: ctx.arg(1),
        group: ctx.arg(3),
        result: ctx.arg(4),
        disposition,
        task,
        sender: current(),
        cgroup: process.cgroup,
        flags: process.flags,
    };
    // A kill by the OOM killer is announced by mark_victim, from this task, right after.
    if signal == SIGKILL && sent.info == SEND_SIG_PRIV {
        oom::note_victim(task, sent.sender, sent.cgroup, sent.flags);
    }
    report(&sent);
    if (signal == SIGTERM || signal == SIGKILL) && process.threads_noted == 0 {
        process.threads_noted = 1;
        threads::note(task, sent.cgroup, sent.flags);
    }
    0
}

/// The signal's bit in the sets above.
#[inline(always)]
fn bit(signal: u32) -> u64 {
    if signal < 64 { 1u64 << signal } else { 0 }
}

/// True if the signal can end its process, or tells something where it does not.
#[inline(always)]
fn matters(signal: u32, disposition: u32) -> bool {
    let bit = bit(signal);
    bit & TELLING != 0 || (disposition == DEFAULT && bit & HARMLESS == 0)
}

#[inline(always)]
fn report(sent: &Sent) {
    let &Sent { signal, info, group, result, disposition, task, sender, cgroup, flags } = sent;
    let Some(record) = scratch::<Signal>(&SIGNAL_SCRATCH) else { return };
    record.signal = signal;
    record.result = result;
    record.disposition = disposition;
    record.group = group;
    note_info(record, info);
    note_sender(record, sender, task);
    let size = size_of::<Signal>() as u32;
    begin(&mut record.header, Kind::Signal, size, cgroup, task, flags);
    let root = flags & task_flag::ROOT != 0;
    let fatal = disposition == DEFAULT || signal == SIGKILL || root;
    let ring = match (fatal, root) {
        (true, true) => Ring::Deaths,
        (true, false) => Ring::Spare,
        (false, _) => Ring::Events,
    };
    send(ring, Kind::Signal, cgroup, (&raw const *record).cast(), size);
}

/// What the siginfo says: code, and the call or the address that the signal is about.
#[inline(always)]
fn note_info(record: &mut Signal, info: u64) {
    record.code = code(info);
    record.syscall = -1;
    record.address = 0;
    record.instruction = [0; 16];
    record.instruction_bytes = 0;
    if info == SEND_SIG_NOINFO || info == SEND_SIG_PRIV {
        return;
    }
    let info = info as Ptr;
    if record.code < 0 && record.code != SI_TKILL && is_said_by_sender() {
        record.code = SI_QUEUE;
    }
    if record.signal == SIGSYS {
        record.syscall = read(info, at::SIGINFO_SYSCALL);
    } else if bit(record.signal) & FAULTS != 0 {
        record.address = read(info, at::SIGINFO_ADDR);
    }
    if record.signal == SIGILL && record.code > 0 {
        record.instruction_bytes = instruction(record);
    }
}

/// True if the current task makes a call by which the sender may say any negative code, as that of a timer
/// (kernel/signal.c, do_rt_sigqueueinfo).
#[inline(always)]
fn is_said_by_sender() -> bool {
    // SAFETY: the current task is always valid.
    let regs = unsafe { bpf_task_pt_regs(bpf_get_current_task_btf()) } as Ptr;
    let call: u32 = read(regs, at::REGS_NR);
    call == number(nr::RT_SIGQUEUEINFO)
        || call == number(nr::RT_TGSIGQUEUEINFO)
        || call == number(nr::PIDFD_SEND_SIGNAL)
}

/// The task in whose context the signal was generated, and its executable file's name.
#[inline(always)]
fn note_sender(record: &mut Signal, sender: Ptr, target: Ptr) {
    let mut flags = process(tgid_of(sender)).map_or(0, |process| process.flags);
    let mut found = Place { root: None, container: None, unknown: false };
    place(cgroup_of(sender), &mut found);
    // Who lies too deep to be looked at is no runtime of the node.
    flags |= if found.root.is_some() || found.unknown {
        task_flag::BELOW_ROOT
    } else {
        task_flag::OUTSIDE
    };
    flags |= if is_above(sender, target) { task_flag::ABOVE } else { task_flag::NOT_ABOVE };
    describe(&raw mut record.sender, sender, flags);
    record.sender_exe = [0; 32];
    let exe = pointer(pointer(sender, at::TASK_MM), at::MM_EXE);
    if !exe.is_null() {
        let dentry = pointer(member(exe, at::FILE_PATH), at::PATH_DENTRY);
        let name = pointer(member(dentry, at::DENTRY_NAME), at::QSTR_NAME);
        let size = record.sender_exe.len() as u32;
        copy_str(record.sender_exe.as_mut_ptr(), size, name);
    }
}

/// True if a sender sees files as the agent does, and the target's pid namespace lies in its own: no process of a container
/// can make either so.
#[inline(always)]
fn is_above(sender: Ptr, target: Ptr) -> bool {
    let own = pointer(sender, at::TASK_THREAD_PID);
    let level: u32 = read(own, at::PID_LEVEL);
    let theirs = pointer(target, at::TASK_THREAD_PID);
    let deeper = level < read::<u32>(theirs, at::PID_LEVEL);
    let there = pointer(upid(theirs, level), at::UPID_NS);
    deeper
        && there == pointer(upid(own, level), at::UPID_NS)
        && mount_ns(sender) == setting!(agent_mount_ns)
}

/// Reads the instruction that made a fault, in whose context this runs; less of it at the end of a page. Returns how many
/// bytes there are.
#[inline(always)]
fn instruction(record: &mut Signal) -> u32 {
    let (to, from) = (record.instruction.as_mut_ptr(), record.address);
    if copy_user(to, 16, from) {
        16
    } else if copy_user(to, 4, from) {
        4
    } else if copy_user(to, 2, from) {
        2
    } else {
        0
    }
}

/// `si_code`.
#[inline(always)]
fn code(info: u64) -> i32 {
    match info {
        SEND_SIG_NOINFO => INFO_NONE,
        SEND_SIG_PRIV => INFO_PRIV,
        address => read(address as Ptr, at::SIGINFO_CODE),
    }
}

/// What the process has arranged for a signal: SIG_DFL is 0, SIG_IGN is 1.
#[inline(always)]
fn disposition(task: Ptr, signal: u32) -> u32 {
    let actions = member(pointer(task, at::TASK_SIGHAND), at::SIGHAND_ACTION);
    let handler: u64 = load(actions.wrapping_add((signal as usize - 1) * SIGACTION));
    match handler {
        0 => DEFAULT,
        1 => IGNORED,
        _ => HANDLED,
    }
}

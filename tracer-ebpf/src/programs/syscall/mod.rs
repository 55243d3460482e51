//! match-proto: void sys_exit(struct pt_regs *regs, long ret): include/trace/events/syscalls.h. Every system call of the node comes
//! through here while it is attached, so return value and number are tested before anything that costs.
//! Calls of 32-bit programs, and by int 0x80, have numbers of another table and are passed over.

mod calls;
mod data;
mod dns;
mod endpoint;
mod likeness;
mod socket;
mod words;

use aya_ebpf::{
    helpers::bpf_get_current_pid_tgid, macros::btf_tracepoint, programs::BtfTracePointContext,
};
use tracer_ebpf::{
    abi::{
        header::task_flag,
        state::{Process, number as nr, shape as kind},
    },
    errno::Errno,
    offsets as at,
};

use super::{
    counter::any_curious,
    exec::exec_failed,
    kernel::{Ptr, current, has, offset, read},
    maps::{number, shape},
    track::process,
};

const EINTR: i64 = Errno::EINTR.0 as i64;
const EAGAIN: i64 = Errno::EAGAIN.0 as i64;
/// ERESTARTSYS (512) to ERESTART_RESTARTBLOCK (516), include/linux/errno.h: the kernel's own.
const ERESTART_FIRST: i64 = 512;
const ERESTART_LAST: i64 = 516;
const MAX_ERRNO: i64 = 4095;
/// The number that rt_sigreturn leaves (-1): its result is whatever the signal had interrupted (restore_sigcontext in
/// arch/x86/kernel/signal_64.c, forget_syscall in arch/arm64/include/asm/processor.h).
const NO_CALL: u64 = u32::MAX as u64;

/// One system call at its end.
pub struct Ended {
    pub nr: u64,
    pub ret: i64,
    pub args: [u64; 5],
}

#[btf_tracepoint(function = "sys_exit")]
pub fn sys_exit(ctx: BtfTracePointContext) -> i32 {
    let regs: Ptr = ctx.arg(0);
    let ret: i64 = ctx.arg(1);
    // The low half is the number on both machines: x86_64 keeps a long, aarch64 an int.
    // SAFETY: `regs` is a BTF pointer and the offset a known constant: the verifier checks the access.
    let number = u64::from(unsafe { *regs.add(offset(at::REGS_NR)).cast::<u32>() });
    let bits = shape(number);
    if ret >= 0 {
        if bits & kind::SUCCESS == 0 {
            return 0;
        }
    } else if ret == -EINTR
        || ret < -MAX_ERRNO
        || (ret <= -ERESTART_FIRST && ret >= -ERESTART_LAST)
        || number == NO_CALL
    {
        return 0;
    }
    // SAFETY: as above.
    let argument = |index: usize| unsafe { *regs.add(offset(index)).cast::<u64>() };
    let first = argument(at::REGS_ARG0);
    if ret >= 0 && passes(number, first) {
        return 0;
    }
    let tgid = (bpf_get_current_pid_tgid() >> 32) as u32;
    let Some(process) = process(tgid) else { return 0 };
    if is_32_bit() {
        return 0;
    }
    let ended = Ended {
        nr: number,
        ret,
        args: [
            first,
            argument(at::REGS_ARG1),
            argument(at::REGS_ARG2),
            argument(at::REGS_ARG3),
            argument(at::REGS_ARG4),
        ],
    };
    if ret < 0 {
        failed(tgid, process, &ended, bits)
    } else {
        succeeded(tgid, process, &ended, bits)
    }
    0
}

/// TS_COMPAT (arch/x86/include/asm/thread_info.h): the call came in by the 32-bit entry.
const COMPAT: u32 = 2;

#[inline(always)]
fn is_32_bit() -> bool {
    has(at::TASK_COMPAT) && read::<u32>(current(), at::TASK_COMPAT) & COMPAT != 0
}

/// True if a successful call need not be looked at: a write to a descriptor other than 1 and 2, or a read,
/// while no process is one whose every write or read matters.
#[inline(always)]
fn passes(number_: u64, first: u64) -> bool {
    let one_of = |index: usize| number_ == u64::from(number(index));
    if one_of(nr::WRITE) || one_of(nr::WRITEV) {
        return first != 1 && first != 2 && !any_curious();
    }
    (one_of(nr::READ) || one_of(nr::RECVFROM) || one_of(nr::RECVMSG)) && !any_curious()
}

#[inline(always)]
fn succeeded(tgid: u32, process: &mut Process, ended: &Ended, bits: u8) {
    let is = |index: usize| ended.nr == u64::from(number(index));
    if is(nr::WRITE) || is(nr::WRITEV) {
        let init = process.flags & task_flag::RUNTIME_INIT != 0;
        if ended.args[0] == 1 || ended.args[0] == 2 || init {
            words::keep(tgid, process, ended, is(nr::WRITEV));
        } else if is(nr::WRITE) {
            dns::plain(tgid, process, ended, 0, true);
        }
    } else if bits & kind::OPENS != 0 {
        let by_first = bits & kind::KIND == kind::PATH0;
        calls::made_good(tgid, process, if by_first { ended.args[0] } else { ended.args[1] });
    } else if is(nr::BIND) || is(nr::LISTEN) {
        socket::bound(process, ended, is(nr::LISTEN));
    } else if is(nr::CONNECT) {
        socket::connected(tgid, process, ended);
    } else if is(nr::GETSOCKOPT) {
        socket::option(tgid, process, ended);
    } else if is(nr::SENDTO) {
        dns::plain(tgid, process, ended, ended.args[4], true);
    } else if is(nr::SENDMSG) || is(nr::SENDMMSG) {
        dns::vectored(tgid, process, ended, true, is(nr::SENDMMSG));
    } else if is(nr::RECVFROM) {
        dns::plain(tgid, process, ended, ended.args[4], false);
    } else if is(nr::READ) {
        dns::plain(tgid, process, ended, 0, false);
    } else if is(nr::RECVMSG) {
        dns::vectored(tgid, process, ended, false, false);
    }
}

/// F_SETLK and F_OFD_SETLK (include/uapi/asm-generic/fcntl.h): of fcntl only a lock is refused by EAGAIN.
const SETLK: [u64; 2] = [6, 37];

#[inline(always)]
fn failed(tgid: u32, process: &mut Process, ended: &Ended, bits: u8) {
    let is = |index: usize| ended.nr == u64::from(number(index));
    if ended.ret == -EAGAIN
        && (bits & kind::REFUSES == 0
            || (is(nr::FCNTL) && ended.args[1] != SETLK[0] && ended.args[1] != SETLK[1]))
    {
        return;
    }
    let errno = -ended.ret as i32;
    if is(nr::EXECVE) {
        // AT_FDCWD
        exec_failed(process, errno, &[ended.args[0], ended.args[1], 0xffff_ff9c, 0]);
    } else if is(nr::EXECVEAT) {
        exec_failed(process, errno, &[ended.args[1], ended.args[2], ended.args[0], ended.args[4]]);
    } else if is(nr::BIND) || is(nr::LISTEN) {
        socket::bound(process, ended, is(nr::LISTEN));
    } else if is(nr::CONNECT) {
        socket::connected(tgid, process, ended);
    }
    calls::keep(tgid, process, ended);
}

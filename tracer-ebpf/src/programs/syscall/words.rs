//! Successful writes to descriptors 1 and 2; of a runtime's init, to any.

use tracer_ebpf::abi::{
    header::task_flag,
    said::{self as abi, stream},
    state::Process,
};

use crate::programs::{
    kernel::{current, load_user},
    maps::setting,
    said,
};

use super::Ended;

/// Vectors of one writev that are kept: its last ones.
const VECTORS: u64 = 6;

/// Keeps what a successful write or writev wrote.
#[inline(never)]
pub fn keep(tgid: u32, process: &mut Process, ended: &Ended, vectored: bool) -> u32 {
    let written = ended.ret as u64;
    let (stream, to_null) = said::stream_of(current(), process.cgroup, ended.args[0]);
    if to_null {
        // Nobody can read it.
    } else if stream == stream::STDOUT {
        process.written[0] += written;
    } else if stream == stream::STDERR {
        process.written[1] += written;
    }
    // What a runtime's init says is the runtime's word, not the program's output.
    let kept = setting!(capture_output) != 0 || process.flags & task_flag::RUNTIME_INIT != 0;
    if !kept || written == 0 {
        return 0;
    }
    let Some(tail) = said::tail(tgid, process, stream) else { return 0 };
    if !said::leads(tail, to_null) {
        return 0;
    }
    let key = abi::key(tgid, stream);
    if !vectored {
        said::append(tail, key, ended.args[1], written);
        return 0;
    }
    let count = ended.args[2];
    let first = count.saturating_sub(VECTORS);
    for index in 0..VECTORS {
        if first + index >= count {
            break;
        }
        // struct iovec: base, length.
        let vector = ended.args[1] + (first + index) * 16;
        let length: u64 = load_user(vector + 8);
        if length != 0 {
            said::append(tail, key, load_user(vector), length);
        }
    }
    0
}

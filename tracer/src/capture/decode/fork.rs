//! A new process.

use tracer_ebpf::abi::fork as abi;

use super::{
    error::DecodeError,
    record::{Body, Record},
};
use crate::capture::event::{Event, Fork, What};

pub(super) fn fork(record: &Record<'_>) -> Result<Event, DecodeError> {
    let fork: Body<abi::Fork> = record.whole()?;
    Ok(record.event(What::Fork(Fork { forker_pid: fork.forker })))
}

#[cfg(test)]
mod tests {
    use crate::capture::{
        decode::{Arch, decode, golden},
        event::{Event, Fork, What},
    };

    #[test]
    fn a_fork_is_about_the_child() {
        assert_eq!(
            decode(&golden::fork(), Arch::X86_64).unwrap(),
            [Event {
                time_ns: 1_000_000_007,
                cgroup: 777,
                process: golden::process(),
                what: What::Fork(Fork { forker_pid: 4000 }),
            }]
        );
    }
}

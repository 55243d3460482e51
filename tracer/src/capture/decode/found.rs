//! A process that ran already when its container came to be tracked.

use tracer_ebpf::abi::found as abi;

use super::{
    error::DecodeError,
    record::{Body, Record},
};
use crate::{
    capture::event::{Event, Found, What},
    linux::text::Text,
};

/// The event stands at the start of the process, where a timeline needs it. What the process is, its program and
/// arguments, is not in the record: whoever may read /proc adds it.
pub(super) fn found(record: &Record<'_>) -> Result<Event, DecodeError> {
    let found: Body<abi::Found> = record.whole()?;
    let what = Found { found_ns: found.header.time_ns, path: Text::default(), args: Vec::new() };
    Ok(record.event_at(found.header.task.start_ns, What::Found(what)))
}

#[cfg(test)]
mod tests {
    use crate::{
        capture::{
            decode::{Arch, decode, golden},
            event::{Event, Found, What},
        },
        linux::text::Text,
    };

    #[test]
    fn a_found_process_stands_at_its_start() {
        let found = Found { found_ns: 1_000_000_007, path: Text::default(), args: vec![] };
        let process = golden::process();
        assert_eq!(
            decode(&golden::found(), Arch::X86_64).unwrap(),
            [Event {
                time_ns: process.id.start_ns,
                cgroup: 777,
                process,
                what: What::Found(found)
            }]
        );
    }
}

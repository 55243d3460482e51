//! The names that a process asked for: questions and answers as calls, as if each message had been kept.

use std::net::Ipv6Addr;

use tracer_ebpf::abi::recorder as abi;

use super::{arch::Arch, dns, error::DecodeError, record::Record, socket};
use crate::{
    capture::event::{After, BootNs, Call, Dns, DnsAnswer, Event, Object, What},
    linux::errno::Errno,
};

/// What one name's slot tells.
pub(super) struct Told {
    /// The first question, the answer that decides, and the last question where it came after all answers.
    pub events: Vec<Event>,
    /// Messages that it stands for, as the kernel side counts them.
    pub messages: u32,
}

pub(super) fn lookup(
    record: &Record<'_>,
    lookup: &abi::Lookup,
    arch: Arch,
) -> Result<Told, DecodeError> {
    let size = record.at_most("lookup.size", lookup.size.into(), abi::DATA)?;
    let server = Ipv6Addr::from(lookup.server).to_canonical();
    let server = (!server.is_unspecified()).then_some(server);
    let answers = lookup.answers.iter().filter(|answer| answer.code != 0).count();
    let messages = lookup.asked.saturating_add(u32::try_from(answers).unwrap_or(0));
    let Some(dns) = dns::message(&lookup.message[..size], server) else {
        return Ok(Told { events: Vec::new(), messages });
    };
    let event = |time_ns: BootNs, number: u32, answer: Option<DnsAnswer>, repeats: u32| {
        let object = Object::Dns(Dns { answer, ..dns.clone() });
        let mut event = record.event_at(
            time_ns,
            What::Call(Call {
                seq: lookup.seq,
                number,
                name: arch.syscalls.name(number),
                errno: Errno(0),
                args: [u64::from(lookup.fd.unsigned_abs()), 0, 0, 0, 0],
                protocol: socket::protocol(lookup.socket, &object),
                object,
                reported: true,
                after: After { repeats, ..After::default() },
            }),
        );
        event.process.tid = lookup.tid;
        event
    };
    let again = lookup.asked.saturating_sub(1);
    let mut events = vec![event(lookup.first_ns, lookup.asked_by, None, again)];
    if let Some(answer) = decisive(&lookup.answers) {
        events.push(event(lookup.answered_ns, lookup.answered_by, Some(answer), 0));
    }
    let unanswered = lookup.last_ns > lookup.answered_ns && lookup.last_ns > lookup.first_ns;
    if unanswered {
        events.push(event(lookup.last_ns, lookup.asked_by, None, 0));
    }
    Ok(Told { events, messages })
}

/// Of several record types: one that has records, else one that is refused or fails, else that there are none.
fn decisive(answers: &[abi::Answer]) -> Option<DnsAnswer> {
    let answers = answers.iter().filter(|answer| answer.code != 0);
    let answers =
        answers.map(|it| DnsAnswer { code: it.code.saturating_sub(1), records: it.records });
    answers.max_by_key(|answer| (answer.code == 0 && answer.records > 0, answer.code))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(code: u8, records: u16) -> abi::Answer {
        abi::Answer { code: code + 1, asked: 1, records }
    }

    const NONE: abi::Answer = abi::Answer { code: 0, asked: 1, records: 0 };

    #[test]
    fn an_address_of_one_family_is_enough() {
        let decides = |answers: &[abi::Answer]| decisive(answers).map(|it| (it.code, it.records));
        assert_eq!(decides(&[answer(0, 1), answer(3, 0), NONE]), Some((0, 1)));
        assert_eq!(decides(&[answer(0, 0), answer(0, 2), NONE]), Some((0, 2)));
        assert_eq!(decides(&[answer(3, 0), answer(0, 0), NONE]), Some((3, 0)));
        assert_eq!(decides(&[answer(2, 0), NONE, NONE]), Some((2, 0)));
        assert_eq!(decides(&[NONE; 3]), None);
    }
}

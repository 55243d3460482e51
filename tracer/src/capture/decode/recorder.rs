//! The flight recorder: the failed calls of one process.

use std::{
    mem::offset_of,
    net::{IpAddr, Ipv6Addr},
};

use tracer_ebpf::abi::{
    exec::PATH_MAX,
    recorder::{self as abi, call_flag, data_kind},
};

use super::{
    address,
    arch::Arch,
    components, dns,
    error::DecodeError,
    lookup,
    record::{Body, Record},
    socket,
};
use crate::{
    capture::event::{Address, After, Call, Event, Object, What},
    linux::{errno::Errno, text::Text},
};

/// One event for each call that is still there, in the order of their counts and each at its own time, those that tell of
/// the names it asked for, then one for those that were overwritten.
pub(super) fn calls(record: &Record<'_>, arch: Arch) -> Result<Vec<Event>, DecodeError> {
    let recorder: Body<abi::Calls> = record.whole()?;
    let grown = recorder.has(offset_of!(abi::Calls, looked));
    let slots = recorder.calls.iter().chain(&recorder.looked).zip(&recorder.more);
    let mut kept: Vec<(&abi::Call, &abi::More)> = slots.filter(|(call, _)| call.seq != 0).collect();
    kept.sort_by_key(|(call, _)| call.seq);
    let mut events = Vec::with_capacity(kept.len() + 1);
    for (raw, more) in &kept {
        let mut call = call(record, raw, arch)?;
        if grown {
            call.after = after(&recorder, raw, more);
        }
        let mut event = record.event_at(raw.time_ns, What::Call(call));
        event.process.tid = raw.tid;
        events.push(event);
    }
    let repeats: u32 = kept.iter().map(|(_, more)| more.repeats).fold(0, u32::saturating_add);
    let mut known = u32::try_from(kept.len()).unwrap_or(u32::MAX).saturating_add(repeats);
    for lookup in recorder.lookups.iter().filter(|lookup| lookup.seq != 0) {
        let told = lookup::lookup(record, lookup, arch)?;
        known = known.saturating_add(told.messages);
        events.extend(told.events);
    }
    let forgotten = recorder.seen.saturating_sub(known);
    if forgotten > 0 {
        events.push(record.event(What::CallsForgotten(forgotten)));
    }
    Ok(events)
}

/// What is known of the time after a call.
fn after(recorder: &abi::Calls, call: &abi::Call, more: &abi::More) -> After {
    After {
        repeats: more.repeats,
        first_ns: (more.repeats > 0).then_some(more.first_ns),
        made_good: call.flags & call_flag::MADE_GOOD != 0,
        same_port_reached: call.flags & call_flag::SAME_PORT_LATER != 0,
        opened: Some(recorder.opened.saturating_sub(more.opened)),
        connected: Some(recorder.connected.saturating_sub(more.connected)),
    }
}

/// A call whose path did not fit the recorder; the recorder tells of it again, with the path cut.
pub(super) fn long_call(record: &Record<'_>, arch: Arch) -> Result<Event, DecodeError> {
    let (long, mut tail) = record.body::<abi::LongCall>()?;
    let path = tail.take("path_size", long.path_size, PATH_MAX)?;
    tail.finish()?;
    let call = named(record, &long.call, path, long.path_cut != 0, arch)?;
    let mut event = record.event_at(long.call.time_ns, What::Call(call));
    event.process.tid = long.call.tid;
    Ok(event)
}

fn call(record: &Record<'_>, raw: &abi::Call, arch: Arch) -> Result<Call, DecodeError> {
    let size = record.at_most("data_size", raw.data_size.into(), abi::DATA)?;
    let truncated = raw.flags & call_flag::TRUNCATED != 0;
    named(record, raw, &raw.data[..size], truncated, arch)
}

fn named(
    record: &Record<'_>,
    raw: &abi::Call,
    data: &[u8],
    truncated: bool,
    arch: Arch,
) -> Result<Call, DecodeError> {
    let object = object(raw, data, truncated)
        .ok_or_else(|| record.meaningless("data_kind", raw.data_kind))?;
    Ok(Call {
        seq: raw.seq,
        number: raw.number,
        name: arch.syscalls.name(raw.number),
        errno: Errno(raw.errno),
        args: if raw.data_kind == data_kind::DNS { passed(raw.args) } else { raw.args },
        protocol: socket::protocol(raw.socket, &object),
        object,
        reported: raw.flags & call_flag::REPORTED != 0,
        after: After::default(),
    })
}

/// `None` for a kind that does not exist.
fn object(call: &abi::Call, data: &[u8], truncated: bool) -> Option<Object> {
    let object = match call.data_kind {
        data_kind::NONE => Object::None,
        data_kind::PATH => Object::Path { path: Text::until_nul(data), truncated },
        data_kind::COMPONENTS => {
            Object::File { path: components::path(data, truncated), truncated }
        }
        data_kind::ADDRESS => match address::address(data) {
            Address::None => Object::None,
            address => Object::Address(address),
        },
        data_kind::PIDS => pids(data)?,
        data_kind::DNS => dns::message(data, server(call)).map_or(Object::None, Object::Dns),
        _ => return None,
    };
    Some(object)
}

/// The arguments of a DNS message without the address that stands in their place.
fn passed([first, second, third, ..]: [u64; 5]) -> [u64; 5] {
    [first, second, third, 0, 0]
}

/// The name server of a DNS message.
fn server(call: &abi::Call) -> Option<IpAddr> {
    let [.., first, last] = call.args;
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&first.to_ne_bytes());
    bytes[8..].copy_from_slice(&last.to_ne_bytes());
    let address = Ipv6Addr::from(bytes).to_canonical();
    (!address.is_unspecified()).then_some(address)
}

/// Two counts; `None` if they are not there.
fn pids(data: &[u8]) -> Option<Object> {
    let (count, rest) = data.split_first_chunk::<8>()?;
    let (max, _) = rest.split_first_chunk::<8>()?;
    Some(Object::Pids { count: u64::from_ne_bytes(*count), max: u64::from_ne_bytes(*max) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::{
        decode::{
            decode,
            golden::{self, Slot},
        },
        event::Protocol,
    };

    const OPENAT: Slot<'static> = Slot {
        seq: 1,
        number: 257,
        errno: 2,
        data_kind: data_kind::PATH,
        flags: 0,
        socket: 0,
        data: b"/etc/app.yml",
    };

    fn only(slot: Slot<'_>) -> Call {
        match decode(&golden::calls(1, &[slot]), Arch::X86_64).unwrap().remove(0).what {
            What::Call(call) => call,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_refused_fork_tells_of_the_full_pids_cgroup() {
        let data: Vec<u8> = [20_u64, 20].iter().flat_map(|count| count.to_ne_bytes()).collect();
        let slot =
            Slot { number: 56, errno: 11, data_kind: data_kind::PIDS, data: &data, ..OPENAT };
        assert_eq!(only(slot).object, Object::Pids { count: 20, max: 20 });
    }

    #[test]
    fn a_long_path_comes_whole_in_a_record_of_its_own() {
        let path = [b'/'; 300];
        let slot = Slot { data: &path[..100], flags: call_flag::TRUNCATED, ..OPENAT };
        let event = decode(&golden::long_call(slot, &path), Arch::X86_64).unwrap().remove(0);
        let What::Call(call) = event.what else { panic!("{event:?}") };
        assert_eq!(call.object, Object::Path { path: Text(path.to_vec()), truncated: false });
        assert_eq!(call.seq, 1);
    }

    #[test]
    fn a_failed_call_has_name_error_arguments_and_path() {
        assert_eq!(
            only(OPENAT),
            Call {
                seq: 1,
                number: 257,
                name: "openat",
                errno: Errno::ENOENT,
                args: [1, 2, 3, 4, u64::MAX],
                object: Object::Path { path: Text::from("/etc/app.yml"), truncated: false },
                reported: false,
                protocol: None,
                after: crate::capture::event::After::default(),
            }
        );
    }

    #[test]
    fn calls_come_in_order_each_at_its_time_and_thread() {
        let slots = [7, 3, 12].map(|seq| Slot { seq, ..OPENAT });
        let events = decode(&golden::calls(12, &slots), Arch::X86_64).unwrap();
        let seen: Vec<_> = events
            .iter()
            .map(|event| match &event.what {
                What::Call(call) => (call.seq, event.time_ns, event.process.tid),
                What::CallsForgotten(count) => (*count, event.time_ns, event.process.tid),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(seen[..3], [(3, 503, 4243), (7, 507, 4243), (12, 512, 4243)]);
        assert_eq!(seen[3..], [(9, 1_000_000_007, 4243)], "nine were overwritten");
    }

    #[test]
    fn nothing_is_forgotten_where_all_are_kept() {
        assert_eq!(decode(&golden::calls(1, &[OPENAT]), Arch::X86_64).unwrap().len(), 1);
        assert_eq!(decode(&golden::calls(0, &[]), Arch::X86_64).unwrap(), []);
    }

    #[test]
    fn a_call_on_an_open_file_has_its_path_from_the_root() {
        let call = only(Slot {
            data_kind: data_kind::COMPONENTS,
            flags: call_flag::TRUNCATED,
            data: b"app.log\0log\0var\0",
            ..OPENAT
        });
        let expected = Object::File { path: Text::from("var/log/app.log"), truncated: true };
        assert_eq!(call.object, expected);
    }

    #[test]
    fn a_call_on_a_socket_has_address_and_protocol() {
        let call = only(Slot {
            number: 55,
            errno: 111,
            data_kind: data_kind::ADDRESS,
            flags: call_flag::REPORTED,
            socket: 0x0601,
            data: &golden::sockaddr_in(5432, [10, 0, 0, 7]),
            ..OPENAT
        });
        assert_eq!(call.name, "getsockopt");
        assert_eq!(call.errno, Errno::ECONNREFUSED);
        assert_eq!(call.object, Object::Address(Address::Inet("10.0.0.7:5432".parse().unwrap())));
        assert_eq!(call.protocol, Some(Protocol::Tcp));
        assert!(call.reported);
    }

    #[test]
    fn a_malformed_dns_message_is_no_object() {
        let call = only(Slot { data_kind: data_kind::DNS, data: b"\x12\x34\x01", ..OPENAT });
        assert_eq!(call.object, Object::None);
    }

    #[test]
    fn a_slot_without_meaning_is_refused() {
        let bytes = golden::calls(1, &[Slot { data_kind: 5, ..OPENAT }]);
        assert_eq!(
            decode(&bytes, Arch::X86_64),
            Err(DecodeError::Value { record: "calls", field: "data_kind", value: 5 })
        );
        let mut bytes = golden::calls(1, &[OPENAT]);
        bytes[128 + 68..128 + 70].copy_from_slice(&169_u16.to_ne_bytes());
        assert_eq!(
            decode(&bytes, Arch::X86_64),
            Err(DecodeError::Bounds { record: "calls", field: "data_size", value: 169, most: 168 })
        );
    }
}

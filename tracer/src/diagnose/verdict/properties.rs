//! Whatever is recorded, in whatever order and with whatever gaps: a verdict with a sentence, evidence within the
//! timeline, no panic.

use proptest::prelude::*;

use crate::{
    capture::event::{Address, Disposition, Event, Lost, LostKind, Object, Stream, What},
    diagnose::timeline::Timeline,
    linux::{errno::Errno, signal::Signal},
};

use crate::diagnose::verdict::{Policy, incidents, scene::Scene, verdict};

/// Something of everything.
fn eventful() -> Vec<Event> {
    let (mut scene, shell) = Scene::running("/bin/sh -c server");
    let server = scene.runs(shell, "/app/server");
    let worker = scene.forks(server);
    let runc = scene.outsider("runc");
    scene.fails_at(server, "openat", "/etc/app.conf", Errno::ENOENT);
    scene.fails_at(server, "openat", "", Errno::EACCES);
    scene.fails_at(server, "openat", "/lib/libgone.so.1", Errno::ENOENT);
    scene.fails(server, "mmap", Errno::ENOMEM).fails(server, "clone3", Errno::EAGAIN);
    scene.fails_to(server, "connect", "10.0.0.1:53", Errno::EINPROGRESS);
    scene.call(server, "getsockopt", Errno::ECONNREFUSED, Object::None, [9, 0, 0, 0, 0]);
    scene.call(server, "connect", Errno::ECONNREFUSED, Object::Address(Address::Netlink), [9; 5]);
    scene.dns(server, "db", None).dns(server, "db", Some((3, 0))).dns(server, "", None);
    scene.binds(server, "udp 0.0.0.0:9443", None);
    scene.binds(server, "tcp 0.0.0.0:9443", Some(Errno::EADDRINUSE));
    scene.binds(server, "unix @abstract", Some(Errno::EADDRINUSE));
    scene.exec_fails(worker, "relative", Errno::ENOENT).exec_fails(worker, "", Errno::ENOEXEC);
    scene.says(server, "bind: address already in use\n\n").says(worker, "\u{fffd}");
    scene.words(worker, Stream::Init, "exec: \"");
    scene.oom(worker, &[(64, Some(64)), (u64::MAX >> 20, Some(u64::MAX >> 20))]).oom(worker, &[]);
    scene.faults(worker, Signal::SIGSEGV, 128, Some(u64::MAX)).dies(worker, Signal::SIGSEGV);
    scene.sends(&runc, server, Signal::SIGTERM, Disposition::Handled).threads(server, 3, "futex");
    scene.sends(&runc, server, Signal::SIGKILL, Disposition::Default).dies(server, Signal::SIGKILL);
    scene.add(server, What::Lost(Lost { of: LostKind::Bind, count: u64::MAX }));
    scene.add(server, What::CallsForgotten(9));
    scene.exits(shell, 137);
    scene.events
}

/// Which event, and what is done to it.
type Mutation = (prop::sample::Index, u8, u64);

fn mutate(events: &mut [Event], (index, kind, value): &Mutation) {
    let at = index.index(events.len());
    let other = (*value % events.len() as u64) as usize;
    match kind {
        0 => events[at].time_ns = *value,
        1 => events[at].process = events[other].process.clone(),
        2 => events[at].what = events[other].what.clone(),
        3 => events[at].process.parent_pid = events[other].process.id.pid,
        4 => events[at].process.id.start_ns = *value,
        5 => events[at].process.tracked = value % 2 == 0,
        6 => events.swap(at, other),
        7 => events[at].process.container_pid = (*value % 3) as u32,
        _ => {
            if let What::Exit(exit) = &mut events[at].what {
                exit.status.code = Some((*value % 256) as u8);
                exit.status.signal = None;
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_record_gets_a_sentence_whose_evidence_lies_in_its_timeline(
        kept in prop::collection::vec(any::<bool>(), 64),
        mutations in prop::collection::vec((any::<prop::sample::Index>(), 0..9_u8, any::<u64>()), 0..12),
        policy in prop::sample::select(vec![Policy::Always, Policy::OnFailure, Policy::Never]),
    ) {
        let mut events = eventful();
        for mutation in &mutations {
            mutate(&mut events, mutation);
        }
        let events: Vec<Event> =
            events.into_iter().zip(&kept).filter(|(_, kept)| **kept).map(|(event, _)| event).collect();
        let Ok(timeline) = Timeline::build(events) else { return Ok(()) };
        let facts = crate::diagnose::facts::Facts::default();
        let mut verdicts = incidents(&timeline, &facts);
        verdicts.push(verdict(&timeline, &facts, &policy.into()));
        for verdict in verdicts {
            prop_assert!(verdict.summary.len() > 10 && verdict.summary.ends_with('.'));
            prop_assert!(!verdict.summary.contains('\n'));
            prop_assert!(!verdict.next_step.is_empty());
            prop_assert!(!verdict.evidence.is_empty());
            for index in verdict.evidence.iter().flat_map(|it| &it.timeline) {
                prop_assert!(*index < timeline.entries.len());
            }
        }
    }

    #[test]
    fn the_order_in_which_events_arrive_does_not_matter(order in Just(eventful()).prop_shuffle()) {
        let facts = crate::diagnose::facts::Facts::default();
        let told = |events| Timeline::build(events).map(|it| verdict(&it, &facts, &Policy::Always.into()));
        prop_assert_eq!(told(order), told(eventful()));
    }
}

//! Tests of what is told, with crashes and a clock of their own.

use serde_json::Value;

use super::*;
use crate::node::kubernetes::events::notice::{Place, tests::notice};

const SECOND: Duration = Duration::from_secs(1);

/// An outbox and its time.
struct Told {
    outbox: Outbox,
    now: Instant,
}

impl Told {
    fn new() -> Self {
        let now = Instant::now();
        Self { outbox: Outbox::new(false, 0, now), now }
    }

    fn annotating() -> Self {
        let now = Instant::now();
        Self { outbox: Outbox::new(true, 0, now), now }
    }

    fn crash(&mut self, id: &str, cause: &str) {
        self.outbox.take(notice(id, cause), self.now);
    }

    fn take(&mut self, notice: Notice) {
        self.outbox.take(notice, self.now);
    }

    /// The next request, which fares so.
    fn send(&mut self, outcome: Outcome) -> Option<Request> {
        let (subject, request) = self.begin()?;
        self.outbox.done(subject, outcome, self.now);
        Some(request)
    }

    fn begin(&mut self) -> Option<(Subject, Request)> {
        match self.outbox.next(self.now) {
            Next::Send(subject, request) => Some((subject, request)),
            Next::Wait(_) => None,
        }
    }

    /// All that may be sent now, each taken.
    fn send_all(&mut self) -> Vec<Request> {
        std::iter::from_fn(|| self.send(Outcome::Done)).collect()
    }

    fn waits(&mut self) -> Option<Duration> {
        match self.outbox.next(self.now) {
            Next::Send(_, request) => panic!("it sends {request:?}"),
            Next::Wait(until) => until.map(|until| until - self.now),
        }
    }
}

fn body(request: &Request) -> &Value {
    match request {
        Request::CreateEvent { body, .. }
        | Request::PatchEvent { body, .. }
        | Request::AnnotatePod { body, .. } => body,
    }
}

fn count(request: &Request) -> u64 {
    body(request)["count"].as_u64().unwrap()
}

fn name(request: &Request) -> &str {
    match request {
        Request::CreateEvent { body, .. } => body["metadata"]["name"].as_str().unwrap(),
        Request::PatchEvent { name, .. } => name,
        Request::AnnotatePod { pod, .. } => pod,
    }
}

fn is_create(request: &Request) -> bool {
    matches!(request, Request::CreateEvent { .. })
}

fn revised(id: &str, cause: &str, summary: &str) -> Notice {
    Notice { revision: 2, summary: summary.to_owned(), ..notice(id, cause) }
}

#[test]
fn a_crash_loop_is_one_event_that_counts() {
    let mut told = Told::new();
    told.crash("a", "oom_killed");
    let first = told.send(Outcome::Done).unwrap();
    assert!(is_create(&first) && count(&first) == 1);
    for (id, times) in [("b", 2), ("c", 3)] {
        told.crash(id, "oom_killed");
        let next = told.send(Outcome::Done).unwrap();
        assert_eq!((is_create(&next), count(&next), name(&next)), (false, times, name(&first)));
        assert!(body(&next)["message"].as_str().unwrap().contains(&format!("{id} died")));
    }
    assert_eq!(told.waits(), None);
}

#[test]
fn another_cause_container_or_pod_is_another_event() {
    let mut told = Told::new();
    told.crash("a", "oom_killed");
    told.crash("b", "segfault");
    let place = notice("c", "segfault").place;
    let beside = Place { container: Some("sidecar".to_owned()), ..place.clone() };
    told.take(Notice { place: beside, ..notice("c", "segfault") });
    let replaced = Place { pod_uid: "uid-1".to_owned(), ..place };
    told.take(Notice { place: replaced, ..notice("d", "segfault") });
    let all = told.send_all();
    assert!(all.len() == 4 && all.iter().all(|one| is_create(one) && count(one) == 1), "{all:?}");
}

#[test]
fn an_end_that_is_no_crash_makes_no_event() {
    let mut told = Told::annotating();
    told.crash("a", "none");
    told.take(revised("b", "none", "Withdrawn."));
    assert_eq!(told.waits(), None);
}

#[test]
fn a_pod_is_told_of_so_often_and_what_is_held_back_is_told_later() {
    let mut told = Told::new();
    let mut sent = Vec::new();
    for crash in 0..40 {
        told.crash(&crash.to_string(), "abort");
        sent.extend(told.send_all());
    }
    assert_eq!(sent.len(), 25);
    assert_eq!(count(&sent[24]), 25);
    assert_eq!(told.waits(), Some(POD.every));
    told.now += POD.every;
    let late = told.send_all();
    assert_eq!((late.len(), count(&late[0])), (1, 40));
    assert!(body(&late[0])["message"].as_str().unwrap().contains("39 died"));
    assert_eq!(told.waits(), None);
}

#[test]
fn a_node_is_told_of_so_often_however_many_pods_it_has() {
    let mut told = Told::new();
    for pod in 0..60 {
        let place = Place { pod_uid: format!("uid-{pod}"), ..notice("a", "abort").place };
        told.take(Notice { place, ..notice(&pod.to_string(), "abort") });
    }
    assert_eq!(told.send_all().len(), 50);
    assert_eq!(told.waits(), Some(SECOND));
    for _ in 0..10 {
        told.now += SECOND;
        assert_eq!(told.send_all().len(), 1);
    }
    assert_eq!(told.waits(), None);
}

#[test]
fn a_pod_that_is_held_back_holds_no_other_back() {
    let mut told = Told::new();
    for crash in 0..30 {
        told.crash(&crash.to_string(), "abort");
        told.send_all();
    }
    let place = Place { pod_uid: "uid-1".to_owned(), ..notice("x", "abort").place };
    told.take(Notice { place, ..notice("x", "abort") });
    assert_eq!(told.send_all().len(), 1);
}

#[test]
fn an_event_that_is_gone_is_made_again_under_another_name() {
    let mut told = Told::new();
    told.crash("a", "abort");
    let first = told.send(Outcome::Done).unwrap();
    told.crash("b", "abort");
    assert!(!is_create(&told.send(Outcome::Gone).unwrap()));
    let again = told.send(Outcome::Done).unwrap();
    assert!(is_create(&again) && count(&again) == 2 && name(&again) != name(&first));
    assert_eq!(body(&again)["firstTimestamp"], body(&first)["firstTimestamp"]);
    assert_eq!(told.waits(), None);
}

#[test]
fn an_event_in_a_namespace_that_is_gone_is_given_up() {
    let mut told = Told::new();
    told.crash("a", "abort");
    told.send(Outcome::Gone).unwrap();
    assert_eq!(told.waits(), None);
    assert_eq!(told.outbox.take_dropped(), [Dropped::Gone]);
}

#[test]
fn an_event_whose_making_was_not_confirmed_is_patched() {
    let mut told = Told::new();
    told.crash("a", "abort");
    let first = told.send(Outcome::Failed).unwrap();
    told.now += SECOND;
    let again = told.send(Outcome::Exists).unwrap();
    assert_eq!(first, again);
    let patch = told.send(Outcome::Done).unwrap();
    assert!(!is_create(&patch) && name(&patch) == name(&first));
    assert_eq!(told.waits(), None);
}

#[test]
fn while_the_api_is_down_the_newest_state_alone_waits() {
    let mut told = Told::new();
    let mut tries = 0;
    for crash in 0..1000 {
        told.crash(&crash.to_string(), "abort");
        tries += usize::from(told.send(Outcome::Failed).is_some());
        told.now += SECOND;
    }
    // 1, 2, 4, 8, 16, 32 and then 60 s apart.
    assert_eq!(tries, 22);
    told.now += 60 * SECOND;
    let all = told.send_all();
    assert_eq!((all.len(), count(&all[0])), (1, 1000));
    assert_eq!(told.outbox.take_dropped(), []);
}

#[test]
fn what_failed_does_not_keep_others_waiting_for_long() {
    let mut told = Told::new();
    told.crash("a", "abort");
    told.crash("b", "segfault");
    let first = told.send(Outcome::Failed).unwrap();
    assert_eq!(told.waits(), Some(SECOND));
    told.now += SECOND;
    let second = told.send(Outcome::Done).unwrap();
    assert_ne!(first, second);
    assert_eq!(told.send(Outcome::Done), Some(first));
}

#[test]
fn what_the_api_never_takes_is_given_up() {
    let mut told = Told::new();
    told.crash("a", "abort");
    for _ in 0..=GIVEN_UP_AFTER.as_secs() {
        told.send(Outcome::Failed);
        told.now += SECOND;
    }
    told.now += REST_MAX;
    assert_eq!(told.waits(), None);
    assert_eq!(told.outbox.take_dropped(), [Dropped::GivenUp]);
    told.crash("b", "abort");
    assert!(is_create(&told.send(Outcome::Done).unwrap()));
}

#[test]
fn what_is_forbidden_or_refused_is_not_tried_again() {
    let mut told = Told::new();
    for (outcome, dropped) in
        [(Outcome::Forbidden, Dropped::Forbidden), (Outcome::Refused, Dropped::Refused)]
    {
        told.crash("a", "abort");
        told.send(outcome).unwrap();
        assert_eq!(told.waits(), None);
        assert_eq!(told.outbox.take_dropped(), [dropped]);
    }
}

#[test]
fn a_better_verdict_replaces_the_message_and_counts_once() {
    let mut told = Told::new();
    told.crash("a", "stopped_by_runtime");
    let first = told.send(Outcome::Done).unwrap();
    told.take(revised("a", "stopped_by_runtime", "The liveness probe failed."));
    let patch = told.send(Outcome::Done).unwrap();
    assert_eq!((count(&patch), name(&patch)), (1, name(&first)));
    assert!(body(&patch)["message"].as_str().unwrap().contains("liveness"));

    told.crash("b", "stopped_by_runtime");
    told.send(Outcome::Done).unwrap();
    told.take(revised("a", "stopped_by_runtime", "Too late."));
    assert_eq!(told.waits(), None);
}

#[test]
fn a_better_verdict_of_a_crash_that_could_not_be_told_is_told() {
    let mut told = Told::new();
    told.take(revised("a", "abort", "It has a name now."));
    let first = told.send(Outcome::Done).unwrap();
    assert!(is_create(&first) && count(&first) == 1);
}

#[test]
fn what_is_taken_back_is_said_or_never_told() {
    let mut told = Told::new();
    told.crash("a", "abort");
    told.take(revised("a", "none", "Withdrawn."));
    assert_eq!(told.waits(), None);

    told.crash("b", "abort");
    told.send(Outcome::Done).unwrap();
    told.take(revised("b", "none", "Withdrawn."));
    let patch = told.send(Outcome::Done).unwrap();
    assert_eq!((count(&patch), &body(&patch)["message"]), (1, &"no crash: Withdrawn.".into()));
    told.crash("c", "abort");
    assert_eq!(count(&told.send(Outcome::Done).unwrap()), 1);
}

#[test]
fn what_is_taken_back_while_it_is_sent_is_said() {
    let mut told = Told::new();
    told.crash("a", "abort");
    let (subject, _) = told.begin().unwrap();
    told.take(revised("a", "none", "Withdrawn."));
    told.outbox.done(subject, Outcome::Done, told.now);
    let patch = told.send(Outcome::Done).unwrap();
    assert_eq!(body(&patch)["message"], "no crash: Withdrawn.");
}

#[test]
fn what_comes_while_it_is_sent_is_sent_next() {
    let mut told = Told::new();
    told.crash("a", "abort");
    let (subject, _) = told.begin().unwrap();
    told.crash("b", "abort");
    told.outbox.done(subject, Outcome::Done, told.now);
    let patch = told.send(Outcome::Done).unwrap();
    assert!(!is_create(&patch) && count(&patch) == 2);
    assert_eq!(told.waits(), None);
}

#[test]
fn a_pod_is_annotated_with_its_last_crash_alone() {
    let mut told = Told::annotating();
    told.crash("a", "abort");
    told.crash("b", "segfault");
    let all = told.send_all();
    let annotations: Vec<_> =
        all.iter().filter(|one| matches!(one, Request::AnnotatePod { .. })).collect();
    assert_eq!((all.len(), annotations.len()), (3, 1));
    assert!(body(annotations[0]).to_string().contains("segfault"));
    told.take(revised("b", "none", "Withdrawn."));
    assert!(told.send_all().iter().any(|one| body(one).to_string().contains("null")));
}

#[test]
fn no_more_is_remembered_than_there_is_room_for() {
    let mut told = Told::new();
    let crash = |told: &mut Told, pod: usize| {
        let place = Place { pod_uid: format!("uid-{pod}"), ..notice("a", "abort").place };
        told.take(Notice { place, ..notice(&pod.to_string(), "abort") });
    };
    (0..=SUBJECTS).for_each(|pod| crash(&mut told, pod));
    assert_eq!(told.outbox.take_dropped(), [Dropped::Full]);
    told.send(Outcome::Done).unwrap();
    crash(&mut told, SUBJECTS + 1);
    assert_eq!(told.outbox.take_dropped(), []);
    assert_eq!((told.outbox.items.len(), told.outbox.queue.len()), (SUBJECTS, SUBJECTS));
    told.now += SUBJECTS as u32 * SECOND;
    told.outbox.stop();
    for pod in 0..PACES + 9 {
        crash(&mut told, pod);
        told.send_all();
        told.now += SECOND / 9;
    }
    assert!(told.outbox.items.len() <= SUBJECTS && told.outbox.paces.len() <= PACES);
}

#[test]
fn what_waits_at_the_end_is_counted() {
    let mut told = Told::new();
    told.crash("a", "abort");
    told.crash("b", "segfault");
    told.outbox.stop();
    assert_eq!(told.outbox.take_dropped(), [Dropped::Stopped; 2]);
}

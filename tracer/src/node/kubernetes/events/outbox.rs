//! Which request tells the API of crashes now: those of one cause in one container are one Event, of each the newest state
//! alone waits, and only so many are sent. It must not do I/O or know the clock: crashes and times are passed in.

use std::{
    collections::{HashMap, VecDeque},
    time::{Duration, Instant},
};

use super::{
    notice::Notice,
    pace::{Limit, Pace},
    request::{Request, Tally, event_name},
};
use crate::node::kubernetes::annotate::annotate;

/// Of Events of one pod, and of its annotations: as client-go's recorder has it (tools/record/events_cache.go).
pub const POD: Limit = Limit { burst: 25, every: Duration::from_secs(300) };
/// Of all requests of this node.
pub const NODE: Limit = Limit { burst: 50, every: Duration::from_secs(1) };
/// Subjects that are remembered at once.
pub const SUBJECTS: usize = 1024;
/// Pods whose pace is remembered at once.
const PACES: usize = 2 * SUBJECTS;
/// An API that does not take something is left alone for so long, twice as long each time.
const REST_MIN: Duration = Duration::from_secs(1);
const REST_MAX: Duration = Duration::from_secs(60);
/// What the API did not take for so long is given up: an Event does not live longer.
pub const GIVEN_UP_AFTER: Duration = Duration::from_secs(3600);
/// Crashes that one Event told of and that may still be revised.
const REVISABLE: usize = 16;

/// What a request is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Subject {
    pod_uid: String,
    about: About,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum About {
    /// Crashes of this cause.
    Event {
        container: Option<String>,
        cause: String,
    },
    Annotation,
}

/// How a request fared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Done,
    /// There is no such object, or no such namespace.
    Gone,
    /// An Event of this name is there: ours, of a request whose answer was lost.
    Exists,
    /// The permission is missing.
    Forbidden,
    /// It would never be taken.
    Refused,
    /// Maybe later.
    Failed,
}

/// Why the API was not told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dropped {
    /// More waited than there is room for.
    Full,
    /// Pod or namespace are gone.
    Gone,
    Forbidden,
    Refused,
    /// The API did not take it for too long.
    GivenUp,
    /// The agent ended before.
    Stopped,
}

/// What to do next.
#[derive(Debug, PartialEq)]
pub enum Next {
    Send(Subject, Request),
    /// Nothing before this time.
    Wait(Option<Instant>),
}

#[derive(Debug)]
pub struct Outbox {
    annotates: bool,
    items: HashMap<Subject, Item>,
    /// Those with something to tell, once each.
    queue: VecDeque<Subject>,
    /// By the pod's uid.
    paces: HashMap<String, Paces>,
    node: Pace,
    rest: Duration,
    resting_until: Option<Instant>,
    unique: u64,
    dropped: Vec<Dropped>,
}

/// Of one pod.
#[derive(Debug)]
struct Paces {
    events: Pace,
    annotations: Pace,
}

#[derive(Debug)]
struct Item {
    newest: Notice,
    since: Instant,
    is_queued: bool,
    is_tried: bool,
    /// Of an Event.
    event: Option<Event>,
}

#[derive(Debug)]
struct Event {
    tally: Tally,
    is_there: bool,
    /// Ids of its last crashes.
    told: VecDeque<String>,
}

impl Outbox {
    /// `unique`: a number that no earlier agent used, such as the time in nanoseconds. Names are counted up from it.
    pub fn new(annotates: bool, unique: u64, now: Instant) -> Self {
        Self {
            annotates,
            items: HashMap::new(),
            queue: VecDeque::new(),
            paces: HashMap::new(),
            node: Pace::new(NODE, now),
            rest: Duration::ZERO,
            resting_until: None,
            unique,
            dropped: Vec::new(),
        }
    }

    /// Takes a crash, or what became of one. An end that is none is not told.
    pub fn take(&mut self, notice: Notice, now: Instant) {
        if notice.revision > 1 && self.revise(&notice, now) || notice.is_none() {
            return;
        }
        let place = &notice.place;
        let cause = notice.cause.clone();
        let about = About::Event { container: place.container.clone(), cause };
        let subject = Subject { pod_uid: place.pod_uid.clone(), about };
        if self.annotates {
            let annotation = Subject { about: About::Annotation, ..subject.clone() };
            self.put(annotation, notice.clone(), now);
        }
        self.put(subject, notice, now);
    }

    /// The next request that may be sent now.
    pub fn next(&mut self, now: Instant) -> Next {
        if let Some(until) = self.resting_until.filter(|until| *until > now) {
            return Next::Wait(Some(until));
        }
        self.give_up(now);
        let waits = self.queue.iter().enumerate();
        let soonest = waits.map(|(index, subject)| (self.wait(subject, now), index)).min();
        let Some((wait, index)) = soonest else { return Next::Wait(None) };
        let wait = wait.max(self.node.wait(now));
        if !wait.is_zero() {
            return Next::Wait(Some(now + wait));
        }
        let subject = self.queue.remove(index).expect("the index is that of a queued subject");
        self.pace_of(&subject, now).take(now);
        self.node.take(now);
        let item = self.items.get_mut(&subject).expect("what is queued is an item");
        item.is_queued = false;
        item.is_tried = true;
        let place = &item.newest.place;
        let request = match &item.event {
            None => annotate(&item.newest),
            Some(event) if event.is_there => event.tally.patch(place, &item.newest),
            Some(event) => event.tally.create(place, &item.newest),
        };
        Next::Send(subject, request)
    }

    /// Takes how the last request fared.
    pub fn done(&mut self, subject: Subject, outcome: Outcome, now: Instant) {
        if outcome == Outcome::Failed {
            self.rest = (self.rest * 2).clamp(REST_MIN, REST_MAX);
            self.resting_until = Some(now + self.rest);
            self.node.give_back();
            self.pace_of(&subject, now).give_back();
        } else {
            self.hurry();
        }
        let unique = self.unique + 1;
        let Some(item) = self.items.get_mut(&subject) else { return };
        match (outcome, &mut item.event) {
            (Outcome::Done, event) => {
                if let Some(event) = event {
                    event.is_there = true;
                }
            }
            (Outcome::Failed, _) => self.queue(subject),
            (Outcome::Exists, Some(event)) => {
                event.is_there = true;
                self.queue(subject);
            }
            // It lives an hour only: it is told anew.
            (Outcome::Gone, Some(event)) if event.is_there => {
                event.is_there = false;
                event.tally.name = event_name(&item.newest.place.pod, unique);
                self.unique = unique;
                self.queue(subject);
            }
            (Outcome::Gone | Outcome::Exists, _) => self.drop_item(&subject, Dropped::Gone),
            (Outcome::Forbidden, _) => self.dropped.push(Dropped::Forbidden),
            (Outcome::Refused, _) => self.drop_item(&subject, Dropped::Refused),
        }
    }

    /// Tries at once what failed before.
    pub fn hurry(&mut self) {
        self.rest = Duration::ZERO;
        self.resting_until = None;
    }

    /// Gives up whatever waits.
    pub fn stop(&mut self) {
        while let Some(subject) = self.queue.pop_front() {
            if let Some(item) = self.items.get_mut(&subject) {
                item.is_queued = false;
            }
            self.dropped.push(Dropped::Stopped);
        }
    }

    /// What was given up since the last time.
    pub fn take_dropped(&mut self) -> Vec<Dropped> {
        std::mem::take(&mut self.dropped)
    }

    /// Another crash of the subject.
    fn put(&mut self, subject: Subject, newest: Notice, now: Instant) {
        if !self.items.contains_key(&subject) && !self.make_room() {
            return self.dropped.push(Dropped::Full);
        }
        self.unique += 1;
        let name = || event_name(&newest.place.pod, self.unique);
        let event = (subject.about != About::Annotation).then(|| Event {
            tally: Tally { name: name(), count: 0, first: newest.seconds() },
            is_there: false,
            told: VecDeque::new(),
        });
        let new =
            Item { newest: newest.clone(), since: now, is_queued: false, is_tried: false, event };
        let item = self.items.entry(subject.clone()).or_insert(new);
        if let Some(event) = &mut item.event {
            event.tally.count = event.tally.count.saturating_add(1);
            if event.told.len() == REVISABLE {
                event.told.pop_front();
            }
            event.told.push_back(newest.id.clone());
        }
        item.newest = newest;
        item.since = now;
        self.queue(subject);
    }

    /// Corrects what was told of a crash. Returns whether it was told.
    fn revise(&mut self, notice: &Notice, now: Instant) -> bool {
        let mut known = false;
        let (mut changed, mut needless) = (Vec::new(), Vec::new());
        let of_pod = |subject: &Subject| subject.pod_uid == notice.place.pod_uid;
        for (subject, item) in self.items.iter_mut().filter(|(subject, _)| of_pod(subject)) {
            let is_newest = item.newest.id == notice.id;
            let mut changes = is_newest;
            if let Some(event) = &mut item.event
                && event.told.contains(&notice.id)
            {
                known = true;
                if notice.is_none() {
                    event.told.retain(|id| *id != notice.id);
                    event.tally.count = event.tally.count.saturating_sub(1);
                    changes = true;
                }
            }
            if is_newest {
                item.newest = notice.clone();
            }
            let tells =
                item.event.as_ref().map_or(!notice.is_none(), |event| event.tally.count > 0);
            if is_newest && !tells && !item.is_tried {
                needless.push(subject.clone());
            }
            if changes {
                item.since = now;
                changed.push(subject.clone());
            }
        }
        changed.into_iter().for_each(|subject| self.queue(subject));
        needless.iter().for_each(|subject| self.forget(subject));
        known
    }

    fn queue(&mut self, subject: Subject) {
        let Some(item) = self.items.get_mut(&subject) else { return };
        if !std::mem::replace(&mut item.is_queued, true) {
            self.queue.push_back(subject);
        }
    }

    /// Forgets the oldest that was told, where there is no room for another. Returns whether there is room now.
    fn make_room(&mut self) -> bool {
        if self.items.len() < SUBJECTS {
            return true;
        }
        let told = self.items.iter().filter(|(_, item)| !item.is_queued);
        let oldest = told.min_by_key(|(_, item)| item.since).map(|(subject, _)| subject.clone());
        oldest.is_some_and(|subject| self.items.remove(&subject).is_some())
    }

    fn give_up(&mut self, now: Instant) {
        let old = |subject: &&Subject| {
            let item = self.items.get(*subject);
            item.is_none_or(|item| now.saturating_duration_since(item.since) > GIVEN_UP_AFTER)
        };
        let old: Vec<Subject> = self.queue.iter().filter(old).cloned().collect();
        old.iter().for_each(|subject| self.drop_item(subject, Dropped::GivenUp));
    }

    fn drop_item(&mut self, subject: &Subject, why: Dropped) {
        self.forget(subject);
        self.dropped.push(why);
    }

    fn forget(&mut self, subject: &Subject) {
        self.items.remove(subject);
        self.queue.retain(|queued| queued != subject);
    }

    fn pace_of(&mut self, subject: &Subject, now: Instant) -> &mut Pace {
        let uid = &subject.pod_uid;
        if self.paces.len() >= PACES && !self.paces.contains_key(uid) {
            self.paces.retain(|_, paces| !paces.are_full(now));
            let one = self.paces.keys().next().cloned();
            if let Some(one) = one.filter(|_| self.paces.len() >= PACES) {
                self.paces.remove(&one);
            }
        }
        let new = || Paces { events: Pace::new(POD, now), annotations: Pace::new(POD, now) };
        let paces = self.paces.entry(uid.clone()).or_insert_with(new);
        match subject.about {
            About::Event { .. } => &mut paces.events,
            About::Annotation => &mut paces.annotations,
        }
    }

    fn wait(&self, subject: &Subject, now: Instant) -> Duration {
        let paces = self.paces.get(&subject.pod_uid);
        paces.map_or(Duration::ZERO, |paces| match subject.about {
            About::Event { .. } => paces.events.wait(now),
            About::Annotation => paces.annotations.wait(now),
        })
    }
}

impl Paces {
    fn are_full(&self, now: Instant) -> bool {
        self.events.is_full(now) && self.annotations.is_full(now)
    }
}

#[cfg(test)]
#[path = "outbox_tests.rs"]
mod tests;

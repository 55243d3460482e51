//! What programs try in vain is no cause: failing calls of other deaths, which no verdict there cites, are put into every
//! recorded death, before and after what it died of, and no cause may change. It must not know any rule.
#![allow(clippy::unwrap_used, reason = "a broken recording must fail the test where it is broken")]

mod recorded;

use recorded::Recorded;
use tracer::{
    event::{Event, What},
    facts::Facts,
    timeline::Timeline,
    verdict::{Cause, Terms, Verdict, verdict},
};

/// Failing calls of one process, none of them cited by the verdict on its death.
struct Noise {
    of: String,
    calls: Vec<Event>,
    facts: Facts,
}

/// Where noise is put.
#[derive(Clone, Copy, Debug)]
enum Place {
    /// Right after the blamed process began.
    Begin,
    /// Right before its last words, or its end where it had none.
    End,
}

fn noises(deaths: &[Recorded]) -> Vec<Noise> {
    let mut noises = Vec::new();
    for death in deaths {
        let told = death.verdict();
        let cited = |index: &usize| told.evidence.iter().any(|it| it.timeline.contains(index));
        let entries = death.timeline.entries.iter().enumerate();
        let calls: Vec<Event> = entries
            .filter(|(index, event)| {
                matches!(event.what, What::Call(_)) && event.process.id == told.blamed && !cited(index)
            })
            .map(|(_, event)| event.clone())
            .collect();
        if !calls.is_empty() {
            noises.push(Noise { of: death.name.clone(), calls, facts: death.facts.clone() });
        }
    }
    noises
}

fn without_words(death: &Recorded) -> Vec<Event> {
    let is_output = |it: &Event| !it.process.runtime_init && matches!(it.what, What::Words(_));
    death.timeline.entries.iter().filter(|it| !is_output(it)).cloned().collect()
}

/// The same life, in which the blamed process tried all this in vain, too.
fn with_noise(events: &[Event], facts: &Facts, told: &Verdict, noise: &Noise, place: Place) -> Option<Verdict> {
    let own = |event: &&Event| event.process.id == told.blamed;
    let at = match place {
        Place::Begin => {
            let begun = |it: &&Event| matches!(it.what, What::Exec(_) | What::Fork(_) | What::Found(_));
            events.iter().filter(own).rfind(begun)?.time_ns + 1
        }
        Place::End => {
            let ends = |it: &&Event| matches!(it.what, What::Exit(_) | What::Words(_));
            events.iter().filter(own).find(ends)?.time_ns - 1
        }
    };
    let process = events.iter().filter(own).next_back()?.process.clone();
    let mut events = events.to_vec();
    for (index, call) in noise.calls.iter().enumerate() {
        let What::Call(mut tried) = call.what.clone() else { continue };
        tried.seq = 1_000_000 + u32::try_from(index).unwrap();
        let what = What::Call(tried);
        events.push(Event { time_ns: at, cgroup: events[0].cgroup, process: process.clone(), what });
    }
    let mut facts = facts.clone();
    for fact in &noise.facts.paths {
        if !facts.paths.iter().any(|it| it.path == fact.path) {
            facts.paths.push(fact.clone());
        }
    }
    let timeline = Timeline::build(events).ok()?;
    Some(verdict(&timeline, &facts, &Terms::default()))
}

fn no_cause_changes(place: Place, words: bool) {
    let deaths = recorded::all();
    let noises = noises(&deaths);
    let mut wrong = Vec::new();
    for (nth, death) in deaths.iter().enumerate() {
        let events = if words { death.timeline.entries.clone() } else { without_words(death) };
        let Some(told) = death.judged(events.clone()) else { continue };
        if told.cause == Cause::None {
            continue;
        }
        // Noise of all deaths in turn, so that a run takes seconds.
        for step in 1..=5 {
            let noise = &noises[(nth + step * 7) % noises.len()];
            if noise.of == death.name {
                continue;
            }
            let Some(other) = with_noise(&events, &death.facts, &told, noise, place) else { continue };
            if other.cause != told.cause {
                wrong.push(format!("{}: {} becomes {} by what {} tried: {}", death.name, told.cause.name(), other.cause.name(), noise.of, other.summary));
            }
        }
    }
    assert!(wrong.is_empty(), "{} change their cause:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn noise_at_the_beginning_is_no_cause() {
    no_cause_changes(Place::Begin, true);
}

#[test]
fn noise_at_the_beginning_is_no_cause_of_a_silent_death() {
    no_cause_changes(Place::Begin, false);
}

#[test]
fn noise_before_the_last_words_is_no_cause() {
    no_cause_changes(Place::End, true);
}

#[test]
fn noise_before_a_silent_end_is_no_cause() {
    no_cause_changes(Place::End, false);
}

//! What programs try in vain is no cause: failing calls of deaths that are known not to be their doing are put into every
//! recorded death, before and after what it died of, and no cause may change. It must not know any rule.

use crate::deaths::{self, Recorded, check};
use tests::wild::families;
use tracer::{
    capture::event::{Event, What},
    diagnose::{
        facts::Facts,
        timeline::Timeline,
        verdict::{Cause, Confidence, Terms, Verdict, verdict},
    },
};

/// Failing calls of one process that are not why it died.
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

/// What deaths of the wild set tried in vain that are known, from whoever wrote them down, not to be caused by any of it.
fn noises(deaths: &[Recorded]) -> Vec<Noise> {
    let families = families().unwrap();
    let answers = families.iter().flat_map(|family| &family.deaths);
    let innocent = answers.filter(|answer| answer.innocent);
    let mut noises = Vec::new();
    for answer in innocent {
        let Some(death) = deaths.iter().find(|death| death.name == answer.name) else { continue };
        let blamed = death.verdict().blamed;
        let is_call = |it: &&Event| it.process.id == blamed && matches!(it.what, What::Call(_));
        let calls: Vec<Event> = death.timeline.entries.iter().filter(is_call).cloned().collect();
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
fn with_noise(
    events: &[Event],
    facts: &Facts,
    told: &Verdict,
    noise: &Noise,
    place: Place,
) -> Option<Verdict> {
    let own = |event: &&Event| event.process.id == told.blamed;
    let at = match place {
        Place::Begin => {
            let begun =
                |it: &&Event| matches!(it.what, What::Exec(_) | What::Fork(_) | What::Found(_));
            events.iter().filter(own).rfind(begun)?.time_ns + 1
        }
        Place::End => {
            let ends = |it: &&Event| matches!(it.what, What::Exit(_) | What::Words(_));
            events.iter().filter(own).find(ends)?.time_ns - 1
        }
    };
    let process = events.iter().rfind(own)?.process.clone();
    let mut events = events.to_vec();
    for (index, call) in noise.calls.iter().enumerate() {
        let What::Call(mut tried) = call.what.clone() else { continue };
        tried.seq = 1_000_000 + u32::try_from(index).unwrap();
        let what = What::Call(tried);
        events.push(Event {
            time_ns: at,
            cgroup: events[0].cgroup,
            process: process.clone(),
            what,
        });
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

/// A number that hangs on two names alone (FNV-1a), so that one recording more changes few pairs.
fn drawn(one: &str, other: &str) -> u64 {
    let bytes = one.bytes().chain([0]).chain(other.bytes());
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// What changed of every recorded death by noise of a few others, drawn by their names, so that a run takes seconds.
fn changed(
    place: Place,
    words: bool,
    is_wrong: impl Fn(&Verdict, &Verdict) -> bool + Sync,
) -> Vec<String> {
    const OTHERS: usize = 5;
    let noises = noises(deaths::all());
    deaths::each(|death| {
        let mut wrong = Vec::new();
        let events = if words { death.timeline.entries.clone() } else { without_words(death) };
        let Some(told) = death.judged(events.clone()) else { return wrong };
        if words && !has_words(&events, &told) {
            return wrong;
        }
        let mut others: Vec<&Noise> = noises.iter().filter(|it| it.of != death.name).collect();
        others.sort_by_key(|it| drawn(&death.name, &it.of));
        for noise in others.into_iter().take(OTHERS) {
            let other = with_noise(&events, &death.facts, &told, noise, place);
            if let Some(other) = other.filter(|other| is_wrong(&told, other)) {
                wrong.push(format!(
                    "{}: {} becomes {} ({}) by what {} tried: {}",
                    death.name,
                    told.cause.name(),
                    other.cause.name(),
                    other.confidence.name(),
                    noise.of,
                    other.summary
                ));
            }
        }
        wrong
    })
}

fn has_words(events: &[Event], told: &Verdict) -> bool {
    let is_said = |it: &Event| matches!(&it.what, What::Words(words) if words.total_bytes > 0);
    events.iter().any(|it| it.process.id == told.blamed && is_said(it))
}

fn has_another_cause(told: &Verdict, other: &Verdict) -> bool {
    other.cause != told.cause
}

/// Nobody can tell a silent program's last failing call from its reason: it may be called likely, never proven.
fn has_another_cause_proven(told: &Verdict, other: &Verdict) -> bool {
    other.cause != told.cause
        && other.confidence == Confidence::Proven
        && other.cause != Cause::ExitedWithError
}

/// What still changes, by the name of the death; these lists only shrink.
const AT_THE_BEGINNING: &[&str] = &[
    "certificate_of_tomorrow_and_a_silent_client",
    "curl_times_out",
    "elixir_match_error_names_no_file",
    "mosquitto_persistence_file_is_something_else",
    "sudo_under_no_new_privileges",
];
const BEFORE_THE_LAST_WORDS: &[&str] = &[
    "connect_never_back",
    "crun_without_x_bit",
    "curl_times_out",
    "elixir_match_error_names_no_file",
    "monit_config_open_to_all",
    "mosquitto_persistence_file_is_something_else",
    "sudo_under_no_new_privileges",
    "wait_for_unix_socket_gives_up",
];
const OF_A_SILENT_DEATH: &[&str] = &[];
const BEFORE_A_SILENT_END: &[&str] = &[];

#[test]
fn noise_at_the_beginning_is_no_cause() {
    check(&changed(Place::Begin, true, has_another_cause), AT_THE_BEGINNING);
}

#[test]
fn noise_before_the_last_words_is_no_cause() {
    check(&changed(Place::End, true, has_another_cause), BEFORE_THE_LAST_WORDS);
}

#[test]
fn noise_at_the_beginning_proves_nothing_of_a_silent_death() {
    check(&changed(Place::Begin, false, has_another_cause_proven), OF_A_SILENT_DEATH);
}

#[test]
fn noise_before_a_silent_end_proves_nothing() {
    check(&changed(Place::End, false, has_another_cause_proven), BEFORE_A_SILENT_END);
}

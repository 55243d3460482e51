//! A verdict stands on the evidence that it cites, and on nothing else: over all recorded deaths, what it cites is taken
//! away, then all the rest, entry by entry. It must not know any rule.

use std::collections::BTreeSet;

use crate::deaths::{self, Recorded, check};
use tracer::{
    capture::event::{Event, What},
    diagnose::verdict::{Cause, Confidence, Verdict},
};

fn cited(verdict: &Verdict) -> BTreeSet<usize> {
    verdict.evidence.iter().flat_map(|evidence| evidence.timeline.iter().copied()).collect()
}

/// What tells who there was and how it ended: without it there is no life to judge.
fn is_structure(event: &Event) -> bool {
    match &event.what {
        What::Exec(_) | What::Fork(_) | What::Exit(_) | What::Cgroup(_) | What::Found(_) => true,
        What::ExecFailed(_)
        | What::Signal(_)
        | What::Threads(_)
        | What::Oom(_)
        | What::Bind(_)
        | What::Call(_)
        | What::CallsForgotten(_)
        | What::Words(_)
        | What::Lost(_) => false,
    }
}

/// Whether two entries tell of the same failure, one attempt after the other.
fn are_alike(a: &Event, b: &Event) -> bool {
    match (&a.what, &b.what) {
        (What::Call(a), What::Call(b)) => {
            a.name == b.name && a.errno == b.errno && a.object == b.object
        }
        (What::Bind(a), What::Bind(b)) => a == b,
        (What::ExecFailed(a), What::ExecFailed(b)) => a.path == b.path,
        _ => false,
    }
}

fn without(death: &Recorded, gone: impl Fn(usize, &Event) -> bool) -> Option<Verdict> {
    let entries = death.timeline.entries.iter().enumerate();
    let kept =
        entries.filter(|(index, event)| !gone(*index, event)).map(|(_, event)| event.clone());
    death.judged(kept.collect())
}

/// Causes that tell how a life ended: the end alone proves them, evidence only says more of it.
fn tells_the_end(cause: Cause) -> bool {
    matches!(
        cause,
        Cause::ExitedWithError | Cause::ExitedByItself | Cause::KilledBySignal | Cause::None
    )
}

/// Deaths whose verdict stands without what it cites, as long as that is not mended.
const STANDING: &[&str] = &[
    "bash_read_without_line_end_is_silent",
    "beanstalkd_port_taken",
    "chronic_job_names_its_reason",
    "dirty_tree_ends_a_release_silently",
    "git_hook_says_no_without_a_word",
    "mountpoint_is_silent",
    "npm_run_all_lint_fails",
    "python_silent_exit_3",
    "spawn_fcgi_socket_folder_missing",
    "tcsh_undefined_variable",
    "v8_is_told_of_more_stack_than_there_is",
];

#[test]
fn without_what_it_cites_a_verdict_falls_or_changes() {
    let wrong = deaths::each(|death| {
        let told = death.verdict();
        let cited = cited(&told);
        let entries = &death.timeline.entries;
        let decisive: Vec<&Event> =
            cited.iter().map(|index| &entries[*index]).filter(|it| !is_structure(it)).collect();
        // A silent end is all that is known of some.
        if decisive.iter().all(|it| matches!(it.what, What::Words(_) | What::CallsForgotten(_)))
            && decisive.iter().all(|it| !says_something(it))
        {
            return Vec::new();
        }
        let is_gone = |_: usize, event: &Event| {
            decisive.iter().any(|it| *it == event || are_alike(it, event))
        };
        let Some(other) = without(death, is_gone) else { return Vec::new() };
        let stands = other.cause == told.cause
            && if tells_the_end(told.cause) {
                (other.confidence, &other.summary) == (told.confidence, &told.summary)
            } else {
                other.confidence == Confidence::Proven
            };
        let line = || format!("{}: {}: {}", death.name, told.cause.name(), other.summary);
        stands.then(line).into_iter().collect()
    });
    check(&wrong, STANDING);
}

fn says_something(event: &Event) -> bool {
    matches!(&event.what, What::Words(words) if words.total_bytes > 0)
}

/// Entries of one death that are taken away alone; more would take minutes.
const SAMPLES: usize = 24;

/// Deaths whose cause hangs on what is not cited, as long as that is not mended.
const HANGING: &[&str] = &[
    "bind_retried",
    "dirty_tree_ends_a_release_silently",
    "mini_httpd_folder_missing",
    "mini_httpd_goes_to_background",
    "name_known_by_one_family",
    "node_process_exit_silent",
    "perl_token_is_a_folder_the_runtime_made",
    "three_workers_one_denied_the_others_wait_for_a_broker",
    "timeout_child_fails_itself",
];

#[test]
fn without_anything_else_the_cause_stays() {
    let wrong = deaths::each(|death| {
        let mut wrong = Vec::new();
        let told = death.verdict();
        let cited = cited(&told);
        let others: Vec<usize> = (0..death.timeline.entries.len())
            .filter(|it| !cited.contains(it) && !is_structure(&death.timeline.entries[*it]))
            .collect();
        let mut taken: Vec<BTreeSet<usize>> =
            samples(&others).map(|index| BTreeSet::from([index])).collect();
        // And every second, the first half, the second half, all.
        taken.push(others.iter().copied().step_by(2).collect());
        let (first, second) = others.split_at(others.len() / 2);
        taken.extend([first, second, &others].map(|part| part.iter().copied().collect()));
        for taken in taken {
            let Some(other) = without(death, |index, _| taken.contains(&index)) else { continue };
            if other.cause != told.cause {
                wrong.push(format!(
                    "{}: {} becomes {} without {}: {}",
                    death.name,
                    told.cause.name(),
                    other.cause.name(),
                    shown(death, &taken),
                    other.summary
                ));
            }
        }
        wrong
    });
    check(&wrong, HANGING);
}

/// The last ones, which lie nearest to the end, and some of all before.
fn samples(others: &[usize]) -> impl Iterator<Item = usize> {
    let (early, late) = others.split_at(others.len().saturating_sub(SAMPLES / 2));
    let step = (early.len() / (SAMPLES / 2)).max(1);
    early.iter().step_by(step).chain(late).copied()
}

fn shown(death: &Recorded, taken: &BTreeSet<usize>) -> String {
    match taken.first() {
        Some(index) if taken.len() == 1 => format!("{:?}", death.timeline.entries[*index].what),
        _ => format!("{} entries", taken.len()),
    }
}

//! Which lines of what was said are quoted: the most telling one first, then up to three more. It must not know failed
//! calls.

use super::{
    loggers,
    phrases::goes_on,
    reading::{Kind, Reading},
    roles::{self, Role},
    said::Line,
};

/// Longest quotation, in characters.
const QUOTE_MAX: usize = 300;
const LINES_MAX: usize = 4;

/// Lines to quote, and how much they tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::diagnose::verdict) struct Quote {
    pub text: String,
    pub worth: u8,
}

pub(in crate::diagnose::verdict) fn quote(
    lines: &[Line],
    reading: Option<&Reading>,
) -> Option<Quote> {
    let roles = roles::roles(lines);
    let (order, worth) =
        match reading.filter(|it| it.kind != Kind::ErrorLine || it.root_cause.is_some()) {
            Some(reading) if reading.kind != Kind::FatalLine && !reading.telling.is_empty() => {
                let worth = if reading.ended_it() { roles::FATAL * 2 } else { roles::ERROR };
                (told(lines, &roles, reading), worth)
            }
            _ => match said(lines, &roles) {
                Some(said) => said,
                None => return calls_alone(&roles),
            },
        };
    let text = joined(lines, &order);
    // How a program is used is no reason by itself.
    let usage = order.first().is_some_and(|at| roles[*at] == Role::Usage);
    let text = if usage { format!("(a usage text alone) {text}") } else { text };
    (!text.is_empty()).then_some(Quote { text, worth })
}

/// Both, as far as they fit.
pub(in crate::diagnose::verdict) fn followed(text: &str, later: &str) -> String {
    let fits = text.chars().count() + later.chars().count() <= QUOTE_MAX;
    if fits { format!("{text} / {later}") } else { text.to_owned() }
}

/// One line, cut where it is longer than a quotation.
pub(in crate::diagnose::verdict) fn one(line: &Line) -> String {
    joined(std::slice::from_ref(line), &[0])
}

/// What a reading found, then what was said beside it.
fn told(lines: &[Line], roles: &[Role], reading: &Reading) -> Vec<usize> {
    let mut order = reading.telling.clone();
    let mut seen = std::collections::HashSet::new();
    order.retain(|at| {
        *at < lines.len() && !lines[*at].is_blank() && roles[*at] != Role::Hint && seen.insert(*at)
    });
    // A complaint that was logged right above an exception tells what the program was about.
    let first = order.iter().copied().min().unwrap_or_default();
    let above =
        (0..first).rev().find(|at| matches!(roles[*at], Role::Said(it) if it >= roles::ERROR));
    let reason = |at: &usize| {
        let vague = || roles::is_vague(&lines[*at].trimmed().to_lowercase());
        matches!(roles[*at], Role::Said(it) if it >= roles::COMPLAINT) && !vague()
    };
    let after = (reading.last + 1..lines.len()).find(reason);
    match after {
        // After a report, it is why the program ended.
        Some(after) if !reading.ended_it() => order.insert(0, after),
        _ => order.extend(after),
    }
    order.extend(above.filter(|at| !order.contains(at)));
    order
}

fn said(lines: &[Line], roles: &[Role]) -> Option<(Vec<usize>, u8)> {
    let mut spoken: Vec<(usize, u8)> = roles
        .iter()
        .enumerate()
        .filter_map(|(at, role)| match role {
            Role::Said(worth) => Some((at, *worth)),
            Role::Blank | Role::Frame | Role::Usage | Role::Hint => None,
        })
        .collect();
    // Of a line whose beginning is lost one cannot tell what it meant.
    let trace = roles.contains(&Role::Frame);
    if trace || spoken.iter().any(|(at, _)| !lines[*at].cut) {
        spoken.retain(|(at, _)| !lines[*at].cut);
    }
    let Some((first, worth)) = spoken.iter().copied().max_by_key(|(at, worth)| (*worth, *at))
    else {
        return hints(lines, roles);
    };
    if worth < roles::COMPLAINT {
        // No line complains: the last ones that are not mere chatter, as they came.
        let telling: Vec<usize> = spoken.iter().filter(|it| it.1 == worth).map(|it| it.0).collect();
        let from = telling.len().saturating_sub(LINES_MAX);
        return Some((telling[from..].to_vec(), worth));
    }
    let mut below: Vec<(usize, u8)> = spoken.clone();
    below.retain(|(at, worth)| *at > first && *worth >= roles::PLAIN);
    let complains = |worth: u8| worth >= roles::COMPLAINT - 2;
    // Where there is not room for all, what complains tells more than what was said beside it.
    if below.len() >= LINES_MAX && below.iter().any(|it| complains(it.1)) {
        below.retain(|it| complains(it.1));
    }
    let above = spoken.iter().rev().filter(|(at, worth)| *at < first && *worth >= roles::COMPLAINT);
    // A warning right above tells what the complaint is about.
    let warned = spoken
        .iter()
        .rev()
        .find(|(at, _)| *at < first)
        .filter(|(_, worth)| (roles::WARNING..roles::PLAIN).contains(worth));
    // `error: these are missing:` has them below, though they look like options.
    let opened = lines[first].text.ends_with(':').then_some(first + 1);
    let opened = opened.filter(|at| roles.get(*at) == Some(&Role::Usage));
    let more = below.iter().chain(above).chain(warned).map(|it| it.0);
    let reasons = reasons_of_vague(lines, &spoken, first);
    let order = reasons.into_iter().chain([first]).chain(opened).chain(more);
    Some((order.collect(), worth))
}

/// Where the gravest line names no reason (`configuration file contains errors`, `Aborting`), what was said before it does,
/// whatever its level: the last lines that complain, else the one right above.
fn reasons_of_vague(lines: &[Line], spoken: &[(usize, u8)], first: usize) -> Vec<usize> {
    let lower = |at: usize| lines[at].trimmed().to_lowercase();
    if !roles::is_vague(&lower(first)) {
        return Vec::new();
    }
    let before = || spoken.iter().rev().filter(|(at, _)| *at < first).map(|(at, _)| *at);
    let pleas = before().filter(|at| {
        let text = lower(*at);
        roles::pleads(&text) && !roles::is_vague(&text) && !goes_on(text.as_bytes())
    });
    let mut reasons: Vec<usize> = pleas.take(LINES_MAX / 2).collect();
    let right_above = before().next().filter(|at| !roles::is_neutral(&lower(*at)));
    let plain = right_above.filter(|at| loggers::level(lines[*at].trimmed()).is_none());
    // What stands between the complaint and the end may be the complaint in plain words.
    match plain {
        Some(at) if reasons.is_empty() => reasons.push(at),
        Some(at) if !reasons.contains(&at) => reasons.insert(0, at),
        _ => {}
    }
    reasons
}

/// Of a stack trace the calls are left, without the message above them.
fn calls_alone(roles: &[Role]) -> Option<Quote> {
    let text = "(calls of a stack trace alone)".to_owned();
    roles.contains(&Role::Frame).then_some(Quote { text, worth: 1 })
}

/// Nothing but a usage text, hints or calls was said.
fn hints(lines: &[Line], roles: &[Role]) -> Option<(Vec<usize>, u8)> {
    let first = |wanted: Role| roles.iter().position(|role| *role == wanted);
    let at = first(Role::Hint).or_else(|| first(Role::Usage)).filter(|at| !lines[*at].cut)?;
    Some((vec![at], 1))
}

/// Joined by spaced slashes, as far as they fit.
fn joined(lines: &[Line], order: &[usize]) -> String {
    let mut kept: Vec<String> = Vec::new();
    let mut length = 0;
    for at in order.iter().take(LINES_MAX) {
        let line = lines[*at].trimmed().trim_start_matches("| ");
        let line = loggers::condensed(line).replace('\t', " ");
        let count = line.chars().count();
        if kept.is_empty() && count > QUOTE_MAX {
            let beginning: String = line.chars().take(QUOTE_MAX).collect();
            return format!("{beginning}...");
        }
        if length + count > QUOTE_MAX || kept.contains(&line) {
            continue;
        }
        length += count;
        kept.push(line);
    }
    kept.join(" / ")
}

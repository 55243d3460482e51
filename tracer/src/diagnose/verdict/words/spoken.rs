//! What one process said on one stream: its lines, and what they say of a failed call. It must not know other processes.

use std::collections::HashSet;

use crate::{
    capture::event::{BootNs, Stream, Words},
    linux::text::Text,
};

use super::{
    lines::{Sought, names_whole},
    loggers,
    naming::Naming,
    phrases::{self, goes_on},
    quote::{self, Quote},
    readers,
    reading::Reading,
    roles::{self, Role},
    said::{Line, Said},
};
use crate::diagnose::verdict::evidence::{failure::Failure, probes};

/// Words this near to the end name what they complain of.
pub(super) const LAST_LINES: usize = 5;

/// Exceptions that say what could not be done rather than why.
pub(super) const INABILITY: &[&str] =
    &["unable", "cannot", "can't", "could not", "couldn't", "failed"];

pub(super) struct Spoken<'a> {
    pub index: usize,
    /// Which of the processes asked for said it.
    pub place: usize,
    pub stream: Stream,
    pub time_ns: BootNs,
    pub discarded: bool,
    pub bytes: &'a Text,
    pub lines: Vec<Line>,
    /// The lines that were said, without calls, usage texts and the like; in lower case.
    pub said: Vec<(usize, String)>,
    /// It tells how the program is used: a program that does is done with whatever it tried before.
    pub usage: bool,
    /// Which of `said` is the last that is marked as fatal.
    pub fatal: Option<usize>,
    pub lower: Vec<u8>,
}

impl<'a> Spoken<'a> {
    pub fn new(index: usize, place: usize, time_ns: BootNs, words: &'a Words) -> Self {
        let said = Said {
            head: words.head.as_bytes(),
            tail: words.bytes.as_bytes(),
            lost_between: words.skipped_bytes,
            cut_before: said_before(words),
        };
        let lines = said.lines();
        let roles = roles::roles(&lines);
        let usage = roles.contains(&Role::Usage);
        let spoken = lines.iter().enumerate().zip(roles);
        let spoken = spoken.filter(|(_, role)| matches!(role, Role::Said(_)));
        let spoken = spoken.map(|((at, line), _)| (at, line.trimmed().to_lowercase()));
        let spoken: Vec<(usize, String)> = spoken.collect();
        let level = |at: usize| loggers::level(lines[at].trimmed());
        let is_fatal = |at: usize| level(at) == Some(loggers::Level::Fatal);
        let telling = spoken.iter().rposition(|(at, line)| is_fatal(*at) && !roles::is_vague(line));
        let fatal = telling.or_else(|| spoken.iter().rposition(|(at, _)| is_fatal(*at)));
        let lower = [said.head, b"\n", said.tail].concat().to_ascii_lowercase();
        Self {
            index,
            place,
            stream: words.stream,
            time_ns,
            discarded: words.discarded,
            bytes: &words.bytes,
            lines,
            said: spoken,
            usage,
            fatal,
            lower,
        }
    }

    pub fn quote(&self) -> Option<Quote> {
        quote::quote(&self.lines, readers::read(&self.lines).as_ref())
    }

    /// Lines that say something; a single sign says nothing (a runtime's init speaks by single bytes too).
    pub fn telling(&self) -> impl Iterator<Item = &str> {
        self.said.iter().map(|(_, line)| line.as_str()).filter(|line| line.len() > 1)
    }

    /// What was said below the last line of which `is_it` is true.
    pub fn below(&self, is_it: impl Fn(&[u8]) -> bool) -> Option<&[(usize, String)]> {
        let at = self.said.iter().rposition(|(_, line)| is_it(line.as_bytes()))?;
        Some(&self.said[at + 1..])
    }

    /// It complains of something else below what was read; who caught an exception may say its message once more.
    pub fn complains_after(&self, reading: &Reading) -> bool {
        let text = reading.text().to_lowercase();
        let other = |line: &str| {
            roles::complains(line) && !roles::is_vague(line) && !text.contains(line.trim())
        };
        self.said.iter().any(|(at, line)| *at > reading.last && other(line))
    }

    pub fn naming(&self, failure: &Failure<'_>) -> Option<Naming> {
        let sought = Sought::of(failure);
        if self.is_fatal_of_contents(&sought) {
            return None;
        }
        // A warning is no complaint where something else is marked as an error.
        let level = |at: usize| loggers::level(self.lines[at].trimmed());
        let graver = loggers::any_error(self.said.iter().map(|(at, _)| level(*at)));
        let mild = |at: usize| graver && loggers::is_mild(level(at));
        let lines: Vec<&[u8]> = self
            .said
            .iter()
            .filter(|(at, line)| !goes_on(line.as_bytes()) && !mild(*at))
            .map(|(_, line)| line.as_bytes())
            .collect();
        if lines.iter().any(|line| sought.both(line)) {
            return Some(Naming::Both);
        }
        if lines.iter().any(|line| sought.blamed(line)) {
            return Some(Naming::Object);
        }
        if lines.iter().any(|line| sought.error(line)) {
            return Some(Naming::Error);
        }
        // What was only looked for is named for many reasons.
        if failure.is_lookup() && probes::looks(failure.call) {
            return None;
        }
        let mut last = lines.iter().rev().take(LAST_LINES);
        last.any(|line| sought.mentioned(line) || sought.hinted(line)).then_some(Naming::Mention)
    }

    /// The line above a logged exception, with which it was logged, names this failed call.
    pub fn logs_with(&self, first: usize, sought: &Sought<'_>) -> bool {
        let above = self.said.iter().rfind(|(at, _)| *at < first);
        above.is_some_and(|(_, line)| sought.named(line.as_bytes()))
    }

    /// Right above an exception that only says what could not be done, an error was logged that tells why: both name the
    /// same thing, and the error this failed call.
    pub fn logged_above(&self, first: usize, reading: &Reading, sought: &Sought<'_>) -> bool {
        let text = reading.text().to_lowercase();
        let inability = INABILITY.iter().any(|sign| text.contains(sign));
        let Some((at, line)) = self.said.iter().rfind(|(at, _)| *at < first) else { return false };
        let is_error = loggers::level(self.lines[*at].trimmed()) >= Some(loggers::Level::Error);
        let words = |text: &str| -> HashSet<String> {
            let words = text.split(|it: char| !it.is_alphanumeric());
            let words =
                words.filter(|it| it.len() > 3 && !INABILITY.contains(it) && *it != "error");
            words.map(str::to_owned).collect()
        };
        let same = || words(&text).intersection(&words(line)).next().is_some();
        inability && is_error && sought.both(line.as_bytes()) && same()
    }

    /// Its last line marked as fatal tells what is wrong within something that was read, and not of this failure.
    pub fn is_fatal_of_contents(&self, sought: &Sought<'_>) -> bool {
        self.fatal.is_some_and(|at| {
            let line = self.said[at].1.as_bytes();
            phrases::is_about_named_contents(line) && !sought.named(line)
        })
    }

    pub fn complains_after_naming(&self, failure: &Failure<'_>) -> bool {
        let sought = Sought::of(failure);
        let names = |line: &[u8]| sought.error(line) || names_whole(line, &failure.subject);
        let below = self.below(|line| names(line) && !goes_on(line));
        let other = |line: &str| phrases::complains(line.as_bytes()) && !roles::is_vague(line);
        below.is_some_and(|lines| lines.iter().any(|(_, line)| other(line)))
    }
}

/// More was said than is kept from the first kept byte on.
fn said_before(words: &Words) -> bool {
    let length = |text: &Text| u64::try_from(text.as_bytes().len()).unwrap_or(u64::MAX);
    let kept = length(&words.head).saturating_add(length(&words.bytes));
    words.total_bytes > kept.saturating_add(words.skipped_bytes)
}

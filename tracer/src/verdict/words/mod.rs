//! The last words of a process: quoting them, and whether they name a failed call. It must not decide on its own.

mod beam;
mod dotnet;
mod go;
pub(super) mod jvm;
pub(super) mod lines;
mod loggers;
mod native;
pub(super) mod node;
mod objects;
mod perl;
mod php;
mod python;
mod quote;
pub(super) mod reading;
mod roles;
mod ruby;
mod rust;
pub(super) mod said;
#[cfg(test)]
mod samples;
mod shape;
mod shells;

use std::{cell::OnceCell, collections::HashSet};

use crate::{
    event::{BootNs, ProcessId, Status, Stream, What, Words},
    text::Text,
};

use crate::verdict::{
    Cause,
    case::Case,
    evidence::answers,
    evidence::failure::Failure,
    evidence::probes,
    words::lines::{Sought, contains, contains_word, goes_on, names_whole},
    words::quote::Quote,
    words::reading::{Fit, Reading},
    words::roles::Role,
    words::said::{Line, Said},
};

/// Words this near to the end name what they complain of.
const LAST_LINES: usize = 5;

/// How programs tell of the status of a child, in lower case; the number follows.
const STATUSES: &[&str] = &[
    "] error ",
    "exit code ",
    "exit code: ",
    "exit status: ",
    "exitcode ",
    "exited with ",
    "exited with code ",
    "exited with error ",
    "return code ",
    "returned ",
    "returned code ",
    "rc=",
    "status ",
    "status=",
    "terminated by signal ",
    "killed by signal ",
];

/// Exceptions that say what could not be done rather than why.
const INABILITY: &[&str] = &["unable", "cannot", "can't", "could not", "couldn't", "failed"];

/// What was written last to stdout and stderr (and by a runtime's init anywhere).
#[derive(Default)]
pub(in crate::verdict) struct LastWords<'a> {
    spoken: Vec<Spoken<'a>>,
    /// How the first process ended.
    status: Option<Status>,
    told: OnceCell<Option<Told>>,
}

struct Spoken<'a> {
    index: usize,
    /// Which of the processes asked for said it.
    place: usize,
    stream: Stream,
    time_ns: BootNs,
    discarded: bool,
    bytes: &'a Text,
    lines: Vec<Line>,
    /// The lines that were said, without calls, usage texts and the like; in lower case.
    said: Vec<(usize, String)>,
    /// It tells how the program is used: a program that does is done with whatever it tried before.
    usage: bool,
    /// Which of `said` is the last that is marked as fatal.
    fatal: Option<usize>,
    lower: Vec<u8>,
}

/// What words tell of the exception, or the like, by which a process ended.
pub(in crate::verdict) struct Told {
    pub reading: Reading,
    /// The entry that holds them.
    pub index: usize,
    pub fit: Fit,
    /// Something else was complained of after it.
    pub followed: bool,
}

/// How surely words name a failed call; greater is surer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::verdict) enum Naming {
    /// The object, without a complaint of it.
    Mention,
    /// Only the error's text or name.
    Error,
    /// The object, in a line that complains of it.
    Object,
    /// Object and error.
    Both,
}

impl<'a> LastWords<'a> {
    /// Of the given processes, and of those they forked that never became another program.
    pub fn of(case: &Case<'a>, ids: &[ProcessId]) -> Self {
        let mut seen = HashSet::new();
        let mut spoken = Vec::new();
        for (place, id) in ids.iter().enumerate() {
            let own = std::iter::once(*id);
            let forked = case.tree.children(*id).iter().copied().filter(|it| case.never_execd(*it));
            for id in own.chain(forked).filter(|id| seen.insert(*id)) {
                // What it wrote before it became this program is not this program's word.
                let since_ns = case.last_exec(id).map_or(0, |(_, time_ns, _)| time_ns);
                for (index, event) in case.events(id) {
                    if let What::Words(words) = &event.what
                        && event.time_ns >= since_ns
                    {
                        spoken.push(Spoken::new(index, place, event.time_ns, words));
                    }
                }
            }
        }
        // What went to /dev/null while the same process spoke elsewhere was not meant to be heard.
        let heard: HashSet<usize> =
            spoken.iter().filter(|it| !it.discarded).map(|it| it.place).collect();
        spoken.retain(|it| !it.discarded || !heard.contains(&it.place));
        let status = ids.first().and_then(|id| case.end(*id)).map(|end| end.status);
        Self { spoken, status, told: OnceCell::new() }
    }

    pub fn is_empty(&self) -> bool {
        self.spoken.iter().all(|it| it.lower.iter().all(u8::is_ascii_whitespace))
    }

    /// All that was said went to /dev/null: a script that does so counts on a failure.
    pub fn are_discarded(&self) -> bool {
        !self.is_empty() && self.spoken.iter().all(|it| it.discarded)
    }

    /// What tells most of what was said: of a runtime's init, else of the first process that tells anything, stderr
    /// before stdout where both tell as much.
    pub fn quote(&self) -> Option<(String, usize)> {
        let quotes: Vec<(&Spoken<'_>, Quote)> =
            self.spoken.iter().filter_map(|it| Some((it, it.quote()?))).collect();
        // A runtime's init speaks by single bytes too.
        let spoke = |it: &Spoken<'_>| it.telling().next().is_some();
        let worth =
            |(it, quote): &&(&Spoken<'_>, Quote)| (quote.worth, it.stream != Stream::Stdout);
        let init = quotes.iter().filter(|(it, _)| it.stream == Stream::Init && spoke(it));
        let best = init.max_by_key(worth).or_else(|| {
            let telling = quotes.iter().filter(|(_, quote)| quote.worth >= roles::PLAIN);
            let place = telling.map(|(it, _)| it.place).min();
            quotes
                .iter()
                .filter(|(it, _)| {
                    it.stream != Stream::Init && place.is_none_or(|place| it.place == place)
                })
                .max_by_key(worth)
        });
        let (it, quote) = best?;
        // What the same process said later on its other stream.
        let later = quotes.iter().filter(|(other, quote)| {
            let same = other.place == it.place && other.stream != Stream::Init;
            same && other.time_ns > it.time_ns && quote.worth >= roles::PLAIN
        });
        let later = later.max_by_key(|(other, _)| other.time_ns);
        let text = match later.filter(|_| it.stream != Stream::Init) {
            Some((_, later)) => quote::followed(&quote.text, &later.text),
            None => quote.text.clone(),
        };
        Some((text, it.index))
    }

    /// The exception, or the like, by which the first process ended.
    pub fn told(&self) -> Option<&Told> {
        self.told.get_or_init(|| self.read()).as_ref()
    }

    fn read(&self) -> Option<Told> {
        let status = self.status?;
        let own = self.spoken.iter().filter(|it| it.place == 0 && it.stream != Stream::Init);
        let told = own.filter_map(|it| {
            let reading = reading::read(&it.lines).filter(Reading::ended_it)?;
            let fit = reading.fit(status);
            let followed = it.complains_after(reading.last);
            Some(Told { reading, index: it.index, fit, followed })
        });
        // Of the same on both streams (PHP) the one on stderr, which comes first.
        told.filter(|it| it.fit != Fit::Not).min_by_key(|it| (it.followed, !it.reading.complete))
    }

    /// The lines of one entry.
    pub fn lines_of(&self, index: usize) -> &[Line] {
        self.spoken.iter().find(|it| it.index == index).map_or(&[], |it| &it.lines)
    }

    /// Whether and how surely they name this failed call, and which entry does.
    pub fn naming(&self, failure: &Failure<'_>) -> Option<(Naming, usize)> {
        if self.end_by_another(failure) {
            return None;
        }
        let named = self.after(failure).filter_map(|it| Some((it.naming(failure)?, it.index)));
        // Of those who say as much, the first process.
        named.rev().max_by_key(|(naming, _)| *naming)
    }

    /// After the line that names this failed call they complain of something else, or of something that came up while
    /// it was handled.
    pub fn complain_after_naming(&self, failure: &Failure<'_>) -> bool {
        let handled = || {
            let told = self.told()?;
            let sought = Sought::of(failure);
            let last = told.reading.text().to_ascii_lowercase();
            Some(told.reading.while_handling && !sought.named(last.as_bytes()))
        };
        self.after(failure).any(|it| it.complains_after_naming(failure)) || handled() == Some(true)
    }

    /// Below the last line that names this failed call the same process says something that is no mere end.
    pub fn go_on_after_naming(&self, failure: &Failure<'_>) -> bool {
        let sought = Sought::of(failure);
        let more = |lines: &[(usize, String)]| lines.iter().any(|(_, it)| !roles::is_vague(it));
        self.after(failure).any(|it| {
            let named = it.said.iter().rposition(|(_, line)| sought.named(line.as_bytes()));
            let Some(at) = named else { return false };
            // On the other stream, too.
            let later = self.spoken.iter().filter(|other| {
                other.place == it.place && other.index != it.index && other.time_ns > it.time_ns
            });
            more(&it.said[at + 1..]) || later.into_iter().any(|other| more(&other.said))
        })
    }

    /// Something was complained of in the time before, and nothing was said since.
    pub fn complained_within(&self, time_ns: BootNs, within_ns: u64) -> bool {
        let complains = |line: &str| roles::complains(line) && !goes_on(line.as_bytes());
        let own = || self.spoken.iter().filter(|it| it.place == 0);
        let before = |it: &Spoken<'_>| {
            it.time_ns < time_ns && time_ns - it.time_ns <= within_ns && it.telling().any(complains)
        };
        own().any(before) && !own().any(|it| it.time_ns >= time_ns && it.telling().next().is_some())
    }

    /// They say after this failed call that something could not be done, and name no other file.
    pub fn complain_of_no_other(&self, failure: &Failure<'_>) -> bool {
        let lines: Vec<&str> = self.after(failure).flat_map(Spoken::telling).collect();
        let unable = |line: &&str| INABILITY.iter().any(|sign| line.contains(sign));
        let other = |line: &&str| objects::names_another(line, &failure.subject);
        lines.iter().any(unable) && !lines.iter().any(other)
    }

    /// Below the last line that names this failed call another one complains of something else.
    pub fn complain_of_another_after(&self, failure: &Failure<'_>) -> bool {
        let sought = Sought::of(failure);
        let names = |line: &[u8]| sought.both(line) || sought.error(line);
        self.after(failure).any(|it| {
            let named = it.said.iter().rposition(|(_, line)| names(line.as_bytes()));
            let below = named.map_or(&[][..], |at| &it.said[at + 1..]);
            let other = |line: &str| roles::complains(line) && !roles::is_vague(line);
            below.iter().any(|(_, line)| other(line) && !goes_on(line.as_bytes()))
        })
    }

    /// The process ended by an exception that tells of something else.
    pub fn end_by_another(&self, failure: &Failure<'_>) -> bool {
        let Some(told) = self.told().filter(|it| !it.followed && it.reading.complete) else {
            return false;
        };
        let sought = Sought::of(failure);
        let reading = &told.reading;
        let text = [reading.text(), reading.root_cause.clone().unwrap_or_default()].join("\n");
        let first = reading.telling.iter().copied().min().unwrap_or(reading.last);
        let spoken = self.spoken.iter().find(|it| it.index == told.index);
        let lines = spoken.into_iter().flat_map(|it| &it.said);
        let within = lines.filter(|(at, _)| (first..=reading.last).contains(at));
        let mut all =
            text.lines().map(str::to_ascii_lowercase).chain(within.map(|it| it.1.clone()));
        let above = spoken.is_some_and(|it| it.logged_above(first, reading, &sought));
        !(above || all.any(|line| sought.named(line.as_bytes())))
    }

    /// Something was said after this failed call that does not name it: of a lookup this is enough to say that it was
    /// not the reason, of a refusal or exhaustion if it tells of another.
    pub fn speak_against(&self, failure: &Failure<'_>) -> bool {
        let sought = Sought::of(failure);
        if self.end_by_another(failure)
            || self.after(failure).any(|it| it.is_fatal_of_contents(&sought))
        {
            return true;
        }
        if self.naming(failure).is_some() {
            return false;
        }
        if self.after(failure).any(|it| it.usage) {
            return true;
        }
        // What a parent says as it gives up speaks of nothing else.
        let speaks = |it: &Spoken<'_>, line: &str| it.place == 0 || !roles::is_vague(line);
        let telling: Vec<&str> = self
            .after(failure)
            .flat_map(|it| it.telling().filter(move |line| speaks(it, line)))
            .collect();
        if telling.is_empty() {
            return false;
        }
        let answer = failure.is_lookup() || answers::gives_way_to_words(failure);
        if answer || self.wave_off(failure) || self.tell_of_a_program_error() {
            return true;
        }
        let complaint = |line: &&str| roles::complains(line) && !goes_on(line.as_bytes());
        let mut reasons = telling;
        reasons.retain(|it| !roles::is_neutral(it) && !roles::is_vague(it));
        // What is said beside complaints is no reason.
        if reasons.iter().any(complaint) {
            reasons.retain(complaint);
        }
        let topic = topic(failure);
        let about = |line: &&str| {
            topic.iter().any(|word| line.contains(word))
                && !sought.tells_another_error(line.as_bytes())
        };
        !reasons.is_empty() && !reasons.iter().any(about)
    }

    /// Only a line that says how the program goes on names it.
    pub fn wave_off(&self, failure: &Failure<'_>) -> bool {
        let sought = Sought::of(failure);
        let mut lines = self.after(failure).flat_map(|it| it.said.iter());
        let waved = lines.any(|(_, it)| goes_on(it.as_bytes()) && sought.named(it.as_bytes()));
        waved && self.naming(failure).is_none()
    }

    /// What was said at the time of this failed call or later: earlier words cannot be about it.
    fn after(&self, failure: &Failure<'_>) -> impl DoubleEndedIterator<Item = &Spoken<'a>> {
        let from_ns = failure.time_ns;
        self.spoken.iter().filter(move |it| it.time_ns >= from_ns)
    }

    /// The first entry whose bytes hold one of these, whatever their case.
    pub fn mention(&self, phrases: &[&str]) -> Option<usize> {
        let holds =
            |it: &&Spoken<'_>| phrases.iter().any(|phrase| contains(&it.lower, phrase.as_bytes()));
        self.spoken.iter().find(holds).map(|it| it.index)
    }

    /// The last line of which `is_it` is true, and the entry that holds it, unless a later one `spoils` it by what it
    /// tells. The last member tells whether no telling line follows. Both are asked about the line in lower case.
    pub fn decisive(
        &self,
        is_it: impl Fn(&[u8]) -> bool,
        spoils: impl Fn(&[u8]) -> bool,
    ) -> Option<(String, usize, bool)> {
        self.spoken.iter().find_map(|it| {
            let at = it.said.iter().rposition(|(_, line)| is_it(line.as_bytes()))?;
            let later = &it.said[at + 1..];
            let spoilt = later.iter().any(|(_, line)| spoils(line.as_bytes()));
            let (number, _) = it.said[at];
            (!spoilt).then(|| (quote::one(&it.lines[number]), it.index, later.is_empty()))
        })
    }

    /// A line marked as fatal was said, or last of all one marked as an error, and nothing after it that tells how the
    /// program went on.
    pub fn end_fatally(&self) -> bool {
        let last = self.spoken.iter().max_by_key(|it| it.time_ns);
        let last = last.and_then(|it| Some(loggers::level(it.lines[it.said.last()?.0].trimmed())));
        if last.flatten() >= Some(loggers::Level::Error) {
            return true;
        }
        let mut fatal = self.spoken.iter().filter_map(|it| Some((it, it.fatal?)));
        fatal.any(|(it, at)| {
            let below = it.said[at + 1..].iter();
            !below.into_iter().any(|(_, line)| roles::is_neutral(line) || goes_on(line.as_bytes()))
        })
    }

    /// Something was said at that time or later.
    pub fn since(&self, time_ns: BootNs) -> bool {
        let spoke = |it: &Spoken<'_>| it.usage || it.telling().next().is_some();
        self.spoken.iter().any(|it| it.time_ns >= time_ns && spoke(it))
    }

    /// A shell said last, at that time or later, what is wrong with its script itself: `X: unbound variable`.
    pub fn tell_of_a_script_error(&self, since_ns: BootNs) -> bool {
        let own = self.spoken.iter().filter(|it| it.place == 0 && it.time_ns >= since_ns);
        own.into_iter().any(|it| shells::is_of_script(&it.lines))
    }

    /// The first entry that names `text` as a word of its own.
    pub fn mention_word(&self, text: &Text) -> Option<usize> {
        let word = text.as_bytes().to_ascii_lowercase();
        self.spoken.iter().find(|it| contains_word(&it.lower, &word)).map(|it| it.index)
    }

    /// The first entry that complains of `text` as a word of its own, and does not end by complaining of something else.
    pub fn complaint_of_word(&self, text: &Text) -> Option<usize> {
        let word = text.as_bytes().to_ascii_lowercase();
        let named = |line: &str| contains_word(line.as_bytes(), &word);
        // An exception decides, whatever was said on another stream.
        if let Some(told) = self.told().filter(|it| !it.followed && it.reading.complete) {
            let first = told.reading.telling.iter().copied().min().unwrap_or_default();
            let lines = self.spoken.iter().filter(|it| it.index == told.index);
            let mut lines = lines.flat_map(|it| &it.said).filter(|(at, _)| *at >= first);
            return lines.any(|(_, line)| named(line)).then_some(told.index);
        }
        let complains = |it: &&Spoken<'_>| {
            let complaint = |line: &str| named(line) && !goes_on(line.as_bytes());
            let at = it.said.iter().rposition(|(_, line)| complaint(line));
            let follows =
                |line: &str| ["load", "plugin", "librar"].iter().any(|it| line.contains(it));
            let other =
                |line: &str| roles::complains(line) && !roles::is_vague(line) && !follows(line);
            at.is_some_and(|at| !it.said[at + 1..].iter().any(|(_, line)| other(line)))
        };
        self.spoken.iter().find(complains).map(|it| it.index)
    }

    /// The entry whose last lines tell that a child ended with this status: `Error 1`, `child process exited with exit code
    /// 134`.
    pub fn tell_of_status(&self, child: Status) -> Option<usize> {
        let codes: Vec<String> = match (child.code, child.signal) {
            (_, Some(signal)) => vec![(128 + signal.0).to_string(), signal.0.to_string()],
            (Some(code), None) => vec![code.to_string()],
            (None, None) => Vec::new(),
        };
        let tells = |line: &str| codes.iter().any(|code| tells_status(line, code));
        let last = |it: &Spoken<'_>| it.said.iter().rev().take(LAST_LINES).any(|it| tells(&it.1));
        self.spoken.iter().find(|it| last(it)).map(|it| it.index)
    }

    /// Lines that complain of something, in lower case.
    pub fn complaints(&self) -> impl Iterator<Item = &str> {
        let lines = self.spoken.iter().flat_map(Spoken::telling);
        lines.filter(|it| roles::complains(it) && !roles::is_vague(it))
    }

    /// They tell of a failure of the program itself, after which a missing file is no explanation.
    pub fn tell_of_a_program_error(&self) -> bool {
        const SIGNS: &[&str] = &[
            "syntaxerror",
            "syntax error",
            "parse error",
            "unexpected token",
            "traceback (most recent",
            "panicked at",
            "panic:",
            "uncaught exception",
            "unhandled exception",
            "assertion",
            "referenceerror",
            "typeerror",
            "exception in thread",
            "undefined method",
            "nameerror",
        ];
        self.mention(SIGNS).is_some()
    }

    /// Bytes of a runtime init's words, joined.
    pub fn of_init(&self) -> Option<(&'a Text, usize)> {
        let init = self.spoken.iter().filter(|it| it.stream == Stream::Init);
        init.max_by_key(|it| it.time_ns).map(|it| (it.bytes, it.index))
    }
}

impl<'a> Spoken<'a> {
    fn new(index: usize, place: usize, time_ns: BootNs, words: &'a Words) -> Self {
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

    fn quote(&self) -> Option<Quote> {
        quote::quote(&self.lines, reading::read(&self.lines).as_ref())
    }

    /// Lines that say something; a single sign says nothing (a runtime's init speaks by single bytes too).
    fn telling(&self) -> impl Iterator<Item = &str> {
        self.said.iter().map(|(_, line)| line.as_str()).filter(|line| line.len() > 1)
    }

    fn complains_after(&self, last: usize) -> bool {
        self.said
            .iter()
            .any(|(at, line)| *at > last && roles::complains(line) && !roles::is_vague(line))
    }

    fn naming(&self, failure: &Failure<'_>) -> Option<Naming> {
        let sought = Sought::of(failure);
        if self.is_fatal_of_contents(&sought) {
            return None;
        }
        let lines: Vec<&[u8]> = self
            .said
            .iter()
            .map(|(_, line)| line.as_bytes())
            .filter(|line| !goes_on(line))
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

    /// Right above an exception that only says what could not be done, an error was logged that tells why: both name the
    /// same thing, and the error this failed call.
    fn logged_above(&self, first: usize, reading: &Reading, sought: &Sought<'_>) -> bool {
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
    fn is_fatal_of_contents(&self, sought: &Sought<'_>) -> bool {
        self.fatal.is_some_and(|at| {
            let line = self.said[at].1.as_bytes();
            lines::is_about_named_contents(line) && !sought.named(line)
        })
    }

    fn complains_after_naming(&self, failure: &Failure<'_>) -> bool {
        let sought = Sought::of(failure);
        let names = |line: &[u8]| sought.error(line) || names_whole(line, &failure.subject);
        let lines: Vec<&str> = self.said.iter().map(|(_, line)| line.as_str()).collect();
        let last =
            lines.iter().rposition(|line| names(line.as_bytes()) && !goes_on(line.as_bytes()));
        last.is_some_and(|at| {
            lines[at + 1..]
                .iter()
                .any(|line| lines::complains(line.as_bytes()) && !roles::is_vague(line))
        })
    }
}

fn tells_status(line: &str, code: &str) -> bool {
    STATUSES.iter().any(|sign| {
        line.match_indices(sign).any(|(at, _)| {
            let rest = line[at + sign.len()..].strip_prefix(code);
            rest.is_some_and(|rest| !rest.starts_with(|it: char| it.is_ascii_digit()))
        })
    })
}

/// More was said than is kept from the first kept byte on.
fn said_before(words: &Words) -> bool {
    let length = |text: &Text| u64::try_from(text.as_bytes().len()).unwrap_or(u64::MAX);
    let kept = length(&words.head).saturating_add(length(&words.bytes));
    words.total_bytes > kept.saturating_add(words.skipped_bytes)
}

/// Words that may speak of a failed call without naming it.
fn topic(failure: &Failure<'_>) -> &'static [&'static str] {
    match failure.cause() {
        Some(Cause::ConnectionRefused) => &["connect", "dial", "reach", "refuse", "unavailable"],
        Some(Cause::NameResolutionFailed) => &["resol", "host", "dns", "lookup"],
        Some(Cause::PermissionDenied | Cause::BindPermissionDenied) => &[
            "permission",
            "denied",
            "access",
            "permitted",
            "privilege",
            "root",
            "capab",
            "forbidden",
            " read ",
            " open ",
            "creat",
            "write ",
            "writing",
            "save",
        ],
        Some(Cause::ReadOnlyFilesystem) => &[
            "read-only",
            "readonly",
            "writ",
            "creat",
            "open",
            "save",
            "mkdir",
            "director",
            "lock",
            "store",
        ],
        Some(Cause::DiskFull) => &[
            "space", "disk", "writ", "wrote", "quota", "full", "flush", "save", "i/o", "store",
            "persist", "short",
        ],
        Some(Cause::FdLimit) => {
            &["open", "file", "descriptor", "accept", "socket", "too many", "limit", "pipe"]
        }
        Some(Cause::PidLimit) => {
            &["fork", "thread", "spawn", "process", "resource", "worker", "clone", "exec"]
        }
        Some(Cause::MemoryAllocationFailed) => {
            &["memory", "alloc", "map", "reserve", "heap", "stack", "thread"]
        }
        Some(Cause::BindAddressInUse | Cause::BindAddressUnavailable) => {
            &["bind", "listen", "address", "port", "socket", "use"]
        }
        _ => &[],
    }
}

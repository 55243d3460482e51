//! The last words of a process: quoting them, and whether they name a failed call. It must not decide on its own.

mod against;
mod beam;
mod dotnet;
mod go;
pub(super) mod jvm;
mod lines;
mod loggers;
pub(super) mod naming;
mod native;
pub(super) mod node;
mod objects;
mod perl;
mod php;
pub(super) mod phrases;
mod python;
mod quote;
mod readers;
pub(super) mod reading;
mod roles;
mod ruby;
mod rust;
pub(super) mod said;
#[cfg(test)]
mod samples;
mod shape;
mod shells;
mod spoken;

use std::{cell::OnceCell, collections::HashSet};

use crate::{
    capture::event::{BootNs, ProcessId, Status, Stream, What},
    linux::text::Text,
};

use crate::diagnose::verdict::{
    death::Death,
    evidence::{failure::Failure, pace::SOON_NS},
    words::{
        naming::Naming,
        phrases::{contains, contains_word, goes_on},
        quote::Quote,
        reading::{Fit, Kind, Reading},
        said::Line,
        spoken::{LAST_LINES, Spoken},
    },
};

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

/// What was written last to stdout and stderr (and by a runtime's init anywhere).
#[derive(Default)]
pub(in crate::diagnose::verdict) struct LastWords<'a> {
    spoken: Vec<Spoken<'a>>,
    /// How the first process ended.
    status: Option<Status>,
    told: OnceCell<Option<Told>>,
    reported: OnceCell<Option<Told>>,
}

/// What words tell of the exception, or the like, by which a process ended.
pub(in crate::diagnose::verdict) struct Told {
    pub reading: Reading,
    /// The entry that holds them.
    pub index: usize,
    pub fit: Fit,
    /// Something else was complained of after it.
    pub followed: bool,
}

impl<'a> LastWords<'a> {
    /// Of the given processes, and of those they forked that never became another program.
    pub fn of(death: &Death<'a>, ids: &[ProcessId]) -> Self {
        let mut seen = HashSet::new();
        let mut spoken = Vec::new();
        for (place, speaker) in ids.iter().enumerate() {
            let own = std::iter::once(*speaker);
            let children = death.tree.children(*speaker).iter().copied();
            let forked = children.filter(|it| death.never_execd(*it));
            for id in own.chain(forked).filter(|id| seen.insert(*id)) {
                // What it wrote before it became this program is not this program's word.
                let since_ns = death.last_exec(id).map_or(0, |(_, time_ns, _)| time_ns);
                for (index, event) in death.events(id) {
                    if let What::Words(words) = &event.what
                        && event.time_ns >= since_ns
                        // What a subshell throws away, or a shell some time before its end, it counted on.
                        && (!words.discarded
                            || (id == *speaker
                                && (!death.is_shell(id) || ends_soon(death, id, event.time_ns))))
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
        let status = ids.first().and_then(|id| death.end(*id)).map(|end| end.status);
        Self { spoken, status, told: OnceCell::new(), reported: OnceCell::new() }
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

    /// The same, if it is known whole and nothing else was complained of after it: then it decides.
    pub fn decided(&self) -> Option<&Told> {
        self.told().filter(|it| !it.followed && it.reading.complete)
    }

    /// An exception that is the last of what the first process said, though somebody caught and logged it.
    pub fn reported(&self) -> Option<&Told> {
        let read = || {
            let mut told = self.readings(|it| it.kind == Kind::Reported);
            told.find(|it| !it.followed && it.reading.complete)
        };
        self.reported.get_or_init(read).as_ref()
    }

    fn read(&self) -> Option<Told> {
        let told = self.readings(Reading::ended_it).filter(|it| it.fit != Fit::Not);
        // Of the same on both streams (PHP) the one on stderr, which comes first.
        told.min_by_key(|it| (it.followed, !it.reading.complete))
    }

    /// What the first process told by each stream, as far as it is such.
    fn readings(&self, is_such: impl Fn(&Reading) -> bool) -> impl Iterator<Item = Told> {
        let own = self.spoken.iter().filter(|it| it.place == 0 && it.stream != Stream::Init);
        own.filter_map(move |it| {
            let reading = readers::read(&it.lines).filter(&is_such)?;
            let fit = reading.fit(self.status?);
            let followed = it.complains_after(&reading);
            Some(Told { reading, index: it.index, fit, followed })
        })
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
        if let Some(told) = self.decided() {
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
        let signal = child.signal.map(|it| (it.name().to_ascii_lowercase(), it.described()));
        let by_signal = |line: &str| {
            let Some((name, text)) = &signal else { return false };
            contains_word(line.as_bytes(), name.as_bytes())
                || text.is_some_and(|text| contains_word(line.as_bytes(), text.as_bytes()))
        };
        let tells =
            |line: &str| codes.iter().any(|code| tells_status(line, code)) || by_signal(line);
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

/// It ended right after that.
fn ends_soon(death: &Death<'_>, id: ProcessId, time_ns: BootNs) -> bool {
    death.end(id).is_some_and(|end| end.time_ns.saturating_sub(time_ns) <= SOON_NS)
}

fn tells_status(line: &str, code: &str) -> bool {
    STATUSES.iter().any(|sign| {
        line.match_indices(sign).any(|(at, _)| {
            let rest = line[at + sign.len()..].strip_prefix(code);
            rest.is_some_and(|rest| !rest.starts_with(|it: char| it.is_ascii_digit()))
        })
    })
}

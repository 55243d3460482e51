//! The last words of a process: quoting them, and whether they name a failed call. It must not decide on its own.

pub(super) mod lines;

use std::collections::HashSet;

use crate::{
    event::{BootNs, ProcessId, Stream, What},
    text::Text,
};

use crate::verdict::{
    Cause,
    case::Case,
    evidence::answers,
    evidence::failure::Failure,
    words::lines::{Sought, complains, contains, contains_word, goes_on, names_whole, tells},
};

/// Longest quotation, in characters.
const QUOTE_MAX: usize = 300;
/// Words this near to the end name what they complain of.
const LAST_LINES: usize = 5;

/// What was written last to stdout and stderr (and by a runtime's init anywhere).
#[derive(Default)]
pub(in crate::verdict) struct LastWords<'a> {
    spoken: Vec<Spoken<'a>>,
}

struct Spoken<'a> {
    index: usize,
    stream: Stream,
    time_ns: BootNs,
    bytes: &'a Text,
    /// More was said before.
    cut: bool,
    lower: Vec<u8>,
}

/// How surely words name a failed call; greater is surer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::verdict) enum Naming {
    /// Only the error's text or name.
    Error,
    /// The object, in the last lines.
    Object,
    /// Both.
    Both,
}

impl<'a> LastWords<'a> {
    /// Of the given processes, and of those they forked that never became another program.
    pub fn of(case: &Case<'a>, ids: &[ProcessId]) -> Self {
        let mut seen = HashSet::new();
        let mut spoken = Vec::new();
        for id in ids {
            let own = std::iter::once(*id);
            let forked = case.tree.children(*id).iter().copied().filter(|it| case.never_execd(*it));
            for id in own.chain(forked).filter(|id| seen.insert(*id)) {
                for (index, event) in case.events(id) {
                    if let What::Words(words) = &event.what {
                        let lower = words.bytes.as_bytes().to_ascii_lowercase();
                        let (stream, bytes) = (words.stream, &words.bytes);
                        let cut =
                            words.total_bytes > u64::try_from(lower.len()).unwrap_or(u64::MAX);
                        let time_ns = event.time_ns;
                        spoken.push(Spoken { index, stream, time_ns, bytes, cut, lower });
                    }
                }
            }
        }
        Self { spoken }
    }

    pub fn is_empty(&self) -> bool {
        self.spoken.iter().all(|it| it.bytes.as_bytes().iter().all(u8::is_ascii_whitespace))
    }

    /// The end of what was said: stderr before stdout, the first process given before the others.
    pub fn quote(&self) -> Option<(String, usize)> {
        let by = |stream: Stream| {
            // A runtime's init speaks by single bytes too.
            let spoken = self.spoken.iter().filter(move |it| it.stream == stream);
            spoken.filter(|it| stream != Stream::Init || it.lines().any(tells)).find_map(|it| {
                let text = last_lines(it.bytes, it.cut);
                (!text.is_empty()).then_some((text, it.index))
            })
        };
        by(Stream::Init).or_else(|| by(Stream::Stderr)).or_else(|| by(Stream::Stdout))
    }

    /// Whether and how surely they name this failed call, and which entry does.
    pub fn naming(&self, failure: &Failure<'_>) -> Option<(Naming, usize)> {
        let named = self.after(failure).filter_map(|it| Some((it.naming(failure)?, it.index)));
        named.max_by_key(|(naming, _)| *naming)
    }

    /// After the line that names this failed call they complain of something else.
    pub fn complain_after_naming(&self, failure: &Failure<'_>) -> bool {
        self.after(failure).any(|it| it.complains_after_naming(failure))
    }

    /// Something was said after this failed call that does not name it: of a lookup this is enough to say that it was
    /// not the reason, of a refusal if it tells of another.
    pub fn speak_against(&self, failure: &Failure<'_>) -> bool {
        let telling: Vec<&Spoken<'_>> =
            self.after(failure).filter(|it| it.lines().any(tells)).collect();
        if telling.is_empty() || self.naming(failure).is_some() {
            return false;
        }
        let topic: &[&str] = match failure.cause() {
            _ if failure.is_lookup() || answers::gives_way_to_words(failure) => return true,
            Some(Cause::PermissionDenied) => &[],
            Some(Cause::ConnectionRefused) => {
                &["connect", "dial", "reach", "refuse", "unavailable"]
            }
            Some(Cause::NameResolutionFailed) => &["resol", "host", "dns", "lookup"],
            // Nobody uses up a resource or writes to a read-only place for a try.
            _ => return false,
        };
        let off_topic = !topic.is_empty()
            && !telling
                .iter()
                .any(|it| topic.iter().any(|word| contains(&it.lower, word.as_bytes())));
        off_topic
            || self.tell_of_a_program_error()
            || telling.iter().any(|it| it.waves_off(failure))
    }

    /// What was said at the time of this failed call or later: earlier words cannot be about it.
    fn after(&self, failure: &Failure<'_>) -> impl Iterator<Item = &Spoken<'a>> {
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
            let lines: Vec<&[u8]> = it.lines().collect();
            let at = lines.iter().rposition(|line| is_it(line))?;
            let later = &lines[at + 1..];
            let last = !later.iter().any(|line| tells(line) && !line.is_empty());
            (!later.iter().any(|line| spoils(line))).then(|| (it.quote_line(at), it.index, last))
        })
    }

    /// Something was said at that time or later.
    pub fn since(&self, time_ns: BootNs) -> bool {
        self.spoken.iter().any(|it| it.time_ns >= time_ns && it.lines().any(tells))
    }

    /// The first entry that names `text` as a word of its own.
    pub fn mention_word(&self, text: &Text) -> Option<usize> {
        let word = text.as_bytes().to_ascii_lowercase();
        self.spoken.iter().find(|it| contains_word(&it.lower, &word)).map(|it| it.index)
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

impl Spoken<'_> {
    fn naming(&self, failure: &Failure<'_>) -> Option<Naming> {
        let naming = Sought::of(failure);
        let lines: Vec<&[u8]> = self.lines().filter(|line| !goes_on(line)).collect();
        if lines.iter().any(|line| naming.both(line)) {
            return Some(Naming::Both);
        }
        let last = lines.iter().rev().filter(|line| !line.is_empty()).take(LAST_LINES);
        if last.clone().any(|line| names_whole(line, &failure.subject)) {
            return Some(Naming::Object);
        }
        lines.iter().any(|line| naming.error(line)).then_some(Naming::Error)
    }

    /// Only a line that says how the program goes on names it.
    fn waves_off(&self, failure: &Failure<'_>) -> bool {
        let sought = Sought::of(failure);
        self.lines().any(|line| goes_on(line) && sought.both(line))
            && self.naming(failure).is_none()
    }

    fn complains_after_naming(&self, failure: &Failure<'_>) -> bool {
        let sought = Sought::of(failure);
        let names = |line: &[u8]| sought.error(line) || names_whole(line, &failure.subject);
        let lines: Vec<&[u8]> = self.lines().collect();
        let last = lines.iter().rposition(|line| names(line) && !goes_on(line));
        last.is_some_and(|at| lines[at + 1..].iter().any(|line| complains(line)))
    }

    /// One line as it was said, cut where it is longer than a quotation.
    fn quote_line(&self, at: usize) -> String {
        let line = self.bytes.as_bytes().split(|byte| *byte == b'\n').nth(at).unwrap_or_default();
        let line = Text(line.trim_ascii().to_vec()).to_string();
        match line.char_indices().nth(QUOTE_MAX) {
            Some((end, _)) => format!("{}...", &line[..end]),
            None => line,
        }
    }

    fn lines(&self) -> impl DoubleEndedIterator<Item = &[u8]> {
        self.lower.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii)
    }
}

/// The last non-empty lines that fit a quotation, joined by spaced slashes.
/// Where the beginning is gone, so is that of the first line.
fn last_lines(bytes: &Text, cut: bool) -> String {
    let mut kept: Vec<String> = Vec::new();
    let mut length = 0;
    let lines: Vec<&[u8]> = bytes.as_bytes().split(|byte| *byte == b'\n').collect();
    let lines: Vec<&[u8]> = lines.into_iter().map(<[u8]>::trim_ascii).collect();
    let whole = if cut && lines.len() > 1 { &lines[1..] } else { &lines[..] };
    let telling = whole.iter().any(|line| !line.is_empty() && tells(line));
    let lines = if telling { whole.to_vec() } else { lines };
    for line in lines.into_iter().rev() {
        // The calls of a stack trace would leave no room for the message above them.
        if line.is_empty() || (telling && !tells(line)) {
            continue;
        }
        let line = Text(line.to_vec()).to_string();
        let count = line.chars().count();
        if kept.is_empty() && count > QUOTE_MAX {
            let beginning: String = line.chars().take(QUOTE_MAX).collect();
            return format!("{beginning}...");
        }
        if length + count > QUOTE_MAX {
            break;
        }
        length += count;
        kept.push(line);
    }
    kept.reverse();
    kept.join(" / ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotation_keeps_the_last_lines_that_fit() {
        assert_eq!(last_lines(&Text::from("one\n\ntwo\n"), false), "one / two");
        let long = format!("{}\nlast\n", "x".repeat(400));
        assert_eq!(last_lines(&Text::from(long.as_str()), false), "last");
    }

    #[test]
    fn a_stack_trace_is_quoted_by_its_message() {
        let trace = "odule._load (node:1)\nError: Cannot find module 'x'\n    at a (b:1)\n    at c (d:2)\n}\n";
        assert_eq!(last_lines(&Text::from(trace), true), "Error: Cannot find module 'x'");
    }
}

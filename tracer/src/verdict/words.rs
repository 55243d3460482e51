//! The last words of a process: quoting them, and whether they name a failed call. It must not decide on its own.

use std::collections::HashSet;

use crate::{
    errno::Errno,
    event::{Address, BootNs, ProcessId, Stream, What},
    text::Text,
};

use super::{
    case::Case,
    failure::{Failure, Subject},
    programs,
};

/// Longest quotation, in characters.
const QUOTE_MAX: usize = 300;
/// Words this near to the end name what they complain of.
const LAST_LINES: usize = 5;

/// What was written last to stdout and stderr (and by a runtime's init anywhere).
#[derive(Default)]
pub(super) struct LastWords<'a> {
    spoken: Vec<Spoken<'a>>,
}

struct Spoken<'a> {
    index: usize,
    stream: Stream,
    time_ns: BootNs,
    bytes: &'a Text,
    lower: Vec<u8>,
}

/// How surely words name a failed call; greater is surer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Naming {
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
                        spoken.push(Spoken { index, stream, time_ns: event.time_ns, bytes, lower });
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
            self.spoken.iter().filter(move |it| it.stream == stream).find_map(|it| {
                let text = last_lines(it.bytes);
                (!text.is_empty()).then_some((text, it.index))
            })
        };
        by(Stream::Init).or_else(|| by(Stream::Stderr)).or_else(|| by(Stream::Stdout))
    }

    /// Whether and how surely they name this failed call, and which entry does.
    pub fn naming(&self, failure: &Failure<'_>) -> Option<(Naming, usize)> {
        let named = self.spoken.iter().filter_map(|it| Some((it.naming(failure)?, it.index)));
        named.max_by_key(|(naming, _)| *naming)
    }

    /// The first entry whose bytes hold one of these, whatever their case.
    pub fn mention(&self, phrases: &[&str]) -> Option<usize> {
        let holds =
            |it: &&Spoken<'_>| phrases.iter().any(|phrase| contains(&it.lower, phrase.as_bytes()));
        self.spoken.iter().find(holds).map(|it| it.index)
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
        let errors = error_phrases(failure);
        let says_error = |text: &[u8]| errors.iter().any(|phrase| contains_phrase(text, phrase));
        let lines: Vec<&[u8]> = self.lower.split(|byte| *byte == b'\n').collect();
        let full = |line: &[u8]| names_whole(line, &failure.subject);
        let part = |line: &[u8]| names_part(line, &failure.subject);
        if lines.iter().any(|line| (full(line) || part(line)) && says_error(line)) {
            return Some(Naming::Both);
        }
        let last = lines.iter().rev().filter(|line| !line.is_empty()).take(LAST_LINES);
        if last.clone().any(|line| full(line)) {
            return Some(Naming::Object);
        }
        says_error(&self.lower).then_some(Naming::Error)
    }
}

/// What programs print for an error: strerror's text, its name, and the phrases of runtimes.
fn error_phrases(failure: &Failure<'_>) -> Vec<String> {
    let own: &[&str] = match failure.errno {
        _ if failure.is_dns() => &[
            "temporary failure in name resolution",
            "name or service not known",
            "no such host",
            "could not resolve",
            "couldn't resolve",
            "cannot resolve",
            "name resolution",
            "eai_again",
            "enotfound",
            "nxdomain",
            "servfail",
            "unknownhostexception",
            "failed to lookup address",
            "no address associated",
            "bad address",
            "getaddrinfo",
            "name does not resolve",
            "lookup",
        ],
        Errno::EADDRINUSE => &["address in use", "already in use", "eaddrinuse"],
        Errno::EAGAIN => &[
            "cannot fork",
            "can't fork",
            "can't start new thread",
            "unable to create native thread",
            "failed to create new os thread",
            "pthread_create",
            "fork failed",
            "failed to spawn",
        ],
        Errno::ENOMEM => &[
            "out of memory",
            "not enough memory",
            "memoryerror",
            "bad_alloc",
            "memory allocation of",
            "memory exhausted",
            "could not allocate",
            "unable to allocate",
            "failed to map segment",
            "could not reserve enough space",
        ],
        _ => &[],
    };
    let mut phrases: Vec<String> = own.iter().map(|phrase| (*phrase).to_owned()).collect();
    if !failure.is_dns() {
        phrases.push(failure.errno.text().to_owned());
        phrases.extend(failure.errno.name().map(str::to_ascii_lowercase));
    }
    phrases
}

fn names_whole(line: &[u8], subject: &Subject<'_>) -> bool {
    match subject {
        Subject::Path(path) => {
            path.as_bytes().len() > 1 && contains_word(line, &path.as_bytes().to_ascii_lowercase())
        }
        Subject::Address { address, port } => match address {
            Address::Inet(inet) => {
                contains_word(line, inet.to_string().as_bytes())
                    || (inet.port() != 0
                        && contains_word(line, format!(":{}", inet.port()).as_bytes()))
            }
            Address::Unix(path) => contains_word(line, &path.as_bytes().to_ascii_lowercase()),
            Address::None | Address::Netlink | Address::Family(_) => {
                *port != 0 && contains_word(line, format!(":{port}").as_bytes())
            }
        },
        Subject::Question { name, .. } => {
            let name = name.as_bytes().to_ascii_lowercase();
            name.len() > 2 && contains_word(line, &name)
        }
        Subject::None => false,
    }
}

/// Names too short or too common to mean the object unless the error stands beside them.
fn names_part(line: &[u8], subject: &Subject<'_>) -> bool {
    match subject {
        Subject::Path(path) => {
            let name = programs::file_name(path.as_bytes()).to_ascii_lowercase();
            name.len() > 1 && contains_word(line, &name)
        }
        Subject::Address { address: Address::Inet(inet), .. } => {
            inet.port() != 0 && contains_word(line, inet.port().to_string().as_bytes())
        }
        Subject::Address { .. } | Subject::Question { .. } | Subject::None => false,
    }
}

fn contains(text: &[u8], needle: &[u8]) -> bool {
    !needle.is_empty() && text.windows(needle.len()).any(|window| window == needle)
}

/// A one-word phrase (an errno's name) must stand for itself, a longer one may stand anywhere.
fn contains_phrase(text: &[u8], phrase: &str) -> bool {
    if phrase.contains(' ') {
        contains(text, phrase.as_bytes())
    } else {
        contains_word(text, phrase.as_bytes())
    }
}

/// `needle` with no letter, digit or joining sign on either side, so that `/app` is not found in `/app/main.py`.
pub(super) fn contains_word(text: &[u8], needle: &[u8]) -> bool {
    if needle.is_empty() || needle.len() > text.len() {
        return false;
    }
    let joins = |byte: u8| byte.is_ascii_alphanumeric() || b"_-/".contains(&byte) || byte >= 0x80;
    let matches = text.windows(needle.len()).enumerate().filter(|(_, window)| *window == needle);
    matches.map(|(start, _)| (start, start + needle.len())).any(|(start, end)| {
        let before = start.checked_sub(1).map(|at| text[at]);
        let after = text.get(end).copied();
        let dotted = after == Some(b'.') && text.get(end + 1).is_some_and(|next| joins(*next));
        let begins = needle[0] == b'/' || needle[0] == b':';
        let free_before = before.is_none_or(|byte| {
            if begins {
                !(byte == b'/' || byte == b'.') || needle[0] == b':'
            } else {
                !joins(byte) || byte == b'/'
            }
        });
        free_before && !after.is_some_and(joins) && !dotted
    })
}

/// The last non-empty lines that fit a quotation, joined by spaced slashes.
fn last_lines(bytes: &Text) -> String {
    let mut kept: Vec<String> = Vec::new();
    let mut length = 0;
    for line in bytes.as_bytes().split(|byte| *byte == b'\n').rev() {
        let line = Text(line.trim_ascii().to_vec()).to_string();
        if line.is_empty() {
            continue;
        }
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
    fn a_folder_is_not_named_by_a_file_in_it() {
        assert!(!contains_word(b"file \"/app/main.py\"", b"/app"));
        assert!(contains_word(b"cannot open /app: no", b"/app"));
        assert!(contains_word(b"cannot open /etc/app.conf.", b"/etc/app.conf"));
        assert!(!contains_word(b"cannot open /etc/app.conf.d", b"/etc/app.conf"));
    }

    #[test]
    fn a_port_is_named_behind_its_colon() {
        assert!(contains_word(b"listen tcp :9443: bind", b":9443"));
        assert!(contains_word(b"127.0.0.1:9443", b":9443"));
        assert!(!contains_word(b"127.0.0.1:19443", b"9443"));
    }

    #[test]
    fn quotation_keeps_the_last_lines_that_fit() {
        assert_eq!(last_lines(&Text::from("one\n\ntwo\n")), "one / two");
        let long = format!("{}\nlast\n", "x".repeat(400));
        assert_eq!(last_lines(&Text::from(long.as_str())), "last");
    }
}

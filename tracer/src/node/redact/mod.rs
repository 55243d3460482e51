//! Takes secrets of well-known shapes out of arguments and output before anything is stored, printed or sent; the rules
//! are in docs/security.md. It must not know where events go.

mod assigned;
mod flags;
mod keys;
mod names;
mod shapes;
#[cfg(test)]
mod tests;

use std::{
    ops::Range,
    sync::atomic::{AtomicU64, Ordering},
};

use memchr::memmem;
use regex::bytes::{Regex, RegexBuilder};

use crate::{
    capture::event::{Event, What},
    diagnose::facts::Facts,
    linux::text::Text,
};
use shapes::Shapes;

/// What stands in a secret's place, whatever its length.
pub const MARK: &[u8] = b"[redacted]";

/// Why something was taken out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// The value of a flag, variable or field whose name holds a secret.
    Named,
    /// The rest of an `Authorization` or `Cookie` line.
    Header,
    Bearer,
    /// A password in a URL, the secret part of a webhook's address, the signature of a signed one.
    Url,
    PrivateKey,
    Jwt,
    /// A key of a service whose keys begin alike: AWS, GitHub, GitLab, Slack, Stripe, Google, ...
    ServiceKey,
    /// A pattern of the user's.
    Pattern,
    /// What follows a program's own flag: `mysql -pX`, `curl -u user:X`.
    Flag,
    /// A password's hash: `$6$...`, `{SSHA}...`.
    PasswordHash,
    /// base64 of `user:password`.
    Encoded,
}

impl Rule {
    pub const ALL: [Self; 11] = [
        Self::Named,
        Self::Header,
        Self::Bearer,
        Self::Url,
        Self::PrivateKey,
        Self::Jwt,
        Self::ServiceKey,
        Self::Pattern,
        Self::Flag,
        Self::PasswordHash,
        Self::Encoded,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Named => "named",
            Self::Header => "header",
            Self::Bearer => "bearer",
            Self::Url => "url",
            Self::PrivateKey => "private_key",
            Self::Jwt => "jwt",
            Self::ServiceKey => "service_key",
            Self::Pattern => "pattern",
            Self::Flag => "flag",
            Self::PasswordHash => "password_hash",
            Self::Encoded => "encoded",
        }
    }
}

/// How often a text is gone through at most.
const PASSES: usize = 4;

/// Takes secrets out, and counts them.
#[derive(Debug)]
pub struct Redactor {
    on: bool,
    /// Text without any of these holds no name of a secret, and no flag that takes one.
    trigger: Regex,
    shapes: Shapes,
    patterns: Vec<Regex>,
    counts: [AtomicU64; Rule::ALL.len()],
}

/// Names of secrets hold one of these, or a letter that is not ASCII.
const NAMES: &str = r"pass|pw|secret|token|key|cookie|cred|psk|wort|geheim|contras|clave|senha|wachtwoord|heslo|haslo|parola|lozinka|sifre|jelszo|losenord|salasana|adgangskode|[\x80-\xff]";

impl Redactor {
    /// `patterns`: regular expressions of the user's; their first group is taken out, or else all that they match.
    ///
    /// # Errors
    /// A pattern is no regular expression.
    pub fn new(on: bool, patterns: &[String]) -> Result<Self, regex::Error> {
        Ok(Self {
            on,
            trigger: RegexBuilder::new(&format!("(?i){NAMES}|{}", flags::TRIGGERS))
                .unicode(false)
                .build()?,
            shapes: Shapes::new()?,
            patterns: patterns.iter().map(|text| Regex::new(text)).collect::<Result<_, _>>()?,
            counts: Default::default(),
        })
    }

    /// Arguments and words of an event. Lengths that would tell a secret's are corrected.
    pub fn event(&self, event: &mut Event) {
        match &mut event.what {
            What::Exec(exec) => {
                let before = length(&exec.args);
                self.arguments(&mut exec.args);
                exec.args_length = corrected(exec.args_length, before, length(&exec.args));
            }
            What::ExecFailed(exec) => self.arguments(&mut exec.args),
            What::Found(found) => self.arguments(&mut found.args),
            What::Words(words) => {
                let before = words.head.0.len() + words.bytes.0.len();
                self.text(&mut words.head);
                self.text(&mut words.bytes);
                let after = words.head.0.len() + words.bytes.0.len();
                words.total_bytes = corrected(words.total_bytes, before, after);
            }
            What::Fork(_)
            | What::Exit(_)
            | What::Signal(_)
            | What::Threads(_)
            | What::Oom(_)
            | What::Bind(_)
            | What::Call(_)
            | What::CallsForgotten(_)
            | What::Cgroup(_)
            | What::Lost(_) => {}
        }
    }

    /// Command lines of senders, and the runtime's message, which may quote arguments.
    pub fn facts(&self, facts: &mut Facts) {
        for sender in &mut facts.senders {
            self.text(&mut sender.command);
        }
        if let Some(message) = &mut facts.runtime_message {
            self.string(message);
        }
    }

    /// An argument vector: a secret may be the argument after its flag.
    pub fn arguments(&self, args: &mut [Text]) {
        if !self.on {
            return;
        }
        self.values_of_flags(args);
        let mut flag = Flag::None;
        for arg in args {
            let bytes = arg.as_bytes();
            let next = Flag::of(bytes);
            let whole = match flag {
                Flag::Secret => (!looks_like_flag(bytes)).then_some(0..bytes.len()),
                Flag::None => value_of(bytes),
                Flag::Script => None,
            };
            let whole = whole.filter(|value| {
                let value = &bytes[value.clone()];
                !names::is_open(value) && value != MARK
            });
            flag = match whole {
                Some(value) => {
                    self.replace(arg, vec![(value, Rule::Named)]);
                    Flag::None
                }
                None => {
                    self.text(arg);
                    next
                }
            };
        }
    }

    /// What follows a program's own flag, whatever blanks it holds.
    fn values_of_flags(&self, args: &mut [Text]) {
        let mut found = Vec::new();
        let bytes: Vec<&[u8]> = args.iter().map(Text::as_bytes).collect();
        flags::of_arguments(&bytes, |at, range| found.push((at, range)));
        for (at, range) in found {
            self.replace(&mut args[at], vec![(range, Rule::Flag)]);
        }
    }

    /// Text of any kind: a line or many, a script, a command line in one piece.
    pub fn text(&self, text: &mut Text) {
        if !self.on {
            return;
        }
        // What is taken out can uncover the edge of something else.
        for _ in 0..PASSES {
            let found = self.find(text.as_bytes());
            if found.is_empty() {
                return;
            }
            self.replace(text, found);
        }
    }

    pub fn string(&self, text: &mut String) {
        let mut bytes = Text(std::mem::take(text).into_bytes());
        self.text(&mut bytes);
        *text = String::from_utf8_lossy(bytes.as_bytes()).into_owned();
    }

    /// How many secrets each rule has taken out.
    pub fn counts(&self) -> [(Rule, u64); Rule::ALL.len()] {
        Rule::ALL.map(|rule| (rule, self.counts[rule as usize].load(Ordering::Relaxed)))
    }

    fn find(&self, text: &[u8]) -> Vec<(Range<usize>, Rule)> {
        let mut found = Vec::new();
        if self.trigger.is_match(text) {
            assigned::find(text, &mut found);
            flags::find(text, &mut found);
        }
        self.shapes.find(text, &mut found);
        for pattern in &self.patterns {
            find_between_marks(pattern, text, &mut found);
        }
        found.retain(|(range, _)| !range.is_empty() && &text[range.clone()] != MARK);
        found
    }

    /// Puts the mark in the place of each range; of those that overlap, one for all.
    fn replace(&self, text: &mut Text, mut found: Vec<(Range<usize>, Rule)>) {
        found.sort_by_key(|(range, _)| (range.start, range.end));
        let mut out = Vec::with_capacity(text.0.len());
        let mut done = 0;
        let mut found = found.into_iter().peekable();
        while let Some((mut range, rule)) = found.next() {
            while let Some((next, _)) = found.next_if(|(next, _)| next.start <= range.end) {
                range.end = range.end.max(next.end);
            }
            out.extend_from_slice(&text.0[done..range.start]);
            out.extend_from_slice(MARK);
            done = range.end;
            self.counts[rule as usize].fetch_add(1, Ordering::Relaxed);
        }
        out.extend_from_slice(&text.0[done..]);
        text.0 = out;
    }
}

/// What an argument means for the next one.
enum Flag {
    None,
    /// The next one is a secret.
    Secret,
    /// The next one is a shell's script: many words, not one value.
    Script,
}

impl Flag {
    fn of(arg: &[u8]) -> Self {
        let Some(rest) = arg.strip_prefix(b"-") else { return Self::None };
        if rest.len() <= 4 && rest.ends_with(b"c") && rest.iter().all(u8::is_ascii_lowercase) {
            return Self::Script;
        }
        let is_name = arg.iter().all(|byte| names::is_name_byte(*byte));
        if is_name && names::holds(arg).is_some() { Self::Secret } else { Self::None }
    }
}

/// `-x` or `--long`: a flag whose secret is missing is followed by another flag.
fn looks_like_flag(arg: &[u8]) -> bool {
    arg.starts_with(b"--") || (arg.len() == 2 && arg[0] == b'-')
}

/// The value in an argument that is `NAME=value` as a whole: blanks and quotes are the value's.
fn value_of(arg: &[u8]) -> Option<Range<usize>> {
    let equals = arg.iter().position(|byte| *byte == b'=')?;
    let is_name = arg[..equals].iter().all(|byte| names::is_name_byte(*byte));
    (is_name && names::holds(&arg[..equals]).is_some()).then_some(equals + 1..arg.len())
}

/// What a pattern matches outside of marks that are already there.
fn find_between_marks(pattern: &Regex, text: &[u8], found: &mut Vec<(Range<usize>, Rule)>) {
    let mut start = 0;
    while start <= text.len() {
        let rest = &text[start..];
        let mark = memmem::find(rest, MARK);
        let part = &rest[..mark.unwrap_or(rest.len())];
        for captures in pattern.captures_iter(part) {
            if let Some(group) = captures.get(1).or_else(|| captures.get(0)) {
                found.push((start + group.start()..start + group.end(), Rule::Pattern));
            }
        }
        start += part.len() + MARK.len();
    }
}

fn length(args: &[Text]) -> usize {
    args.iter().map(|arg| arg.0.len()).sum()
}

/// A length in the kernel's count after `before` bytes of it became `after`.
fn corrected(total: u64, before: usize, after: usize) -> u64 {
    let bytes = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
    total.saturating_sub(bytes(before)).saturating_add(bytes(after))
}

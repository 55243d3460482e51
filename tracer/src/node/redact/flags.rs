//! Secrets that follow a program's own flag: `mysql -phunter2`, `curl -u user:password`, `redis-cli -a hunter2`, `AUTH hunter2`. It
//! must not know names of settings.

use std::ops::Range;

use super::{MARK, Rule, assigned, names};

/// How a program takes a secret on its command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Takes {
    /// `-pX` in one word.
    Attached(&'static [u8]),
    /// `-p X`, or in one word.
    Next(&'static [u8]),
    /// `-U user%X`: what follows that byte.
    After(&'static [u8], u8),
}

/// Programs by the beginning of their names, with each flag of theirs that takes a secret.
const PROGRAMS: &[(&[u8], Takes)] = &[
    // mysql(1): `-p` alone asks for it, and the next word is a database.
    (b"mysql", Takes::Attached(b"-p")),
    (b"mariadb", Takes::Attached(b"-p")),
    (b"7z", Takes::Attached(b"-p")),
    (b"sshpass", Takes::Next(b"-p")),
    (b"redis-cli", Takes::Next(b"-a")),
    (b"valkey-cli", Takes::Next(b"-a")),
    (b"keydb-cli", Takes::Next(b"-a")),
    (b"mongo", Takes::Next(b"-p")),
    (b"mosquitto_", Takes::Next(b"-P")),
    (b"ldap", Takes::Next(b"-w")),
    (b"zip", Takes::Next(b"-P")),
    (b"unzip", Takes::Next(b"-P")),
    (b"sqlcmd", Takes::Next(b"-P")),
    (b"bcp", Takes::Next(b"-P")),
    (b"smbclient", Takes::After(b"-U", b'%')),
];

/// `-u user:password` of curl and those that took it over; `-u 1000:1000` and `-u app:app` are users and groups.
const USERS: [&[u8]; 6] = [b"-u", b"-U", b"--user", b"--proxy-user", b"-a", b"--auth"];

/// What AUTH takes before an encoded secret (RFC 4954, SMTP; RFC 9051, IMAP).
const MECHANISMS: [&[u8]; 9] = [
    b"PLAIN",
    b"LOGIN",
    b"XOAUTH2",
    b"OAUTHBEARER",
    b"CRAM-MD5",
    b"DIGEST-MD5",
    b"SCRAM-SHA-1",
    b"SCRAM-SHA-256",
    b"EXTERNAL",
];

/// Text that holds none of these holds nothing that is found here; each in lower case.
pub const TRIGGERS: &str =
    r"auth|-u|mysql|mariadb|\b7z|sshpass|-cli|mongo|mosquitto_|ldap|zip|sqlcmd|bcp|smbclient|pass:";

/// Adds what follows such flags in a text: each line is read as a command line.
pub fn find(text: &[u8], found: &mut Vec<(Range<usize>, Rule)>) {
    let mut start = 0;
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        let words = words(line).map(|it| start + it.start..start + it.end);
        let words: Vec<(Range<usize>, &[u8])> = words.map(|it| (it.clone(), &text[it])).collect();
        of_words(&words, |_, range| found.push((range, Rule::Flag)));
        start += line.len();
    }
}

/// The same of an argument vector: which argument, and which bytes of it.
pub fn of_arguments(args: &[&[u8]], mut found: impl FnMut(usize, Range<usize>)) {
    let words: Vec<(Range<usize>, &[u8])> = args.iter().map(|arg| (0..arg.len(), *arg)).collect();
    of_words(&words, &mut found);
}

/// Words and where each begins; tells of each secret the word's number and its place.
fn of_words(words: &[(Range<usize>, &[u8])], mut found: impl FnMut(usize, Range<usize>)) {
    let mut tell = |at: usize, within: Range<usize>| {
        let (place, word) = &words[at];
        let value = &word[within.clone()];
        if !names::is_open(value) && value != MARK {
            found(at, place.start + within.start..place.start + within.end);
        }
    };
    let mut program: Option<&[u8]> = None;
    for (at, (_, word)) in words.iter().enumerate() {
        let next = words.get(at + 1).map(|it| it.1).filter(|it| !it.starts_with(b"-"));
        if *word == b"AUTH" {
            let begins = at == 0 || program.is_some() || shows_a_command(words[at - 1].1);
            authenticate(&words[at + 1..], begins, |after, within| tell(at + 1 + after, within));
        }
        of_any_program(word, next, |after, within| tell(at + after, within));
        match program {
            _ if ends_command(word) => program = None,
            Some(name) => of_program(name, word, next, |after, within| tell(at + after, within)),
            None => program = is_program(word).then(|| file_name(word)),
        }
    }
}

/// Of one word and the next: `pass:X`, `-u user:X`. Tells 0 of the word, 1 of the next.
fn of_any_program(word: &[u8], next: Option<&[u8]>, mut tell: impl FnMut(usize, Range<usize>)) {
    const OPENSSL: &[u8] = b"pass:";
    if word.starts_with(OPENSSL) {
        tell(0, OPENSSL.len()..word.len());
    }
    if let Some(next) = next.filter(|_| USERS.contains(&word))
        && let Some(from) = password_of_user(next)
    {
        tell(1, from..next.len());
    }
    for flag in [&b"-u"[..], b"--user="] {
        let Some(rest) = word.strip_prefix(flag).filter(|it| !it.is_empty()) else { continue };
        if let Some(from) = password_of_user(rest) {
            tell(0, flag.len() + from..word.len());
        }
    }
}

/// The same by the flags of one program.
fn of_program(
    program: &[u8],
    word: &[u8],
    next: Option<&[u8]>,
    mut tell: impl FnMut(usize, Range<usize>),
) {
    for (_, takes) in PROGRAMS.iter().filter(|(name, _)| program.starts_with(name)) {
        match *takes {
            Takes::Attached(flag) | Takes::Next(flag)
                if word.starts_with(flag) && word.len() > flag.len() && is_value(word) =>
            {
                tell(0, flag.len()..word.len());
            }
            Takes::Next(flag) if word == flag => {
                if let Some(next) = next {
                    tell(1, 0..next.len());
                }
            }
            Takes::After(flag, byte) if word == flag => {
                let from = next.and_then(|it| it.iter().position(|it| *it == byte));
                if let (Some(next), Some(from)) = (next, from) {
                    tell(1, from + 1..next.len());
                }
            }
            Takes::Attached(_) | Takes::Next(_) | Takes::After(..) => {}
        }
    }
}

/// What follows AUTH: a password, or user and password (Redis), or a mechanism and base64 (mail). A sentence about AUTH goes on.
fn authenticate(
    after: &[(Range<usize>, &[u8])],
    begins: bool,
    mut tell: impl FnMut(usize, Range<usize>),
) {
    let after: Vec<&[u8]> =
        after.iter().map(|it| it.1).take_while(|it| !ends_command(it)).collect();
    match after[..] {
        [mechanism, secret, ..] if MECHANISMS.contains(&mechanism) => tell(1, 0..secret.len()),
        [secret] if begins && !is_prose(secret) => tell(0, 0..secret.len()),
        [user, secret] if begins && !is_prose(user) && !is_prose(secret) => {
            tell(1, 0..secret.len())
        }
        _ => {}
    }
}

fn is_prose(word: &[u8]) -> bool {
    const OUTCOMES: [&[u8]; 10] = [
        b"ok",
        b"error",
        b"failure",
        b"success",
        b"successful",
        b"succeeded",
        b"timeout",
        b"enabled",
        b"disabled",
        b"rejected",
    ];
    MECHANISMS.contains(&word)
        || OUTCOMES.iter().any(|it| word.eq_ignore_ascii_case(it))
        || assigned::is_prose(word)
}

/// What stands before a command that is shown: a prompt, `> `, `sent: `.
fn shows_a_command(word: &[u8]) -> bool {
    word.ends_with(b">") || word.ends_with(b":")
}

/// Where the password begins in `user:password`.
fn password_of_user(word: &[u8]) -> Option<usize> {
    let colon = word.iter().position(|byte| *byte == b':')?;
    let (user, password) = (&word[..colon], &word[colon + 1..]);
    let is_group = password == user || password.iter().all(u8::is_ascii_digit);
    let is_name = user.iter().all(|byte| names::is_name_byte(*byte) || b"@\\+".contains(byte));
    (is_name && !is_group && !password.starts_with(b"//")).then_some(colon + 1)
}

/// Words of a command line, without the quotes around them.
fn words(line: &[u8]) -> impl Iterator<Item = Range<usize>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let apart = |byte: &u8| byte.is_ascii_whitespace() || b"\"'`".contains(byte);
        let start = at + line[at..].iter().position(|byte| !apart(byte))?;
        let length = line[start..].iter().position(apart).unwrap_or(line.len() - start);
        at = start + length;
        Some(start..at)
    })
}

fn ends_command(word: &[u8]) -> bool {
    matches!(word, b"|" | b"||" | b"&&" | b";" | b"&")
}

/// The word is the name of a program that takes a secret by a flag.
fn is_program(word: &[u8]) -> bool {
    let name = file_name(word);
    PROGRAMS.iter().any(|(program, _)| name.starts_with(program))
}

fn file_name(path: &[u8]) -> &[u8] {
    path.rsplit(|byte| *byte == b'/').next().unwrap_or_default()
}

/// More than a group of letters that stand for flags: `-pv` of an archiver.
fn is_value(word: &[u8]) -> bool {
    word.len() > 3
}

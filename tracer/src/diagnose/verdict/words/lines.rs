//! Whether one line of last words names a failed call, by its error or its object. It must not know who said it.

use std::net::SocketAddr;

use memchr::memmem;

use crate::{
    capture::event::Address,
    linux::{errno::Errno, text::Text},
};

use crate::diagnose::verdict::{
    evidence::{
        answers, attempts, errors,
        failure::{Failure, Subject},
        probes, programs,
    },
    wording,
    words::{
        objects,
        phrases::{blames, contains, contains_phrase, contains_word, is_about_contents, misses},
        roles,
    },
};

/// What a line must hold to name a failed call.
pub(in crate::diagnose::verdict) struct Sought<'a> {
    subject: &'a Subject<'a>,
    call: &'static str,
    /// A lookup in vain: which of many it was, only the object tells.
    is_lookup: bool,
    errors: Vec<String>,
}

impl<'a> Sought<'a> {
    pub fn of(failure: &'a Failure<'_>) -> Self {
        Self {
            subject: &failure.subject,
            call: failure.call,
            is_lookup: failure.is_lookup(),
            errors: error_phrases(failure),
        }
    }

    /// The error's text or name, unless the line says it of another object. Other refusals may be said of the file for
    /// which the one that failed was to be, as a temporary one is.
    pub fn error(&self, line: &[u8]) -> bool {
        let by_object = self.is_lookup || matches!(self.subject, Subject::Address { .. });
        let another = || objects::names_another(&String::from_utf8_lossy(line), self.subject);
        self.has_text(line) && !(by_object && !takes_two_paths(self.call) && another())
    }

    fn has_text(&self, line: &[u8]) -> bool {
        // `ERROR 404: File not found`: an answer of a server.
        if self.is_lookup && contains_word(line, b"404") {
            return false;
        }
        self.errors.iter().any(|phrase| contains_phrase(line, phrase))
    }

    pub fn both(&self, line: &[u8]) -> bool {
        // `failed to set rlimit for open files`
        if is_of_limits(self.call) && contains(line, b"rlimit") && blames(line) {
            return true;
        }
        let names = match self.subject {
            Subject::None => names_call(line, self.call),
            Subject::Path(_) | Subject::Address { .. } | Subject::Question { .. } => {
                // A short name means the object where the line names no other.
                let other = || {
                    !takes_two_paths(self.call)
                        && objects::names_another(&String::from_utf8_lossy(line), self.subject)
                };
                names_whole(line, self.subject)
                    || (names_part(line, self.subject) && !other() && !self.is_loose(line))
            }
        };
        names && self.has_text(line)
    }

    /// A bare word of the line is the path's last part, but not what the error is said of: `target "x" does not exist in the
    /// project "shop"`.
    fn is_loose(&self, line: &[u8]) -> bool {
        let Subject::Path(path) = self.subject else { return false };
        let name = programs::file_name(path.as_bytes()).to_ascii_lowercase();
        if !self.is_lookup || name.contains(&b'.') {
            return false;
        }
        let at = |needle: &[u8]| memmem::find(line, needle);
        let near = |phrase: &String| {
            let (Some(name_at), Some(error)) = (at(&name), at(phrase.as_bytes())) else {
                return false;
            };
            let (before, behind) = (name_at + name.len()..error, error + phrase.len()..name_at);
            let between = line.get(before).or_else(|| line.get(behind));
            between.is_some_and(|it| !it.iter().any(u8::is_ascii_alphanumeric))
        };
        !self.errors.iter().any(near)
    }

    /// The line complains of the object, though not by this error's text.
    pub fn blamed(&self, line: &[u8]) -> bool {
        let looked = self.is_lookup && probes::looks(self.call);
        self.mentioned(line) && if looked { misses(line) } else { blames(line) }
    }

    /// The object is named, but neither as a place in a file nor with another error or what is wrong within it.
    pub fn mentioned(&self, line: &[u8]) -> bool {
        names_whole(line, self.subject)
            && !(self.is_place(line) || is_about_contents(line) || self.another_error(line))
            && !roles::is_neutral(&String::from_utf8_lossy(line))
    }

    /// It tells of such a failure in words of its own, without saying which.
    pub fn hinted(&self, line: &[u8]) -> bool {
        const REFUSED: &[&[u8]] = &[
            b"fetch failed",
            b"can't contact",
            b"cannot contact",
            b"could not contact",
            b"unable to bootstrap",
            b"no brokers",
            b"serverselection",
            b"no upstream",
            b"not available",
            b"unavailable",
            b"no servers could be",
            b"cannot reach",
            b"can't reach",
            b"could not reach",
            b"unable to reach",
            b"not reachable",
        ];
        let connects = ["connect", "getsockopt"].contains(&self.call)
            && matches!(self.subject, Subject::Address { .. });
        connects && REFUSED.iter().any(|sign| contains(line, sign))
    }

    /// In whichever way.
    pub fn named(&self, line: &[u8]) -> bool {
        self.hinted(line) || self.error(line) || self.mentioned(line) || self.both(line)
    }

    /// `/app/main.conf:3`, `/app/main.conf on line 3`: what is there was read.
    fn is_place(&self, line: &[u8]) -> bool {
        let Subject::Path(path) = self.subject else { return false };
        let path = path.as_bytes().to_ascii_lowercase();
        let at = memmem::find(line, &path).filter(|_| !path.is_empty());
        let Some(rest) = at.map(|at| &line[at + path.len()..]) else { return false };
        let rest = rest.strip_prefix(b"\"").or(rest.strip_prefix(b"'")).unwrap_or(rest);
        let digit = |rest: &[u8]| rest.first().is_some_and(u8::is_ascii_digit);
        let behind = |mark: &[u8]| rest.strip_prefix(mark).is_some_and(digit);
        [&b":"[..], b", line ", b" line ", b": line ", b" on line ", b"(", b" at line ", b":line "]
            .iter()
            .any(|mark| behind(mark))
    }

    /// It tells of another error, of another object.
    pub fn tells_another_error(&self, line: &[u8]) -> bool {
        self.another_error(line)
            && objects::names_another(&String::from_utf8_lossy(line), self.subject)
    }

    /// The text of another error stands in it.
    fn another_error(&self, line: &[u8]) -> bool {
        const OTHERS: &[Errno] = &[
            Errno::ENOENT,
            Errno::EACCES,
            Errno::EPERM,
            Errno::EROFS,
            Errno::ENOSPC,
            Errno::ENOTDIR,
            Errno::EMFILE,
            Errno::ECONNREFUSED,
            Errno::EADDRINUSE,
            Errno::EADDRNOTAVAIL,
        ];
        let named = |errno: &Errno| contains(line, errno.text().to_ascii_lowercase().as_bytes());
        let timed_out = contains(line, b"timed out") || contains(line, b"timeout");
        !self.has_text(line) && (OTHERS.iter().any(named) || timed_out)
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
            "host not found",
            "unknown host",
            "could not translate host name",
            "nodename nor servname",
        ],
        Errno::ENOENT => &[
            "no such file",
            "file not found",
            "nosuchfileexception",
            "filenotfounderror",
            "does not exist",
            "doesn't exist",
            "is not a directory",
            "is not a file",
            "not a regular file",
            "not a valid directory",
            // Free Pascal (rtl/inc/errors: user's guide, appendix D).
            "runtime error 2 at",
            "runtime error 3 at",
        ],
        Errno::EACCES => &[
            "accessdeniedexception",
            "permissionerror",
            "access denied",
            "access is denied",
            "runtime error 5 at",
        ],
        Errno::ECONNREFUSED => &[
            "couldn't connect to",
            "can't connect to",
            "failed to connect to",
            "cannot connect to",
            "could not connect to",
        ],
        Errno::EADDRINUSE => &["address in use", "already in use", "eaddrinuse"],
        Errno::EAGAIN if !errors::is_lock(failure) => &[
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
        _ => answers::phrases(failure),
    };
    let mut phrases: Vec<String> = own.iter().map(|phrase| (*phrase).to_owned()).collect();
    if attempts::opens_to_write(failure) || is_database(failure) {
        // SQLITE_CANTOPEN (sqlite.org/rescode.html#cantopen), which names no file.
        phrases.push("unable to open database file".to_owned());
    }
    if !failure.is_dns() {
        phrases.push(failure.errno.text().to_owned());
        // Python's `[Errno 111]`, Rust's `(os error 111)`.
        phrases.push(format!("[errno {}]", failure.errno.0));
        phrases.push(format!("(os error {})", failure.errno.0));
        phrases.extend(failure.errno.name().map(str::to_ascii_lowercase));
    }
    phrases
}

/// Opened, and a database by its name.
fn is_database(failure: &Failure<'_>) -> bool {
    let name = |path: &Text| {
        let name = programs::file_name(path.as_bytes()).to_ascii_lowercase();
        [&b".db"[..], b"sqlite"].iter().any(|part| contains(&name, part))
    };
    programs::opens(failure.call) && failure.path().is_some_and(name)
}

/// The line may name the path of such a call that the record does not hold.
fn takes_two_paths(call: &str) -> bool {
    ["rename", "link", "symlink", "mount", "move_mount", "pivot_root"]
        .iter()
        .any(|it| call.starts_with(it))
}

pub(in crate::diagnose::verdict) fn names_whole(line: &[u8], subject: &Subject<'_>) -> bool {
    match subject {
        Subject::Path(path) => {
            // A bare word (`all`, `config`) may mean anything.
            let telling = path.as_bytes().iter().any(|byte| b"/.".contains(byte));
            let path = path.as_bytes().to_ascii_lowercase();
            let named = telling && path.len() > 1 && contains_word(line, &path);
            named || is_set_off(line, programs::file_name(&path))
        }
        Subject::Address { address, port } => match address {
            Address::Inet(inet) => {
                contains_word(line, wording::unmapped(*inet).to_string().as_bytes())
                    || contains_word(line, inet.to_string().as_bytes())
                    || is_by_bash(line, wording::unmapped(*inet))
                    || (inet.port() != 0
                        && [":", "port "].iter().any(|before| {
                            contains_word(line, format!("{before}{}", inet.port()).as_bytes())
                        }))
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

/// Of a line about files a bare name stands for the file where it is in quotes, or ends the line behind a colon: `Could not
/// open input file: artisan`.
fn is_set_off(line: &[u8], name: &[u8]) -> bool {
    const ABOUT: &[&[u8]] = &[b"file", b"open", b"folder", b"director", b"script", b"executable"];
    if name.len() < 3 || !ABOUT.iter().any(|word| contains(line, word)) {
        return false;
    }
    let line = line.trim_ascii_end();
    let ends = [&b": "[..], name].concat();
    // The value of a field is not set off: `subsystem="config"`.
    let quoted = |from: u8, to: u8| {
        let quote = [&[from], name, &[to]].concat();
        memmem::find(line, &quote).is_some_and(|at| at == 0 || line[at - 1] != b'=')
    };
    line.ends_with(&ends) || quoted(b'\'', b'\'') || quoted(b'"', b'"') || quoted(b'`', b'\'')
}

/// `/dev/tcp/127.0.0.1/5432`: how bash names a peer (bash(1), REDIRECTION).
fn is_by_bash(line: &[u8], inet: SocketAddr) -> bool {
    contains_word(line, format!("/dev/tcp/{}/{}", inet.ip(), inet.port()).as_bytes())
}

fn is_of_limits(call: &str) -> bool {
    ["setrlimit", "prlimit64"].contains(&call)
}

/// How programs speak of a call that is about no object of its own.
fn names_call(line: &[u8], call: &str) -> bool {
    let phrases: &[&str] = match call {
        "mlock" | "mlock2" | "mlockall" => {
            &["mlock", "lock memory", "locked memory", "memory lock"]
        }
        "io_uring_setup" | "io_uring_enter" | "io_uring_register" => &["io_uring", "io-uring"],
        "sched_setaffinity" => &["affinity"],
        "sched_setscheduler" | "sched_setattr" | "sched_setparam" => &["sched", "priority"],
        "setpriority" => &["priority", "nice"],
        "setrlimit" | "prlimit64" => &["rlimit", "limit"],
        "clone" | "clone3" | "fork" | "vfork" => &["clone", "fork", "thread"],
        "fcntl" => &["fcntl", "lock"],
        "epoll_ctl" => &["epoll"],
        "perf_event_open" => &["perf"],
        call => return contains(line, call.as_bytes()),
    };
    phrases.iter().any(|phrase| contains(line, phrase.as_bytes()))
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

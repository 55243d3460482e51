//! What a program said of its end, in whichever runtime's manner. It must not know system calls or causes.

use crate::event::Status;

use super::{
    beam, dotnet, go, jvm, loggers, native, node, perl, php, python, roles, ruby, rust, said::Line,
    shells,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::verdict) enum Runtime {
    Python,
    Jvm,
    Go,
    Node,
    Rust,
    Native,
    Ruby,
    Php,
    Perl,
    Beam,
    Dotnet,
    Shell,
    /// A log line, whoever wrote it.
    Logger,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::verdict) enum Kind {
    /// Nothing caught it, so that it ended the program.
    Uncaught,
    /// A limit that the runtime keeps for its own memory.
    HeapExhausted,
    /// Go's runtime found that nothing can go on any more.
    Deadlock,
    /// What is printed before abort(3): an assertion, a broken heap, std::terminate.
    Aborted,
    /// An exception that somebody caught and told of, or that ended only a thread.
    Reported,
    /// The runtime or program would not begin: a wrong option, an absent file.
    Refused,
    FatalLine,
    ErrorLine,
}

/// A limit of a runtime's memory, as far as words tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::verdict) struct HeapLimit {
    /// `heap`, `metaspace`, `direct memory`
    pub of: &'static str,
    pub bytes: Option<u64>,
    /// Where words say that it was set: `memory_limit`, `JAVA_TOOL_OPTIONS`.
    pub set_by: Option<&'static str>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::verdict) struct Reading {
    pub runtime: Runtime,
    pub kind: Kind,
    /// `java.lang.IllegalStateException`, `KeyError`, `panic`
    pub type_name: String,
    /// Empty where it is lost or there is none.
    pub message: String,
    /// Where it all began: the innermost `Caused by`, the first of a chain.
    pub root_cause: Option<String>,
    /// The call of the application nearest to it, rather than one of a library.
    pub frame: Option<String>,
    /// The lines that tell most, the most telling first.
    pub telling: Vec<usize>,
    /// The last line that belongs to it.
    pub last: usize,
    /// Its beginning was kept.
    pub complete: bool,
    /// It was raised while another exception was handled, so that the one need not be why the other came.
    pub while_handling: bool,
    pub limit: Option<HeapLimit>,
}

impl Runtime {
    pub fn name(self) -> &'static str {
        match self {
            Self::Python => "python",
            Self::Jvm => "jvm",
            Self::Go => "go",
            Self::Node => "node",
            Self::Rust => "rust",
            Self::Native => "native",
            Self::Ruby => "ruby",
            Self::Php => "php",
            Self::Perl => "perl",
            Self::Beam => "beam",
            Self::Dotnet => "dotnet",
            Self::Shell => "shell",
            Self::Logger => "logger",
        }
    }
}

/// How a status agrees with an uncaught exception of a runtime.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::verdict) enum Fit {
    /// The runtime's own status for it.
    Own,
    /// A status that it can lead to.
    Possible,
    /// Another one: the program chose it itself.
    Not,
}

impl Reading {
    pub fn new(runtime: Runtime, kind: Kind, line: usize) -> Self {
        Self {
            runtime,
            kind,
            type_name: String::new(),
            message: String::new(),
            root_cause: None,
            frame: None,
            telling: vec![line],
            last: line,
            complete: true,
            while_handling: false,
            limit: None,
        }
    }

    /// It says why the program ended.
    pub fn ended_it(&self) -> bool {
        match self.kind {
            Kind::Uncaught | Kind::HeapExhausted | Kind::Deadlock | Kind::Aborted => true,
            Kind::Reported | Kind::Refused | Kind::FatalLine | Kind::ErrorLine => false,
        }
    }

    /// `KeyError: 'x'`
    pub fn text(&self) -> String {
        match (self.type_name.as_str(), self.message.as_str()) {
            (it, "") | ("", it) => it.to_owned(),
            (name, message) => format!("{name}: {message}"),
        }
    }

    /// Lines are lost where its causes would stand: below it, among its calls.
    fn lacks_causes(&self, lines: &[Line]) -> bool {
        let below = match self.runtime {
            Runtime::Jvm | Runtime::Node | Runtime::Ruby | Runtime::Php | Runtime::Dotnet => true,
            Runtime::Python
            | Runtime::Go
            | Runtime::Rust
            | Runtime::Native
            | Runtime::Perl
            | Runtime::Beam
            | Runtime::Shell
            | Runtime::Logger => false,
        };
        let first = self.telling.iter().copied().min().unwrap_or(self.last);
        let until = self.last.min(lines.len().saturating_sub(1));
        let torn = lines.get(first + 1..=until).is_some_and(|it| it.iter().any(|line| line.cut));
        // It comes of calls alone, which are more than are kept.
        let causeless = self.type_name == "java.lang.StackOverflowError";
        below && torn && self.root_cause.is_none() && !causeless
    }

    pub fn fit(&self, status: Status) -> Fit {
        let Some(code) = status.code else { return Fit::Possible };
        // Perl's die takes errno's number where errno is set (perlfunc(1): die).
        const ERRNOS: &[u8] = &[2, 9, 11, 13, 22, 25, 98, 111];
        let own: &[u8] = match self.runtime {
            Runtime::Python | Runtime::Node | Runtime::Ruby => &[1],
            // ExitOnOutOfMemoryError ends with 3.
            Runtime::Jvm if self.kind == Kind::HeapExhausted => &[1, 3],
            Runtime::Jvm => &[1],
            Runtime::Go => &[2],
            Runtime::Rust => &[101],
            Runtime::Php | Runtime::Perl => &[255],
            Runtime::Beam => &[1, 127],
            Runtime::Dotnet | Runtime::Native | Runtime::Shell | Runtime::Logger => &[],
        };
        if own.contains(&code) {
            Fit::Own
        } else if self.runtime == Runtime::Perl && ERRNOS.contains(&code) {
            Fit::Possible
        } else {
            Fit::Not
        }
    }
}

type Reader = fn(&[Line]) -> Option<Reading>;

/// The last that says why the program ended, else the last report of an exception, else the line of a log or shell.
pub(in crate::verdict) fn read(lines: &[Line]) -> Option<Reading> {
    const RUNTIMES: &[Reader] = &[
        python::read,
        jvm::read,
        go::read,
        node::read,
        rust::read,
        native::read,
        ruby::read,
        php::read,
        perl::read,
        beam::read,
        dotnet::read,
    ];
    let mut found: Vec<Reading> = RUNTIMES.iter().filter_map(|read| read(lines)).collect();
    found.iter_mut().for_each(|it| it.complete &= !it.lacks_causes(lines));
    let ended = found.iter().filter(|it| it.ended_it()).max_by_key(|it| it.last);
    let refused = || found.iter().filter(|it| it.kind == Kind::Refused).max_by_key(|it| it.last);
    let said = || shells::read(lines).or_else(|| loggers::read(lines));
    // A complaint after a report is why it ended.
    let reported = || {
        let it = found.iter().filter(|it| !it.ended_it()).max_by_key(|it| it.last)?;
        let reason = |said: &Reading| !roles::is_vague(&lines[said.telling[0]].text.to_lowercase());
        let later = said().filter(|said| said.telling[0] > it.last && reason(said));
        Some(later.unwrap_or_else(|| it.clone()))
    };
    ended.or_else(refused).cloned().or_else(reported).or_else(said)
}

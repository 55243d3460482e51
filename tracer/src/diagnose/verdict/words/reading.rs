//! What a program said of its end, in whichever runtime's manner. It must not know system calls, causes, or the readers of
//! each runtime.

use crate::capture::event::Status;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::diagnose::verdict) enum Runtime {
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
pub(in crate::diagnose::verdict) enum Kind {
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
pub(in crate::diagnose::verdict) struct HeapLimit {
    /// `heap`, `metaspace`, `direct memory`
    pub of: &'static str,
    pub bytes: Option<u64>,
    /// Where words say that it was set: `memory_limit`, `JAVA_TOOL_OPTIONS`.
    pub set_by: Option<&'static str>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::diagnose::verdict) struct Reading {
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
pub(in crate::diagnose::verdict) enum Fit {
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

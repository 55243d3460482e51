//! One row of the table: a way to die and what must be said about it. Knows nothing of how it is provoked.

use crate::act::{Act, End};
use crate::need::Need;
use crate::stage::Stage;

/// A death that can be provoked.
#[derive(Debug, Clone, Copy)]
pub struct Death {
    /// Its name, one word of snake_case: the name of its test and of its corpus folder.
    pub name: &'static str,
    /// The cause that the verdict must name.
    pub cause: &'static str,
    /// `proven` or `likely` where the verdict must be just that with output capture on; `None` leaves it open.
    pub confidence: Option<&'static str>,
    /// How the command ends, with or without a tracer around it.
    pub exit: Exit,
    /// What the verdict's summary, evidence, next step or details must contain, whatever the run; [`Act::says`] adds
    /// what only the run knows (paths, ports, pids).
    pub says: &'static [&'static str],
    /// What the command itself writes to stderr: shows without a tracer that it died of what it was meant to die of.
    pub words: &'static [&'static str],
    /// What must be there to provoke it.
    pub needs: &'static [Need],
    /// Sets the stage and says what to run on it.
    pub scene: fn(&Stage) -> anyhow::Result<Act>,
}

/// How a command ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// It cannot be executed; a shell, and the tracer, end with this code for it.
    NotRun(u8),
    /// It ends with this exit code.
    Code(u8),
    /// It ends by this signal, without a core dump.
    Signal(&'static str),
    /// It ends by this signal and dumps core.
    Core(&'static str),
}

impl Death {
    /// A row without needs, words and stated confidence.
    pub const fn new(
        name: &'static str,
        cause: &'static str,
        exit: Exit,
        scene: fn(&Stage) -> anyhow::Result<Act>,
    ) -> Self {
        Self {
            name,
            cause,
            confidence: None,
            exit,
            says: &[],
            words: &[],
            needs: &[Need::Root],
            scene,
        }
    }

    /// The verdict must be proven.
    pub const fn proven(self) -> Self {
        Self { confidence: Some("proven"), ..self }
    }

    /// The verdict must not claim to be more than likely.
    pub const fn likely(self) -> Self {
        Self { confidence: Some("likely"), ..self }
    }

    /// The verdict must contain each of these.
    pub const fn says(self, says: &'static [&'static str]) -> Self {
        Self { says, ..self }
    }

    /// The command itself must write each of these to stderr.
    pub const fn words(self, words: &'static [&'static str]) -> Self {
        Self { words, ..self }
    }

    /// Provoking it needs these; [`Need::Root`] must be named among them.
    pub const fn needs(self, needs: &'static [Need]) -> Self {
        Self { needs, ..self }
    }

    /// What is missing here to provoke it, if anything is.
    pub fn lack(&self) -> Option<(Need, String)> {
        self.needs.iter().find_map(|need| need.lack().map(|why| (*need, why)))
    }

    /// Whether the cause must come out the same when nothing that the command writes is captured. Only an end that
    /// nothing but its words explains may differ.
    pub fn stands_without_output(&self) -> bool {
        !["exited_with_error", "tls_failed", "uncaught_exception", "heap_exhausted"]
            .contains(&self.cause)
    }
}

impl Exit {
    /// The exit code of `tracer exec` for a command that ended so: its own code, or 128 and the signal.
    pub fn passed_on(self) -> u8 {
        match self {
            Exit::NotRun(code) | Exit::Code(code) => code,
            Exit::Signal(name) | Exit::Core(name) => 128 + signal_number(name),
        }
    }

    /// Whether a command that was run directly ended so.
    pub fn is(self, end: &End) -> bool {
        match (self, end) {
            (Exit::NotRun(127), End::NotRun(error)) => error.kind() == std::io::ErrorKind::NotFound,
            (Exit::NotRun(_), End::NotRun(error)) => error.kind() != std::io::ErrorKind::NotFound,
            (Exit::Code(code), End::Code(ended)) => i32::from(code) == *ended,
            (Exit::Signal(name), End::Signal { number, core }) => {
                i32::from(signal_number(name)) == *number && !core
            }
            (Exit::Core(name), End::Signal { number, core }) => {
                i32::from(signal_number(name)) == *number && *core
            }
            (_, End::NotRun(_) | End::Code(_) | End::Signal { .. }) => false,
        }
    }
}

/// The signals that the table uses, as numbered on x86_64 and aarch64 (include/uapi/asm-generic/signal.h).
fn signal_number(name: &str) -> u8 {
    match name {
        "SIGILL" => 4,
        "SIGABRT" => 6,
        "SIGBUS" => 7,
        "SIGFPE" => 8,
        "SIGKILL" => 9,
        "SIGSEGV" => 11,
        "SIGPIPE" => 13,
        "SIGTERM" => 15,
        "SIGXFSZ" => 25,
        "SIGSYS" => 31,
        unknown => unreachable!("the table of deaths uses no {unknown}"),
    }
}

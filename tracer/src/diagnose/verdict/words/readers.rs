//! Which reading of last words counts, out of those of every runtime, a shell and a log. It must not know system calls or
//! causes.

use super::{
    beam, dotnet, go, jvm,
    loggers::{self, Level},
    native, node, perl, php, python,
    reading::{Kind, Reading, Runtime},
    roles, ruby, rust,
    said::Line,
    shape, shells,
};

type Reader = fn(&[Line]) -> Option<Reading>;

/// The last that says why the program ended, else the last report of an exception, else the line of a log or shell.
pub(in crate::diagnose::verdict) fn read(lines: &[Line]) -> Option<Reading> {
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
    found.iter_mut().for_each(|it| it.complete &= !lacks_causes(it, lines));
    let ended = found.iter().filter(|it| it.ended_it()).max_by_key(|it| it.last);
    let refused = || found.iter().filter(|it| it.kind == Kind::Refused).max_by_key(|it| it.last);
    let said = || shells::read(lines).or_else(|| logged(lines));
    // A complaint after a report is why it ended.
    let reported = || {
        let it = found.iter().filter(|it| !it.ended_it()).max_by_key(|it| it.last)?;
        let reason = |said: &Reading| !roles::is_vague(&lines[said.telling[0]].text.to_lowercase());
        let later = said().filter(|said| said.telling[0] > it.last && reason(said));
        Some(later.unwrap_or_else(|| it.clone()))
    };
    ended.or_else(refused).cloned().or_else(reported).or_else(said)
}

/// The last line of the gravest level, if that is an error.
fn logged(lines: &[Line]) -> Option<Reading> {
    let levels = lines
        .iter()
        .enumerate()
        .filter_map(|(at, line)| Some((loggers::level(line.trimmed())?, at)));
    let (level, at) = levels.filter(|(level, _)| *level >= Level::Error).max()?;
    let kind = if level == Level::Fatal { Kind::FatalLine } else { Kind::ErrorLine };
    let mut reading = Reading::new(Runtime::Logger, kind, at);
    reading.message = shape::clipped(&loggers::condensed(lines[at].trimmed()));
    Some(reading)
}

/// Lines are lost where its causes would stand: below it, among its calls.
fn lacks_causes(reading: &Reading, lines: &[Line]) -> bool {
    let below = match reading.runtime {
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
    let first = reading.telling.iter().copied().min().unwrap_or(reading.last);
    let until = reading.last.min(lines.len().saturating_sub(1));
    let torn = lines.get(first + 1..=until).is_some_and(|it| it.iter().any(|line| line.cut));
    // It comes of calls alone, which are more than are kept.
    let causeless = reading.type_name == "java.lang.StackOverflowError";
    below && torn && reading.root_cause.is_none() && !causeless
}

//! .NET: the one form in which its runtime tells of an unhandled exception. It must not know other runtimes.

use super::{
    reading::{Kind, Reading, Runtime},
    said::Line,
    shape,
};

/// `Unhandled exception. System.InvalidOperationException: no realm`, then the causes behind ` ---> `.
pub(super) fn read(lines: &[Line]) -> Option<Reading> {
    const SIGN: &str = "Unhandled exception. ";
    let at = lines.iter().rposition(|line| line.text.starts_with(SIGN))?;
    let (type_name, first) = shape::type_and_message(lines[at].text.strip_prefix(SIGN)?)?;
    let is_call = |line: &Line| line.is_indented() && line.trimmed().starts_with("at ");
    let is_cause = |line: &Line| line.trimmed().starts_with("---> ");
    let mut reading = Reading::new(Runtime::Dotnet, Kind::Uncaught, at);
    let (message, _) = shape::message(&first, lines, at, |line| is_call(line) || is_cause(line));
    (reading.type_name, reading.message) = (type_name, message);
    let cause = lines.iter().rposition(is_cause).filter(|it| *it > at);
    if let Some(cause) = cause {
        reading.root_cause = Some(lines[cause].trimmed().trim_start_matches("---> ").to_owned());
        reading.telling.push(cause);
    }
    let calls = lines[at..].iter().filter(|line| is_call(line));
    let calls: Vec<&str> = calls.filter_map(|line| line.trimmed().strip_prefix("at ")).collect();
    let own = calls.iter().find(|it| !it.starts_with("System.") && !it.starts_with("Microsoft."));
    reading.frame = own.or(calls.first()).map(|it| (*it).to_owned());
    reading.last = lines.len() - 1;
    Some(reading)
}

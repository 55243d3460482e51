//! Perl: what die says, modules that are not there, code that does not compile. It must not know other runtimes.

use super::{
    reading::{Kind, Reading, Runtime},
    said::Line,
    shape,
};

/// Perl compiles no further after these; what it found first stands above them.
const COMPILING: &[&str] = &[
    "BEGIN failed--compilation aborted",
    "aborted due to compilation errors",
    "had compilation errors",
    "had too many errors",
];

pub(super) fn read(lines: &[Line]) -> Option<Reading> {
    let last =
        lines.iter().rposition(|line| located(&line.text).is_some() || is_compiling(&line.text))?;
    let calls = |at: usize| {
        lines[at + 1..]
            .iter()
            .take_while(|line| line.is_indented() && line.text.contains(" called at "))
            .count()
    };
    let end = last + calls(last);
    let mut at = last;
    while at > 0 && is_compiling(&lines[at].text) && !lines[at - 1].is_blank() {
        at -= 1;
    }
    let compiled = is_compiling(&lines[last].text);
    let first = if compiled { first_error(lines, at) } else { at };
    let text = lines[first].trimmed();
    let module = text.starts_with("Can't locate ");
    // A complaint of warn looks the same, but is not the last thing said.
    let spoke_on = lines[end + 1..].iter().any(|line| !line.is_blank());
    let kind = match () {
        () if compiled && !module => Kind::Refused,
        () if spoke_on => Kind::Reported,
        () => Kind::Uncaught,
    };
    let mut reading = Reading::new(Runtime::Perl, kind, first);
    reading.type_name = "die".to_owned();
    let (message, place) = located(text).unwrap_or((text, String::new()));
    let message = message.split_once(" (@INC ").map_or(message, |(message, _)| message);
    reading.message = shape::clipped(message);
    reading.frame = Some(place).filter(|it| !it.is_empty());
    reading.last = end;
    Some(reading)
}

fn first_error(lines: &[Line], at: usize) -> usize {
    let mut first = at;
    while first > 0 && located(&lines[first - 1].text).is_some() {
        first -= 1;
    }
    first
}

fn is_compiling(text: &str) -> bool {
    COMPILING.iter().any(|sign| text.contains(sign))
}

/// Splits `message at main.pl line 3.` or `... line 3, <STDIN> line 1.`
fn located(text: &str) -> Option<(&str, String)> {
    let (message, rest) = text.rsplit_once(" at ")?;
    let (path, line) = rest.split_once(" line ")?;
    let digits = line.bytes().take_while(u8::is_ascii_digit).count();
    let ends = line[digits..].starts_with('.') || line[digits..].starts_with(", ");
    let plain = digits > 0 && ends && !path.contains(' ') && !text.starts_with([' ', '\t']);
    plain.then(|| (message, format!("{path}:{}", &line[..digits])))
}

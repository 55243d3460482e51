//! PHP: uncaught exceptions, parse errors, the memory limit, on stderr by its log or on stdout. It must not know other
//! runtimes.

use super::{
    reading::{HeapLimit, Kind, Reading, Runtime},
    said::Line,
    shape,
};

pub(super) fn read(lines: &[Line]) -> Option<Reading> {
    let at = lines.iter().rposition(|line| fatal(&line.text).is_some())?;
    let (what, text) = fatal(&lines[at].text)?;
    let mut reading = Reading::new(Runtime::Php, Kind::Uncaught, at);
    let (message, place) = located(text);
    let whole = text;
    reading.frame = place;
    reading.type_name = what.to_owned();
    reading.message = shape::clipped(message);
    if let Some(bytes) = shape::number_after(message, "Allowed memory size of ") {
        reading.kind = Kind::HeapExhausted;
        let set_by = Some("memory_limit");
        reading.limit = Some(HeapLimit { of: "memory", bytes: Some(bytes), set_by });
    } else if let Some(text) = whole.strip_prefix("Uncaught ") {
        uncaught(&mut reading, lines, at, text);
    } else if what == "Parse error" {
        reading.type_name = "ParseError".to_owned();
    } else if message.starts_with("Could not open input file") {
        reading.kind = Kind::Refused;
    }
    Some(reading)
}

/// `PHP Fatal error:  x`, `Fatal error: x`: what it is, and the text.
fn fatal(text: &str) -> Option<(&'static str, &str)> {
    if text.starts_with("Could not open input file: ") {
        return Some(("", text));
    }
    // A log puts its time before it: `[01-Jan-2024 10:00:00 UTC] PHP Fatal error:  x`.
    let text = text.strip_prefix('[').and_then(|it| Some(it.split_once("] ")?.1)).unwrap_or(text);
    let text = text.strip_prefix("PHP ").unwrap_or(text);
    ["Fatal error", "Parse error", "Recoverable fatal error", "Compile error"].into_iter().find_map(
        |what| {
            let rest = text.strip_prefix(what)?.strip_prefix(':')?;
            Some((what, rest.trim_start()))
        },
    )
}

/// The innermost exception comes first, each further one behind `Next`.
fn uncaught(reading: &mut Reading, lines: &[Line], at: usize, text: &str) {
    let mut outer = text;
    reading.last = at;
    for (number, line) in lines.iter().enumerate().skip(at + 1) {
        let part = line.trimmed();
        if let Some(next) = part.strip_prefix("Next ") {
            outer = next;
            reading.telling.insert(0, number);
        }
        let trace = line.is_blank()
            || part.starts_with('#')
            || part.starts_with("Next ")
            || part == "Stack trace:";
        if part.starts_with("thrown in ") || trace {
            reading.last = number;
        }
        if part.starts_with("thrown in ") {
            break;
        }
    }
    let (message, place) = located(outer);
    if let Some((type_name, message)) = shape::type_and_message(&message.replace('\\', "::")) {
        (reading.type_name, reading.message) = (type_name.replace("::", "\\"), message);
    } else {
        reading.message = shape::clipped(message);
    }
    reading.frame = place;
    if outer != text {
        reading.root_cause = Some(shape::clipped(located(text).0));
    }
}

/// Splits `message in /app/main.php:3` or `... in /app/main.php on line 3`.
fn located(text: &str) -> (&str, Option<String>) {
    let Some((message, place)) = text.rsplit_once(" in ") else { return (text, None) };
    if let Some((path, line)) = place.split_once(" on line ") {
        return (message, Some(format!("{path}:{line}")));
    }
    let numbered =
        place.rsplit_once(':').is_some_and(|(_, it)| it.bytes().all(|it| it.is_ascii_digit()));
    if numbered { (message, Some(place.to_owned())) } else { (text, None) }
}

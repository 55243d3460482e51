//! Rust: panics of the main thread and of others, errors that main returns with their causes. It must not know other
//! runtimes.

use super::{
    reading::{Kind, Reading, Runtime},
    said::Line,
    shape,
};

pub(super) fn read(lines: &[Line]) -> Option<Reading> {
    aborted(lines).or_else(|| panicked(lines)).or_else(|| returned(lines))
}

fn panicked(lines: &[Line]) -> Option<Reading> {
    let panics: Vec<usize> = (0..lines.len()).filter(|at| is_panic(&lines[*at].text)).collect();
    // The panic that a panic in a destructor ends in says nothing of its own.
    let follows = |at: &usize| {
        described(lines, *at).is_some_and(|(it, ..)| {
            it.starts_with("panic in a destructor")
                || it.starts_with("panic in a function that cannot unwind")
        })
    };
    let of_main = |at: &&usize| lines[**at].text.starts_with("thread 'main' ") && !follows(at);
    let main = panics.iter().rev().find(of_main);
    let at = *main.or(panics.last())?;
    let kind = if main.is_some() { Kind::Uncaught } else { Kind::Reported };
    let mut reading = Reading::new(Runtime::Rust, kind, at);
    reading.type_name = "panic".to_owned();
    let (message, place, last) = described(lines, at)?;
    (reading.message, reading.last) = (message, last);
    reading.telling = (at + 1..=last).chain([at]).collect();
    reading.frame = Some(place);
    // The main thread panicked since another one had.
    let earlier = panics.iter().rev().find(|it| **it < at);
    if reading.message.contains("Any { .. }")
        || panics.iter().find(of_main).is_some_and(|it| *it < at)
    {
        reading.root_cause = earlier.and_then(|at| Some(described(lines, *at)?.0));
        reading.telling.extend(earlier.map(|at| at + 1));
    }
    let trace = lines[last..].iter().position(|line| line.trimmed() == "stack backtrace:");
    if let Some(trace) = trace {
        let rest = &lines[last + trace + 1..];
        let frames = rest.iter().take_while(|line| line.is_indented()).count();
        reading.last = last + trace + frames;
        // `   5: app::load`, with the place on the line below where it is known.
        let calls = rest[..frames].iter().filter_map(|line| {
            let (number, call) = line.trimmed().split_once(": ")?;
            number.bytes().all(|it| it.is_ascii_digit()).then_some(call)
        });
        let library = ["std::", "core::", "alloc::", "<", "__rustc", "rust_", "test::"];
        let own = calls.into_iter().find(|call| !library.iter().any(|it| call.starts_with(it)));
        let elsewhere = reading
            .frame
            .as_deref()
            .is_some_and(|it| it.contains("/rustc/") || it.contains("/registry/"));
        if let Some(call) = own.filter(|_| elsewhere) {
            reading.frame = Some(call.to_owned());
        }
    }
    Some(reading)
}

fn is_panic(text: &str) -> bool {
    text.starts_with("thread '") && text.contains(" panicked at ")
}

/// Message, place, and the last line of the message.
fn described(lines: &[Line], at: usize) -> Option<(String, String, usize)> {
    let (_, rest) = lines[at].text.split_once(" panicked at ")?;
    // Before Rust 1.73: `panicked at 'message', src/main.rs:2:5`.
    if let Some((message, place)) = rest.strip_prefix('\'').and_then(|it| it.rsplit_once("', ")) {
        return Some((shape::clipped(message), place.to_owned(), at));
    }
    let ends = |line: &Line| {
        let text = line.trimmed();
        text.starts_with("note: ") || text == "stack backtrace:" || is_panic(text)
    };
    let (message, last) = shape::message("", lines, at, ends);
    Some((message, rest.trim_end_matches(':').to_owned(), last))
}

fn aborted(lines: &[Line]) -> Option<Reading> {
    let at = lines.iter().rposition(|line| {
        line.text.starts_with("fatal runtime error: ")
            || (line.text.starts_with("memory allocation of ") && line.text.ends_with(" failed"))
    })?;
    let mut reading = Reading::new(Runtime::Rust, Kind::Aborted, at);
    reading.message = lines[at].trimmed().to_owned();
    let before = (0..at).rev().find(|at| lines[*at].text.starts_with("thread '"));
    reading.telling.extend(before);
    reading.last = lines.len() - 1;
    Some(reading)
}

/// `Error: cannot start`, `Caused by:` and the causes below it, as anyhow and eyre print what main returns.
fn returned(lines: &[Line]) -> Option<Reading> {
    let causes = lines.iter().rposition(|line| line.text == "Caused by:")?;
    let at = (0..causes).rev().find(|at| lines[*at].text.starts_with("Error: "))?;
    let mut reading = Reading::new(Runtime::Rust, Kind::ErrorLine, at);
    reading.message = shape::clipped(lines[at].trimmed().trim_start_matches("Error: "));
    let below = (causes + 1..lines.len()).take_while(|at| lines[*at].is_indented());
    if let Some(last) = below.last() {
        let text = lines[last].trimmed();
        let bare = text.split_once(": ").filter(|(it, _)| it.bytes().all(|it| it.is_ascii_digit()));
        reading.root_cause = Some(bare.map_or(text, |(_, text)| text).to_owned());
        reading.telling.push(last);
        reading.last = last;
    }
    Some(reading)
}

//! Ruby: exceptions with their causes, files that cannot be loaded. It must not know other runtimes.

use super::{
    reading::{Kind, Reading, Runtime},
    said::Line,
    shape,
};

/// One exception with the lines of its calls.
struct Block {
    at: usize,
    last: usize,
    place: String,
    type_name: String,
    message: String,
}

pub(super) fn read(lines: &[Line]) -> Option<Reading> {
    let mut blocks: Vec<Block> = Vec::new();
    for at in 0..lines.len() {
        blocks.extend(block(lines, at));
    }
    let Some(last) = blocks.len().checked_sub(1) else { return refused(lines) };
    // A cause stands right below the exception that it led to.
    let mut first = last;
    while first > 0 && blocks[first - 1].last + 1 == blocks[first].at {
        first -= 1;
    }
    let (outer, inner) = (&blocks[first], &blocks[last]);
    let before = shape::line_before(lines, outer.at);
    let told = before
        .is_some_and(|line| line.text.contains("terminated with exception (report_on_exception"));
    let kind = if told { Kind::Reported } else { Kind::Uncaught };
    let mut reading = Reading::new(Runtime::Ruby, kind, outer.at);
    reading.type_name.clone_from(&outer.type_name);
    reading.message.clone_from(&outer.message);
    reading.last = inner.last;
    if first < last {
        reading.root_cause = Some(format!("{}: {}", inner.type_name, inner.message));
        reading.telling.push(inner.at);
    }
    let calls = lines[outer.at + 1..=outer.last].iter();
    let calls = calls.filter_map(|line| line.trimmed().strip_prefix("from "));
    let places: Vec<&str> = std::iter::once(outer.place.as_str()).chain(calls).collect();
    let library = ["/lib/ruby/", "/gems/", "<internal:"];
    let own = places.iter().find(|it| !library.iter().any(|part| it.contains(part)));
    reading.frame = own.or(places.first()).map(|it| (*it).to_owned());
    Some(reading)
}

/// `main.rb:3:in `load': no realm (RuntimeError)`, from 3.4 on with another quotation mark.
fn block(lines: &[Line], at: usize) -> Option<Block> {
    let line = &lines[at];
    if line.is_indented() {
        return None;
    }
    let mark = [":in `", ":in '"].into_iter().find(|mark| line.text.contains(mark))?;
    let (place, rest) = line.text.split_once(mark)?;
    let (call, rest) = rest.split_once("': ")?;
    let place = format!("{place} in {call}");
    let (first, type_name) = match rest.strip_suffix(')').and_then(|it| it.rsplit_once(" (")) {
        Some((message, name)) if shape::is_type(name) => (message, name.to_owned()),
        _ if rest == "unhandled exception" => ("unhandled exception", "RuntimeError".to_owned()),
        _ => return None,
    };
    let is_call = |line: &Line| line.trimmed().starts_with("from ");
    let calls = lines[at + 1..]
        .iter()
        .position(|line| !is_call(line))
        .map_or(lines.len(), |it| at + 1 + it);
    // A message of several lines has its first one before the type.
    let (message, last) = if calls == at + 1 {
        shape::message(first, lines, at, |line| is_call(line) || block_begins(line))
    } else {
        (shape::clipped(first), calls - 1)
    };
    Some(Block { at, last, place, type_name, message })
}

fn block_begins(line: &Line) -> bool {
    !line.is_indented() && (line.text.contains(":in `") || line.text.contains(":in '"))
}

/// `main.rb:2: syntax error, ...`, `ruby: No such file or directory -- app.rb (LoadError)`
fn refused(lines: &[Line]) -> Option<Reading> {
    let at = lines.iter().position(|line| {
        line.text.contains(".rb:") && line.text.contains(": syntax error")
            || line.text.starts_with("ruby: ")
    })?;
    let syntax = lines[at].text.contains(": syntax error");
    let kind = if syntax { Kind::Uncaught } else { Kind::Refused };
    let mut reading = Reading::new(Runtime::Ruby, kind, at);
    reading.message = shape::clipped(lines[at].trimmed());
    if syntax {
        reading.type_name = "SyntaxError".to_owned();
    }
    Some(reading)
}

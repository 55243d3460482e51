//! Programs of C and C++: assertions, glibc's own messages about heap and stack, std::terminate, sanitizers. It must not
//! know other runtimes.

use super::{
    reading::{Kind, Reading, Runtime},
    said::Line,
    shape,
};

/// What glibc says of a broken heap (malloc/malloc.c: malloc_printerr).
const HEAP: &[&str] = &[
    "free(): ",
    "malloc(): ",
    "calloc(): ",
    "realloc(): ",
    "malloc_consolidate(): ",
    "munmap_chunk(): ",
    "mremap_chunk(): ",
    "double free or corruption",
    "corrupted size vs. prev_size",
    "corrupted double-linked list",
    "invalid fastbin entry",
    "break adjusted to free malloc space",
    "sysmalloc: ",
];
const OTHERS: &[&str] = &[
    "Fatal glibc error: ",
    "pure virtual method called",
    "terminate called after throwing an instance of '",
    "terminate called without an active exception",
    "terminate called recursively",
    "libc++abi: ",
    "libc++abi.dylib: ",
];

pub(super) fn read(lines: &[Line]) -> Option<Reading> {
    let at = lines.iter().rposition(|line| {
        let text = line.trimmed();
        is_assertion(text)
            || is_detected(text)
            || is_sanitizer(text)
            || begins(text, HEAP)
            || begins(text, OTHERS)
    })?;
    let mut reading = Reading::new(Runtime::Native, Kind::Aborted, at);
    let text = lines[at].trimmed();
    reading.message = shape::clipped(text);
    if let Some(thrown) = shape::between(text, "instance of '", "'") {
        reading.type_name = thrown.to_owned();
        reading.message.clear();
        if let Some(what) =
            lines.get(at + 1).and_then(|line| line.trimmed().strip_prefix("what():"))
        {
            reading.message = shape::clipped(what.trim());
            reading.telling.push(at + 1);
            reading.last = at + 1;
        }
    } else if text.contains("without an active exception") {
        // The line above says more: a pure virtual call ends so too.
        reading
            .telling
            .splice(0..0, at.checked_sub(1).filter(|it| begins(lines[*it].trimmed(), OTHERS)));
    } else if is_assertion(text) {
        reading.type_name = "assertion".to_owned();
        reading.complete = !lines[at].cut;
    } else if is_sanitizer(text) {
        // It ends by itself with a status of its own.
        reading.kind = Kind::Reported;
    }
    Some(reading)
}

fn begins(text: &str, signs: &[&str]) -> bool {
    signs.iter().any(|sign| text.starts_with(sign))
}

/// glibc: `app: main.c:3: main: Assertion `port > 0' failed.`; musl: `Assertion failed: port > 0 (main.c: main: 3)`.
fn is_assertion(text: &str) -> bool {
    (text.contains(": Assertion `") && text.contains("' failed"))
        || text.starts_with("Assertion failed: ")
}

fn is_detected(text: &str) -> bool {
    text.starts_with("*** ") && (text.contains(" detected ***") || text.contains("*** Error in "))
}

fn is_sanitizer(text: &str) -> bool {
    text.starts_with("==") && text.contains("==ERROR: ") && text.contains("Sanitizer")
}

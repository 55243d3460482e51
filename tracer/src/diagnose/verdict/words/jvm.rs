//! The Java virtual machine: stack traces with `Caused by`, memory that ran out, what the launcher refuses. It must not
//! know other runtimes.

use super::{
    reading::{HeapLimit, Kind, Reading, Runtime},
    said::Line,
    shape,
};

const MEMORY: &str = "java.lang.OutOfMemoryError";
/// What the launcher and the machine say before they run anything.
const REFUSALS: &[&str] = &[
    "Error: Unable to access jarfile",
    "Error: Could not find or load main class",
    "Error: Main method not found",
    "Error: LinkageError",
    "Error: Could not create the Java Virtual Machine",
    "Error occurred during initialization of VM",
    "Error: Invalid or corrupt jarfile",
    "Unrecognized VM option",
    "Unrecognized option:",
    "Invalid maximum heap size",
    "Invalid initial heap size",
    "no main manifest attribute, in ",
];

/// Packages of the platform and of frameworks, not of an application.
const LIBRARY: &[&str] = &[
    "java.",
    "javax.",
    "jakarta.",
    "jdk.",
    "sun.",
    "com.sun.",
    "kotlin.",
    "kotlinx.",
    "scala.",
    "groovy.",
    "clojure.",
    "org.springframework.",
    "org.apache.",
    "org.hibernate.",
    "org.eclipse.",
    "org.jboss.",
    "io.netty.",
    "io.quarkus.",
    "io.micronaut.",
    "com.fasterxml.",
    "com.zaxxer.",
    "org.postgresql.",
    "com.mysql.",
    "reactor.",
    "java.base/",
    "jdk.",
];

pub(super) fn read(lines: &[Line]) -> Option<Reading> {
    let in_thread = lines.iter().any(|line| line.text.starts_with("Exception in thread \""));
    let launcher = || refused(lines).filter(|_| !in_thread);
    ended_by_memory(lines).or_else(launcher).or_else(|| trace(lines))
}

/// `Terminating due to java.lang.OutOfMemoryError: Java heap space`, as its options make it say.
fn ended_by_memory(lines: &[Line]) -> Option<Reading> {
    let at = lines.iter().rposition(|line| {
        let text = line.trimmed();
        let due = text.starts_with("Terminating due to ") || text.starts_with("Aborting due to ");
        due && text.contains(MEMORY) || (text.starts_with("Exception: ") && text.contains(MEMORY))
    })?;
    let text = lines[at].trimmed();
    let message = text.split_once("OutOfMemoryError: ").map_or("", |(_, message)| message);
    let mut reading = Reading::new(Runtime::Jvm, Kind::HeapExhausted, at);
    reading.type_name = MEMORY.to_owned();
    reading.message = message.to_owned();
    reading.limit =
        Some(heap(message, lines).unwrap_or(HeapLimit { of: "heap", bytes: None, set_by: None }));
    reading.last = lines.len() - 1;
    Some(reading)
}

fn trace(lines: &[Line]) -> Option<Reading> {
    let headline = lines.iter().rposition(|line| line.text.starts_with("Exception in thread \""));
    let logged = || {
        lines.windows(2).rposition(|pair| {
            let named = shape::type_and_message(pair[0].trimmed())
                .is_some_and(|(name, _)| name.contains('.') && !name.contains('/'));
            named && is_frame(&pair[1]) && !pair[0].is_indented()
        })
    };
    // Of a trace whose beginning is lost the innermost cause may be left.
    let begin = headline.or_else(logged);
    let from = begin.map_or(0, |at| at + 1);
    let end = lines
        .iter()
        .rposition(|line| is_frame(line) || is_cause(line))?
        .max(from.saturating_sub(1));
    let cause = (from..=end).rev().find(|at| is_cause(&lines[*at]));
    let at = begin.or(cause)?;
    let text = lines[at].trimmed();
    let (kind, text) = match text.strip_prefix("Exception in thread \"") {
        Some(rest) => {
            let (thread, rest) = rest.split_once("\" ")?;
            (if thread == "main" { Kind::Uncaught } else { Kind::Reported }, rest)
        }
        None if begin.is_none() && shape::begins_cut(lines, at) => {
            (Kind::Uncaught, text.strip_prefix("Caused by: ").unwrap_or(text))
        }
        None => (Kind::Reported, text.strip_prefix("Caused by: ").unwrap_or(text)),
    };
    let (type_name, first) = shape::type_and_message(text)?;
    let ends = |line: &Line| is_frame(line) || is_cause(line);
    let (message, last) = shape::message(&first, lines, at, ends);
    let mut reading = Reading::new(Runtime::Jvm, kind, at);
    reading.telling.extend(at + 1..=last);
    (reading.type_name, reading.message) = (type_name, message);
    reading.complete = begin.is_some();
    reading.last = end.max(at);
    if let Some(cause) = cause.filter(|cause| *cause != at) {
        let text = lines[cause].trimmed().trim_start_matches("Caused by: ");
        let (message, _) =
            shape::message(text, lines, cause, |line| is_frame(line) || is_cause(line));
        reading.root_cause = Some(message);
        reading.telling.push(cause);
    }
    reading.frame = application(&lines[at..=end]);
    if reading.kind == Kind::Uncaught {
        let all = [reading.text(), reading.root_cause.clone().unwrap_or_default()];
        let memory = all.iter().find_map(|it| Some(it.split_once("OutOfMemoryError: ")?.1));
        if let Some(limit) = memory.and_then(|message| heap(message, lines)) {
            (reading.kind, reading.limit) = (Kind::HeapExhausted, Some(limit));
        }
    }
    Some(reading)
}

/// Which of its memories ran out. A refused thread or native memory is none of them.
fn heap(message: &str, lines: &[Line]) -> Option<HeapLimit> {
    let lower = message.to_ascii_lowercase();
    let of = if lower.contains("java heap space") || lower.contains("gc overhead limit") {
        "heap"
    } else if lower.contains("metaspace") {
        "metaspace"
    } else if lower.contains("compressed class space") {
        "compressed class space"
    } else if lower.contains("direct buffer memory") {
        "direct memory"
    } else {
        return None;
    };
    let told = shape::number_after(message, "limit: ");
    let picked = lines.iter().find_map(|line| {
        let (name, options) = line.text.strip_prefix("Picked up ")?.split_once(": ")?;
        let bytes = option_bytes(options.split_whitespace(), of)?;
        let name = ["JAVA_TOOL_OPTIONS", "_JAVA_OPTIONS", "JDK_JAVA_OPTIONS"]
            .into_iter()
            .find(|it| *it == name)?;
        Some((bytes, name))
    });
    let picked = picked.or_else(|| {
        lines.iter().find_map(|line| {
            // JDK_JAVA_OPTIONS is told as `NOTE: Picked up JDK_JAVA_OPTIONS: ...`.
            let options = line.text.strip_prefix("NOTE: Picked up JDK_JAVA_OPTIONS: ")?;
            Some((option_bytes(options.split_whitespace(), of)?, "JDK_JAVA_OPTIONS"))
        })
    });
    Some(HeapLimit { of, bytes: told.or(picked.map(|it| it.0)), set_by: picked.map(|it| it.1) })
}

/// The limit that options set for one of its memories; of several the last counts.
pub(in crate::diagnose::verdict) fn option_bytes<'a>(
    options: impl Iterator<Item = &'a str>,
    of: &str,
) -> Option<u64> {
    let names: &[&str] = match of {
        "metaspace" => &["-XX:MaxMetaspaceSize="],
        "compressed class space" => &["-XX:CompressedClassSpaceSize="],
        "direct memory" => &["-XX:MaxDirectMemorySize="],
        _ => &["-Xmx", "-XX:MaxHeapSize="],
    };
    let values = options.filter_map(|option| {
        let value =
            names.iter().find_map(|name| option.trim_matches(['"', '\'']).strip_prefix(name))?;
        bytes(value)
    });
    values.last()
}

/// `64m`, `1g`, `1048576`
fn bytes(value: &str) -> Option<u64> {
    let unit = value.trim_start_matches(|it: char| it.is_ascii_digit());
    let number: u64 = value[..value.len() - unit.len()].parse().ok()?;
    let shift = match unit.to_ascii_lowercase().as_str() {
        "" => 0,
        "k" => 10,
        "m" => 20,
        "g" => 30,
        "t" => 40,
        _ => return None,
    };
    number.checked_mul(1 << shift)
}

fn is_frame(line: &Line) -> bool {
    let text = line.trimmed();
    line.is_indented()
        && (text.starts_with("at ") || (text.starts_with("... ") && text.ends_with(" more")))
}

fn is_cause(line: &Line) -> bool {
    line.text.starts_with("Caused by: ")
}

/// `com.example.App.load(App.java:3)`
fn application(lines: &[Line]) -> Option<String> {
    let calls: Vec<&str> = lines
        .iter()
        .take_while(|line| !is_cause(line))
        .filter_map(|line| line.trimmed().strip_prefix("at "))
        .collect();
    let own = calls.iter().find(|call| !LIBRARY.iter().any(|name| call.starts_with(name)));
    own.or(calls.first()).map(|call| (*call).to_owned())
}

fn refused(lines: &[Line]) -> Option<Reading> {
    let at = lines.iter().position(|line| {
        REFUSALS.iter().any(|sign| line.text.contains(sign))
            || line.text.contains("insufficient memory for the Java Runtime")
    })?;
    let mut reading = Reading::new(Runtime::Jvm, Kind::Refused, at);
    reading.message = shape::clipped(lines[at].trimmed().trim_start_matches("Error: "));
    for (number, line) in lines.iter().enumerate().skip(at + 1).take(3) {
        let cause = line.trimmed().trim_start_matches("Caused by: ");
        let error = shape::type_and_message(cause).filter(|(name, _)| name.contains('.'));
        if let Some((type_name, _)) = error {
            reading.kind = Kind::Uncaught;
            reading.type_name = type_name;
            reading.message = shape::clipped(cause.split_once(": ").map_or("", |(_, it)| it));
        } else if line.is_blank() || is_frame(line) {
            continue;
        }
        reading.telling.push(number);
        reading.last = number;
    }
    Some(reading)
}

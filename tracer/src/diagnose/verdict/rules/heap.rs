//! Ends for want of the memory that a runtime allows itself, while the kernel would have given more: the JVM's, Node's and
//! PHP's limits. It must not know the OOM killer.

use crate::linux::signal::Signal;

use crate::diagnose::verdict::{
    Cause, Confidence, Verdict,
    case::Case,
    draft::Draft,
    wording,
    words::{
        Told, jvm, node,
        reading::{Fit, HeapLimit, Kind, Runtime},
    },
};

/// By these a runtime ends itself; in a container's main process abort(3) ends as a fault.
const OWN: &[Signal] = &[Signal::SIGABRT, Signal::SIGTRAP, Signal::SIGILL, Signal::SIGSEGV];
const NODE_OPTIONS: &[&str] =
    &["--max-old-space-size", "--max_old_space_size", "--max-heap-size", "--max_heap_size"];

pub(in crate::diagnose::verdict) fn exhausted(case: &Case<'_>) -> Option<Verdict> {
    let id = case.blamed();
    let end = case.end(id).filter(|end| end.failed())?;
    if end.status.signal.is_some_and(|signal| !OWN.contains(&signal)) {
        return None;
    }
    let words = case.last_words();
    let told = words.told().filter(|it| !it.followed && it.reading.kind == Kind::HeapExhausted)?;
    let reading = &told.reading;
    let limit = reading.limit.as_ref()?;
    let (bytes, set_by) = limit_of(case, told, limit);
    let container = case.facts.memory.iter().filter_map(|it| it.limit_bytes).min();
    let used = (reading.runtime == Runtime::Node)
        .then(|| node::used_bytes(words.lines_of(told.index)))
        .flatten();
    let sure = (told.fit == Fit::Own || end.status.signal.is_some()) && case.timeline.lost == 0;
    let confidence = if sure { Confidence::Proven } else { Confidence::Likely };
    let name = case.name(id);
    let draft = Draft::new(Cause::HeapExhausted, confidence, id)
        .status(end.status)
        .detail("runtime", reading.runtime.name())
        .detail("memory", limit.of)
        .detail("type", reading.type_name.as_str())
        .detail("message", reading.message.as_str())
        .known("frame", reading.frame.clone())
        .known("limit_bytes", bytes)
        .known("limit_set_by", set_by.clone())
        .known("used_bytes", used)
        .known("container_limit_bytes", container)
        .evidence(format!("{name} told of it: {}", reading.text()), [told.index])
        .evidence(format!("{name} {}", wording::ended(end.status)), [end.index]);
    let size = match (bytes, set_by) {
        (Some(bytes), Some(by)) => format!(" of {} ({by})", wording::mib(bytes)),
        (Some(bytes), None) => format!(" of {}", wording::mib(bytes)),
        (None, _) => String::new(),
    };
    let held = used.map(|it| format!(", {} of it in use", wording::mib(it))).unwrap_or_default();
    let beside = match container {
        Some(limit) => format!(" while its container may use {}", wording::mib(limit)),
        None => String::new(),
    };
    Some(
        draft
            .summary(format!(
                "{name} used up the {}{size} that its runtime allows itself{held}{beside}: {}; it {}.",
                limit.of,
                reading.text(),
                wording::ended(end.status)
            ))
            .next_step(next_step(reading.runtime, limit, bytes, container))
            .finish(),
    )
}

/// The limit, and where it was set: as the words tell, else as an argument of the command.
fn limit_of(case: &Case<'_>, told: &Told, limit: &HeapLimit) -> (Option<u64>, Option<String>) {
    let args: Vec<String> = case
        .program(case.blamed())
        .map_or(Vec::new(), |exec| exec.args.iter().map(ToString::to_string).collect());
    let by_argument = match told.reading.runtime {
        Runtime::Jvm => jvm::option_bytes(args.iter().map(String::as_str), limit.of),
        Runtime::Node => old_space(&args),
        Runtime::Python
        | Runtime::Go
        | Runtime::Rust
        | Runtime::Native
        | Runtime::Ruby
        | Runtime::Php
        | Runtime::Perl
        | Runtime::Beam
        | Runtime::Dotnet
        | Runtime::Shell
        | Runtime::Logger => None,
    };
    match (by_argument, limit.bytes) {
        // Arguments of the command line count before those of JAVA_TOOL_OPTIONS.
        (Some(bytes), _) => (Some(bytes), Some("set on its command line".to_owned())),
        (None, bytes) => (bytes, limit.set_by.map(|by| format!("set by {by}"))),
    }
}

/// `--max-old-space-size=512`, in MiB.
fn old_space(args: &[String]) -> Option<u64> {
    let mut sizes = args.iter().enumerate().filter_map(|(at, arg)| {
        let (name, value) = match arg.split_once('=') {
            Some((name, value)) => (name, value),
            None => (arg.as_str(), args.get(at + 1)?.as_str()),
        };
        NODE_OPTIONS
            .contains(&name)
            .then(|| value.parse::<u64>().ok()?.checked_mul(1 << 20))
            .flatten()
    });
    sizes.next_back()
}

fn next_step(
    runtime: Runtime,
    limit: &HeapLimit,
    bytes: Option<u64>,
    container: Option<u64>,
) -> String {
    let option = match (runtime, limit.of) {
        (Runtime::Jvm, "metaspace") => "-XX:MaxMetaspaceSize",
        (Runtime::Jvm, "direct memory") => "-XX:MaxDirectMemorySize",
        (Runtime::Jvm, "compressed class space") => "-XX:CompressedClassSpaceSize",
        (Runtime::Jvm, _) => "-Xmx or -XX:MaxRAMPercentage",
        (Runtime::Node, _) => "--max-old-space-size (NODE_OPTIONS)",
        (Runtime::Php, _) => "memory_limit (php.ini)",
        _ => "its limit",
    };
    let room = match (bytes, container) {
        (Some(bytes), Some(container)) if bytes >= container => {
            format!(" and the container's limit, which is no greater ({})", wording::mib(container))
        }
        (_, Some(container)) => {
            format!(", below the container's limit of {}", wording::mib(container))
        }
        (_, None) => String::new(),
    };
    format!("Raise {option}{room}, or find what grows in a heap dump.")
}

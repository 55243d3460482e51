//! Programs for a newer processor than the node has. It must not know other faults.

use crate::{
    capture::event::SignalEvent,
    diagnose::facts::processor::{self, Extension},
    linux::signal::Signal,
};

use crate::diagnose::verdict::{
    Cause, Confidence, Verdict,
    case::Case,
    death::End,
    draft::Draft,
    evidence::pace,
    rules::loader,
    wording,
    words::phrases::{complains, contains, goes_on},
};

/// How loaders, runtimes and programs say so, in lower case.
const SIGNS: &[&str] = &[
    "cpu isa level is lower than required",
    "cpu does not support x86-64-v",
    "microarchitecture support",
    "cpu does not support",
    "cpu doesn't support",
    "processor does not support",
    "not supported by your cpu",
    "not supported by this cpu",
    "requires a cpu with",
    "requires avx",
    "compiled to use avx",
    "compiled to use sse",
    "built with baseline optimizations",
    "missing cpu features",
    "missing required cpu features",
    "unsupported cpu",
];

/// An instruction that this processor lacks, a level that a file asks for, or words that say so.
pub(in crate::diagnose::verdict) fn too_old(case: &Case<'_>) -> Option<Verdict> {
    let end = case.end(case.blamed()).filter(End::failed)?;
    by_instruction(case, &end).or_else(|| by_loader(case, &end)).or_else(|| by_words(case, &end))
}

fn by_instruction(case: &Case<'_>, end: &End<'_>) -> Option<Verdict> {
    let id = case.blamed();
    let (index, event, fault) = last_fault(case, end)?;
    let needed = processor::extension(&fault.instruction).filter(|it| lacks(case, *it))?;
    let ended = end.status.signal == Some(Signal::SIGILL)
        || end.time_ns.saturating_sub(event.time_ns) <= pace::SOON_NS;
    let name = case.name(id);
    let bytes = wording::instruction(&fault.instruction);
    ended.then(|| {
        begin(case, end, Confidence::Proven, needed.name)
            .detail("instruction", bytes.clone())
            .evidence(
                format!("{name} ran the instruction {bytes}, of {}, and the kernel raised SIGILL", needed.name),
                [index],
            )
            .evidence(format!("{name} {}", case.ending()), [end.index])
            .summary(format!(
                "{name} ran an instruction of {}, which this node's processor does not have ({bytes}: SIGILL); it {}.",
                needed.name,
                case.ending()
            ))
            .finish()
    })
}

fn last_fault<'a>(
    case: &Case<'a>,
    end: &End<'_>,
) -> Option<(usize, &'a crate::capture::event::Event, &'a SignalEvent)> {
    case.signals(case.blamed()).rfind(|(index, _, it)| {
        it.signal == Signal::SIGILL && it.code.from_kernel() && *index < end.index
    })
}

/// The processor is known not to have it.
fn lacks(case: &Case<'_>, needed: Extension) -> bool {
    let flags = case.facts.machine.cpu_flags.as_ref();
    flags.is_some_and(|flags| !flags.iter().any(|it| it == needed.flag))
}

/// glibc's loader compares the levels that files ask for (sysdeps/x86/dl-prop.h).
fn by_loader(case: &Case<'_>, end: &End<'_>) -> Option<Verdict> {
    let id = case.blamed();
    let report = loader::report(case, id).filter(|_| loader::in_loader(case, id, end))?;
    let (file, lacking) = processor::first_unfit(report, &case.facts.machine)?;
    let said = case.last_words().mention(SIGNS);
    let alone = report.missing.is_empty() && report.versions.is_empty();
    let confidence = match said {
        Some(_) => Confidence::Proven,
        None if alone => Confidence::Likely,
        None => return None,
    };
    let needed = wording::list(&lacking);
    let name = case.name(id);
    let entries: Vec<usize> = said.into_iter().chain([end.index]).collect();
    Some(
        begin(case, end, confidence, &needed)
            .text("file", file)
            .evidence(format!("{file} asks for {needed}, and {name} {}", case.ending()), entries)
            .summary(format!(
                "{name} was not started: {file} needs a processor of {needed}, and this node's does not have it; it {}.",
                case.ending()
            ))
            .finish(),
    )
}

fn by_words(case: &Case<'_>, end: &End<'_>) -> Option<Verdict> {
    let illegal = end.status.signal == Some(Signal::SIGILL);
    let says = |line: &[u8]| SIGNS.iter().any(|sign| contains(line, sign.as_bytes()));
    let is_it = |line: &[u8]| says(line) && (illegal || !goes_on(line));
    let other =
        |line: &[u8]| complains(line) && !says(line) && !contains(line, b"illegal instruction");
    let (line, index, _) = case.last_words().decisive(is_it, other)?;
    let name = case.name(case.blamed());
    Some(
        begin(case, end, Confidence::Likely, "what its last words name")
            .detail("last_words", line.as_str())
            .evidence(format!("its last words: {line}"), [index])
            .evidence(format!("{name} {}", case.ending()), [end.index])
            .summary(format!(
                "{name} says that it needs a newer processor: \"{line}\"; it {}.",
                case.ending()
            ))
            .finish(),
    )
}

fn begin(case: &Case<'_>, end: &End<'_>, confidence: Confidence, needed: &str) -> Draft {
    Draft::new(Cause::CpuTooOld, confidence, case.blamed())
        .status(end.status)
        .detail("needs", needed)
        .next_step(
            "Use a build for older processors (x86-64-v2 or the baseline, no -march=native), or choose nodes whose processor has \
             it (nodeSelector, by the labels of node-feature-discovery).",
        )
}

//! Writes that end a program: nobody reads any more, or the file may not grow. The kernel tells by a signal, and where that is
//! ignored or handled by an error. It must not know full disks.

use crate::linux::{errno::Errno, signal::Signal};

use crate::diagnose::verdict::{
    Cause, Confidence, Verdict, case::Case, draft::Draft, evidence::select::Chosen,
    rules::unusable::begin, wording,
};

/// SIGPIPE or EPIPE.
pub(in crate::diagnose::verdict) fn broken_pipe(case: &Case<'_>) -> Option<Verdict> {
    let advice = "See who read what it wrote and why that one went away (its log, its exit status, a proxy); let the program \
                  handle EPIPE.";
    let name = case.name(case.blamed());
    if let Some(draft) = by_signal(case, Signal::SIGPIPE, Cause::BrokenPipe) {
        let failed = last_write(case, Errno::EPIPE);
        let draft = match &failed {
            Some((call, target, index)) => draft
                .errno(Errno::EPIPE)
                .detail("syscall", *call)
                .evidence(format!("{call} to {target} failed with EPIPE"), [*index]),
            None => draft,
        };
        let target = failed.map_or_else(|| "a pipe or socket".to_owned(), |(_, target, _)| target);
        let summary = format!(
            "{name} was killed by SIGPIPE: it wrote to {target} that nobody reads any more."
        );
        return Some(draft.summary(summary).next_step(advice).finish());
    }
    let (chosen, draft) = begin(case, Cause::BrokenPipe)?;
    let call = chosen.failure.call;
    let target = target(chosen.failure.args[0]);
    let summary = format!(
        "{name} could not write to {target}: nobody reads it any more ({call}: EPIPE); it {}.",
        case.ending()
    );
    Some(draft.detail("fd", chosen.failure.args[0]).summary(summary).next_step(advice).finish())
}

/// SIGXFSZ or EFBIG.
pub(in crate::diagnose::verdict) fn file_size_limit(case: &Case<'_>) -> Option<Verdict> {
    let name = case.name(case.blamed());
    if let Some(draft) = by_signal(case, Signal::SIGXFSZ, Cause::FileSizeLimit) {
        return Some(
            draft
                .detail("limit_name", "RLIMIT_FSIZE")
                .summary(format!(
                    "{name} was killed by SIGXFSZ: it wrote a file beyond the size that RLIMIT_FSIZE allows."
                ))
                .next_step("Raise `ulimit -f`, or find which file grew.")
                .finish(),
        );
    }
    let (chosen, draft) = begin(case, Cause::FileSizeLimit)?;
    let object = object(chosen);
    Some(
        draft
            .summary(format!(
                "{name} could not write {object}: it would be larger than RLIMIT_FSIZE or its file system allows ({}: EFBIG); \
                 it {}.",
                chosen.failure.call,
                case.ending()
            ))
            .next_step("Raise `ulimit -f`, or keep the file smaller (rotate it); some file systems take 4 GiB at most.")
            .finish(),
    )
}

/// Killed by a signal that the kernel raised for a write.
fn by_signal(case: &Case<'_>, signal: Signal, cause: Cause) -> Option<Draft> {
    let id = case.blamed();
    let end = case.end(id).filter(|end| end.status.signal == Some(signal))?;
    let sent = case.signals(id).rfind(|(index, _, it)| it.signal == signal && *index < end.index);
    // SIGPIPE comes from the writing task itself (fs/pipe.c: send_sig), as SIGXFSZ does (mm/filemap.c).
    if sent.is_some_and(|(_, _, it)| it.sender.id != id) {
        return None;
    }
    let name = case.name(id);
    let confidence = if sent.is_some() { Confidence::Proven } else { Confidence::Likely };
    let draft = Draft::new(cause, confidence, id).status(end.status);
    let draft = match sent {
        Some((index, _, _)) => {
            draft.evidence(format!("the kernel sent {signal} to {name} for a write"), [index])
        }
        None => draft,
    };
    Some(draft.evidence(format!("{name} {}", wording::ended(end.status)), [end.index]))
}

fn last_write(case: &Case<'_>, errno: Errno) -> Option<(&'static str, String, usize)> {
    use crate::diagnose::verdict::evidence::{errors, failure::Failure};
    let all = Failure::all_of(case, case.blamed());
    let last = all.iter().rfind(|it| it.errno == errno && errors::writes(it.call))?;
    Some((last.call, target(last.args[0]), last.entries[0]))
}

fn target(fd: u64) -> String {
    match fd {
        1 => "stdout".to_owned(),
        2 => "stderr".to_owned(),
        fd => format!("descriptor {fd}, a pipe or socket"),
    }
}

fn object(chosen: &Chosen<'_>) -> String {
    chosen.failure.path().map_or_else(|| "a file".to_owned(), ToString::to_string)
}

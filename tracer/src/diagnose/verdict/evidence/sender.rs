//! By which command a signal was sent, who had run that command, and whether it was a container runtime. It must not know
//! what the signal did.

use std::collections::HashSet;

use crate::{
    capture::event::{Process, ProcessId, SignalEvent},
    diagnose::verdict::death::Death,
    linux::text::Text,
};

use super::programs;

/// Bytes of a command that are quoted.
const QUOTE: usize = 120;

pub(in crate::diagnose::verdict) struct Sender {
    pub command: Text,
    /// The script or shell that ran it.
    pub parent: Option<Text>,
    /// ` (`kill 1`, run by `sh -c /healthcheck`)`
    pub text: String,
}

/// Of a process of the life its program; of another what was looked up about it.
pub(in crate::diagnose::verdict) fn of(death: &Death<'_>, signal: &SignalEvent) -> Option<Sender> {
    let id = signal.sender.id;
    let looked_up = death.facts.senders.iter().find(|fact| fact.pid == id.pid);
    let looked_up = looked_up.map(|fact| fact.command.clone()).filter(|it| !it.is_empty());
    let command = command(death, signal).or(looked_up)?;
    let parent = death.tree.parent(id).filter(|_| death.last_exec(id).is_some());
    let parent = parent.filter(|parent| death.is_shell(*parent)).and_then(|parent| {
        let exec = death.program(parent)?;
        Some(joined(&exec.args))
    });
    let by = parent.as_ref().map(|it| format!(", run by `{}`", quoted(it))).unwrap_or_default();
    let text = format!(" (`{}`{by})", quoted(&command));
    Some(Sender { command, parent, text })
}

/// The sender is a runtime by its executable, since a name can be chosen, and stands outside the container: in no cgroup of
/// a pod, or, where the runtime itself is watched, in a pid namespace around that of whom it stops, and with the agent's own
/// view of files. A process of a container can make a namespace below its own and choose any name there.
pub(in crate::diagnose::verdict) fn is_runtime(
    death: &Death<'_>,
    target: &Process,
    signal: &SignalEvent,
) -> bool {
    let sender = &signal.sender;
    let outside = if sender.tracked {
        // Recorded before it was looked at: a descendant is none.
        let around = sender.pid_ns != target.pid_ns && sender.above != Some(false);
        around && !descends(death, sender.id, target.id)
    } else {
        sender.below_root != Some(true)
    };
    let runtime = programs::is_runtime(&signal.sender_exe);
    outside && runtime && sender.id != target.id && signal.code.names_sender()
}

fn descends(death: &Death<'_>, id: ProcessId, from: ProcessId) -> bool {
    let mut seen = HashSet::new();
    let mut at = death.tree.parent(id);
    while let Some(parent) = at.filter(|parent| seen.insert(*parent)) {
        if parent == from {
            return true;
        }
        at = death.tree.parent(parent);
    }
    false
}

fn command(death: &Death<'_>, signal: &SignalEvent) -> Option<Text> {
    let exec = death.program(signal.sender.id).filter(|_| signal.sender.tracked)?;
    Some(joined(&exec.args))
}

fn joined(args: &[Text]) -> Text {
    Text(args.iter().map(Text::as_bytes).collect::<Vec<_>>().join(&b' '))
}

/// In one line, and not too long.
fn quoted(command: &Text) -> String {
    let line: Vec<u8> =
        command.as_bytes().iter().map(|byte| if *byte < b' ' { b' ' } else { *byte }).collect();
    let text = Text(line).to_string();
    match text.char_indices().nth(QUOTE) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    }
}

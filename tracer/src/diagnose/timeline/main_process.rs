//! Finds the main process of a life. It must not know how the life ended.

use std::collections::{HashMap, HashSet};

use crate::capture::event::{Event, Exec, Process, ProcessId};

use super::Tree;

/// The process that the runtime's init became by exec; the init itself where it never did.
pub(super) fn find(
    entries: &[Event],
    processes: &HashMap<ProcessId, Process>,
    tree: &Tree,
) -> Option<ProcessId> {
    let root = first_root(entries, processes)?;
    // Its flag is gone with its first exec, even if that was only the runtime's of itself.
    let was_running =
        tree.execs(root).is_empty() && processes.get(&root).is_some_and(|p| !p.runtime_init);
    if became_something(entries, tree, root) || was_running {
        return Some(root);
    }
    let inits = unexecd_family(entries, tree, root);
    // runc's first stage forks a second and third; only the last is the container's own process 1.
    let first_of_namespace = inits.iter().find(|id| {
        let of_its_own = |it: &Process, root: &Process| it.pid_ns != root.pid_ns;
        match (processes.get(id), processes.get(&root)) {
            (Some(it), Some(root)) => it.container_pid == 1 && of_its_own(it, root),
            _ => false,
        }
    });
    // In a shared or in the host's pid namespace: the stage that exec'd.
    let execd = || inits.iter().find(|id| became_something(entries, tree, **id));
    // Nothing was exec'd: the stage that got furthest is the last one forked.
    let last = || inits.last();
    first_of_namespace.or_else(execd).or_else(last).copied().or(Some(root))
}

/// The first process that came in from outside; where its record was lost, the first tracked one.
fn first_root(entries: &[Event], processes: &HashMap<ProcessId, Process>) -> Option<ProcessId> {
    let known = || entries.iter().filter(|event| processes.contains_key(&event.process.id));
    let first = |wanted: fn(&Process) -> bool| {
        known().find(|event| wanted(&event.process)).map(|event| event.process.id)
    };
    first(|process| process.root && process.tracked)
        .or_else(|| first(|process| process.tracked))
        .or_else(|| first(|_| true))
}

/// It exec'd a program other than the runtime's own init.
fn became_something(entries: &[Event], tree: &Tree, id: ProcessId) -> bool {
    tree.execs(id)
        .iter()
        .any(|index| entries[*index].exec().is_some_and(|exec| !is_runtime_itself(exec)))
}

/// runc runs itself again as `runc init`, from /proc/self/exe or a copy in memory.
pub(super) fn is_runtime_itself(exec: &Exec) -> bool {
    let path = exec.path.as_bytes();
    let again = path.starts_with(b"/proc/self/")
        || path.starts_with(b"/dev/fd/")
        || path.starts_with(b"memfd:")
        || path.ends_with(b"runc");
    again && exec.args.get(1).is_some_and(|argument| argument.as_bytes() == b"init")
}

/// Descendants by fork alone, in order of their forks.
fn unexecd_family(entries: &[Event], tree: &Tree, root: ProcessId) -> Vec<ProcessId> {
    let mut family = Vec::new();
    let mut seen = HashSet::from([root]);
    let mut open = vec![root];
    while let Some(id) = open.pop() {
        for child in tree.children(id).iter().filter(|child| seen.insert(**child)) {
            family.push(*child);
            if !became_something(entries, tree, *child) {
                open.push(*child);
            }
        }
    }
    family.sort_by_key(|id| (id.start_ns, id.pid));
    family
}

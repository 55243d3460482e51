//! Where the failure began: a parent passes blame on when it ends as its child did. It must not name causes.

use std::collections::HashSet;

use crate::{
    capture::event::{BootNs, ProcessId, SignalEvent, Status},
    contract::Evidence,
    linux::{errno::Errno, text::Text},
};

use crate::diagnose::verdict::{
    Confidence, Verdict,
    death::{Death, End},
    evidence::{failure::Failure, programs, select},
    wording,
    words::{LastWords, naming::Naming, reading::Fit},
};

/// One process on the way from main to where the failure began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::diagnose::verdict) struct Link {
    pub id: ProcessId,
    /// The one before it ended with its very status.
    pub exact: bool,
}

/// Programs that end because a child failed do so at once.
const AT_ONCE_NS: u64 = 100_000_000;
/// A supervisor waits before it tries once more, or finds that it does not.
const GAVE_UP_NS: u64 = 5_000_000_000;
/// So many equal ends in a row are no chance.
const REPEATED: usize = 3;
/// Runtimes of languages take a while to end.
const SOON_NS: u64 = 1_000_000_000;

/// From main down to the process where the failure began.
pub(in crate::diagnose::verdict) fn chain(death: &Death<'_>) -> Vec<Link> {
    let mut parent = death.main;
    let mut chain = vec![Link { id: parent, exact: true }];
    let mut seen = HashSet::from([parent]);
    while let Some(link) = passed_on(death, parent).filter(|link| seen.insert(link.id)) {
        parent = link.id;
        chain.push(link);
    }
    chain
}

/// Whose words tell of a process's end: its own, and of those that passed blame on to it. A supervisor that gave up speaks
/// for itself.
pub(in crate::diagnose::verdict) fn voices(
    death: &Death<'_>,
    chain: &[Link],
    id: ProcessId,
) -> Vec<ProcessId> {
    let mut ids = vec![id];
    let Some(at) = chain.iter().position(|link| link.id == id) else { return ids };
    let pairs = chain[..=at].windows(2).rev();
    let speaks = |pair: &&[Link]| pair[1].exact || death.is_wrapper(pair[0].id);
    ids.extend(pairs.take_while(speaks).map(|pair| pair[0].id));
    ids
}

/// Says how blame was passed on, and lowers confidence where that is a conclusion.
pub(in crate::diagnose::verdict) fn explain(
    death: &Death<'_>,
    chain: &[Link],
    verdict: &mut Verdict,
) {
    let Some(at) = chain.iter().position(|link| link.id == verdict.blamed) else { return };
    for pair in chain[..=at].windows(2) {
        let [parent, child] = pair else { continue };
        let (Some(first), Some(last)) = (death.end(child.id), death.end(parent.id)) else {
            continue;
        };
        let verb = if child.exact { "passed on the end of" } else { "gave up after" };
        let text = format!(
            "{} {}: it {verb} {}, which {}",
            death.name(parent.id),
            wording::ended(last.status),
            death.name(child.id),
            wording::ended(first.status)
        );
        let told = LastWords::of(death, &[parent.id]).tell_of_status(first.status);
        let told = told.filter(|_| !child.exact);
        let asked = asked_within(death, parent.id, last.index).filter(|_| !child.exact);
        let entries = [first.index].into_iter().chain(told).chain(asked).chain([last.index]);
        verdict.evidence.push(Evidence { text, timeline: entries.collect() });
        if !child.exact && verdict.confidence == Confidence::Proven {
            verdict.confidence = Confidence::Likely;
        }
    }
}

/// The signal by which a process, or a child of it, asked it to end.
fn asked_within(death: &Death<'_>, id: ProcessId, before: usize) -> Option<usize> {
    let own = |it: &SignalEvent| it.sender.id == id || death.tree.parent(it.sender.id) == Some(id);
    let asks = |it: &SignalEvent| it.signal.asks_for_the_end() && it.code.names_sender() && own(it);
    death.signals(id).rfind(|(index, _, it)| *index < before && asks(it)).map(|(index, _, _)| index)
}

/// One child that ended before its parent.
struct Child<'a> {
    id: ProcessId,
    end: End<'a>,
}

fn passed_on(death: &Death<'_>, parent: ProcessId) -> Option<Link> {
    let end = death.end(parent)?;
    let children = ended_children(death, parent, &end);
    if death.is_runtime(parent) {
        // `runc run` ends with its container, but not always with its status.
        if let Some(init) = children.iter().rev().find(|it| death.is_inner_init(it.id, parent)) {
            return Some(Link { id: init.id, exact: true });
        }
    }
    exact(death, parent, &end, &children)
        .or_else(|| after_failed_child(death, parent, &end, &children))
        .or_else(|| after_told_child(death, parent, &end, &children))
        .or_else(|| after_transport(death, parent, &end, &children))
        .or_else(|| after_arguments(death, parent, &end, &children))
        .or_else(|| after_repeated_failures(death, parent, &end, &children))
        .or_else(|| after_asking_child(death, parent, &end, &children))
        .or_else(|| after_done_child(death, parent, &end, &children))
}

/// Children of the program that the parent last became, by time of their ends.
fn ended_children<'a>(death: &Death<'a>, parent: ProcessId, end: &End<'a>) -> Vec<Child<'a>> {
    let since = death.last_exec(parent).map_or(0, |(_, time_ns, _)| time_ns);
    let children = death.tree.children(parent).iter();
    let ends = children.filter_map(|id| Some(Child { id: *id, end: death.end(*id)? }));
    let mut ended: Vec<Child<'a>> =
        ends.filter(|child| child.end.time_ns >= since && child.end.index < end.index).collect();
    ended.sort_by_key(|child| child.end.index);
    ended
}

/// The parent ended with the child's code, or with 128 and its signal.
fn exact(
    death: &Death<'_>,
    parent: ProcessId,
    end: &End<'_>,
    children: &[Child<'_>],
) -> Option<Link> {
    // A signal to its own group reaches the children, too: `trap 'kill 0' EXIT`.
    let by_one_signal =
        |child: &Child<'_>| end.status.signal.is_some() && was_ended_by(death, parent, child);
    let mut passing = children.iter().rev().filter(|it| passes(death, parent, end, it.end.status));
    let child = passing.find(|child| !by_one_signal(child))?;
    let by_signal = child.end.status.signal.is_some();
    // Codes above 2 are chosen: two processes rarely end with the same one by chance.
    let telling = by_signal || end.status.code.is_some_and(|code| code > 2);
    let timely = follows(end, child, SOON_NS) && !went_on(death, parent, child.end.time_ns);
    if refused_itself(death, parent, child)
        || (death.is_shell(parent) && did_without(death, parent, child))
    {
        return None;
    }
    let told = || LastWords::of(death, &[parent]).tell_of_status(child.end.status).is_some();
    let sure = telling && (death.is_wrapper(parent) || told());
    let itself = || {
        failed_itself(death, parent, child.end.time_ns)
            || raised_itself(death, parent, child)
            || (death.never_execd(child.id) && tells_of_own_failure(death, parent))
    };
    if !(sure || timely) || (!sure && !by_signal && itself()) {
        return None;
    }
    Some(Link { id: child.id, exact: true })
}

fn passes(death: &Death<'_>, parent: ProcessId, end: &End<'_>, child: Status) -> bool {
    match (end.status.code, end.status.signal) {
        (Some(0), _) => false,
        (Some(code), None) => {
            child.code == Some(code)
                || child.signal.is_some_and(|signal| u32::from(code) == 128 + signal.0)
        }
        // A parent that raises the child's signal against itself.
        (_, Some(signal)) => {
            let last = death.signals(parent).rfind(|(_, _, event)| event.signal == signal);
            child.signal == Some(signal)
                && last.is_some_and(|(_, _, event)| {
                    event.sender.id == parent && event.code.names_sender()
                })
        }
        (None, None) => false,
    }
}

/// A shell that chooses a status of its own when its child fails: `server || exit 1`.
fn after_failed_child(
    death: &Death<'_>,
    parent: ProcessId,
    end: &End<'_>,
    children: &[Child<'_>],
) -> Option<Link> {
    // Those that it ended itself are not why it ended.
    let mut others = children.iter().rev().filter(|child| !was_ended_by(death, parent, child));
    let last = others.next().filter(|child| child.end.failed())?;
    let own_search = matches!(end.status.code, Some(126 | 127)) && !death.never_execd(last.id);
    let passed = death.is_shell(parent)
        && !own_search
        && !LastWords::of(death, &[last.id]).are_discarded()
        && !gave_own_reason(death, parent, last)
        && gave_up_after(death, parent, end, last, AT_ONCE_NS);
    passed.then_some(Link { id: last.id, exact: false })
}

/// The parent sent the signal that ended it.
fn was_ended_by(death: &Death<'_>, parent: ProcessId, child: &Child<'_>) -> bool {
    let Some(signal) = child.end.status.signal else { return false };
    death
        .signals(child.id)
        .any(|(_, _, it)| it.signal == signal && it.code.names_sender() && it.sender.id == parent)
}

/// A shell whose trap signals its own group: `trap 'kill 0' EXIT`.
fn ended_itself(death: &Death<'_>, parent: ProcessId, end: &End<'_>) -> bool {
    let Some(signal) = end.status.signal.filter(|it| it.asks_for_the_end()) else { return false };
    let sent = death.signals(parent).rfind(|(_, _, it)| it.signal == signal);
    death.is_shell(parent)
        && sent.is_some_and(|(_, _, it)| it.sender.id == parent && it.code.names_sender())
}

/// It ended with an error soon after that child, with nothing else begun and no failure of its own between.
fn gave_up_after(
    death: &Death<'_>,
    parent: ProcessId,
    end: &End<'_>,
    child: &Child<'_>,
    within_ns: u64,
) -> bool {
    end.failed()
        && (end.status.signal.is_none() || ended_itself(death, parent, end))
        && follows(end, child, within_ns)
        && !went_on(death, parent, child.end.time_ns)
        && !failed_itself(death, parent, child.end.time_ns)
}

/// A program that says that it ended since its child did (make, tar, npm, initdb), with a status of its own.
fn after_told_child(
    death: &Death<'_>,
    parent: ProcessId,
    end: &End<'_>,
    children: &[Child<'_>],
) -> Option<Link> {
    // What it had begun beside it may end later (make -j).
    let mut failed = children.iter().rev().filter(|child| child.end.failed());
    let (last, failed) =
        (children.last()?, failed.find(|child| !was_ended_by(death, parent, child))?);
    let waited = Child { id: failed.id, end: End { time_ns: last.end.time_ns, ..failed.end } };
    let words = LastWords::of(death, &[parent]);
    let told = words.tell_of_status(failed.end.status).is_some()
        && gave_up_after(death, parent, end, &waited, SOON_NS)
        && !went_on(death, parent, failed.end.time_ns);
    told.then_some(Link { id: failed.id, exact: false })
}

/// A program that speaks to its peer through ssh (git, rsync, borg): 255 is ssh's own status for an error of the connection
/// (ssh(1), EXIT STATUS).
fn after_transport(
    death: &Death<'_>,
    parent: ProcessId,
    end: &End<'_>,
    children: &[Child<'_>],
) -> Option<Link> {
    let last = children.last().filter(|child| child.end.status.code == Some(255))?;
    let (_, _, exec) = death.last_exec(last.id)?;
    let is_ssh = programs::file_name(exec.path.as_bytes()) == b"ssh";
    (is_ssh && gave_up_after(death, parent, end, last, SOON_NS))
        .then_some(Link { id: last.id, exact: false })
}

/// xargs tells by its status how its commands ended (xargs(1), EXIT STATUS): 123 of 1 to 125, 124 of 255, 125 of a signal.
fn after_arguments(
    death: &Death<'_>,
    parent: ProcessId,
    end: &End<'_>,
    children: &[Child<'_>],
) -> Option<Link> {
    let told = |status: Status| match end.status.code {
        Some(123) => status.code.is_some_and(|code| (1..=125).contains(&code)),
        Some(124) => status.code == Some(255),
        Some(125) => status.signal.is_some(),
        _ => false,
    };
    let (_, _, exec) = death.last_exec(parent)?;
    let is_xargs = programs::file_name(exec.path.as_bytes()) == b"xargs"
        || exec.args.first().is_some_and(|it| programs::file_name(it.as_bytes()) == b"xargs");
    // It lets the others run to their ends, but for 255.
    let failed = children.iter().rev().find(|child| told(child.end.status))?;
    is_xargs.then_some(Link { id: failed.id, exact: false })
}

/// A supervisor that ran the same program again and again, each time to the same end, until it gave up.
fn after_repeated_failures(
    death: &Death<'_>,
    parent: ProcessId,
    end: &End<'_>,
    children: &[Child<'_>],
) -> Option<Link> {
    let real = || children.iter().rev().filter(|child| !passes_time(death, child));
    let last = real().next().filter(|child| child.end.failed())?;
    // A subshell is alike to another one.
    let alike = real().take_while(|child| {
        let (theirs, its) = (child.end.status, last.end.status);
        own_program(death, child.id) == own_program(death, last.id)
            && (theirs.code, theirs.signal) == (its.code, its.signal)
    });
    let later = death.tree.children(parent).iter().rev().filter(|id| !is_of_time(death, **id));
    let again = later.take(1).any(|id| id.start_ns >= last.end.time_ns);
    let gave_up = end.failed()
        && alike.count() >= REPEATED
        && follows(end, last, GAVE_UP_NS)
        && !again
        && !failed_itself(death, parent, last.end.time_ns);
    gave_up.then_some(Link { id: last.id, exact: false })
}

/// A supervisor that one of its children asked to stop, since another had failed for good (supervisord's event listeners).
fn after_asking_child(
    death: &Death<'_>,
    parent: ProcessId,
    end: &End<'_>,
    children: &[Child<'_>],
) -> Option<Link> {
    let asked = asked_within(death, parent, end.index)?;
    let event = death.event(asked);
    let signal = event.signal()?;
    if signal.sender.id == parent {
        return None;
    }
    let before = |child: &&Child<'_>| {
        child.id != signal.sender.id && child.end.time_ns <= event.time_ns && child.end.failed()
    };
    let failed = children.iter().rev().find(before)?;
    let began_again = death.tree.children(parent).iter().any(|id| {
        id.start_ns >= failed.end.time_ns
            && own_program(death, *id) == own_program(death, failed.id)
    });
    let asked_soon = event.time_ns.saturating_sub(failed.end.time_ns) <= GAVE_UP_NS;
    let ended_soon = end.time_ns.saturating_sub(event.time_ns) <= GAVE_UP_NS;
    // What fails in a script may be done without.
    let for_good = asked_soon && ended_soon && !began_again && !death.is_shell(parent);
    for_good.then_some(Link { id: failed.id, exact: false })
}

/// The file that a process last became.
fn own_program<'a>(death: &Death<'a>, id: ProcessId) -> Option<&'a Text> {
    death.last_exec(id).map(|(_, _, exec)| &exec.path)
}

/// What scripts do between two tries.
fn passes_time(death: &Death<'_>, child: &Child<'_>) -> bool {
    !child.end.failed() && is_of_time(death, child.id)
}

fn is_of_time(death: &Death<'_>, id: ProcessId) -> bool {
    const PROGRAMS: &[&[u8]] = &[b"sleep", b"usleep", b"date", b"echo", b"true"];
    const ALL_IN_ONE: &[&[u8]] = &[b"busybox", b"toybox", b"coreutils"];
    let name = |path: &Text| PROGRAMS.contains(&programs::file_name(path.as_bytes()));
    death.last_exec(id).is_some_and(|(_, _, exec)| {
        let applet = ALL_IN_ONE.contains(&programs::file_name(exec.path.as_bytes()));
        name(&exec.path) || (applet && exec.args.iter().take(2).any(name))
    })
}

/// It said something after its child's end that does not name the child: that is why it ended.
fn gave_own_reason(death: &Death<'_>, parent: ProcessId, child: &Child<'_>) -> bool {
    let words = LastWords::of(death, &[parent]);
    let program = death.last_exec(child.id).map(|(_, _, exec)| programs::name(exec));
    let named = program.is_some_and(|name| words.mention_word(&name).is_some());
    words.since(child.end.time_ns) && !named
}

/// The child's words were thrown away, and then it said what it ended of: `cat notes 2>/dev/null; echo no picture >&2; exit 1`.
fn did_without(death: &Death<'_>, parent: ProcessId, child: &Child<'_>) -> bool {
    LastWords::of(death, &[child.id]).are_discarded() && gave_own_reason(death, parent, child)
}

/// A shell that ended well because the program it ran did.
fn after_done_child(
    death: &Death<'_>,
    parent: ProcessId,
    end: &End<'_>,
    children: &[Child<'_>],
) -> Option<Link> {
    let last = children.last()?;
    let done = !end.failed() && !last.end.failed() && follows(end, last, AT_ONCE_NS);
    let ran = !death.never_execd(last.id);
    (done && ran && death.is_wrapper(parent)).then_some(Link { id: last.id, exact: true })
}

fn follows(end: &End<'_>, child: &Child<'_>, within_ns: u64) -> bool {
    end.time_ns.saturating_sub(child.end.time_ns) <= within_ns
}

/// It started another child after that: the one before was handled.
fn went_on(death: &Death<'_>, parent: ProcessId, after_ns: BootNs) -> bool {
    death.tree.children(parent).last().is_some_and(|child| child.start_ns >= after_ns)
}

/// A shell that ends since it cannot go on with its own script, whatever became of the child before.
fn refused_itself(death: &Death<'_>, parent: ProcessId, child: &Child<'_>) -> bool {
    death.is_shell(parent)
        && LastWords::of(death, &[parent]).tell_of_a_script_error(child.end.time_ns)
}

/// The parent ended by an exception that does not tell of its child.
fn raised_itself(death: &Death<'_>, parent: ProcessId, child: &Child<'_>) -> bool {
    const CHILD: &[&str] = &[
        "exit status",
        "exit code",
        "exited with",
        "returned non-zero",
        "command failed",
        "child process",
    ];
    let words = LastWords::of(death, &[parent]);
    let Some(told) = words.decided().filter(|it| it.fit == Fit::Own) else {
        return false;
    };
    // Supervisors and runners of jobs repeat what their child wrote.
    let of_child = LastWords::of(death, &[child.id]);
    if of_child.told().is_some_and(|it| it.reading.text() == told.reading.text()) {
        return false;
    }
    let text = told.reading.text().to_ascii_lowercase();
    let program = death.last_exec(child.id).map(|(_, _, exec)| programs::name(exec).to_string());
    let named = program.is_some_and(|name| text.contains(&name.to_ascii_lowercase()));
    !named && !CHILD.iter().any(|sign| text.contains(sign))
}

/// Of a program that forks itself, the one whose own failed call is what the last words name is the one to blame.
fn tells_of_own_failure(death: &Death<'_>, parent: ProcessId) -> bool {
    let words = LastWords::of(death, &[parent]);
    let own = Failure::all_of(death, parent).into_iter();
    let own = own.filter(|it| it.process.id == parent && !is_of_a_lost_reader(it));
    own.into_iter().any(|it| words.naming(&it).is_some_and(|(it, _)| it == Naming::Both))
}

/// The parent has a failure of its own after its child's end that explains its status.
fn failed_itself(death: &Death<'_>, parent: ProcessId, after_ns: BootNs) -> bool {
    let Some(own) = select::cause(death, parent, &[parent]) else { return false };
    // A shell looks along PATH and for its own messages: only a file it opened itself counts.
    let real = !death.is_shell(parent) || programs::opens(own.failure.call);
    own.failure.time_ns > after_ns && real && !is_of_a_lost_reader(&own.failure)
}

/// A pipe, or a pair of sockets, whose other end is gone with the child that had it.
fn is_of_a_lost_reader(failure: &Failure<'_>) -> bool {
    let gone = [Errno::EPIPE, Errno::ECONNRESET].contains(&failure.errno);
    gone && failure.address().is_none() && failure.path().is_none()
}

//! Lives that are over, and processes that were killed while theirs go on: when a report is due, and what it says. Pure.

use std::{sync::Arc, time::Duration};

use tracer_ebpf::abi::state::LostKey;

use super::{
    action::{Action, Note, Question},
    container::{Attribution, Stage, Who},
    ending::{self, Ending},
    events::give_up,
    gather::Gather,
    losses::Difference,
    state::{Node, stored_life, wall},
    terms::SourcedTerms,
};
use crate::{
    capture::event::{BootNs, LostKind, ProcessId},
    diagnose::{facts::Facts, timeline::Timeline},
    node::store::{End, Life},
};

/// A child that was killed may take its main process with it: so long is waited before it is reported on its own.
const MAIN_FOLLOWS_NS: u64 = 1_500_000_000;
/// The runtime notices an end a moment after the kernel: so long is waited for what it says where the recorder knows
/// little.
const PATIENCE: Duration = Duration::from_millis(500);
/// The recorder knows the end, and the log may say more of the beginning of what was said.
const LITTLE_PATIENCE: Duration = Duration::from_millis(100);

impl Node {
    /// The next life that is over and to be reported now, by [`Self::report_end`]. Of those before it some wait for an
    /// answer. `None` once there is no more.
    pub fn next_end(&mut self, now: BootNs, out: &mut Vec<Action>) -> Option<u64> {
        while let Some(cgroup) = self.due.pop_front() {
            if self.is_to_be_reported(cgroup, now, out) {
                return Some(cgroup);
            }
        }
        None
    }

    fn is_to_be_reported(&mut self, cgroup: u64, now: BootNs, out: &mut Vec<Action>) -> bool {
        let Some(container) = self.containers.get(&cgroup) else { return false };
        let owner = match &container.who {
            Who::Settled(owner) => owner.clone(),
            // No runtime that answers would be needed to know a pause container.
            Who::ByPath(owner) if !container.is_pause() => owner.clone(),
            Who::ByPath(_) | Who::Asked => return false,
        };
        if container.stage != Stage::Ended {
            return false;
        }
        if !container.is_by_path() && container.needs_explaining() {
            let container_id = container.life.container_id.clone();
            let patience = if container.needs_waiting() { PATIENCE } else { LITTLE_PATIENCE };
            out.push(Action::Ask(Question::End { cgroup, container_id, patience }));
            return false;
        }
        !self.waits(cgroup, &owner.identity, now)
    }

    /// Reports a life's end by name, or by the path: then again, once it is known whose it is.
    pub fn report_end(
        &mut self,
        cgroup: u64,
        gather: &mut impl Gather,
        now: BootNs,
        out: &mut Vec<Action>,
    ) {
        let Some(container) = self.containers.get(&cgroup) else { return };
        let (life, is_by_path) = (container.life.clone(), container.is_by_path());
        let Some(owner) = container.who.owner().cloned() else { return };
        let terms = self.terms_for(cgroup, &owner.identity);
        let mut held = None;
        if let Some((timeline, facts, ending)) = self.judge(cgroup, &owner, &terms, gather) {
            let object = ending.report.object.clone();
            let end_ns = timeline.entries.last().map_or(now, |event| event.time_ns);
            self.push_end(cgroup, &owner, ending, (end_ns, now), out);
            if is_by_path {
                held = Some(facts);
            } else {
                let of = (&life, &owner);
                self.cluster.keep_reported(of, (timeline, facts), terms, object, now);
            }
        }
        if let Some(container) = self.containers.get_mut(&cgroup) {
            match held {
                Some(facts) => container.reported_by_path(facts),
                None => container.reported(),
            }
        }
        out.push(Action::ForgetFacts(cgroup));
        self.forget_if_done(cgroup, out);
    }

    /// `None` if no process of the life is known.
    fn judge(
        &mut self,
        cgroup: u64,
        owner: &Attribution,
        terms: &SourcedTerms,
        gather: &mut impl Gather,
    ) -> Option<(Timeline, Facts, Ending)> {
        let container = self.containers.get_mut(&cgroup)?;
        let timeline = ending::timeline(container)?;
        let mut facts = match container.take_facts() {
            Some(before) => before,
            None => self.facts(&timeline, gather),
        };
        let container = self.containers.get_mut(&cgroup)?;
        facts.runtime_message = container.runtime_message.take();
        container.revision += 1;
        let mut ending = ending::of_life(owner, &timeline, &facts, terms, &mut self.loops);
        ending.report.object.crash.revision = container.revision;
        ending.report.is_line |= container.revision > 1;
        Some((timeline, facts, ending))
    }

    fn push_end(
        &mut self,
        cgroup: u64,
        owner: &Arc<Attribution>,
        ending: Ending,
        (end_ns, now): (BootNs, BootNs),
        out: &mut Vec<Action>,
    ) {
        let Some(container) = self.containers.get(&cgroup) else { return };
        let Ending { report, exit, command, memory_limit_bytes } = ending;
        let cause = report.cause;
        if container.revision == 1 {
            let is_recorded = container.was_recorded();
            out.push(Action::Note(Note::LifeJudged { cause, end_ns, is_recorded }));
            self.arming.died(cgroup, now);
        }
        let stored = stored_life(container, owner, self.boot_offset_ns);
        out.push(Action::Life(Box::new(Life { command, memory_limit_bytes, ..stored })));
        let time_ns = wall(end_ns, self.boot_offset_ns);
        let end = End { time_ns, exit, cause: cause.to_owned() };
        let (life, report) = (container.life.clone(), Box::new(report));
        out.push(Action::Report { life: life.clone(), owner: owner.clone(), report });
        out.push(Action::End { life, end });
    }

    /// What the kernel side lost, counted from its start.
    pub fn count_losses(&mut self, counts: &[(LostKey, u64)], now: BootNs, out: &mut Vec<Action>) {
        for Difference { cgroup, kind, of, count } in self.losses.since(counts) {
            self.missed.lost(kind, count, now);
            out.push(Action::Note(Note::Lost { of, count }));
            let cgroup = self.nested.get(&cgroup).copied().unwrap_or(cgroup);
            if let Some(container) = self.containers.get_mut(&cgroup) {
                container.history.add_lost(of, count);
            }
        }
    }

    /// Losses of which the kernel side knows no more, counted from its start: they may be anybody's, so that nothing is
    /// proven of who lives now.
    pub fn count_uncounted(&mut self, count: u64, out: &mut Vec<Action>) {
        let more = self.losses.uncounted_since(count);
        if more > 0 {
            out.push(Action::Note(Note::Uncounted { count: more }));
            let living = self.containers.values_mut().filter(|container| !container.is_over());
            living.for_each(|container| container.history.add_lost(LostKind::Process, more));
        }
    }

    /// Once a second: what changes by time alone. `boot_offset_ns`: what boot time lacks of the time since 1970.
    pub fn tick(
        &mut self,
        boot_offset_ns: i64,
        gather: &mut impl Gather,
        now: BootNs,
        out: &mut Vec<Action>,
    ) {
        self.boot_offset_ns = boot_offset_ns;
        give_up(self.missed.tick(now), out);
        self.report_incidents(gather, now, out);
        self.cluster.tick(now);
    }

    /// Reports processes that were killed a while ago while their containers lived on.
    fn report_incidents(&mut self, gather: &mut impl Gather, now: BootNs, out: &mut Vec<Action>) {
        let before = now.saturating_sub(MAIN_FOLLOWS_NS);
        let mut due: Vec<(u64, Arc<Attribution>, Vec<ProcessId>)> = Vec::new();
        for container in self.containers.values_mut() {
            if container.stage == Stage::Running
                && let Who::Settled(owner) = &container.who
            {
                let owner = owner.clone();
                let victims = container.take_victims(before);
                if !victims.is_empty() {
                    due.push((container.cgroup, owner, victims));
                }
            }
        }
        for (cgroup, owner, victims) in due {
            let Some(container) = self.containers.get(&cgroup) else { continue };
            let life = container.life.clone();
            let Some(timeline) = ending::timeline(container) else { continue };
            let facts = self.facts(&timeline, gather);
            for report in ending::of_processes(&owner, &timeline, &facts, &victims) {
                out.push(Action::Note(Note::IncidentJudged { cause: report.cause }));
                let report = Box::new(report);
                out.push(Action::Report { life: life.clone(), owner: owner.clone(), report });
            }
        }
    }
}

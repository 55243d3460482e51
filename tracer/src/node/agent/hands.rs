//! Carries out what the node wants done, in its order: in the kernel, at the runtime, in the store, for whoever listens. It
//! must not decide anything.

use std::sync::Arc;

use tracer_ebpf::abi::state::LostKey;

use super::{
    asker::Asker,
    lives::{Action, Gather},
    notes,
    reporter::Reporter,
};
use crate::{
    capture::{
        event::{Event, Process},
        kernel::{LoadError, Programs},
    },
    diagnose::{
        facts::{self, Facts, Gatherer},
        timeline::Timeline,
    },
    linux::text::Text,
    node::metrics::Metrics,
};

/// Processes of a container that nobody selected for which the kernel side is told to look at each.
const CROWD: u32 = 256;

/// All that reaches outside.
pub struct Hands {
    pub programs: Programs,
    pub reporter: Reporter,
    pub gatherer: Gatherer,
    pub asker: Asker,
    pub metrics: Arc<Metrics>,
}

impl Hands {
    /// Leaves `actions` empty.
    pub fn carry_out(&mut self, actions: &mut Vec<Action>) {
        for action in actions.drain(..) {
            self.act(action);
        }
    }

    /// What the kernel side lost since its start; nothing where that cannot be read.
    pub fn lost(&self) -> Vec<(LostKey, u64)> {
        self.programs.lost().unwrap_or_else(|error| {
            tracing::warn!(%error, "losses cannot be read");
            Vec::new()
        })
    }

    /// Losses of which the kernel side knows no more, since its start.
    pub fn uncounted(&self) -> u64 {
        self.programs.uncounted().unwrap_or_default()
    }

    /// Its processes are let go of one by one as they do something; many at rest would take room from others.
    fn let_go(&mut self, cgroup: u64) -> Result<(), LoadError> {
        if self.programs.track(cgroup, 0, false)? > CROWD {
            self.programs.take_inventory()?;
        }
        Ok(())
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Ask(question) => self.asker.ask(question),
            Action::Event { life, owner, kind, entry } => {
                self.reporter.event(&life, &owner, kind, *entry);
            }
            Action::Life(life) => self.reporter.life(*life),
            Action::ForgetLife(life) => self.reporter.forget_life(&life),
            Action::Report { life, owner, report } => self.reporter.report(&life, &owner, *report),
            Action::End { life, end } => self.reporter.end(&life, end),
            Action::LetGo(cgroup) => {
                if let Err(error) = self.let_go(cgroup) {
                    tracing::warn!(%error, "a container that nobody selected cannot be let go of");
                }
            }
            Action::ForgetLosses(keys) => self.programs.forget_lost(&keys),
            Action::ForgetFacts(cgroup) => self.gatherer.forget(cgroup),
            Action::Note(note) => notes::write(note, &self.metrics),
        }
    }
}

impl Gather for Gatherer {
    fn observe(&mut self, event: &Event) {
        self.observe(event);
    }

    fn program(&mut self, process: &Process) -> Option<(Text, Vec<Text>)> {
        facts::program_of(process)
    }

    fn finish(&mut self, timeline: &Timeline) -> Facts {
        self.finish(timeline)
    }
}

//! One death as the rules see it: with the process where the failure began and the failed call that may be why. It must not
//! name causes.

use std::ops::Deref;

use crate::{
    capture::event::ProcessId,
    diagnose::{facts::Facts, timeline::Timeline},
};

use super::{
    Confidence, Verdict,
    death::Death,
    evidence::{
        blame::{self, Link},
        select::{self, Chosen},
    },
    terms::Terms,
    wording,
    words::LastWords,
};

/// What the rules look at. It answers all that its death answers.
pub(super) struct Case<'a> {
    death: Death<'a>,
    /// From main down to the process where the failure began; main first.
    pub chain: Vec<Link>,
    /// The failed call of the last of them that may be the cause.
    pub chosen: Option<Chosen<'a>>,
}

impl<'a> Deref for Case<'a> {
    type Target = Death<'a>;

    fn deref(&self) -> &Death<'a> {
        &self.death
    }
}

impl<'a> Case<'a> {
    pub fn of_life(timeline: &'a Timeline, facts: &'a Facts, terms: &'a Terms) -> Self {
        let death = Death { timeline, facts, tree: timeline.tree(), terms, main: timeline.main };
        let chain = blame::chain(&death);
        let blamed = chain.last().map_or(death.main, |link| link.id);
        let chosen = select::cause(&death, blamed, &blame::voices(&death, &chain, blamed));
        Self { death, chain, chosen }
    }

    /// The death of one process for itself: no blame is passed on.
    pub fn of_process(
        timeline: &'a Timeline,
        facts: &'a Facts,
        terms: &'a Terms,
        id: ProcessId,
    ) -> Self {
        let death = Death { timeline, facts, tree: timeline.tree(), terms, main: id };
        Self { death, chain: vec![Link { id, exact: true }], chosen: None }
    }

    /// The process where the failure began.
    pub fn blamed(&self) -> ProcessId {
        self.chain.last().map_or(self.main, |link| link.id)
    }

    pub fn in_chain(&self, id: ProcessId) -> bool {
        self.chain.iter().any(|link| link.id == id)
    }

    /// Last words of the blamed process and of those that passed blame on to it.
    pub fn last_words(&self) -> LastWords<'a> {
        LastWords::of(self, &self.voices(self.blamed()))
    }

    /// Whose words tell of a process's end.
    pub fn voices(&self, id: ProcessId) -> Vec<ProcessId> {
        blame::voices(self, &self.chain, id)
    }

    /// `exited with status 1`, of the blamed process.
    pub fn ending(&self) -> String {
        match self.end(self.blamed()) {
            Some(end) => wording::ended(end.status),
            None => "ended".to_owned(),
        }
    }

    /// Adds what is true of every verdict: how blame was passed on, and what is missing.
    pub fn with_context(&self, mut verdict: Verdict) -> Verdict {
        blame::explain(self, &self.chain, &mut verdict);
        let lost = self.timeline.lost;
        if lost > 0 {
            let gaps = self.timeline.gaps();
            let text =
                format!("{lost} records of this life were lost, so that it is not known whole");
            verdict.evidence.push(crate::contract::Evidence { text, timeline: gaps });
            if verdict.confidence == Confidence::Proven {
                verdict.confidence = Confidence::Likely;
            }
        }
        verdict
    }
}

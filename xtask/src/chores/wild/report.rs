//! What came of all deaths: a line each, totals, how far `proven` and `likely` can be trusted. It judges nothing.

use std::fmt::Write as _;

use ::tests::wild::score::{Fault, Scored};

/// One death of the set, after it happened.
#[derive(Debug)]
pub struct Outcome {
    pub name: String,
    pub family: String,
    pub line: String,
    pub expected: String,
    pub innocent: bool,
    pub output: String,
    pub scored: Result<Scored, String>,
}

impl Outcome {
    fn mark(&self) -> &'static str {
        match &self.scored {
            Err(_) => "did not happen",
            Ok(Scored { fault: None, .. }) => "ok",
            Ok(Scored { fault: Some((fault, _)), .. }) => fault.name(),
        }
    }

    /// The line of the table.
    pub fn row(&self) -> String {
        let (said, why) = match &self.scored {
            Err(error) => (String::new(), error.clone()),
            Ok(scored) => (
                format!("{} ({})", scored.cause, scored.confidence),
                scored.fault.as_ref().map(|(_, why)| why.clone()).unwrap_or_default(),
            ),
        };
        format!("{:44} {:15} {said:36} {why}", self.name, self.mark())
    }

    /// All that is needed to judge a wrong verdict.
    pub fn finding(&self) -> Option<String> {
        let scored = self.scored.as_ref().ok()?;
        let (fault, why) = scored.fault.as_ref()?;
        let tail: Vec<&str> = self.output.lines().rev().take(12).collect();
        let tail: Vec<&str> = tail.into_iter().rev().collect();
        Some(format!(
            "### {} ({}): {} - {why}\n- command: {}\n- expected: {}\n- got: {} ({}): {}\n- next step: {}\n- output:\n{}\n",
            self.name,
            self.family,
            fault.name(),
            self.line.trim(),
            self.expected,
            scored.cause,
            scored.confidence,
            scored.summary,
            scored.next_step,
            tail.iter().map(|line| format!("    {line}")).collect::<Vec<_>>().join("\n"),
        ))
    }
}

/// How many of how many.
#[derive(Debug, Clone, Copy, Default)]
pub struct Share {
    pub right: usize,
    pub all: usize,
}

impl Share {
    fn of<'a>(outcomes: impl Iterator<Item = &'a Scored>) -> Self {
        outcomes.fold(Self::default(), |share, scored| Self {
            right: share.right + usize::from(scored.fault.is_none()),
            all: share.all + 1,
        })
    }

    fn reaches(self, percent: usize) -> bool {
        self.right * 100 >= self.all * percent
    }
}

/// The sums over all deaths.
#[derive(Debug)]
pub struct Totals {
    pub right: Share,
    pub innocent: Share,
    pub proven: Share,
    pub likely: Share,
    pub untrue: usize,
    pub untrue_proven: usize,
    pub not_happened: usize,
}

impl Totals {
    pub fn of(outcomes: &[Outcome]) -> Self {
        let scored = |wanted: fn(&Outcome, &Scored) -> bool| {
            outcomes.iter().filter_map(move |outcome| {
                outcome.scored.as_ref().ok().filter(|scored| wanted(outcome, scored))
            })
        };
        let is_untrue = |scored: &&Scored| matches!(scored.fault, Some((Fault::Untrue, _)));
        Self {
            right: Share::of(scored(|_, _| true)),
            innocent: Share::of(scored(|outcome, _| outcome.innocent)),
            proven: Share::of(scored(|_, scored| scored.confidence == "proven")),
            likely: Share::of(scored(|_, scored| scored.confidence == "likely")),
            untrue: scored(|_, _| true).filter(is_untrue).count(),
            untrue_proven: scored(|_, it| it.confidence == "proven").filter(is_untrue).count(),
            not_happened: outcomes.iter().filter(|outcome| outcome.scored.is_err()).count(),
        }
    }

    /// 95 of 100 are right, nothing is untrue, `proven` is always right and `likely` nine times of ten.
    pub fn are_as_aimed(&self) -> bool {
        self.right.reaches(95)
            && self.untrue == 0
            && self.not_happened == 0
            && self.proven.reaches(100)
            && self.likely.reaches(90)
    }

    /// A line for each family, as docs/verdicts.md shows them.
    pub fn families(outcomes: &[Outcome]) -> String {
        let mut names: Vec<&str> = outcomes.iter().map(|outcome| &*outcome.family).collect();
        names.dedup();
        let mut table = String::from(
            "| family | deaths | right | vague | not named | untrue |\n|---|---|---|---|---|---|\n",
        );
        for name in names {
            let of = |wanted: Option<Fault>| {
                let its = outcomes.iter().filter(|outcome| outcome.family == name);
                let faults = its.filter_map(|outcome| outcome.scored.as_ref().ok());
                faults.filter(|it| it.fault.as_ref().map(|(fault, _)| *fault) == wanted).count()
            };
            let all = outcomes.iter().filter(|outcome| outcome.family == name).count();
            let (right, vague) = (of(None), of(Some(Fault::Cause)));
            let (unnamed, untrue) = (of(Some(Fault::NotNamed)), of(Some(Fault::Untrue)));
            let _ =
                writeln!(table, "| {name} | {all} | {right} | {vague} | {unnamed} | {untrue} |");
        }
        table
    }

    pub fn text(&self) -> String {
        let mut text = String::new();
        let mut line = |what: &str, share: Share| {
            let _ = writeln!(text, "{what:28} {:3} of {:3} right", share.right, share.all);
        };
        line("all", self.right);
        line("not to be blamed on noise", self.innocent);
        line("proven", self.proven);
        line("likely", self.likely);
        let _ = writeln!(text, "untrue: {} ({} of them proven)", self.untrue, self.untrue_proven);
        if self.not_happened > 0 {
            let _ = writeln!(text, "did not happen: {}", self.not_happened);
        }
        text
    }
}

//! What was checked and how it came out, printed as it comes and once more at the end. It knows no cluster.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use super::compare::{Outcome, Row};
use crate::means::page::{Cell, GAP, Ink, Page};

#[derive(Debug)]
pub struct Report {
    page: Page,
    begun: Instant,
    step: &'static str,
    steps: Vec<Step>,
    rows: Vec<Row>,
}

#[derive(Debug)]
struct Step {
    name: &'static str,
    right: usize,
    failures: Vec<String>,
    took: Duration,
}

impl Report {
    pub fn new(page: Page) -> Self {
        Self { page, begun: Instant::now(), step: "", steps: Vec::new(), rows: Vec::new() }
    }

    /// Begins a step; what is checked from now on belongs to it.
    pub fn step(&mut self, name: &'static str, about: &str) -> Result<()> {
        self.step = name;
        let step = Step { name, right: 0, failures: Vec::new(), took: self.begun.elapsed() };
        self.steps.push(step);
        self.page.line("")?;
        Ok(self.page.paragraph(0, Ink::Strong, &format!("{name}: {about}"))?)
    }

    /// The step's time is over.
    pub fn end_step(&mut self) {
        let now = self.begun.elapsed();
        if let Some(step) = self.steps.last_mut() {
            step.took = now.saturating_sub(step.took);
        }
    }

    /// What happens, where nothing is checked.
    pub fn note(&self, text: &str) -> Result<()> {
        Ok(self.page.paragraph(2, Ink::Aside, text)?)
    }

    /// Prints how a check came out and remembers it.
    pub fn check(&mut self, what: &str, came: Result<String>) -> Result<()> {
        let Some(step) = self.steps.last_mut() else { return Ok(()) };
        match came {
            Ok(found) => {
                step.right += 1;
                self.page.paragraph(2, Ink::Plain, &format!("ok: {what}: {found}"))?;
            }
            Err(error) => {
                let failure = format!("{what}: {error:#}");
                self.page.paragraph(2, Ink::Cause, &format!("FAILED: {failure}"))?;
                step.failures.push(failure);
            }
        }
        Ok(())
    }

    /// Checks each compared pod and keeps the rows for the table.
    pub fn compared(&mut self, rows: Vec<Row>) -> Result<()> {
        for row in &rows {
            let came = match &row.outcome {
                Outcome::Right => Ok(row.expected.clone()),
                Outcome::Awaited(what) => Err(anyhow::anyhow!("never came: {what}")),
                Outcome::Wrong(what) => Err(anyhow::anyhow!("{what}, not {}", row.expected)),
            };
            self.check(&row.pod, came)?;
        }
        self.rows = rows;
        Ok(())
    }

    /// The table of all deaths, the table of all steps and the verdict, which is the error where something failed.
    pub fn close(&self) -> Result<()> {
        if !self.rows.is_empty() {
            self.deaths()?;
        }
        self.page.line("")?;
        let mut rows = vec![header(["STEP", "CHECKS", "FAILED", "TOOK"])];
        for step in &self.steps {
            let failed = step.failures.len();
            rows.push([
                plain(step.name),
                plain(&(step.right + failed).to_string()),
                vec![(if failed == 0 { Ink::Plain } else { Ink::Cause }, failed.to_string())],
                plain(&format!("{:.0?}", step.took)),
            ]);
        }
        self.page.table(&rows, &[20, 8, 8, 10])?;
        self.page.line("")?;
        let right: usize = self.steps.iter().map(|step| step.right).sum();
        let failures: Vec<&String> = self.steps.iter().flat_map(|step| &step.failures).collect();
        if failures.is_empty() {
            let words = format!("PASSED: {right} checks in {:.0?}.", self.begun.elapsed());
            return Ok(self.page.paragraph(0, Ink::Strong, &words)?);
        }
        let words = format!("FAILED: {} of {} checks:", failures.len(), right + failures.len());
        self.page.paragraph(0, Ink::Cause, &words)?;
        for failure in &failures {
            self.page.paragraph(2, Ink::Plain, failure)?;
        }
        bail!("{} checks failed", failures.len());
    }

    fn deaths(&self) -> Result<()> {
        let titles = ["POD", "KUBERNETES SAYS", "THE TRACER SAYS", "EVENT", "EXPECTED"];
        let mut rows = vec![header(titles)];
        for row in &self.rows {
            let ink = if row.outcome == Outcome::Right { Ink::Strong } else { Ink::Cause };
            rows.push([
                plain(&row.pod),
                plain(&row.kubernetes),
                vec![(ink, row.cause.clone()), (Ink::Plain, row.summary.clone())],
                plain(if row.event.is_empty() { "no" } else { "CrashCause" }),
                plain(&row.expected),
            ]);
        }
        // The longest pod's name and the longest cause fit.
        let (pod, kubernetes, event, expected) = (24, 18, 10, 24);
        let rest = self.page.width() - pod - kubernetes - event - expected - 4 * GAP;
        self.page.line("")?;
        Ok(self.page.table(&rows, &[pod, kubernetes, rest, event, expected])?)
    }
}

fn plain(text: &str) -> Cell {
    vec![(Ink::Plain, text.to_owned())]
}

fn header<const COLUMNS: usize>(titles: [&str; COLUMNS]) -> [Cell; COLUMNS] {
    titles.map(|title| vec![(Ink::Strong, title.to_owned())])
}

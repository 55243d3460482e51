//! One check and the report of all. It must not know what is checked.

use serde::Serialize;

/// Version of the JSON document.
const SCHEMA: u32 = 1;

/// How a check came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    Ok,
    /// The tracer works, with less.
    Degraded,
    /// The tracer does not work without it.
    Missing,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// Stable, snake_case.
    pub name: String,
    pub state: State,
    /// What was found, one line.
    pub found: String,
    /// What the lack costs; empty where nothing lacks.
    pub cost: String,
    /// What to do; a command where there is one; empty where nothing lacks.
    pub remedy: String,
}

impl Check {
    pub fn ok(name: impl Into<String>, found: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            state: State::Ok,
            found: found.into(),
            cost: String::new(),
            remedy: String::new(),
        }
    }

    /// It works with less: `lack` is what that costs and how to mend it.
    pub fn degraded(name: impl Into<String>, found: impl Into<String>, lack: (&str, &str)) -> Self {
        Self { state: State::Degraded, ..Self::ok(name, found).lacking(lack) }
    }

    /// It does not work: `lack` is what that costs and how to mend it.
    pub fn missing(name: impl Into<String>, found: impl Into<String>, lack: (&str, &str)) -> Self {
        Self { state: State::Missing, ..Self::ok(name, found).lacking(lack) }
    }

    fn lacking(self, (cost, remedy): (&str, &str)) -> Self {
        Self { cost: cost.to_owned(), remedy: remedy.to_owned(), ..self }
    }
}

/// All checks, in the order in which they are shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    pub checks: Vec<Check>,
}

/// The JSON document.
#[derive(Debug, Serialize)]
pub struct Document<'a> {
    schema: u32,
    ok: bool,
    checks: &'a [Check],
}

impl Report {
    /// Whether nothing that is required is missing.
    pub fn ok(&self) -> bool {
        self.count(State::Missing) == 0
    }

    pub fn count(&self, state: State) -> usize {
        self.checks.iter().filter(|check| check.state == state).count()
    }

    pub fn document(&self) -> Document<'_> {
        Document { schema: SCHEMA, ok: self.ok(), checks: &self.checks }
    }
}

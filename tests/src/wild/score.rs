//! Whether a verdict is the right answer. It is strict, and knows nothing of how a death was provoked.

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::Death;

/// Causes that tell how a program ended, not why. Instead of a better one they are too little, yet not untrue.
const VAGUE: [&str; 5] =
    ["exited_with_error", "exited_by_itself", "uncaught_exception", "abort", "none"];

/// What was wrong with a verdict, the worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// It says what is not so.
    Untrue,
    /// The cause is a vaguer or neighbouring one.
    Cause,
    /// The decisive thing is not named.
    NotNamed,
}

impl Fault {
    pub fn name(self) -> &'static str {
        match self {
            Self::Untrue => "untrue",
            Self::Cause => "wrong cause",
            Self::NotNamed => "thing not named",
        }
    }
}

/// A verdict as it was given, and as it was judged.
#[derive(Debug, Clone)]
pub struct Scored {
    pub cause: String,
    pub confidence: String,
    pub summary: String,
    pub next_step: String,
    /// With what is missing or untrue.
    pub fault: Option<(Fault, String)>,
}

/// Judges the verdict of a crash object.
pub fn score(object: &Value, answer: &Death) -> Result<Scored> {
    let text = |key: &str| object["crash"][key].as_str().unwrap_or_default().to_owned();
    let cause = object["crash"]["cause"].as_str().context("no cause")?.to_owned();
    let mut scored = Scored {
        cause,
        confidence: text("confidence"),
        summary: text("summary"),
        next_step: text("next_step"),
        fault: None,
    };
    scored.fault = fault(&scored, answer);
    Ok(scored)
}

fn fault(said: &Scored, answer: &Death) -> Option<(Fault, String)> {
    let has = |text: &str, wanted: &str| text.to_lowercase().contains(&wanted.to_lowercase());
    // A quotation blames nothing: what a program wrote stands as it was written.
    let (own_words, _) = said.summary.split_once("last words").unwrap_or((&said.summary, ""));
    let untrue = answer.never.iter().find(|it| has(own_words, it) || has(&said.next_step, it));
    if let Some(untrue) = untrue {
        return Some((Fault::Untrue, format!("says {untrue:?}")));
    }
    if !answer.cause.contains(&said.cause) {
        let fault = if VAGUE.contains(&said.cause.as_str()) { Fault::Cause } else { Fault::Untrue };
        return Some((fault, format!("expected {}", answer.cause.first())));
    }
    let is_named = |name: &&String| name.split('|').any(|one| has(&said.summary, one));
    let missing = answer.names.iter().find(|name| !is_named(name))?;
    Some((Fault::NotNamed, format!("does not name {missing:?}")))
}

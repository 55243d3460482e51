//! The crash object as a reader of the documentation sees it: JSON, checked against docs/crash.schema.json. It must not
//! know the tracer's own types.

use std::fmt;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

/// One crash object.
#[derive(Debug)]
pub struct Verdict(Value);

impl Verdict {
    /// Parses what `tracer exec -o json` wrote: one document and nothing else.
    pub fn parse(stdout: &[u8]) -> Result<Self> {
        let text = String::from_utf8_lossy(stdout);
        let object = serde_json::from_slice(stdout)
            .with_context(|| format!("stdout is no JSON document: {text:?}"))?;
        Ok(Self(object))
    }

    /// The whole object.
    pub fn object(&self) -> &Value {
        &self.0
    }

    /// The cause's name.
    pub fn cause(&self) -> &str {
        self.0["crash"]["cause"].as_str().unwrap_or_default()
    }

    /// `proven` or `likely`.
    pub fn confidence(&self) -> &str {
        self.0["crash"]["confidence"].as_str().unwrap_or_default()
    }

    /// Whether the summary, the evidence, the next step or the details say this.
    pub fn contains(&self, said: &str) -> bool {
        let crash = &self.0["crash"];
        ["summary", "evidence", "next_step", "details"].iter().any(|key| says(&crash[key], said))
    }

    /// Checks the object against the schema, where that is: `TRACER_CRASH_SCHEMA`, else this tree's.
    pub fn check_schema(&self) -> Result<()> {
        let path = std::env::var_os("TRACER_CRASH_SCHEMA").map_or_else(
            || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/crash.schema.json")),
            PathBuf::from,
        );
        let text = std::fs::read(&path).with_context(|| format!("no schema {}", path.display()))?;
        let validator = jsonschema::validator_for(&serde_json::from_slice(&text)?)?;
        let errors: Vec<String> = validator
            .iter_errors(&self.0)
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        ensure!(errors.is_empty(), "not as docs/crash.schema.json has it:\n{}", errors.join("\n"));
        Ok(())
    }

    /// Every verdict cites evidence, and evidence cites entries that are there. Nothing was lost.
    pub fn check_evidence(&self) -> Result<()> {
        let entries = self.0["timeline"].as_array().context("no timeline")?.len() as u64;
        let evidence = self.0["crash"]["evidence"].as_array().context("no evidence")?;
        ensure!(!evidence.is_empty(), "a verdict without evidence");
        for item in evidence {
            for index in item["timeline"].as_array().context("evidence without a timeline")? {
                ensure!(
                    index.as_u64().is_some_and(|i| i < entries),
                    "evidence cites entry {index}"
                );
            }
        }
        ensure!(self.0["lost"] == 0, "records were lost: {}", self.0["lost"]);
        Ok(())
    }

    /// Checks the exit of the main process.
    pub fn check_exit(&self, code: Option<u8>, signal: Option<&str>, core: bool) -> Result<()> {
        let exit = &self.0["exit"];
        let expected = serde_json::json!({ "code": code, "signal": signal, "core": core });
        ensure!(*exit == expected, "exit is {exit}, expected {expected}");
        Ok(())
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#}", self.0)
    }
}

fn says(value: &Value, said: &str) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(bool) => bool.to_string() == said,
        Value::Number(number) => number.to_string() == said,
        Value::String(string) => string.contains(said),
        Value::Array(items) => items.iter().any(|item| says(item, said)),
        Value::Object(members) => members.values().any(|member| says(member, said)),
    }
}

//! The one crash object of every output: `exec`, `explain`, `timeline`, `crashes`, live stream, store.
//! Its shape is a contract, docs/crash.schema.json. It must not decide anything.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Version of this shape.
pub const SCHEMA: u32 = 1;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CrashObject {
    pub schema: u32,
    pub crash: Crash,
    pub exit: ExitStatus,
    /// The main process.
    pub process: Value,
    #[serde(skip_serializing_if = "Value::is_null", default)]
    pub container: Value,
    #[serde(skip_serializing_if = "Value::is_null", default)]
    pub k8s: Value,
    /// Left out where one crash a line is listed.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub timeline: Option<Vec<Value>>,
    /// Records that were lost for this life.
    pub lost: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Crash {
    /// First 12 hexadecimal digits of the container id, random for `exec`.
    pub id: String,
    /// Counts up from 1 as the same verdict is improved.
    pub revision: u32,
    /// `life` or `process`.
    pub scope: String,
    /// RFC 3339, UTC, nanoseconds.
    pub time: String,
    pub cause: String,
    /// `proven`, `likely`, or `none` where the cause is `none`.
    pub confidence: String,
    pub summary: String,
    pub evidence: Vec<Evidence>,
    pub next_step: String,
    /// The blamed process.
    pub process: Value,
    pub details: Map<String, Value>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    pub text: String,
    /// Indexes into the timeline.
    pub timeline: Vec<usize>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExitStatus {
    pub code: Option<u8>,
    /// `SIGSEGV`
    pub signal: Option<String>,
    pub core: bool,
}

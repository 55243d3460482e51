//! The one crash object of every output: `exec`, `explain`, `timeline`, `crashes`, live stream, store.
//! Its shape is a contract, docs/crash.schema.json. It must not decide anything.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{
    entry::Entry,
    exit_status::ExitStatus,
    owner::{Container, K8s},
    process::Process,
    readable,
};

/// Version of this shape.
pub const SCHEMA: u32 = 1;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CrashObject {
    pub schema: u32,
    pub crash: Crash,
    #[serde(default, deserialize_with = "readable::fields")]
    pub exit: ExitStatus,
    /// The main process.
    #[serde(default, deserialize_with = "readable::fields")]
    pub process: Process,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[serde(deserialize_with = "readable::fields")]
    pub container: Option<Container>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[serde(deserialize_with = "readable::fields")]
    pub k8s: Option<K8s>,
    /// Left out where one crash a line is listed.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub timeline: Option<Vec<Entry>>,
    /// Records that were lost for this life.
    #[serde(default)]
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
    #[serde(default)]
    pub evidence: Vec<Evidence>,
    #[serde(default)]
    pub next_step: String,
    /// The blamed process.
    #[serde(default, deserialize_with = "readable::fields")]
    pub process: Process,
    #[serde(default)]
    pub details: Map<String, Value>,
}

/// What `details` have of a crash that is one of many.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CrashLoop {
    pub crashes: u64,
    pub previous_cause: Option<String>,
    pub same_cause: bool,
}

impl CrashLoop {
    /// Its place in `details`.
    pub const KEY: &str = "crash_loop";
}

impl Crash {
    /// `None` where it is none of many, as far as can be read.
    pub fn crash_loop(&self) -> Option<CrashLoop> {
        CrashLoop::deserialize(self.details.get(CrashLoop::KEY)?).ok()
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    pub text: String,
    /// Indexes into the timeline.
    pub timeline: Vec<usize>,
}

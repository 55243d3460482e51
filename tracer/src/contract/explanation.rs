//! A crash explained: what changed since the last life of its workload that lasted.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::CrashObject;

/// A crash object without its timeline, and what changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Explanation {
    #[serde(flatten)]
    pub object: CrashObject,
    /// `None` where no life of this workload that lasted is known.
    #[serde(default)]
    pub changes: Option<Changes>,
}

/// Differences between a crashed life and the last one of the same workload that lasted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changes {
    /// First 12 digits of the container id of the life that lasted.
    pub container_id: String,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub pod: Option<String>,
    /// RFC 3339. It ended at `ended`; `None` where it lives on.
    pub began: String,
    pub ended: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub image: Option<Change<Option<String>>>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub image_id: Option<Change<Option<String>>>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub memory_limit_bytes: Option<Change<Option<u64>>>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub command: Option<Change<Vec<String>>>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub node: Option<Change<Option<String>>>,
    /// Why they ended; `None` for one that lives on.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub cause: Option<Change<Option<String>>>,
    /// What a later version compares besides, as it says it.
    #[serde(flatten)]
    pub others: Map<String, Value>,
}

/// Left out of [`Changes`] where both are the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change<T> {
    pub from: T,
    pub to: T,
}

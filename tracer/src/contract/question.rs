//! What the API is asked: paths, and the parameters of their queries, as clients write and the API reads them. A
//! parameter that is not known is refused: a misspelt filter must not silently show everything.

use serde::{Deserialize, Serialize};

use super::process::is_false;

pub const CRASHES: &str = "/v1/crashes";
pub const TIMELINE: &str = "/v1/timeline";
pub const EXPLAIN: &str = "/v1/explain";
pub const EVENTS: &str = "/v1/events";
pub const HEALTH: &str = "/v1/health";

/// Of [`CRASHES`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Crashes {
    pub namespace: Option<String>,
    pub pod: Option<String>,
    pub container: Option<String>,
    pub label: Option<String>,
    pub since: Option<String>,
    pub until: Option<String>,
    /// Several with commas.
    pub cause: Option<String>,
    /// With the ends that were no crash.
    #[serde(skip_serializing_if = "is_false")]
    pub all: bool,
    /// The newest of them.
    pub limit: Option<usize>,
}

/// Of [`TIMELINE`] and [`EXPLAIN`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Death {
    /// A pod's name or the beginning of one, or the id of a crash.
    pub pod: String,
    pub namespace: Option<String>,
    pub container: Option<String>,
    /// How many newer ones there are.
    pub previous: Option<usize>,
    /// Of the text.
    #[serde(skip_serializing_if = "is_false", default)]
    pub color: bool,
}

/// Of one crash below [`CRASHES`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Shown {
    #[serde(skip_serializing_if = "is_false")]
    pub color: bool,
}

/// Of [`EVENTS`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Events {
    pub namespace: Option<String>,
    pub pod: Option<String>,
    pub container: Option<String>,
    pub label: Option<String>,
    /// Several with commas.
    pub kind: Option<String>,
    pub since: Option<String>,
    pub until: Option<String>,
    /// Stored after this row.
    pub after_row: Option<i64>,
    /// The first of them.
    pub limit: Option<usize>,
}

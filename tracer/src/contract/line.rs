//! One line of the live stream and of stdout.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::{CrashObject, Entry, K8s, kinds::Of, owner::Container, readable};

/// Whatever a line can be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Line {
    /// Without its timeline.
    Crash(Box<CrashObject>),
    Observation(Box<Observation<'static>>),
    Gap(Box<Gap>),
}

/// The kind of a line that is a crash, where kinds are named: among those of entries.
pub const CRASH: &str = "crash";

/// An entry, and whose it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Observation<'a> {
    #[serde(flatten)]
    pub entry: Cow<'a, Entry>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[serde(deserialize_with = "readable::fields")]
    pub container: Option<Cow<'a, Container>>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[serde(deserialize_with = "readable::fields")]
    pub k8s: Option<Cow<'a, K8s>>,
}

/// Lines that are missing, since whoever reads them was too slow.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Gap {
    kind: GapKind,
    pub of: Of,
    pub count: u64,
    /// On which of several nodes.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub k8s: Option<K8s>,
}

/// As that of an entry, which a gap among lines is not: no life lacks anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum GapKind {
    Lost,
}

impl Gap {
    /// The kind of its line.
    pub const KIND: &str = "lost";

    pub fn of_lines(count: u64) -> Self {
        Self { kind: GapKind::Lost, of: Of::Lines, count, k8s: None }
    }
}

impl Line {
    /// `None` where it says nothing of it.
    pub fn k8s(&self) -> Option<&K8s> {
        match self {
            Self::Crash(crash) => crash.k8s.as_ref(),
            Self::Observation(observation) => observation.k8s.as_deref(),
            Self::Gap(gap) => gap.k8s.as_ref(),
        }
    }

    pub fn container(&self) -> Option<&Container> {
        match self {
            Self::Crash(crash) => crash.container.as_ref(),
            Self::Observation(observation) => observation.container.as_deref(),
            Self::Gap(_) => None,
        }
    }
}

//! One line of the live stream and of stdout: as they are written, and as clients read them.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::{Entry, K8s, ListedCrash, Names, Shown, kinds::Of, owner::Container, readable};

/// Whatever a line can be, as far as it is shown.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(untagged)]
pub enum Line {
    Crash(Box<Shown<ListedCrash>>),
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
    /// Whose it is.
    pub fn names(&self) -> Names<'_> {
        match self {
            Self::Crash(crash) => crash.names(),
            Self::Observation(observation) => {
                Names::of(observation.k8s.as_deref(), observation.container.as_deref())
            }
            Self::Gap(gap) => Names::of(gap.k8s.as_ref(), None),
        }
    }
}

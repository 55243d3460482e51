//! Why a question has no answer.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The body of an error.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    pub error: Reason,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// What, why, and what to do.
    pub message: String,
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub candidates: Vec<Candidate>,
}

/// One of several that a name fits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Candidate {
    pub namespace: Option<String>,
    pub pod: Option<String>,
    /// Where an id was asked for.
    pub crash_id: Option<String>,
}

impl fmt::Display for Candidate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unknown = "(not known)";
        if let Some(id) = &self.crash_id {
            write!(f, "{id} ")?;
        }
        let (namespace, pod) = (self.namespace.as_deref(), self.pod.as_deref());
        write!(f, "{}/{}", namespace.unwrap_or(unknown), pod.unwrap_or(unknown))
    }
}

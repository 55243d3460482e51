//! What is asked of a store. It must not know SQL.

use std::{collections::BTreeMap, sync::Arc};

/// Whether a pod with these labels is wanted.
pub type LabelTest = Arc<dyn Fn(&BTreeMap<String, String>) -> bool + Send + Sync>;

/// Which crashes to list. Everything given must hold; times are nanoseconds since 1970.
#[derive(Clone, Default)]
pub struct Filter {
    pub namespace: Option<String>,
    pub pod: Option<String>,
    pub container: Option<String>,
    pub labels: Option<LabelTest>,
    /// At this time or later.
    pub since_ns: Option<i64>,
    /// Before this time.
    pub until_ns: Option<i64>,
    /// Names of causes; any where empty.
    pub causes: Vec<String>,
    /// With the ends that were no crash (cause `none`). Naming that cause in `causes` does the same.
    pub all: bool,
    /// The newest of them.
    pub limit: Option<usize>,
}

/// Which events to read. Everything given must hold; times are nanoseconds since 1970.
#[derive(Clone, Default)]
pub struct EventFilter {
    pub namespace: Option<String>,
    pub pod: Option<String>,
    pub container: Option<String>,
    pub labels: Option<LabelTest>,
    /// Beginning of a container id.
    pub container_id: Option<String>,
    pub since_ns: Option<i64>,
    pub until_ns: Option<i64>,
    /// Kinds of docs/events.md; any where empty.
    pub kinds: Vec<String>,
    /// Only rows after this one: where a follower goes on.
    pub after_row: i64,
}

/// Names one crash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selector {
    /// A crash id, or at least its first 6 digits. One that nothing has is tried as a pod's name.
    Id(String),
    /// The newest end of a container of this pod, or the one `previous` ends before it. A name that no pod has
    /// is tried as the beginning of one, up to a dash: a Deployment's, a StatefulSet's.
    Pod { name: String, namespace: Option<String>, container: Option<String>, previous: usize },
}

impl Selector {
    /// Fewer digits do not name a crash.
    pub const ID_MIN: usize = 6;

    /// What a person typed: an id if it can be one and nothing else narrows it.
    pub fn parse(
        name: &str,
        namespace: Option<String>,
        container: Option<String>,
        previous: usize,
    ) -> Self {
        let can_be_id = name.len() >= Self::ID_MIN && name.bytes().all(|b| b.is_ascii_hexdigit());
        if can_be_id && namespace.is_none() && container.is_none() && previous == 0 {
            return Self::Id(name.to_owned());
        }
        Self::Pod { name: name.to_owned(), namespace, container, previous }
    }
}

//! What the node wants done, and what it wants to know. It must not know how either is done.

use std::{sync::Arc, time::Duration};

use tracer_ebpf::abi::state::LostKey;

use super::{container::Attribution, report::Report};
use crate::{
    capture::event::{BootNs, LostKind, Words},
    contract::Entry,
    node::store::{End, Life, LifeKey},
};

/// Something that is to be done, in the order in which actions come.
#[derive(Debug)]
pub enum Action {
    /// Somebody outside must be asked; the answer is an input.
    Ask(Question),
    /// An event of a selected container is reported: to stdout, the store and followers.
    Event { life: Arc<LifeKey>, owner: Arc<Attribution>, kind: &'static str, entry: Box<Entry> },
    /// The store learns what is known of a life by now.
    Life(Box<Life>),
    /// The store forgets a life that nobody wants to know of.
    ForgetLife(Arc<LifeKey>),
    /// A crash, an incident, an end that is none, or what became of one of them.
    Report { life: Arc<LifeKey>, owner: Arc<Attribution>, report: Box<Report> },
    /// The store learns how a life ended.
    End { life: Arc<LifeKey>, end: End },
    /// The kernel side no longer tracks a cgroup.
    LetGo(u64),
    /// What the kernel side counts of a cgroup that is gone.
    ForgetLosses(Vec<LostKey>),
    /// What is held of a life for its facts.
    ForgetFacts(u64),
    /// Something is counted, logged, or both.
    Note(Note),
}

/// Something that only the outside can answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    /// Who is it?
    Who { cgroup: u64, container_id: String, pod_uid: Option<String> },
    /// The same, once it was not answered in time.
    WhoLate { cgroup: u64, container_id: String, pod_uid: Option<String> },
    /// The recorder does not know all of its end: what does the runtime say of it?
    End { cgroup: u64, container_id: String, patience: Duration },
}

/// What the runtime says of an end.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Explained {
    pub message: Option<String>,
    /// Last words, one for each stream that was written to.
    pub words: Vec<Words>,
}

/// What happened to the agent's knowledge, for metrics and log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// A selected container was recognised.
    LifeBegun,
    /// The end of a life was judged for the first time.
    LifeJudged { cause: &'static str, end_ns: BootNs, is_recorded: bool },
    /// A process was killed while its container lived on.
    IncidentJudged { cause: &'static str },
    /// An end is reported once more, since more is known of its pod.
    Revised { id: String, cause: &'static str },
    /// What was reported of a death is taken back.
    Withdrawn { id: String, why: &'static str },
    /// What a pod does cannot be seen from this kernel.
    Unobservable { pod: String, why: String },
    /// The kernel side had no room for records.
    Lost { of: LostKind, count: u64 },
    /// The kernel side lost records and had no room to say whose.
    Uncounted { count: u64 },
    /// Events of containers whose beginning was not recorded are given up.
    Strays { count: u64 },
    /// The Kubernetes API listed the node's pods; `is_news` after a time without its word.
    PodsListed { pods: usize, is_news: bool },
    /// The Kubernetes API failed; `is_news` if it answered before.
    PodsUnlisted { error: String, is_news: bool },
}

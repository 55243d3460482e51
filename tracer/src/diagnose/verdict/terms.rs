//! On what terms a life ran, as whoever runs it says: whether it may end, whether its end was asked for, which probes ask
//! it. Plain data. It must not know who said so.

use crate::{capture::event::BootNs, linux::text::Text};

/// The default is that of a life of which nobody says anything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    pub policy: Policy,
    /// Its end was wanted.
    pub wanted: Option<Wanted>,
    /// The node ended it for reasons of its own.
    pub removal: Option<Removal>,
    pub liveness: Option<Probe>,
    pub startup: Option<Probe>,
    /// Its startup probe is known to have succeeded.
    pub started: bool,
}

impl From<Policy> for Terms {
    fn from(policy: Policy) -> Self {
        Self { policy, ..Self::default() }
    }
}

/// Whether an end with status 0 is a crash.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Policy {
    /// It should run for ever: every end is one.
    #[default]
    Always,
    /// Only a signal or a non-zero status is one.
    OnFailure,
    /// As `OnFailure`: a life that is not started again may end with 0.
    Never,
}

/// From when on an end was wanted, as far as clocks agree, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    pub since_ns: BootNs,
    pub why: WantedWhy,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WantedWhy {
    /// Its pod was deleted: by somebody, by scaling, by draining the node.
    Deleted,
    /// Those that it helps had all finished.
    Finished,
}

impl WantedWhy {
    /// As details name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Deleted => "pod_deleted",
            Self::Finished => "pod_finished",
        }
    }

    /// As a sentence.
    pub fn text(self) -> &'static str {
        match self {
            Self::Deleted => "its pod was deleted",
            Self::Finished => "the other containers of its pod had finished",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Removal {
    pub why: RemovalWhy,
    /// When it was first heard of; `None` where it was so already.
    pub seen_ns: Option<BootNs>,
    /// What the node says of it.
    pub message: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RemovalWhy {
    Evicted,
    NodeShutdown,
    DeadlineExceeded,
}

/// A question by which it is found out whether a life works.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    pub asks: Asks,
    pub initial_delay_seconds: u32,
    pub period_seconds: u32,
    pub failure_threshold: u32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asks {
    /// The port is open.
    Tcp(Port),
    Http {
        port: Port,
        path: String,
        tls: bool,
    },
    Grpc(Port),
    /// A command in the container ends with 0.
    Command(Vec<Text>),
    /// In a way that is not known here.
    Unknown,
}

/// Where a probe asks over TCP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    /// `None` where it is given by a name that the container does not define.
    pub number: Option<u16>,
    /// Another host than the pod.
    pub host: Option<String>,
}

impl Probe {
    /// No life can fail it for good before it is so old.
    pub fn earliest_ns(&self) -> u64 {
        let repeats = u64::from(self.failure_threshold.saturating_sub(1));
        let seconds = repeats.saturating_mul(u64::from(self.period_seconds));
        seconds.saturating_add(self.initial_delay_seconds.into()).saturating_mul(1_000_000_000)
    }
}

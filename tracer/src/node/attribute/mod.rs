//! Attribution: whose a cgroup is, by its path and by the container runtime, and whether anybody asked for it.
//! It must not know events, the kernel or the store.

mod attributor;
pub mod cgroup_path;
pub mod cri;
pub mod cri_messages;
mod describe;
#[cfg(test)]
mod fake_runtime;
mod metrics;
pub mod roots;
pub mod selection;

pub use attributor::{Answer, Attributor, Patience, Unanswered};
pub use metrics::{AnswerLabel, AnswerLabels, Metrics};

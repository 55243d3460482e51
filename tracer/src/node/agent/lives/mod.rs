//! What the agent knows of its node, and what follows from each input: events, answers, what the Kubernetes API says, time.
//! What is to be done comes out as actions. Pure: it knows no kernel, clock, runtime or task; what must be looked up at
//! once is asked of a [`Gather`].

mod action;
mod answers;
mod arming;
mod begin;
mod cluster;
mod container;
mod ending;
mod ends;
mod events;
mod gather;
mod history;
mod inits;
mod loops;
mod losses;
mod missed;
mod pod_changes;
mod pods;
mod report;
mod resume;
mod state;
#[cfg(test)]
mod stories;
mod terms;

pub use action::{Action, Explained, Note, Question};
pub use arming::Arming;
pub use container::Attribution;
pub use gather::Gather;
pub use report::Report;
pub use state::{Node, Parts};

//! What the agent knows of its node: containers, pods, crash loops, losses. Pure: events, answers and time are passed in.

pub mod arming;
pub mod container;
pub mod ending;
mod history;
pub mod loops;
pub mod losses;
pub mod pods;
pub mod report;
pub mod terms;

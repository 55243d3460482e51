//! The chores of this repository, and what they work with, which `bench` uses too. It knows nothing about command lines.

pub mod chores;
pub mod means;

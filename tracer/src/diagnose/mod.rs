//! From events to a cause: a timeline, the facts around it, the verdict.

pub mod facts;
pub mod timeline;
pub mod verdict;

//! How surely words name what they are held against.

/// How surely words name a failed call; greater is surer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::diagnose::verdict) enum Naming {
    /// The object, without a complaint of it.
    Mention,
    /// Only the error's text or name.
    Error,
    /// The object, in a line that complains of it.
    Object,
    /// Object and error.
    Both,
}

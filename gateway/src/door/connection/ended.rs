//! How a connection ended, for the log and the metrics.

use std::{fmt, io};

use crate::session::Close;

/// How a connection ended.
#[derive(Debug)]
pub enum Ended {
    /// One of both sides ended it.
    Closed(Close),
    /// The client is gone.
    Lost(io::Error),
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed(close) => close.fmt(f),
            Self::Lost(error) => error.fmt(f),
        }
    }
}

impl Ended {
    /// The label `reason` in the metrics.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Closed(close) => close.reason(),
            Self::Lost(_) => "lost",
        }
    }
}

//! What servers say, whatever their protocol, and what all clients speak of. It is pure, and knows no protocol.

use anyhow::Result;

/// What a server said.
#[derive(Debug, PartialEq, Eq)]
pub enum Heard<'a> {
    /// The answer to `Wire::open`, `Wire::subscribe`, `Wire::serve` or `Wire::flush`.
    Ready,
    /// It wants these bytes back to know that we are there.
    Asks(Vec<u8>),
    /// A message, a call or a reply.
    Message(Message<'a>),
    /// Nothing that matters.
    Nothing,
}

#[derive(Debug, PartialEq, Eq)]
pub struct Message<'a> {
    /// Where an answer to a call goes; empty for others.
    pub reply_to: &'a [u8],
    pub body: &'a [u8],
}

/// What was said, and how many bytes it took; `None` until more have come.
pub type Parsed<'a> = Result<Option<(Heard<'a>, usize)>>;

/// Where everything is published.
pub const TOPIC: &str = "bench.load";
/// What is called.
pub const PROCEDURE: &str = "bench.echo";

//! One client's connection, whatever carries it: reads its frames, hands them to its realm, writes what is queued for it.
//! It knows no transport.

use std::{sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    time::{Instant, timeout, timeout_at},
};

use crate::{
    frame::{Frame, Frames},
    hub::{Hub, Identity, Member},
    message::{Connect, Message, decode, encode},
    outbox::Outbox,
    session::Close,
};

/// How a connection is kept.
#[derive(Clone, Copy, Debug)]
pub struct Keep {
    /// The longest payload of a frame.
    pub most_payload_bytes: u32,
    /// For the connect to come.
    pub connect_within: Duration,
    /// Without any frame for so long it ends.
    pub idle: Duration,
    /// For the last frames to be written.
    pub last_words: Duration,
}

impl Default for Keep {
    fn default() -> Self {
        Self {
            most_payload_bytes: 1 << 20,
            connect_within: Duration::from_secs(10),
            idle: Duration::from_secs(30),
            last_words: Duration::from_secs(1),
        }
    }
}

/// Read at once, and written at once.
const CHUNK: usize = 64 << 10;

/// Serves a client until it ends; returns why. The last frame that it is sent is a DISCONNECT, but for one that said goodbye.
pub async fn serve<R, W>(
    reader: R,
    mut writer: W,
    identity: Option<&Identity>,
    hub: &Hub,
    keep: Keep,
) -> Ended
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let mut input = Input { reader, frames: Frames::new(keep.most_payload_bytes) };
    let member = match admit(&mut input, identity, hub, keep).await {
        Ok(member) => member,
        Err(ended) => {
            if let Ended::Closed(close) = &ended {
                let last = encode(&Message::Disconnect(close.disconnect()));
                let _ = timeout(keep.last_words, write_last(&mut writer, &last)).await;
            }
            return ended;
        }
    };
    let outbox = member.outbox.clone();
    let ended = tokio::select! {
        ended = read(&mut input, &member, hub, keep) => ended,
        ended = write(&mut writer, &outbox) => ended,
    };
    if let Ended::Closed(close) = &ended {
        outbox.close(close.clone());
        let last_words = async {
            if let Ended::Closed(_) = write(&mut writer, &outbox).await
                && !matches!(close, Close::ByClient(_))
            {
                let last = encode(&Message::Disconnect(close.disconnect()));
                let _ = write_last(&mut writer, &last).await;
            }
        };
        // Who does not read is not waited for.
        let _ = timeout(keep.last_words, last_words).await;
    }
    member.leave(hub);
    ended
}

/// How a connection ended.
#[derive(Debug)]
pub enum Ended {
    /// As one of both wanted.
    Closed(Close),
    /// The client's side went away.
    Lost(std::io::Error),
}

impl Ended {
    /// The label in the metrics.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Closed(close) => close.reason(),
            Self::Lost(_) => "lost",
        }
    }
}

struct Input<R> {
    reader: R,
    frames: Frames,
}

impl<R: AsyncRead + Unpin> Input<R> {
    /// Reads what is there; an end of the stream is an error.
    async fn fill(&mut self) -> std::io::Result<usize> {
        let buffer = self.frames.buffer();
        buffer.reserve(CHUNK);
        match self.reader.read_buf(buffer).await? {
            0 => Err(std::io::ErrorKind::UnexpectedEof.into()),
            bytes => Ok(bytes),
        }
    }
}

async fn admit<R: AsyncRead + Unpin>(
    input: &mut Input<R>,
    identity: Option<&Identity>,
    hub: &Hub,
    keep: Keep,
) -> Result<Member, Ended> {
    let until = Instant::now() + keep.connect_within;
    let frame = loop {
        if let Some(frame) = input.frames.take().map_err(|error| Ended::Closed(error.into()))? {
            break frame;
        }
        match timeout_at(until, input.fill()).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => return Err(Ended::Lost(error)),
            Err(_) => return Err(Ended::Closed(Close::Idle(keep.connect_within.as_secs()))),
        }
    };
    let connect: Connect = match message(&frame).map_err(Ended::Closed)? {
        Message::Connect(connect) => connect,
        _ => return Err(Ended::Closed(Close::NotConnected)),
    };
    hub.admit(&connect, identity).map_err(Ended::Closed)
}

fn message(frame: &Frame) -> Result<Message, Close> {
    decode(frame).map_err(|error| Close::Message { kind: frame.kind.name(), error })
}

/// All whole frames that are there. What came before one that is wrong is in `messages` too.
fn decode_all(frames: &mut Frames, messages: &mut Vec<Message>) -> Result<(), Close> {
    while let Some(frame) = frames.take()? {
        messages.push(message(&frame)?);
    }
    Ok(())
}

async fn read<R: AsyncRead + Unpin>(
    input: &mut Input<R>,
    member: &Member,
    hub: &Hub,
    keep: Keep,
) -> Ended {
    let metrics = &member.realm().metrics;
    let mut above: Vec<Arc<Outbox>> = Vec::new();
    let mut messages = Vec::new();
    loop {
        let decoded = decode_all(&mut input.frames, &mut messages);
        metrics.messages.inc_by(u64::try_from(messages.len()).unwrap_or_default());
        if let Err(close) = member.take(messages.drain(..), hub, &mut above).and(decoded) {
            return Ended::Closed(close);
        }
        for outbox in above.drain(..) {
            outbox.drained().await;
        }
        match timeout(keep.idle, input.fill()).await {
            Ok(Ok(bytes)) => metrics.bytes.inc_by(u64::try_from(bytes).unwrap_or_default()),
            Ok(Err(error)) => return Ended::Lost(error),
            Err(_) => return Ended::Closed(Close::Idle(keep.idle.as_secs())),
        };
    }
}

/// Writes what is queued until the connection is to end.
async fn write<W: AsyncWrite + Unpin>(writer: &mut W, outbox: &Outbox) -> Ended {
    let mut frames: Vec<Bytes> = Vec::new();
    let mut chunk = BytesMut::with_capacity(CHUNK);
    loop {
        if let Some(close) = outbox.take(&mut frames, CHUNK).await {
            return Ended::Closed(close);
        }
        if let Err(error) = write_all(writer, &mut frames, &mut chunk).await {
            return Ended::Lost(error);
        }
    }
}

/// Many small frames make one write, large ones are not copied.
async fn write_all<W: AsyncWrite + Unpin>(
    writer: &mut W,
    frames: &mut Vec<Bytes>,
    chunk: &mut BytesMut,
) -> std::io::Result<()> {
    for frame in frames.drain(..) {
        if chunk.len() + frame.len() > CHUNK && !chunk.is_empty() {
            writer.write_all(chunk).await?;
            chunk.clear();
        }
        if frame.len() >= CHUNK / 2 {
            writer.write_all(&frame).await?;
        } else {
            chunk.extend_from_slice(&frame);
        }
    }
    if !chunk.is_empty() {
        writer.write_all(chunk).await?;
        chunk.clear();
    }
    writer.flush().await
}

async fn write_last<W: AsyncWrite + Unpin>(writer: &mut W, frame: &[u8]) -> std::io::Result<()> {
    writer.write_all(frame).await?;
    writer.shutdown().await
}

#[cfg(test)]
#[path = "connection_tests.rs"]
mod tests;

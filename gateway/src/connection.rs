//! One client's connection, whatever carries it: reads its frames, hands them to its realm, writes what is queued for it.
//! It knows no transport.

use std::{fmt, future::poll_fn, io, sync::Arc, task::Poll, time::Duration};

use bytes::{Bytes, BytesMut};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    task::yield_now,
    time::{Instant, sleep, timeout, timeout_at},
};

use crate::{
    flood::Allowance,
    frame::{self, Frame, Frames},
    hub::{Hub, Identity, Member, calendar_ms},
    message::{Connect, Incoming, Message, Ping, encode, incoming},
    metrics::RealmMetrics,
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
    /// Without any frame for so long it ends; `None` where the transport itself notices that nobody is there. A third of
    /// it before each end the client is asked with a PING.
    pub idle: Option<Duration>,
    /// For the last frames to be written.
    pub last_words: Duration,
    /// Units of its allowance that a client may use a second.
    pub control_per_second: u32,
}

impl Default for Keep {
    fn default() -> Self {
        Self {
            most_payload_bytes: 1 << 20,
            connect_within: Duration::from_secs(10),
            idle: Some(Duration::from_secs(30)),
            last_words: Duration::from_secs(1),
            control_per_second: 10_000,
        }
    }
}

/// Read at once while much comes.
const CHUNK: usize = 64 << 10;
/// Room for reading while a client says little.
const LITTLE: usize = 1 << 10;
/// How many pings remain without an answer before an idle connection ends.
const PINGS: u32 = 2;

/// Serves a client until it ends; returns why. The last frame that it is sent is a DISCONNECT, but for one that said goodbye
/// or ended its stream.
pub async fn serve<R, W>(
    reader: R,
    writer: W,
    identity: Option<&Identity>,
    hub: &Hub,
    keep: Keep,
) -> Ended
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let mut input = Input { reader, frames: Frames::new(keep.most_payload_bytes), room: LITTLE };
    let member = match admit(&mut input, identity, hub, keep).await {
        Ok(member) => member,
        Err(Ended::Closed(close)) if close != Close::Ended => {
            return refuse(writer, close, keep).await;
        }
        Err(ended) => return ended,
    };
    let outbox = member.outbox.clone();
    let mut output = Output::new(writer, Some(&member.realm().metrics));
    let ended = tokio::select! {
        ended = read(&mut input, &member, hub, keep) => ended,
        ended = output.write(&outbox) => ended,
        // Who does not read is not waited for.
        close = async {
            let close = outbox.closed().await;
            sleep(keep.last_words).await;
            close
        } => Ended::Closed(close),
    };
    if let Ended::Closed(close) = &ended {
        outbox.close(close.clone());
        let last_words = async {
            if let Ended::Closed(_) = output.write(&outbox).await
                && !matches!(close, Close::ByClient(_) | Close::Ended)
            {
                let _ = output.end(&encode(&Message::Disconnect(close.disconnect()))).await;
            }
        };
        let _ = timeout(keep.last_words, last_words).await;
    }
    member.leave(hub);
    ended
}

/// Tells a client that is not served why.
pub async fn refuse<W: AsyncWrite + Unpin>(writer: W, close: Close, keep: Keep) -> Ended {
    let last = encode(&Message::Disconnect(close.disconnect()));
    let mut output = Output::new(writer, None);
    let _ = timeout(keep.last_words, output.end(&last)).await;
    Ended::Closed(close)
}

/// How a connection ended.
#[derive(Debug)]
pub enum Ended {
    /// As one of both wanted.
    Closed(Close),
    /// The client's side went away.
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
    /// What is read at once: more while much comes, so that an idle client holds little.
    room: usize,
}

impl<R: AsyncRead + Unpin> Input<R> {
    /// Reads what is there.
    async fn fill(&mut self) -> Result<usize, Ended> {
        let buffer = self.frames.buffer();
        buffer.reserve(self.room);
        if buffer.is_empty() && buffer.capacity() > 2 * CHUNK {
            // A long frame was here: who is silent from now on does not keep its memory.
            *buffer = BytesMut::with_capacity(self.room);
        }
        match self.reader.read_buf(buffer).await {
            Ok(0) if self.frames.is_amid_frame() => {
                Err(Ended::Lost(io::ErrorKind::UnexpectedEof.into()))
            }
            Ok(0) => Err(Ended::Closed(Close::Ended)),
            Ok(bytes) => {
                self.room = if bytes >= self.room { CHUNK } else { LITTLE.max(self.room / 2) };
                Ok(bytes)
            }
            Err(error) => Err(Ended::Lost(error)),
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
    let mut bytes = 0;
    let frame = loop {
        if let Some(frame) = input.frames.take().map_err(|error| Ended::Closed(error.into()))? {
            break frame;
        }
        match timeout_at(until, input.fill()).await {
            Ok(Ok(more)) => bytes += more,
            Ok(Err(ended)) => return Err(ended),
            Err(_) => return Err(Ended::Closed(Close::Idle(keep.connect_within.as_secs()))),
        }
    };
    let connect: Connect = match message(&frame).map_err(Ended::Closed)? {
        Incoming::Message(Message::Connect(connect)) => connect,
        _ => return Err(Ended::Closed(Close::NotConnected)),
    };
    let member = hub.admit(&connect, identity).map_err(Ended::Closed)?;
    member.realm().metrics.received(1, bytes);
    Ok(member)
}

fn message(frame: &Frame) -> Result<Incoming, Close> {
    incoming(frame).map_err(|error| Close::Message { kind: frame.kind.name(), error })
}

/// All whole frames that are there. What came before one that is wrong is in `messages` too.
fn decode_all(frames: &mut Frames, messages: &mut Vec<Incoming>) -> Result<(), Close> {
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
    let mut messages = Vec::new();
    let mut pace =
        Pace { allowance: Allowance::new(keep.control_per_second), began: Instant::now() };
    loop {
        let decoded = decode_all(&mut input.frames, &mut messages);
        metrics.received(messages.len(), 0);
        let taken = take_all(&mut messages.drain(..), member, hub, &mut pace).await;
        if let Err(close) = taken.and(decoded) {
            return Ended::Closed(close);
        }
        match fill_in_time(input, member, keep).await {
            Ok(bytes) => metrics.received(0, bytes),
            Err(ended) => return ended,
        };
    }
}

/// What was read, in its order; slowed where others cannot follow and where the client asks for too much.
async fn take_all(
    messages: &mut impl Iterator<Item = Incoming>,
    member: &Member,
    hub: &Hub,
    pace: &mut Pace,
) -> Result<(), Close> {
    let mut above = Vec::new();
    loop {
        let used = member.take(messages, hub, &mut above)?;
        drained(&mut above).await;
        if used == 0 {
            return Ok(());
        }
        pace.keep(used, hub).await;
        while let Some(used) = member.hand_over(hub, &mut above) {
            drained(&mut above).await;
            pace.keep(used, hub).await;
            yield_now().await;
        }
    }
}

/// Waits for all of them at once: many that do not read cost no more than one.
async fn drained(above: &mut Vec<Arc<Outbox>>) {
    let each = |outbox: Arc<Outbox>| Box::pin(async move { outbox.drained().await });
    let mut waits: Vec<_> = above.drain(..).map(each).collect();
    poll_fn(|context| {
        waits.retain_mut(|wait| wait.as_mut().poll(context).is_pending());
        if waits.is_empty() { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

struct Pace {
    allowance: Allowance,
    began: Instant,
}

impl Pace {
    async fn keep(&mut self, used: u32, hub: &Hub) {
        let wait = self.allowance.spend(used, self.began.elapsed());
        if !wait.is_zero() {
            hub.metrics.slowed.inc();
            sleep(wait).await;
        }
    }
}

async fn fill_in_time<R: AsyncRead + Unpin>(
    input: &mut Input<R>,
    member: &Member,
    keep: Keep,
) -> Result<usize, Ended> {
    let Some(idle) = keep.idle else { return input.fill().await };
    for pings in 0..=PINGS {
        match timeout(idle / (PINGS + 1), input.fill()).await {
            Ok(filled) => return filled,
            Err(_) if pings < PINGS => {
                member.outbox.send(encode(&Message::Ping(Ping { timestamp: calendar_ms() })));
            }
            Err(_) => {}
        }
    }
    Err(Ended::Closed(Close::Idle(idle.as_secs())))
}

/// The stream to the client, with what was taken from its outbox and is not written yet: a write that is given up goes on
/// at the same byte, since a frame that was cut would make all after it unreadable.
struct Output<'a, W> {
    writer: W,
    /// Where what was written is counted; nowhere for a client of no realm.
    metrics: Option<&'a RealmMetrics>,
    /// Whole frames.
    taken: Bytes,
    /// Frames and bytes of it, to be counted once they are written.
    unwritten: (usize, usize),
}

impl<'a, W: AsyncWrite + Unpin> Output<'a, W> {
    fn new(writer: W, metrics: Option<&'a RealmMetrics>) -> Self {
        Self { writer, metrics, taken: Bytes::new(), unwritten: (0, 0) }
    }

    /// Writes what is queued until the connection is to end.
    async fn write(&mut self, outbox: &Outbox) -> Ended {
        loop {
            if let Err(error) = self.flush().await {
                return Ended::Lost(error);
            }
            match outbox.take().await {
                Ok(frames) => {
                    self.unwritten = (frame::each(&frames).count(), frames.len());
                    self.taken = frames;
                }
                Err(close) => return Ended::Closed(close),
            }
        }
    }

    async fn end(&mut self, last: &[u8]) -> io::Result<()> {
        self.flush().await?;
        self.writer.write_all(last).await?;
        self.count(1, last.len());
        self.writer.shutdown().await
    }

    async fn flush(&mut self) -> io::Result<()> {
        while !self.taken.is_empty() {
            written(self.writer.write_buf(&mut self.taken).await?)?;
        }
        let (messages, bytes) = std::mem::take(&mut self.unwritten);
        self.count(messages, bytes);
        self.writer.flush().await
    }

    fn count(&self, messages: usize, bytes: usize) {
        if let Some(metrics) = self.metrics {
            metrics.sent(messages, bytes);
        }
    }
}

fn written(bytes: usize) -> io::Result<()> {
    if bytes == 0 { Err(io::ErrorKind::WriteZero.into()) } else { Ok(()) }
}

#[cfg(test)]
#[path = "connection_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "connection_slow_tests.rs"]
mod slow_tests;

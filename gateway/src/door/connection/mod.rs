//! One client's connection, over any byte stream: reads frames, hands their messages to the client's realm, and writes what
//! the outbox holds. The transport is not known here.

mod ended;
mod input;
mod output;

use std::{fmt, future::poll_fn, net::Ipv4Addr, sync::Arc, task::Poll, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    task::yield_now,
    time::{Instant, sleep, timeout, timeout_at},
};

pub use ended::Ended;

use self::{input::Input, output::Output};
use crate::{
    budget::{Account, Budget},
    door::flood::Allowance,
    hub::{Hub, Identity, Member, calendar_ms},
    outbox::Outbox,
    session::Close,
    wire::{
        frame::{Frames, Kind},
        id::FreshIds,
        message::{Connect, Incoming, Message, Ping, decode, encode, incoming},
    },
};

/// The limits and times of one connection.
#[derive(Clone, Copy, Debug)]
pub struct ConnectionLimits {
    /// The longest payload of a frame.
    pub most_payload_bytes: u32,
    /// Over TCP, the time for the client to begin its handshake.
    pub hello_within: Duration,
    /// The time for the client's CONNECT to come.
    pub connect_within: Duration,
    /// The connection ends after this time without a frame; `None` where the transport itself notices that the client is
    /// gone. The gateway sends a PING after each third of it.
    pub idle: Option<Duration>,
    /// The time for the last frames to be written.
    pub last_words: Duration,
    /// How many units of its allowance a client may use in a second.
    pub control_per_second: u32,
    /// How long the gateway holds the connection of a client that it refused: upstream's clients connect again a second
    /// after the end of their stream, for ever.
    pub hold_refused: Duration,
    /// How many refused connections the gateway holds at once; others end at once.
    pub most_held: usize,
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        Self {
            most_payload_bytes: 1 << 20,
            hello_within: Duration::from_secs(5),
            connect_within: Duration::from_secs(10),
            idle: Some(Duration::from_secs(30)),
            last_words: Duration::from_secs(1),
            control_per_second: 10_000,
            hold_refused: Duration::from_secs(5),
            most_held: 256,
        }
    }
}

/// How many pings a client may leave without an answer before its idle connection ends.
const PINGS: u32 = 2;
/// How many messages are decoded before they are handled: the shortest frames would be ten times as large decoded.
const BATCH: usize = 512;
/// A refused client that sends more than this is not held any longer.
const MOST_OF_REFUSED: usize = 4 << 10;

/// Who comes, before it has said a word.
#[derive(Clone, Debug)]
pub struct Guest {
    /// The node and realm that its certificate proves.
    pub identity: Option<Identity>,
    pub account: Arc<Account>,
    pub admitted: Admitted,
}

/// What is done once a client is admitted to its realm.
#[derive(Clone)]
pub struct Admitted(Arc<dyn Fn() + Send + Sync>);

impl Admitted {
    pub fn new(then: impl Fn() + Send + Sync + 'static) -> Self {
        Self(Arc::new(then))
    }
}

impl fmt::Debug for Admitted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Admitted")
    }
}

impl Guest {
    /// Somebody without a certificate on this machine.
    pub fn local(budget: &Arc<Budget>) -> Self {
        let account = budget.open(Ipv4Addr::LOCALHOST.into());
        Self { identity: None, account, admitted: Admitted::new(|| {}) }
    }
}

/// Serves a client until its connection ends, and returns why it ended. The last frame to the client is a DISCONNECT, unless
/// the client said goodbye or ended its stream.
pub async fn serve<R, W>(
    reader: R,
    writer: W,
    guest: &Guest,
    hub: &Hub,
    limits: ConnectionLimits,
) -> Ended
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let mut input = Input::new(reader, limits.most_payload_bytes, guest.account.clone());
    let admitted = tokio::select! {
        admitted = admit(&mut input, guest, hub, limits) => admitted,
        () = guest.account.evicted() => Err(Ended::Closed(Close::Memory)),
    };
    let member = match admitted {
        Ok(member) => member,
        Err(Ended::Closed(close)) if close != Close::Ended => {
            return Box::pin(turn_away(input, writer, close, hub, limits)).await;
        }
        Err(ended) => return ended,
    };
    let (outbox, realm) = (member.outbox.clone(), member.realm().clone());
    let mut output = Output::new(writer, Some(&realm.metrics));
    let ended = tokio::select! {
        ended = read(&mut input, &member, hub, limits) => ended,
        ended = output.write(&outbox) => ended,
        () = guest.account.evicted() => Ended::Closed(Close::Memory),
        // A client that does not read is not waited for.
        close = async {
            let close = outbox.closed().await;
            sleep(limits.last_words).await;
            close
        } => Ended::Closed(close),
    };
    // What it was sent or has yet to send is of no use any more, and others may wait for the memory.
    input.abandon();
    let mut member = Some(member);
    if let Ended::Closed(Close::Memory) = &ended {
        outbox.abandon();
        member.take().into_iter().for_each(Member::leave);
    }
    if let Ended::Closed(close) = &ended {
        outbox.close(close.clone());
        let last_words = async {
            if let Ended::Closed(_) = output.write(&outbox).await
                && !close.is_wish_of_client()
            {
                let _ = output.end(&encode(&Message::Disconnect(close.disconnect()))).await;
            }
        };
        let _ = timeout(limits.last_words, last_words).await;
    }
    member.into_iter().for_each(Member::leave);
    ended
}

/// Sends a refused client the reason. A client that would be refused again is held for a while, if there is room.
async fn turn_away<R, W>(
    mut input: Input<R>,
    writer: W,
    close: Close,
    hub: &Hub,
    limits: ConnectionLimits,
) -> Ended
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    input.abandon();
    let place = if close.would_recur() { hub.hold(limits.most_held) } else { None };
    if place.is_none() {
        return refuse(writer, close, limits).await;
    }
    let mut reader = input.reader;
    let mut output = Output::new(writer, None);
    let last = encode(&Message::Disconnect(close.disconnect()));
    if let Ok(Ok(())) = timeout(limits.last_words, output.say(&last)).await {
        tokio::select! {
            () = sleep(limits.hold_refused) => {}
            () = hub.stopping() => {}
            () = gone(&mut reader) => {}
        }
        let _ = timeout(limits.last_words, output.writer.shutdown()).await;
    }
    Ended::Closed(close)
}

/// Waits until a held client has gone, or sends more than a held client does.
async fn gone<R: AsyncRead + Unpin>(reader: &mut R) {
    let mut unread = vec![0; MOST_OF_REFUSED];
    let mut left = MOST_OF_REFUSED;
    while let Ok(bytes @ 1..) = reader.read(&mut unread).await
        && bytes < left
    {
        left -= bytes;
    }
}

/// Sends a client the reason why it is not served, and ends its stream.
pub async fn refuse<W: AsyncWrite + Unpin>(
    writer: W,
    close: Close,
    limits: ConnectionLimits,
) -> Ended {
    let last = encode(&Message::Disconnect(close.disconnect()));
    let mut output = Output::new(writer, None);
    let _ = timeout(limits.last_words, output.end(&last)).await;
    Ended::Closed(close)
}

async fn admit<R: AsyncRead + Unpin>(
    input: &mut Input<R>,
    guest: &Guest,
    hub: &Hub,
    limits: ConnectionLimits,
) -> Result<Member, Ended> {
    let until = Instant::now() + limits.connect_within;
    let mut bytes = 0;
    let frame = loop {
        if let Some(frame) =
            input.frames.next_frame().map_err(|error| Ended::Closed(error.into()))?
        {
            break frame;
        }
        let filled = tokio::select! {
            filled = timeout_at(until, input.fill()) => filled,
            () = hub.stopping() => return Err(Ended::Closed(Close::Draining)),
        };
        match filled {
            Ok(Ok(more)) => bytes += more,
            Ok(Err(ended)) => return Err(ended),
            Err(_) => return Err(Ended::Closed(Close::Idle(limits.connect_within.as_secs()))),
        }
    };
    let connect: Connect = match (frame.kind, decode(&frame)) {
        (_, Ok(Message::Connect(connect))) => connect,
        (Kind::Connect, Err(error)) => {
            return Err(Ended::Closed(Close::Message { kind: frame.kind.name(), error }));
        }
        (_, Ok(_) | Err(_)) => return Err(Ended::Closed(Close::NotConnected)),
    };
    let member =
        hub.admit(&connect, guest.identity.as_ref(), &guest.account).map_err(Ended::Closed)?;
    member.realm().metrics.received(1, bytes);
    input.admit();
    (guest.admitted.0)();
    Ok(member)
}

/// Decodes whole frames that have arrived, a batch of them; returns whether more may be there. `messages` gets those before a
/// bad frame too.
fn decode_frames(
    frames: &mut Frames,
    fresh: &mut FreshIds,
    messages: &mut Vec<Incoming>,
) -> Result<bool, Close> {
    while messages.len() < BATCH {
        let Some(frame) = frames.next_frame()? else { return Ok(false) };
        messages.push(incoming(&frame, fresh));
    }
    Ok(true)
}

async fn read<R: AsyncRead + Unpin>(
    input: &mut Input<R>,
    member: &Member,
    hub: &Hub,
    limits: ConnectionLimits,
) -> Ended {
    let metrics = &member.realm().metrics;
    let mut messages = Vec::new();
    let mut fresh = FreshIds::new(random());
    let mut pace =
        Pace { allowance: Allowance::new(limits.control_per_second), began: Instant::now() };
    loop {
        let decoded = decode_frames(&mut input.frames, &mut fresh, &mut messages);
        metrics.received(messages.len(), 0);
        let handled = handle_all(&mut messages.drain(..), member, hub, &mut pace).await;
        match handled.and(decoded) {
            Ok(true) => continue,
            // A client that is idle from now on holds none.
            Ok(false) => messages = Vec::new(),
            Err(close) => return Ended::Closed(close),
        }
        match fill_in_time(input, member, limits).await {
            Ok(bytes) => metrics.received(0, bytes),
            Err(ended) => return ended,
        };
    }
}

/// Handles messages in their order. Waits where receivers cannot follow, and where the client asks for too much.
async fn handle_all(
    messages: &mut impl Iterator<Item = Incoming>,
    member: &Member,
    hub: &Hub,
    pace: &mut Pace,
) -> Result<(), Close> {
    let mut above = Vec::new();
    loop {
        let used = member.handle(messages, &mut above)?;
        drained(&mut above).await;
        if used == 0 {
            return Ok(());
        }
        pace.wait(used, hub).await;
        while let Some(used) = member.hand_over(&mut above) {
            drained(&mut above).await;
            pace.wait(used, hub).await;
            yield_now().await;
        }
    }
}

/// Waits for all outboxes at once: many clients that do not read cost no more time than one.
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
    async fn wait(&mut self, used: u32, hub: &Hub) {
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
    limits: ConnectionLimits,
) -> Result<usize, Ended> {
    let Some(idle) = limits.idle else { return input.fill().await };
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

/// Random bytes of the system; zeros where it has none, which only makes the ids of two connections alike.
fn random() -> [u8; 8] {
    let mut bytes = [0; 8];
    let _ = rustls::crypto::ring::default_provider().secure_random.fill(&mut bytes);
    bytes
}

#[cfg(test)]
mod tests;

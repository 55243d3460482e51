//! The task that owns the connection: it reads, writes and pings, and makes a new connection when one is lost.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::{BufMut, BytesMut};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    sync::watch,
    time::{Instant, MissedTickBehavior, timeout},
};

use super::{
    Config, Error, Shared, Status,
    dial::{ByteStream, Dialer},
    serving::Serving,
};
use crate::wire::{
    frame::Frames,
    message::{
        CallError, Connect, DecodeError, Disconnect, Message, Ping, Pong, Publish, RealmId, STRICT,
        Term, decode, encode,
    },
};

/// The room for one read.
const CHUNK: usize = 64 << 10;
/// How much longer than it came a gateway may pass on a frame: it writes `bin` in the place of `str`, and sets the time of a
/// call.
const LONGER: u32 = 64;
/// The time for the gateway to say why it does not read.
const LAST_WORD: Duration = Duration::from_secs(1);
/// A connection that lasted this long was good: the next wait is the shortest again.
const GOOD: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(super) struct Runner {
    pub config: Config,
    pub dialer: Dialer,
    pub shared: Arc<Shared>,
    pub status: watch::Sender<Status>,
}

/// A connection on which the gateway has admitted the client.
pub(super) struct Welcomed {
    stream: ByteStream,
    frames: Frames,
}

impl Runner {
    /// Keeps a connection until the client is closed or ends for good.
    pub async fn run(self, first: Welcomed) {
        let mut serving = Serving::new(self.shared.clone(), self.config.most_handlers);
        let why = self.keep(first, &mut serving).await;
        self.shared.link.end(&why);
        self.shared.table.close();
        self.status.send_replace(Status::Closed(why));
    }

    async fn keep(&self, first: Welcomed, serving: &mut Serving) -> Error {
        let mut welcomed = first;
        let mut failures = 0;
        loop {
            let began = Instant::now();
            let why = self.talk(welcomed, serving).await;
            self.shared.link.end(&why);
            if why.is_final() {
                return why;
            }
            if began.elapsed() >= GOOD {
                failures = 0;
            }
            welcomed = match self.again(why, &mut failures).await {
                Ok(welcomed) => welcomed,
                Err(why) => return why,
            };
            self.shared.table.open(&self.shared.link);
            self.status.send_replace(Status::Connected);
        }
    }

    /// Connects, and sends the CONNECT.
    pub async fn connect(&self) -> Result<Welcomed, Error> {
        let connecting = async {
            let stream = self.dialer.dial().await?;
            self.greet(stream).await
        };
        let within = self.config.timing.connect_within;
        match timeout(within, connecting).await {
            Ok(done) => done,
            Err(_) => {
                let why = format!("no answer within {} seconds", within.as_secs_f64());
                Err(self.dialer.failed(why))
            }
        }
    }

    async fn greet(&self, mut stream: ByteStream) -> Result<Welcomed, Error> {
        let connect = Message::Connect(Connect {
            version: "1.0".to_owned(),
            node_id: self.config.node_id,
            realm_id: RealmId::Name(self.config.realm.to_string()),
            // The client's user wants to learn of a message that the gateway would pass over.
            capabilities: ["pubsub", "rpc", STRICT].map(str::to_owned).to_vec(),
            token: None,
        });
        let mut frames = Frames::new(self.config.most_payload_bytes.saturating_add(LONGER));
        let lost = |stream: &ByteStream, error: std::io::Error| {
            stream.last_word().unwrap_or_else(|| self.dialer.failed(stream.loss(error)))
        };
        let sent = async {
            stream.writer.write_all(&encode(&connect)).await?;
            stream.writer.flush().await
        };
        if let Err(error) = sent.await {
            return Err(lost(&stream, error));
        }
        loop {
            while let Some(next) = next(&mut frames)? {
                match next {
                    Ok(Message::Pong(_)) => return Ok(Welcomed { stream, frames }),
                    Ok(Message::Disconnect(said)) => return Err(goodbye(said)),
                    Ok(_) | Err(_) => self.pass_over(),
                }
            }
            if let Err(error) = fill(&mut stream.reader, &mut frames).await {
                return Err(lost(&stream, error));
            }
        }
    }

    /// Waits and connects, again and again until it succeeds or never would.
    async fn again(&self, why: Error, failures: &mut u32) -> Result<Welcomed, Error> {
        let mut why = why;
        loop {
            self.status.send_replace(Status::Reconnecting { failures: *failures, why });
            let wait = self.config.timing.wait(*failures, super::random_fraction());
            let attempt = async {
                tokio::time::sleep(wait).await;
                self.connect().await
            };
            let attempt = tokio::select! {
                attempt = attempt => attempt,
                () = self.shared.closing.notified() => return Err(Error::Closed),
            };
            *failures = failures.saturating_add(1);
            match attempt {
                Ok(welcomed) => return Ok(welcomed),
                Err(error) if error.is_final() => return Err(error),
                Err(error) => why = error,
            }
        }
    }

    /// Reads, writes and pings until the connection ends; returns why it ended.
    async fn talk(&self, welcomed: Welcomed, serving: &mut Serving) -> Error {
        let Welcomed { mut stream, mut frames } = welcomed;
        let heard = SignsOfLife { anything: AtomicBool::new(true), waits: AtomicBool::new(false) };
        let mut out = BytesMut::new();
        let ended = tokio::select! {
            ended = self.read(&mut stream.reader, &mut frames, serving, &heard) => ended,
            error = self.write(&mut stream.writer, &mut out) => Error::Lost(error.to_string()),
            ended = self.ping(&heard) => ended,
            () = self.shared.closing.notified() => Error::Closed,
        };
        match ended {
            Error::Closed => {
                self.leave(stream, out).await;
                Error::Closed
            }
            Error::Lost(why) => stream.last_word().unwrap_or_else(|| Error::Lost(stream.loss(why))),
            Error::Address { .. }
            | Error::File { .. }
            | Error::Tls(_)
            | Error::Connect { .. }
            | Error::Disconnected { .. }
            | Error::Topic(_)
            | Error::Procedure { .. }
            | Error::TooLong { .. }
            | Error::TooMany { .. } => ended,
        }
    }

    /// Writes what is left, beginning with an interrupted write, and says goodbye.
    async fn leave(&self, mut stream: ByteStream, mut out: BytesMut) {
        let said = async {
            write_all(&mut stream.writer, &mut out).await?;
            self.shared.link.try_next_output(&mut out);
            let goodbye = Disconnect { reason: "normal".to_owned(), message: String::new() };
            out.extend_from_slice(&encode(&Message::Disconnect(goodbye)));
            write_all(&mut stream.writer, &mut out).await
        };
        // A gateway that does not read is not waited for.
        if let Ok(Ok(())) = timeout(self.config.timing.connect_within, said).await {
            stream.close().await;
        }
    }

    async fn read(
        &self,
        reader: &mut (impl AsyncRead + Unpin),
        frames: &mut Frames,
        serving: &mut Serving,
        heard: &SignsOfLife,
    ) -> Error {
        let mut published = Vec::new();
        let mut full = Vec::new();
        loop {
            let ended = self.handle_frames(frames, serving, &mut published);
            self.shared.table.deliver(published.drain(..), &mut full);
            if let Err(error) = ended {
                return error;
            }
            for inbox in full.drain(..) {
                heard.waits.store(true, Ordering::Relaxed);
                inbox.room().await;
            }
            heard.waits.store(false, Ordering::Relaxed);
            if let Err(error) = fill(reader, frames).await {
                return Error::Lost(error.to_string());
            }
            heard.anything.store(true, Ordering::Relaxed);
        }
    }

    /// Handles the whole frames that have arrived, in their order; published messages are collected.
    fn handle_frames(
        &self,
        frames: &mut Frames,
        serving: &mut Serving,
        published: &mut Vec<Publish>,
    ) -> Result<(), Error> {
        let link = &self.shared.link;
        while let Some(message) = next(frames)? {
            let Ok(message) = message else {
                self.pass_over();
                continue;
            };
            match message {
                Message::Publish(publish) => published.push(publish),
                Message::Call(call) => serving.call(call),
                Message::Cast(cast) => serving.cast(cast),
                Message::Reply(reply) => {
                    link.answer_call(&reply.call_id, reply.outcome.and_then(without_error));
                }
                Message::Pong(_) => link.answer_ping(),
                Message::Ping(Ping { timestamp }) => {
                    let server_time = super::milliseconds();
                    link.push_now(&Message::Pong(Pong { timestamp, server_time }));
                }
                Message::Disconnect(said) => return Err(goodbye(said)),
                // No gateway sends these; types of later versions are no reason to leave.
                Message::Connect(_)
                | Message::Subscribe(_)
                | Message::Unsubscribe(_)
                | Message::RegisterProcedure(_)
                | Message::Unserved(_) => self.pass_over(),
            }
        }
        Ok(())
    }

    fn pass_over(&self) {
        self.shared.passed_over.fetch_add(1, Ordering::Relaxed);
    }

    /// Writes all frames that were queued together at once. What is not written yet stays in `out`.
    async fn write(
        &self,
        writer: &mut (impl AsyncWrite + Unpin),
        out: &mut BytesMut,
    ) -> std::io::Error {
        loop {
            self.shared.link.next_output(out).await;
            if let Err(error) = write_all(writer, out).await {
                // The reason why the gateway does not read any more may be on its way.
                tokio::time::sleep(LAST_WORD).await;
                return error;
            }
        }
    }

    /// Pings the gateway so that the connection is not idle, and notices when the gateway is gone.
    async fn ping(&self, heard: &SignsOfLife) -> Error {
        let every = self.config.timing.ping_every;
        let mut ticks = tokio::time::interval_at(Instant::now() + every, every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let waits = heard.waits.load(Ordering::Relaxed);
            if !heard.anything.swap(false, Ordering::Relaxed) && !waits {
                return Error::Lost(format!("nothing came in {} seconds", every.as_secs_f64()));
            }
            // It is enough that the answer comes. Where there is no room for the ping the next tick finds out whether it was
            // missed.
            let _ = timeout(every, self.shared.link.with_room(super::push_ping)).await;
        }
    }
}

/// Whether the gateway shows signs of life.
struct SignsOfLife {
    anything: AtomicBool,
    /// Nothing is read while a subscription is full.
    waits: AtomicBool,
}

/// Writes all of `out`. May be cancelled: what was written is no longer in `out`.
async fn write_all(
    writer: &mut (impl AsyncWrite + Unpin),
    out: &mut BytesMut,
) -> std::io::Result<()> {
    while !out.is_empty() {
        if writer.write_buf(out).await? == 0 {
            return Err(std::io::ErrorKind::WriteZero.into());
        }
    }
    writer.flush().await
}

fn goodbye(said: Disconnect) -> Error {
    Error::Disconnected { reason: said.reason, message: said.message }
}

/// The message of the next whole frame, if it can be read.
fn next(frames: &mut Frames) -> Result<Option<Result<Message, DecodeError>>, Error> {
    let wrong = |error| Error::Lost(format!("the gateway sent what cannot be read: {error}"));
    let frame = frames.next_frame().map_err(wrong)?;
    Ok(frame.map(|frame| decode(&frame)))
}

/// A result, or the error in it: upstream's relay reports so that nobody offers a procedure.
fn without_error(result: Term) -> Result<Term, CallError> {
    match result.error() {
        Some(error) => Err(error),
        None => Ok(result),
    }
}

async fn fill(reader: &mut (impl AsyncRead + Unpin), frames: &mut Frames) -> std::io::Result<()> {
    let buffer = frames.buffer();
    // Messages share the memory that they were read into: many small ones should share one.
    if buffer.capacity() - buffer.len() < CHUNK / 4 {
        buffer.reserve(CHUNK);
    }
    match reader.read_buf(&mut buffer.limit(CHUNK)).await? {
        0 => Err(std::io::ErrorKind::UnexpectedEof.into()),
        _ => Ok(()),
    }
}

//! A client of a gateway: publishes, subscribes, calls and offers procedures over one connection, and comes back when it
//! is lost. It knows no server.
//!
//! ```no_run
//! use std::time::Duration;
//! use gateway::client::{Client, Config, PublishOptions, SubscribeOptions, Trust};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let trust = Trust::Authority("ca.pem".into());
//! let client = Client::connect(Config::new("localhost:9443", "be.cortexiq.energy".parse()?, trust)).await?;
//!
//! let mut meters = client.subscribe(&"meters.*.power".parse()?, SubscribeOptions::default()).await?;
//! client.register("com.example.twice", |args| async move { Ok([&args[..], &args[..]].concat().into()) }).await?;
//!
//! let other = Client::connect(client.config().clone()).await?;
//! other.publish(&"meters.7.power".parse()?, "230", PublishOptions::default()).await?;
//! let twice = other.call("com.example.twice", "ab", Duration::from_secs(5)).await?;
//! assert_eq!(twice, "abab");
//!
//! let message = meters.next().await.ok_or("closed")?;
//! println!("{} {:?}", message.topic, message.payload);
//! # Ok(())
//! # }
//! ```
//!
//! What is promised: messages of one publisher come in their order, each at most once; what was on its way when a
//! connection was lost may be missing. A call has exactly one outcome. `publish`, `call` and `cast` fail at once while there
//! is no connection; wait for [`Client::connected`] to try again.

pub mod cli;
mod config;
mod dial;
mod error;
mod inbox;
mod link;
mod run;
mod serving;
mod status;
mod subscription;
mod table;
mod trust;

use std::{
    slice,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use tokio::{
    sync::{Notify, oneshot, watch},
    task::JoinHandle,
    time::timeout,
};

pub use crate::message::{CallError, Publish, Qos};
pub use config::{ClientCertificate, Config, Timing, Transport, Trust};
pub use error::Error;
pub use inbox::{SubscribeOptions, WhenFull};
pub use status::{Losses, Status};
pub use subscription::Subscription;

use self::{
    dial::Dialer,
    link::{Link, State},
    run::Runner,
    table::{Handler, Table},
};
use crate::{
    id::{CallId, MessageId},
    message::{Call, Cast, Message, Ping, Procedure},
    topic::{self, Pattern, Topic},
};

/// A connection to a gateway that is kept. Clones share it; it ends with the last of them, or by [`Client::close`].
#[derive(Clone, Debug)]
pub struct Client {
    handle: Arc<Handle>,
}

#[derive(Debug)]
struct Handle {
    config: Config,
    shared: Arc<Shared>,
    status: watch::Receiver<Status>,
    task: JoinHandle<()>,
}

/// What handles, subscriptions and the connection's task share.
#[derive(Debug)]
struct Shared {
    link: Link,
    table: Table,
    closing: Notify,
    casts_dropped: AtomicU64,
    /// Of one payload, arguments or result.
    most_bytes: usize,
}

/// How a message is published.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PublishOptions {
    /// Kept by the gateway for later subscribers; an empty payload forgets what was kept.
    pub retain: bool,
    /// Carried to the subscribers. Delivery is at most once whatever it is.
    pub qos: Qos,
}

impl Client {
    /// Connects once; from then on the connection is kept.
    ///
    /// # Errors
    /// The address, a file or a certificate is of no use, or the gateway does not answer or refuses the client.
    pub async fn connect(config: Config) -> Result<Self, Error> {
        let shared = Arc::new(Shared {
            link: Link::new(),
            table: Table::default(),
            closing: Notify::new(),
            casts_dropped: AtomicU64::new(0),
            most_bytes: most_bytes(config.most_payload_bytes),
        });
        let (sender, status) = watch::channel(Status::Connected);
        let runner = Runner {
            dialer: Dialer::new(&config)?,
            config: config.clone(),
            shared: shared.clone(),
            status: sender,
        };
        let first = runner.connect().await?;
        // The task tells the gateway nothing of this client before it has begun; nor should its user.
        shared.table.open(&shared.link);
        let task = tokio::spawn(runner.run(first));
        Ok(Self { handle: Arc::new(Handle { config, shared, status, task }) })
    }

    pub fn config(&self) -> &Config {
        &self.handle.config
    }

    /// Changes of the connection.
    pub fn status(&self) -> watch::Receiver<Status> {
        self.handle.status.clone()
    }

    /// Waits for a connection.
    ///
    /// # Errors
    /// There will be none, and why.
    pub async fn connected(&self) -> Result<(), Error> {
        let mut status = self.status();
        loop {
            match &*status.borrow_and_update() {
                Status::Connected => return Ok(()),
                Status::Closed(why) => return Err(why.clone()),
                Status::Reconnecting { .. } => {}
            }
            status.changed().await.map_err(|_| Error::Closed)?;
        }
    }

    /// Queues a message; waits while much is to be written. What is queued is lost where the last handle is dropped before
    /// [`Client::ping`] returned, which comes after all before it was processed, or [`Client::close`].
    ///
    /// # Errors
    /// There is no connection, or the payload is too long.
    pub async fn publish(
        &self,
        topic: &Topic,
        payload: impl Into<Bytes>,
        options: PublishOptions,
    ) -> Result<(), Error> {
        let payload = payload.into();
        self.check(payload.len())?;
        let PublishOptions { retain, qos } = options;
        self.handle
            .shared
            .link
            .with_room(|link| {
                let message_id = MessageId(link.next_id());
                let topic = topic.clone();
                link.push(&Message::Publish(Publish { topic, payload, qos, retain, message_id }));
                Ok(())
            })
            .await
    }

    /// Subscribes, and returns once the gateway has done so; without a connection it is told later. A second subscription
    /// to the same pattern gets no retained messages; one whose pattern overlaps may get those of the other too.
    ///
    /// # Errors
    /// It is not permitted, there are too many, or the client was closed.
    pub async fn subscribe(
        &self,
        pattern: &Pattern,
        options: SubscribeOptions,
    ) -> Result<Subscription, Error> {
        self.subscribe_all(slice::from_ref(pattern), options).await
    }

    /// Subscribes to several patterns at once: what matches more than one of them comes once.
    ///
    /// # Errors
    /// It is not permitted, there are too many, or the client was closed.
    pub async fn subscribe_all(
        &self,
        patterns: &[Pattern],
        options: SubscribeOptions,
    ) -> Result<Subscription, Error> {
        let shared = self.handle.shared.clone();
        let (id, inbox) = shared.table.subscribe(patterns, options, &shared.link)?;
        let subscription = Subscription { id, inbox, shared };
        self.settle().await?;
        Ok(subscription)
    }

    /// Calls a procedure. The gateway shortens a timeout that is longer than it allows.
    ///
    /// # Errors
    /// The provider's own error, or one of these codes: `no_such_procedure`, `handler_error`, `timeout`, `busy`,
    /// `forbidden`, `invalid_call`, or `peer_disconnected` when the provider or the connection was lost, and the procedure may have run.
    pub async fn call(
        &self,
        procedure: &str,
        args: impl Into<Bytes>,
        within: Duration,
    ) -> Result<Bytes, CallError> {
        let procedure = named(procedure)?;
        let args = args.into();
        self.check(args.len())?;
        let link = &self.handle.shared.link;
        let asked = async {
            let begun = link.with_room(|link| {
                let (call_id, answer) = link.begin_call()?;
                let milliseconds = u64::try_from(within.as_millis()).unwrap_or(u64::MAX);
                let timeout = Some(milliseconds);
                link.push(&Message::Call(Call { procedure, args, call_id, timeout }));
                Ok((call_id, answer))
            });
            let (call_id, answer) = begun.await?;
            let _pending = Pending { link, call_id };
            answer.await.unwrap_or_else(|_| Err(Error::Closed.into()))
        };
        let timed_out =
            |_| Err(CallError::new("timeout", format!("no reply came within {within:?}")));
        timeout(within, asked).await.unwrap_or_else(timed_out)
    }

    /// Calls a procedure without an answer: nobody says whether it ran.
    ///
    /// # Errors
    /// There is no connection, or it is no procedure's name, or the arguments are too long.
    pub async fn cast(&self, procedure: &str, args: impl Into<Bytes>) -> Result<(), Error> {
        let procedure = named(procedure)?;
        let args = args.into();
        self.check(args.len())?;
        self.handle
            .shared
            .link
            .with_room(|link| {
                link.push(&Message::Cast(Cast { procedure, args }));
                Ok(())
            })
            .await
    }

    /// Offers a procedure as long as the client lives, as the protocol knows no way to withdraw one; returns once the gateway
    /// has taken it. Handlers of all procedures run together, `most_handlers` of them at a time; one is dropped at its call's
    /// deadline, and one that panics is answered for by `handler_error`. A handler that holds this client keeps it alive until it is closed.
    ///
    /// # Errors
    /// It is not permitted, it is no procedure's name, there are too many, or the client was closed.
    pub async fn register<H, F>(&self, procedure: &str, handler: H) -> Result<(), Error>
    where
        H: Fn(Bytes) -> F + Send + Sync + 'static,
        F: Future<Output = Result<Bytes, CallError>> + Send + 'static,
    {
        let procedure = named(procedure)?;
        let handler = Handler(Arc::new(move |args| Box::pin(handler(args))));
        let shared = &self.handle.shared;
        shared.table.register(&procedure, handler, &shared.link)?;
        self.settle().await
    }

    /// The time to the gateway and back, behind everything that was sent before.
    ///
    /// # Errors
    /// There is no connection, or it was lost.
    pub async fn ping(&self) -> Result<Duration, Error> {
        let began = Instant::now();
        let answer = self.handle.shared.link.with_room(push_ping).await?;
        match answer.await {
            Ok(()) => Ok(began.elapsed()),
            Err(_) => Err(self.why_not_connected()),
        }
    }

    /// What was lost within this client.
    pub fn losses(&self) -> Losses {
        let shared = &self.handle.shared;
        Losses {
            messages: shared.table.dropped(),
            casts: shared.casts_dropped.load(Ordering::Relaxed),
        }
    }

    /// Sends what is queued, says goodbye and ends, for all clones. Handlers that still run are dropped.
    pub async fn close(&self) {
        self.handle.shared.closing.notify_one();
        let mut status = self.status();
        // An error is the end of the task, too.
        let _ = status.wait_for(|status| matches!(status, Status::Closed(_))).await;
    }

    /// Waits until what was sent is known to be taken. Without a connection it is told to the next one.
    async fn settle(&self) -> Result<(), Error> {
        match self.ping().await {
            Ok(_) => Ok(()),
            Err(why) if why.is_final() => Err(why),
            Err(_) => Ok(()),
        }
    }

    fn why_not_connected(&self) -> Error {
        self.handle
            .shared
            .link
            .why()
            .unwrap_or_else(|| Error::Lost("a new one has begun".to_owned()))
    }

    fn check(&self, bytes: usize) -> Result<(), Error> {
        let most = self.handle.shared.most_bytes;
        if bytes > most { Err(Error::TooLong { bytes, most }) } else { Ok(()) }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.task.abort();
        // Subscriptions may live on: they are told that nothing will come.
        self.shared.link.end(&Error::Closed);
        self.shared.table.close();
    }
}

/// A call whose answer is waited for.
struct Pending<'a> {
    link: &'a Link,
    call_id: CallId,
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        self.link.forget_call(self.call_id);
    }
}

fn push_ping(link: &mut State) -> Result<oneshot::Receiver<()>, Error> {
    let answer = link.begin_ping()?;
    link.push(&Message::Ping(Ping { timestamp: milliseconds() }));
    Ok(answer)
}

/// Since 1970.
fn milliseconds() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
}

fn named(procedure: &str) -> Result<Procedure, Error> {
    let wrong =
        |why| Error::Procedure { procedure: procedure.chars().take(topic::LONGEST).collect(), why };
    if procedure.is_empty() {
        return Err(wrong("it is empty"));
    }
    if procedure.len() > topic::LONGEST {
        return Err(wrong("it is longer than 1024 bytes"));
    }
    if procedure.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err(wrong("it has a space or a control character in it"));
    }
    Ok(Procedure(procedure.to_owned()))
}

/// The longest payload, arguments or result that fit into a frame with all its other fields.
fn most_bytes(most_payload_bytes: u32) -> usize {
    /// A topic's or procedure's name of 1024 bytes, keys and ids.
    const OTHER_FIELDS: u32 = 2048;
    // At most 4 GiB: it fits.
    usize::try_from(most_payload_bytes.saturating_sub(OTHER_FIELDS)).unwrap_or(usize::MAX)
}

fn random<const BYTES: usize>() -> [u8; BYTES] {
    let mut bytes = [0; BYTES];
    rustls::crypto::ring::default_provider()
        .secure_random
        .fill(&mut bytes)
        .expect("the system has random bytes, without which there is no TLS either");
    bytes
}

/// From 0 to 1.
fn random_fraction() -> f64 {
    f64::from(u32::from_be_bytes(random())) / f64::from(u32::MAX)
}

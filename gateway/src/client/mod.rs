//! A client of a gateway: it publishes, subscribes, calls and offers procedures over one connection, and connects again when
//! that connection is lost. Of the gateway it uses `wire` alone.
//!
//! ```
//! use std::time::Duration;
//! use gateway::client::{Client, Config, PublishOptions, SubscribeOptions, Trust};
//! use gateway::{config::Settings, life::Gateway};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // A gateway in this process, as for a test; elsewhere it has a certificate: Trust::Authority("ca.pem".into()).
//! let gateway = Gateway::start(Settings::local()).await?;
//! let config = Config::new(gateway.udp.to_string(), "be.cortexiq.energy".parse()?, Trust::Insecure);
//! let client = Client::connect(config.clone()).await?;
//!
//! let mut meters = client.subscribe(&"meters.*.power".parse()?, SubscribeOptions::default()).await?;
//! client.register("com.example.twice", |args| async move {
//!     let args = args.bytes()?;
//!     Ok([&args[..], &args[..]].concat().into())
//! }).await?;
//!
//! let other = Client::connect(config).await?;
//! other.publish(&"meters.7.power".parse()?, "230", PublishOptions::default()).await?;
//! let twice = other.call("com.example.twice", "ab", Duration::from_secs(5)).await?;
//! assert_eq!(twice, "abab");
//!
//! let message = meters.next().await.ok_or("closed")?;
//! assert_eq!((message.topic.as_str(), &message.payload[..]), ("meters.7.power", &b"230"[..]));
//! # Ok(())
//! # }
//! ```
//!
//! What is promised: messages of one publisher come in their order, each at most once; what was on its way when a
//! connection was lost may be missing. A call has exactly one outcome. `publish`, `call` and `cast` fail at once while there
//! is no connection; wait for [`Client::connected`] to try again.
//!
//! When a connection is lost the client makes a new one, each time from a new socket, after a random wait that grows with
//! each failure ([`Timing`]); then it sends all subscriptions and procedures to the gateway again. The client ends for good
//! where another attempt would end the same way ([`Error::is_final`]); [`Client::status`] reports both. Where the path broke
//! silently the gateway holds the old connection for up to 30 seconds, and calls that it passes there time out; the old
//! connection of a client with a certificate is replaced at once.

#![warn(missing_docs, clippy::missing_errors_doc)]

mod calls;
pub mod cli;
mod config;
mod dial;
mod error;
mod inbox;
mod json;
mod link;
mod messages;
mod pem;
mod run;
mod serving;
mod status;
mod subscription;
mod table;
mod trust;

use std::{
    sync::{Arc, atomic::AtomicU64, atomic::Ordering},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use tokio::{
    sync::{Notify, oneshot, watch},
    task::JoinHandle,
};

pub use crate::wire::message::{CallError, NotBytes, PackError, Publish, Qos, Term};
pub use config::{ClientCertificate, Config, Timing, Transport, Trust};
pub use error::Error;
pub use inbox::{SubscribeOptions, WhenFull};
pub use messages::PublishOptions;
pub use status::{Losses, Status};
pub use subscription::Subscription;
pub use trust::tls;

use self::{
    dial::Dialer,
    link::{Link, State},
    run::Runner,
    table::Table,
};
use crate::wire::message::{Message, Ping};

/// A client with a connection to a gateway, which it makes again when it is lost. Clones share it; it ends with the last of
/// them, or by [`Client::close`].
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

/// The state that handles, subscriptions and the connection's task share.
#[derive(Debug)]
struct Shared {
    link: Link,
    table: Table,
    closing: Notify,
    casts_dropped: AtomicU64,
    passed_over: AtomicU64,
    /// The most bytes of one payload, arguments or result.
    most_bytes: usize,
}

impl Client {
    /// Connects for the first time; from then on the client keeps a connection.
    ///
    /// # Errors
    /// The address, a file or a certificate cannot be used, or the gateway does not answer or refuses the client.
    pub async fn connect(config: Config) -> Result<Self, Error> {
        let shared = Arc::new(Shared {
            link: Link::new(),
            table: Table::default(),
            closing: Notify::new(),
            casts_dropped: AtomicU64::new(0),
            passed_over: AtomicU64::new(0),
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
        // The table is open before the task begins and before the user subscribes.
        shared.table.open(&shared.link);
        let task = tokio::spawn(runner.run(first));
        Ok(Self { handle: Arc::new(Handle { config, shared, status, task }) })
    }

    /// The configuration of this client.
    pub fn config(&self) -> &Config {
        &self.handle.config
    }

    /// The state of the connection, and its changes.
    ///
    /// ```
    /// # use gateway::{client::{Client, Config, Status, Trust}, config::Settings, life::Gateway};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let gateway = Gateway::start(Settings::local()).await?;
    /// # let config = Config::new(gateway.udp.to_string(), "be.cortexiq.energy".parse()?, Trust::Insecure);
    /// let client = Client::connect(config).await?;
    /// let mut status = client.status();
    /// drop(gateway);
    /// status.changed().await?;
    /// assert!(matches!(*status.borrow(), Status::Reconnecting { failures: 0, .. }));
    /// # Ok(())
    /// # }
    /// ```
    pub fn status(&self) -> watch::Receiver<Status> {
        self.handle.status.clone()
    }

    /// Waits for a connection.
    ///
    /// # Errors
    /// Why there will be no connection.
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

    /// Measures the time to the gateway and back. The answer comes after the gateway has handled everything that was sent
    /// before.
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

    /// How much was lost within this client.
    pub fn losses(&self) -> Losses {
        let shared = &self.handle.shared;
        Losses {
            messages: shared.table.dropped(),
            casts: shared.casts_dropped.load(Ordering::Relaxed),
            passed_over: shared.passed_over.load(Ordering::Relaxed),
        }
    }

    /// Sends what is queued, says goodbye and ends the client, for all clones. Handlers that still run are dropped.
    pub async fn close(&self) {
        self.handle.shared.closing.notify_one();
        let mut status = self.status();
        // An error means that the task has ended, too.
        let _ = status.wait_for(Status::is_closed).await;
    }

    /// Waits until the gateway has handled what was sent. Without a connection the next one will send it.
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
        // Subscriptions may live longer: they learn that nothing more will come.
        self.shared.link.end(&Error::Closed);
        self.shared.table.close();
    }
}

fn push_ping(link: &mut State) -> Result<oneshot::Receiver<()>, Error> {
    let answer = link.begin_ping()?;
    link.push(&Message::Ping(Ping { timestamp: milliseconds() }));
    Ok(answer)
}

/// Milliseconds since 1970.
fn milliseconds() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
}

/// The longest payload, arguments or result for which a frame has room beside its other fields.
fn most_bytes(most_payload_bytes: u32) -> usize {
    /// Room for a name of 1024 bytes, keys and ids.
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

/// A random number from 0 to 1.
fn random_fraction() -> f64 {
    f64::from(u32::from_be_bytes(random())) / f64::from(u32::MAX)
}

//! The gateway's life, from start to end: it logs each step of the start before it tries the step. What clients send is not
//! known here.

mod descriptors;
mod drain;
mod exit;
mod heap;
mod log;
mod run;
mod signals;
mod start;

use std::{net::SocketAddr, sync::Arc};

use tokio::task::JoinSet;
use tracing::{info, warn};

use crate::{config::Settings, door::entrance::Entrance, hub::Hub, observe::health::Health};

pub use exit::{Failure, PANIC, USAGE, wrong_usage};
pub use run::run;

/// A gateway that serves clients. It ends at once when this is dropped; [`Gateway::drain`] lets clients leave first.
#[derive(Debug)]
pub struct Gateway {
    /// The addresses at which it is reached.
    pub udp: SocketAddr,
    pub tcp: SocketAddr,
    pub health: SocketAddr,
    hub: Arc<Hub>,
    entrance: Arc<Entrance>,
    state: Arc<Health>,
    settings: Settings,
    endpoint: quinn::Endpoint,
    /// The loops that accept clients. They end when all clients have left.
    accepting: JoinSet<()>,
    /// The tasks that end with the gateway.
    lasting: JoinSet<()>,
}

impl Gateway {
    pub fn hub(&self) -> &Arc<Hub> {
        &self.hub
    }

    /// Waits until a part of the gateway ends that should not, such as an endpoint whose socket failed.
    pub async fn broken(&mut self) -> Failure {
        tokio::select! {
            _ = self.accepting.join_next() => {
                Failure::Runtime("clients can no longer be accepted".to_owned())
            }
            _ = self.lasting.join_next() => {
                Failure::Runtime("a part of it that must not has ended".to_owned())
            }
        }
    }

    /// Reads realms and permissions again. A file that cannot be read changes nothing. Returns whether it could be read.
    pub fn reload(&self) -> bool {
        info!("reading realms and permissions again");
        match self.settings.realms.read() {
            Ok(realms) => {
                self.hub.configure(&realms);
                info!(realms = realms.len(), "realms and permissions are replaced");
                true
            }
            Err(error) => {
                warn!("realms and permissions stay as they were: {error}");
                false
            }
        }
    }
}

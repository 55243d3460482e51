//! The signals that the gateway handles: SIGTERM and SIGINT stop it, SIGHUP reloads realms and permissions.

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{Failure, Gateway};

pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl Signals {
    /// # Errors
    /// The kernel does not let this process handle them.
    pub fn listen() -> Result<Self, Failure> {
        let listen = |kind| {
            signal(kind)
                .map_err(|error| Failure::Runtime(format!("signals cannot be handled: {error}")))
        };
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
            hang_up: listen(SignalKind::hangup())?,
        })
    }

    /// Waits for the signal that stops the gateway; returns its name.
    pub async fn stop(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }

    /// Waits for the signal that stops the gateway, and reloads the gateway on SIGHUP meanwhile; returns the signal's name.
    ///
    /// # Errors
    /// A part of the gateway has failed.
    pub async fn until_stop(&mut self, gateway: &mut Gateway) -> Result<&'static str, Failure> {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return Ok("SIGTERM"),
                _ = self.interrupt.recv() => return Ok("SIGINT"),
                _ = self.hang_up.recv() => {
                    gateway.reload();
                }
                failure = gateway.broken() => return Err(failure),
            }
        }
    }
}

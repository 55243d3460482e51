//! Reports on stderr when a command that keeps running loses its connection and when it has a new one.

use anyhow::{Result, bail};
use tokio::sync::watch;

use crate::client::{Client, Status};

/// Watches a connection from now on.
pub struct Changes {
    status: watch::Receiver<Status>,
    /// Reports only the end of the connection.
    quiet: bool,
}

impl Changes {
    pub fn of(client: &Client, quiet: bool) -> Self {
        let mut status = client.status();
        status.mark_unchanged();
        Self { status, quiet }
    }

    /// Waits for the next change, and reports it. The wait may be cancelled without a loss.
    ///
    /// # Errors
    /// Why the connection has ended for good.
    pub async fn report_next(&mut self) -> Result<()> {
        if self.status.changed().await.is_err() {
            return std::future::pending().await;
        }
        match &*self.status.borrow_and_update() {
            Status::Closed(why) => bail!(why.clone()),
            Status::Connected | Status::Reconnecting { .. } if self.quiet => {}
            Status::Connected => eprintln!("connected again"),
            Status::Reconnecting { why, .. } => eprintln!("{why}; connecting again"),
        }
        Ok(())
    }
}

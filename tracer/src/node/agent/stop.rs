//! The agent's end: what is known is reported, and the kernel is left to the next agent or to nobody.

use std::fs;

use super::{hands::Hands, running::Agent};
use crate::{capture::kernel, config::Settings, node::kubernetes::owner::Owner};

impl Agent {
    /// # Errors
    /// What is in the kernel cannot be removed.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        tracing::info!("stopping");
        self.leave_recorder();
        self.take_records();
        self.node.stop_waiting();
        self.report_ended_lives();
        self.hands.asker.give_up();
        let Hands { reporter, programs, .. } = self.hands;
        reporter.finish().await;
        drop(programs);
        self.servers.end().await;
        if let Some(owner) = self.owner {
            leave(owner, &self.setup.settings).await?;
        }
        tracing::info!("stopped");
        Ok(())
    }
}

/// Where no other agent will come, nothing stays but the store.
async fn leave(owner: Owner, settings: &Settings) -> anyhow::Result<()> {
    let Some(why) = owner.is_gone().await else { return Ok(()) };
    tracing::info!(why, "no other agent will come: what is in the kernel is removed");
    if let Some(folder) = settings.socket.parent() {
        // Another may use it.
        let _ = fs::remove_dir(folder);
    }
    kernel::pins::unload(&settings.pin_dir)?;
    Ok(())
}

//! Whether the container runtime is there. It must not know what it is asked otherwise.

use crate::node::{
    attribute::Attributor,
    health::{self, Health},
};

/// Asks it, for the health; a change is logged.
pub async fn look(attributor: &Attributor, health: &Health) {
    let answer = attributor.runtime_answers().await;
    health.set(|state| {
        let before = state.runtime.take();
        let answered = before.as_ref().map(|runtime| runtime.answering);
        state.runtime = Some(match answer {
            Ok(version) => {
                let name = format!("{} {}", version.runtime_name, version.runtime_version);
                if answered != Some(true) {
                    tracing::info!(name, "the container runtime answers");
                }
                health::Runtime { name, answering: true, error: None }
            }
            Err(error) => {
                let error = error.to_string();
                if answered != Some(false) {
                    tracing::warn!(
                        error,
                        "the container runtime does not answer: containers have no names, and this agent is not ready"
                    );
                }
                let name = before.map_or_else(String::new, |known| known.name);
                health::Runtime { name, answering: false, error: Some(error) }
            }
        });
    });
}

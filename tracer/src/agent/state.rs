//! Tells metrics and health how the agent fares. It must not know what happened to a container.

use std::sync::Arc;

use super::{Agent, Reply, watch::Watch};
use crate::{
    attribute::Attributor,
    health::{self, Health},
    kernel::{
        Programs, Rings,
        load::{HOOKS, OOM_HOOK},
        pins::{PinError, Pins},
    },
    metrics::{ByHook, ByProgram, ByRing, set_total, set_total_seconds},
};

/// As metrics name them.
const RINGS: [&str; 2] = ["deaths", "events"];

impl Agent {
    pub(super) fn report_hooks(&self) {
        let hook = |name: &str| {
            self.metrics.hooks_attached.get_or_create(&ByHook { hook: name.to_owned() }).set(1);
            health::Hook { name: name.to_owned(), required: true, attached: true }
        };
        let hooks = HOOKS.iter().chain([&OOM_HOOK]).map(|name| hook(name)).collect();
        self.health.set(|state| state.hooks = hooks);
    }

    pub(super) fn report_state(&self, watch: &Watch) {
        self.health.tick();
        let store = watch.reporter.store().statistics();
        self.metrics.store.set(&store);
        let attached = watch.programs.is_armed();
        let mode = self.settings.recorder.to_string();
        let error = watch.reporter.store().failure();
        self.health.set(|state| {
            state.recorder = health::Recorder { mode, attached };
            state.store =
                health::Store { writable: !store.failing, size_bytes: store.bytes, error };
        });
    }

    pub(super) fn report_kernel_side(&self, rings: &mut Rings, programs: &Programs) {
        let used = rings.take_most_used_bytes().into_iter();
        for ((ring, size), used) in RINGS.into_iter().zip(rings.size_bytes()).zip(used) {
            let used = i64::try_from(used).unwrap_or(i64::MAX);
            self.metrics.ring_size_bytes.get_or_create(&ByRing { ring }).set(i64::from(size));
            self.metrics.ring_used_bytes.get_or_create(&ByRing { ring }).set(used);
        }
        for (name, run_time, runs) in programs.run_statistics() {
            let program = ByProgram { program: name.to_owned() };
            let seconds = self.metrics.program_run_seconds.get_or_create(&program);
            set_total_seconds(&seconds, run_time);
            set_total(&self.metrics.program_runs.get_or_create(&program), runs);
        }
    }
}

/// Without pins the agent works all the same, but for what happens while none runs.
pub(super) fn pins(pins: Result<Pins, PinError>, health: &Health) -> Option<Pins> {
    let error = pins.as_ref().err().map(PinError::to_string);
    if let Some(error) = &error {
        tracing::warn!(error, "what happens while no agent runs will not be told");
    }
    let pins = pins.ok();
    health.set(|state| state.pins = health::Pins { kept: pins.is_some(), error });
    pins
}

/// Asks the container runtime whether it is there, for the health.
pub(super) async fn ask_runtime(attributor: Arc<Attributor>, health: Arc<Health>) -> Reply {
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
    Reply::Runtime
}

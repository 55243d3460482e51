//! Metrics and health: how the agent fares. It must not know what happened to a container.

use super::{hands::Hands, lives::Node};
use crate::{
    capture::{
        event::BootNs,
        kernel::{
            Programs, Rings,
            load::{HOOKS, OOM_HOOK},
            pins::{PinError, Pins},
        },
    },
    node::{
        health::{self, Health},
        metrics::{ByHook, ByProgram, ByRing, ByRule, Metrics, set_total, set_total_seconds},
    },
};

/// As metrics name them.
const RINGS: [&str; 2] = ["deaths", "events"];

pub fn report_hooks(metrics: &Metrics, health: &Health) {
    let hook = |name: &str| {
        metrics.hooks_attached.get_or_create(&ByHook { hook: name.to_owned() }).set(1);
        health::Hook { name: name.to_owned(), required: true, attached: true }
    };
    let hooks = HOOKS.iter().chain([&OOM_HOOK]).map(|name| hook(name)).collect();
    health.set(|state| state.hooks = hooks);
}

pub fn report_state(recorder: String, health: &Health, hands: &Hands) {
    health.tick();
    let store = hands.reporter.store().statistics();
    hands.metrics.store.set(&store);
    let attached = hands.programs.is_armed();
    let error = hands.reporter.store().failure();
    let damaged = hands.reporter.store().aside().map(|path| path.display().to_string());
    let (writable, size_bytes) = (!store.failing, store.bytes);
    health.set(|state| {
        state.recorder = health::Recorder { mode: recorder, attached };
        state.store = health::Store { writable, size_bytes, error, damaged };
    });
}

pub fn report_kernel_side(metrics: &Metrics, rings: &mut Rings, programs: &Programs) {
    let used = rings.take_most_used_bytes().into_iter();
    for ((ring, size), used) in RINGS.into_iter().zip(rings.size_bytes()).zip(used) {
        let used = i64::try_from(used).unwrap_or(i64::MAX);
        metrics.ring_size_bytes.get_or_create(&ByRing { ring }).set(i64::from(size));
        metrics.ring_used_bytes.get_or_create(&ByRing { ring }).set(used);
    }
    for (name, run_time, runs) in programs.run_statistics() {
        let program = ByProgram { program: name.to_owned() };
        let seconds = metrics.program_run_seconds.get_or_create(&program);
        set_total_seconds(&seconds, run_time);
        set_total(&metrics.program_runs.get_or_create(&program), runs);
    }
}

pub fn count_redactions(node: &Node, metrics: &Metrics) {
    for (rule, count) in node.redactions() {
        let counter = metrics.redactions.get_or_create(&ByRule { rule: rule.name() });
        set_total(&counter, count);
    }
}

pub fn count_lives(node: &Node, metrics: &Metrics) {
    let gauge = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
    metrics.kubernetes_pods.set(gauge(node.cluster().pods()));
    set_total(&metrics.kubernetes_pods_refused, node.cluster().pods_refused());
    metrics.lives.set(gauge(node.lives()));
}

pub fn report_missed(node: &Node, health: &Health, now: BootNs) {
    let missed = node.missed();
    let (births, processes, strays) = (missed.births, missed.processes, missed.strays);
    let recent = missed.is_recent(now);
    health.set(|state| state.missed = health::Missed { births, processes, strays, recent });
}

/// Without pins the agent works all the same, but for what happens while none runs.
pub fn pins(pins: Result<Pins, PinError>, health: &Health) -> Option<Pins> {
    let error = pins.as_ref().err().map(PinError::to_string);
    if let Some(error) = &error {
        tracing::warn!(error, "what happens while no agent runs will not be told");
    }
    let pins = pins.ok();
    health.set(|state| state.pins = health::Pins { kept: pins.is_some(), error });
    pins
}

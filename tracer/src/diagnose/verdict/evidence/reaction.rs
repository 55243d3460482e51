//! How a process takes a stop signal: it handles, ignores or outlasts it. It must not know who sent it.

use crate::{
    capture::event::{BootNs, Delivery, Disposition, Event, SignalEvent},
    linux::signal::Signal,
};

use crate::diagnose::verdict::{
    death::{Death, End},
    wording,
};

/// What the process did about it.
pub(in crate::diagnose::verdict) struct Reaction {
    /// `handled`, `ignored`, `outlasted`, `default`, `killed`.
    pub name: &'static str,
    /// `handled it and exited with status 0 12 ms later`
    pub text: String,
    /// From the first signal to the SIGKILL that ended it.
    pub grace_ns: Option<BootNs>,
    pub kill: Option<usize>,
}

impl Reaction {
    fn without_kill(name: &'static str, text: String) -> Self {
        Self { name, text, grace_ns: None, kill: None }
    }

    pub fn grace_seconds(&self) -> Option<f64> {
        self.grace_ns.map(|ns| ns / 10_000_000).map(|hundredths| hundredths as f64 / 100.0)
    }
}

/// How it took a stop signal, as its end shows.
pub(in crate::diagnose::verdict) fn to(
    death: &Death<'_>,
    (index, event, sent): (usize, &Event, &SignalEvent),
    end: &End<'_>,
) -> Reaction {
    let id = event.process.id;
    let signal = sent.signal;
    let after = wording::span(end.time_ns.saturating_sub(event.time_ns));
    if signal == Signal::SIGKILL {
        let text = "could not handle it".to_owned();
        return Reaction { name: "killed", text, grace_ns: None, kill: Some(index) };
    }
    let kill = death
        .signals(id)
        .find(|(later, _, it)| *later > index && it.signal == Signal::SIGKILL)
        .filter(|_| end.status.signal == Some(Signal::SIGKILL));
    let ignored = attitude(event, sent).filter(|_| end.status.signal != Some(signal));
    let ended = wording::ended(end.status);
    match (kill, ignored) {
        (Some((kill, killed, _)), ignored) => {
            let grace_ns = killed.time_ns.saturating_sub(event.time_ns);
            let then = format!("when SIGKILL followed after {} of grace", wording::span(grace_ns));
            let (name, text) = match ignored {
                Some(how) => ("ignored", format!("{how} and was still running {then}")),
                None if sent.disposition == Disposition::Handled => {
                    ("outlasted", format!("has a handler for it but was still running {then}"))
                }
                None => ("outlasted", format!("was still running {then}")),
            };
            Reaction { name, text, grace_ns: Some(grace_ns), kill: Some(kill) }
        }
        (None, Some(how)) => {
            Reaction::without_kill("ignored", format!("{how}; it {ended} {after} later"))
        }
        (None, None) if sent.disposition == Disposition::Handled => {
            Reaction::without_kill("handled", format!("handled it and {ended} {after} later"))
        }
        (None, None) => Reaction::without_kill("default", ended),
    }
}

/// Why the signal does nothing to it, if that is so (signal(7); kernel/signal.c: SIGNAL_UNKILLABLE).
fn attitude(event: &Event, sent: &SignalEvent) -> Option<String> {
    let signal = sent.signal;
    let dropped = sent.result == Delivery::Ignored || event.process.container_pid == 1;
    match sent.disposition {
        Disposition::Ignored => Some(format!("ignores {signal}")),
        Disposition::Default if dropped => Some(format!(
            "has no handler for {signal} (the kernel drops it for the main process of a container)"
        )),
        Disposition::Handled if sent.result == Delivery::Ignored => {
            Some(format!("ignores {signal}"))
        }
        Disposition::Default | Disposition::Handled => None,
    }
}

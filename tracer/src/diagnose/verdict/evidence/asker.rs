//! Who asked the runtime for a stop, as far as the terms of the life and its listeners show. It must not know how the life
//! took it.

use serde_json::{Map, Value, json};

use crate::capture::event::{BootNs, Exec, What};

use crate::diagnose::verdict::{
    death::Death,
    evidence::readiness::Readiness,
    terms::{Asks, Port, Probe, Removal, RemovalWhy},
    wording,
};

/// Probes are due by a clock of whole seconds.
const SLACK_NS: u64 = 2_000_000_000;
/// The node says of a pod that it ended it a while after the last container's end.
const HEARD_NS: u64 = 10_000_000_000;
/// Characters that are quoted of what a node says.
const QUOTE: usize = 240;

pub(in crate::diagnose::verdict) struct Asker {
    /// `details.reason`
    pub reason: &'static str,
    /// `told`, `inferred`; `None` where nothing is known.
    pub source: Option<&'static str>,
    /// `most likely its liveness probe had failed, which asks TCP port 9443, where the container was not listening`
    pub text: Option<String>,
    pub next_step: Option<String>,
    /// Entries that show it.
    pub entries: Vec<usize>,
    pub probe: Option<Value>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Liveness,
    Startup,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Liveness => "liveness",
            Self::Startup => "startup",
        }
    }

    fn reason(self) -> &'static str {
        match self {
            Self::Liveness => "liveness_probe",
            Self::Startup => "startup_probe",
        }
    }
}

/// Of a stop and the end after it.
pub(in crate::diagnose::verdict) fn of(
    death: &Death<'_>,
    (stop_ns, end_ns): (BootNs, BootNs),
    readiness: &Readiness,
) -> Asker {
    let heard_in_time = |removal: &&Removal| {
        removal.seen_ns.is_none_or(|seen_ns| seen_ns <= end_ns.saturating_add(HEARD_NS))
    };
    if let Some(removal) = death.terms.removal.as_ref().filter(heard_in_time) {
        return removed(removal);
    }
    match failed_probe(death, stop_ns) {
        Some((kind, probe)) => probed(death, stop_ns, readiness, kind, probe),
        None => Asker {
            reason: "unknown",
            source: None,
            text: None,
            next_step: None,
            entries: Vec::new(),
            probe: None,
        },
    }
}

fn removed(removal: &Removal) -> Asker {
    let (reason, what, next_step) = match removal.why {
        RemovalWhy::Evicted => (
            "evicted",
            "the node had evicted its pod",
            "See what the node ran short of, and set requests and limits by what the pod uses, so that others go first.",
        ),
        RemovalWhy::NodeShutdown => (
            "node_shutdown",
            "the node was shutting down",
            "See who shut the node down; drain a node before, so that its pods are started elsewhere first.",
        ),
        RemovalWhy::DeadlineExceeded => (
            "deadline_exceeded",
            "its pod had outlived its activeDeadlineSeconds",
            "Raise activeDeadlineSeconds, or find out what took so long.",
        ),
    };
    let said = match quote(&removal.message) {
        nothing if nothing.is_empty() => nothing,
        message => format!(" (\"{message}\")"),
    };
    Asker {
        reason,
        source: Some("told"),
        text: Some(format!("{what}{said}")),
        next_step: Some(next_step.to_owned()),
        entries: Vec::new(),
        probe: None,
    }
}

/// One line, and not too long.
fn quote(message: &str) -> String {
    let words: Vec<&str> = message.split_whitespace().collect();
    words.join(" ").trim_end_matches('.').chars().take(QUOTE).collect()
}

/// The probe that alone can have asked for it. Until the startup probe has succeeded no other is run.
fn failed_probe<'a>(death: &Death<'a>, stop_ns: BootNs) -> Option<(Kind, &'a Probe)> {
    let terms = death.terms;
    let (kind, probe) = match (&terms.startup, &terms.liveness) {
        (Some(startup), _) if !terms.started => (Kind::Startup, startup),
        (_, Some(liveness)) => (Kind::Liveness, liveness),
        (_, None) => return None,
    };
    let age_ns = stop_ns.saturating_sub(death.main.start_ns);
    (age_ns.saturating_add(SLACK_NS) >= probe.earliest_ns()).then_some((kind, probe))
}

fn probed(
    death: &Death<'_>,
    stop_ns: BootNs,
    readiness: &Readiness,
    kind: Kind,
    probe: &Probe,
) -> Asker {
    let mut details = Map::new();
    details.insert("kind".to_owned(), kind.name().into());
    let (asks, place, entries, next_step) = match &probe.asks {
        Asks::Tcp(port) | Asks::Http { port, .. } | Asks::Grpc(port) => {
            let place = Place::of(port, readiness);
            let (asks, name) = question(&probe.asks);
            details.insert("asks".to_owned(), name.into());
            if let Some(number) = port.number {
                details.insert("port".to_owned(), number.into());
            }
            if let Some(host) = &port.host {
                details.insert("host".to_owned(), host.as_str().into());
            }
            if let Asks::Http { path, .. } = &probe.asks {
                details.insert("path".to_owned(), path.as_str().into());
            }
            if let Some(listening) = place.listening() {
                details.insert("listening".to_owned(), listening.into());
            }
            (asks, place.text(), Vec::new(), place.next_step(kind, port, readiness))
        }
        Asks::Command(command) => {
            let words: Vec<String> = command.iter().map(|word| word.to_json_string()).collect();
            details.insert("asks".to_owned(), "command".into());
            details.insert("command".to_owned(), json!(words));
            let asks = format!("runs `{}`", quote(&words.join(" ")));
            let (place, entries) = match last_run(death, stop_ns, command) {
                Some((text, entries)) => (format!("; its last run {text}"), entries),
                None => (String::new(), Vec::new()),
            };
            let next = "Run the probe's command in the container and see what it says; give it more time (timeoutSeconds) if it is only slow.";
            (asks, place, entries, next.to_owned())
        }
        Asks::Unknown => {
            let next =
                "Look at the probe in the pod's spec, and ask what it asks by hand.".to_owned();
            ("asks in a way that is not known here".to_owned(), String::new(), Vec::new(), next)
        }
    };
    Asker {
        reason: kind.reason(),
        source: Some("inferred"),
        text: Some(format!(
            "most likely its {} probe had failed, which {asks}{place}",
            kind.name()
        )),
        next_step: Some(next_step),
        entries,
        probe: Some(Value::Object(details)),
    }
}

/// What the probe asks, and the name of that in details.
fn question(asks: &Asks) -> (String, &'static str) {
    let at = |port: &Port, protocol: &str| {
        let host = port.host.as_ref().map_or(String::new(), |host| format!(" of {host}"));
        match port.number {
            Some(number) => format!("asks {protocol} port {number}{host}"),
            None => format!("asks an {protocol} port by a name that the container does not define"),
        }
    };
    match asks {
        Asks::Tcp(port) => (at(port, "TCP"), "tcp"),
        Asks::Http { port, path, tls } => {
            let protocol = if *tls { "HTTPS" } else { "HTTP" };
            (format!("{} for {}", at(port, protocol), quote(path)), "http")
        }
        Asks::Grpc(port) => (at(port, "gRPC"), "grpc"),
        Asks::Command(_) | Asks::Unknown => (String::new(), "unknown"),
    }
}

/// What was at the port.
#[derive(Clone, Copy)]
enum Place {
    Listener,
    UdpOnly,
    Nothing,
    /// Binds were lost, or it is elsewhere.
    Unknown,
    NoneRecorded,
}

impl Place {
    fn of(port: &Port, readiness: &Readiness) -> Self {
        match port.number {
            None => Self::Unknown,
            Some(_) if port.host.is_some() => Self::Unknown,
            Some(number) if readiness.tcp.contains(&number) => Self::Listener,
            Some(_) if readiness.lost > 0 || readiness.unknown => Self::NoneRecorded,
            Some(number) if readiness.udp.contains(&number) => Self::UdpOnly,
            Some(_) => Self::Nothing,
        }
    }

    fn listening(self) -> Option<bool> {
        match self {
            Self::Listener => Some(true),
            Self::UdpOnly | Self::Nothing => Some(false),
            Self::Unknown | Self::NoneRecorded => None,
        }
    }

    fn text(self) -> String {
        match self {
            Self::Listener => {
                ", where the container was listening: no answer came in time, or not the one that was expected"
            }
            Self::UdpOnly => ", where nothing listened: it is bound on UDP only",
            Self::Nothing => ", where the container was not listening",
            Self::NoneRecorded => ", where no listener is recorded",
            Self::Unknown => "",
        }
        .to_owned()
    }

    fn next_step(self, kind: Kind, port: &Port, readiness: &Readiness) -> String {
        let number = port.number.map_or(String::new(), |number| format!(" {number}"));
        let slow = match kind {
            Kind::Liveness => "",
            Kind::Startup => {
                ", or give it more time (failureThreshold times periodSeconds of the startup probe)"
            }
        };
        match self {
            Self::Listener => format!(
                "Ask TCP{number} as the probe does and see what comes; if the answer is only slow, raise timeoutSeconds or \
                 failureThreshold{slow}."
            ),
            Self::UdpOnly => format!(
                "A tcpSocket or httpGet probe cannot succeed on a UDP port: use an exec probe or open a TCP health port \
                 beside UDP{number}."
            ),
            Self::Nothing | Self::NoneRecorded if !readiness.tcp.is_empty() => {
                let ports: Vec<String> = readiness.tcp.iter().map(u16::to_string).collect();
                format!(
                    "It listens on TCP {}: correct the probe's port, or find out why it does not listen on{number}{slow}.",
                    wording::list(&ports)
                )
            }
            Self::Nothing | Self::NoneRecorded => format!(
                "Find out why it does not listen on TCP{number} (its configuration, its start-up log), or correct the \
                 probe{slow}."
            ),
            Self::Unknown => {
                "Look at the probe in the pod's spec, and ask what it asks by hand.".to_owned()
            }
        }
    }
}

/// How the probe's command ended last before the stop.
fn last_run(
    death: &Death<'_>,
    stop_ns: BootNs,
    command: &[crate::linux::text::Text],
) -> Option<(String, Vec<usize>)> {
    let is_it = |exec: &Exec| exec.args.as_slice() == command;
    let entries = death.timeline.entries.iter().enumerate().rev();
    let mut runs = entries.filter(|(_, event)| event.time_ns <= stop_ns).filter(|(_, event)| {
        matches!(&event.what, What::Exec(exec) if is_it(exec)) && event.process.id != death.main
    });
    runs.find_map(|(index, event)| {
        let end = death.end(event.process.id).filter(|end| end.time_ns <= stop_ns)?;
        Some((wording::ended(end.status), vec![index, end.index]))
    })
}

//! The pods of this node as the Kubernetes API tells of them: what is kept of each. It must not know what became of a
//! container's processes.

mod known;
mod object;
mod stream;

use crate::{
    diagnose::verdict::{
        Policy,
        terms::{Asks, Port, Probe, RemovalWhy},
    },
    linux::text::Text,
};

pub use known::{Entry, Known};
pub use stream::{Change, Stream};

/// Containers of a pod that are kept; nobody runs as many.
const CONTAINERS: usize = 256;
/// Bytes of a status message that are kept.
const MESSAGE: usize = 1024;
/// Marks the mirror of a static pod, whose containers have this as their pod's uid (kubelet's pkg/kubelet/types).
const MIRROR: &str = "kubernetes.io/config.mirror";

/// What is kept of a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pod {
    /// As the container runtime knows it.
    pub uid: String,
    pub policy: Policy,
    /// Kind and name of what made it.
    pub owner: Option<(String, String)>,
    /// When its deletion was asked for, by the API's clock: nanoseconds since 1970.
    pub deleted_ns: Option<i64>,
    /// The kubelet ended it.
    pub removal: Option<(RemovalWhy, String)>,
    pub containers: Vec<Container>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Container {
    pub name: String,
    pub kind: Kind,
    /// Its own, where it has one.
    pub policy: Option<Policy>,
    pub liveness: Option<Probe>,
    pub startup: Option<Probe>,
    /// The id of its instance now.
    pub id: Option<String>,
    /// Whether that instance runs, and has passed its startup probe.
    pub started: bool,
    /// When that instance ended, nanoseconds since 1970.
    pub finished_ns: Option<i64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Main,
    Init,
    /// An init container that runs beside the others.
    Sidecar,
    /// `kubectl debug`
    Ephemeral,
}

impl Pod {
    /// `None` for an object without a uid.
    fn of(object: object::Object) -> Option<Self> {
        let object::Object { metadata, spec, status } = object;
        let mirrored = metadata.annotations.and_then(|mut all| all.remove(MIRROR));
        let owner = metadata.owner_references.unwrap_or_default().into_iter();
        let owner = owner.max_by_key(|owner| owner.controller == Some(true));
        let asked = metadata.deletion_timestamp.map(|until| {
            let grace = metadata.deletion_grace_period_seconds.unwrap_or(0).max(0);
            wall(until.0).saturating_sub(grace.saturating_mul(1_000_000_000))
        });
        let statuses: Vec<object::ContainerStatus> =
            status.init_container_statuses.into_iter().chain(status.container_statuses).collect();
        let inits = spec.init_containers.into_iter().map(|it| {
            let is_sidecar = it.restart_policy.as_deref() == Some("Always");
            (if is_sidecar { Kind::Sidecar } else { Kind::Init }, it)
        });
        let mains = spec.containers.into_iter().map(|it| (Kind::Main, it));
        let ephemeral = spec.ephemeral_containers.into_iter().map(|it| (Kind::Ephemeral, it));
        let containers = inits.chain(mains).chain(ephemeral).take(CONTAINERS);
        Some(Self {
            uid: mirrored.or(metadata.uid).filter(|uid| !uid.is_empty())?,
            policy: policy(spec.restart_policy.as_deref()).unwrap_or_default(),
            owner: owner.map(|owner| (owner.kind, owner.name)),
            deleted_ns: asked,
            removal: status.reason.as_deref().and_then(removal).map(|why| {
                let mut message = status.message.unwrap_or_default();
                message.truncate(message.floor_char_boundary(MESSAGE));
                (why, message)
            }),
            containers: containers
                .map(|(kind, it)| {
                    let status = statuses.iter().find(|status| status.name == it.name);
                    Container::of(kind, it, status)
                })
                .collect(),
        })
    }

    #[cfg(test)]
    pub fn read(object: serde_json::Value) -> Option<Self> {
        Self::of(serde_json::from_value(object).ok()?)
    }

    /// By its name, or, where that is not known, by its id.
    pub fn container(&self, name: Option<&str>, id: &str) -> Option<&Container> {
        self.containers.iter().find(|it| match name {
            Some(name) => it.name == name,
            None => it.id.as_deref() == Some(id),
        })
    }

    /// When the last of its main containers ended, where none is started again: nanoseconds since 1970.
    pub fn finished_ns(&self) -> Option<i64> {
        let mut mains = self.containers.iter().filter(|it| it.kind == Kind::Main).peekable();
        mains.peek()?;
        let ends = mains.map(|it| match it.policy.unwrap_or(self.policy) {
            Policy::Always => None,
            Policy::OnFailure | Policy::Never => it.finished_ns,
        });
        ends.collect::<Option<Vec<i64>>>()?.into_iter().max()
    }
}

impl Container {
    fn of(kind: Kind, it: object::Container, status: Option<&object::ContainerStatus>) -> Self {
        let probe = |probe: Option<object::Probe>| probe.map(|probe| probe_of(probe, &it.ports));
        let terminated = status.and_then(|status| status.state.terminated.as_ref());
        let finished = terminated.and_then(|it| it.finished_at.as_deref()?.parse().ok());
        Self {
            kind,
            policy: policy(it.restart_policy.as_deref()),
            liveness: probe(it.liveness_probe.clone()),
            startup: probe(it.startup_probe.clone()),
            id: status.and_then(|status| {
                let id = status.container_id.as_deref()?;
                Some(id.split_once("://").map_or(id, |(_, id)| id).to_owned())
            }),
            started: status
                .is_some_and(|it| it.started == Some(true) && it.state.running.is_some()),
            finished_ns: finished.map(wall),
            name: it.name,
        }
    }
}

fn wall(time: jiff::Timestamp) -> i64 {
    i64::try_from(time.as_nanosecond()).unwrap_or(i64::MAX)
}

fn policy(name: Option<&str>) -> Option<Policy> {
    match name? {
        "OnFailure" => Some(Policy::OnFailure),
        "Never" => Some(Policy::Never),
        "Always" => Some(Policy::Always),
        _ => None,
    }
}

/// Reasons that the kubelet writes into the status of a pod that it ends (pkg/kubelet/eviction, nodeshutdown, preemption,
/// active_deadline.go). Before 1.22 a node's shutdown was `Shutdown`.
fn removal(reason: &str) -> Option<RemovalWhy> {
    match reason {
        "Evicted" | "Preempting" => Some(RemovalWhy::Evicted),
        "Terminated" | "Shutdown" | "NodeShutdown" => Some(RemovalWhy::NodeShutdown),
        "DeadlineExceeded" => Some(RemovalWhy::DeadlineExceeded),
        _ => None,
    }
}

/// The API fills in its defaults; they are those of Kubernetes.
fn probe_of(probe: object::Probe, ports: &[object::ContainerPort]) -> Probe {
    let port = |port: Option<object::NumberOrName>, host: Option<String>| Port {
        number: port.and_then(|port| number(&port, ports)),
        host: host.filter(|host| !host.is_empty()),
    };
    let asks = if let Some(tcp) = probe.tcp_socket {
        Asks::Tcp(port(tcp.port, tcp.host))
    } else if let Some(http) = probe.http_get {
        Asks::Http {
            port: port(http.port, http.host),
            path: http.path.unwrap_or_else(|| "/".to_owned()),
            tls: http.scheme.as_deref() == Some("HTTPS"),
        }
    } else if let Some(grpc) = probe.grpc {
        Asks::Grpc(port(grpc.port, None))
    } else if let Some(exec) = probe.exec {
        Asks::Command(exec.command.iter().map(|word| Text::from(word.as_str())).collect())
    } else {
        Asks::Unknown
    };
    let or = |value: Option<i64>, default: u32| {
        value.map_or(default, |value| u32::try_from(value).unwrap_or(default))
    };
    Probe {
        asks,
        initial_delay_seconds: or(probe.initial_delay_seconds, 0),
        period_seconds: or(probe.period_seconds, 10),
        failure_threshold: or(probe.failure_threshold, 3),
    }
}

fn number(port: &object::NumberOrName, ports: &[object::ContainerPort]) -> Option<u16> {
    match port {
        object::NumberOrName::Number(number) => u16::try_from(*number).ok(),
        object::NumberOrName::Name(name) => {
            let named = ports.iter().find(|port| port.name.as_ref() == Some(name));
            let number = named.map(|port| port.container_port);
            number.map_or_else(|| name.parse().ok(), |number| u16::try_from(number).ok())
        }
    }
}

#[cfg(test)]
mod fake_api;
#[cfg(test)]
#[path = "pods_tests.rs"]
mod tests;

//! The chapters of the silent crash: what was seen, what it was, and how it is provoked again. It knows nothing of how
//! it is told.

use ::tests::{Act, Stage, deaths};
use anyhow::{Context as _, Result};
use rustix::process::Signal;

use super::place::{Place, add_shell, container, folder, in_host_network, signalled, stopped};

pub const OPENING: &str = "A gateway restarts every few seconds in Kubernetes, and `kubectl logs` is empty. It took \
    weeks to find out why: eight causes, one behind the other.";

/// The chapter that is shown with its whole timeline.
pub const WHOLE: u8 = 2;

/// One death.
#[derive(Debug)]
pub struct Chapter {
    pub number: u8,
    /// What its people saw.
    pub seen: &'static str,
    /// What it was.
    pub provoked: &'static str,
    /// The cause that must be named, in a container and in a plain cgroup.
    causes: [&'static str; 2],
    in_container: fn(&Stage) -> Result<Act>,
    in_cgroup: fn(&Stage) -> Result<Act>,
}

impl Chapter {
    /// Sets the stage and says what to run on it.
    pub fn scene(&self, stage: &Stage, place: Place) -> Result<Act> {
        match place {
            Place::Container => (self.in_container)(stage),
            Place::Cgroup => (self.in_cgroup)(stage),
        }
    }

    pub fn cause(&self, place: Place) -> &'static str {
        match place {
            Place::Container => self.causes[0],
            Place::Cgroup => self.causes[1],
        }
    }
}

pub const CHAPTERS: &[Chapter] = &[
    Chapter {
        number: 0,
        seen: "Exit code 137, restarts for ever, no logs; more memory does not help",
        provoked: "The runtime sizes its port table by the limit of open files, before its first word.",
        causes: ["oom_killed"; 2],
        in_container: |stage| container(stage, &["port-table"])?.memory(64 << 20).act(),
        in_cgroup: |stage| of_the_table(stage, "oom_port_table"),
    },
    Chapter {
        number: 1,
        seen: "Completed with exit code 0, over and over",
        provoked: "A supervisor without children runs and does nothing. The liveness probe finds no listener.",
        causes: ["stopped_by_runtime", "killed_by_signal"],
        in_container: |stage| {
            stopped(&container(stage, &["wait-handling", "/ready", "0"])?, &["TERM"])
        },
        in_cgroup: |stage| signalled(stage, &["wait-handling", "0"], &[Signal::TERM]),
    },
    Chapter {
        number: 2,
        seen: "TLS fails, and nobody says why",
        provoked: "The certificate was never made: its folder was quoted once too often, and openssl's words were \
            thrown away.",
        causes: ["file_not_found"; 2],
        in_container: certificate_never_made,
        in_cgroup: |stage| of_the_table(stage, "certificate_never_made"),
    },
    Chapter {
        number: 3,
        seen: "The gateway works, and its pod is killed all the same",
        provoked: "The probes ask for TCP 9443; the gateway speaks QUIC and listens on UDP 9443 alone.",
        causes: ["stopped_by_runtime", "killed_by_signal"],
        in_container: |stage| {
            stopped(&container(stage, &["wait-udp", "/ready", "9443"])?, &["TERM"])
        },
        in_cgroup: |stage| signalled(stage, &["wait-udp", "9443"], &[Signal::TERM]),
    },
    Chapter {
        number: 4,
        seen: "Hangs at start, no logs, exit code 137 that is no memory problem",
        provoked: "A start-up deadlock: the supervisor asked itself. Then SIGTERM, and SIGKILL.",
        causes: ["stopped_by_runtime", "killed_by_signal"],
        in_container: |stage| {
            stopped(&container(stage, &["deadlock", "/ready"])?, &["TERM", "KILL"])
        },
        in_cgroup: |stage| signalled(stage, &["deadlock"], &[Signal::TERM]),
    },
    Chapter {
        number: 5,
        seen: "The image fails on Alpine, though the file is there",
        provoked: "A program built for glibc, in an image without glibc's loader.",
        causes: ["exec_interpreter_missing"; 2],
        in_container: |stage| {
            container(stage, &[])?.with_victim(stage, "resolve", "gateway")?.act()
        },
        in_cgroup: |stage| of_the_table(stage, "exec_loader_missing"),
    },
    Chapter {
        number: 6,
        seen: "Fails at start in the cluster only",
        provoked: "The TLS key is root's alone (mode 0600); the gateway runs as user 1000.",
        causes: ["permission_denied"; 2],
        in_container: |stage| {
            let gateway = container(stage, &["open", "/key.pem"])?;
            gateway.user(1000).with_file("key.pem", "secret\n", 0o600)?.act()
        },
        in_cgroup: |stage| of_the_table(stage, "key_unreadable"),
    },
    Chapter {
        number: 7,
        seen: "Fails at start on one node only",
        provoked: "With hostNetwork, an older gateway on the node still holds the port.",
        causes: ["bind_address_in_use"; 2],
        in_container: port_taken,
        in_cgroup: |stage| of_the_table(stage, "bind_tcp4_taken"),
    },
];

fn of_the_table(stage: &Stage, name: &str) -> Result<Act> {
    let death = deaths::named(name).with_context(|| format!("the table has no {name}"))?;
    (death.scene)(stage)
}

fn certificate_never_made(stage: &Stage) -> Result<Act> {
    let gateway = container(stage, &["gateway", "/etc/tls"])?;
    folder(stage, "etc/tls")?;
    add_shell(stage)?;
    gateway.with_victim(stage, "victim", "bin/openssl")?.act()
}

fn port_taken(stage: &Stage) -> Result<Act> {
    let older = stage.copy("victim", "old-gateway")?;
    let held = stage.bystander(&[&older, "hold", "tcp4", "127.0.0.1"])?;
    let port = held.value.to_string();
    in_host_network(stage, &container(stage, &["bind", "tcp4", "127.0.0.1", &port])?)
}

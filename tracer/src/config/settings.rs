//! The effective settings of `tracer run`: what flags, environment and file say, and defaults. It must not do I/O.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::{Path, PathBuf},
    time::Duration,
};

use regex::bytes::Regex;
use serde::Serialize;
use strsim::levenshtein;
use tracing_subscriber::EnvFilter;

use super::{
    ConfigError,
    choice::{Kubernetes, Listen, Recorder, Stdout},
    layer::Layer,
    quantity::{Size, Span},
};
use crate::node::attribute::{cri::SOCKETS, selection::Selection};

/// Every setting with its effective value. As TOML it can be given back as the file.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Settings {
    /// Empty: the kubepods folders that are found.
    pub cgroup_root: Vec<PathBuf>,
    pub cri_socket: Vec<PathBuf>,
    pub recorder: Recorder,
    pub startup_window: Span,
    pub store: PathBuf,
    pub store_max_size: Size,
    pub store_max_age: Span,
    pub socket: PathBuf,
    pub api_listen: Listen,
    pub metrics_listen: Listen,
    pub pin_dir: PathBuf,
    pub keep_when_stopped: bool,
    pub node_name: String,
    pub kubernetes: Kubernetes,
    pub annotate_pods: bool,
    pub stdout: Stdout,
    pub capture_output: bool,
    pub redact: bool,
    pub redact_pattern: Vec<String>,
    pub log: String,
    /// Never empty. The last one: tables follow all plain values in TOML.
    pub select: Vec<Selection>,
}

/// The least room in which a store is of use.
const LEAST_STORE: Size = Size(crate::node::store::Options::BYTES_MIN);

/// One day, in which most crash loops are looked at.
const DAY: Duration = Duration::from_secs(24 * 3600);

impl Settings {
    /// `flags`: flags, else environment; `file`: path and content; `node_name`: of this machine. The first that
    /// sets something wins; lists are not merged.
    ///
    /// # Errors
    /// The file is no TOML or has an unknown key, or a value makes no sense.
    pub fn resolve(
        flags: &Layer,
        file: Option<(&Path, &str)>,
        node_name: &str,
    ) -> Result<Self, ConfigError> {
        let file = match file {
            Some((path, content)) => read(path, content)?,
            None => Layer::default(),
        };
        let settings = merge(flags.clone(), file, node_name);
        settings.check()?;
        Ok(settings)
    }

    /// As a file for `--config`.
    ///
    /// # Errors
    /// A path is not UTF-8, which TOML cannot express.
    pub fn to_toml(&self) -> Result<String, ConfigError> {
        toml::to_string(self).map_err(|error| ConfigError::Print(error.to_string()))
    }

    fn check(&self) -> Result<(), ConfigError> {
        let wrong = |name, reason: String| Err(ConfigError::Value { name, reason });
        if self.select.is_empty() {
            return wrong("select", "the list is empty: nothing would be watched".to_owned());
        }
        if let Some(address) = self.api_listen.address()
            && !address.ip().is_loopback()
        {
            let reason = format!(
                "{address} is no loopback address: the API shows arguments and output; reach it through a port-forward"
            );
            return wrong("api_listen", reason);
        }
        if self.store_max_size < LEAST_STORE {
            return wrong("store_max_size", format!("{LEAST_STORE} is the least"));
        }
        if self.node_name.is_empty() {
            return wrong("node_name", "it is empty".to_owned());
        }
        for pattern in &self.redact_pattern {
            if let Err(error) = Regex::new(pattern) {
                return wrong("redact_pattern", error.to_string());
            }
        }
        match EnvFilter::try_new(&self.log) {
            Ok(_) => Ok(()),
            Err(error) => wrong("log", format!("`{}`: {error}", self.log)),
        }
    }
}

fn merge(flags: Layer, file: Layer, node_name: &str) -> Settings {
    let on = |ip: IpAddr, port| Listen::At(SocketAddr::new(ip, port));
    Settings {
        cgroup_root: flags.cgroup_root.or(file.cgroup_root).unwrap_or_default(),
        cri_socket: (flags.cri_socket.or(file.cri_socket))
            .unwrap_or_else(|| SOCKETS.map(PathBuf::from).to_vec()),
        recorder: flags.recorder.or(file.recorder).unwrap_or(Recorder::Auto),
        startup_window: (flags.startup_window.or(file.startup_window))
            .unwrap_or(Span(Duration::from_secs(120))),
        store: flags.store.or(file.store).unwrap_or_else(|| "/var/lib/tracer/tracer.db".into()),
        store_max_size: (flags.store_max_size.or(file.store_max_size)).unwrap_or(Size(256 << 20)),
        store_max_age: flags.store_max_age.or(file.store_max_age).unwrap_or(Span(7 * DAY)),
        socket: flags.socket.or(file.socket).unwrap_or_else(|| "/run/tracer/tracer.sock".into()),
        api_listen: (flags.api_listen.or(file.api_listen))
            .unwrap_or(on(Ipv4Addr::LOCALHOST.into(), 9468)),
        metrics_listen: (flags.metrics_listen.or(file.metrics_listen))
            .unwrap_or(on(Ipv6Addr::UNSPECIFIED.into(), 9469)),
        pin_dir: flags.pin_dir.or(file.pin_dir).unwrap_or_else(|| "/sys/fs/bpf/tracer".into()),
        keep_when_stopped: flags.keep_when_stopped.or(file.keep_when_stopped).unwrap_or(false),
        node_name: flags.node_name.or(file.node_name).unwrap_or_else(|| node_name.to_owned()),
        kubernetes: flags.kubernetes.or(file.kubernetes).unwrap_or(Kubernetes::Auto),
        annotate_pods: flags.annotate_pods.or(file.annotate_pods).unwrap_or(false),
        stdout: flags.stdout.or(file.stdout).unwrap_or(Stdout::Events),
        capture_output: flags.capture_output.or(file.capture_output).unwrap_or(true),
        redact: flags.redact.or(file.redact).unwrap_or(true),
        redact_pattern: flags.redact_pattern.or(file.redact_pattern).unwrap_or_default(),
        log: flags.log.or(file.log).unwrap_or_else(|| "info".to_owned()),
        select: flags.select.or(file.select).unwrap_or_else(|| vec![Selection::gateway()]),
    }
}

/// Unknown keys are looked for first, so that a slip of the pen is answered by the key that was meant.
fn read(path: &Path, content: &str) -> Result<Layer, ConfigError> {
    let bad = |error: toml::de::Error| ConfigError::Parse(path.to_owned(), error.to_string());
    let table: toml::Table = content.parse().map_err(bad)?;
    let known = keys();
    if let Some(key) = table.keys().find(|key| !known.contains(key)) {
        let nearest = known.iter().min_by_key(|known| levenshtein(key, known));
        let near = nearest.filter(|known| levenshtein(key, known) <= known.len() / 2);
        return Err(ConfigError::UnknownKey {
            file: path.to_owned(),
            key: key.clone(),
            hint: match near {
                Some(near) => format!("`{near}` is the nearest that is known"),
                None => format!("known are {}", known.join(", ")),
            },
        });
    }
    toml::from_str(content).map_err(bad)
}

/// The names of all settings, as the command line's definition has them.
fn keys() -> Vec<String> {
    let command = <Layer as clap::Args>::augment_args(clap::Command::new(""));
    command.get_arguments().map(|argument| argument.get_id().to_string()).collect()
}

#[cfg(test)]
#[path = "settings_tests.rs"]
mod tests;

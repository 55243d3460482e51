//! Settings of `tracer run` as one source gives them, flags with environment or the file: each may be missing.
//! Names are the same everywhere: `--store-max-age`, `TRACER_STORE_MAX_AGE`, `store_max_age`. It must not know defaults.

use std::path::PathBuf;

use clap::{ArgAction, builder::BoolishValueParser};
use serde::Deserialize;

use super::{
    choice::{Kubernetes, Listen, Recorder, Stdout},
    quantity::{Size, Span},
};
use crate::node::attribute::selection::Selection;

/// What one source sets. In the environment, items of a list are separated by line ends.
#[derive(Clone, Debug, Default, PartialEq, clap::Args, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Layer {
    /// Watch these pods: a namespace (`*` for all) and Kubernetes label selector; may be repeated
    /// [default: app=macula-gateway]
    #[arg(long, env = "TRACER_SELECT", value_name = "[NAMESPACE:]LABELS", value_delimiter = '\n')]
    pub select: Option<Vec<Selection>>,
    /// Watch containers below this cgroup instead of the kubepods folders that are found; may be repeated
    #[arg(long, env = "TRACER_CGROUP_ROOT", value_name = "FOLDER", value_delimiter = '\n')]
    pub cgroup_root: Option<Vec<PathBuf>>,
    /// Ask the container runtime at this socket; may be repeated
    /// [default: those of containerd, CRI-O, k3s and cri-dockerd]
    #[arg(long, env = "TRACER_CRI_SOCKET", value_name = "SOCKET", value_delimiter = '\n')]
    pub cri_socket: Option<Vec<PathBuf>>,
    /// When failed system calls are recorded [default: auto]
    #[arg(long, env = "TRACER_RECORDER", value_enum)]
    pub recorder: Option<Recorder>,
    /// How long after a container's start its failed system calls are recorded [default: 120s]
    #[arg(long, env = "TRACER_STARTUP_WINDOW", value_name = "DURATION")]
    pub startup_window: Option<Span>,
    /// The file of the store [default: /var/lib/tracer/tracer.db]
    #[arg(long, env = "TRACER_STORE", value_name = "FILE")]
    pub store: Option<PathBuf>,
    /// Drop the oldest where the store takes more room than this [default: 256MiB]
    #[arg(long, env = "TRACER_STORE_MAX_SIZE", value_name = "SIZE")]
    pub store_max_size: Option<Size>,
    /// Drop what is older than this [default: 7d]
    #[arg(long, env = "TRACER_STORE_MAX_AGE", value_name = "DURATION")]
    pub store_max_age: Option<Span>,
    /// Serve the API at this unix socket [default: /run/tracer/tracer.sock]
    #[arg(long, env = "TRACER_SOCKET", value_name = "SOCKET")]
    pub socket: Option<PathBuf>,
    /// Serve the API at this loopback address too, or `off` [default: 127.0.0.1:9468]
    #[arg(long, env = "TRACER_API_LISTEN", value_name = "ADDRESS")]
    pub api_listen: Option<Listen>,
    /// Serve /metrics, /live and /ready at this address, or `off` [default: [::]:9469]
    #[arg(long, env = "TRACER_METRICS_LISTEN", value_name = "ADDRESS")]
    pub metrics_listen: Option<Listen>,
    /// The folder, in a BPF file system, of what outlives a restart [default: /sys/fs/bpf/tracer]
    #[arg(long, env = "TRACER_PIN_DIR", value_name = "FOLDER")]
    pub pin_dir: Option<PathBuf>,
    /// Leave the programs in the kernel at the end, for a later agent [default: false]
    #[arg(
        long,
        env = "TRACER_KEEP_WHEN_STOPPED",
        value_name = "BOOL",
        action = ArgAction::Set,
        value_parser = BoolishValueParser::new(),
        num_args = 0..=1,
        default_missing_value = "true"
    )]
    pub keep_when_stopped: Option<bool>,
    /// The name of this node [default: $NODE_NAME, else the host's name]
    #[arg(long, env = "TRACER_NODE_NAME", value_name = "NAME")]
    pub node_name: Option<String>,
    /// Ask the Kubernetes API by this kubeconfig file; `auto`: in a pod, as its service account; or `off` [default: auto]
    #[arg(long, env = "TRACER_KUBERNETES", value_name = "FILE")]
    pub kubernetes: Option<Kubernetes>,
    /// Annotate pods with their last crash, which needs the permission to patch pods [default: false]
    #[arg(
        long,
        env = "TRACER_ANNOTATE_PODS",
        value_name = "BOOL",
        action = ArgAction::Set,
        value_parser = BoolishValueParser::new(),
        num_args = 0..=1,
        default_missing_value = "true"
    )]
    pub annotate_pods: Option<bool>,
    /// What to print on stdout [default: events]
    #[arg(long, env = "TRACER_STDOUT", value_enum)]
    pub stdout: Option<Stdout>,
    /// Keep the last bytes that containers print [default: true]
    #[arg(
        long,
        env = "TRACER_CAPTURE_OUTPUT",
        value_name = "BOOL",
        action = ArgAction::Set,
        value_parser = BoolishValueParser::new(),
        num_args = 0..=1,
        default_missing_value = "true"
    )]
    pub capture_output: Option<bool>,
    /// Take secrets of well-known shapes out of arguments and output [default: true]
    #[arg(
        long,
        env = "TRACER_REDACT",
        value_name = "BOOL",
        action = ArgAction::Set,
        value_parser = BoolishValueParser::new(),
        num_args = 0..=1,
        default_missing_value = "true"
    )]
    pub redact: Option<bool>,
    /// Take out what this regular expression matches too, or its first group; may be repeated
    #[arg(long, env = "TRACER_REDACT_PATTERN", value_name = "REGEX", value_delimiter = '\n')]
    pub redact_pattern: Option<Vec<String>>,
    /// What to log on stderr, by level or as in RUST_LOG [default: info]
    #[arg(long, env = "TRACER_LOG", value_name = "FILTER")]
    pub log: Option<String>,
}

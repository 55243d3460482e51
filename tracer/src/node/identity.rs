//! Who a container is: what attribution found out about a cgroup. It must not do I/O, or know how it was found out.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A container and the pod that it belongs to. Fields are `None` where nothing told them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Identity {
    /// Whole id, as in the cgroup's path: 64 hexadecimal digits for containerd and CRI-O.
    pub container_id: String,
    pub container_name: Option<String>,
    /// As it was asked for, `registry/name:tag`.
    pub image: Option<String>,
    /// What it resolved to: a digest.
    pub image_id: Option<String>,
    /// Containers of this name that this pod had before: the restart count.
    pub attempt: Option<u32>,
    pub pod_name: Option<String>,
    pub pod_uid: Option<String>,
    pub namespace: Option<String>,
    /// The pod's labels.
    pub labels: BTreeMap<String, String>,
    /// `containerd`, `cri-o`
    pub runtime: Option<String>,
    pub node: Option<String>,
    pub source: Source,
    /// What attribution could not tell, in words.
    pub lacks: Option<String>,
}

/// What told who a container is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// The container runtime, by its CRI socket.
    Cri,
    /// Only the spelling of the cgroup's path: no names.
    #[default]
    Path,
}

impl Identity {
    /// The id of a crash: the first 12 digits of the container's.
    pub fn short_id(&self) -> &str {
        self.container_id.get(..12).unwrap_or(&self.container_id)
    }
}

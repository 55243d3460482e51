//! Who a container is: what attribution found out about a cgroup. It must not do I/O, or know how it was found out.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

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

    /// By OpenTelemetry's `container.*` names.
    pub fn container(&self) -> Value {
        let mut image = Map::new();
        put(&mut image, "name", self.image.as_deref());
        put(&mut image, "id", self.image_id.as_deref());
        let mut runtime = Map::new();
        put(&mut runtime, "name", self.runtime.as_deref());
        let mut out = Map::new();
        out.insert("id".to_owned(), self.container_id.clone().into());
        put(&mut out, "name", self.container_name.as_deref());
        put_object(&mut out, "image", image);
        put_object(&mut out, "runtime", runtime);
        Value::Object(out)
    }

    /// By OpenTelemetry's `k8s.*` names, and `attribution`: what told it. Null where no pod is known.
    pub fn k8s(&self) -> Value {
        if self.pod_uid.is_none() && self.pod_name.is_none() {
            return Value::Null;
        }
        let name = |value: Option<&str>| {
            let mut out = Map::new();
            put(&mut out, "name", value);
            out
        };
        let mut pod = name(self.pod_name.as_deref());
        put(&mut pod, "uid", self.pod_uid.as_deref());
        if !self.labels.is_empty() {
            let labels =
                self.labels.iter().map(|(key, value)| (key.clone(), value.as_str().into()));
            pod.insert("labels".to_owned(), Value::Object(labels.collect()));
        }
        let mut container = name(self.container_name.as_deref());
        if let Some(attempt) = self.attempt {
            container.insert("restart_count".to_owned(), attempt.into());
        }
        let mut attribution = Map::new();
        let source = match self.source {
            Source::Cri => "cri",
            Source::Path => "path",
        };
        put(&mut attribution, "source", Some(source));
        put(&mut attribution, "lacks", self.lacks.as_deref());
        let mut out = Map::new();
        put_object(&mut out, "namespace", name(self.namespace.as_deref()));
        put_object(&mut out, "pod", pod);
        put_object(&mut out, "container", container);
        put_object(&mut out, "node", name(self.node.as_deref()));
        put_object(&mut out, "attribution", attribution);
        Value::Object(out)
    }
}

fn put(map: &mut Map<String, Value>, key: &str, value: Option<&str>) {
    if let Some(value) = value {
        map.insert(key.to_owned(), value.into());
    }
}

fn put_object(map: &mut Map<String, Value>, key: &str, value: Map<String, Value>) {
    if !value.is_empty() {
        map.insert(key.to_owned(), Value::Object(value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gateway() -> Identity {
        Identity {
            container_id: "0123456789abcdef".to_owned(),
            container_name: Some("gateway".to_owned()),
            image: Some("localhost/gateway:1".to_owned()),
            attempt: Some(3),
            pod_name: Some("gateway-0".to_owned()),
            pod_uid: Some("1-2".to_owned()),
            namespace: Some("macula-system".to_owned()),
            labels: [("app".to_owned(), "macula-gateway".to_owned())].into(),
            node: Some("node1".to_owned()),
            source: Source::Cri,
            ..Identity::default()
        }
    }

    #[test]
    fn a_pod_is_shown_by_the_names_of_open_telemetry() {
        let expect = serde_json::json!({
            "namespace": {"name": "macula-system"},
            "pod": {"name": "gateway-0", "uid": "1-2", "labels": {"app": "macula-gateway"}},
            "container": {"name": "gateway", "restart_count": 3},
            "node": {"name": "node1"},
            "attribution": {"source": "cri"},
        });
        assert_eq!(gateway().k8s(), expect);
        assert_eq!(gateway().container()["image"]["name"], "localhost/gateway:1");
    }

    #[test]
    fn a_container_without_a_pod_has_no_k8s() {
        let alone = Identity { container_id: "ab".to_owned(), ..Identity::default() };
        assert_eq!(alone.k8s(), Value::Null);
        assert_eq!(alone.short_id(), "ab");
    }
}

//! Whose an event or a crash is, by OpenTelemetry's `container.*` and `k8s.*` names. Fields are left out where nothing
//! told them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::node::identity::{Identity, Source};

/// A container.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Container {
    /// Whole id.
    pub id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<Image>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runtime: Option<Named>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Image {
    /// As it was asked for, `registry/name:tag`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What it resolved to: a digest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Named {
    pub name: String,
}

/// A pod and what it belongs to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct K8s {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<Named>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod: Option<Pod>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub container: Option<PodContainer>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node: Option<Named>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attribution: Option<Attribution>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Pod {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uid: Option<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}

/// A container as its pod names it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PodContainer {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restart_count: Option<u32>,
}

/// What told whose it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Attribution {
    /// `cri` or `path`.
    pub source: String,
    /// What could not be told, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lacks: Option<String>,
}

impl Container {
    pub fn of(identity: &Identity) -> Self {
        let (name, id) = (identity.image.clone(), identity.image_id.clone());
        Self {
            id: identity.container_id.clone(),
            name: identity.container_name.clone(),
            image: (name.is_some() || id.is_some()).then_some(Image { name, id }),
            runtime: named(&identity.runtime),
        }
    }
}

impl K8s {
    /// `None` where no pod is known.
    pub fn of(identity: &Identity) -> Option<Self> {
        if identity.pod_uid.is_none() && identity.pod_name.is_none() {
            return None;
        }
        let (name, restart_count) = (identity.container_name.clone(), identity.attempt);
        let container = PodContainer { name, restart_count };
        let source = match identity.source {
            Source::Cri => "cri",
            Source::Path => "path",
        };
        Some(Self {
            namespace: named(&identity.namespace),
            pod: Some(Pod {
                name: identity.pod_name.clone(),
                uid: identity.pod_uid.clone(),
                labels: identity.labels.clone(),
            }),
            container: (container != PodContainer::default()).then_some(container),
            node: named(&identity.node),
            attribution: Some(Attribution {
                source: source.to_owned(),
                lacks: identity.lacks.clone(),
            }),
        })
    }

    pub fn namespace_name(&self) -> Option<&str> {
        Some(&self.namespace.as_ref()?.name)
    }

    pub fn pod_name(&self) -> Option<&str> {
        self.pod.as_ref()?.name.as_deref()
    }

    pub fn container_name(&self) -> Option<&str> {
        self.container.as_ref()?.name.as_deref()
    }

    /// How often the container was restarted.
    pub fn restart_count(&self) -> Option<u32> {
        self.container.as_ref()?.restart_count
    }

    pub fn node_name(&self) -> Option<&str> {
        Some(&self.node.as_ref()?.name)
    }

    /// Of a node, of which nothing else is known here.
    pub fn of_node(name: &str) -> Self {
        Self { node: Some(Named { name: name.to_owned() }), ..Self::default() }
    }
}

fn named(name: &Option<String>) -> Option<Named> {
    name.clone().map(|name| Named { name })
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
        assert_eq!(serde_json::to_value(K8s::of(&gateway())).unwrap(), expect);
        let expect = serde_json::json!({
            "id": "0123456789abcdef", "name": "gateway", "image": {"name": "localhost/gateway:1"},
        });
        assert_eq!(serde_json::to_value(Container::of(&gateway())).unwrap(), expect);
    }

    #[test]
    fn a_container_without_a_pod_has_no_k8s() {
        let alone = Identity { container_id: "ab".to_owned(), ..Identity::default() };
        assert_eq!(K8s::of(&alone), None);
    }
}

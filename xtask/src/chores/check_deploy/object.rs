//! Objects of Kubernetes as `kubectl kustomize` prints them, with the few parts that rules look at.
//! It knows no rule.

use std::fmt;

use anyhow::{Context as _, Result};
use serde_json::{Map, Value};

/// One object, whatever its kind.
#[derive(Debug, Clone, PartialEq)]
pub struct Object(pub Value);

/// The pod that an object is, or makes by its template.
#[derive(Debug, Clone, Copy)]
pub struct Pod<'a> {
    pub made_by: &'a Object,
    pub labels: &'a Value,
    pub annotations: &'a Value,
    pub spec: &'a Value,
}

/// All objects of a stream of YAML documents.
pub fn parse(yaml: &str) -> Result<Vec<Object>> {
    let documents: Vec<Value> = serde_saphyr::from_multiple(yaml).context("this is no YAML")?;
    Ok(documents.into_iter().filter(|document| !document.is_null()).map(Object).collect())
}

impl Object {
    pub fn kind(&self) -> &str {
        text(&self.0["kind"])
    }

    /// Empty for the core group.
    pub fn group(&self) -> &str {
        text(&self.0["apiVersion"]).split_once('/').map_or("", |(group, _)| group)
    }

    pub fn version(&self) -> &str {
        let version = text(&self.0["apiVersion"]);
        version.split_once('/').map_or(version, |(_, version)| version)
    }

    /// Defined by something that is installed beside Kubernetes: the groups of Kubernetes itself have no dot,
    /// or are its own domain.
    pub fn is_custom(&self) -> bool {
        self.group().contains('.') && !self.group().ends_with(".k8s.io")
    }

    /// Empty for an object of the whole cluster.
    pub fn namespace(&self) -> &str {
        text(&self.0["metadata"]["namespace"])
    }

    pub fn name(&self) -> &str {
        text(&self.0["metadata"]["name"])
    }

    pub fn labels(&self) -> &Value {
        &self.0["metadata"]["labels"]
    }

    pub fn spec(&self) -> &Value {
        &self.0["spec"]
    }

    pub fn is(&self, kind: &str, namespace: &str, name: &str) -> bool {
        (self.kind(), self.namespace(), self.name()) == (kind, namespace, name)
    }

    pub fn pod(&self) -> Option<Pod<'_>> {
        let pod = match self.kind() {
            "Pod" => &self.0,
            "Deployment" | "DaemonSet" | "StatefulSet" | "ReplicaSet" | "Job" => {
                &self.0["spec"]["template"]
            }
            "CronJob" => &self.0["spec"]["jobTemplate"]["spec"]["template"],
            _ => return None,
        };
        Some(Pod {
            made_by: self,
            labels: &pod["metadata"]["labels"],
            annotations: &pod["metadata"]["annotations"],
            spec: &pod["spec"],
        })
    }
}

impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let slash = if self.namespace().is_empty() { "" } else { "/" };
        write!(f, "{} {}{slash}{}", self.kind(), self.namespace(), self.name())
    }
}

impl<'a> Pod<'a> {
    pub fn namespace(&self) -> &'a str {
        self.made_by.namespace()
    }

    /// All containers, those that only start it too.
    pub fn containers(&self) -> impl Iterator<Item = &'a Value> + use<'a> {
        let spec = self.spec;
        ["initContainers", "containers", "ephemeralContainers"]
            .into_iter()
            .flat_map(move |field| list(&spec[field]))
    }

    pub fn volumes(&self) -> impl Iterator<Item = &'a Value> + use<'a> {
        list(&self.spec["volumes"]).iter()
    }
}

/// All pods of some objects.
pub fn pods(objects: &[Object]) -> impl Iterator<Item = Pod<'_>> {
    objects.iter().filter_map(Object::pod)
}

/// Whether a selector's labels are all among a pod's. One without labels selects everything.
pub fn selects(selector: &Value, labels: &Value) -> bool {
    map(selector).iter().all(|(name, value)| labels.get(name) == Some(value))
}

pub fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

pub fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

pub fn map(value: &Value) -> &Map<String, Value> {
    static NONE: std::sync::OnceLock<Map<String, Value>> = std::sync::OnceLock::new();
    value.as_object().unwrap_or_else(|| NONE.get_or_init(Map::new))
}

/// What objects of a test are written as.
#[cfg(test)]
pub fn objects(yaml: &str) -> Vec<Object> {
    parse(yaml).unwrap()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_of_a_stream_are_parsed_one_by_one() {
        let found = objects(
            "apiVersion: v1\nkind: Namespace\nmetadata: {name: a}\n---\n\
             apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d, namespace: a}\n\
             spec: {template: {metadata: {labels: {app: d}}, spec: {containers: [{name: c}]}}}\n",
        );
        assert_eq!(found[0].to_string(), "Namespace a");
        assert_eq!(found[1].to_string(), "Deployment a/d");
        assert_eq!((found[1].group(), found[1].version()), ("apps", "v1"));
        assert_eq!(found[1].pod().unwrap().containers().count(), 1);
        assert!(found[0].pod().is_none());
    }

    #[test]
    fn a_selector_fits_when_all_its_labels_do() {
        let labels = serde_json::json!({"a": "1", "b": "2"});
        assert!(selects(&serde_json::json!({"a": "1"}), &labels));
        assert!(!selects(&serde_json::json!({"a": "1", "b": "1"}), &labels));
    }

    #[test]
    fn kinds_of_others_are_told_from_those_of_kubernetes() {
        for (version, custom) in
            [("v1", false), ("policy/v1", false), ("networking.k8s.io/v1", false)]
                .into_iter()
                .chain([("monitoring.coreos.com/v1", true), ("cert-manager.io/v1", true)])
        {
            let object = Object(serde_json::json!({"apiVersion": version}));
            assert_eq!(object.is_custom(), custom, "{version}");
        }
    }
}

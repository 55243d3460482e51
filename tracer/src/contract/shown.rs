//! As much of crash objects and explanations as clients show: nothing else is read, so that what an agent of another
//! version says besides, or does not say, breaks no client. It must not know how it is shown.

use serde::Deserialize;

use super::{
    crash::{CrashObject, Evidence},
    explanation::Changes,
    owner::{Container, K8s, Named, PodContainer},
};

/// A crash object with what is shown of its crash.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Shown<C> {
    pub crash: C,
    #[serde(default)]
    container: Option<Called>,
    #[serde(default)]
    k8s: Option<Whose>,
}

/// Of a crash in a list; see [`super::Crash`]. What is not said is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct ListedCrash {
    pub id: String,
    pub time: String,
    pub cause: String,
    pub summary: String,
}

/// Of a crash that is explained; see [`super::Crash`]. What is not said is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct ExplainedCrash {
    pub id: String,
    pub time: String,
    pub cause: String,
    pub confidence: String,
    pub summary: String,
    pub evidence: Vec<Evidence>,
    pub next_step: String,
}

/// See [`super::Explanation`].
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct ShownExplanation {
    #[serde(flatten)]
    pub object: Shown<ExplainedCrash>,
    #[serde(default)]
    pub changes: Option<Changes>,
}

/// See [`K8s`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
struct Whose {
    namespace: Option<Named>,
    pod: Option<Called>,
    container: Option<PodContainer>,
    node: Option<Named>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
struct Called {
    name: Option<String>,
}

/// By which names people know whose something is. `None` where nothing told them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Names<'a> {
    pub namespace: Option<&'a str>,
    pub pod: Option<&'a str>,
    /// By its pod, or else by its runtime.
    pub container: Option<&'a str>,
    /// How often the container was restarted.
    pub restarts: Option<u32>,
    pub node: Option<&'a str>,
}

impl<'a> Names<'a> {
    pub fn of(k8s: Option<&'a K8s>, container: Option<&'a Container>) -> Self {
        let of_runtime = || container.and_then(|container| container.name.as_deref());
        Self {
            namespace: k8s.and_then(K8s::namespace_name),
            pod: k8s.and_then(K8s::pod_name),
            container: k8s.and_then(K8s::container_name).or_else(of_runtime),
            restarts: k8s.and_then(K8s::restart_count),
            node: k8s.and_then(K8s::node_name),
        }
    }
}

impl CrashObject {
    pub fn names(&self) -> Names<'_> {
        Names::of(self.k8s.as_ref(), self.container.as_ref())
    }
}

impl<C> Shown<C> {
    pub fn names(&self) -> Names<'_> {
        let of_runtime = || self.container.as_ref().and_then(|container| container.name.as_deref());
        let Some(k8s) = &self.k8s else {
            return Names { container: of_runtime(), ..Names::default() };
        };
        let container = k8s.container.as_ref();
        Names {
            namespace: k8s.namespace.as_ref().map(|namespace| namespace.name.as_str()),
            pod: k8s.pod.as_ref().and_then(|pod| pod.name.as_deref()),
            container: container.and_then(|it| it.name.as_deref()).or_else(of_runtime),
            restarts: container.and_then(|container| container.restart_count),
            node: k8s.node.as_ref().map(|node| node.name.as_str()),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::{contract::crash_object, render::samples};

    /// As an agent of this version says it.
    fn told() -> Value {
        let (timeline, facts, verdict) = samples::missing_file();
        let mut object = crash_object("0123456789ab", &timeline, &facts, &verdict);
        let k8s = json!({
            "namespace": {"name": "shop"}, "pod": {"name": "cart-0", "labels": {"app": "cart"}},
            "container": {"restart_count": 2}, "node": {"name": "node1"},
        });
        object.k8s = serde_json::from_value(k8s).unwrap();
        object.container =
            Some(Container { name: Some("cart".to_owned()), ..Container::default() });
        serde_json::to_value(object).unwrap()
    }

    fn shown(json: &Value) -> (Shown<ListedCrash>, ShownExplanation) {
        (Shown::deserialize(json).unwrap(), ShownExplanation::deserialize(json).unwrap())
    }

    #[test]
    fn what_is_shown_is_what_was_told() {
        let (listed, explained) = shown(&told());
        let object: CrashObject = serde_json::from_value(told()).unwrap();
        assert_eq!(listed.names(), object.names());
        assert_eq!(explained.object.names(), object.names());
        assert_eq!((listed.names().container, listed.names().restarts), (Some("cart"), Some(2)));
        let (crash, whole) = (explained.object.crash, object.crash);
        assert_eq!(
            (&crash.id, &crash.time, &crash.cause, &crash.confidence, &crash.summary),
            (&whole.id, &whole.time, &whole.cause, &whole.confidence, &whole.summary)
        );
        assert_eq!((crash.evidence, crash.next_step), (whole.evidence, whole.next_step));
        assert_eq!(listed.crash.summary, whole.summary);
    }

    #[test]
    fn what_is_not_shown_may_be_anything() {
        let mut other = told();
        for place in ["/process", "/exit", "/lost", "/timeline", "/crash/process", "/crash/details"]
        {
            *other.pointer_mut(place).unwrap() = json!(["of a later version"]);
        }
        other["k8s"]["pod"]["labels"] = json!([1]);
        other["crash"]["mood"] = json!("good");
        other["schema"] = json!("2");
        assert_eq!(shown(&other), shown(&told()));
    }

    #[test]
    fn what_is_missing_is_empty() {
        let (listed, explained) = shown(&json!({"crash": {"id": "ab"}, "k8s": null}));
        assert_eq!((listed.crash.id.as_str(), listed.crash.cause.as_str()), ("ab", ""));
        assert_eq!((explained.object.names(), explained.changes), (Names::default(), None));
        assert!(Shown::<ListedCrash>::deserialize(&json!({"time": "10:00"})).is_err());
    }
}

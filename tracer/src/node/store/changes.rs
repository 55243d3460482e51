//! What is different from the last life of the same workload that lasted. It must not write.

use std::collections::BTreeMap;

use serde_json::Map;

use super::{Life, Reader, StoreError, StoredCrash, lives};
use crate::contract::{Change, Changes, rfc3339};

impl Changes {
    /// From a life that lasted to one that did not.
    pub fn between(lasting: &Life, crashed: &Life) -> Self {
        let (from, to) = (&lasting.identity, &crashed.identity);
        let cause = |life: &Life| life.end.as_ref().map(|end| end.cause.clone());
        Self {
            container_id: from.short_id().to_owned(),
            pod: from.pod_name.clone(),
            began: rfc3339(0, lasting.began_ns),
            ended: lasting.end.as_ref().map(|end| rfc3339(0, end.time_ns)),
            image: change(&from.image, &to.image),
            image_id: change(&from.image_id, &to.image_id),
            memory_limit_bytes: change(&lasting.memory_limit_bytes, &crashed.memory_limit_bytes),
            command: change(&lasting.command, &crashed.command),
            node: change(&from.node, &to.node),
            cause: change(&cause(lasting), &cause(crashed)),
            others: Map::new(),
        }
    }

    /// Nothing that is known is different but the cause.
    pub fn is_empty(&self) -> bool {
        self.image.is_none()
            && self.image_id.is_none()
            && self.memory_limit_bytes.is_none()
            && self.command.is_none()
            && self.node.is_none()
            && self.others.is_empty()
    }
}

/// A life that lasted so long was not the crash loop.
const LASTING_NS: i64 = 120_000_000_000;
/// Lives of a workload that are looked at, newest first: what lasted before thousands that did not is no comparison.
const LIVES_MAX: usize = 5000;

impl Reader {
    /// The last life of the same workload (namespace, container name, and pod or labels) that lasted: at least 120 s,
    /// or until an end that was no crash; and what is different since. `None` where there is none.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn changes(&self, crash: &StoredCrash) -> Result<Option<Changes>, StoreError> {
        let lives = |rest: &str, values: &[&dyn rusqlite::ToSql]| {
            lives::select(&self.connection, rest, values)
        };
        let Some(crashed) = lives("id = ?1", &[&crash.life])?.pop() else { return Ok(None) };
        let lasted = format!(
            "namespace = ?1 AND container = ?2 AND began_ns < ?3
                AND (coalesce(ended_ns, ?3) - began_ns >= {LASTING_NS} OR cause = 'none')
            ORDER BY began_ns DESC LIMIT {LIVES_MAX}"
        );
        let identity = &crashed.identity;
        let earlier =
            lives(&lasted, &[&identity.namespace, &identity.container_name, &crashed.began_ns])?;
        let lasting = earlier.into_iter().find(|life| is_same_workload(life, &crashed));
        Ok(lasting.map(|lasting| Changes::between(&lasting, &crashed)))
    }
}

/// The same pod, or one with the same labels but for those that tell one pod of a workload, or one of its versions,
/// from another.
fn is_same_workload(one: &Life, other: &Life) -> bool {
    let (one, other) = (&one.identity, &other.identity);
    if one.pod_name.is_some() && one.pod_name == other.pod_name {
        return true;
    }
    let labels = workload_labels(&one.labels);
    !labels.is_empty() && labels == workload_labels(&other.labels)
}

fn workload_labels(labels: &BTreeMap<String, String>) -> BTreeMap<&str, &str> {
    let pairs = labels.iter().map(|(key, value)| (key.as_str(), value.as_str()));
    pairs.filter(|(key, _)| !POD_LABELS.contains(key)).collect()
}

/// Set by the controllers of Kubernetes (pkg/apis/apps, pkg/apis/batch).
const POD_LABELS: [&str; 10] = [
    "apps.kubernetes.io/pod-index",
    "batch.kubernetes.io/controller-uid",
    "batch.kubernetes.io/job-completion-index",
    "batch.kubernetes.io/job-name",
    "controller-revision-hash",
    "controller-uid",
    "job-name",
    "pod-template-generation",
    "pod-template-hash",
    "statefulset.kubernetes.io/pod-name",
];

fn change<T: Clone + PartialEq>(from: &T, to: &T) -> Option<Change<T>> {
    (from != to).then(|| Change { from: from.clone(), to: to.clone() })
}

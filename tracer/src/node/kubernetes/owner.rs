//! Whether the agent's own DaemonSet still is there: where another agent is to come, what is in the kernel waits for it; where
//! none is, nothing may stay. It must not remove anything.

use std::{
    env,
    sync::{Arc, OnceLock},
    time::Duration,
};

use kube::{
    Client, Error,
    api::{GetParams, PostParams},
    core::Request,
};
use serde::Deserialize;
use serde_json::json;
use tokio::{task::JoinSet, time};

use super::is_ending_namespace;

/// Whether to be told so long at the agent's end.
const ANSWER: Duration = Duration::from_secs(2);
/// How long until an API that did not answer at the start is asked again.
const AGAIN: Duration = Duration::from_secs(60);

/// What of an object is looked at.
#[derive(Debug, Default, Deserialize)]
struct Object {
    #[serde(default)]
    metadata: Metadata,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Metadata {
    deletion_timestamp: Option<String>,
    owner_references: Vec<Reference>,
}

#[derive(Debug, Deserialize)]
struct Reference {
    kind: String,
    name: String,
}

/// The DaemonSet of the agent's pod. Only one that could be seen can be missed.
pub struct Owner {
    client: Client,
    namespace: String,
    name: Arc<OnceLock<String>>,
    /// Ends with it.
    _looking: JoinSet<()>,
}

impl Owner {
    /// Looks who it is, within a tokio runtime, without making anybody wait. `None` in no pod: its names come by the
    /// downward API, `POD_NAMESPACE` and `POD_NAME`.
    pub fn start(client: Client) -> Option<Self> {
        let of = |name| env::var(name).ok().filter(|value| !value.is_empty());
        Some(Self::of(client, of("POD_NAMESPACE")?, of("POD_NAME")?))
    }

    fn of(client: Client, namespace: String, pod: String) -> Self {
        let name = Arc::new(OnceLock::new());
        let mut looking = JoinSet::new();
        looking.spawn(look(client.clone(), namespace.clone(), pod, name.clone()));
        Self { client, namespace, name, _looking: looking }
    }

    /// Why no other agent will come; `None` where one may, or where that is not known.
    pub async fn is_gone(&self) -> Option<&'static str> {
        let name = self.name.get()?;
        time::timeout(ANSWER, self.ask(name)).await.ok().flatten()
    }

    async fn ask(&self, name: &str) -> Option<&'static str> {
        match get(&self.client, &daemonsets(&self.namespace), name).await {
            Ok(daemonset) if daemonset.metadata.deletion_timestamp.is_some() => {
                return Some("its DaemonSet is being deleted");
            }
            Ok(_) => {}
            Err(Error::Api(status)) if status.code == 404 => {
                return Some("its DaemonSet is deleted");
            }
            // Whoever removes the agent removes its permissions with it: it had them before.
            Err(Error::Api(status)) if matches!(status.code, 401 | 403) => {
                return Some("its permissions were withdrawn");
            }
            Err(_) => return None,
        }
        // A namespace is deleted with its pods first, and the agent may not look at it: but nothing can be created in it then.
        match self.try_event().await {
            Err(Error::Api(status)) if is_ending_namespace(&status) => {
                Some("its namespace is being deleted")
            }
            _ => None,
        }
    }

    async fn try_event(&self) -> Result<(), Error> {
        let metadata = json!({"generateName": "macula-tracer-", "namespace": self.namespace});
        let object = json!({"kind": "Pod", "namespace": self.namespace});
        let event = json!({"metadata": metadata, "involvedObject": object, "reason": "Stopping"});
        let dry_run = PostParams { dry_run: true, ..PostParams::default() };
        let events = Request::new(format!("/api/v1/namespaces/{}/events", self.namespace));
        let request = events.create(&dry_run, event.to_string().into_bytes());
        self.client.request_text(request.map_err(Error::BuildRequest)?).await.map(drop)
    }
}

/// Until it is known, or cannot be.
async fn look(client: Client, namespace: String, pod: String, name: Arc<OnceLock<String>>) {
    loop {
        match find(&client, &namespace, &pod).await {
            Ok(Some(found)) => {
                tracing::debug!(daemonset = found, "this agent's DaemonSet");
                name.get_or_init(|| found);
                return;
            }
            Ok(None) => return tracing::debug!("this agent belongs to no DaemonSet"),
            Err(Error::Api(status)) if (400..500).contains(&status.code) && status.code != 429 => {
                return tracing::info!(
                    error = status.message,
                    "this agent may not look at its DaemonSet: what it keeps in the kernel stays when that is deleted"
                );
            }
            Err(error) => {
                tracing::debug!(%error, "the Kubernetes API is asked for the DaemonSet later")
            }
        }
        time::sleep(AGAIN).await;
    }
}

async fn find(client: &Client, namespace: &str, pod: &str) -> Result<Option<String>, Error> {
    let pods = Request::new(format!("/api/v1/namespaces/{namespace}/pods"));
    let pod = get(client, &pods, pod).await?;
    let mut owners = pod.metadata.owner_references.into_iter();
    let Some(owner) = owners.find(|owner| owner.kind == "DaemonSet") else { return Ok(None) };
    get(client, &daemonsets(namespace), &owner.name).await?;
    Ok(Some(owner.name))
}

fn daemonsets(namespace: &str) -> Request {
    Request::new(format!("/apis/apps/v1/namespaces/{namespace}/daemonsets"))
}

async fn get(client: &Client, of: &Request, name: &str) -> Result<Object, Error> {
    client.request(of.get(name, &GetParams::default()).map_err(Error::BuildRequest)?).await
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use serde_json::Value;

    use super::*;
    use crate::node::kubernetes::fake_api::{Answer, Asked, FakeApi, ending_namespace, failure};

    const DAEMONSET: &str = "/apis/apps/v1/namespaces/agents/daemonsets/macula-tracer";

    fn daemonset() -> Answer {
        (200, json!({"metadata": {"name": "macula-tracer"}}))
    }

    /// What an agent says whose DaemonSet and whose Events the API answers about like this, once it knows it.
    async fn says(daemonsets: Answer, events: Answer) -> Option<&'static str> {
        let later = Arc::new(Mutex::new(None));
        let answers = later.clone();
        let answer = move |asked: &Asked| {
            let path = asked.path.split('?').next().unwrap();
            let later: Option<(Answer, Answer)> = answers.lock().unwrap().clone();
            match (path, later) {
                ("/api/v1/namespaces/agents/pods/agent-0", None) => {
                    let owner = json!({"kind": "DaemonSet", "name": "macula-tracer"});
                    (200, json!({"metadata": {"name": "agent-0", "ownerReferences": [owner]}}))
                }
                (DAEMONSET, None) => daemonset(),
                (DAEMONSET, Some((daemonsets, _))) => daemonsets,
                ("/api/v1/namespaces/agents/events", Some((_, events))) => {
                    assert!(asked.path.contains("dryRun=All"), "{asked:?}");
                    events
                }
                _ => panic!("it asks {asked:?}"),
            }
        };
        let api = FakeApi::start(answer).await;
        let mut owner = Owner::of(api.client.clone(), "agents".into(), "agent-0".into());
        owner._looking.join_next().await;
        assert_eq!(owner.name.get().map(String::as_str), Some("macula-tracer"));
        *later.lock().unwrap() = Some((daemonsets, events));
        owner.is_gone().await
    }

    #[tokio::test]
    async fn what_is_there_is_not_gone() {
        let made = (201, Value::Null);
        assert_eq!(says(daemonset(), made.clone()).await, None);
        assert_eq!(says(daemonset(), failure(403, "Forbidden")).await, None);
        assert_eq!(says(failure(500, "InternalError"), made).await, None);
    }
    #[tokio::test]
    async fn what_is_deleted_or_has_no_permissions_left_is_gone() {
        let made = (201, Value::Null);
        let going = (200, json!({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}}));
        for daemonset in [
            going,
            failure(404, "NotFound"),
            failure(403, "Forbidden"),
            failure(401, "Unauthorized"),
        ] {
            assert!(says(daemonset.clone(), made.clone()).await.is_some(), "{daemonset:?}");
        }
        let said = says(daemonset(), ending_namespace()).await;
        assert_eq!(said, Some("its namespace is being deleted"));
    }

    #[tokio::test]
    async fn what_could_never_be_seen_is_not_missed() {
        for answer in [failure(403, "Forbidden"), failure(404, "NotFound"), (200, json!({}))] {
            let api = FakeApi::start(move |_| answer.clone()).await;
            let mut owner = Owner::of(api.client.clone(), "agents".into(), "agent-0".into());
            owner._looking.join_next().await;
            assert_eq!(owner.is_gone().await, None);
        }
    }
}

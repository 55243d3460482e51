//! As much of a Kubernetes API server as the agent asks: a pod of its node, its own pod and DaemonSet, and Events that are kept
//! as they are posted. It speaks plain HTTP, and knows nothing of the agent's insides.

use std::collections::BTreeMap;
use std::fs;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;

use anyhow::Result;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

/// Names of the agent's own pod.
pub const NAMESPACE: &str = "macula-tracer";
pub const POD: &str = "macula-tracer-test0";
const DAEMONSET: &str = "macula-tracer";

/// A pod of the node.
#[derive(Debug, Clone, Copy)]
pub struct PodNames<'n> {
    pub namespace: &'n str,
    pub name: &'n str,
    pub uid: &'n str,
}

/// The server. Dropping it ends it.
#[derive(Debug)]
pub struct FakeApi {
    folder: TempDir,
    objects: Arc<Mutex<Objects>>,
    end: Option<oneshot::Sender<()>>,
    server: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Objects {
    pods: Vec<Value>,
    /// By namespace and name.
    events: BTreeMap<(String, String), Value>,
    daemonset_is_gone: bool,
}

impl FakeApi {
    /// Starts it with one pod, which goes on restarting its containers.
    ///
    /// # Errors
    /// When it cannot listen.
    pub fn start(pod: PodNames<'_>) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("api-").tempdir()?;
        let pods = vec![json!({
            "metadata": {"namespace": pod.namespace, "name": pod.name, "uid": pod.uid, "resourceVersion": "1"},
            "spec": {"nodeName": "test-node", "restartPolicy": "Always", "containers": [{"name": "gateway"}]},
            "status": {"phase": "Running"},
        })];
        let objects = Arc::new(Mutex::new(Objects { pods, ..Objects::default() }));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let listener = runtime.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))?;
        let kubeconfig = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "fake", "cluster": {"server": format!("http://{}", listener.local_addr()?)}}],
            "users": [{"name": "agent", "user": {}}],
            "contexts": [{"name": "fake", "context": {"cluster": "fake", "user": "agent"}}],
            "current-context": "fake",
        });
        fs::write(folder.path().join("kubeconfig"), kubeconfig.to_string())?;
        let router = Router::new().fallback(answer).with_state(Arc::clone(&objects));
        let (end, ended) = oneshot::channel();
        let server = std::thread::spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    _ = axum::serve(listener, router) => {}
                    _ = ended => {}
                }
            });
        });
        Ok(Self { folder, objects, end: Some(end), server: Some(server) })
    }

    /// The file that names it.
    pub fn kubeconfig(&self) -> PathBuf {
        self.folder.path().join("kubeconfig")
    }

    /// All Events as they are now.
    pub fn events(&self) -> Vec<Value> {
        locked(&self.objects).events.values().cloned().collect()
    }

    /// The agent's DaemonSet is deleted.
    pub fn delete_daemonset(&self) {
        locked(&self.objects).daemonset_is_gone = true;
    }
}

impl Drop for FakeApi {
    fn drop(&mut self) {
        if let Some(end) = self.end.take() {
            // It may have ended by itself.
            let _ended = end.send(());
        }
        if let Some(server) = self.server.take() {
            let _joined = server.join();
        }
    }
}

async fn answer(
    State(objects): State<Arc<Mutex<Objects>>>,
    method: Method,
    uri: Uri,
    body: Bytes,
) -> Response {
    let query = uri.query().unwrap_or_default();
    if query.contains("watch=") {
        // Nothing ever changes.
        return std::future::pending().await;
    }
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let path: Vec<&str> = uri.path().split('/').skip(1).collect();
    let mut objects = locked(&objects);
    let found = match (method.as_str(), path.as_slice()) {
        ("GET", ["api", "v1", "pods"]) => Some(json!({
            "apiVersion": "v1", "kind": "PodList", "metadata": {"resourceVersion": "1"}, "items": objects.pods,
        })),
        ("GET", ["api", "v1", "namespaces", NAMESPACE, "pods", POD]) => {
            let owner = json!({"apiVersion": "apps/v1", "kind": "DaemonSet", "name": DAEMONSET, "uid": "1"});
            Some(json!({"metadata": {"name": POD, "ownerReferences": [owner]}}))
        }
        ("GET", ["apis", "apps", "v1", "namespaces", NAMESPACE, "daemonsets", DAEMONSET]) => {
            (!objects.daemonset_is_gone).then(|| json!({"metadata": {"name": DAEMONSET}}))
        }
        ("POST", ["api", "v1", "namespaces", namespace, "events"]) => {
            if !query.contains("dryRun") {
                let name = body["metadata"]["name"].as_str().unwrap_or_default();
                objects.events.insert(((*namespace).to_owned(), name.to_owned()), body.clone());
            }
            Some(body)
        }
        ("PATCH", ["api", "v1", "namespaces", namespace, "events", name]) => {
            let event = objects.events.get_mut(&((*namespace).to_owned(), (*name).to_owned()));
            event.and_then(|event| merge(event, body))
        }
        _ => None,
    };
    match found {
        Some(object) => Json(object).into_response(),
        None => {
            let status =
                json!({"kind": "Status", "status": "Failure", "code": 404, "reason": "NotFound"});
            (StatusCode::NOT_FOUND, Json(status)).into_response()
        }
    }
}

/// A merge patch that has plain values alone.
fn merge(object: &mut Value, patch: Value) -> Option<Value> {
    let (fields, Value::Object(patch)) = (object.as_object_mut()?, patch) else { return None };
    fields.extend(patch);
    Some(object.clone())
}

fn locked(objects: &Mutex<Objects>) -> MutexGuard<'_, Objects> {
    objects.lock().expect("no answer panics")
}

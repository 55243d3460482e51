//! An API server that answers as a test says, over plain HTTP. It knows no objects.

use std::{
    net::Ipv4Addr,
    sync::{Arc, Mutex},
};

use axum::{
    Json, Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, Method, StatusCode, Uri},
    response::{IntoResponse, Response},
};
use kube::Client;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{net::TcpListener, sync::mpsc, task::JoinSet};

use crate::config::Kubernetes;

/// One request.
#[derive(Clone, Debug, PartialEq)]
pub struct Asked {
    pub method: Method,
    /// With its query.
    pub path: String,
    pub content_type: String,
    pub body: Value,
}

/// A status code and the object.
pub type Answer = (u16, Value);

pub struct FakeApi {
    pub client: Client,
    asked: mpsc::Receiver<Asked>,
    _server: JoinSet<()>,
    _folder: TempDir,
}

type Answering = Arc<Mutex<dyn FnMut(&Asked) -> Answer + Send>>;

impl FakeApi {
    pub async fn start(answer: impl FnMut(&Asked) -> Answer + Send + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, asked) = mpsc::channel(1024);
        let answer: Answering = Arc::new(Mutex::new(answer));
        let router = Router::new().fallback(take).with_state((sender, answer));
        let mut server = JoinSet::new();
        server.spawn(async move { axum::serve(listener, router).await.unwrap() });
        let (folder, client) = client(&format!("http://{address}")).await;
        Self { client, asked, _server: server, _folder: folder }
    }

    /// The next request.
    pub async fn asked(&mut self) -> Asked {
        self.asked.recv().await.unwrap()
    }

    /// What was asked and not taken yet.
    pub fn rest(&mut self) -> Vec<Asked> {
        std::iter::from_fn(|| self.asked.try_recv().ok()).collect()
    }
}

/// A client for an API at this URL.
pub async fn client(url: &str) -> (TempDir, Client) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("kubeconfig");
    let kubeconfig = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "fake", "cluster": {"server": url}}],
        "users": [{"name": "agent", "user": {}}],
        "contexts": [{"name": "fake", "context": {"cluster": "fake", "user": "agent"}}],
        "current-context": "fake",
    });
    std::fs::write(&file, kubeconfig.to_string()).unwrap();
    let client = super::client(&Kubernetes::Kubeconfig(file)).await.unwrap();
    (folder, client.unwrap())
}

/// A failure as the API tells it.
pub fn failure(code: u16, reason: &str) -> Answer {
    let status = json!({
        "apiVersion": "v1", "kind": "Status", "status": "Failure", "code": code, "reason": reason,
        "message": format!("it is {reason}"),
    });
    (code, status)
}

/// The answer to whoever would create something in a namespace that is being deleted.
pub fn ending_namespace() -> Answer {
    let (code, mut status) = failure(403, "Forbidden");
    status["details"] = json!({"causes": [{"reason": "NamespaceTerminating"}]});
    (code, status)
}

async fn take(
    State((sender, answer)): State<(mpsc::Sender<Asked>, Answering)>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let content_type = headers.get("content-type").map(|value| value.to_str().unwrap().to_owned());
    let asked = Asked {
        method,
        path: uri.to_string(),
        content_type: content_type.unwrap_or_default(),
        body: serde_json::from_slice(&body).unwrap_or_default(),
    };
    let (code, object) = answer.lock().unwrap()(&asked);
    sender.send(asked).await.unwrap();
    (StatusCode::from_u16(code).unwrap(), Json(object)).into_response()
}

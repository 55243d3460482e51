//! A Kubernetes API server that knows one DaemonSet: it lists its pods, and forwards ports of them to agents of this
//! process, as the real one does by WebSocket. It must not know what agents are asked.
#![allow(clippy::unwrap_used, reason = "a broken fixture must fail the test where it is broken")]

use std::{net::SocketAddr, path::PathBuf, sync::Arc};

use axum::{
    Json, Router,
    extract::{Path, Query, Request, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use futures_util::{SinkExt as _, StreamExt as _};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::Mutex,
    task::JoinSet,
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{Message, handshake::derive_accept_key, protocol::Role},
};

pub const NAMESPACE: &str = "macula-tracer";
/// Where agents listen in their pods.
const PORT: u16 = 9468;

/// What a node's agent does.
#[derive(Clone, Debug)]
pub enum Agent {
    /// It answers, at this address in truth.
    At(SocketAddr),
    /// Its port is forwarded; it never answers.
    Hangs,
    /// Nobody listens in its pod.
    Refuses,
    /// Its pod has no container yet.
    Pending,
}

/// What who asks may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Allowed {
    Everything,
    List,
    Nothing,
}

/// The server, for as long as this lives, and a kubeconfig for it.
pub struct ApiServer {
    folder: tempfile::TempDir,
    _serving: JoinSet<()>,
}

struct Known {
    nodes: Vec<(&'static str, Agent)>,
    allowed: Allowed,
    forwards: Mutex<JoinSet<()>>,
}

impl ApiServer {
    pub async fn new(nodes: &[(&'static str, Agent)], allowed: Allowed) -> Self {
        let known = Arc::new(Known { nodes: nodes.to_vec(), allowed, forwards: Mutex::default() });
        let router = Router::new()
            .route("/api/v1/namespaces/{namespace}/pods", get(list))
            .route("/api/v1/namespaces/{namespace}/pods/{pod}/portforward", get(forward))
            .with_state(known);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = format!("http://{}", listener.local_addr().unwrap());
        let mut serving = JoinSet::new();
        serving.spawn(async move { axum::serve(listener, router).await.unwrap() });
        let named = |what: &str, name: &str, value: Value| json!({ "name": name, what: value });
        let kubeconfig = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "test",
            "clusters": [named("cluster", "here", json!({ "server": server }))],
            "users": [named("user", "me", json!({ "token": "secret" }))],
            "contexts": [named("context", "test", json!({ "cluster": "here", "user": "me" }))],
        });
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("config"), kubeconfig.to_string()).unwrap();
        Self { folder, _serving: serving }
    }

    pub fn kubeconfig(&self) -> PathBuf {
        self.folder.path().join("config")
    }
}

fn pod_of(node: &str) -> String {
    format!("{NAMESPACE}-{node}")
}

async fn list(
    State(known): State<Arc<Known>>,
    Path(namespace): Path<String>,
    Query(query): Query<Value>,
) -> Response {
    if known.allowed == Allowed::Nothing {
        return forbidden("pods is forbidden: User \"me\" cannot list resource \"pods\"");
    }
    let is_asked = namespace == NAMESPACE && query["labelSelector"] == "app=macula-tracer";
    let nodes = known.nodes.iter().filter(|_| is_asked);
    let pod = |(node, agent): &(&str, Agent)| {
        let (phase, state) = match agent {
            Agent::Pending => ("Pending", json!({ "waiting": { "reason": "ImagePullBackOff" } })),
            Agent::At(_) | Agent::Hangs | Agent::Refuses => ("Running", json!({ "running": {} })),
        };
        json!({
            "metadata": { "name": pod_of(node), "namespace": NAMESPACE },
            "spec": { "nodeName": node },
            "status": { "phase": phase, "containerStatuses": [{ "name": "tracer", "state": state }] },
        })
    };
    let items: Vec<Value> = nodes.map(pod).collect();
    Json(json!({ "apiVersion": "v1", "kind": "PodList", "metadata": {}, "items": items }))
        .into_response()
}

async fn forward(
    State(known): State<Arc<Known>>,
    Path((_, pod)): Path<(String, String)>,
    mut request: Request,
) -> Response {
    if known.allowed != Allowed::Everything {
        return forbidden("User \"me\" cannot get resource \"pods/portforward\"");
    }
    assert_eq!(
        request.uri().query().map(|query| query.trim_start_matches('&')),
        Some("ports=9468")
    );
    let Some((_, agent)) = known.nodes.iter().find(|(node, _)| pod_of(node) == pod) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let agent = agent.clone();
    let key = request.headers()[header::SEC_WEBSOCKET_KEY].clone();
    let upgrade = hyper::upgrade::on(&mut request);
    known.forwards.lock().await.spawn(async move {
        let stream = TokioIo::new(upgrade.await.unwrap());
        let socket = WebSocketStream::from_raw_socket(stream, Role::Server, None).await;
        // Who asked may go away at any time.
        drop(carry(socket, agent).await);
    });
    let mut headers = HeaderMap::new();
    headers.insert(header::CONNECTION, "Upgrade".parse().unwrap());
    headers.insert(header::UPGRADE, "websocket".parse().unwrap());
    let accept = derive_accept_key(key.as_bytes());
    headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept.parse().unwrap());
    headers.insert(header::SEC_WEBSOCKET_PROTOCOL, "v4.channel.k8s.io".parse().unwrap());
    (StatusCode::SWITCHING_PROTOCOLS, headers).into_response()
}

type Socket = WebSocketStream<TokioIo<hyper::upgrade::Upgraded>>;

/// Channel 0 is the port's data, channel 1 its errors; each begins with the port's number.
async fn carry(
    mut socket: Socket,
    agent: Agent,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    for channel in 0..2 {
        socket.send(message(channel, &PORT.to_le_bytes())).await?;
    }
    let address = match agent {
        Agent::At(address) => address,
        Agent::Hangs => {
            while socket.next().await.is_some() {}
            return Ok(());
        }
        Agent::Refuses | Agent::Pending => {
            let why = "error forwarding port 9468 to pod: connect: connection refused";
            socket.send(message(1, why.as_bytes())).await?;
            return Ok(socket.close(None).await?);
        }
    };
    let mut agent = TcpStream::connect(address).await?;
    let mut answer = vec![0; 32 << 10];
    loop {
        tokio::select! {
            asked = socket.next() => match asked {
                Some(Ok(Message::Binary(bytes))) if bytes.first() == Some(&0) => {
                    agent.write_all(&bytes[1..]).await?;
                }
                Some(Ok(Message::Close(_)) | Err(_)) | None => return Ok(()),
                Some(Ok(_)) => {}
            },
            length = agent.read(&mut answer) => match length? {
                0 => return Ok(socket.close(None).await?),
                length => socket.send(message(0, &answer[..length])).await?,
            },
        }
    }
}

fn message(channel: u8, bytes: &[u8]) -> Message {
    Message::binary([&[channel], bytes].concat())
}

fn forbidden(message: &str) -> Response {
    let status = json!({
        "apiVersion": "v1",
        "kind": "Status",
        "metadata": {},
        "status": "Failure",
        "message": message,
        "reason": "Forbidden",
        "code": 403,
    });
    (StatusCode::FORBIDDEN, Json(status)).into_response()
}

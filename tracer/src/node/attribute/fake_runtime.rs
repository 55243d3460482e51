//! A container runtime for tests: answers CRI calls over a unix socket as it is told to. It must not know the client.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use hyper::{
    body::Bytes,
    http::{HeaderMap, HeaderValue, Request, Response},
};
use prost::Message;
use tokio::{
    net::{UnixListener, UnixStream},
    task::{JoinHandle, JoinSet},
};

use super::cri_messages::*;

/// What the runtime knows, and how it behaves.
#[derive(Clone, Debug)]
pub struct Behaviour {
    pub service: &'static str,
    pub containers: Vec<Container>,
    pub sandboxes: Vec<PodSandbox>,
    pub statuses: Vec<ContainerStatus>,
    /// So many calls are answered as if nothing were known.
    pub ignorant_calls: usize,
    /// So many are never answered.
    pub silent_calls: usize,
    /// So many are answered by bytes that are no message.
    pub garbage_calls: usize,
}

/// Listens until dropped.
pub struct FakeRuntime {
    socket: PathBuf,
    state: Arc<Mutex<(Behaviour, Vec<String>)>>,
    server: JoinHandle<()>,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self {
            service: "runtime.v1.RuntimeService",
            containers: vec![container("c1", "s1")],
            sandboxes: vec![sandbox("s1")],
            statuses: Vec::new(),
            ignorant_calls: 0,
            silent_calls: 0,
            garbage_calls: 0,
        }
    }
}

pub fn container(id: &str, sandbox: &str) -> Container {
    let image = "localhost/gateway:1".to_owned();
    Container {
        id: id.to_owned(),
        pod_sandbox_id: sandbox.to_owned(),
        metadata: Some(ContainerMetadata { name: "gateway".to_owned(), attempt: 3 }),
        image: Some(ImageSpec { image, ..ImageSpec::default() }),
        image_ref: "sha256:00".to_owned(),
        ..Container::default()
    }
}

pub fn sandbox(id: &str) -> PodSandbox {
    PodSandbox {
        id: id.to_owned(),
        metadata: Some(PodSandboxMetadata {
            name: "gateway-0".to_owned(),
            uid: "uid-1".to_owned(),
            namespace: "macula-system".to_owned(),
            attempt: 0,
        }),
        labels: HashMap::from([("app".to_owned(), "macula-gateway".to_owned())]),
        runtime_handler: "runc".to_owned(),
    }
}

impl FakeRuntime {
    pub fn start(socket: &Path, behaviour: Behaviour) -> Self {
        let listener = UnixListener::bind(socket).unwrap();
        let state = Arc::new(Mutex::new((behaviour, Vec::new())));
        let server = tokio::spawn(serve(listener, Arc::clone(&state)));
        Self { socket: socket.to_owned(), state, server }
    }

    /// The calls so far, in order.
    pub fn calls(&self) -> Vec<String> {
        self.state.lock().unwrap().1.clone()
    }

    /// Ends as a runtime that is stopped does: every connection is closed, the socket removed.
    pub async fn stop(self) {
        self.server.abort();
        std::fs::remove_file(&self.socket).unwrap();
        while !self.server.is_finished() {
            tokio::task::yield_now().await;
        }
    }
}

impl Drop for FakeRuntime {
    fn drop(&mut self) {
        self.server.abort();
    }
}

type State = Arc<Mutex<(Behaviour, Vec<String>)>>;

async fn serve(listener: UnixListener, state: State) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        connections.spawn(connection(stream, Arc::clone(&state)));
    }
}

async fn connection(stream: UnixStream, state: State) {
    let Ok(mut connection) = h2::server::handshake(stream).await else { return };
    let mut calls = JoinSet::new();
    while let Some(Ok((request, respond))) = connection.accept().await {
        calls.spawn(answer(request, respond, Arc::clone(&state)));
    }
}

async fn answer(
    request: Request<h2::RecvStream>,
    mut respond: h2::server::SendResponse<Bytes>,
    state: State,
) {
    let (head, mut body) = request.into_parts();
    let mut question = Vec::new();
    while let Some(Ok(chunk)) = body.data().await {
        question.extend_from_slice(&chunk);
    }
    let reply = reply(head.uri.path(), question.get(5..).unwrap_or_default(), &state);
    let Some(reply) = reply else { return std::future::pending().await };
    let response = Response::builder().header("content-type", "application/grpc").body(());
    let mut stream = respond.send_response(response.unwrap(), false).unwrap();
    let mut trailers = HeaderMap::new();
    match reply {
        Ok(message) => {
            let mut frame = vec![0];
            frame.extend(u32::try_from(message.len()).unwrap().to_be_bytes());
            frame.extend(message);
            stream.send_data(frame.into(), false).unwrap();
            trailers.insert("grpc-status", HeaderValue::from_static("0"));
        }
        Err(status) => {
            trailers.insert("grpc-status", HeaderValue::from_static(status));
        }
    }
    stream.send_trailers(trailers).unwrap();
}

/// A message, a gRPC status, or silence.
fn reply(path: &str, question: &[u8], state: &State) -> Option<Result<Vec<u8>, &'static str>> {
    const UNIMPLEMENTED: &str = "12";
    const NOT_FOUND: &str = "5";
    let (behaviour, calls) = &mut *state.lock().unwrap();
    let (service, call) = path.trim_start_matches('/').split_once('/').unwrap();
    calls.push(call.to_owned());
    if service != behaviour.service {
        return Some(Err(UNIMPLEMENTED));
    }
    let once_less = |count: &mut usize| {
        let some = *count > 0;
        *count = count.saturating_sub(1);
        some
    };
    if once_less(&mut behaviour.silent_calls) {
        return None;
    }
    if once_less(&mut behaviour.garbage_calls) {
        return Some(Ok(vec![0xff; 7]));
    }
    let ignorant = once_less(&mut behaviour.ignorant_calls);
    Some(match call {
        "Version" => Ok(VersionResponse {
            runtime_name: "containerd".to_owned(),
            runtime_version: "1.6.20".to_owned(),
        }
        .encode_to_vec()),
        "ListContainers" => {
            let asked = ListContainersRequest::decode(question).unwrap().filter.unwrap().id;
            let known = |container: &&Container| !ignorant && container.id == asked;
            let containers = behaviour.containers.iter().filter(known).cloned().collect();
            Ok(ListContainersResponse { containers }.encode_to_vec())
        }
        "ListPodSandbox" => {
            let asked = ListPodSandboxRequest::decode(question).unwrap().filter.unwrap().id;
            let known = |sandbox: &&PodSandbox| !ignorant && sandbox.id == asked;
            let items = behaviour.sandboxes.iter().filter(known).cloned().collect();
            Ok(ListPodSandboxResponse { items }.encode_to_vec())
        }
        "ContainerStatus" => {
            let asked = ContainerStatusRequest::decode(question).unwrap().container_id;
            let mut known = behaviour.statuses.iter();
            match known.find(|status| status.id == asked).cloned() {
                Some(status) => {
                    Ok(ContainerStatusResponse { status: Some(status) }.encode_to_vec())
                }
                None => Err(NOT_FOUND),
            }
        }
        other => panic!("{other} is not asked by anyone"),
    })
}

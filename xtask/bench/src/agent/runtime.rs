//! A container runtime that knows every container of the bench: it answers the agent's questions over a unix socket from
//! the id alone. It knows nothing about cgroups or the agent.

use std::path::Path;
use std::thread::JoinHandle;

use anyhow::{Context as _, Result};
use h2::server::SendResponse;
use hyper::body::Bytes;
use hyper::http::{HeaderMap, HeaderValue, Request, Response};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use super::messages::{self, Question};

/// Listens until dropped, in a thread of its own.
#[derive(Debug)]
pub struct FakeRuntime {
    end: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl FakeRuntime {
    /// Listens from when this returns.
    pub fn start(socket: &Path) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let listener = {
            let _within = runtime.enter();
            UnixListener::bind(socket)
                .with_context(|| format!("cannot listen at {}", socket.display()))?
        };
        let (end, ended) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    () = serve(listener) => {}
                    _ = ended => {}
                }
            });
        });
        Ok(Self { end: Some(end), thread: Some(thread) })
    }
}

impl Drop for FakeRuntime {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn serve(listener: UnixListener) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        connections.spawn(connection(stream));
    }
}

async fn connection(stream: UnixStream) {
    let Ok(mut connection) = h2::server::handshake(stream).await else { return };
    let mut calls = JoinSet::new();
    while let Some(Ok((request, respond))) = connection.accept().await {
        while calls.try_join_next().is_some() {}
        calls.spawn(answer(request, respond));
    }
}

/// A client that goes away meanwhile is no error.
async fn answer(
    request: Request<h2::RecvStream>,
    respond: SendResponse<Bytes>,
) -> Result<(), h2::Error> {
    let (head, mut body) = request.into_parts();
    let mut frame = Vec::new();
    while let Some(chunk) = body.data().await {
        let chunk = chunk?;
        let _ = body.flow_control().release_capacity(chunk.len());
        frame.extend_from_slice(&chunk);
    }
    let call = head.uri.path().rsplit('/').next().unwrap_or_default();
    let question = Question { call, message: frame.get(FRAME..).unwrap_or_default() };
    reply(respond, messages::answer(question))
}

/// Compression flag and length before each gRPC message.
const FRAME: usize = 5;
const OK: &str = "0";
const UNIMPLEMENTED: &str = "12";

fn reply(mut respond: SendResponse<Bytes>, message: Option<Vec<u8>>) -> Result<(), h2::Error> {
    let mut head = Response::new(());
    head.headers_mut().insert("content-type", HeaderValue::from_static("application/grpc"));
    let mut stream = respond.send_response(head, false)?;
    let status = if message.is_some() { OK } else { UNIMPLEMENTED };
    if let Some(message) = message {
        let mut frame = vec![0];
        frame.extend(u32::try_from(message.len()).unwrap_or(u32::MAX).to_be_bytes());
        frame.extend(message);
        stream.send_data(frame.into(), false)?;
    }
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static(status));
    stream.send_trailers(trailers)
}

#[cfg(test)]
mod tests {
    use ::tests::cri::Client;

    use super::*;

    #[test]
    fn whoever_asks_is_answered_until_the_runtime_is_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("cri.sock");
        let runtime = FakeRuntime::start(&socket).unwrap();
        let client = Client::connect(&socket).unwrap();
        assert_eq!(client.version().unwrap().runtime_name, "containerd");
        assert!(client.stop_pod_sandbox("none").is_err());
        drop(runtime);
        assert!(client.version().is_err());
    }
}

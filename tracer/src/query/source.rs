//! Who answers: an agent behind its unix socket, or the API's own routes over a store file. It must not know
//! what is asked.

use std::{
    io::ErrorKind,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, bail};
use axum::{
    Router,
    body::Body,
    http::{Request, Response, StatusCode, header},
};
use http_body_util::BodyExt as _;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::{net::UnixStream, task::JoinSet, time::timeout};
use tower::ServiceExt as _;

use super::{From, STORE, url::Url};
use crate::api;

/// For an answer to begin.
const PATIENCE: Duration = Duration::from_secs(30);

pub struct Source(Kind);

enum Kind {
    Agent {
        socket: PathBuf,
        /// The task that carries the last answer.
        connection: JoinSet<()>,
    },
    Store(Router),
}

/// What was answered.
pub enum Answer {
    Found(Response<Body>),
    /// Why not, for people.
    Nothing(String),
}

impl Source {
    /// # Errors
    /// There is neither an agent nor a store where one is looked for.
    pub async fn find(from: &From) -> anyhow::Result<Self> {
        if let Some(store) = &from.store {
            return Ok(Self::of_store(store));
        }
        if let Some(socket) = &from.socket {
            return Ok(Self::of_agent(socket));
        }
        let (socket, store) = (Path::new(api::SOCKET), Path::new(STORE));
        match UnixStream::connect(socket).await {
            Ok(_) => Ok(Self::of_agent(socket)),
            Err(error) if error.kind() == ErrorKind::PermissionDenied => {
                bail!("the agent's socket {} is for root: try sudo", socket.display())
            }
            Err(_) if store.exists() => Ok(Self::of_store(store)),
            Err(error) => bail!(
                "no agent here: {}: {error}, and no store at {}; name one with --socket or --store",
                socket.display(),
                store.display()
            ),
        }
    }

    /// True where events can be followed as they happen.
    pub fn is_live(&self) -> bool {
        matches!(self.0, Kind::Agent { .. })
    }

    fn of_store(path: &Path) -> Self {
        Self(Kind::Store(api::store_router(path)))
    }

    pub fn of_agent(socket: &Path) -> Self {
        Self(Kind::Agent { socket: socket.to_owned(), connection: JoinSet::new() })
    }

    /// # Errors
    /// The request is refused or cannot be answered; the error says why.
    pub async fn get(&mut self, url: &Url, accept: &str) -> anyhow::Result<Answer> {
        let request = Request::get(url.as_str())
            .header(header::HOST, "localhost")
            .header(header::ACCEPT, accept)
            .body(Body::empty())
            .context("the question cannot be written as a request")?;
        let answer = async {
            match &mut self.0 {
                Kind::Agent { socket, connection } => ask(socket, connection, request).await,
                Kind::Store(router) => match router.clone().oneshot(request).await {
                    Ok(response) => Ok(response),
                    Err(never) => match never {},
                },
            }
        };
        let answer = timeout(PATIENCE, answer).await;
        let answer = answer.context("the agent does not answer: see its log")??;
        match answer.status() {
            StatusCode::OK => Ok(Answer::Found(answer)),
            StatusCode::NOT_FOUND => Ok(Answer::Nothing(message(answer).await?)),
            _ => bail!("{}", message(answer).await?),
        }
    }
}

/// Each question has a connection of its own: an agent does not wait while an answer is being read.
async fn ask(
    socket: &Path,
    connection: &mut JoinSet<()>,
    request: Request<Body>,
) -> anyhow::Result<Response<Body>> {
    let wrong = || format!("no agent answers at {}", socket.display());
    let stream = UnixStream::connect(socket).await.with_context(wrong)?;
    let (mut sender, carried) = http1::handshake(TokioIo::new(stream)).await.with_context(wrong)?;
    connection.shutdown().await;
    // How it ends is known by the answer.
    connection.spawn(async move { drop(carried.await) });
    Ok(sender.send_request(request).await.with_context(wrong)?.map(Body::new))
}

/// A whole body.
pub async fn text(response: Response<Body>) -> anyhow::Result<String> {
    let body = response.into_body().collect().await.context("the answer broke off")?;
    String::from_utf8(body.to_bytes().into()).context("the answer is no text")
}

async fn message(response: Response<Body>) -> anyhow::Result<String> {
    let status = response.status();
    let body: serde_json::Value = serde_json::from_str(&text(response).await?).unwrap_or_default();
    Ok(match body["error"]["message"].as_str() {
        Some(message) => message.to_owned(),
        None => format!("the agent answers {status} without a reason"),
    })
}

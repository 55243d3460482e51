//! One who answers: an agent behind its unix socket or in its pod, or the API's own routes over a store file. It
//! must not know what is asked, or that there are others.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, bail};
use axum::{
    Router,
    body::Body,
    http::{HeaderMap, Request, Response, StatusCode, header},
};
use http_body_util::BodyExt as _;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::{net::UnixStream, task::JoinSet, time::timeout};
use tower::ServiceExt as _;

use super::{forward::Forward, url::Url};
use crate::{
    config::Span,
    contract::{Candidate, Reason, Refusal},
    node::api,
};

/// For an answer of this machine to begin.
const PATIENCE: Duration = Duration::from_secs(30);

pub struct Source {
    kind: Kind,
    /// For an answer to begin, and for each further part of it.
    patience: Duration,
    /// The task that carries the last answer.
    connection: JoinSet<()>,
}

enum Kind {
    Agent(PathBuf),
    Pod(Forward),
    Store(Router),
}

/// What was answered.
pub enum Answer {
    Found(Found),
    /// Why not, for people.
    Nothing(String),
    /// The name fits several.
    Several {
        message: String,
        candidates: Vec<Candidate>,
    },
}

/// The question arrived and is not answered; why, for people.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Refused(String);

/// An answer that has begun.
pub struct Found {
    response: Response<Body>,
    patience: Duration,
}

impl Source {
    pub fn of_store(path: &Path) -> Self {
        Self::new(Kind::Store(api::store_router(path)), PATIENCE)
    }

    pub fn of_agent(socket: &Path) -> Self {
        Self::new(Kind::Agent(socket.to_owned()), PATIENCE)
    }

    pub fn of_pod(forward: Forward, patience: Duration) -> Self {
        Self::new(Kind::Pod(forward), patience)
    }

    fn new(kind: Kind, patience: Duration) -> Self {
        Self { kind, patience, connection: JoinSet::new() }
    }

    /// True where events can be followed as they happen.
    pub fn is_live(&self) -> bool {
        match self.kind {
            Kind::Agent(_) | Kind::Pod(_) => true,
            Kind::Store(_) => false,
        }
    }

    /// # Errors
    /// [`Refused`], or nobody answers; the error says why.
    pub async fn get(&mut self, url: &Url, accept: &str) -> anyhow::Result<Answer> {
        let request = Request::get(url.as_str())
            .header(header::HOST, "localhost")
            .header(header::ACCEPT, accept)
            .body(Body::empty())
            .context("the question cannot be written as a request")?;
        let answer = async {
            match &mut self.kind {
                Kind::Agent(socket) => ask(socket, &mut self.connection, request).await,
                Kind::Pod(forward) => forward.ask(&mut self.connection, request).await,
                Kind::Store(router) => match router.clone().oneshot(request).await {
                    Ok(response) => Ok(response),
                    Err(never) => match never {},
                },
            }
        };
        let Ok(response) = timeout(self.patience, answer).await else {
            bail!("the agent does not answer within {}: see its log", Span(self.patience));
        };
        let response = response?;
        let status = response.status();
        let found = Found { response, patience: self.patience };
        if status == StatusCode::OK {
            return Ok(Answer::Found(found));
        }
        let (message, candidates) = found.reason().await?;
        match status {
            StatusCode::NOT_FOUND => Ok(Answer::Nothing(message)),
            StatusCode::CONFLICT => Ok(Answer::Several { message, candidates }),
            _ => bail!(Refused(message)),
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

impl Found {
    pub fn headers(&self) -> &HeaderMap {
        self.response.headers()
    }

    pub fn into_body(self) -> Body {
        self.response.into_body()
    }

    /// All of it.
    ///
    /// # Errors
    /// It breaks off, or is no text.
    pub async fn text(self) -> anyhow::Result<String> {
        let mut body = self.response.into_body();
        let mut text = Vec::new();
        loop {
            let Ok(frame) = timeout(self.patience, body.frame()).await else {
                bail!("the answer stopped half-way");
            };
            let Some(frame) = frame else { break };
            if let Ok(bytes) = frame.context("the answer broke off")?.into_data() {
                text.extend_from_slice(&bytes);
            }
        }
        String::from_utf8(text).context("the answer is no text")
    }

    /// Of an error: its message, and the candidates that it names.
    async fn reason(self) -> anyhow::Result<(String, Vec<Candidate>)> {
        let status = self.response.status();
        let text = self.text().await?;
        Ok(match serde_json::from_str(&text) {
            Ok(Refusal { error: Reason { message, candidates } }) => (message, candidates),
            Err(_) => (format!("the agent answers {status} without a reason"), Vec::new()),
        })
    }
}

//! Events on pods, and annotations, that name the cause of a crash: sent by a task of their own, so that nobody waits for the
//! API. It must not decide what is a crash.

pub(super) mod notice;
mod outbox;
mod pace;
mod request;

use std::{
    collections::HashSet,
    pin::pin,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use kube::{
    Client, Error,
    api::{Patch, PatchParams, PostParams},
    core::Status,
};
use tokio::{
    sync::mpsc::{self, error::TrySendError},
    task::JoinSet,
    time::{Instant, sleep_until, timeout_at},
};

pub use notice::{Notice, Place};
pub use request::{REASON, Request};

use self::outbox::{Dropped, Next, Outbox, Outcome, Subject};
use super::is_ending_namespace;
use crate::node::metrics::{ByReason, ByRequest, Metrics};

/// Crashes that are on their way to the task.
const QUEUE: usize = 512;
/// An answer that takes longer is none.
const ANSWER: Duration = Duration::from_secs(5);
/// At the agent's end so long is tried to tell what waits.
const STOP: Duration = Duration::from_secs(2);

/// Where crashes are told. Dropping it ends the task, whatever waits.
pub struct Events {
    notices: mpsc::Sender<Notice>,
    task: JoinSet<()>,
    metrics: Arc<Metrics>,
}

impl Events {
    /// Within a tokio runtime.
    pub fn start(client: Client, annotates: bool, metrics: Arc<Metrics>) -> Self {
        let (notices, incoming) = mpsc::channel(QUEUE);
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let unique = u64::try_from(since.as_nanos()).unwrap_or_default();
        let post = Post {
            client,
            outbox: Outbox::new(annotates, unique, now()),
            incoming,
            closed: None,
            metrics: metrics.clone(),
            warned: HashSet::new(),
        };
        let mut task = JoinSet::new();
        task.spawn(post.run());
        Self { notices, task, metrics }
    }

    /// Never waits.
    pub fn tell(&self, notice: Notice) {
        match self.notices.try_send(notice) {
            Ok(()) => {}
            Err(TrySendError::Full(_) | TrySendError::Closed(_)) => {
                count_dropped(Dropped::Full, &self.metrics);
            }
        }
    }

    /// Tells what waits, for two seconds at most.
    pub async fn finish(mut self) {
        drop(self.notices);
        while self.task.join_next().await.is_some() {}
    }
}

/// The task.
struct Post {
    client: Client,
    outbox: Outbox,
    incoming: mpsc::Receiver<Notice>,
    /// Nothing comes any more; it ends then.
    closed: Option<Instant>,
    metrics: Arc<Metrics>,
    warned: HashSet<&'static str>,
}

impl Post {
    async fn run(mut self) {
        loop {
            while let Ok(notice) = self.incoming.try_recv() {
                self.outbox.take(notice, now());
            }
            match self.outbox.next(now()) {
                Next::Send(subject, request) => {
                    if self.closed.is_some_and(|end| Instant::now() >= end) {
                        // It was taken out of what waits.
                        self.outbox.done(subject, Outcome::Failed, now());
                        break;
                    }
                    self.send(subject, request).await;
                }
                Next::Wait(_) if self.closed.is_some() => break,
                Next::Wait(until) => self.wait(until.map(Instant::from_std)).await,
            }
            self.count_dropped();
        }
        self.outbox.stop();
        self.count_dropped();
    }

    async fn wait(&mut self, until: Option<Instant>) {
        let notice = match until {
            Some(until) => match timeout_at(until, self.incoming.recv()).await {
                Ok(notice) => notice,
                Err(_) => return,
            },
            None => self.incoming.recv().await,
        };
        self.took(notice);
    }

    fn took(&mut self, notice: Option<Notice>) {
        match notice {
            Some(notice) => self.outbox.take(notice, now()),
            None => {
                self.closed = Some(Instant::now() + STOP);
                self.outbox.hurry();
            }
        }
    }

    async fn send(&mut self, subject: Subject, request: Request) {
        let until = Instant::now() + ANSWER;
        let name = name(&request);
        let client = self.client.clone();
        let mut sending = pin!(send(&client, &request));
        let answer = loop {
            let end = self.closed.map_or(until, |end| end.min(until));
            tokio::select! {
                answer = &mut sending => break answer,
                () = sleep_until(end) => break Err("it did not answer in time".to_owned().into()),
                notice = self.incoming.recv(), if self.closed.is_none() => self.took(notice),
            }
        };
        let outcome = match &answer {
            Ok(()) => Outcome::Done,
            Err(failure) => failure.outcome(&request),
        };
        let result = result(outcome);
        self.metrics.kubernetes_requests.get_or_create(&ByRequest { request: name, result }).inc();
        match answer {
            Ok(()) => {
                if self.warned.remove(FAILED) {
                    tracing::info!("the Kubernetes API takes Events again");
                }
            }
            Err(failure) => self.warn(name, outcome, &failure),
        }
        self.outbox.done(subject, outcome, now());
    }

    /// Each kind of failure once: what happens again and again is counted.
    fn warn(&mut self, request: &'static str, outcome: Outcome, failure: &Failure) {
        let error = &failure.why;
        match outcome {
            Outcome::Done | Outcome::Exists | Outcome::Gone => {
                tracing::debug!(request, error, "the Kubernetes API did not take it");
            }
            Outcome::Forbidden if self.warned.insert(request) => tracing::warn!(
                request,
                error,
                "the Kubernetes API forbids to tell of a crash: grant create and patch on events, and for annotations patch \
                 on pods (deploy/base/tracer/rbac.yaml, deploy/components/annotate-pods)"
            ),
            Outcome::Refused if self.warned.insert("refused") => {
                tracing::warn!(
                    request,
                    error,
                    "the Kubernetes API refuses what is told of a crash"
                );
            }
            Outcome::Failed if self.warned.insert(FAILED) => {
                tracing::warn!(
                    request,
                    error,
                    "the Kubernetes API cannot be told of a crash: it is tried again"
                );
            }
            Outcome::Forbidden | Outcome::Refused | Outcome::Failed => {}
        }
    }

    fn count_dropped(&mut self) {
        for why in self.outbox.take_dropped() {
            count_dropped(why, &self.metrics);
        }
    }
}

const FAILED: &str = "failed";

/// No success.
struct Failure {
    status: Option<Box<Status>>,
    why: String,
}

impl From<String> for Failure {
    fn from(why: String) -> Self {
        Self { status: None, why }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let why = error.to_string();
        match error {
            Error::Api(status) => Self { why: status.message.clone(), status: Some(status) },
            _ => why.into(),
        }
    }
}

impl Failure {
    fn outcome(&self, request: &Request) -> Outcome {
        let Some(status) = &self.status else { return Outcome::Failed };
        match (status.code, request) {
            (403, _) if is_ending_namespace(status) => Outcome::Gone,
            (403, _) => Outcome::Forbidden,
            (404, _) => Outcome::Gone,
            (409, Request::CreateEvent { .. } | Request::AnnotatePod { .. }) => Outcome::Exists,
            // Unauthorized: the service account's token may be about to be renewed.
            (401 | 408 | 409 | 429, _) | (500.., _) => Outcome::Failed,
            (..400, _) | (400..500, _) => Outcome::Refused,
        }
    }
}

async fn send(client: &Client, request: &Request) -> Result<(), Failure> {
    let at = |namespace: &str, kind: &str| {
        kube::core::Request::new(format!("/api/v1/namespaces/{namespace}/{kind}"))
    };
    let patch = PatchParams::default();
    let request = match request {
        Request::CreateEvent { namespace, body } => {
            at(namespace, "events").create(&PostParams::default(), body.to_string().into_bytes())
        }
        Request::PatchEvent { namespace, name, body } => {
            at(namespace, "events").patch(name, &patch, &Patch::Merge(body))
        }
        Request::AnnotatePod { namespace, pod, body } => {
            at(namespace, "pods").patch(pod, &patch, &Patch::Merge(body))
        }
    };
    let request = request.map_err(|error| error.to_string())?;
    client.request_text(request).await?;
    Ok(())
}

fn name(request: &Request) -> &'static str {
    match request {
        Request::CreateEvent { .. } => "create_event",
        Request::PatchEvent { .. } => "patch_event",
        Request::AnnotatePod { .. } => "annotate_pod",
    }
}

fn result(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Done => "done",
        Outcome::Gone => "gone",
        Outcome::Exists => "conflict",
        Outcome::Forbidden => "forbidden",
        Outcome::Refused => "refused",
        Outcome::Failed => "failed",
    }
}

fn count_dropped(why: Dropped, metrics: &Metrics) {
    let reason = match why {
        Dropped::Full => "full",
        Dropped::Gone => "gone",
        Dropped::Forbidden => "forbidden",
        Dropped::Refused => "refused",
        Dropped::GivenUp => "given_up",
        Dropped::Stopped => "stopped",
    };
    metrics.kubernetes_dropped.get_or_create(&ByReason { reason }).inc();
}

/// The clock of tokio, so that both agree.
fn now() -> std::time::Instant {
    Instant::now().into_std()
}

#[cfg(test)]
mod tests;

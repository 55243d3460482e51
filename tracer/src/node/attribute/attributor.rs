//! Asks the container runtime who a container is, again until it knows, and remembers pods. It must not know events,
//! cgroups or what anybody wants to watch.

use std::{
    collections::{HashMap, VecDeque},
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use thiserror::Error;
use tokio::sync::{Notify, OnceCell, Semaphore};
use tonic::Code;

use super::{
    cri::{self, Cri, CriError},
    cri_messages::{ContainerStatus, PodSandbox, VersionResponse},
    describe,
    metrics::{AnswerLabel, Metrics},
};
use crate::node::identity::{Identity, Source};

/// Who a container is.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    Container(Identity),
    /// The container that holds a pod's namespaces: it has no life. The identity is the pod's.
    Pause(Identity),
    /// In a virtual machine or under gVisor: quiet here, whatever it does. `lacks` says so.
    Unobservable(Identity),
    /// The runtime did not tell in time: only what the path says, and why in `lacks`. May be asked again.
    Unknown(Identity),
}

/// Why no runtime answered.
#[derive(Debug, Error)]
pub enum Unanswered {
    #[error(
        "no container runtime listens at {0}: name its socket with --cri-socket, and mount the socket's folder where the agent runs in a container"
    )]
    NoSocket(String),
    #[error(transparent)]
    Cri(#[from] CriError),
}

/// How long is waited, and how often asked.
#[derive(Clone, Debug)]
pub struct Patience {
    /// Before each further question.
    pub pauses: Vec<Duration>,
    /// For one call.
    pub call: Duration,
    /// For everything about one container.
    pub total: Duration,
}

impl Patience {
    /// For as long as a death may wait for a name: 3 s.
    pub fn prompt() -> Self {
        let pauses = [5, 20, 100, 400, 1000, 1400];
        Self {
            pauses: pauses.map(Duration::from_millis).to_vec(),
            call: cri::DEADLINE,
            total: Duration::from_secs(3),
        }
    }

    /// For as long as a runtime may be away: half an hour, ever more seldom.
    pub fn long() -> Self {
        let pauses = [1, 2, 4, 8, 15, 30].into_iter().chain(std::iter::repeat_n(60, 29));
        Self {
            pauses: pauses.map(Duration::from_secs).collect(),
            call: cri::DEADLINE,
            total: Duration::from_secs(30 * 60),
        }
    }
}

/// Questions to the runtime at once; a hundred pods may start together.
const AT_ONCE: usize = 8;

/// Sandboxes remembered; the oldest goes first.
const SANDBOXES: usize = 256;

/// Asks the container runtimes of this node.
#[derive(Debug)]
pub struct Attributor {
    runtimes: Vec<Runtime>,
    node: Option<String>,
    prompt: Patience,
    long: Patience,
    /// No runtime answered the last time.
    away: AtomicBool,
    /// One answers again.
    back: Notify,
    sandboxes: Mutex<Sandboxes>,
    permits: Semaphore,
    metrics: Metrics,
}

#[derive(Debug)]
struct Runtime {
    cri: Cri,
    name: OnceCell<String>,
}

/// Why one round of questions did not tell.
enum Silence {
    /// Those that answered do not know the container.
    Unknown,
    Unanswered(Unanswered),
}

impl Attributor {
    /// `sockets`: where runtimes may listen; those that are not there are passed over, until they are. Nothing is
    /// connected yet. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// A path cannot be a socket's.
    pub fn new(
        sockets: &[PathBuf],
        node: Option<String>,
        prompt: Patience,
    ) -> Result<Self, CriError> {
        let runtime = |socket: &PathBuf| {
            Ok(Runtime { cri: Cri::new(socket, prompt.call)?, name: OnceCell::new() })
        };
        Ok(Self {
            runtimes: sockets.iter().map(runtime).collect::<Result<_, CriError>>()?,
            node,
            prompt,
            long: Patience::long(),
            away: AtomicBool::new(false),
            back: Notify::new(),
            sandboxes: Mutex::default(),
            permits: Semaphore::new(AT_ONCE),
            metrics: Metrics::default(),
        })
    }

    /// Counts there instead of in metrics of its own.
    pub fn counting(self, metrics: Metrics) -> Self {
        Self { metrics, ..self }
    }

    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Who the container is; waits for a runtime that does not know it yet, but no longer than a death may.
    pub async fn identify(&self, container_id: &str, pod_uid: Option<&str>) -> Answer {
        self.within(&self.prompt, container_id, pod_uid).await
    }

    /// As [`Self::identify`], for as long as a runtime may be away: asked seldom, and at once when one is back, as
    /// [`Self::runtime_answers`] finds out.
    pub async fn identify_late(&self, container_id: &str, pod_uid: Option<&str>) -> Answer {
        self.within(&self.long, container_id, pod_uid).await
    }

    async fn within(
        &self,
        patience: &Patience,
        container_id: &str,
        pod_uid: Option<&str>,
    ) -> Answer {
        let started = Instant::now();
        let mut pauses = patience.pauses.iter();
        let answer = loop {
            let back = self.back.notified();
            let left = patience.total.saturating_sub(started.elapsed());
            let why = match tokio::time::timeout(left, self.ask(container_id)).await {
                Ok(Ok(answer)) => break answer,
                Ok(Err(Silence::Unknown)) => "the container runtime does not know it".to_owned(),
                Ok(Err(Silence::Unanswered(error))) => error.to_string(),
                Err(_) => "the container runtime did not answer in time".to_owned(),
            };
            let left = patience.total.saturating_sub(started.elapsed());
            let Some(pause) = pauses.next().filter(|pause| **pause < left) else {
                break Answer::Unknown(by_path(container_id, pod_uid, &why));
            };
            self.metrics.retries.inc();
            // A runtime that is back is asked at once.
            let _slept = tokio::time::timeout(*pause, back).await;
        };
        let (label, answer) = self.complete(answer, pod_uid);
        self.metrics.answered(label, started.elapsed());
        answer
    }

    /// How the runtime says that a container is or ended: its message where it could not be started, and the path
    /// of its log. `None` if no runtime knows it.
    ///
    /// # Errors
    /// No runtime answered.
    pub async fn status(&self, container_id: &str) -> Result<Option<ContainerStatus>, Unanswered> {
        let mut failed = None;
        for runtime in self.present()? {
            match runtime.cri.container_status(container_id).await {
                Ok(None) => {}
                Ok(found) => return Ok(found),
                Err(error) => failed = Some(self.failed(error)),
            }
        }
        failed.map_or(Ok(None), |error| Err(error.into()))
    }

    /// Name and version of the first runtime that answers. Late questions are asked again when one does that did not
    /// before.
    ///
    /// # Errors
    /// None did.
    pub async fn runtime_answers(&self) -> Result<VersionResponse, Unanswered> {
        let answer = self.first_version().await;
        let was_away = self.away.swap(answer.is_err(), Ordering::Relaxed);
        if was_away && answer.is_ok() {
            self.back.notify_waiters();
        }
        answer
    }

    async fn first_version(&self) -> Result<VersionResponse, Unanswered> {
        let mut failed = None;
        for runtime in self.present()? {
            match runtime.cri.version().await {
                Ok(version) => return Ok(version),
                Err(error) => failed = Some(self.failed(error)),
            }
        }
        Err(failed.map_or_else(|| self.no_socket(), Unanswered::from))
    }

    /// Asks every runtime once.
    async fn ask(&self, container_id: &str) -> Result<Answer, Silence> {
        let _permit = self.permits.acquire().await;
        let mut silence = Silence::Unknown;
        for runtime in self.present().map_err(Silence::Unanswered)? {
            match self.ask_one(runtime, container_id).await {
                Ok(Some(answer)) => return Ok(answer),
                Ok(None) => {}
                Err(error) => silence = Silence::Unanswered(self.failed(error).into()),
            }
        }
        Err(silence)
    }

    async fn ask_one(&self, runtime: &Runtime, id: &str) -> Result<Option<Answer>, CriError> {
        let Some(container) = runtime.cri.container(id).await? else {
            let Some(sandbox) = self.sandbox(runtime, id).await? else { return Ok(None) };
            let identity = self.of(runtime, describe::pause(&sandbox)).await;
            return Ok(Some(match describe::unobservable(&sandbox) {
                Some(lacks) => Answer::Unobservable(Identity { lacks: Some(lacks), ..identity }),
                None => Answer::Pause(identity),
            }));
        };
        let sandbox = self.sandbox(runtime, &container.pod_sandbox_id).await?;
        // Only a name is gained: without it the container is known all the same.
        let status = match describe::lacks_image(&container) {
            true => runtime.cri.container_status(id).await.unwrap_or_default(),
            false => None,
        };
        let identity = describe::container(&container, sandbox.as_deref(), status.as_ref());
        let identity = self.of(runtime, identity).await;
        Ok(Some(match sandbox.as_deref().and_then(describe::unobservable) {
            Some(lacks) => Answer::Unobservable(Identity { lacks: Some(lacks), ..identity }),
            None => Answer::Container(identity),
        }))
    }

    /// Adds what the runtime as such tells.
    async fn of(&self, runtime: &Runtime, identity: Identity) -> Identity {
        let ask = || async { runtime.cri.version().await.map(|version| version.runtime_name) };
        let name = runtime.name.get_or_try_init(ask).await.ok().cloned();
        Identity { runtime: name, ..identity }
    }

    async fn sandbox(
        &self,
        runtime: &Runtime,
        id: &str,
    ) -> Result<Option<Arc<PodSandbox>>, CriError> {
        if let Some(known) = self.lock().by_id.get(id) {
            return Ok(Some(Arc::clone(known)));
        }
        let found = runtime.cri.sandbox(id).await?.map(Arc::new);
        if let Some(sandbox) = &found {
            self.lock().remember(Arc::clone(sandbox));
        }
        Ok(found)
    }

    /// Runtimes whose sockets are there.
    fn present(&self) -> Result<Vec<&Runtime>, Unanswered> {
        let there = |runtime: &&Runtime| runtime.cri.socket().exists();
        let present: Vec<_> = self.runtimes.iter().filter(there).collect();
        if present.is_empty() { Err(self.no_socket()) } else { Ok(present) }
    }

    fn no_socket(&self) -> Unanswered {
        let paths = self.runtimes.iter().map(|runtime| runtime.cri.socket().display().to_string());
        Unanswered::NoSocket(paths.collect::<Vec<_>>().join(", "))
    }

    /// Counts a failed call. Docker's containerd listens without serving CRI: that is no failure.
    fn failed(&self, error: CriError) -> CriError {
        let no_cri = matches!(&error, CriError::Refused { status, .. } if status.code() == Code::Unimplemented);
        if !no_cri {
            self.metrics.failed_calls.inc();
        }
        error
    }

    /// Adds what is known without the runtime.
    fn complete(&self, answer: Answer, pod_uid: Option<&str>) -> (AnswerLabel, Answer) {
        let with = |identity: Identity| Identity {
            node: self.node.clone(),
            pod_uid: identity.pod_uid.or_else(|| pod_uid.map(str::to_owned)),
            ..identity
        };
        match answer {
            Answer::Container(found) => (AnswerLabel::container, Answer::Container(with(found))),
            Answer::Pause(found) => (AnswerLabel::pause, Answer::Pause(with(found))),
            Answer::Unobservable(found) => {
                (AnswerLabel::unobservable, Answer::Unobservable(with(found)))
            }
            Answer::Unknown(found) => (AnswerLabel::unknown, Answer::Unknown(with(found))),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Sandboxes> {
        self.sandboxes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn by_path(container_id: &str, pod_uid: Option<&str>, why: &str) -> Identity {
    Identity {
        container_id: container_id.to_owned(),
        pod_uid: pod_uid.map(str::to_owned),
        source: Source::Path,
        lacks: Some(format!("names, labels and image: {why}")),
        ..Identity::default()
    }
}

/// A sandbox never changes what is asked of it, so none is asked for twice.
#[derive(Debug, Default)]
struct Sandboxes {
    by_id: HashMap<String, Arc<PodSandbox>>,
    oldest_first: VecDeque<String>,
}

impl Sandboxes {
    fn remember(&mut self, sandbox: Arc<PodSandbox>) {
        let id = sandbox.id.clone();
        if self.by_id.insert(id.clone(), sandbox).is_some() {
            return;
        }
        self.oldest_first.push_back(id);
        if self.oldest_first.len() > SANDBOXES
            && let Some(oldest) = self.oldest_first.pop_front()
        {
            self.by_id.remove(&oldest);
        }
    }
}

#[cfg(test)]
#[path = "attributor_tests.rs"]
mod tests;

//! A client of the container runtime interface (CRI) over one unix socket. It must not know pods' meaning, retries
//! or caches: one question, one answer, within a deadline.

use std::{
    path::{Path, PathBuf},
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use hyper::http::uri::PathAndQuery;
use prost::Message;
use thiserror::Error;
use tonic::{
    Code, Request, Status,
    client::Grpc,
    transport::{Channel, Endpoint},
};
use tonic_prost::ProstCodec;

use super::cri_messages::{
    Container, ContainerFilter, ContainerStatus, ContainerStatusRequest, ContainerStatusResponse,
    ListContainersRequest, ListContainersResponse, ListPodSandboxRequest, ListPodSandboxResponse,
    PodSandbox, PodSandboxFilter, VersionRequest, VersionResponse,
};

/// Where runtimes listen, in the order in which they are tried.
pub const SOCKETS: [&str; 4] = [
    "/run/containerd/containerd.sock",
    "/run/crio/crio.sock",
    "/run/k3s/containerd/containerd.sock",
    "/run/cri-dockerd.sock",
];

/// How long one call may take.
pub const DEADLINE: Duration = Duration::from_secs(10);

/// The service's names: v1, and what containerd 1.5 and older have in its place.
const SERVICES: [&str; 2] = ["runtime.v1.RuntimeService", "runtime.v1alpha2.RuntimeService"];

/// Why the runtime did not answer.
#[derive(Debug, Error)]
pub enum CriError {
    #[error("cannot ask the container runtime at {0}: the path is no usable address: {1}")]
    Address(PathBuf, String),
    #[error("the container runtime at {0} did not answer {1} within {2:?}")]
    Late(PathBuf, &'static str, Duration),
    #[error("the container runtime at {socket} refused {call}: {}", said(.status))]
    Refused { socket: PathBuf, call: &'static str, status: Box<Status> },
}

/// One runtime. It connects at the first call, and again after the runtime was away.
#[derive(Debug)]
pub struct Cri {
    socket: PathBuf,
    channel: Channel,
    deadline: Duration,
    /// Index of the service that answered last.
    service: AtomicUsize,
}

impl Cri {
    /// Nothing is connected yet. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// The path is not UTF-8.
    pub fn new(socket: &Path, deadline: Duration) -> Result<Self, CriError> {
        let bad = |reason: String| CriError::Address(socket.to_owned(), reason);
        let text = socket.to_str().ok_or_else(|| bad("it is not UTF-8".to_owned()))?;
        let endpoint = Endpoint::from_shared(format!("unix://{text}"))
            .map_err(|error| bad(error.to_string()))?
            .user_agent(concat!("tracer/", env!("CARGO_PKG_VERSION")))
            .map_err(|error| bad(error.to_string()))?;
        let channel = endpoint.connect_lazy();
        Ok(Self { socket: socket.to_owned(), channel, deadline, service: AtomicUsize::new(0) })
    }

    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// # Errors
    /// The runtime did not answer.
    pub async fn version(&self) -> Result<VersionResponse, CriError> {
        self.call("Version", VersionRequest { version: "v1".to_owned() }).await
    }

    /// The container of this id, running or not, if the runtime knows it.
    ///
    /// # Errors
    /// The runtime did not answer.
    pub async fn container(&self, id: &str) -> Result<Option<Container>, CriError> {
        let filter = Some(ContainerFilter { id: id.to_owned(), ..ContainerFilter::default() });
        let answer: ListContainersResponse =
            self.call("ListContainers", ListContainersRequest { filter }).await?;
        Ok(answer.containers.into_iter().find(|container| container.id == id))
    }

    /// The pod sandbox of this id, ready or not, if the runtime knows it.
    ///
    /// # Errors
    /// The runtime did not answer.
    pub async fn sandbox(&self, id: &str) -> Result<Option<PodSandbox>, CriError> {
        let filter = Some(PodSandboxFilter { id: id.to_owned() });
        let answer: ListPodSandboxResponse =
            self.call("ListPodSandbox", ListPodSandboxRequest { filter }).await?;
        Ok(answer.items.into_iter().find(|sandbox| sandbox.id == id))
    }

    /// How a container is or ended, if the runtime knows it.
    ///
    /// # Errors
    /// The runtime did not answer.
    pub async fn container_status(&self, id: &str) -> Result<Option<ContainerStatus>, CriError> {
        let request = ContainerStatusRequest { container_id: id.to_owned(), verbose: false };
        match self.call::<_, ContainerStatusResponse>("ContainerStatus", request).await {
            Ok(answer) => Ok(answer.status),
            Err(CriError::Refused { status, .. }) if status.code() == Code::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn call<Q, A>(&self, call: &'static str, question: Q) -> Result<A, CriError>
    where
        Q: Message + Clone + 'static,
        A: Message + Default + 'static,
    {
        let both = async {
            let service = self.service.load(Ordering::Relaxed);
            let answer = self.call_service(service, call, question.clone()).await;
            let Err(status) = &answer else { return answer };
            if status.code() != Code::Unimplemented {
                return answer;
            }
            // The runtime may also have been replaced by one of another version since.
            let other = (service + 1) % SERVICES.len();
            let answer = self.call_service(other, call, question).await;
            if answer.is_ok() {
                self.service.store(other, Ordering::Relaxed);
            }
            answer
        };
        match tokio::time::timeout(self.deadline, both).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(status)) => {
                let status = Box::new(status);
                Err(CriError::Refused { socket: self.socket.clone(), call, status })
            }
            Err(_) => Err(CriError::Late(self.socket.clone(), call, self.deadline)),
        }
    }

    async fn call_service<Q, A>(
        &self,
        service: usize,
        call: &'static str,
        question: Q,
    ) -> Result<A, Status>
    where
        Q: Message + 'static,
        A: Message + Default + 'static,
    {
        let path = PathAndQuery::try_from(format!("/{}/{call}", SERVICES[service]))
            .map_err(|error| Status::internal(error.to_string()))?;
        let mut client = Grpc::new(self.channel.clone());
        client.ready().await.map_err(|error| Status::unavailable(because(&error)))?;
        let codec = ProstCodec::<Q, A>::default();
        client.unary(Request::new(question), path, codec).await.map(tonic::Response::into_inner)
    }
}

/// A status in words: its cause says more than itself where the socket is gone.
fn said(status: &Status) -> String {
    match std::error::Error::source(status) {
        Some(source) => because(source),
        None => format!("{} ({:?})", status.message(), status.code()),
    }
}

/// The innermost cause of an error.
fn because(error: &dyn std::error::Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

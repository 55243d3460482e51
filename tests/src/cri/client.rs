//! Calls of the container runtime interface, one blocking function each. Knows no order in which they make sense.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use prost::Message;
use tokio::runtime::{Builder, Runtime};
use tonic::Request;
use tonic::client::Grpc;
use tonic::transport::{Channel, Endpoint, Uri};
use tonic_prost::ProstCodec;

use super::messages::{
    Container, ContainerFilter, ContainerId, ContainerStatus, ContainerStatusRequest,
    ContainerStatusResponse, CreateContainerRequest, Empty, ExecSyncRequest, ExecSyncResponse,
    ImageSpec, ImageStatusRequest, ImageStatusResponse, ListContainersRequest,
    ListContainersResponse, ListPodSandboxRequest, ListPodSandboxResponse, RunPodSandboxRequest,
    SandboxId, StopContainerRequest, VersionRequest, VersionResponse,
};

/// No call takes longer, even while a hundred pods start on two cores.
const LONGEST: Duration = Duration::from_secs(120);

/// A connection to one runtime; may be used by many threads at once.
#[derive(Debug)]
pub struct Client {
    channel: Channel,
    // Last, so that the channel's task is still there when the channel goes.
    runtime: Runtime,
}

impl Client {
    /// Connects to the socket at once.
    ///
    /// # Errors
    /// When nobody listens there.
    pub fn connect(socket: &Path) -> Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let endpoint = Endpoint::try_from(format!("unix://{}", socket.display()))?.timeout(LONGEST);
        let channel = runtime
            .block_on(endpoint.connect())
            .with_context(|| format!("nothing answers at {}", socket.display()))?;
        Ok(Self { channel, runtime })
    }

    /// Name and version of the runtime.
    pub fn version(&self) -> Result<VersionResponse> {
        self.call("RuntimeService/Version", VersionRequest::default())
    }

    pub fn run_pod_sandbox(&self, request: RunPodSandboxRequest) -> Result<String> {
        let answer: SandboxId = self.call("RuntimeService/RunPodSandbox", request)?;
        Ok(answer.pod_sandbox_id)
    }

    pub fn stop_pod_sandbox(&self, id: &str) -> Result<()> {
        self.done("RuntimeService/StopPodSandbox", SandboxId { pod_sandbox_id: id.to_owned() })
    }

    pub fn remove_pod_sandbox(&self, id: &str) -> Result<()> {
        self.done("RuntimeService/RemovePodSandbox", SandboxId { pod_sandbox_id: id.to_owned() })
    }

    /// Ids of all sandboxes.
    pub fn pod_sandboxes(&self) -> Result<Vec<String>> {
        let answer: ListPodSandboxResponse =
            self.call("RuntimeService/ListPodSandbox", ListPodSandboxRequest::default())?;
        Ok(answer.items.into_iter().map(|sandbox| sandbox.id).collect())
    }

    pub fn create_container(&self, request: CreateContainerRequest) -> Result<String> {
        let answer: ContainerId = self.call("RuntimeService/CreateContainer", request)?;
        Ok(answer.container_id)
    }

    pub fn start_container(&self, id: &str) -> Result<()> {
        self.done("RuntimeService/StartContainer", ContainerId { container_id: id.to_owned() })
    }

    /// Sends TERM, and KILL when the container outlives `grace_seconds`.
    pub fn stop_container(&self, id: &str, grace_seconds: u32) -> Result<()> {
        let request =
            StopContainerRequest { container_id: id.to_owned(), timeout: grace_seconds.into() };
        self.done("RuntimeService/StopContainer", request)
    }

    pub fn remove_container(&self, id: &str) -> Result<()> {
        self.done("RuntimeService/RemoveContainer", ContainerId { container_id: id.to_owned() })
    }

    pub fn container_status(&self, id: &str) -> Result<ContainerStatus> {
        let request = ContainerStatusRequest { container_id: id.to_owned(), ..Default::default() };
        let answer: ContainerStatusResponse =
            self.call("RuntimeService/ContainerStatus", request)?;
        answer.status.context("an answer without the container's status")
    }

    /// The containers of one sandbox, or of all with `None`. The sandboxes' own are never among them.
    pub fn containers(&self, sandbox: Option<&str>) -> Result<Vec<Container>> {
        let filter = sandbox.map(|id| ContainerFilter {
            pod_sandbox_id: id.to_owned(),
            ..ContainerFilter::default()
        });
        let answer: ListContainersResponse =
            self.call("RuntimeService/ListContainers", ListContainersRequest { filter })?;
        Ok(answer.containers)
    }

    /// Runs a command in a container, as `kubectl exec` and exec probes do, to its end.
    pub fn exec_sync(&self, id: &str, command: &[&str]) -> Result<ExecSyncResponse> {
        let cmd = command.iter().map(|word| (*word).to_owned()).collect();
        let request = ExecSyncRequest { container_id: id.to_owned(), cmd, timeout: 30 };
        self.call("RuntimeService/ExecSync", request)
    }

    /// Whether the runtime has this image.
    pub fn has_image(&self, name: &str) -> Result<bool> {
        let request = ImageStatusRequest {
            image: Some(ImageSpec { image: name.to_owned(), ..ImageSpec::default() }),
        };
        let answer: ImageStatusResponse = self.call("ImageService/ImageStatus", request)?;
        Ok(answer.image.is_some())
    }

    fn done<M: Message + Send + Sync + 'static>(&self, method: &str, request: M) -> Result<()> {
        let Empty {} = self.call(method, request)?;
        Ok(())
    }

    fn call<Q, A>(&self, method: &str, request: Q) -> Result<A>
    where
        Q: Message + Send + Sync + 'static,
        A: Message + Default + Send + Sync + 'static,
    {
        let uri: Uri = format!("http://localhost/runtime.v1.{method}").parse()?;
        let path = uri.into_parts().path_and_query.context("an address with a path")?;
        let mut grpc = Grpc::new(self.channel.clone());
        let answer = self.runtime.block_on(async {
            grpc.ready().await.context("the runtime went away")?;
            let codec = ProstCodec::<Q, A>::default();
            Ok::<_, anyhow::Error>(grpc.unary(Request::new(request), path, codec).await)
        })?;
        match answer {
            Ok(answer) => Ok(answer.into_inner()),
            Err(status) => {
                Err(anyhow::anyhow!("{method}: {:?}: {}", status.code(), status.message()))
            }
        }
    }
}

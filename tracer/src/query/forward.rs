//! Reaches an agent in its pod through the Kubernetes API, as `kubectl port-forward` does. It must not know what is
//! asked.

use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use axum::{
    body::Body,
    http::{Request, Response},
};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use k8s_openapi::api::core::v1::Pod;
use kube::{Api, Client, api::Portforwarder};
use tokio::{task::JoinSet, time::timeout};

/// Where an agent listens in its pod (`--api-listen`).
const PORT: u16 = 9468;
/// For the reason of a stream that has ended.
const REASON: Duration = Duration::from_secs(1);

/// The way to one agent.
pub struct Forward {
    pub client: Client,
    pub namespace: String,
    pub pod: String,
}

/// Ends kube's task with the connection.
struct Carrier(Portforwarder);

impl Drop for Carrier {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Forward {
    /// Asks by a connection of its own, which `connection` carries.
    ///
    /// # Errors
    /// The API server, the kubelet or the agent refuses; the error says who and why.
    pub async fn ask(
        &self,
        connection: &mut JoinSet<()>,
        request: Request<Body>,
    ) -> anyhow::Result<Response<Body>> {
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), &self.namespace);
        let forwarder = pods.portforward(&self.pod, &[PORT]).await;
        let mut carrier = Carrier(forwarder.map_err(|error| self.refused(error))?);
        let stream = carrier.0.take_stream(PORT).context("the port-forward has no stream")?;
        let reason = carrier.0.take_error(PORT).context("the port-forward has no errors")?;
        let mut reason = std::pin::pin!(reason);
        let (mut sender, carried) = http1::handshake(TokioIo::new(stream)).await?;
        connection.shutdown().await;
        connection.spawn(async move {
            // How it ends is known by the answer.
            drop(carried.await);
            drop(carrier);
        });
        let mut answer = std::pin::pin!(sender.send_request(request));
        let answer = tokio::select! {
            answer = &mut answer => answer,
            Some(why) = &mut reason => bail!(self.broken(&why)),
        };
        match answer {
            Ok(response) => Ok(response.map(Body::new)),
            // The kubelet closes the stream first and then says why.
            Err(error) => match timeout(REASON, reason).await {
                Ok(Some(why)) => bail!(self.broken(&why)),
                Ok(None) | Err(_) => Err(error).context("the port-forward broke off"),
            },
        }
    }

    /// What the kubelet says, in short where it is long.
    fn broken(&self, why: &str) -> String {
        if why.contains("connection refused") {
            return format!(
                "nobody listens at port {PORT} in its agent's pod {} (connection refused): see its log, and api_listen of its settings",
                self.pod
            );
        }
        why.trim().to_owned()
    }

    fn refused(&self, error: kube::Error) -> anyhow::Error {
        match error {
            kube::Error::Api(status) if status.code == 403 => anyhow!(
                "{}: who asks needs get and create of pods/portforward in the namespace {} (docs/operations.md)",
                status.message,
                self.namespace
            ),
            kube::Error::Api(status) => anyhow!("{}", status.message),
            error => anyhow!("cannot port-forward: {}", reason(error)),
        }
    }
}

/// Why it could not be asked. Where kube wraps an error of the connection, the innermost one says it.
pub fn reason(error: kube::Error) -> String {
    match error {
        error @ (kube::Error::Service(_) | kube::Error::HyperError(_)) => {
            anyhow::Error::new(error).root_cause().to_string()
        }
        error => error.to_string(),
    }
}

//! What the tracer asks and tells the Kubernetes API. It must not know verdicts' rules, or the kernel.

pub mod annotate;
pub mod events;
#[cfg(test)]
mod fake_api;
pub mod owner;

use std::{env, path::Path};

use anyhow::Context as _;
use kube::{
    Client, Config,
    config::{KubeConfigOptions, Kubeconfig},
    core::Status,
};

use crate::config::Kubernetes;

/// Where the kubelet tells a pod's processes of the API (kubernetes.io, "Accessing the API from within a Pod").
const HOST: &str = "KUBERNETES_SERVICE_HOST";

/// A client for the agent; `None` where it is in no pod, or must not ask. Nothing is sent yet.
///
/// # Errors
/// The kubeconfig cannot be used.
pub async fn client(kubernetes: &Kubernetes) -> anyhow::Result<Option<Client>> {
    let config = match kubernetes {
        Kubernetes::Off => return Ok(None),
        Kubernetes::Auto if env::var_os(HOST).is_none() => return Ok(None),
        Kubernetes::Auto => match Config::incluster() {
            Ok(config) => config,
            Err(error) => {
                tracing::warn!(%error, "this pod has no service account for the Kubernetes API");
                return Ok(None);
            }
        },
        Kubernetes::Kubeconfig(file) => of_kubeconfig(file, &KubeConfigOptions::default()).await?,
    };
    Ok(Some(Client::try_from(config).context("cannot make a client of the Kubernetes API")?))
}

/// The configuration that `options` choose of a kubeconfig file.
///
/// # Errors
/// The file cannot be read, or has no such context.
async fn of_kubeconfig(file: &Path, options: &KubeConfigOptions) -> anyhow::Result<Config> {
    let wrong = || format!("cannot use the kubeconfig {}", file.display());
    let kubeconfig = Kubeconfig::read_from(file).with_context(wrong)?;
    Config::from_custom_kubeconfig(kubeconfig, options).await.with_context(wrong)
}

/// Nothing can be created in a namespace that is being deleted (k8s.io/kubernetes, namespace/lifecycle/admission.go).
fn is_ending_namespace(status: &Status) -> bool {
    let causes = status.details.iter().flat_map(|details| &details.causes);
    causes.into_iter().any(|cause| cause.reason == "NamespaceTerminating")
}

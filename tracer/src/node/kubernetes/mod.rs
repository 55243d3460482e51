//! What the tracer asks and tells the Kubernetes API. It must not know verdicts' rules, or the kernel.

pub mod annotate;
pub mod events;
#[cfg(test)]
mod fake_api;
pub mod owner;
pub mod pods;

use std::{
    env,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, anyhow};
use kube::{
    Client, Config,
    config::{KubeConfigOptions, Kubeconfig, KubeconfigError},
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

/// A client for a person: by `file`, else by the files that kubectl would take, else as a pod; of its current context
/// where none is named; and the server's address. `None` where there is none of them. Nothing is sent yet; connecting may
/// take `patience`.
///
/// # Errors
/// A file cannot be used, or has no such context.
pub async fn of_person(
    file: Option<&Path>,
    context: Option<&str>,
    patience: Duration,
) -> anyhow::Result<Option<(Client, String)>> {
    let options =
        KubeConfigOptions { context: context.map(str::to_owned), ..KubeConfigOptions::default() };
    let files = match file {
        Some(file) => vec![file.to_owned()],
        // kubectl passes over those that do not exist.
        None => usual_files().into_iter().filter(|file| file.exists()).collect(),
    };
    let mut config = match files.as_slice() {
        [] if env::var_os(HOST).is_none() || context.is_some() => return Ok(None),
        [] => match Config::incluster() {
            Ok(config) => config,
            Err(_) => return Ok(None),
        },
        [file] => of_kubeconfig(file, &options).await?,
        files => {
            let names: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
            let merged = files.iter().try_fold(Kubeconfig::default(), |merged, file| {
                merged.merge(Kubeconfig::read_from(file)?)
            });
            let config = match merged {
                Ok(merged) => Config::from_custom_kubeconfig(merged, &options).await,
                Err(error) => Err(error),
            };
            config.map_err(|error| unusable(&names.join(", "), &error))?
        }
    };
    config.connect_timeout = Some(patience);
    // Who waits is told why at once.
    config.default_retry = false;
    let server = config.cluster_url.to_string();
    let client = Client::try_from(config)
        .map_err(|error| anyhow!("cannot ask the Kubernetes API at {server}: {error}"))?;
    Ok(Some((client, server)))
}

/// Where kubectl looks for kubeconfigs: the files that KUBECONFIG lists, else that of the home directory.
pub fn usual_files() -> Vec<PathBuf> {
    let listed = env::var_os("KUBECONFIG").unwrap_or_default();
    let listed: Vec<PathBuf> =
        env::split_paths(&listed).filter(|path| !path.as_os_str().is_empty()).collect();
    if listed.is_empty() {
        return env::home_dir().map(|home| home.join(".kube/config")).into_iter().collect();
    }
    listed
}

/// The configuration that `options` choose of a kubeconfig file.
///
/// # Errors
/// The file cannot be read, or has no such context.
async fn of_kubeconfig(file: &Path, options: &KubeConfigOptions) -> anyhow::Result<Config> {
    let config = match Kubeconfig::read_from(file) {
        Ok(kubeconfig) => Config::from_custom_kubeconfig(kubeconfig, options).await,
        Err(error) => Err(error),
    };
    config.map_err(|error| unusable(&file.display().to_string(), &error))
}

/// Kube's errors tell their own causes.
fn unusable(files: &str, error: &KubeconfigError) -> anyhow::Error {
    match error {
        KubeconfigError::ReadConfig(error, _) => {
            anyhow!("cannot read the kubeconfig {files}: {error}")
        }
        error => anyhow!("cannot use the kubeconfig {files}: {error}"),
    }
}

/// Nothing can be created in a namespace that is being deleted (k8s.io/kubernetes, namespace/lifecycle/admission.go).
fn is_ending_namespace(status: &Status) -> bool {
    let causes = status.details.iter().flat_map(|details| &details.causes);
    causes.into_iter().any(|cause| cause.reason == "NamespaceTerminating")
}

//! Speaks to a cluster by running kubectl, and reads its JSON. It knows what kubectl can do, not what any of it is for.

use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use clap::Args;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::means::exec;

/// Which cluster, as kubectl itself is told.
#[derive(Debug, Clone, Args)]
pub struct Kubectl {
    /// The kubectl to run, 1.27 or later
    #[arg(long, value_name = "FILE", default_value = "kubectl")]
    kubectl: PathBuf,
    /// As kubectl's
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// As kubectl's
    #[arg(long, value_name = "NAME")]
    context: Option<String>,
}

impl Kubectl {
    /// The cluster, for people: the context's name and the server's version.
    pub fn cluster(&self) -> Result<String> {
        let version: Value = serde_json::from_str(&self.text(&["version", "-o", "json"])?)
            .context("kubectl prints no JSON")?;
        let version = version["serverVersion"]["gitVersion"].as_str().unwrap_or("?").to_owned();
        Ok(format!("{}, Kubernetes {version}", self.context()?))
    }

    /// The context that is used.
    pub fn context(&self) -> Result<String> {
        match &self.context {
            Some(name) => Ok(name.clone()),
            None => Ok(self.text(&["config", "current-context"])?.trim().to_owned()),
        }
    }

    /// The kubeconfig that was given, if one was.
    pub fn kubeconfig(&self) -> Option<&Path> {
        self.kubeconfig.as_deref()
    }

    /// What kubectl prints.
    pub fn text(&self, args: &[&str]) -> Result<String> {
        exec::stdout(self.command().args(args))
    }

    /// What kubectl prints of `args` as JSON.
    pub fn json<T: DeserializeOwned>(&self, args: &[&str]) -> Result<T> {
        let mut command = self.command();
        let text = exec::stdout(command.args(args).args(["-o", "json"]))?;
        serde_json::from_str(&text)
            .with_context(|| format!("cannot read what `{}` prints", exec::line(&command)))
    }

    /// Makes the objects.
    pub fn create(&self, objects: &Value) -> Result<()> {
        let mut child = self
            .command()
            .args(["create", "-f", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .context("cannot run kubectl")?;
        // Closed at the end of the statement, which is what kubectl waits for.
        child.stdin.take().context("no stdin")?.write_all(objects.to_string().as_bytes())?;
        let mut words = String::new();
        child.stderr.take().context("no stderr")?.read_to_string(&mut words)?;
        ensure!(child.wait()?.success(), "kubectl create failed: {words}");
        Ok(())
    }

    /// Applies a folder; gives what was applied.
    pub fn apply(&self, folder: &Path) -> Result<Value> {
        self.json(&["apply", "-k", &folder.to_string_lossy()])
    }

    /// Deletes what a folder names and waits until it is gone.
    pub fn delete(&self, folder: &Path) -> Result<()> {
        let folder = folder.to_string_lossy();
        self.text(&["delete", "-k", &folder, "--ignore-not-found", "--timeout=180s"]).map(drop)
    }

    /// What a program in a container prints.
    pub fn exec(&self, namespace: &str, pod: &str, program: &[&str]) -> Result<String> {
        let mut command = self.command();
        exec::stdout(command.args(["-n", namespace, "exec", pod, "--"]).args(program))
    }

    /// Waits for the rollout of a Deployment or DaemonSet.
    pub fn rolled_out(&self, namespace: &str, what: &str) -> Result<()> {
        self.text(&["-n", namespace, "rollout", "status", what, "--timeout=180s"]).map(drop)
    }

    /// Warnings and errors in the log of a Deployment or DaemonSet.
    pub fn complaints(&self, namespace: &str, what: &str) -> Result<String> {
        let log = self.text(&["-n", namespace, "logs", what])?;
        let complains = |line: &&str| line.contains(" WARN ") || line.contains(" ERROR ");
        let lines: Vec<&str> = log.lines().filter(complains).collect();
        Ok(if lines.is_empty() { "nothing".to_owned() } else { lines.join("; ") })
    }

    /// Forwards a free port of this machine to `target`; until it is dropped.
    pub fn forward(&self, namespace: &str, target: &str, port: u16) -> Result<Forward> {
        let mut child = self
            .command()
            .args(["-n", namespace, "port-forward", target, &format!(":{port}")])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .context("cannot run kubectl port-forward")?;
        let said = child.stdout.take();
        let mut forward = Forward { child, port: 0, said };
        let line = first_line(forward.said.as_mut().context("no stdout")?)?;
        forward.port = forwarded_port(&line)
            .with_context(|| format!("`kubectl port-forward {target}` says: {line}"))?;
        Ok(forward)
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.kubectl);
        if let Some(file) = &self.kubeconfig {
            command.arg("--kubeconfig").arg(file);
        }
        if let Some(context) = &self.context {
            command.args(["--context", context]);
        }
        command
    }
}

/// A `kubectl port-forward` that runs.
#[derive(Debug)]
pub struct Forward {
    child: Child,
    port: u16,
    /// Held open: kubectl says more, and would end where nobody can hear it.
    said: Option<ChildStdout>,
}

impl Forward {
    /// The port on this machine's loopback.
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl Drop for Forward {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _reaped = self.child.wait();
    }
}

fn first_line(from: &mut impl std::io::Read) -> Result<String> {
    let mut line = Vec::new();
    let mut byte = [0];
    while from.read(&mut byte)? == 1 && byte[0] != b'\n' {
        line.push(byte[0]);
    }
    Ok(String::from_utf8_lossy(&line).into_owned())
}

/// `Forwarding from 127.0.0.1:43210 -> 9443`
fn forwarded_port(line: &str) -> Option<u16> {
    let (from, _) = line.strip_prefix("Forwarding from ")?.split_once(" -> ")?;
    from.rsplit_once(':')?.1.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_forwarded_port_is_read_from_what_kubectl_says() {
        assert_eq!(forwarded_port("Forwarding from 127.0.0.1:43210 -> 9443"), Some(43210));
        assert_eq!(forwarded_port("error: timed out"), None);
    }
}

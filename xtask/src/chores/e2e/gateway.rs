//! Drives the gateway from a pod and from outside of the cluster. It knows the client's command line.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use super::kubectl::Kubectl;
use super::pods::Pod;
use super::report::Report;
use super::{NAMESPACE, until};
use crate::chores::image::Name;
use crate::means::exec;

pub const GATEWAY_NAMESPACE: &str = "macula-system";
pub const DEPLOYMENT: &str = "deployment/macula-gateway";
const SERVICE: &str = "macula-gateway";
const PORT: u16 = 9443;
const TOPIC: &str = "e2e.hello";
const PAYLOAD: &str = "hello from a pod";

pub fn drive(kubectl: &Kubectl, client: &Path, report: &mut Report) -> Result<()> {
    let service: Value = kubectl.json(&["-n", GATEWAY_NAMESPACE, "get", "service", SERVICE])?;
    let inside = service["spec"]["clusterIP"].as_str().context("the Service has no address")?;
    let inside = format!("{inside}:{PORT}");
    let pinged = in_pod(kubectl, "ping", &inside, &["-n", "3", "-i", "0.2"]);
    report.check("ping from a pod, QUIC", pinged.and_then(|said| answered(&said)))?;
    let pinged = in_pod(kubectl, "ping", &inside, &["--tcp", "-n", "3", "-i", "0.2"]);
    report.check("ping from a pod, TCP", pinged.and_then(|said| answered(&said)))?;

    let outside = node_address(kubectl, &service)?;
    let pinged = outside_of(client, "ping", &outside, &["-n", "3", "-i", "0.2"]);
    report.check("ping from outside, QUIC", pinged.and_then(|said| answered(&said)))?;
    report
        .check("a pod publishes, outside it is heard", heard(kubectl, client, &inside, &outside))?;
    report.check("ping through port-forward, TCP", forwarded(kubectl, client))
}

/// The topic is kept, so that the subscriber may come later.
fn heard(kubectl: &Kubectl, client: &Path, inside: &str, outside: &str) -> Result<String> {
    in_pod(kubectl, "pub", inside, &["--retain", TOPIC, PAYLOAD])?;
    let options = ["-n", "1", "--timeout", "20", "-o", "raw", TOPIC];
    let heard = outside_of(client, "sub", outside, &options)?;
    ensure!(heard.trim() == PAYLOAD, "heard `{heard}`");
    Ok(format!("`{PAYLOAD}`"))
}

fn forwarded(kubectl: &Kubectl, client: &Path) -> Result<String> {
    let forward = kubectl.forward(GATEWAY_NAMESPACE, &format!("service/{SERVICE}"), PORT)?;
    let address = format!("127.0.0.1:{}", forward.port());
    answered(&outside_of(client, "ping", &address, &["--tcp", "-n", "1"])?)
}

fn outside_of(client: &Path, verb: &str, server: &str, options: &[&str]) -> Result<String> {
    let mut command = Command::new(client);
    command.args(["client", verb, "--insecure", "--server", server]).args(options);
    exec::stdout(&mut command).context("on Linux a node's address can be reached, with kind too")
}

/// Runs the client in a pod of its own and gives what it printed.
fn in_pod(kubectl: &Kubectl, verb: &str, server: &str, options: &[&str]) -> Result<String> {
    let name = if options.contains(&"--tcp") { format!("{verb}-tcp") } else { verb.to_owned() };
    let args = [&["client", verb, "--insecure", "--server", server], options].concat();
    kubectl.create(&json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {
            "restartPolicy": "Never",
            "automountServiceAccountToken": false,
            "enableServiceLinks": false,
            "containers": [{
                "name": "client",
                "image": Name::Gateway.reference(),
                "imagePullPolicy": "IfNotPresent",
                "args": args,
            }],
        },
    }))?;
    let phase = until("the client's pod to end", Duration::from_secs(60), || {
        let pod: Pod = kubectl.json(&["-n", NAMESPACE, "get", "pod", &name])?;
        Ok(["Succeeded", "Failed"].contains(&&*pod.status.phase).then_some(pod.status.phase))
    })?;
    let said = kubectl.text(&["-n", NAMESPACE, "logs", &name])?;
    kubectl.text(&["-n", NAMESPACE, "delete", "pod", &name, "--wait=false"])?;
    ensure!(phase == "Succeeded", "the client failed: {said}");
    Ok(said)
}

/// The address of the first node, with the port that the Service has there.
fn node_address(kubectl: &Kubectl, service: &Value) -> Result<String> {
    let port = service["spec"]["ports"][0]["nodePort"].as_u64().context("no port of the node")?;
    let nodes: Value = kubectl.json(&["get", "nodes"])?;
    let addresses = nodes["items"][0]["status"]["addresses"].as_array();
    let internal = |address: &&Value| address["type"] == "InternalIP";
    let address = addresses.and_then(|all| all.iter().find(internal));
    let address = address.and_then(|address| address["address"].as_str());
    Ok(format!("{}:{port}", address.context("the node has no address")?))
}

/// The line of statistics, if no ping was lost.
fn answered(said: &str) -> Result<String> {
    let line = said.lines().find(|line| line.contains(" answered"));
    let line = line.with_context(|| format!("no statistics in: {said}"))?;
    ensure!(line.contains(" 0% lost"), "{line}");
    Ok(line.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lost_ping_is_a_failure() {
        assert!(answered("x\n3 sent, 3 answered, 0% lost\n").is_ok());
        assert!(answered("3 sent, 0 answered, 100% lost\n").is_err());
        assert!(answered("").is_err());
    }
}

//! What the agent tells a Kubernetes API of crashes, and what it leaves in the kernel when its DaemonSet is gone.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tests::cri::{Around, ContainerSpec, Pod, PodSpec};
use tests::fake_api::{FakeApi, PodNames};
use tests::patience::eventually;

use crate::crash::Crash;
use crate::world::World;

const WITHIN: Duration = Duration::from_secs(30);
const GATEWAY: PodNames<'_> = PodNames {
    namespace: "macula",
    name: "gateway-0",
    uid: "8d1c9f0e-1f7e-4a57-9d3c-0c2a7f1b6e55",
};

#[test]
fn a_crash_loop_is_one_event_that_names_the_cause_and_counts() -> Result<()> {
    let Some((world, api)) = beside_an_api("events")? else { return Ok(()) };
    let pod = Pod::run(&world.containerd, PodSpec::new("macula", "gateway-0").uid(GATEWAY.uid))?;
    let dies = ContainerSpec::new("gateway", &["/victim", "segfault", "0"]);
    pod.crash_loop(2, |attempt| pod.start(&dies, attempt))?;
    let told = Crash::wait(&world, "macula", "gateway-0", "gateway", 2)?;
    let event = eventually("the third crash in an Event", WITHIN, || {
        Ok(api.events().into_iter().find(|event| event["count"] == 3))
    })?;
    ensure!(api.events().len() == 1, "there are {:?}", api.events());
    ensure!(event["reason"] == "CrashCause" && event["type"] == "Warning", "it is {event}");
    let on = &event["involvedObject"];
    ensure!(on["name"] == "gateway-0" && on["uid"] == GATEWAY.uid, "it is {event}");
    ensure!(on["fieldPath"] == "spec.containers{gateway}", "it is {event}");
    let message = event["message"].as_str().context("it has no message")?;
    let summary = told.0["crash"]["summary"].as_str().context("it has no summary")?;
    ensure!(message.starts_with("segfault: ") && message.contains(summary), "it says {message}");
    Ok(())
}

#[test]
fn an_agent_whose_daemonset_is_gone_leaves_nothing() -> Result<()> {
    let Some((mut world, api)) = beside_an_api("nothing left")? else { return Ok(()) };
    api.delete_daemonset();
    let (status, _) = world.agent.stop()?;
    ensure!(status.success(), "on SIGTERM it ended with {status}");
    ensure!(!world.agent.pins().exists(), "its pins are left: {}", world.agent.stderr());
    ensure!(!world.agent.socket().exists(), "its socket is left");
    Ok(())
}

#[test]
fn an_agent_whose_daemonset_is_there_leaves_its_pins_to_the_next() -> Result<()> {
    let Some((mut world, _api)) = beside_an_api("pins left")? else { return Ok(()) };
    let (status, _) = world.agent.stop()?;
    ensure!(status.success(), "on SIGTERM it ended with {status}");
    ensure!(world.agent.pins().read_dir()?.count() == 1, "its pins are gone");
    Ok(())
}

#[test]
fn an_agent_without_a_bpf_file_system_goes_on_and_says_what_lacks() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let elsewhere = folder.path().join("pins");
    let elsewhere = elsewhere.to_str().context("a temporary path is UTF-8")?;
    let options = ["--keep-when-stopped", "--pin-dir", elsewhere];
    let Some(world) = World::with("no bpffs", Around::Network, &options)? else { return Ok(()) };
    let health: serde_json::Value =
        serde_json::from_str(&world.agent.get("/v1/health", "*/*")?.body)?;
    let error = health["pins"]["error"].as_str().context("it lacks nothing")?;
    ensure!(error.contains("mount -t bpf"), "it says {error}");
    ensure!(world.agent.stderr().contains("mount -t bpf"), "it does not warn");
    ensure!(!folder.path().join("pins").exists(), "it made the folder");
    Ok(())
}

/// An agent that keeps its programs in the kernel and knows its DaemonSet.
fn beside_an_api(test: &str) -> Result<Option<(World, FakeApi)>> {
    let api = FakeApi::start(GATEWAY)?;
    let kubeconfig = api.kubeconfig();
    let kubeconfig = kubeconfig.to_str().context("a temporary path is UTF-8")?;
    let log = "info,tracer::node::kubernetes=debug";
    let options = ["--keep-when-stopped", "--kubernetes", kubeconfig, "--log", log];
    let Some(world) = World::with(test, Around::Network, &options)? else { return Ok(None) };
    eventually("the agent's knowledge of its DaemonSet", WITHIN, || {
        Ok(world.agent.stderr().contains("this agent's DaemonSet").then_some(()))
    })?;
    Ok(Some((world, api)))
}

//! The images of `cargo xtask image`, run by a real container runtime as the manifests of `deploy/` want them: the agent
//! with its DaemonSet's mounts, a gateway, and pods that die. Knows neither program's insides.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tests::binary;
use tests::cri::{Around, Containerd, NEEDS, Pod};
use tests::manifest::{self, Files, Manifest};
use tests::patience::eventually;

const READY_WITHIN: Duration = Duration::from_secs(60);
const TOLD_WITHIN: Duration = Duration::from_secs(30);
const ANSWERED_WITHIN: Duration = Duration::from_secs(5);

const IMAGES: [&str; 3] = ["gateway", "tracer", "victims"];

/// Pods of `deploy/crashes` that need, together, all that is in the victims' image and the gateway's. Those that a kubelet's
/// probes kill are not among them, nor those that want a network of their own.
const DYING: [&str; 9] = [
    "another-machine",
    "certificate-never-made",
    "exit-3",
    "key-unreadable",
    "libc-too-old",
    "library-missing",
    "loader-missing",
    "oom-before-first-line",
    "unknown-name",
];

#[test]
fn the_images_run_as_the_manifests_want_them() -> Result<()> {
    let Some(folder) = binary::images("the images", NEEDS) else { return Ok(()) };
    let containerd = Containerd::start(Around::Node)?;
    for name in IMAGES {
        let image = manifest::tagged(&format!("ghcr.io/macula-io/macula-{name}"))?;
        containerd.import(&folder.join(name).with_extension("tar"), &image)?;
    }

    let settings = manifest::read("overlays/kind/tracer.toml")?;
    let agent = Manifest::read("base/tracer/daemonset.yaml")?;
    let settings: Files<'_> = ("macula-tracer-settings", &[("tracer.toml", &settings)]);
    let (agent_pod, agent_runs) = agent.run(&containerd, "macula-tracer", "agent", &[settings])?;
    let agent_id = &agent_runs[0].id;
    answers(&containerd, &agent, "readinessProbe")
        .with_context(|| format!("the agent said {:?}", agent_pod.log("tracer", 0)))?;
    answers(&containerd, &agent, "livenessProbe")?;

    let gateway =
        Manifest::read("base/gateway/deployment.yaml")?.patched("overlays/kind/gateway.yaml")?;
    let realms = manifest::read("base/gateway/realms.toml")?;
    let realms: Files<'_> = ("macula-gateway", &[("realms.toml", &realms)]);
    let (gateway_pod, gateway_runs) =
        gateway.run(&containerd, "macula-system", "gateway", &[realms])?;
    answers(&containerd, &gateway, "readinessProbe")
        .with_context(|| format!("the gateway said {:?}", gateway_pod.log("gateway", 0)))?;
    // By a name, which a static program resolves by itself.
    let ping = ["gateway", "client", "ping", "-n", "1", "--insecure", "--server", "localhost:9443"];
    let pinged = gateway_pod.exec(&gateway_runs[0].id, &ping)?;
    ensure!(pinged.exit_code == 0, "ping: {}", String::from_utf8_lossy(&pinged.stderr));

    let dead = DYING.map(|name| die(&containerd, name).with_context(|| name.to_owned()));
    let dead: Vec<(Pod<'_>, String)> = dead.into_iter().collect::<Result<_>>()?;
    let mut wrong = Vec::new();
    for (pod, cause) in &dead {
        let told =
            eventually(pod.name(), TOLD_WITHIN, || cause_of(&agent_pod, agent_id, pod.name()))?;
        if told != *cause {
            wrong.push(format!("{} is {told}, not {cause}", pod.name()));
        }
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));

    // As a node is drained: both end by themselves, and well.
    for (pod, id) in [(&gateway_pod, &gateway_runs[0].id), (&agent_pod, agent_id)] {
        pod.stop(id, 40)?;
        let end = pod.end_of(id)?;
        ensure!(end.exit_code == 0, "{} ended with {}: {}", pod.name(), end.exit_code, end.reason);
    }
    Ok(())
}

/// Waits until a probe of the manifest has its answer.
fn answers(containerd: &Containerd, manifest: &Manifest, probe: &str) -> Result<()> {
    let (port, path) = manifest.probed(probe)?;
    eventually(path, READY_WITHIN, || {
        let status = containerd.in_network(|| status(port, path));
        Ok(status.is_ok_and(|status| status == 200).then_some(()))
    })
}

/// What a server on the loopback answers to one request.
fn status(port: u16, path: &str) -> Result<u16> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_read_timeout(Some(ANSWERED_WITHIN))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let status = answer.split(' ').nth(1).context("no HTTP status")?;
    Ok(status.parse()?)
}

/// Lets a pod of `deploy/crashes` die; gives it and the cause that must be told.
fn die<'c>(containerd: &'c Containerd, name: &str) -> Result<(Pod<'c>, String)> {
    let manifest =
        Manifest::read(&Path::new("crashes").join(name).with_extension("yaml").to_string_lossy())?;
    let key: Files<'_> = ("unreadable-key", &[("tls.crt", "none"), ("tls.key", "none")]);
    let (pod, runs) = manifest.run(containerd, "macula-crashes", name, &[key])?;
    for run in runs {
        pod.end_of(&run.id)?;
    }
    Ok((pod, manifest.annotation("macula.io/cause").to_owned()))
}

/// The cause that the agent's own command tells of a pod's crash, once it does.
fn cause_of(agent: &Pod<'_>, id: &str, name: &str) -> Result<Option<String>> {
    let said = agent.exec(id, &["tracer", "crashes", "-A", "-o", "json"])?;
    let words = String::from_utf8_lossy(&said.stderr);
    // 1: nothing found.
    ensure!(
        [0, 1].contains(&said.exit_code),
        "tracer crashes ended with {}: {words}",
        said.exit_code
    );
    for line in serde_json::Deserializer::from_slice(&said.stdout).into_iter::<Value>() {
        let line = line?;
        if line["k8s"]["pod"]["name"] == name {
            return Ok(line["crash"]["cause"].as_str().map(str::to_owned));
        }
    }
    Ok(None)
}

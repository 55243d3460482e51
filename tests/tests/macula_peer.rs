//! The gateway's binary meets a peer that shares no code with it: `tests/peer`, written in Python from the protocol alone. It
//! knows how to start both and how the peer reports, nothing of the wire.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tempfile::TempDir;

const READY_WITHIN: Duration = Duration::from_secs(30);

/// The check of peers at work, by a part of its name.
const AT_WORK: &str = "peers stay connected";

/// A gateway that is ready. It is killed when this is dropped.
struct Gateway {
    child: Child,
    binary: PathBuf,
    /// The line of its log that says where it listens.
    ready: Value,
    folder: TempDir,
}

impl Gateway {
    fn start(binary: PathBuf) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let at = |name: &str| folder.path().join(name);
        let key = rcgen::KeyPair::generate()?;
        let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
        let certificate = rcgen::CertificateParams::new(names)?.self_signed(&key)?;
        fs::write(at("tls.crt"), certificate.pem())?;
        fs::write(at("tls.key"), key.serialize_pem())?;
        let child = Command::new(&binary)
            .args(["run", "--address", "127.0.0.1", "--port", "0", "--health-port", "0"])
            .args(["--log-format", "json"])
            .env_clear()
            .env("TLS_CERT_FILE", at("tls.crt"))
            .env("TLS_KEY_FILE", at("tls.key"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(at("log"))?)
            .spawn()
            .context("the gateway cannot be started")?;
        let mut gateway = Self { child, binary, ready: Value::Null, folder };
        gateway.ready =
            tests::patience::eventually("a gateway that is ready", READY_WITHIN, || {
                if let Some(status) = gateway.child.try_wait()? {
                    anyhow::bail!("the gateway ended: {status}\n{}", gateway.log());
                }
                Ok(gateway.log().lines().find_map(ready))
            })?;
        Ok(gateway)
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    fn address(&self, of: &str) -> Result<&str> {
        self.ready[of].as_str().with_context(|| format!("{} names no {of}", self.ready))
    }

    /// Lets the peer do all checks that it is asked for; none may fail or be skipped.
    fn meets(&self, mut peer: Command, transport: &str, asked: &[&str]) -> Result<()> {
        let socket = if transport == "quic" { "udp" } else { "tcp" };
        let output = peer
            .args(["--transport", transport, "--server", self.address(socket)?])
            .args(["--health", self.address("health")?])
            .arg("--ca")
            .arg(self.folder.path().join("tls.crt"))
            .arg("--gateway")
            .arg(&self.binary)
            .args(asked)
            .output()
            .context("the peer cannot be started")?;
        let report = String::from_utf8_lossy(&output.stdout);
        let passed = output.status.success() && !report.contains("skipped: ");
        ensure!(
            passed && report.trim_end().ends_with(" passed, 0 failed"),
            "over {transport} the peer ended with {}:\n{report}{}\nthe gateway said:\n{}",
            output.status,
            String::from_utf8_lossy(&output.stderr),
            self.log(),
        );
        Ok(())
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        // The peer may have stopped it already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn ready(line: &str) -> Option<Value> {
    let line: Value = serde_json::from_str(line).ok()?;
    (line["message"].as_str()?.starts_with("ready")).then_some(line)
}

/// All checks, with peers at work for twenty seconds whose hearts beat as often as upstream's do in five minutes. The last
/// check stops the gateway.
fn passes_every_row(test: &str, transport: &str) -> Result<()> {
    let (Some(binary), Some(peer)) = (tests::binary::gateway(test), tests::binary::peer(test))
    else {
        return Ok(());
    };
    let gateway = Gateway::start(binary)?;
    let pid = gateway.child.id().to_string();
    gateway.meets(peer, transport, &["--seconds", "20", "--heartbeat", "2", "--pid", &pid])
}

/// With upstream's own heartbeat, every 30 seconds: an end that comes of it comes late.
fn stays_connected_for_three_minutes(test: &str) -> Result<()> {
    let (Some(binary), Some(quic), Some(tcp)) =
        (tests::binary::gateway(test), tests::binary::peer(test), tests::binary::peer(test))
    else {
        return Ok(());
    };
    let gateway = Gateway::start(binary)?;
    let asked = ["--only", AT_WORK, "--seconds", "180", "--heartbeat", "30"];
    thread::scope(|scope| {
        let over_tcp = scope.spawn(|| gateway.meets(tcp, "tcp", &asked));
        gateway.meets(quic, "quic", &asked)?;
        over_tcp.join().expect("it does not panic")
    })
}

// One test, since they spend minutes waiting: each has a gateway of its own.
#[test]
fn an_independent_peer_passes_every_row_and_stays_connected_for_three_minutes() -> Result<()> {
    let test = "an_independent_peer";
    let [connected, rows] = thread::scope(|scope| {
        let connected = scope.spawn(|| stays_connected_for_three_minutes(test));
        let rows = passes_every_row(test, "quic").and_then(|()| passes_every_row(test, "tcp"));
        [connected.join().expect("it does not panic"), rows]
    });
    rows.and(connected)
}

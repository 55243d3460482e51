//! The binary: its settings, signals, last words and exit codes.

use std::{
    fs::{self, Permissions},
    io::{BufRead, BufReader, ErrorKind},
    net::{SocketAddr, TcpListener, UdpSocket},
    os::unix::{
        fs::{MetadataExt, PermissionsExt},
        process::CommandExt,
    },
    path::Path,
    process::{Child, ChildStderr, Command, Output, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::time::{interval, timeout};

use crate::{
    authority::Authority,
    peer::{Over, Peer},
    world::REALM,
};

const SECRET: &str = "a secret of more than thirty-two bytes";

fn command(arguments: &[&str]) -> Command {
    command_of(Path::new(env!("CARGO_BIN_EXE_gateway")), arguments)
}

fn command_of(binary: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(binary);
    command.arg("run").args(arguments).env_clear().env("RELEASE_COOKIE", SECRET);
    command.args(["--address", "127.0.0.1", "--log-format", "json", "--health-port", "0"]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    command
}

fn message(line: &str) -> Value {
    serde_json::from_str(line).unwrap_or_else(|_| panic!("{line} is no line of a log"))
}

/// Runs it until it ends by itself; returns its exit code and the last line of its log.
fn ended(command: &mut Command) -> (i32, String) {
    let Output { status, stderr, .. } = loop {
        match command.output() {
            // A test beside this one forks while a copy of the binary is open for writing.
            Err(error) if error.kind() == ErrorKind::ExecutableFileBusy => {}
            other => break other.unwrap(),
        }
    };
    let stderr = String::from_utf8(stderr).unwrap();
    assert!(!stderr.contains(SECRET), "{stderr}");
    let last = message(stderr.lines().last().unwrap());
    let code = status.code().unwrap();
    assert_eq!(last["exit_code"], code);
    (code, last["message"].as_str().unwrap().to_owned())
}

/// A gateway that is ready. It is killed when this is dropped.
struct Process {
    child: Child,
    log: BufReader<ChildStderr>,
    udp: SocketAddr,
    tcp: SocketAddr,
}

impl Process {
    fn start(command: &mut Command) -> Self {
        let mut child = command.spawn().unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap());
        let ready = until(&mut log, "ready");
        let at = |name: &str| ready[name].as_str().unwrap().parse().unwrap();
        Self { child, log, udp: at("udp"), tcp: at("tcp") }
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    fn at(&self, over: Over) -> SocketAddr {
        match over {
            Over::Quic => self.udp,
            Over::Tcp => self.tcp,
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The line of a log that begins so.
fn until(log: &mut impl BufRead, what: &str) -> Value {
    let mut line = String::new();
    while log.read_line(&mut line).unwrap() > 0 {
        let found = message(&line);
        if found["message"].as_str().is_some_and(|text| text.starts_with(what)) {
            return found;
        }
        line.clear();
    }
    panic!("the log ended without {what:?}");
}

fn with_pair(command: &mut Command, folder: &Path) {
    command
        .env("TLS_CERT_FILE", folder.join("tls.crt"))
        .env("TLS_KEY_FILE", folder.join("tls.key"));
}

#[tokio::test]
async fn sigterm_tells_every_client_and_ends_with_0() {
    let (authority, folder) = (Authority::new(), tempfile::tempdir().unwrap());
    authority.write_server(folder.path());
    let mut command = command(&["--port", "0"]);
    with_pair(&mut command, folder.path());
    let mut process = Process::start(&mut command);
    let mut peers = Vec::new();
    for over in Over::BOTH {
        let tls = authority.trusted(None);
        let mut peer = Peer::reach(over, process.at(over), tls).await.unwrap();
        peer.join(REALM).await;
        peers.push(peer);
    }
    process.signal(Signal::TERM);
    for peer in &mut peers {
        assert_eq!(peer.dismissed().await.0, "draining");
    }
    drop(peers);
    let last = until(&mut process.log, "the gateway ends");
    assert_eq!(last["message"], "the gateway ends: it was asked to, and every client has left");
    assert_eq!(process.child.wait().unwrap().code(), Some(0));
}

#[tokio::test]
async fn sighup_brings_new_realms_and_a_bad_file_changes_nothing() {
    let (authority, folder) = (Authority::new(), tempfile::tempdir().unwrap());
    authority.write_server(folder.path());
    let realms = folder.path().join("realms.toml");
    fs::write(&realms, "[[realm]]\nname = \"a\"\n").unwrap();
    let mut command = command(&["--port", "0", "--config", realms.to_str().unwrap()]);
    with_pair(&mut command, folder.path());
    let mut process = Process::start(&mut command);
    let at = process.tcp;
    let reach = async || Peer::reach(Over::Tcp, at, authority.trusted(None)).await.unwrap();
    let mut old = reach().await;
    old.join("a").await;
    fs::write(&realms, "nonsense").unwrap();
    process.signal(Signal::HUP);
    let kept = until(&mut process.log, "realms and permissions stay");
    assert!(kept["message"].as_str().unwrap().contains("realms.toml"));
    old.ping().await;
    fs::write(&realms, "[[realm]]\nname = \"b\"\n").unwrap();
    process.signal(Signal::HUP);
    assert_eq!(old.dismissed().await.0, "unknown_realm");
    let joined = async {
        let mut ticks = interval(Duration::from_millis(10));
        loop {
            ticks.tick().await;
            let mut new = reach().await;
            new.connect("b").await;
            if let Some(gateway::message::Message::Pong(_)) = new.next().await {
                return;
            }
        }
    };
    timeout(Duration::from_secs(20), joined).await.unwrap();
}

#[test]
fn a_taken_port_is_named_with_its_protocol_and_ends_with_4() {
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let held = [(udp.local_addr(), "UDP"), (tcp.local_addr(), "TCP")];
    for (address, protocol) in held {
        let address = address.unwrap();
        let port = address.port().to_string();
        let (code, last) = ended(&mut command(&["--self-signed", "--port", &port]));
        assert_eq!(code, 4);
        let expect = format!("cannot bind {protocol} {address}: EADDRINUSE");
        assert!(last.contains(&expect), "{last}");
    }
}

#[test]
fn a_certificate_that_cannot_be_had_ends_with_3() {
    let folder = tempfile::tempdir().unwrap();
    Authority::new().write_server(folder.path());
    fs::remove_file(folder.path().join("tls.key")).unwrap();
    let mut without_key = command(&["--port", "0"]);
    with_pair(&mut without_key, folder.path());
    let mut half = command(&["--port", "0"]);
    half.env("TLS_CERT_FILE", folder.path().join("tls.crt"));
    for (command, why) in [
        (&mut without_key, "tls.key: ENOENT"),
        (&mut half, "TLS_CERT_FILE is set and TLS_KEY_FILE is not"),
        (&mut command(&["--port", "0"]), "--self-signed"),
    ] {
        let (code, last) = ended(command);
        assert_eq!(code, 3);
        assert!(last.contains(why), "{last}");
    }
}

/// The same by a user without any privilege, who can reach its folder.
fn unprivileged(arguments: &[&str], folder: &Path) -> Command {
    fs::set_permissions(folder, Permissions::from_mode(0o755)).unwrap();
    let copy = folder.join("gateway");
    fs::copy(env!("CARGO_BIN_EXE_gateway"), &copy).unwrap();
    let mut command = command_of(&copy, arguments);
    if rustix::process::geteuid().is_root() {
        command.uid(65_534).gid(65_534);
    }
    command
}

#[test]
fn a_key_of_somebody_else_is_named_with_its_owner_and_mode() {
    let folder = tempfile::tempdir().unwrap();
    Authority::new().write_server(folder.path());
    let key = folder.path().join("tls.key");
    fs::set_permissions(&key, Permissions::from_mode(0o000)).unwrap();
    let mut command = unprivileged(&["--port", "0"], folder.path());
    with_pair(&mut command, folder.path());
    let (code, last) = ended(&mut command);
    assert_eq!(code, 3);
    let owner = fs::metadata(&key).unwrap().uid();
    let named = last.contains("tls.key: EACCES") && last.contains("with mode 0000");
    assert!(named && last.contains(&format!("belongs to {owner}:")), "{last}");
}

#[test]
fn a_privileged_port_says_what_it_needs() {
    let first = fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start").unwrap();
    if first.trim().parse::<u16>().unwrap() <= 443 {
        println!("skipped: everybody may bind port 443 here");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (code, last) = ended(&mut unprivileged(&["--self-signed", "--port", "443"], folder.path()));
    assert_eq!(code, 4);
    assert!(last.contains("127.0.0.1:443: EACCES; ports below 1024 need CAP_NET_BIND"), "{last}");
}

#[test]
fn settings_that_do_not_fit_end_with_2() {
    let missing = &["--self-signed", "--port", "0", "--config", "/nowhere/realms.toml"][..];
    let (code, last) = ended(&mut command(missing));
    assert_eq!(code, 2);
    assert!(last.contains("/nowhere/realms.toml"), "{last}");
    let endless = &["--grace", "18446744073709551615"][..];
    for wrong in [&["--port", "70000"][..], &["--realm", "a..b"], &["--log", "=="], endless] {
        let output = command(wrong).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{wrong:?}");
        assert!(!output.stderr.is_empty());
    }
    let help = command(&["--help"]).stdout(Stdio::piped()).output().unwrap();
    assert!(!String::from_utf8(help.stdout).unwrap().contains(SECRET));
}

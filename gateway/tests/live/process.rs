//! The binary: its settings, last words and exit codes.

use std::{
    fs::{self, Permissions},
    io::{BufRead, BufReader, ErrorKind},
    net::{SocketAddr, TcpListener, UdpSocket},
    os::unix::{
        fs::{MetadataExt, PermissionsExt},
        process::CommandExt,
    },
    path::Path,
    process::{Child, Command, Output, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::{authority::Authority, peer::Over};

const SECRET: &str = "a secret of more than thirty-two bytes";

pub fn command(arguments: &[&str]) -> Command {
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
pub struct Process {
    pub child: Child,
    pub log: Box<dyn BufRead>,
    pub health: SocketAddr,
    udp: SocketAddr,
    tcp: SocketAddr,
}

impl Process {
    pub fn start(command: &mut Command) -> Self {
        let mut child = command.spawn().unwrap();
        let mut log = Box::new(BufReader::new(child.stderr.take().unwrap()));
        let ready = until(&mut log, "ready");
        let at = |name: &str| ready[name].as_str().unwrap().parse().unwrap();
        Self { child, log, health: at("health"), udp: at("udp"), tcp: at("tcp") }
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    pub fn at(&self, over: Over) -> SocketAddr {
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
pub fn until(log: &mut impl BufRead, what: &str) -> Value {
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

pub fn with_pair(command: &mut Command, folder: &Path) {
    command
        .env("TLS_CERT_FILE", folder.join("tls.crt"))
        .env("TLS_KEY_FILE", folder.join("tls.key"));
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
fn a_certificate_that_has_ended_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    Authority::new().write_ended_server(folder.path());
    let mut command = command(&["--port", "0"]);
    with_pair(&mut command, folder.path());
    let (code, last) = ended(&mut command);
    assert_eq!(code, 3);
    assert!(last.contains("tls.crt is no longer valid since Jan  1 00:00:00 2021"), "{last}");
}

#[test]
fn too_few_open_files_end_with_5() {
    let gateway = command(&["--self-signed", "--port", "0"]);
    let mut limited = Command::new("sh");
    limited.args(["-c", "ulimit -n 16; exec \"$0\" \"$@\""]).arg(gateway.get_program());
    let (code, last) = ended(limited.args(gateway.get_args()));
    assert_eq!(code, 5);
    assert!(last.contains("open files are limited to 16") && last.contains("ulimit -n"), "{last}");
}

#[test]
fn settings_that_do_not_fit_end_with_2() {
    let missing = &["--self-signed", "--port", "0", "--config", "/nowhere/realms.toml"][..];
    let (code, last) = ended(&mut command(missing));
    assert_eq!(code, 2);
    assert!(last.contains("/nowhere/realms.toml"), "{last}");
    let variable = ("GATEWAY_REALM", "a..b");
    for (wrong, (name, value), why) in [
        (&["--port", "70000"][..], ("", ""), "'70000' for '--port <PORT>'"),
        (&["--grace", "18446744073709551615"], ("", ""), "for '--grace <SECONDS>'"),
        (&["--log", "=="], ("", ""), "--log \"==\" is no filter"),
        (&["--prot", "1"], ("", ""), "unexpected argument '--prot' found"),
        (
            &[],
            variable,
            "\"a..b\" is no realm: a segment is empty; a realm is like be.cortexiq.energy; set by the flag or by GATEWAY_REALM",
        ),
    ] {
        let mut command = command(wrong);
        if !name.is_empty() {
            command.env(name, value);
        }
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{wrong:?}");
        let log = String::from_utf8(output.stderr).unwrap();
        let last = log.lines().last().unwrap();
        assert!(last.starts_with("the gateway ends: ") && last.ends_with(" exit_code=2"), "{log}");
        assert!(last.contains(why), "{log}");
    }
    let help = command(&["--help"]).stdout(Stdio::piped()).output().unwrap();
    assert!(!String::from_utf8(help.stdout).unwrap().contains(SECRET));
}

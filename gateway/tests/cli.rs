//! The command line as its user sees it: help, usage errors, and what a shell gets of `gateway client`.

#![allow(clippy::unwrap_used, reason = "a test that fails by panicking works")]

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{Ipv4Addr, UdpSocket},
    process::{Child, Command, Output, Stdio},
};

use gateway::{config::Settings, life::Gateway};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::runtime::Runtime;

/// The program in a fixed environment.
fn gateway(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gateway"));
    command.args(arguments).env_clear().env("COLUMNS", "100");
    command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Exit code, stdout and stderr in one text.
fn told(arguments: &[&str]) -> String {
    let Output { status, stdout, stderr } = gateway(arguments).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (stdout, stderr) = (text(&stdout), text(&stderr));
    format!("exit {:?}\n--- stdout\n{stdout}--- stderr\n{stderr}", status.code())
}

#[test]
fn help_names_every_command() {
    insta::assert_snapshot!(told(&["--help"]));
}

#[test]
fn help_of_run_says_its_variables_and_exit_codes() {
    insta::assert_snapshot!(told(&["run", "--help"]));
}

#[test]
fn the_settings_are_printed_as_variables_but_not_the_secret() {
    let run = ["run", "--self-signed", "--port", "9000", "--print-config"];
    let mut command = gateway(&run);
    let secret = "a secret of more than thirty-two bytes";
    let Output { status, stdout, .. } =
        command.env("GATEWAY_GRACE", "7").env("RELEASE_COOKIE", secret).output().unwrap();
    let printed = String::from_utf8(stdout).unwrap();
    assert!(status.success() && !printed.contains(secret), "{printed}");
    insta::assert_snapshot!(printed);
    let wrong = told(&["run", "--config", "/no/such/file", "--print-config"]);
    assert!(wrong.starts_with("exit Some(2)") && wrong.contains("/no/such/file"), "{wrong}");
}

#[test]
fn help_of_client_says_its_exit_codes() {
    insta::assert_snapshot!(told(&["client", "--help"]));
}

#[test]
fn help_of_each_client_command_has_an_example() {
    for command in ["sub", "pub", "call", "serve", "ping", "bench"] {
        let help = told(&["client", command, "--help"]);
        assert!(help.contains(&format!("gateway client {command} --insecure")), "{help}");
        insta::assert_snapshot!(format!("help_of_client_{command}"), help);
    }
}

#[test]
fn no_command_is_a_usage_error() {
    insta::assert_snapshot!(told(&[]));
}

#[test]
fn a_bad_topic_is_a_usage_error_that_says_where() {
    insta::assert_snapshot!(told(&["client", "pub", "--insecure", "meters.7\n.power", "230"]));
}

#[test]
fn a_gateway_that_nothing_speaks_for_is_a_failure_with_a_next_step() {
    insta::assert_snapshot!(told(&["client", "ping"]));
}

#[test]
fn a_gateway_that_does_not_run_is_told_at_once() {
    let free = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().to_string();
    for transport in [&[][..], &["--tcp"]] {
        let ping = ["client", "ping", "--insecure", "--connect-timeout", "3600", "--server", &free];
        let said = told(&[&ping[..], transport].concat());
        assert!(said.starts_with("exit Some(2)"), "{said}");
        assert!(said.contains("refused") && said.contains("does the gateway run"), "{said}");
    }
}

/// A gateway in this process.
struct Local {
    gateway: Gateway,
    runtime: Runtime,
}

impl Local {
    fn start() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let gateway = runtime.block_on(Gateway::start(Settings::local())).unwrap();
        Self { gateway, runtime }
    }

    /// A client's command.
    fn client(&self, arguments: &[&str]) -> Command {
        let mut command = gateway(&[&["client"], arguments, &["--insecure"]].concat());
        command.env("GATEWAY_SERVER", self.gateway.udp.to_string());
        command
    }

    /// Runs it to its end, which must be a good one.
    fn run(&self, arguments: &[&str], input: &[u8]) -> Vec<u8> {
        let mut child = self.client(arguments).spawn().unwrap();
        child.stdin.take().unwrap().write_all(input).unwrap();
        let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
        assert!(status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&stderr));
        stdout
    }
}

impl Drop for Local {
    fn drop(&mut self) {
        // What the gateway's tasks hold ends within their runtime.
        let _entered = self.runtime.enter();
    }
}

/// Sends a signal and waits: exit code, and what is left of both outputs.
fn ended(mut child: Child, signal: Option<Signal>) -> (Option<i32>, String) {
    if let Some(signal) = signal {
        kill_process(Pid::from_child(&child), signal).unwrap();
    }
    let code = child.wait().unwrap().code();
    let mut rest = String::new();
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    stdout.map(|mut pipe| pipe.read_to_string(&mut rest).unwrap());
    stderr.map(|mut pipe| pipe.read_to_string(&mut rest).unwrap());
    (code, rest)
}

fn first_line(pipe: &mut impl Read) -> String {
    let mut line = String::new();
    BufReader::with_capacity(1, pipe).read_line(&mut line).unwrap();
    line
}

#[test]
fn bytes_pass_through_a_shell_unchanged() {
    let local = Local::start();
    let bytes = [0, 0xff, b'\r', b'\n', 0];
    local.run(&["pub", "--retain", "camera.image", "-"], &bytes);
    assert_eq!(local.run(&["sub", "-n", "1", "-o", "raw", "#"], b""), bytes);
    let line = local.run(&["sub", "-n", "1", "-o", "json", "#"], b"");
    let object: Value = serde_json::from_slice(&line).unwrap();
    assert_eq!((&object["payload_base64"], object.get("payload")), (&"AP8NCgA=".into(), None));
    let echo = ["call", "-o", "raw", "com.macula.diagnostics.echo", "-"];
    assert_eq!(local.run(&echo, b"{\"a\":1}"), b"{\"a\":1}");
}

#[test]
fn ping_tells_its_statistics_when_it_is_interrupted() {
    let local = Local::start();
    let mut child = local.client(&["ping", "-i", "0.01"]).spawn().unwrap();
    assert!(first_line(child.stdout.as_mut().unwrap()).starts_with("PING 127.0.0.1:"));
    assert!(first_line(child.stdout.as_mut().unwrap()).starts_with("pong from"));
    let (code, rest) = ended(child, Some(Signal::INT));
    assert_eq!(code, Some(0));
    assert!(rest.contains(" 0% lost\nrtt min/avg/max/mdev = "), "{rest}");
}

#[test]
fn serve_answers_by_a_command_until_it_is_asked_to_stop() {
    let local = Local::start();
    for signal in [Signal::INT, Signal::TERM] {
        let serve = ["serve", "upper", "--insecure", "--", "tr", "a-z", "A-Z"];
        let mut command = gateway(&[&["client"], &serve[..]].concat());
        command.env("GATEWAY_SERVER", local.gateway.udp.to_string());
        let mut child = command.spawn().unwrap();
        assert_eq!(first_line(child.stderr.as_mut().unwrap()), "serving upper\n");
        assert_eq!(local.run(&["call", "upper", "-"], b"ab"), b"AB\n");
        assert_eq!(ended(child, Some(signal)), (Some(0), String::new()));
    }
}

#[test]
fn serve_gives_its_command_maps_as_json_and_answers_by_what_the_output_means() {
    let local = Local::start();
    let call = ["call", "p", "-o", "json", "--json", "{\"a\": [1]}"];
    for (options, answer) in [
        (&["--json"][..], "{\"result\":{\"a\":[1]}}\n"),
        (&[], "{\"result\":\"{\\\"a\\\":[1]}\"}\n"),
    ] {
        let serve = [&["serve", "p", "--insecure"][..], options, &["--", "cat"]].concat();
        let mut command = gateway(&[&["client"], &serve[..]].concat());
        command.env("GATEWAY_SERVER", local.gateway.udp.to_string());
        let mut child = command.spawn().unwrap();
        assert_eq!(first_line(child.stderr.as_mut().unwrap()), "serving p\n");
        assert_eq!(String::from_utf8(local.run(&call, b"")).unwrap(), answer);
        assert_eq!(ended(child, Some(Signal::TERM)).0, Some(0));
    }
}

#[test]
fn sub_ends_quietly_when_its_reader_has_gone() {
    let local = Local::start();
    local.run(&["pub", "--retain", "a", "1"], b"");
    let mut child = local.client(&["sub", "a"]).spawn().unwrap();
    let mut stdout = child.stdout.take().unwrap();
    assert_eq!(first_line(&mut stdout), "a 1\n");
    drop(stdout);
    local.run(&["pub", "a", "2"], b"");
    assert_eq!(ended(child, None), (Some(0), String::new()));
}

//! `tracer exec -- gateway run` in each way in which the gateway cannot start: the tracer's verdict and the gateway's last
//! line must agree, and where the gateway cannot say anything the tracer must. Knows the contract of both, nothing of their
//! insides.

use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt;

use anyhow::{Context, Result, ensure};
use tests::{Act, End, Need, Stage};

use verdict::Verdict;

#[allow(dead_code, reason = "the rest is for other tests of verdicts")]
#[path = "live/verdict.rs"]
mod verdict;

/// Without any right: root has them all.
const USER: &str = "uid=1000";
const SELF_SIGNED: &[&str] = &["--self-signed", "--port", "0"];

/// A gateway on its stage, and the tracer to run it.
struct Start {
    tracer: OsString,
    stage: Stage,
    gateway: String,
}

/// What must come out of a start.
#[derive(Clone, Copy)]
struct Expected<'a> {
    /// Of docs/gateway.md, or 128 and a signal.
    code: i32,
    cause: &'a str,
    /// Both say it.
    both: &'a [&'a str],
    /// The verdict says it.
    verdict: &'a [&'a str],
    /// The gateway's last line says it; `None` where it has none.
    last_line: Option<&'a [&'a str]>,
}

impl Start {
    /// `None` where it cannot be tested.
    fn new(test: &str, needs: &[Need]) -> Result<Option<Self>> {
        let (Some(tracer), Some(gateway)) =
            (tests::binary::here(test, needs), tests::binary::gateway(test))
        else {
            return Ok(None);
        };
        let stage = Stage::new()?;
        // On the stage, since other users may not be able to reach the checkout.
        let copy = stage.path("gateway");
        std::fs::copy(gateway, &copy)?;
        std::fs::set_permissions(&copy, PermissionsExt::from_mode(0o755))?;
        Ok(Some(Self { tracer: tracer.into(), stage, gateway: copy }))
    }

    /// `gateway run` with these arguments, under these circumstances (of `victim with`).
    fn act(&self, circumstances: &[&str], arguments: &[&str]) -> Act {
        let victim = self.stage.path("victim");
        let run = [&self.gateway, "run", "--address", "127.0.0.1", "--health-port", "0"];
        let words = [&[&victim, "with"], circumstances, &["--"], &run, arguments].concat();
        Act::new(words).env("RUST_BACKTRACE", "0")
    }

    fn ends(&self, act: Act, expected: Expected<'_>) -> Result<()> {
        let exec = ["exec", "--keep-running", "-o", "json", "--"].map(OsString::from);
        let prefix = [&[self.tracer.clone()][..], &exec].concat();
        let ran = act.run(&prefix)?;
        let log = String::from_utf8_lossy(&ran.stderr);
        let verdict =
            Verdict::parse(&ran.stdout).with_context(|| format!("{:?} after {log}", ran.end))?;
        let agreed = agree(&verdict, &log, &ran.end, expected);
        agreed.with_context(|| format!("the gateway said {log}\nthe tracer said {verdict}"))
    }
}

fn agree(verdict: &Verdict, log: &str, end: &End, expected: Expected<'_>) -> Result<()> {
    ensure!(matches!(end, End::Code(code) if *code == expected.code), "it ended with {end:?}");
    verdict.check_schema()?;
    verdict.check_evidence()?;
    ensure!(verdict.cause() == expected.cause, "the cause is {}", verdict.cause());
    for said in [expected.both, expected.verdict].concat() {
        ensure!(verdict.contains(said), "the verdict does not say {said:?}");
    }
    let Some(last_line) = expected.last_line else {
        ensure!(!log.contains("the gateway ends"), "it could say a last word");
        return Ok(());
    };
    let last = log.lines().last().context("the gateway said nothing")?;
    let code = format!("exit_code={}", expected.code);
    for said in [expected.both, last_line, &["the gateway ends: ", &code]].concat() {
        ensure!(last.contains(said), "the last line does not say {said:?}");
    }
    Ok(())
}

const NOTHING: Expected<'_> =
    Expected { code: 0, cause: "", both: &[], verdict: &[], last_line: Some(&[]) };

macro_rules! start {
    ($test:literal, $needs:expr) => {
        match Start::new($test, $needs)? {
            Some(start) => start,
            None => return Ok(()),
        }
    };
}

/// More than a hundred megabytes, once read.
fn many_realms() -> String {
    let realm = |number: u32| format!("[[realm]]\nname = \"realm-{number}.example\"\n");
    (0..400_000).map(realm).collect()
}

fn port_taken(start: &Start, protocol: &str, name: &str) -> Result<()> {
    let holder = start.stage.copy("victim", "port-holder")?;
    let held = start.stage.bystander(&[&holder, "hold", protocol, "127.0.0.1"])?;
    let (port, pid) = (held.value.to_string(), held.pid.to_string());
    let address = format!("{name} 127.0.0.1:{port}");
    start.ends(
        start.act(&[], &["--self-signed", "--port", &port]),
        Expected {
            code: 4,
            cause: "bind_address_in_use",
            both: &[&address, "EADDRINUSE"],
            verdict: &["port-holder", &pid],
            ..NOTHING
        },
    )
}

#[test]
fn a_taken_udp_port_is_named_by_both_and_its_holder_by_the_verdict() -> Result<()> {
    port_taken(&start!("a_taken_udp_port", &[Need::Root]), "udp4", "UDP")
}

#[test]
fn a_taken_tcp_port_is_named_by_both_and_its_holder_by_the_verdict() -> Result<()> {
    port_taken(&start!("a_taken_tcp_port", &[Need::Root]), "tcp4", "TCP")
}

// In a network namespace of its own, where net.ipv4.ip_unprivileged_port_start is 1024 whatever the host has.
#[test]
fn a_privileged_port_without_the_right_is_a_matter_of_the_capability() -> Result<()> {
    let start = start!("a_privileged_port", &[Need::Root]);
    start.ends(
        start.act(&["net", USER], &["--self-signed", "--port", "443"]),
        Expected {
            code: 4,
            cause: "bind_permission_denied",
            both: &["UDP 127.0.0.1:443", "EACCES", "CAP_NET_BIND_SERVICE"],
            ..NOTHING
        },
    )
}

#[test]
fn a_missing_key_is_named_with_its_path() -> Result<()> {
    let start = start!("a_missing_key", &[Need::Root]);
    let certificate = start.stage.file("tls.crt", "a certificate", 0o644)?;
    let key = start.stage.path("tls.key");
    start.ends(
        start.act(&[], &["--port", "0", "--tls-cert", &certificate, "--tls-key", &key]),
        Expected { code: 3, cause: "file_not_found", both: &[&key, "ENOENT"], ..NOTHING },
    )
}

#[test]
fn a_key_of_another_user_is_named_with_owner_and_mode() -> Result<()> {
    let start = start!("a_key_of_another_user", &[Need::Root]);
    let certificate = start.stage.file("tls.crt", "a certificate", 0o644)?;
    let key = start.stage.file("tls.key", "a key", 0o600)?;
    start.ends(
        start.act(&[USER], &["--port", "0", "--tls-cert", &certificate, "--tls-key", &key]),
        Expected {
            code: 3,
            cause: "permission_denied",
            both: &[&key, "EACCES", "0600", "0:0", "1000"],
            ..NOTHING
        },
    )
}

#[test]
fn half_a_pair_is_named_by_the_variable_that_is_missing() -> Result<()> {
    let start = start!("half_a_pair", &[Need::Root]);
    let certificate = start.stage.file("tls.crt", "a certificate", 0o644)?;
    let said = "TLS_CERT_FILE is set and TLS_KEY_FILE is not";
    start.ends(
        start.act(&[], &["--port", "0"]).env("TLS_CERT_FILE", certificate),
        Expected { code: 3, cause: "exited_with_error", both: &[said], ..NOTHING },
    )
}

#[test]
fn a_malformed_realm_is_named_with_its_variable() -> Result<()> {
    let start = start!("a_malformed_realm", &[Need::Root]);
    start.ends(
        start.act(&[], SELF_SIGNED).env("GATEWAY_REALM", "a..b"),
        Expected {
            code: 2,
            cause: "exited_with_error",
            both: &["\"a..b\" is no realm: a segment is empty"],
            last_line: Some(&["GATEWAY_REALM"]),
            ..NOTHING
        },
    )
}

#[test]
fn a_realm_that_the_file_does_not_have_is_named_with_the_file() -> Result<()> {
    let start = start!("a_realm_that_the_file_does_not_have", &[Need::Root]);
    let file = start.stage.file("realms.toml", "[[realm]]\nname = \"a\"\n", 0o644)?;
    let said = format!("GATEWAY_REALM is b, which {file} does not have");
    start.ends(
        start.act(&[], &[SELF_SIGNED, &["--config", &file]].concat()).env("GATEWAY_REALM", "b"),
        Expected { code: 2, cause: "exited_with_error", both: &[&said], ..NOTHING },
    )
}

#[test]
fn a_missing_file_of_realms_is_named_with_its_path() -> Result<()> {
    let start = start!("a_missing_file_of_realms", &[Need::Root]);
    let file = start.stage.path("realms.toml");
    start.ends(
        start.act(&[], &[SELF_SIGNED, &["--config", &file]].concat()),
        Expected { code: 2, cause: "file_not_found", both: &[&file, "ENOENT"], ..NOTHING },
    )
}

#[test]
fn the_tracer_speaks_where_an_oom_kill_leaves_the_gateway_no_last_word() -> Result<()> {
    let start = start!("an_oom_kill", &[Need::Root, Need::MemoryCgroup]);
    let cgroup = format!("cgroup={}", start.stage.memory_cgroups(&[("small", 16 << 20)])?);
    let file = start.stage.file("realms.toml", &many_realms(), 0o644)?;
    start.ends(
        start.act(&[&cgroup], &[SELF_SIGNED, &["--config", &file]].concat()),
        Expected {
            code: 128 + 9,
            cause: "oom_killed",
            verdict: &["gateway", "SIGKILL"],
            last_line: None,
            ..NOTHING
        },
    )
}

#[test]
fn memory_refused_for_a_thread_is_said_to_be_that() -> Result<()> {
    let start = start!("memory_refused_for_a_thread", &[Need::Root]);
    // Whatever the program itself takes, half of one stack is not enough for a thread.
    let half_a_stack = format!("as={}", 1 << 29);
    start.ends(
        start.act(&[&half_a_stack], SELF_SIGNED).env("RUST_MIN_STACK", (1 << 30).to_string()),
        Expected {
            code: 5,
            cause: "memory_allocation_failed",
            both: &["ulimit -v"],
            verdict: &["ENOMEM", "RLIMIT_AS"],
            last_line: Some(&["no thread can be started"]),
        },
    )
}

// Rust's own line is the last then, and the tracer quotes it.
#[test]
fn memory_refused_for_data_is_quoted_from_the_runtimes_last_words() -> Result<()> {
    let start = start!("memory_refused_for_data", &[Need::Root]);
    let file = start.stage.file("realms.toml", &many_realms(), 0o644)?;
    start.ends(
        start.act(&["as=100000000"], &[SELF_SIGNED, &["--config", &file]].concat()),
        Expected {
            code: 128 + 6,
            cause: "abort",
            verdict: &["memory allocation of", "SIGABRT"],
            last_line: None,
            ..NOTHING
        },
    )
}

#[test]
fn a_limit_of_processes_is_no_bug_of_the_gateway() -> Result<()> {
    let start = start!("a_limit_of_processes", &[Need::Root, Need::PidsCgroup]);
    let cgroup = format!("cgroup={}", start.stage.pids_cgroup(1)?);
    start.ends(
        start.act(&[&cgroup], SELF_SIGNED),
        Expected {
            code: 5,
            cause: "pid_limit",
            both: &["pids.max"],
            last_line: Some(&["no thread can be started"]),
            ..NOTHING
        },
    )
}

#[test]
fn too_few_open_files_are_named_with_their_number() -> Result<()> {
    let start = start!("too_few_open_files", &[Need::Root]);
    start.ends(
        start.act(&["nofile=16"], SELF_SIGNED),
        Expected {
            code: 5,
            cause: "exited_with_error",
            both: &["open files are limited to 16", "ulimit -n"],
            ..NOTHING
        },
    )
}

//! Deaths by what the network answers: refused connections, names that do not resolve.

use anyhow::Result;

use crate::death::Exit::Code;
use crate::{Act, Death, Need, Stage};

pub const DEATHS: &[Death] =
    &[
        Death::new("connect_refused", "connection_refused", Code(1), blocking)
            .says(&["ECONNREFUSED", "127.0.0.1"]),
        Death::new("connect_refused_to_epoll", "connection_refused", Code(1), epoll)
            .says(&["ECONNREFUSED", "127.0.0.1"]),
        Death::new("connect_refused_to_go", "connection_refused", Code(1), go)
            .says(&["ECONNREFUSED", "127.0.0.1"])
            .needs(&[Need::Root, Need::Tool("kubectl")]),
        Death::new("connect_refused_by_unix_socket", "connection_refused", Code(1), unix_socket)
            .says(&["ECONNREFUSED"]),
        Death::new("name_unknown", "name_resolution_failed", Code(1), name_unknown)
            .says(&["db.macula.example", "NXDOMAIN"]),
        Death::new("name_unknown_to_go", "name_resolution_failed", Code(1), name_unknown_to_go)
            .says(&["db.macula.example", "NXDOMAIN", "127.0.0.1"])
            .needs(&[Need::Root, Need::Tool("kubectl")]),
        Death::new("name_server_failing", "name_resolution_failed", Code(1), name_server_failing)
            .says(&["db.macula.example", "SERVFAIL"]),
        Death::new("name_known_by_one_family", "exited_with_error", Code(3), name_of_one_family)
            .says(&["3"]),
        Death::new("name_server_gone", "name_resolution_failed", Code(1), name_server_gone)
            .says(&["db.macula.example", "127.0.0.1"]),
        Death::new("connect_unanswered", "connection_timed_out", Code(1), unanswered)
            .proven()
            .says(&["ETIMEDOUT", "127.0.0.1", "NetworkPolicy"]),
        Death::new("connect_never_back", "connection_timed_out", Code(1), never_back)
            .likely()
            .says(&["127.0.0.1", "NetworkPolicy"]),
        Death::new("network_without_route", "host_unreachable", Code(1), without_route)
            .proven()
            .says(&["ENETUNREACH", "10.96.0.10:5432"]),
        Death::new("connection_reset_by_peer", "connection_reset", Code(1), reset)
            .proven()
            .says(&["ECONNRESET", "127.0.0.1"]),
        Death::new("local_ports_used_up", "ports_exhausted", Code(1), ports_used_up)
            .proven()
            .says(&["EADDRNOTAVAIL", "127.0.0.1:5432"]),
        Death::new("ipv6_switched_off", "address_family_unsupported", Code(1), no_ipv6)
            .proven()
            .says(&["EAFNOSUPPORT", "AF_INET6"]),
        Death::new("certificate_self_signed", "tls_failed", Code(2), self_signed)
            .says(&["self-signed certificate", "unknown_authority"])
            .needs(&[Need::Root, Need::Runtime("openssl")]),
    ];

fn blocking(stage: &Stage) -> Result<Act> {
    let port = stage.refusing_port()?.to_string();
    Ok(Act::new([&stage.path("victim"), "connect", "127.0.0.1", &port]).says(port))
}

fn epoll(stage: &Stage) -> Result<Act> {
    let port = stage.refusing_port()?.to_string();
    Ok(Act::new([&stage.path("victim"), "connect-epoll", "127.0.0.1", &port]).says(port))
}

// Go's runtime never sees ECONNREFUSED from connect either; kubectl is a Go client that every cluster has.
fn go(stage: &Stage) -> Result<Act> {
    let port = stage.refusing_port()?.to_string();
    let server = format!("http://127.0.0.1:{port}");
    let act = Act::new(["kubectl", "--server", &server, "get", "pods"]);
    Ok(act.env("HOME", stage.path("home")).env("KUBECONFIG", "").says(port))
}

fn unix_socket(stage: &Stage) -> Result<Act> {
    let path = stage.path("server.sock");
    drop(std::os::unix::net::UnixListener::bind(&path)?);
    Ok(Act::new([&stage.path("victim"), "connect-unix", &path]).says(&path))
}

fn etc(stage: &Stage) -> Result<String> {
    let etc = stage.subfolder("etc", 0o755)?;
    let resolver = "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n";
    stage.file("etc/resolv.conf", resolver, 0o644)?;
    stage.file("etc/nsswitch.conf", "hosts: files dns\n", 0o644)?;
    stage.file("etc/hosts", "127.0.0.1 localhost\n", 0o644)?;
    Ok(etc)
}

// The name server stands outside the command's tree, in network and mount namespaces that the command then joins.
fn answered(stage: &Stage, response_code: &str, client: &[&str]) -> Result<Act> {
    let etc = format!("etc={}", etc(stage)?);
    let victim = stage.path("victim");
    let server =
        stage.bystander(&[&victim, "with", "net", &etc, "--", &victim, "dns", response_code])?;
    let join = format!("join={}", server.pid);
    Ok(Act::new([&victim, "with", &join, "--"].iter().chain(client)))
}

fn name_unknown(stage: &Stage) -> Result<Act> {
    answered(stage, "3", &[&stage.path("resolve"), "db.macula.example"])
}

// The answer to AAAA undoes nothing of what the one to A brought.
fn name_of_one_family(stage: &Stage) -> Result<Act> {
    answered(stage, "only-a", &[&stage.path("resolve"), "db.macula.example", "3"])
}

// Go's own resolver reads answers by read(2).
fn name_unknown_to_go(stage: &Stage) -> Result<Act> {
    let client = ["/usr/bin/env", "kubectl", "--server", "http://db.macula.example", "get", "pods"];
    let act = answered(stage, "3", &client)?;
    Ok(act.env("HOME", stage.path("home")).env("KUBECONFIG", ""))
}

fn name_server_failing(stage: &Stage) -> Result<Act> {
    answered(stage, "2", &[&stage.path("resolve"), "db.macula.example"])
}

// Nobody listens on port 53: the kernel answers each question with ICMP, which the resolver sees as ECONNREFUSED.
fn name_server_gone(stage: &Stage) -> Result<Act> {
    let etc = format!("etc={}", etc(stage)?);
    let victim = stage.path("victim");
    Ok(Act::new([&victim, "with", "net", &etc, "--", &stage.path("resolve"), "db.macula.example"]))
}

fn towards(stage: &Stage, server: &str, client: &str) -> Result<Act> {
    let victim = stage.path("victim");
    let port = stage.bystander(&[&victim, server, "tcp4", "127.0.0.1"])?.value.to_string();
    Ok(Act::new([&victim, client, "127.0.0.1", &port]).says(port))
}

// The kernel drops what its queue has no room for, as a firewall does.
fn unanswered(stage: &Stage) -> Result<Act> {
    towards(stage, "hold-full", "connect-slow")
}

fn never_back(stage: &Stage) -> Result<Act> {
    towards(stage, "hold-full", "connect-impatient")
}

fn without_route(stage: &Stage) -> Result<Act> {
    let victim = stage.path("victim");
    Ok(Act::new([&victim, "with", "net", "--", &victim, "connect", "10.96.0.10", "5432"]))
}

fn reset(stage: &Stage) -> Result<Act> {
    towards(stage, "hold-reset", "receive")
}

fn ports_used_up(stage: &Stage) -> Result<Act> {
    let victim = stage.path("victim");
    Ok(Act::new([&victim, "with", "net", "--", &victim, "connect-all"]))
}

fn no_ipv6(stage: &Stage) -> Result<Act> {
    Ok(Act::new([&stage.path("victim"), "no-family"]))
}

fn self_signed(stage: &Stage) -> Result<Act> {
    let (key, certificate) = (stage.path("key.pem"), stage.path("cert.pem"));
    let make = ["req", "-x509", "-nodes", "-newkey", "rsa:2048", "-subj", "/CN=gateway"];
    let made = std::process::Command::new("openssl")
        .args(make)
        .args(["-keyout", &key, "-out", &certificate])
        .output()?;
    anyhow::ensure!(made.status.success(), "openssl made no certificate");
    Ok(Act::new(["openssl", "verify", &certificate]))
}

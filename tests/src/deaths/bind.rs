//! Deaths by bind: the port is taken, privileged, or its address is not here.

use anyhow::Result;

use crate::death::Exit::Code;
use crate::{Act, Death, Need, Stage};

const IPV6: &[Need] = &[Need::Root, Need::Ipv6];

pub const DEATHS: &[Death] = &[
    Death::new("bind_tcp4_taken", "bind_address_in_use", Code(1), tcp4_taken).proven().says(&[
        "TCP",
        "127.0.0.1",
        "EADDRINUSE",
        "port-holder",
    ]),
    Death::new("bind_tcp6_taken", "bind_address_in_use", Code(1), tcp6_taken)
        .proven()
        .says(&["TCP", "::1", "EADDRINUSE", "port-holder"])
        .needs(IPV6),
    Death::new("bind_udp4_taken", "bind_address_in_use", Code(1), udp4_taken).proven().says(&[
        "UDP",
        "127.0.0.1",
        "EADDRINUSE",
        "port-holder",
    ]),
    Death::new("bind_udp6_taken", "bind_address_in_use", Code(1), udp6_taken)
        .proven()
        .says(&["UDP", "::1", "EADDRINUSE", "port-holder"])
        .needs(IPV6),
    Death::new("bind_privileged_port", "bind_permission_denied", Code(1), privileged_port)
        .proven()
        .says(&["443", "EACCES", "1000"]),
    Death::new("bind_foreign_address", "bind_address_unavailable", Code(1), foreign_address)
        .proven()
        .says(&["192.0.2.1", "9443", "EADDRNOTAVAIL"]),
];

fn taken(stage: &Stage, protocol: &str, host: &str) -> Result<Act> {
    let holder = stage.copy("victim", "port-holder")?;
    let held = stage.bystander(&[&holder, "hold", protocol, host])?;
    let port = held.value.to_string();
    let act = Act::new([&stage.path("victim"), "bind", protocol, host, &port]);
    Ok(act.says(port).says(held.pid))
}

fn tcp4_taken(stage: &Stage) -> Result<Act> {
    taken(stage, "tcp4", "127.0.0.1")
}

fn tcp6_taken(stage: &Stage) -> Result<Act> {
    taken(stage, "tcp6", "::1")
}

fn udp4_taken(stage: &Stage) -> Result<Act> {
    taken(stage, "udp4", "127.0.0.1")
}

fn udp6_taken(stage: &Stage) -> Result<Act> {
    taken(stage, "udp6", "::1")
}

// In a network namespace of its own, where net.ipv4.ip_unprivileged_port_start is 1024 whatever the host has.
fn privileged_port(stage: &Stage) -> Result<Act> {
    let victim = stage.path("victim");
    Ok(Act::new([
        &victim, "with", "net", "uid=1000", "--", &victim, "bind", "tcp4", "0.0.0.0", "443",
    ]))
}

fn foreign_address(stage: &Stage) -> Result<Act> {
    Ok(Act::new([&stage.path("victim"), "bind", "tcp4", "192.0.2.1", "9443"]))
}

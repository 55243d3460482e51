//! Who runs, and the program that loads each: the gateway over both transports, quinn alone, and peers where they are
//! installed. All show the same certificate.

use std::ffi::OsString;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};
use serde_json::Value;
use xtask::means::exec;

use super::Programs;
use super::cell::{Calls, Cell, Times};
use super::load::{Generator, Outcome};
use super::peer::Peer;
use super::server::Server;
use crate::openmetrics::Metrics;

/// One that is measured, and what loads it.
#[derive(Debug)]
pub struct Contender {
    pub peer: Peer,
    generator: Generator,
}

/// All of them. They run until this is dropped.
#[derive(Debug)]
pub struct Field {
    contenders: Vec<Contender>,
    /// Where the gateway's metrics are.
    health: SocketAddr,
    pub settings: Vec<(&'static str, String)>,
    _servers: Vec<Server>,
}

/// The gateway's settings, but for the certificate; everything else is its default.
const GATEWAY: [&str; 9] =
    ["run", "--address", "127.0.0.1", "--port", "0", "--health-port", "0", "--log-format", "json"];

impl Field {
    /// `scratch` is a folder for the certificate and settings.
    pub fn start(programs: &Programs, scratch: &Path) -> Result<Self> {
        exec::run_quietly(Command::new(&programs.load).arg("certificate").arg(scratch))?;
        // `name`: as `gateway-load` names it.
        let load = |peer: Peer, name: &str, address: SocketAddr| {
            let arguments: [OsString; 7] = [
                "measure".into(),
                "--peer".into(),
                name.into(),
                "--address".into(),
                address.to_string().into(),
                "--certificate".into(),
                scratch.join("tls.crt").into(),
            ];
            let program = programs.load.clone();
            Contender { peer, generator: Generator { program, arguments: arguments.into() } }
        };

        let mut command = Command::new(&programs.gateway);
        command.args(GATEWAY).current_dir(scratch);
        command.env("TLS_CERT_FILE", "tls.crt").env("TLS_KEY_FILE", "tls.key");
        let version = exec::stdout(Command::new(&programs.gateway).arg("--version"))?;
        let mut settings = vec![("gateway", format!("{}: {}", version.trim(), GATEWAY.join(" ")))];
        let (gateway, ready) = Server::start(&mut command, "\"ready\"")?;
        let at = address_in(&ready)?;

        let mut command = Command::new(&programs.load);
        let (sink, ready) = Server::start(command.arg("sink").arg(scratch), "ready ")?;
        let quinn = ready.trim_start_matches("ready ").parse().context("the sink's address")?;

        let mut contenders = vec![
            load(Peer::GatewayTcp, "macula-tcp", at("tcp")?),
            load(Peer::GatewayQuic, "macula-quic", at("udp")?),
            load(Peer::Quinn, "quinn", quinn),
        ];
        let mut servers = vec![gateway, sink];
        if let Some(peers) = &programs.peers {
            let nats = peers.start_nats(scratch)?;
            let mosquitto = peers.start_mosquitto(scratch)?;
            for (peer, name, started) in
                [(Peer::Nats, "nats", nats), (Peer::Mosquitto, "mqtt", mosquitto)]
            {
                contenders.push(load(peer, name, started.address));
                settings.push((started.name, started.settings));
                servers.push(started.server);
            }
            let zenoh = peers.zenoh.start(scratch)?;
            contenders.push(Contender { peer: Peer::Zenoh, generator: zenoh.generator });
            settings.push(("Zenoh", zenoh.settings));
            servers.push(zenoh.server);
        }
        Ok(Self { contenders, health: at("health")?, settings, _servers: servers })
    }

    /// All of them, each round beginning with another.
    pub fn turned(&self, round: u32) -> impl Iterator<Item = &Contender> {
        let count = self.contenders.len();
        self.contenders.iter().cycle().skip(round as usize % count).take(count)
    }

    /// Messages received a second.
    pub fn messages(&self, of: &Contender, cell: Cell, less: u64) -> Result<Outcome<f64>> {
        let messages = (cell.messages() / less / of.peer.slower()).max(1);
        let outcome = self.without_loss(of, || of.generator.messages(cell, messages))?;
        Ok(outcome.of(|| format!("{:?}, {}", of.peer, cell.name())))
    }

    pub fn calls(&self, of: &Contender, in_flight: u16, less: u64) -> Result<Outcome<Times>> {
        let calls = (Calls::count(in_flight) / less).max(1);
        let outcome = self.without_loss(of, || of.generator.calls(in_flight, calls))?;
        Ok(outcome.of(|| format!("{:?}, {in_flight} calls at a time", of.peer)))
    }

    /// A cell of the gateway counts only if the gateway itself says that it dropped nothing.
    fn without_loss<T>(
        &self,
        of: &Contender,
        measure: impl FnOnce() -> Outcome<T>,
    ) -> Result<Outcome<T>> {
        if !of.peer.is_gateway() {
            return Ok(measure());
        }
        let before = self.dropped()?;
        let outcome = measure();
        let dropped = self.dropped()? - before;
        if dropped > 0 && matches!(outcome, Outcome::Counts(_)) {
            return Ok(Outcome::Refused(format!("the gateway dropped {dropped} messages")));
        }
        Ok(outcome)
    }

    fn dropped(&self) -> Result<u64> {
        let mut stream = TcpStream::connect(self.health).context("no metrics of the gateway")?;
        stream
            .write_all(b"GET /metrics HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")?;
        let mut text = String::new();
        stream.read_to_string(&mut text).context("no metrics of the gateway")?;
        Ok(Metrics::of(text).value("macula_gateway_messages_dropped_total"))
    }
}

/// Reads addresses out of the line that says that the gateway is ready.
fn address_in(ready: &str) -> Result<impl Fn(&str) -> Result<SocketAddr>> {
    let line: Value = serde_json::from_str(ready).with_context(|| format!("no JSON: {ready}"))?;
    Ok(move |name: &str| {
        let address = line[name].as_str().and_then(|address| address.parse().ok());
        address.with_context(|| format!("the gateway says no address of {name}: {line}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_from_the_gateways_log() {
        let line = r#"{"message":"ready","udp":"127.0.0.1:7","tcp":"127.0.0.1:8"}"#;
        let at = address_in(line).unwrap();
        assert_eq!(at("tcp").unwrap().port(), 8);
        assert!(at("health").is_err());
    }
}

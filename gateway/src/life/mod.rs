//! The gateway's life, from start to end: it logs each step of the start before it tries the step. What clients send is not
//! known here.

mod descriptors;
mod drain;
mod exit;
mod log;
mod signals;

use std::{net::SocketAddr, sync::Arc, time::Instant};

use rustls::ServerConfig;
use tokio::{net::TcpListener, task::JoinSet};
use tracing::{error, info, warn};

use crate::{
    config::Settings,
    door::{
        bind,
        entrance::Entrance,
        keys::Keys,
        quic, tcp,
        tls::{self, Authorities, CertificateSource, Certificates, Rotation},
    },
    hub::Hub,
    observe::{diagnostics::Diagnostics, health::Health, metrics::Metrics},
    session::RealmLimits,
};

pub use exit::{Failure, PANIC, USAGE, run, wrong_usage};

/// A gateway that serves clients. It ends at once when this is dropped; [`Gateway::drain`] lets clients leave first.
#[derive(Debug)]
pub struct Gateway {
    /// The addresses at which it is reached.
    pub udp: SocketAddr,
    pub tcp: SocketAddr,
    pub health: SocketAddr,
    hub: Arc<Hub>,
    entrance: Arc<Entrance>,
    state: Arc<Health>,
    settings: Settings,
    endpoint: quinn::Endpoint,
    /// The loops that accept clients. They end when all clients have left.
    accepting: JoinSet<()>,
    /// The tasks that end with the gateway.
    lasting: JoinSet<()>,
}

impl Gateway {
    /// Starts it, within a tokio runtime.
    ///
    /// # Errors
    /// Which step failed, and why.
    pub async fn start(settings: Settings) -> Result<Self, Failure> {
        let realms = match &settings.realms.file {
            Some(file) => {
                info!(file = %file.display(), "reading realms and permissions");
                settings.realms.read()?
            }
            None => settings.realms.read()?,
        };
        let metrics = Arc::new(Metrics::new());
        let names: Vec<_> = realms.iter().map(|realm| realm.name.as_str()).collect();
        info!(node = settings.node, realms = names.join(" "), "the realms are configured");
        let default_realm = names.first().copied().unwrap_or_default().to_owned();
        let diagnostics = Diagnostics {
            node: settings.node.clone(),
            realm: default_realm,
            started: Instant::now(),
        };
        let limits = RealmLimits::default();
        let hub = Hub::new(&realms, limits, settings.outbox, diagnostics, metrics.clone());
        let hub = Arc::new(hub);
        let state = Arc::new(Health::new(hub.clone(), metrics.clone()));

        let (tls, rotation) = certificates(&settings, &metrics)?;
        let keys = Keys::of(settings.cookie.as_ref(), &settings.node)?;
        if let Some(why) = keys.random {
            warn!(
                "{why}: the keys are random, and other gateways do not accept the tokens of this gateway"
            );
        }

        let at = |port| SocketAddr::new(settings.address, port);
        let health_at = at(settings.health_port);
        info!(address = %health_at, protocol = "TCP", "opening the socket for health");
        let health = listener(bind::tcp(health_at, "HEALTH_PORT")?)?;
        info!(address = %at(settings.port), protocol = "UDP", "opening the socket for clients");
        let (socket, granted) = bind::udp(at(settings.port), "GATEWAY_PORT")?;
        metrics.udp_receive_buffer_bytes.set(i64::try_from(granted).unwrap_or(i64::MAX));
        info!(address = %at(settings.port), protocol = "TCP", "opening the socket for clients");
        let tcp = listener(bind::tcp(at(settings.port), "GATEWAY_PORT")?)?;
        let endpoint = quic::endpoint(socket, tls.clone(), keys)
            .map_err(|error| Failure::Runtime(format!("{error:#}")))?;
        let unknown =
            |error: std::io::Error| Failure::Runtime(format!("a socket has no address: {error}"));
        let addresses = (
            endpoint.local_addr().map_err(unknown)?,
            tcp.local_addr().map_err(unknown)?,
            health.local_addr().map_err(unknown)?,
        );

        let entrance = Entrance::new(
            hub.clone(),
            settings.connection,
            settings.handshakes,
            settings.most_connections,
        );
        let entrance = Arc::new(entrance);
        let (mut accepting, mut lasting) = (JoinSet::new(), JoinSet::new());
        lasting.spawn(hub.clone().keep_deadlines(state.router.clone()));
        lasting.spawn(rotation.run(settings.look_every));
        let routes = state.clone().routes();
        lasting.spawn(async move {
            if let Err(error) = axum::serve(health, routes).await {
                error!("the health port is no longer served: {error}");
            }
        });
        accepting.spawn(quic::run(endpoint.clone(), entrance.clone(), state.quic.clone()));
        accepting.spawn(tcp::run(tcp, tls, entrance.clone(), state.tcp.clone()));
        state.set_ready(true);
        let (udp, tcp, health) = addresses;
        info!(%udp, %tcp, %health, udp_receive_buffer_bytes = granted, "ready");
        Ok(Self { udp, tcp, health, hub, entrance, state, settings, endpoint, accepting, lasting })
    }

    pub fn hub(&self) -> &Arc<Hub> {
        &self.hub
    }

    /// Waits until a part of the gateway ends that should not, such as an endpoint whose socket failed.
    pub async fn broken(&mut self) -> Failure {
        tokio::select! {
            _ = self.accepting.join_next() => {
                Failure::Runtime("clients can no longer be accepted".to_owned())
            }
            _ = self.lasting.join_next() => {
                Failure::Runtime("a part of it that must not has ended".to_owned())
            }
        }
    }

    /// Reads realms and permissions again. A file that cannot be read changes nothing. Returns whether it could be read.
    pub fn reload(&self) -> bool {
        info!("reading realms and permissions again");
        match self.settings.realms.read() {
            Ok(realms) => {
                self.hub.configure(&realms);
                info!(realms = realms.len(), "realms and permissions are replaced");
                true
            }
            Err(error) => {
                warn!("realms and permissions stay as they were: {error}");
                false
            }
        }
    }
}

fn listener(socket: std::net::TcpListener) -> Result<TcpListener, Failure> {
    TcpListener::from_std(socket)
        .map_err(|error| Failure::Runtime(format!("a TCP socket cannot be used: {error}")))
}

/// The TLS settings, and the task that keeps the certificates up to date.
fn certificates(
    settings: &Settings,
    metrics: &Arc<Metrics>,
) -> Result<(ServerConfig, Rotation), Failure> {
    let source = CertificateSource::of(
        settings.certificate.clone(),
        settings.key.clone(),
        settings.self_signed,
    )?;
    info!("loading the certificate: {source}");
    if source == CertificateSource::SelfSigned {
        warn!("the certificate is self-signed: no client can know that this is the gateway");
    }
    let certificates = Arc::new(Certificates::new(source.load()?));
    let authorities = match &settings.client_ca {
        Some(path) => {
            info!(file = %path.display(), "loading the authorities of clients");
            Some((path.clone(), Arc::new(Authorities::read(path)?)))
        }
        None => None,
    };
    let trusted = authorities.as_ref().map(|(_, trusted)| trusted.clone());
    let config = tls::server_config(certificates.clone(), trusted)?;
    Ok((config, Rotation::new(&source, certificates, authorities, metrics.clone())))
}

//! The start of a gateway, step by step. The log names each step before it is tried, so that the last line names the step
//! that failed.

use std::{net::SocketAddr, sync::Arc, time::Instant};

use rustls::ServerConfig;
use tokio::{net::TcpListener, task::JoinSet};
use tracing::{error, info, warn};

use super::{Failure, Gateway, heap};
use crate::{
    budget::Budget,
    config::{ConfigError, Settings},
    door::{
        bind,
        entrance::{Entrance, EntranceLimits},
        keys::Keys,
        quic, tcp,
        tls::{self, Authorities, CertificateSource, Certificates, Rotation},
    },
    hub::{Hub, RealmConfig},
    observe::{diagnostics::Diagnostics, health::Health, metrics::Metrics},
    session::RealmLimits,
};

impl Gateway {
    /// Starts it, within a tokio runtime.
    ///
    /// # Errors
    /// Which step failed, and why.
    pub async fn start(settings: Settings) -> Result<Self, Failure> {
        let realms = realms(&settings)?;
        let metrics = Arc::new(Metrics::new());
        let (memory, for_clients) = (settings.memory.0, settings.memory.for_clients());
        info!(memory, for_clients, "memory is limited, in bytes");
        metrics.memory_limit_bytes.set(i64::try_from(memory).unwrap_or(i64::MAX));
        let hub = Arc::new(hub(&settings, &realms, metrics.clone()));
        let state = Arc::new(Health::new(hub.clone(), metrics.clone()));
        let (tls, rotation) = certificates(&settings, &metrics)?;
        let sockets = Sockets::open(&settings, tls.clone(), &metrics)?;
        let entrance = Arc::new(Entrance::new(
            hub.clone(),
            settings.connection,
            EntranceLimits {
                handshakes: settings.handshakes,
                connections: settings.most_connections,
                connections_of_prefix: settings
                    .connections_of_prefix
                    .unwrap_or(settings.most_connections.div_ceil(2)),
                exempt: settings.exempt.clone(),
            },
        ));

        let Sockets { endpoint, tcp, health, udp_at, tcp_at, health_at } = sockets;
        let (mut accepting, mut lasting) = (JoinSet::new(), JoinSet::new());
        lasting.spawn(hub.clone().keep_deadlines(state.router.clone()));
        lasting.spawn(heap::give_back(hub.budget().clone()));
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
        let granted = metrics.udp_receive_buffer_bytes.get();
        info!(udp = %udp_at, tcp = %tcp_at, health = %health_at, udp_receive_buffer_bytes = granted, "ready");
        Ok(Self {
            udp: udp_at,
            tcp: tcp_at,
            health: health_at,
            hub,
            entrance,
            state,
            settings,
            endpoint,
            accepting,
            lasting,
        })
    }
}

fn realms(settings: &Settings) -> Result<Vec<RealmConfig>, ConfigError> {
    if let Some(file) = &settings.realms.file {
        info!(file = %file.display(), "reading realms and permissions");
    }
    let realms = settings.realms.read()?;
    let names: Vec<_> = realms.iter().map(|realm| realm.name.as_str()).collect();
    info!(node = settings.node, realms = names.join(" "), "the realms are configured");
    Ok(realms)
}

fn hub(settings: &Settings, realms: &[RealmConfig], metrics: Arc<Metrics>) -> Hub {
    let diagnostics = Diagnostics {
        node: settings.node.clone(),
        realm: realms.first().map(|realm| realm.name.to_string()).unwrap_or_default(),
        started: Instant::now(),
    };
    let budget = Budget::new(settings.memory.for_clients());
    Hub::new(realms, RealmLimits::default(), settings.outbox, diagnostics, metrics, budget)
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

/// The open sockets, and the addresses at which they are reached.
struct Sockets {
    endpoint: quinn::Endpoint,
    tcp: TcpListener,
    health: TcpListener,
    udp_at: SocketAddr,
    tcp_at: SocketAddr,
    health_at: SocketAddr,
}

impl Sockets {
    fn open(settings: &Settings, tls: ServerConfig, metrics: &Metrics) -> Result<Self, Failure> {
        let keys = Keys::of(settings.cookie.as_ref(), &settings.node)?;
        if let Some(why) = keys.random {
            warn!(
                "{why}: the keys are random, and other gateways do not accept the tokens of this gateway"
            );
        }
        let at = |port| SocketAddr::new(settings.address, port);
        info!(address = %at(settings.health_port), protocol = "TCP", "opening the socket for health");
        let health = listener(bind::tcp(at(settings.health_port), "HEALTH_PORT")?)?;
        info!(address = %at(settings.port), protocol = "UDP", "opening the socket for clients");
        let (socket, granted) = bind::udp(at(settings.port), "GATEWAY_PORT")?;
        metrics.udp_receive_buffer_bytes.set(i64::try_from(granted).unwrap_or(i64::MAX));
        info!(address = %at(settings.port), protocol = "TCP", "opening the socket for clients");
        let tcp = listener(bind::tcp(at(settings.port), "GATEWAY_PORT")?)?;
        let endpoint = quic::endpoint(socket, tls, keys)
            .map_err(|error| Failure::Runtime(format!("{error:#}")))?;
        let unknown =
            |error: std::io::Error| Failure::Runtime(format!("a socket has no address: {error}"));
        Ok(Self {
            udp_at: endpoint.local_addr().map_err(unknown)?,
            tcp_at: tcp.local_addr().map_err(unknown)?,
            health_at: health.local_addr().map_err(unknown)?,
            endpoint,
            tcp,
            health,
        })
    }
}

fn listener(socket: std::net::TcpListener) -> Result<TcpListener, Failure> {
    TcpListener::from_std(socket)
        .map_err(|error| Failure::Runtime(format!("a TCP socket cannot be used: {error}")))
}

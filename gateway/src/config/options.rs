//! The flags and variables of `gateway run`.

use std::{
    net::{IpAddr, Ipv6Addr},
    path::PathBuf,
    time::Duration,
};

use clap::{
    Args, ValueEnum, ValueHint,
    builder::{OsStringValueParser, RangedU64ValueParser, TypedValueParser},
};

use super::{ConfigError, Memory, RealmSettings, Settings, cgroup};
use crate::{
    door::{connection::ConnectionLimits, keys::Secret, limits::HandshakeLimits, prefix::Prefix},
    outbox::{OutboxLimits, WhenFull},
    wire::realm::RealmName,
};

/// A day, in seconds. A longer wait could exceed what the clock can count, and panic.
const LONGEST_WAIT: u64 = 86_400;

#[derive(Debug, Args)]
pub struct Options {
    /// Check the settings and the file of realms, print those that have a variable, and end
    #[arg(long)]
    pub print_config: bool,
    /// Address to listen on: `::` is every address, of IPv4 too
    #[arg(long, env = "GATEWAY_ADDRESS", default_value_t = IpAddr::V6(Ipv6Addr::UNSPECIFIED))]
    address: IpAddr,
    /// Port for clients: QUIC on UDP, and TLS on TCP
    #[arg(long, env = "GATEWAY_PORT", default_value_t = 9443)]
    port: u16,
    /// Port for /health, /ready, /live and /metrics
    #[arg(long, env = "HEALTH_PORT", default_value_t = 8080)]
    health_port: u16,
    /// The default realm: the only one without --config [default: be.cortexiq.energy]
    #[arg(long, env = "GATEWAY_REALM")]
    realm: Option<RealmName>,
    /// TOML file of realms and permissions; SIGHUP reads it anew
    #[arg(long, env = "GATEWAY_CONFIG", value_name = "FILE", value_parser = path(),
        value_hint = ValueHint::AnyPath)]
    config: Option<PathBuf>,
    /// The certificate with its chain, PEM; a new one is taken without a restart
    #[arg(long, env = "TLS_CERT_FILE", value_name = "FILE", value_parser = path(),
        value_hint = ValueHint::AnyPath)]
    tls_cert: Option<PathBuf>,
    /// Its key, PEM
    #[arg(long, env = "TLS_KEY_FILE", value_name = "FILE", value_parser = path(),
        value_hint = ValueHint::AnyPath)]
    tls_key: Option<PathBuf>,
    /// Make a certificate that nobody can verify: for trying the gateway out
    #[arg(long)]
    self_signed: bool,
    /// Authorities of clients' certificates, PEM; new ones are taken without a restart
    #[arg(long, env = "GATEWAY_CLIENT_CA", value_name = "FILE", value_parser = path(),
        value_hint = ValueHint::AnyPath)]
    client_ca: Option<PathBuf>,
    /// This gateway's name [default: the host's]
    #[arg(long, env = "RELEASE_NODE")]
    node: Option<String>,
    /// Wait so long after SIGTERM before new clients are refused, until endpoints are known to have changed
    #[arg(long, env = "GATEWAY_DRAIN_DELAY", value_name = "SECONDS", default_value_t = 0,
        value_parser = clap::value_parser!(u64).range(..=LONGEST_WAIT))]
    drain_delay: u64,
    /// Calls under way have so long to end, and clients to leave, after the delay
    #[arg(long, env = "GATEWAY_GRACE", value_name = "SECONDS", default_value_t = 25,
        value_parser = clap::value_parser!(u64).range(..=LONGEST_WAIT))]
    grace: u64,
    /// Longest payload of a frame
    #[arg(long, env = "GATEWAY_MAX_FRAME", value_name = "BYTES", default_value_t = 1 << 20,
        value_parser = clap::value_parser!(u32).range(1024..=16 << 20))]
    max_frame: u32,
    /// Connections at once
    #[arg(long, env = "GATEWAY_MAX_CONNECTIONS", value_name = "NUMBER", default_value_t = 65_536,
        value_parser = RangedU64ValueParser::<usize>::new().range(1..))]
    max_connections: usize,
    /// Connections at once, of an IPv4 /24 or an IPv6 /56 [default: half of --max-connections]
    #[arg(long, env = "GATEWAY_MAX_CONNECTIONS_PER_PREFIX", value_name = "NUMBER",
        value_parser = RangedU64ValueParser::<usize>::new().range(1..))]
    max_connections_per_prefix: Option<usize>,
    /// Networks that may have any number of connections and handshakes: those whose addresses many clients share, as behind
    /// a load balancer
    #[arg(
        long,
        env = "GATEWAY_EXEMPT_PREFIXES",
        value_name = "PREFIX,...",
        default_value = "",
        hide_default_value = true
    )]
    exempt_prefixes: String,
    /// Handshakes a second, of all clients
    #[arg(long, env = "GATEWAY_HANDSHAKES", value_name = "NUMBER",
        default_value_t = HandshakeLimits::default().per_second,
        value_parser = clap::value_parser!(u32).range(1..))]
    handshakes: u32,
    /// Handshakes a second, of an IPv4 /24 or an IPv6 /56
    #[arg(long, env = "GATEWAY_HANDSHAKES_PER_PREFIX", value_name = "NUMBER",
        default_value_t = HandshakeLimits::default().per_second_of_prefix,
        value_parser = clap::value_parser!(u32).range(1..))]
    handshakes_per_prefix: u32,
    /// Frames a second of one client that are for the gateway: pings, subscriptions, registrations, calls that fail at
    /// once; a client that sends more is slowed
    #[arg(long, env = "GATEWAY_MAX_CONTROL_RATE", value_name = "NUMBER",
        default_value_t = ConnectionLimits::default().control_per_second,
        value_parser = clap::value_parser!(u32).range(100..))]
    max_control_rate: u32,
    /// Messages that wait for one client
    #[arg(long, env = "GATEWAY_MAX_QUEUE", value_name = "BYTES", default_value_t = 8 << 20)]
    max_queue: usize,
    /// What becomes of a client that reads too slowly
    #[arg(long, env = "GATEWAY_WHEN_FULL", value_enum, default_value_t = SlowClient::DropOldest)]
    when_full: SlowClient,
    /// Memory that the gateway may take: when what it holds for clients comes close, those who hold most have to go
    /// [default: three quarters of the cgroup's limit, or of the machine's memory]
    #[arg(long, env = "GATEWAY_MEMORY", value_name = "BYTES",
        value_parser = RangedU64ValueParser::<usize>::new().range(Memory::LEAST as u64..))]
    memory: Option<usize>,
    /// How logs are written to stderr
    #[arg(long, env = "GATEWAY_LOG_FORMAT", value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,
    /// What is logged: error, warn, info, debug, trace, or one of them for each module
    #[arg(long, env = "GATEWAY_LOG", value_name = "FILTER", default_value = "info")]
    pub log: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum SlowClient {
    /// It loses the oldest published messages
    DropOldest,
    /// It is disconnected
    Disconnect,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    Text,
    Json,
}

impl Options {
    /// # Errors
    /// Two settings contradict each other.
    pub fn settings(self) -> Result<Settings, ConfigError> {
        let outbox = OutboxLimits {
            most_bytes: self.max_queue,
            mark_bytes: OutboxLimits::default().mark_bytes.min(self.max_queue / 2),
            when_full: match self.when_full {
                SlowClient::DropOldest => WhenFull::DropOldest,
                SlowClient::Disconnect => WhenFull::Disconnect,
            },
            ..OutboxLimits::default()
        };
        let longest = usize::try_from(self.max_frame).unwrap_or(usize::MAX);
        if self.max_queue < longest.saturating_mul(2) {
            return Err(ConfigError::Value(format!(
                "--max-queue {} is less than two frames of --max-frame {}: raise the one or lower the other",
                self.max_queue, self.max_frame
            )));
        }
        let client_ca = given(self.client_ca);
        Ok(Settings {
            address: self.address,
            port: self.port,
            health_port: self.health_port,
            certificate: given(self.tls_cert),
            key: given(self.tls_key),
            self_signed: self.self_signed,
            look_every: Duration::from_secs(5),
            realms: RealmSettings {
                file: given(self.config),
                default: self.realm,
                has_client_ca: client_ca.is_some(),
            },
            client_ca,
            node: self.node.filter(|name| !name.is_empty()).unwrap_or_else(host_name),
            // There is no flag for it: everybody on a machine can read the arguments of a process.
            cookie: std::env::var("RELEASE_COOKIE")
                .ok()
                .filter(|text| !text.is_empty())
                .map(Secret),
            drain_delay: Duration::from_secs(self.drain_delay),
            grace: Duration::from_secs(self.grace),
            handshakes: HandshakeLimits {
                per_second: self.handshakes,
                per_second_of_prefix: self.handshakes_per_prefix,
                ..HandshakeLimits::default()
            },
            most_connections: self.max_connections,
            connections_of_prefix: self.max_connections_per_prefix,
            exempt: prefixes(&self.exempt_prefixes)?,
            connection: ConnectionLimits {
                most_payload_bytes: self.max_frame,
                control_per_second: self.max_control_rate,
                ..ConnectionLimits::default()
            },
            outbox,
            memory: Memory(self.memory.unwrap_or_else(usual_memory)),
        })
    }
}

/// Three quarters of what there is: buffers of the kernel count for the cgroup, too.
fn usual_memory() -> usize {
    cgroup::memory_limit().map_or(usize::MAX, |bytes| bytes / 4 * 3).max(Memory::LEAST)
}

/// Prefixes with commas between them; none at all too.
fn prefixes(text: &str) -> Result<Vec<Prefix>, ConfigError> {
    let each = text.split(',').map(str::trim).filter(|text| !text.is_empty());
    let parsed: Result<_, String> = each.map(str::parse).collect();
    parsed.map_err(|why| ConfigError::Value(format!("--exempt-prefixes: {why}")))
}

/// A path that may be empty: in the specification of a pod a variable often is.
fn path() -> impl TypedValueParser<Value = PathBuf> {
    OsStringValueParser::new().map(PathBuf::from)
}

/// An empty path counts as not set.
fn given(path: Option<PathBuf>) -> Option<PathBuf> {
    path.filter(|path| !path.as_os_str().is_empty())
}

fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

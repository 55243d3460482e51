//! The procedures that the gateway answers itself. It must not know who calls.

use std::{fs, sync::OnceLock, time::Instant};

use serde_json::{Value, json};

use crate::{
    session::BUILT_IN,
    wire::message::{CallError, Procedure, Term},
};

/// What the gateway says of itself.
#[derive(Debug)]
pub struct Diagnostics {
    /// The node's name (RELEASE_NODE).
    pub node: String,
    /// The default realm.
    pub realm: String,
    pub started: Instant,
}

impl Diagnostics {
    /// The answer to a call of a built-in procedure: JSON, in a `bin`.
    ///
    /// # Errors
    /// There is no such procedure.
    pub fn answer(&self, procedure: &Procedure, args: &Term) -> Result<Term, CallError> {
        match procedure.0.strip_prefix(BUILT_IN) {
            Some("hello") => Ok(self.hello()),
            Some("echo") => Ok(args.clone()),
            Some("info") => Ok(self.info()),
            Some(_) | None => Err(CallError {
                code: "no_such_procedure".to_owned(),
                message: format!("{} is not built in: hello, echo and info are", procedure.0),
            }),
        }
    }

    fn hello(&self) -> Term {
        let Self { node, realm, started } = self;
        text(&json!({
            "gateway": node,
            "realm": realm,
            "uptime_seconds": started.elapsed().as_secs(),
            "version": env!("CARGO_PKG_VERSION"),
            "protocol": "macula/1.0",
        }))
    }

    fn info(&self) -> Term {
        text(&json!({
            "gateway": self.node,
            "process": {
                "pid": std::process::id(),
                "resident_bytes": resident_bytes(),
                "threads": threads(),
            },
            "system": { "os": std::env::consts::OS, "arch": std::env::consts::ARCH, "cpus": cpus() },
        }))
    }
}

fn text(value: &Value) -> Term {
    value.to_string().into()
}

/// Memory of this process; 0 where /proc does not tell.
pub fn resident_bytes() -> u64 {
    status("VmRSS:").map_or(0, |kibibytes| kibibytes * 1024)
}

/// Threads of this process; 0 where /proc does not tell.
pub fn threads() -> u64 {
    status("Threads:").unwrap_or(0)
}

/// Datagrams dropped for want of room in a socket of this network namespace; 0 where /proc does not tell.
pub fn udp_receive_errors() -> u64 {
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    v4_receive_errors(&read("/proc/net/snmp")).unwrap_or(0)
        + v6_receive_errors(&read("/proc/net/snmp6")).unwrap_or(0)
}

/// A line of names above a line of numbers.
fn v4_receive_errors(snmp: &str) -> Option<u64> {
    let mut lines = snmp.lines().filter(|line| line.starts_with("Udp: "));
    let (names, numbers) = (lines.next()?, lines.next()?);
    let mut both = names.split_whitespace().zip(numbers.split_whitespace());
    both.find(|(name, _)| *name == "RcvbufErrors")?.1.parse().ok()
}

/// A line for each number.
fn v6_receive_errors(snmp6: &str) -> Option<u64> {
    let line = snmp6.lines().find_map(|line| line.strip_prefix("Udp6RcvbufErrors"))?;
    line.trim().parse().ok()
}

fn status(key: &str) -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let value = status.lines().find_map(|line| line.strip_prefix(key))?;
    value.split_whitespace().next()?.parse().ok()
}

fn cpus() -> usize {
    static CPUS: OnceLock<usize> = OnceLock::new();
    *CPUS.get_or_init(|| std::thread::available_parallelism().map_or(1, usize::from))
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use super::*;

    fn ask(name: &str, args: &[u8]) -> Result<Term, CallError> {
        let diagnostics = Diagnostics {
            node: "gateway-0".to_owned(),
            realm: "be.cortexiq.energy".to_owned(),
            started: Instant::now(),
        };
        let procedure = Procedure(format!("com.macula.diagnostics.{name}"));
        diagnostics.answer(&procedure, &args.into())
    }

    #[test]
    fn hello_names_gateway_realm_and_protocol() {
        let hello: Value =
            serde_json::from_slice(&ask("hello", b"").unwrap().bytes().unwrap()).unwrap();
        assert_eq!(hello["gateway"], "gateway-0");
        assert_eq!(hello["realm"], "be.cortexiq.energy");
        assert_eq!(hello["protocol"], "macula/1.0");
        assert!(hello["uptime_seconds"].is_u64() && hello["version"].is_string());
    }

    #[test]
    fn echo_gives_back_what_it_got_and_info_counts_this_process() {
        assert_eq!(ask("echo", b"{\"a\":1}").unwrap(), "{\"a\":1}");
        let info: Value =
            serde_json::from_slice(&ask("info", b"").unwrap().bytes().unwrap()).unwrap();
        assert!(info["process"]["resident_bytes"].as_u64().unwrap() > 1 << 20);
        assert!(info["system"]["cpus"].as_u64().unwrap() >= 1);
    }

    #[test]
    fn dropped_datagrams_are_read_as_the_kernel_counts_them() {
        let snmp = "Udp: InDatagrams RcvbufErrors SndbufErrors\nUdp: 9 7 1\nUdpLite: 0 0 0\n";
        assert_eq!(v4_receive_errors(snmp), Some(7));
        assert_eq!(v6_receive_errors("Udp6InErrors   3\nUdp6RcvbufErrors \t 5\n"), Some(5));
        assert_eq!((v4_receive_errors(""), v6_receive_errors("")), (None, None));
    }

    #[test]
    fn the_kernel_counts_datagrams_that_found_no_room_for_both_families() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let Ok(socket) = UdpSocket::bind(address) else {
                println!("skipped {address}: it cannot be had here");
                continue;
            };
            // The kernel grants its least.
            rustix::net::sockopt::set_socket_recv_buffer_size(&socket, 1).unwrap();
            let sender = UdpSocket::bind(address).unwrap();
            let before = udp_receive_errors();
            for _ in 0..100 {
                sender.send_to(&[0; 1000], socket.local_addr().unwrap()).unwrap();
            }
            socket.set_nonblocking(true).unwrap();
            let mut arrived = 0;
            while socket.recv(&mut [0; 1000]).is_ok() {
                arrived += 1;
            }
            assert!(arrived < 100, "{address}: all found room");
            let lost = udp_receive_errors() - before;
            assert!(lost >= 100 - arrived, "{address}: {arrived} arrived, {lost} are lost");
        }
    }

    #[test]
    fn another_name_is_no_procedure() {
        assert_eq!(ask("reboot", b"").unwrap_err().code, "no_such_procedure");
    }
}

//! The procedures that the gateway answers itself. The caller is not known here.

use std::{sync::OnceLock, time::Instant};

use serde_json::{Value, json};

use super::process;
use crate::{
    session::BUILT_IN,
    wire::message::{CallError, Procedure, Term},
};

/// What the gateway reports in its answers.
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
                "resident_bytes": process::resident_bytes(),
                "threads": process::threads(),
            },
            "system": { "os": std::env::consts::OS, "arch": std::env::consts::ARCH, "cpus": cpus() },
        }))
    }
}

fn text(value: &Value) -> Term {
    value.to_string().into()
}

fn cpus() -> usize {
    static CPUS: OnceLock<usize> = OnceLock::new();
    *CPUS.get_or_init(|| std::thread::available_parallelism().map_or(1, usize::from))
}

#[cfg(test)]
mod tests {
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
    fn another_name_is_no_procedure() {
        assert_eq!(ask("reboot", b"").unwrap_err().code, "no_such_procedure");
    }
}

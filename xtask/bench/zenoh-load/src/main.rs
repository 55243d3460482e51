//! `zenoh-load`: measures one cell of a Zenoh router that runs, and prints the figures as one JSON
//! object. It does not know what they are compared with.

#![forbid(unsafe_code)]

mod calls;
mod messages;

use std::collections::HashMap;
use std::process::ExitCode;

use zenoh::{Config, Result, Session, Wait as _};

const USAGE: &str = "\
usage: zenoh-load --connect=ENDPOINT --ca=FILE --size=BYTES --subscribers=N --messages=N
       zenoh-load --connect=ENDPOINT --ca=FILE --size=BYTES --in-flight=N --calls=N";

fn main() -> ExitCode {
    match measure(std::env::args().skip(1)) {
        Ok(figures) => {
            println!("{figures}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("zenoh-load: {error}");
            ExitCode::FAILURE
        }
    }
}

fn measure(arguments: impl Iterator<Item = String>) -> Result<String> {
    let options = Options::parse(arguments)?;
    let router = Router { endpoint: options.text("--connect")?, ca: options.text("--ca")? };
    let size = options.number("--size")?;
    if size < NUMBER_BYTES {
        return Err(format!("--size must be at least {NUMBER_BYTES}, for a number").into());
    }
    if options.has("--calls") {
        let (in_flight, calls) = (options.number("--in-flight")?, options.number("--calls")?);
        return calls::Cell { size, in_flight, calls }.measure(&router);
    }
    let (subscribers, messages) = (options.number("--subscribers")?, options.number("--messages")?);
    messages::Cell { size, subscribers, messages }.measure(&router)
}

/// The router under load.
struct Router<'a> {
    /// `quic/127.0.0.1:7447`
    endpoint: &'a str,
    /// The file of its certificate, or of the one that signed that.
    ca: &'a str,
}

impl Router<'_> {
    /// A client's session of its own, by the vendor's defaults; it looks for no other router.
    fn open(&self) -> Result<Session> {
        let mut config = Config::default();
        config.insert_json5("mode", "'client'")?;
        config.insert_json5("connect/endpoints", &format!("['{}']", self.endpoint))?;
        config.insert_json5("transport/link/tls/root_ca_certificate", &format!("'{}'", self.ca))?;
        // The address is no name that the certificate is for.
        config.insert_json5("transport/link/tls/verify_name_on_connect", "false")?;
        config.insert_json5("scouting/multicast/enabled", "false")?;
        zenoh::open(config).wait()
    }
}

/// What messages and calls of this cell are sent to. It is nobody else's: while the router does not yet know that
/// the clients of an earlier cell are gone, it would wait for them.
fn key() -> String {
    format!("bench/{}", std::process::id())
}

const NUMBER_BYTES: usize = size_of::<u64>();

/// A payload of `size` bytes that begins with a number.
fn payload(number: u64, size: usize) -> Vec<u8> {
    let mut payload = vec![0x5a; size];
    payload[..NUMBER_BYTES].copy_from_slice(&number.to_be_bytes());
    payload
}

/// The command line: `--name=value`.
struct Options(HashMap<String, String>);

impl Options {
    fn parse(arguments: impl Iterator<Item = String>) -> Result<Self> {
        let pairs = arguments.map(|argument| match argument.split_once('=') {
            Some((name, value)) => Ok((name.to_owned(), value.to_owned())),
            None => Err(format!("{argument} is no --name=value\n{USAGE}").into()),
        });
        pairs.collect::<Result<_>>().map(Self)
    }

    fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    fn text(&self, name: &str) -> Result<&str> {
        let value = self.0.get(name).map(String::as_str);
        value.ok_or_else(|| format!("{name} is missing\n{USAGE}").into())
    }

    fn number(&self, name: &str) -> Result<usize> {
        match self.text(name)?.parse() {
            Ok(number) if number > 0 => Ok(number),
            _ => Err(format!("{name} must be a number above 0\n{USAGE}").into()),
        }
    }
}

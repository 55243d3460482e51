//! How long a death takes to become a crash object on stdout. The time of the death is told by the
//! dying process itself, not by the tracer. It knows nothing about targets.

use std::io::Read as _;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};

use super::calls::Bench;
use super::sample::Sample;
use super::worker::boot_time_ns;

/// Milliseconds after the death.
#[derive(Debug, Default)]
pub struct Latency {
    /// The last byte of the crash object was read.
    pub object: Sample,
    /// `tracer exec` had ended.
    pub end: Sample,
}

impl Latency {
    /// Lets one process die under the tracer.
    pub fn add(&mut self, bench: &Bench) -> Result<()> {
        let mut child = Command::new(&bench.tracer.program)
            .args(["exec", "-o", "json", "--"])
            .arg(&bench.worker)
            .arg("die")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("cannot run the tracer")?;
        let mut stdout = child.stdout.take().context("the tracer has no stdout")?;
        let mut stderr = child.stderr.take().context("the tracer has no stderr")?;
        let (mut object, mut buffer, mut read_ns) = (Vec::new(), [0; 1 << 16], 0);
        loop {
            let size = stdout.read(&mut buffer).context("cannot read the crash object")?;
            if size == 0 {
                break;
            }
            read_ns = boot_time_ns();
            object.extend_from_slice(&buffer[..size]);
        }
        let mut words = String::new();
        stderr.read_to_string(&mut words).context("cannot read the worker's stderr")?;
        child.wait().context("cannot wait for the tracer")?;
        let ended_ns = boot_time_ns();
        let died_ns: u64 = words
            .lines()
            .find_map(|line| line.parse().ok())
            .with_context(|| format!("the worker did not say when it died: {words}"))?;
        let object: serde_json::Value =
            serde_json::from_slice(&object).context("the crash object is no JSON")?;
        ensure!(object["exit"]["code"] == 3, "the crash object is of another death: {object}");
        self.object.push(milliseconds(read_ns, died_ns));
        self.end.push(milliseconds(ended_ns, died_ns));
        Ok(())
    }
}

fn milliseconds(time_ns: u64, since_ns: u64) -> f64 {
    time_ns.saturating_sub(since_ns) as f64 / 1e6
}

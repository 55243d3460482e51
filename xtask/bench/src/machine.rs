//! The machine, kernel and versions that figures belong to. It knows no figure.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::Result;
use serde_json::{Map, Value};
use xtask::means::exec;

/// What to print beside every table, in order.
#[derive(Debug, Clone)]
pub struct Machine(Vec<(&'static str, String)>);

impl Machine {
    pub fn look() -> Result<Self> {
        let uname = rustix::system::uname();
        let text = |text: &std::ffi::CStr| text.to_string_lossy().into_owned();
        Ok(Self(vec![
            ("processor", processor()),
            ("CPUs", std::thread::available_parallelism()?.to_string()),
            ("memory", memory()),
            ("kernel", format!("{} {}", text(uname.release()), text(uname.machine()))),
            ("load before", load()),
        ]))
    }

    /// A program that was measured.
    pub fn add_version(&mut self, name: &'static str, program: &Path) {
        self.add(name, first_line(Command::new(program).arg("--version")));
    }

    pub fn add(&mut self, name: &'static str, value: String) {
        self.0.push((name, value));
    }

    pub fn text(&self) -> String {
        self.0.iter().map(|(name, value)| format!("{name}: {value}\n")).collect()
    }

    pub fn markdown(&self) -> String {
        self.0.iter().map(|(name, value)| format!("- {name}: {value}\n")).collect()
    }

    pub fn json(&self) -> Value {
        let fields = self.0.iter().map(|(name, value)| {
            (name.to_lowercase().replace(' ', "_"), Value::String(value.clone()))
        });
        Value::Object(fields.collect::<Map<_, _>>())
    }
}

fn first_line(command: &mut Command) -> String {
    let printed = exec::stdout(command).unwrap_or_else(|error| format!("unknown ({error})"));
    printed.lines().next().unwrap_or_default().to_owned()
}

fn processor() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    name.map_or("unknown", |(_, name)| name).to_owned()
}

fn memory() -> String {
    let info = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kib = info.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kib: Option<u64> = kib.and_then(|kib| kib.trim().trim_end_matches(" kB").parse().ok());
    kib.map_or("unknown".to_owned(), |kib| format!("{} MiB", kib / 1024))
}

/// Runnable tasks over the last minute: above about 0.3 others were at work.
fn load() -> String {
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    load.split(' ').next().unwrap_or_default().to_owned()
}

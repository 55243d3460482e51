//! Lets one death happen where nothing else can be hurt: network, mounts and folder of its own, and whatever it leaves
//! running is killed. It knows the tracer's command line, not what is a right answer.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use ::tests::Stage;
use ::tests::wild::Death;
use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal};
use serde_json::Value;

/// How the tracer is to watch.
#[derive(Debug, Clone)]
pub struct Watch {
    pub tracer: PathBuf,
    /// Without the output of what dies.
    pub without_words: bool,
    /// Keep the records, too.
    pub record: bool,
}

/// A death that happened.
#[derive(Debug)]
pub struct Happened {
    pub object: Value,
    /// What it wrote.
    pub output: String,
    /// The records, if they were wanted; a folder that is there as long as this is.
    pub recording: Option<PathBuf>,
    _scratch: tempfile::TempDir,
}

/// What a program of any machine finds in its environment.
const ENVIRONMENT: [(&str, &str); 4] = [
    ("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
    ("HOME", "/srv"),
    ("LANG", "C.UTF-8"),
    ("TERM", "dumb"),
];

/// Run by bash with the folder for results and the command of the tracer as arguments.
const SCRIPT: &str = r#"
set -eu
scratch=$1; shift
readlink /proc/self/ns/net > "$scratch/network"
ip link set lo up
# Mounts that only this machine has would become part of recordings.
awk '$2 != "/" && $2 !~ "^/(proc|sys|dev|run|tmp|boot)(/|$)" { print $2 }' /proc/self/mounts | tac |
    while read -r place; do umount -l "$place"; done
for place in /srv /tmp /run; do mount -t tmpfs -o mode=1777 tmpfs $place; done
mkdir -m 755 /srv/app; chmod 755 /srv; cd /srv/app
if [ -s "$scratch/setup.sh" ]; then
    bash -eu "$scratch/setup.sh" > "$scratch/setup.log" 2>&1 < /dev/null
fi
if [ -s "$scratch/beside.sh" ]; then
    bash "$scratch/beside.sh" > "$scratch/beside.log" 2>&1 < /dev/null &
    for _ in $(seq 300); do [ -e /srv/app/ready ] && break; sleep 0.05; done
    [ -e /srv/app/ready ] || { echo "it never became ready" >> "$scratch/beside.log"; exit 99; }
    rm /srv/app/ready
fi
exec "$@" > "$scratch/output" 2>&1 < /dev/null
"#;

/// No death takes longer.
const LONGEST_SECONDS: &str = "60";

pub fn happen(death: &Death, watch: &Watch) -> Result<Happened> {
    let scratch = tempfile::Builder::new().prefix("wild-").tempdir_in("/var/tmp")?;
    let at = |name: &str| scratch.path().join(name);
    fs::write(at("setup.sh"), &death.setup)?;
    fs::write(at("beside.sh"), &death.beside)?;
    let stage = Stage::new()?;
    let mut line = death.run.trim().to_owned();
    if let Some(limit) = death.memory_mib {
        let procs = stage.memory_cgroups(&[("container", limit << 20)])?;
        line = format!("echo $$ > {procs}\n{line}");
    }

    let mut command = Command::new("timeout");
    command.args(["--signal=KILL", LONGEST_SECONDS, "unshare", "--net", "--mount", "--ipc"]);
    command.args(["--propagation", "private", "--", "bash", "-c", SCRIPT, "stage"]);
    // All are servers, or what must succeed before one begins.
    command.arg(scratch.path()).arg(&watch.tracer).args(["exec", "--keep-running"]);
    command.args(watch.without_words.then_some("--no-output-capture"));
    if watch.record {
        command.arg("--record").arg(at("recording"));
    }
    command.args(["-o", "json", "--output-file"]).arg(at("verdict"));
    command.args(["--", "/bin/sh", "-c", &line]);
    command.env_clear().envs(ENVIRONMENT);
    let log = File::create(at("stage.log"))?;
    command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    let status = command.status().context("cannot run unshare")?;
    kill_all_of(&at("network"))?;

    let read = |name: &str| fs::read(at(name)).unwrap_or_default();
    let words = |name: &str| String::from_utf8_lossy(&read(name)).trim().to_owned();
    let verdict = read("verdict");
    if verdict.is_empty() {
        let said: Vec<String> =
            ["stage.log", "setup.log", "beside.log", "output"].map(words).into();
        bail!("no verdict ({status}): {}", said.join(" "));
    }
    let object = serde_json::from_slice(&verdict).context("the verdict is no JSON")?;
    let recording = watch.record.then(|| at("recording"));
    Ok(Happened { object, output: words("output"), recording, _scratch: scratch })
}

/// Kills every process of a network namespace that was made for one death.
fn kill_all_of(network: &Path) -> Result<()> {
    let Ok(network) = fs::read_to_string(network) else { return Ok(()) };
    let network = OsStr::new(network.trim()).to_owned();
    for _ in 0..100 {
        let mut left = 0;
        for entry in fs::read_dir("/proc")? {
            let Ok(name) = entry?.file_name().into_string() else { continue };
            let Some(pid) = name.parse().ok().and_then(Pid::from_raw) else { continue };
            let its = fs::read_link(format!("/proc/{name}/ns/net"));
            if its.is_ok_and(|its| its.as_os_str() == network) {
                left += 1;
                // It may have ended by itself.
                let _ = rustix::process::kill_process(pid, Signal::KILL);
            }
        }
        if left == 0 {
            return Ok(());
        }
        std::thread::yield_now();
    }
    Ok(())
}

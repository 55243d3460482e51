//! The fields of a crash object that say whose crash it is. It must not know the tracer's own types.

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::verdict::Verdict;
use crate::world::World;

/// One line of `tracer crashes -o json`, or of the agent's stdout.
#[derive(Debug, Clone, PartialEq)]
pub struct Crash(pub Value);

impl Crash {
    /// All that the agent remembers.
    pub fn all(world: &World) -> Result<Vec<Self>> {
        Ok(world.agent.crashes()?.into_iter().map(Self).collect())
    }

    /// Waits until the agent tells of the end of this pod's container of this attempt.
    pub fn wait(
        world: &World,
        namespace: &str,
        pod: &str,
        container: &str,
        attempt: u32,
    ) -> Result<Self> {
        let what = format!("the crash of {namespace}/{pod}, {container}, attempt {attempt}");
        let told = world.agent.wait_for(&what, |line| {
            let crash = Self(line.clone());
            crash.is_crash()
                && crash.namespace() == namespace
                && crash.place() == (pod, container)
                && crash.attempt() == Some(attempt.into())
        })?;
        Ok(Self(told))
    }

    /// Whether it is one at all: the agent's stdout has other lines too.
    pub fn is_crash(&self) -> bool {
        self.0["crash"]["cause"].is_string()
    }

    pub fn cause(&self) -> &str {
        self.0["crash"]["cause"].as_str().unwrap_or_default()
    }

    pub fn scope(&self) -> &str {
        self.0["crash"]["scope"].as_str().unwrap_or_default()
    }

    pub fn id(&self) -> &str {
        self.0["crash"]["id"].as_str().unwrap_or_default()
    }

    pub fn container_id(&self) -> &str {
        self.0["container"]["id"].as_str().unwrap_or_default()
    }

    pub fn namespace(&self) -> &str {
        self.0["k8s"]["namespace"]["name"].as_str().unwrap_or_default()
    }

    /// Pod and container.
    pub fn place(&self) -> (&str, &str) {
        let name = |kind: &str| self.0["k8s"][kind]["name"].as_str().unwrap_or_default();
        (name("pod"), name("container"))
    }

    /// The restart count.
    pub fn attempt(&self) -> Option<u64> {
        self.0["k8s"]["container"]["restart_count"].as_u64()
    }

    /// The exit code as a container runtime tells it: 128 and the signal for one that ended by a signal.
    pub fn exit_code(&self) -> Option<i64> {
        const SIGNALS: [(&str, i64); 3] = [("SIGKILL", 9), ("SIGSEGV", 11), ("SIGTERM", 15)];
        let exit = &self.0["exit"];
        let number =
            |name| SIGNALS.iter().find(|(known, _)| *known == name).map(|(_, number)| 128 + number);
        exit["code"].as_i64().or_else(|| exit["signal"].as_str().and_then(number))
    }

    /// The whole object with its timeline, as `tracer timeline` prints it; schema and evidence are checked.
    pub fn whole(&self, world: &World) -> Result<Verdict> {
        let printed = world.agent.ask("timeline", &[self.id(), "-o", "json"])?;
        let verdict = Verdict::parse(&printed)?;
        let checked = verdict.check_schema().and_then(|()| verdict.check_evidence());
        checked.with_context(|| format!("it said {verdict}"))?;
        ensure!(
            verdict.object()["crash"] == self.0["crash"],
            "timeline and crashes tell of two crashes"
        );
        ensure!(verdict.cause() == self.cause(), "two causes");
        Ok(verdict)
    }
}

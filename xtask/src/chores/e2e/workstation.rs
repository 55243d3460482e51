//! Asks all nodes at once from this machine, through the kubeconfig. It knows the tracer's command line.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use super::agents::{self, Told};
use super::deaths::CRASHES;
use super::kubectl::Kubectl;
use super::report::Report;
use crate::means::exec;

pub fn ask(kubectl: &Kubectl, tracer: &Path, report: &mut Report) -> Result<()> {
    let by_kubectl = agents::told(kubectl)?;
    let one = by_kubectl.iter().find(|told| told.is_crash() && told.namespace == CRASHES);
    let one = one.context("no crash is remembered: the step `deaths` makes some")?;
    report.check("tracer crashes", listed(kubectl, tracer, &by_kubectl))?;
    report.check("tracer timeline", timeline(kubectl, tracer, one))
}

/// Whatever an agent told when it was asked on its node must be told here too.
fn listed(kubectl: &Kubectl, tracer: &Path, by_kubectl: &[Told]) -> Result<String> {
    let text = tracer_says(kubectl, tracer, &agents::CRASHES)?;
    let here = agents::lives(&text)?;
    let missing = by_kubectl.iter().filter(|told| !here.contains(told)).count();
    ensure!(missing == 0, "{missing} of {} are not listed", by_kubectl.len());
    Ok(format!("{} ends, those that the agents tell on their nodes", here.len()))
}

fn timeline(kubectl: &Kubectl, tracer: &Path, of: &Told) -> Result<String> {
    let text = tracer_says(kubectl, tracer, &["timeline", &of.pod, "-n", &of.namespace])?;
    let line = text.lines().find(|line| line.starts_with("cause:"));
    let line = line.with_context(|| format!("no cause in: {text}"))?;
    ensure!(line.contains(&of.cause), "{} shows {line}, not {}", of.pod, of.cause);
    Ok(format!("{}: {line}", of.pod))
}

fn tracer_says(kubectl: &Kubectl, tracer: &Path, args: &[&str]) -> Result<String> {
    let mut command = Command::new(tracer);
    command.args(args).args(["--context", &kubectl.context()?]);
    if let Some(file) = kubectl.kubeconfig() {
        command.arg("--kubeconfig").arg(file);
    }
    exec::stdout(&mut command)
}

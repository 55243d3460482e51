//! Deletes everything and shows that no node keeps anything of it.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use anyhow::{Result, anyhow};

use super::agents;
use super::checker::{Checker, Objects};
use super::kubectl::Kubectl;
use super::report::Report;
use super::until;

/// For the kernel, which frees programs a moment after their last user.
const FREED_WITHIN: Duration = Duration::from_secs(15);

/// What an agent held in its node's kernel.
struct Held {
    node: String,
    objects: Objects,
}

pub fn show(
    kubectl: &Kubectl,
    checker: &Checker<'_>,
    folders: &[&Path],
    report: &mut Report,
) -> Result<()> {
    let held = held(kubectl, checker)?;
    for held in &held {
        let count = |kind: &str| held.objects.get(kind).map_or(0, BTreeSet::len);
        let words = format!("{} programs, {} maps", count("prog_id:"), count("map_id:"));
        let came = if count("prog_id:") > 0 { Ok(words) } else { Err(anyhow!("no programs")) };
        report.check(&format!("{}: what the agent has in the kernel", held.node), came)?;
    }
    for folder in folders {
        kubectl.delete(folder)?;
        report.note(&format!("deleted {}", folder.display()))?;
    }
    for held in &held {
        let left = until("the kernel to free them", FREED_WITHIN, || {
            let left = checker.still_loaded(&held.node, &held.objects)?;
            Ok(left.is_empty().then_some(()))
        });
        report.check(
            &format!("{}: programs and maps left", held.node),
            left.map(|()| "none".to_owned()),
        )?;
    }
    for node in checker.nodes() {
        let left = checker.left(node)?;
        let came =
            if left.is_empty() { Ok("none".to_owned()) } else { Err(anyhow!(left.join(", "))) };
        report.check(&format!("{node}: pins, sockets and folders left"), came)?;
    }
    Ok(())
}

fn held(kubectl: &Kubectl, checker: &Checker<'_>) -> Result<Vec<Held>> {
    let mut all = Vec::new();
    for agent in agents::pods(kubectl)? {
        for container in agent.running() {
            let node = agent.spec.node_name.clone();
            let objects = checker.objects(&node, container)?;
            all.push(Held { node, objects });
        }
    }
    Ok(all)
}

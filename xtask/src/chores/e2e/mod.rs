//! `cargo xtask e2e`: proves the deployment on the cluster that the kubeconfig names: that it installs, serves, names the
//! cause of every death of deploy/crashes, survives its own upgrade, and leaves nothing behind. It knows the order of
//! these steps, not how one is done.

mod agents;
mod calm;
mod checker;
mod compare;
mod deaths;
mod gateway;
mod kubectl;
mod load;
mod pods;
mod removal;
mod report;
mod upgrade;
mod workstation;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use clap::{Args, ValueEnum};
use serde_json::json;

use crate::means::page::Page;
use crate::means::static_build::{self, Profile};
use crate::means::workspace;
use checker::Checker;
use kubectl::Kubectl;
use report::Report;

#[derive(Debug, Args)]
pub struct Options {
    #[command(flatten)]
    kubectl: Kubectl,
    /// Loads an image into the cluster: run with each archive as its last argument
    /// [default in a cluster of kind: kind load image-archive]
    #[arg(long, value_name = "COMMAND")]
    load: Option<String>,
    /// Take what is built from this folder: image archives (*.tar), and the programs gateway and tracer
    #[arg(long, value_name = "FOLDER")]
    built: Option<PathBuf>,
    /// How the programs in the images are compiled
    #[arg(long, value_enum, default_value_t = Profile::Dist)]
    profile: Profile,
    /// Only these steps; the others' work must be there already (--reuse)
    #[arg(long, value_enum, value_name = "STEP")]
    only: Vec<Step>,
    /// Go on with what is installed in the cluster
    #[arg(long)]
    reuse: bool,
    /// Leave everything in place at the end
    #[arg(long)]
    keep: bool,
    /// No colours, as with NO_COLOR set; a page that is no terminal has none anyway
    #[arg(long)]
    no_color: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Step {
    /// Build the images and load them
    Images,
    /// Apply deploy/overlays/kind and wait for the rollouts
    Install,
    /// Drive the gateway from a pod and from outside
    Gateway,
    /// Let the pods of deploy/crashes die and compare
    Deaths,
    /// Ask all agents from here
    Workstation,
    /// Ends that are no crash
    Calm,
    /// Upgrade the agents while containers die
    Upgrade,
    /// Delete everything and look for what is left
    Removal,
}

/// Of the pods that these trials need for themselves.
const NAMESPACE: &str = "macula-e2e";
const OURS: [&str; 4] = [gateway::GATEWAY_NAMESPACE, agents::NAMESPACE, deaths::CRASHES, NAMESPACE];

/// Between two looks at a cluster: kubectl costs the machine more than it costs the cluster.
const PAUSE: Duration = Duration::from_millis(500);

pub fn run(options: Options) -> Result<()> {
    let mut report = Report::new(Page::wide(options.no_color));
    let trial = Trial::new(&options)?;
    report.step("cluster", &options.kubectl.cluster()?)?;
    trial.refuse_a_used_cluster()?;
    let came = trial.steps(&mut report);
    if let Err(error) = came {
        report.check("the step", Err(error))?;
    }
    report.end_step();
    if !options.keep {
        trial.remove_all().context("cannot remove what was made")?;
    }
    report.close()
}

struct Trial<'a> {
    options: &'a Options,
    kubectl: &'a Kubectl,
    overlay: PathBuf,
    crashes: PathBuf,
}

impl<'a> Trial<'a> {
    fn new(options: &'a Options) -> Result<Self> {
        let root = workspace::root();
        ensure!(
            options.only.is_empty() || options.reuse || options.only == [Step::Images],
            "--only needs what the other steps make: add --reuse"
        );
        Ok(Self {
            options,
            kubectl: &options.kubectl,
            overlay: root.join("deploy/overlays/kind"),
            crashes: root.join("deploy/crashes"),
        })
    }

    fn refuse_a_used_cluster(&self) -> Result<()> {
        if self.options.reuse {
            return Ok(());
        }
        for namespace in OURS {
            let found =
                self.kubectl.text(&["get", "namespace", namespace, "--ignore-not-found"])?;
            if !found.is_empty() {
                bail!(
                    "the namespace {namespace} is there already: these trials delete what they find in it; another \
                     cluster is chosen by --context, or --reuse goes on with this one"
                );
            }
        }
        Ok(())
    }

    fn steps(&self, report: &mut Report) -> Result<()> {
        if self.wants(Step::Images) {
            begin(report, "images", "built here and loaded into the cluster")?;
            load::images(self.options, report)?;
        }
        self.kubectl.text(&["delete", "namespace", NAMESPACE, "--ignore-not-found"])?;
        self.kubectl.create(&json!({
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {
                "name": NAMESPACE,
                "labels": {"pod-security.kubernetes.io/enforce": "privileged"},
            },
        }))?;
        let checker = Checker::start(self.kubectl)?;
        let stores = checker.stores()?;
        let new_stores: Vec<&String> =
            checker.nodes().filter(|node| !stores.contains(*node)).collect();
        let came = self.installed(&checker, report);
        // By then the agents are gone, whatever came of it; the store stays by design where it was not ours.
        if !self.options.keep {
            self.kubectl.delete(&self.overlay)?;
            checker.forget(new_stores.iter().copied())?;
            let words = match new_stores.len() {
                0 => "the store stays in /var/lib/tracer, as it was there before".to_owned(),
                count => format!("/var/lib/tracer stays by design; removed from {count} nodes"),
            };
            report.note(&words)?;
        }
        came
    }

    fn installed(&self, checker: &Checker<'_>, report: &mut Report) -> Result<()> {
        let kubectl = self.kubectl;
        if self.wants(Step::Install) {
            begin(report, "install", "kubectl apply -k deploy/overlays/kind")?;
            let applied = kubectl.apply(&self.overlay)?;
            let count = applied["items"].as_array().map_or(0, Vec::len);
            report.check("applied", Ok(format!("{count} objects")))?;
            let rollouts = [
                (gateway::GATEWAY_NAMESPACE, gateway::DEPLOYMENT),
                (agents::NAMESPACE, agents::DAEMONSET),
            ];
            for (namespace, what) in rollouts {
                let came = kubectl.rolled_out(namespace, what);
                let has_come = came.is_ok();
                report.check(what, came.map(|()| "rolled out".to_owned()))?;
                if !has_come {
                    let words = kubectl.complaints(namespace, what);
                    let words = words.unwrap_or_else(|error| format!("{error:#}"));
                    bail!("nothing more can be shown without {what}, which says: {words}");
                }
            }
        }
        if self.wants(Step::Gateway) {
            begin(report, "gateway", "driven from a pod and from outside")?;
            gateway::drive(kubectl, &self.program("gateway")?, report)?;
        }
        if self.wants(Step::Deaths) {
            begin(report, "deaths", "what Kubernetes says, and what the tracer says")?;
            deaths::compare(kubectl, &self.crashes, report)?;
        }
        if self.wants(Step::Workstation) {
            begin(report, "workstation", "tracer asks all nodes from here")?;
            workstation::ask(kubectl, &self.program("tracer")?, report)?;
        }
        if self.wants(Step::Calm) {
            begin(report, "no crashes", "ends that somebody asked for")?;
            calm::show(kubectl, report)?;
        }
        if self.wants(Step::Upgrade) {
            begin(report, "upgrade", "of the DaemonSet, while containers die")?;
            upgrade::under_load(kubectl, checker, report)?;
        }
        if self.wants(Step::Removal) && !self.options.keep {
            begin(report, "removal", "kubectl delete -k, and what is left")?;
            removal::show(kubectl, checker, &[&self.crashes, &self.overlay], report)?;
        }
        Ok(())
    }

    /// Everything, whatever is there.
    fn remove_all(&self) -> Result<()> {
        self.kubectl.delete(&self.crashes)?;
        self.kubectl.delete(&self.overlay)?;
        self.kubectl.text(&["delete", "namespace", NAMESPACE, "--ignore-not-found"]).map(drop)
    }

    /// A program that runs here, outside of the cluster: the same that is in the image.
    fn program(&self, name: &str) -> Result<PathBuf> {
        match &self.options.built {
            Some(folder) => Ok(folder.join(name)),
            None => static_build::program(name, self.options.profile),
        }
    }

    fn wants(&self, step: Step) -> bool {
        self.options.only.is_empty() || self.options.only.contains(&step)
    }
}

fn begin(report: &mut Report, name: &'static str, about: &str) -> Result<()> {
    report.end_step();
    report.step(name, about)
}

/// Looks until `look` finds something, or too long.
fn until<T>(
    what: &str,
    longest: Duration,
    mut look: impl FnMut() -> Result<Option<T>>,
) -> Result<T> {
    let begun = Instant::now();
    loop {
        if let Some(found) = look()? {
            return Ok(found);
        }
        ensure!(begun.elapsed() < longest, "waited {longest:?} for {what}");
        std::thread::sleep(PAUSE);
    }
}

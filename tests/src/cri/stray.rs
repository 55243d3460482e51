//! A container that no runtime knows: a process put by hand into a cgroup that is spelled like a pod's.

use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use super::containerd::Containerd;
use crate::act::End;
use crate::victims;

impl Containerd {
    /// Runs a victim with these words to its end, in the cgroup of container `id` of pod `uid`, and removes the cgroup.
    ///
    /// # Errors
    /// When the cgroup cannot be made.
    pub fn run_unknown(&self, uid: &str, id: &str, words: &[&str]) -> Result<End> {
        let cgroups = self.cgroups();
        let pod = cgroups.pod(uid, None, None)?;
        let victim = victims::folder()?.join("victim");
        let mut command = Command::new(&victim);
        command.arg("with");
        for procs in cgroups.container(&pod, id)? {
            command.arg(format!("cgroup={}", procs.display()));
        }
        command.arg("--").arg(&victim).args(words).stdin(Stdio::null());
        let status = command.status().context("cannot run the victim")?;
        cgroups.remove(&pod);
        Ok(status.into())
    }
}

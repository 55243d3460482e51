//! Brings the images into the cluster: nothing is pulled.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};
use clap::ValueEnum as _;

use super::Options;
use super::report::Report;
use crate::chores::image::{self, Archive, Name};
use crate::means::exec;

pub fn images(options: &Options, report: &mut Report) -> Result<()> {
    let context = options.kubectl.context()?;
    let command = command(options.load.as_deref(), &context)?;
    let archives = match &options.built {
        Some(folder) => archives(folder)?,
        None => image::build(Name::value_variants(), options.profile)?,
    };
    for archive in archives {
        let came = load(&command, &archive.file);
        report.check(&archive.reference, came.map(|()| "loaded".to_owned()))?;
    }
    Ok(())
}

/// A command of the shell, to which `ARCHIVE` is added.
fn command(given: Option<&str>, context: &str) -> Result<String> {
    if let Some(command) = given {
        return Ok(command.to_owned());
    }
    match context.strip_prefix("kind-") {
        Some(cluster) => Ok(format!("kind load image-archive --name {cluster}")),
        None => bail!(
            "nobody says how images get into the cluster of the context {context}, which is none of kind's: name a \
             command with --load, which is run with each archive as its last argument"
        ),
    }
}

fn load(command: &str, archive: &Path) -> Result<()> {
    exec::run_quietly(
        Command::new("sh").args(["-c", &format!("{command} \"$1\""), "sh"]).arg(archive),
    )
}

/// Known by their files' names, as nobody looks into them.
fn archives(folder: &Path) -> Result<Vec<Archive>> {
    let wrong = || format!("cannot list {}", folder.display());
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).with_context(wrong)? {
        let file = entry.with_context(wrong)?.path();
        if file.extension().is_some_and(|extension| extension == "tar") {
            found.push(Archive { reference: file.display().to_string(), file });
        }
    }
    ensure!(!found.is_empty(), "no image archive (*.tar) is in {}", folder.display());
    found.sort_by(|one, other| one.file.cmp(&other.file));
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kind_loads_its_own_and_others_are_asked() {
        let kind = command(None, "kind-mesh").unwrap();
        assert_eq!(kind, "kind load image-archive --name mesh");
        let given = command(Some("load"), "one-node").unwrap();
        assert_eq!(given, "load");
        let refused = command(None, "one-node").unwrap_err().to_string();
        assert!(refused.contains("--load"), "{refused}");
    }
}

//! Writes the tracer's shell completions and man pages into a folder, from the tracer's own
//! definition of its command line. A program of its own, so that the other chores need not compile
//! the tracer first. It knows no command of the tracer.

use std::path::PathBuf;
use std::{env, fs};

use anyhow::{Context as _, Result};
use clap_complete::{Shell, generate};

fn main() -> Result<()> {
    let folder = env::args_os().nth(1).map(PathBuf::from).context("usage: shell-files FOLDER")?;
    // A page for each page of `tracer help` would say nothing new.
    let mut command = tracer::cli::command().disable_help_subcommand(true);
    let name = command.get_name().to_owned();
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        let mut text = Vec::new();
        generate(shell, &mut command, &name, &mut text);
        let file = folder.join(format!("{name}.{shell}"));
        fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))?;
    }
    clap_mangen::generate_to(command, &folder).context("cannot write the man pages")
}

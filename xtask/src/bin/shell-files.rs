//! Writes the programs' shell completions and man pages into a folder, from each program's own
//! definition of its command line. A program of its own, so that the other chores need not compile
//! them first. It knows none of their commands.

use std::path::{Path, PathBuf};
use std::{env, fs};

use anyhow::{Context as _, Result};
use clap::Command;
use clap_complete::{Shell, generate};

fn main() -> Result<()> {
    let folder = env::args_os().nth(1).map(PathBuf::from).context("usage: shell-files FOLDER")?;
    write(tracer::cli::command(), &folder)?;
    write(gateway::cli::command(), &folder)
}

fn write(command: Command, folder: &Path) -> Result<()> {
    // A page for each page of `help` would say nothing new.
    let mut command = without_help(command);
    let name = command.get_name().to_owned();
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        let mut text = Vec::new();
        generate(shell, &mut command, &name, &mut text);
        let file = folder.join(format!("{name}.{shell}"));
        fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))?;
    }
    clap_mangen::generate_to(command, folder).context("cannot write the man pages")
}

/// Without the subcommand `help`, on every level.
fn without_help(command: Command) -> Command {
    command.disable_help_subcommand(true).mut_subcommands(without_help)
}

//! `cargo xtask install`: puts the programs, shell completions and man pages where a user's shell
//! and `man` look for them. It knows where files go, not what they say.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use clap::Args;

use crate::chores::build_ebpf;
use crate::means::{exec, workspace};

#[derive(Debug, Args)]
pub struct Options {
    /// Install below this folder: bin, share/man, share/bash-completion ...
    #[arg(long, default_value = "/usr/local", value_name = "FOLDER")]
    prefix: PathBuf,
}

const PROGRAMS: [&str; 2] = ["tracer", "gateway"];

/// As what kubectl finds the tracer: its plugin, and what completes the plugin's arguments.
const KUBECTL: [&str; 2] = ["kubectl-tracer", "kubectl_complete-tracer"];

/// Where each file that `shell-files` writes belongs, by the end of its name.
const PLACES: [(&str, &str); 4] = [
    (".1", "share/man/man1"),
    (".bash", "share/bash-completion/completions"),
    (".zsh", "share/zsh/site-functions"),
    (".fish", "share/fish/vendor_completions.d"),
];

pub fn run(options: Options) -> Result<()> {
    build_ebpf::run(build_ebpf::Options::default())?;
    for program in PROGRAMS {
        let built = workspace::build_release(program)?;
        install(&built, &options.prefix.join("bin").join(program), 0o755)?;
    }
    for name in KUBECTL {
        link("tracer", &options.prefix.join("bin").join(name))?;
    }

    let files = tempfile::tempdir().context("cannot create a temporary folder")?;
    let mut command = workspace::cargo();
    command.args(["run", "--quiet", "--release", "--package", "xtask", "--bin", "shell-files"]);
    exec::run(command.args(["--features", "shell-files", "--"]).arg(files.path()))?;
    for entry in fs::read_dir(files.path()).context("cannot list the shell files")? {
        let file = entry.context("cannot list the shell files")?.path();
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let place = place_of(&name).with_context(|| format!("no place is known for {name}"))?;
        install(&file, &options.prefix.join(place), 0o644)?;
    }
    Ok(())
}

/// `tracer.bash` to `share/bash-completion/completions/tracer`; each shell has its own way to name
/// the file.
fn place_of(name: &str) -> Option<PathBuf> {
    let (end, folder) = PLACES.iter().find(|(end, _)| name.ends_with(end))?;
    let stem = name.strip_suffix(end)?;
    let name = match *end {
        ".bash" => stem.to_owned(),
        ".zsh" => format!("_{stem}"),
        _ => name.to_owned(),
    };
    Some(Path::new(folder).join(name))
}

/// A symbolic link beside what it names, made beside the target and renamed.
fn link(name: &str, to: &Path) -> Result<()> {
    let mut beside = to.as_os_str().to_owned();
    beside.push(".new");
    let write = || -> std::io::Result<()> {
        if fs::symlink_metadata(&beside).is_ok() {
            fs::remove_file(&beside)?;
        }
        std::os::unix::fs::symlink(name, &beside)?;
        fs::rename(&beside, to)
    };
    write().with_context(|| format!("cannot link {} to {name}", to.display()))?;
    eprintln!("xtask: installed {}", to.display());
    Ok(())
}

/// Writes beside the target and renames: a running program is replaced, not overwritten.
fn install(from: &Path, to: &Path, mode: u32) -> Result<()> {
    let write = || -> std::io::Result<()> {
        if let Some(folder) = to.parent() {
            fs::create_dir_all(folder)?;
        }
        let mut beside = to.as_os_str().to_owned();
        beside.push(".new");
        fs::copy(from, &beside)?;
        fs::set_permissions(&beside, fs::Permissions::from_mode(mode))?;
        fs::rename(&beside, to)
    };
    write().with_context(|| {
        format!("cannot install {} (another place: --prefix FOLDER)", to.display())
    })?;
    eprintln!("xtask: installed {}", to.display());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_file_goes_where_its_reader_looks() {
        let files = ["tracer.bash", "gateway.zsh", "tracer.fish", "gateway-client-sub.1"];
        let places = files.map(place_of);
        let expected = [
            "share/bash-completion/completions/tracer",
            "share/zsh/site-functions/_gateway",
            "share/fish/vendor_completions.d/tracer.fish",
            "share/man/man1/gateway-client-sub.1",
        ];
        assert_eq!(places, expected.map(|place| Some(PathBuf::from(place))));
        assert_eq!(place_of("tracer.txt"), None);
    }
}

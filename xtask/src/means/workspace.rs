//! Where things are in this repository, and the cargo that runs us. It knows no chore.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::means::exec;

/// The folder of the workspace's Cargo.toml: the nearest that has a lock file.
pub fn root() -> PathBuf {
    let manifest_dir = env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    let mut above = manifest_dir.ancestors().filter(|folder| folder.join("Cargo.lock").is_file());
    // In a virtual machine the folder is not there: its name is where this was compiled.
    above.next().or_else(|| manifest_dir.parent()).unwrap_or(&manifest_dir).to_path_buf()
}

/// The eBPF object that the tracer's build script embeds. It stays at this path even where
/// cargo's target folder is elsewhere, so that the build script needs no question to find it.
pub fn object() -> PathBuf {
    root().join("target/tracer-ebpf.o")
}

/// What our chores build besides cargo's own output: tools, the eBPF target folder.
pub fn cache(name: &str) -> PathBuf {
    root().join("target").join(name)
}

/// Flags of the compiler that take the paths of this machine out of what it writes; `name` is what the workspace at `root`
/// is called there instead.
pub fn remapped_paths(root: &Path, name: &str) -> Vec<String> {
    let cargo_home = env::var_os("CARGO_HOME").map(PathBuf::from).or_else(|| {
        let home = env::var_os("HOME")?;
        Some(Path::new(&home).join(".cargo"))
    });
    [(cargo_home, "/cargo"), (Some(root.to_owned()), name)]
        .into_iter()
        .filter_map(|(from, to)| Some(format!("--remap-path-prefix={}={to}", from?.display())))
        .collect()
}

/// The cargo that started us, in the workspace's root.
pub fn cargo() -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    command
}

/// Builds a program of this workspace in release mode and returns its path.
pub fn build_release(package: &str) -> Result<PathBuf> {
    build("release", &["--package", package], package)
}

/// The same as it is shipped: minutes, for some percent of speed.
pub fn build_dist(package: &str) -> Result<PathBuf> {
    eprintln!("xtask: building {package} as it is shipped (some minutes)");
    build("dist", &["--package", package], package)
}

/// Builds a program that has a feature of its own, of the same name.
pub fn build_featured(package: &str, program: &str) -> Result<PathBuf> {
    build("release", &["--package", package, "--features", program], program)
}

/// A profile's folder has its name.
fn build(profile: &str, of: &[&str], program: &str) -> Result<PathBuf> {
    exec::run(cargo().args(["build", "--profile", profile]).args(of).args(["--bin", program]))?;
    let metadata = exec::stdout(cargo().args([
        "metadata",
        "--no-deps",
        "--format-version",
        "1",
        "--offline",
    ]))?;
    let metadata: serde_json::Value =
        serde_json::from_str(&metadata).context("cargo metadata printed no JSON")?;
    let target = metadata["target_directory"].as_str().context("cargo names no target folder")?;
    let file = Path::new(target).join(profile).join(program);
    anyhow::ensure!(file.is_file(), "cargo built {program}, but not at {}", file.display());
    Ok(file)
}

/// A program found in the folders of PATH.
pub fn on_path(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path).map(|folder| folder.join(program)).find(|file| file.is_file())
}

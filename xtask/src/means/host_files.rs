//! Programs of this machine with the libraries that they load, put at the same places of a tree.
//! It knows ldd, not what the programs are for.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::means::exec;
use crate::means::rootfs::{Entry, Tree};

/// Folders that are links into /usr, as on every present distribution.
const MERGED: [&str; 4] = ["bin", "sbin", "lib", "lib64"];

/// The links of [`MERGED`].
pub fn add_merged_folders(tree: &mut Tree) {
    for name in MERGED {
        tree.add(Path::new("/usr").join(name), Entry::Folder);
        tree.add(Path::new("/").join(name), Entry::Link { to: Path::new("usr").join(name) });
    }
}

/// Adds a file of this machine to a tree, at `to`.
pub fn add_file(tree: &mut Tree, from: &Path, to: impl AsRef<Path>) -> Result<()> {
    let bytes = fs::read(from).with_context(|| format!("cannot read {}", from.display()))?;
    let mode = fs::metadata(from)?.permissions().mode() & 0o777;
    tree.add(to, Entry::File { bytes, mode });
    Ok(())
}

/// Adds a program at `/usr/bin/NAME`, and its libraries where its loader looks for them.
pub fn add_program(tree: &mut Tree, program: &Path, name: &str) -> Result<()> {
    add_file(tree, program, Path::new("/usr/bin").join(name))?;
    add_libraries(tree, program)
}

/// Adds what a program loads, its loader too, where that looks for it.
pub fn add_libraries(tree: &mut Tree, program: &Path) -> Result<()> {
    // It fails for a static program, which needs nothing.
    let mut ldd = Command::new("ldd");
    let Ok(libraries) = exec::stdout(ldd.env("LC_ALL", "C").arg(program)) else { return Ok(()) };
    for library in loaded(&libraries) {
        let place = merged(&library);
        if !tree.has(&place) {
            add_file(tree, &library, place)?;
        }
    }
    Ok(())
}

/// Paths in ldd's output: `libc.so.6 => /lib/libc.so.6 (0x7f..)` or `/lib64/ld.so (0x7f..)`.
fn loaded(output: &str) -> Vec<PathBuf> {
    let word = |line: &str| {
        let place = line.split_once("=>").map_or(line, |(_, place)| place);
        Some(place.split_whitespace().next()?.to_owned())
    };
    let words = output.lines().filter_map(word);
    words.filter(|word| word.starts_with('/')).map(PathBuf::from).collect()
}

/// The same path below /usr, where its first folder is only a link.
fn merged(path: &Path) -> PathBuf {
    let below = path.strip_prefix("/").unwrap_or(path);
    if MERGED.iter().any(|folder| below.starts_with(folder)) {
        return Path::new("/usr").join(below);
    }
    path.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_and_the_loader_are_found_in_the_output_of_ldd() {
        let output = "\tlinux-vdso.so.1 (0x00007ffd)\n\
                      \tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f8)\n\
                      \t/lib64/ld-linux-x86-64.so.2 (0x00007f9)\n";
        let found = loaded(output);
        assert_eq!(
            found.iter().map(|path| merged(path)).collect::<Vec<_>>(),
            [
                Path::new("/usr/lib/x86_64-linux-gnu/libc.so.6"),
                Path::new("/usr/lib64/ld-linux-x86-64.so.2"),
            ]
        );
    }
}

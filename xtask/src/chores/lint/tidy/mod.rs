//! The house rules that a machine can check, over the text of all sources. It reads files and
//! reports every breach; it knows nothing about cargo.

mod known;
mod purity;
mod rust;
mod text;
mod wildcards;

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail};

use crate::chores::lint::source::Source;
use crate::means::tree;

/// Checks every file below `root`.
///
/// # Errors
///
/// When any rule is broken: the error lists all breaches, one a line.
pub fn check(root: &Path) -> Result<()> {
    let mut breaches = Vec::new();
    for path in tree::files(root)? {
        if !is_ours(&path) {
            continue;
        }
        let file = root.join(&path);
        let text =
            fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        breaches.extend(text::breaches(&path.to_string_lossy(), &text));
    }
    let sources = Source::all(root, "")?;
    for source in &sources {
        breaches.extend(rust::breaches(source));
        breaches.extend(purity::breaches(source));
    }
    breaches.extend(wildcards::breaches(&sources));
    if breaches.is_empty() {
        return Ok(());
    }
    bail!("{} breaches of the house rules:\n{}", breaches.len(), breaches.join("\n"));
}

/// Files that people write: recordings and snapshots are made by programs.
fn is_ours(path: &Path) -> bool {
    let extension = path.extension().unwrap_or_default();
    ["rs", "toml", "md", "c", "h", "yaml", "yml", "go"].iter().any(|ours| extension == *ours)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_repository_keeps_the_rules() {
        check(&crate::means::workspace::root()).unwrap();
    }

    /// Each breach that is found has the words that are expected of it.
    pub fn compare(found: &[String], expected: &[&str]) {
        assert_eq!(found.len(), expected.len(), "{found:?}");
        for (found, expected) in found.iter().zip(expected) {
            assert!(found.contains(expected), "{found:?} lacks {expected:?}");
        }
    }
}

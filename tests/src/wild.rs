//! Deaths of real programs as data: `tests/wild/*.toml`, one file a family, each death with its right answer, and their
//! recordings beside them. It knows how they are written down, not how they are run or judged.

pub mod score;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use serde::{Deserialize, Serialize};

/// One file: what its programs are installed from, and how they die.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Family {
    /// The file's name without its ending.
    #[serde(skip)]
    pub name: String,
    /// `name`, or `name=program` where the program may have come by another way.
    #[serde(default)]
    pub debian: Vec<String>,
    #[serde(default)]
    pub pypi: Vec<String>,
    #[serde(default)]
    pub npm: Vec<String>,
    #[serde(rename = "death")]
    pub deaths: Vec<Death>,
}

/// One death, and what a person who sees its output and its system calls would say of it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Death {
    pub name: String,
    /// Shell lines that make its surroundings, in an empty folder on a filesystem of its own.
    #[serde(default)]
    pub setup: String,
    /// Shell lines that run beside it until it ends; they create `ready` when it may begin.
    #[serde(default)]
    pub beside: String,
    /// What dies: the line of a shell, which most of them leave by `exec`.
    pub run: String,
    /// A memory limit for it, in MiB.
    pub memory_mib: Option<u64>,
    /// The right cause; more than one where the same facts may honestly be called either.
    pub cause: OneOrMore,
    /// The decisive thing, which the summary must name. `a|b`: one of them.
    #[serde(default)]
    pub names: Vec<String>,
    /// What neither summary nor next step may say, since it is not true.
    #[serde(default)]
    pub never: Vec<String>,
    /// Whether failing calls around this death must not be blamed for it.
    #[serde(default)]
    pub innocent: bool,
}

#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(untagged)]
pub enum OneOrMore {
    One(String),
    More(Vec<String>),
}

impl OneOrMore {
    pub fn contains(&self, cause: &str) -> bool {
        match self {
            Self::One(one) => one == cause,
            Self::More(more) => more.iter().any(|one| one == cause),
        }
    }

    /// The one that fits best.
    pub fn first(&self) -> &str {
        match self {
            Self::One(one) => one,
            Self::More(more) => more.first().map_or("", String::as_str),
        }
    }
}

/// Where families and recordings are, in the checkout of which `tests` is this folder.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("wild")
}

/// Where the recordings are, each as a compressed archive.
pub fn recordings() -> PathBuf {
    folder().join("corpus")
}

/// Where the recording of one death is.
pub fn recording(name: &str) -> PathBuf {
    recordings().join(format!("{name}.tar.gz"))
}

/// All families, in the order of their names.
///
/// # Errors
/// When a file cannot be read or is none, or two deaths have the same name.
pub fn families() -> Result<Vec<Family>> {
    let folder = folder();
    let mut families = Vec::new();
    let entries =
        fs::read_dir(&folder).with_context(|| format!("cannot list {}", folder.display()));
    for entry in entries? {
        let path = entry?.path();
        if path.extension().is_none_or(|ending| ending != "toml") {
            continue;
        }
        let read = || -> Result<Family> { Ok(toml::from_str(&fs::read_to_string(&path)?)?) };
        let mut family = read().with_context(|| format!("in {}", path.display()))?;
        family.name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        families.push(family);
    }
    families.sort_by(|a, b| a.name.cmp(&b.name));
    let mut names = BTreeSet::new();
    for death in families.iter().flat_map(|family| &family.deaths) {
        ensure!(names.insert(&death.name), "two deaths are called {}", death.name);
    }
    Ok(families)
}

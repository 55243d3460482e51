//! The TOML file of realms and permissions. docs/gateway.md describes its keys.

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
};

use serde::Deserialize;
use thiserror::Error;

use crate::{
    file,
    hub::RealmConfig,
    session::{Nodes, Permissions, Rule},
    wire::{
        id::NodeId,
        realm::{RealmError, RealmName},
        topic::{Pattern, TopicError},
    },
};

/// Why the file of realms cannot be used.
#[derive(Debug, Error)]
pub enum RealmsError {
    #[error("cannot read realms {path}: {why}")]
    Unreadable { path: PathBuf, why: String },
    #[error("{path} is no text: at byte {at} it is not UTF-8")]
    NoText { path: PathBuf, at: usize },
    #[error("{path}, line {line}: {why}")]
    Toml { path: PathBuf, line: usize, why: String },
    #[error("{path} has no [[realm]]: add one, or leave --config out")]
    Empty { path: PathBuf },
    #[error("{path} has realm {realm} twice: join both")]
    Twice { path: PathBuf, realm: RealmName },
    #[error("{path}, realm {realm}: {node:?} is no node: 64 hexadecimal digits are")]
    Node { path: PathBuf, realm: RealmName, node: String },
    #[error("{path}, realm {realm}: a rule for no node: leave `nodes` out for all of them")]
    NoNodes { path: PathBuf, realm: RealmName },
    #[error("{path}, realm {realm}: {error}")]
    Pattern { path: PathBuf, realm: RealmName, error: TopicError },
    #[error("{path}: {error}")]
    Name { path: PathBuf, error: RealmError },
    #[error("{0}")]
    Default(#[from] RealmError),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    realm: Vec<RealmEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RealmEntry {
    name: String,
    #[serde(default)]
    certificate_required: bool,
    #[serde(default)]
    rule: Vec<RuleEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleEntry {
    nodes: Option<Vec<String>>,
    #[serde(default)]
    publish: Vec<String>,
    #[serde(default)]
    subscribe: Vec<String>,
    #[serde(default)]
    call: Vec<String>,
    #[serde(default)]
    register: Vec<String>,
}

/// # Errors
/// The file cannot be read, or is not a file of realms.
pub fn read(path: &Path) -> Result<Vec<RealmConfig>, RealmsError> {
    let bytes =
        file::read(path).map_err(|why| RealmsError::Unreadable { path: path.to_owned(), why })?;
    let text = str::from_utf8(&bytes)
        .map_err(|error| RealmsError::NoText { path: path.to_owned(), at: error.valid_up_to() })?;
    let file: File = toml::from_str(text).map_err(|error| {
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        RealmsError::Toml { path: path.to_owned(), line, why: error.message().to_owned() }
    })?;
    if file.realm.is_empty() {
        return Err(RealmsError::Empty { path: path.to_owned() });
    }
    let mut known = HashSet::new();
    let mut realms = Vec::new();
    for entry in file.realm {
        let realm = realm(entry, path)?;
        if !known.insert(realm.name.clone()) {
            return Err(RealmsError::Twice { path: path.to_owned(), realm: realm.name });
        }
        realms.push(realm);
    }
    Ok(realms)
}

/// Whether a realm is of use only if clients can prove who they are.
pub fn asks_for_certificates(realm: &RealmConfig) -> bool {
    let names_nodes = |rule: &Rule| rule.nodes != Nodes::All;
    realm.certificate_required || realm.permissions.rules.iter().any(names_nodes)
}

fn realm(entry: RealmEntry, path: &Path) -> Result<RealmConfig, RealmsError> {
    let name: RealmName =
        entry.name.parse().map_err(|error| RealmsError::Name { path: path.to_owned(), error })?;
    let rules = entry.rule.into_iter().map(|rule| self::rule(rule, path, &name));
    let permissions = Permissions { rules: rules.collect::<Result<_, _>>()? };
    Ok(RealmConfig { name, certificate_required: entry.certificate_required, permissions })
}

fn rule(entry: RuleEntry, path: &Path, realm: &RealmName) -> Result<Rule, RealmsError> {
    let patterns = |texts: Vec<String>| {
        let parsed = texts.iter().map(|text| text.parse::<Pattern>());
        parsed.collect::<Result<Vec<_>, _>>().map_err(|error| RealmsError::Pattern {
            path: path.to_owned(),
            realm: realm.clone(),
            error,
        })
    };
    let nodes = match entry.nodes {
        None => Nodes::All,
        Some(nodes) if nodes.is_empty() => {
            return Err(RealmsError::NoNodes { path: path.to_owned(), realm: realm.clone() });
        }
        Some(nodes) => {
            let id = |node: String| {
                NodeId::from_hex(&node).ok_or_else(|| RealmsError::Node {
                    path: path.to_owned(),
                    realm: realm.clone(),
                    node,
                })
            };
            Nodes::Proven(nodes.into_iter().map(id).collect::<Result<_, _>>()?)
        }
    };
    Ok(Rule {
        nodes,
        publish: patterns(entry.publish)?,
        subscribe: patterns(entry.subscribe)?,
        call: patterns(entry.call)?,
        register: patterns(entry.register)?,
    })
}

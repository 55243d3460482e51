//! What a cause needs in all places: a rule, a death, a recording, its words in the documentation and in the schema.
//! It reads the table of tracer/src/diagnose/verdict/cause.rs as text. It must not know what any cause means.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use ::tests::deaths;
use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::means::tree;

const TABLE: &str = "tracer/src/diagnose/verdict/cause.rs";
const SCHEMA: &str = "docs/crash.schema.json";
const PAGE: &str = "docs/verdicts.md";

/// No crash: nothing dies of it.
const NO_CRASH: &str = "none";

/// One row of the table.
#[derive(Debug, PartialEq, Eq)]
struct Cause {
    family: String,
    variant: String,
    name: String,
}

/// Looks whether every cause is there wherever it must be. Pods that die of a cause are checked with the other
/// manifests, by `cargo xtask check-deploy`.
///
/// # Errors
///
/// When a cause lacks something, or something names a cause that the table does not have: the error lists all of it.
pub fn check(root: &Path) -> Result<()> {
    let read = |path: &str| {
        fs::read_to_string(root.join(path)).with_context(|| format!("cannot read {path}"))
    };
    let causes = table(&read(TABLE)?);
    if causes.is_empty() {
        bail!("{TABLE}: no table of causes is found in it");
    }
    let names: Vec<&str> = causes.iter().map(|cause| cause.name.as_str()).collect();
    let mut breaches = Vec::new();
    breaches.extend(same_order(SCHEMA, &names, &listed_in_schema(&read(SCHEMA)?)?));
    breaches.extend(same_order(PAGE, &names, &headings(&read(PAGE)?, &names)));
    let rules = rules(root)?;
    let recorded = recorded(&root.join("tests/corpus"))?;
    for cause in &causes {
        if !names_variant(&rules, &cause.variant) {
            breaches.push(format!(
                "{}: no rule in tracer/src/diagnose/verdict/rules names it",
                cause.name
            ));
        }
        if cause.name == NO_CRASH {
            continue;
        }
        let mut rows = deaths::FAMILIES.iter().filter(|(family, _)| *family == cause.family);
        let dies = rows.any(|(_, rows)| rows.iter().any(|death| death.cause == cause.name));
        if !dies {
            let family = &cause.family;
            breaches.push(format!("{}: no death in tests/src/deaths/{family}.rs", cause.name));
        }
        if !recorded.contains(&cause.name) {
            breaches.push(format!(
                "{}: no recording in tests/corpus: cargo xtask record NAME of its death",
                cause.name
            ));
        }
    }
    let unknown = deaths().filter(|death| !names.contains(&death.cause));
    breaches.extend(
        unknown.map(|death| format!("{}: dies of {}, which is no cause", death.name, death.cause)),
    );
    if breaches.is_empty() {
        return Ok(());
    }
    bail!("{} places lack a cause of {TABLE}:\n{}", breaches.len(), breaches.join("\n"));
}

/// The rows between `causes! {` and its end.
fn table(source: &str) -> Vec<Cause> {
    let rows = source.lines().skip_while(|line| *line != "causes! {").skip(1);
    let mut family = "";
    let mut causes = Vec::new();
    for line in rows.take_while(|line| *line != "}") {
        let quoted: Vec<&str> = line.split('"').collect();
        let [before, name, after] = quoted[..] else { continue };
        match after.trim() {
            "{" => family = name,
            "," => causes.push(Cause {
                family: family.to_owned(),
                variant: before.trim().to_owned(),
                name: name.to_owned(),
            }),
            _ => {}
        }
    }
    causes
}

fn listed_in_schema(schema: &str) -> Result<Vec<String>> {
    let schema: Value = serde_json::from_str(schema).with_context(|| SCHEMA)?;
    let listed = &schema["$defs"]["crash"]["properties"]["cause"]["enum"];
    serde_json::from_value(listed.clone()).with_context(|| format!("{SCHEMA} lists no causes"))
}

/// Headings of the page that look like a cause's name; others stand between them.
fn headings(page: &str, known: &[&str]) -> Vec<String> {
    let headings = page.lines().filter_map(|line| line.strip_prefix("## "));
    let like_a_name = |heading: &&str| {
        known.contains(heading) || heading.chars().all(|c| c == '_' || c.is_ascii_lowercase())
    };
    headings.filter(like_a_name).map(str::to_owned).collect()
}

fn same_order(place: &str, table: &[&str], there: &[String]) -> Option<String> {
    let missing: Vec<&&str> =
        table.iter().filter(|name| !there.iter().any(|t| t == *name)).collect();
    let unknown: Vec<&String> = there.iter().filter(|t| !table.contains(&t.as_str())).collect();
    if !missing.is_empty() || !unknown.is_empty() {
        return Some(format!("{place}: lacks {missing:?}, names {unknown:?} in vain"));
    }
    (table != there).then(|| format!("{place}: the causes stand in another order"))
}

/// The code of all rules.
fn rules(root: &Path) -> Result<String> {
    let mut code = String::new();
    for path in tree::files(root)?
        .iter()
        .filter(|path| path.starts_with("tracer/src/diagnose/verdict/rules"))
    {
        code.push_str(&fs::read_to_string(root.join(path))?);
    }
    Ok(code)
}

fn names_variant(code: &str, variant: &str) -> bool {
    let needle = format!("Cause::{variant}");
    code.match_indices(&needle).any(|(start, _)| {
        !code[start + needle.len()..].starts_with(|c: char| c.is_alphanumeric() || c == '_')
    })
}

/// The causes of all recordings.
fn recorded(corpus: &Path) -> Result<BTreeSet<String>> {
    let mut causes = BTreeSet::new();
    for folder in fs::read_dir(corpus)? {
        let file = folder?.path().join("death.json");
        let text = fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
        let death: Value =
            serde_json::from_slice(&text).with_context(|| file.display().to_string())?;
        causes.extend(death["cause"].as_str().map(str::to_owned));
    }
    Ok(causes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cause_is_wherever_it_must_be() {
        check(&crate::means::workspace::root()).unwrap();
    }

    #[test]
    fn the_table_is_read_with_its_families() {
        let source = "//! x\ncauses! {\n    /// About \"it\".\n    Oom \"oom\" {\n        OomKilled \"oom_killed\",\n    }\n}\n";
        let row = |family: &str, variant: &str, name: &str| Cause {
            family: family.into(),
            variant: variant.into(),
            name: name.into(),
        };
        assert_eq!(table(source), [row("oom", "OomKilled", "oom_killed")]);
    }

    #[test]
    fn a_missing_cause_and_a_wrong_order_are_named() {
        let there = |names: &[&str]| names.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>();
        assert_eq!(same_order("x", &["a", "b"], &there(&["a", "b"])), None);
        assert!(same_order("x", &["a", "b"], &there(&["a"])).unwrap().contains("lacks [\"b\"]"));
        assert!(same_order("x", &["a", "b"], &there(&["b", "a"])).unwrap().contains("order"));
    }

    #[test]
    fn a_variant_is_not_named_by_a_longer_one() {
        assert!(names_variant("Cause::Abort,", "Abort"));
        assert!(!names_variant("Cause::AbortLater", "Abort"));
    }
}

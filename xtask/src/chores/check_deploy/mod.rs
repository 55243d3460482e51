//! `cargo xtask check-deploy`: what can be known of deploy/ without a cluster. It knows which rules
//! there are, not what they say.

mod crashes;
mod images;
mod object;
mod permissions;
mod pod_security;
mod references;
mod render;
mod schema;
mod settings;

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use clap::Args;
use serde_json::Value;

use crate::means::workspace;
use object::Object;
use render::Composition;
use schema::Schemas;
pub use settings::Programs;

#[derive(Debug, Args)]
pub struct Options {}

/// What the check needs from outside of this repository.
#[derive(Debug)]
pub struct Tools {
    kubectls: Vec<PathBuf>,
    schemas: PathBuf,
}

impl Tools {
    /// Finds them below target/tools, or takes them from PyPI.
    pub fn find_or_fetch() -> Result<Self> {
        Ok(Self { kubectls: render::kubectls()?, schemas: schema::SCHEMAS.folder()? })
    }
}

pub fn run(_options: Options) -> Result<()> {
    let programs = Programs {
        gateway: workspace::build_release("gateway")?,
        tracer: workspace::build_release("tracer")?,
    };
    check(&Tools::find_or_fetch()?, &programs)
}

/// Renders everything, and says of each kustomization what was found in it.
///
/// # Errors
///
/// When anything is wrong: the error has all of it, each with its object.
pub fn check(tools: &Tools, programs: &Programs) -> Result<()> {
    let deploy = workspace::root().join("deploy");
    let mut all = Vec::new();
    for composition in render::compositions(&deploy)? {
        let objects = object::parse(&composition.render(&tools.kubectls)?)?;
        let mut breaches = rules(&composition, &objects);
        breaches.extend(settings::breaches(&objects, programs)?);
        all.push(Rendered { composition, objects, breaches });
    }
    against_schemas(tools, &mut all)?;

    let mut breaches = render::forgotten(&deploy)?;
    breaches.extend(between(&all, &causes()?));
    for rendered in &all {
        println!("{}", line(rendered));
        let name = rendered.composition.name();
        breaches.extend(rendered.breaches.iter().map(|breach| format!("{name}: {breach}")));
    }
    let objects = all.iter().flat_map(|rendered| &rendered.objects);
    let custom: BTreeSet<&str> =
        objects.filter(|object| object.is_custom()).map(Object::group).collect();
    println!("without a schema: {}", custom.into_iter().collect::<Vec<_>>().join(", "));
    if !breaches.is_empty() {
        bail!("{} breaches in deploy/:\n{}", breaches.len(), breaches.join("\n"));
    }
    Ok(())
}

/// A kustomization, what came out of it, and what is wrong with that.
struct Rendered {
    composition: Composition,
    objects: Vec<Object>,
    breaches: Vec<String>,
}

/// The rules over the objects of one kustomization.
fn rules(composition: &Composition, objects: &[Object]) -> Vec<String> {
    let mut breaches = pod_security::breaches(objects);
    let by_capabilities = composition.has("components/capabilities");
    breaches.extend(pod_security::of_the_tracer(objects, by_capabilities));
    breaches.extend(references::breaches(objects));
    breaches.extend(images::breaches(objects));
    let annotate_pods = composition.has("components/annotate-pods");
    breaches.extend(permissions::breaches(objects, annotate_pods));
    breaches
}

/// What no kustomization shows by itself: the pods that die, and tags.
fn between(all: &[Rendered], causes: &[String]) -> Vec<String> {
    let causes: Vec<&str> = causes.iter().map(String::as_str).collect();
    let mut breaches = Vec::new();
    for crash in all.iter().filter(|rendered| rendered.composition.folder == "crashes") {
        breaches.extend(crashes::breaches(&crash.objects, &causes));
        for other in all {
            breaches.extend(crashes::selected(&crash.objects, &other.objects));
        }
    }
    breaches.extend(images::tags_that_differ(all.iter().flat_map(|rendered| &rendered.objects)));
    breaches
}

fn against_schemas(tools: &Tools, all: &mut [Rendered]) -> Result<()> {
    for minor in schema::VERSIONS {
        let mut schemas = Schemas::read(&tools.schemas, minor)?;
        for rendered in all.iter_mut().filter(|rendered| minor >= oldest(&rendered.composition)) {
            for object in rendered.objects.iter().filter(|object| !object.is_custom()) {
                let misfits = schemas.breaches(object).into_iter();
                let of = |what| format!("{what} (Kubernetes 1.{minor})");
                rendered.breaches.extend(misfits.map(of));
            }
        }
    }
    Ok(())
}

/// The oldest minor version of Kubernetes that it is for.
fn oldest(composition: &Composition) -> u32 {
    // Its appArmorProfile.
    if composition.has("components/capabilities") { 30 } else { *schema::VERSIONS.start() }
}

fn line(rendered: &Rendered) -> String {
    let Rendered { composition, objects, breaches } = rendered;
    let pods = object::pods(objects).count();
    let custom = match objects.iter().filter(|object| object.is_custom()).count() {
        0 => String::new(),
        custom => format!(" ({custom} custom)"),
    };
    let result = match breaches.len() {
        0 => "good".to_owned(),
        count => format!("{count} breaches"),
    };
    format!(
        "{}: {} objects{custom}, {pods} with pods, Kubernetes 1.{} to 1.{}: {result}",
        composition.name(),
        objects.len(),
        oldest(composition),
        schema::VERSIONS.end(),
    )
}

/// All causes that the tracer knows, as its schema has them.
fn causes() -> Result<Vec<String>> {
    let file = workspace::root().join("docs/crash.schema.json");
    let text = fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
    let schema: Value = serde_json::from_slice(&text)?;
    let causes = &schema["$defs"]["crash"]["properties"]["cause"]["enum"];
    serde_json::from_value(causes.clone())
        .with_context(|| format!("{} has no list of causes", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_causes_are_those_of_the_schema() {
        let causes = causes().unwrap();
        assert!(causes.iter().any(|cause| cause == "oom_killed"), "{causes:?}");
    }

    #[test]
    fn capabilities_are_for_newer_kubernetes_alone() {
        let with = |components: &[&str]| Composition {
            folder: "overlays/kind".to_owned(),
            components: components.iter().map(|name| (*name).to_owned()).collect(),
        };
        assert_eq!(oldest(&with(&[])), 27);
        assert_eq!(oldest(&with(&["components/capabilities"])), 30);
    }
}

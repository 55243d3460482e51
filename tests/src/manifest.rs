//! Pods as the manifests of `deploy/` have them, run on a node as a kubelet runs them: with their own mounts, variables,
//! arguments and permissions. Knows no image and no probe's meaning; neither `fsGroup` nor secrets in variables.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::cri::{ContainerSpec, Containerd, Pod, PodSpec, Security, Started};

/// What a pod is to be: a manifest's own, or the template of those that it makes.
#[derive(Debug, Clone)]
pub struct Manifest {
    template: Value,
}

/// Files of a ConfigMap or a Secret: its name, and the name and the text of each.
pub type Files<'a> = (&'a str, &'a [(&'a str, &'a str)]);

/// Where images get their tags.
const KUSTOMIZATIONS: [&str; 3] = [
    "base/gateway/kustomization.yaml",
    "base/tracer/kustomization.yaml",
    "crashes/kustomization.yaml",
];

impl Manifest {
    /// That of a file below `deploy/`.
    ///
    /// # Errors
    /// When it cannot be read, or is no YAML.
    pub fn read(file: &str) -> Result<Self> {
        let mut object = object(file)?;
        let template = match object["spec"]["template"].take() {
            Value::Null => object,
            template => template,
        };
        Ok(Self { template })
    }

    /// Patched with that of another file, as kustomize does it.
    ///
    /// # Errors
    /// As [`Manifest::read`].
    pub fn patched(mut self, file: &str) -> Result<Self> {
        merge(&mut self.template, Self::read(file)?.template);
        Ok(self)
    }

    /// Text of an annotation; empty where there is none.
    pub fn annotation(&self, name: &str) -> &str {
        text(&self.template["metadata"]["annotations"][name])
    }

    /// Port and path that a probe of the first container asks: `readinessProbe`.
    ///
    /// # Errors
    /// When it has no such probe over HTTP, or no such port.
    pub fn probed(&self, probe: &str) -> Result<(u16, &str)> {
        let container = &self.template["spec"]["containers"][0];
        let get = &container[probe]["httpGet"];
        let named = |port: &&Value| port["name"] == get["port"];
        let port = list(&container["ports"]).iter().find(named).context("the probe's port")?;
        let number = port["containerPort"].as_u64().context("a port without a number")?;
        Ok((number.try_into()?, get["path"].as_str().context("the probe's path")?))
    }

    /// Runs the pod under these names and starts its containers.
    ///
    /// # Errors
    /// When the runtime refuses, or the manifest names what is not here.
    pub fn run<'c>(
        &self,
        containerd: &'c Containerd,
        namespace: &str,
        name: &str,
        files: &[Files<'_>],
    ) -> Result<(Pod<'c>, Vec<Started>)> {
        let (metadata, spec) = (&self.template["metadata"], &self.template["spec"]);
        let mut pod = PodSpec::new(namespace, name);
        for (key, value) in metadata["labels"].as_object().into_iter().flatten() {
            pod = pod.label(key, text(value));
        }
        if spec["hostPID"] == true {
            pod = pod.on_host_pids();
        }
        let containers = list(&spec["containers"]);
        if containers.iter().any(|it| it["securityContext"]["privileged"] == true) {
            pod = pod.privileged();
        }
        let pod = Pod::run(containerd, pod)?;
        let started = containers.iter().map(|container| {
            let mut it =
                ContainerSpec::new(text(&container["name"]), &words(&container["command"]))
                    .image(&tagged(text(&container["image"]))?)
                    .args(&words(&container["args"]))
                    .security(&security(&spec["securityContext"], &container["securityContext"])?);
            if let Some(memory) = container["resources"]["limits"]["memory"].as_str() {
                it = it.memory_bytes(bytes(memory)?);
            }
            for variable in list(&container["env"]) {
                let from = &variable["valueFrom"];
                let value = match from["fieldRef"]["fieldPath"].as_str() {
                    Some("metadata.name") => name,
                    Some("metadata.namespace") => namespace,
                    Some("spec.nodeName") => "node",
                    Some(other) => bail!("no kubelet here knows {other}"),
                    None if from["secretKeyRef"]["optional"] == true => continue,
                    None => variable["value"].as_str().context("a variable without a value")?,
                };
                it = it.env(text(&variable["name"]), value);
            }
            for mount in list(&container["volumeMounts"]) {
                let named = |volume: &&Value| volume["name"] == mount["name"];
                let volume = list(&spec["volumes"]).iter().find(named);
                let source = volume_of(containerd, &pod, volume.context("no such volume")?, files)?;
                let place = text(&mount["mountPath"]);
                let propagated = match mount["mountPropagation"].as_str() {
                    None => false,
                    Some("HostToContainer") => true,
                    Some(other) => bail!("no kubelet here knows {other}"),
                };
                it = it.volume(&source, place, mount["readOnly"] == true, propagated);
            }
            pod.start(&it, 0)
        });
        let started = started.collect::<Result<_>>()?;
        Ok((pod, started))
    }
}

/// The first object of a file below `deploy/`.
fn object(file: &str) -> Result<Value> {
    let text = read(file)?;
    // The API server's YAML, of version 1.1, has 0444 as an octal number.
    let options = serde_saphyr::options! { legacy_octal_numbers: true };
    serde_saphyr::from_str_with_options(&text, options).with_context(|| format!("deploy/{file}"))
}

/// The text of a file below `deploy/`.
///
/// # Errors
/// When it cannot be read.
pub fn read(file: &str) -> Result<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy").join(file);
    fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
}

/// An image as the kustomizations tag it.
///
/// # Errors
/// When none does.
pub fn tagged(image: &str) -> Result<String> {
    for file in KUSTOMIZATIONS {
        let kustomization = object(file)?;
        let named = |it: &&Value| it["name"] == image;
        if let Some(found) = list(&kustomization["images"]).iter().find(named) {
            return Ok(format!("{image}:{}", text(&found["newTag"])));
        }
    }
    bail!("no kustomization tags {image}")
}

/// A strategic merge: objects of a list are the same where their names are, mounts where their paths are.
fn merge(base: &mut Value, patch: Value) {
    match (base, patch) {
        (Value::Object(base), Value::Object(patch)) => {
            for (key, value) in patch {
                merge(base.entry(key).or_insert(Value::Null), value);
            }
        }
        (Value::Array(base), Value::Array(patch)) if patch.iter().all(Value::is_object) => {
            for item in patch {
                let key = if item["mountPath"].is_null() { "name" } else { "mountPath" };
                let found = base.iter().position(|it| it[key] == item[key]);
                match (found, item["$patch"] == "delete") {
                    (Some(at), true) => drop(base.remove(at)),
                    (Some(at), false) => merge(&mut base[at], item),
                    (None, true) => {}
                    (None, false) => base.push(item),
                }
            }
        }
        (base, patch) => *base = patch,
    }
}

/// Makes a volume; gives its path on the node.
fn volume_of(
    containerd: &Containerd,
    pod: &Pod<'_>,
    volume: &Value,
    files: &[Files<'_>],
) -> Result<String> {
    if let Some(path) = volume["hostPath"]["path"].as_str() {
        let here = containerd.on_node(path)?;
        if volume["hostPath"]["type"] == "DirectoryOrCreate" {
            fs::create_dir_all(&here)?;
        }
        ensure!(here.is_dir(), "the node has no folder {path}");
        return Ok(path.to_owned());
    }
    let folder = pod.volume(text(&volume["name"]))?;
    let (config, secret) = (&volume["configMap"], &volume["secret"]);
    let source = config["name"].as_str().or(secret["secretName"].as_str());
    if let Some(source) = source {
        let found = files.iter().find(|(name, _)| *name == source);
        let mode = |it: &Value| it.as_u64().and_then(|mode| u32::try_from(mode).ok());
        let usual = mode(&config["defaultMode"]).or(mode(&secret["defaultMode"])).unwrap_or(0o644);
        for (name, content) in found.with_context(|| format!("nothing is given as {source}"))?.1 {
            let item = list(&secret["items"]).iter().find(|item| item["key"] == **name);
            let path = folder.join(item.map_or(*name, |item| text(&item["path"])));
            fs::write(&path, content)?;
            let mode = item.and_then(|item| mode(&item["mode"])).unwrap_or(usual);
            fs::set_permissions(&path, fs::Permissions::from_mode(mode))?;
        }
    } else {
        ensure!(!volume["emptyDir"].is_null(), "no kubelet here makes volume {volume}");
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o777))?;
    }
    Ok(folder.to_string_lossy().into_owned())
}

/// A container's own comes before its pod's.
fn security(pod: &Value, own: &Value) -> Result<Security> {
    let one = |name: &str| if own[name].is_null() { &pod[name] } else { &own[name] };
    let id = |name: &str| one(name).as_u64().map(u32::try_from).transpose();
    let capabilities =
        |what: &str| words(&own["capabilities"][what]).into_iter().map(str::to_owned);
    Ok(Security {
        privileged: own["privileged"] == true,
        user: id("runAsUser")?,
        group: id("runAsGroup")?,
        read_only_root: own["readOnlyRootFilesystem"] == true,
        no_new_privileges: own["allowPrivilegeEscalation"] == false,
        added: capabilities("add").collect(),
        dropped: capabilities("drop").collect(),
        default_seccomp: one("seccompProfile")["type"] == "RuntimeDefault",
    })
}

/// `192Mi`
fn bytes(quantity: &str) -> Result<u64> {
    let units = [("Ki", 1 << 10), ("Mi", 1 << 20), ("Gi", 1 << 30)];
    let unit = units.iter().find_map(|(name, size)| Some((quantity.strip_suffix(name)?, size)));
    let (number, size) = unit.with_context(|| format!("no unit in {quantity}"))?;
    Ok(number.parse::<u64>()? * size)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn words(value: &Value) -> Vec<&str> {
    list(value).iter().map(text).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_patch_changes_adds_and_removes() {
        let mut base =
            json!({"env": [{"name": "a", "value": "1"}, {"name": "b"}], "args": ["run"]});
        let patch = json!({
            "env": [{"name": "a", "value": "2"}, {"name": "b", "$patch": "delete"}, {"name": "c"}],
            "args": ["run", "--self-signed"],
        });
        merge(&mut base, patch);
        let env = json!([{"name": "a", "value": "2"}, {"name": "c"}]);
        assert_eq!(base, json!({"env": env, "args": ["run", "--self-signed"]}));
    }

    #[test]
    fn octal_modes_and_units_are_numbers() -> Result<()> {
        let pod = Manifest::read("crashes/key-unreadable.yaml")?;
        let items = &pod.template["spec"]["volumes"][0]["secret"]["items"];
        assert_eq!(items[1]["mode"], 0o400);
        assert_eq!(bytes("192Mi")?, 192 << 20);
        Ok(())
    }
}

//! What deploy/ tells the two programs, told to the programs themselves: `run --print-config` with
//! the arguments, environment and files of a container. It knows that much of them and no setting's meaning
//! beyond those that must agree with the pod's.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::object::{Object, Pod, list, map, pods, text};
use crate::means::exec;

/// The programs that containers run, by the end of their image's name.
#[derive(Debug)]
pub struct Programs {
    pub gateway: PathBuf,
    pub tracer: PathBuf,
}

/// Prefixes of the variables that are settings and shown in the help.
const OURS: [&str; 4] = ["GATEWAY_", "HEALTH_", "TLS_", "TRACER_"];

/// What in a pod contradicts the settings that its container's program prints.
type Agree = fn(Pod<'_>, &Value, &str) -> Vec<String>;

/// Starts both programs as their containers would.
pub fn breaches(objects: &[Object], programs: &Programs) -> Result<Vec<String>> {
    let mut breaches = Vec::new();
    for pod in pods(objects) {
        for container in pod.containers() {
            let image = text(&container["image"]).rsplit('/').next().unwrap_or_default();
            let (program, agree): (_, Agree) = match image.split(':').next() {
                Some("macula-gateway") => (&programs.gateway, gateway_agrees),
                Some("macula-tracer") => (&programs.tracer, tracer_agrees),
                _ => continue,
            };
            let help = exec::stdout(Command::new(program).args(["run", "--help"]))?;
            let found = match printed(objects, pod, container, program)? {
                Ok(settings) => agree(pod, container, &settings),
                Err(refusal) => vec![format!("its settings are refused: {refusal}")],
            };
            let found = found.into_iter().chain(unknown(container, &help));
            breaches.extend(found.map(|what| format!("{}: {what}", pod.made_by)));
        }
    }
    Ok(breaches)
}

/// What the program prints as its settings, or why it refuses them.
fn printed(
    objects: &[Object],
    pod: Pod<'_>,
    container: &Value,
    program: &Path,
) -> Result<Result<String, String>> {
    let root = tempfile::tempdir().context("cannot make a folder for settings")?;
    for (place, files) in mounted(objects, pod, container) {
        let folder = root.path().join(place.trim_start_matches('/'));
        fs::create_dir_all(&folder)?;
        for (name, value) in files {
            fs::write(folder.join(name), text(value))?;
        }
    }
    let mut command = Command::new(program);
    command.env_clear().args(list(&container["args"]).iter().map(text)).arg("--print-config");
    for variable in list(&container["env"]) {
        command.env(text(&variable["name"]), value_of(variable, root.path()));
    }
    Ok(exec::stdout(&mut command).map_err(|error| format!("{error:#}")))
}

/// A variable's value; one that names a mounted file, as the file that is there now. What comes from elsewhere is as
/// long as a secret has to be.
fn value_of(variable: &Value, root: &Path) -> String {
    if variable.get("valueFrom").is_some() {
        return "0123456789abcdef".repeat(4);
    }
    let value = text(&variable["value"]);
    let file = root.join(value.trim_start_matches('/'));
    if value.starts_with('/') && file.is_file() {
        return file.display().to_string();
    }
    value.to_owned()
}

/// The files of ConfigMaps, by where they are mounted.
fn mounted<'a>(
    objects: &'a [Object],
    pod: Pod<'a>,
    container: &'a Value,
) -> HashMap<&'a str, &'a serde_json::Map<String, Value>> {
    let mut mounted = HashMap::new();
    for mount in list(&container["volumeMounts"]) {
        let volume = pod.volumes().find(|volume| volume["name"] == mount["name"]);
        let name = volume.map_or("", |volume| text(&volume["configMap"]["name"]));
        if let Some(map_of) =
            objects.iter().find(|object| object.is("ConfigMap", pod.namespace(), name))
        {
            mounted.insert(text(&mount["mountPath"]), map(&map_of.0["data"]));
        }
    }
    mounted
}

/// Variables that look like a setting and are none: a typing mistake is silent in the environment.
fn unknown(container: &Value, help: &str) -> Vec<String> {
    list(&container["env"])
        .iter()
        .map(|variable| text(&variable["name"]))
        .filter(|name| OURS.iter().any(|prefix| name.starts_with(prefix)))
        .filter(|name| !help.contains(&format!("[env: {name}=")))
        .map(|name| format!("{name} is no setting (`run --help`)"))
        .collect()
}

/// `NAME=value`, one a line: ports that are the pod's, and less waiting than Kubernetes grants.
fn gateway_agrees(pod: Pod<'_>, container: &Value, settings: &str) -> Vec<String> {
    let setting = |name: &str| {
        let value = settings.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        value.and_then(|value| value.parse::<u64>().ok())
    };
    let mut breaches = Vec::new();
    for (port, name) in
        [("quic", "GATEWAY_PORT"), ("tls", "GATEWAY_PORT"), ("health", "HEALTH_PORT")]
    {
        breaches.extend(port_differs(container, port, setting(name), name));
    }
    let waits = setting("GATEWAY_DRAIN_DELAY").zip(setting("GATEWAY_GRACE"));
    // The default of Kubernetes.
    let granted = pod.spec["terminationGracePeriodSeconds"].as_u64().unwrap_or(30);
    match waits {
        None => breaches.push("it prints no GATEWAY_DRAIN_DELAY and GATEWAY_GRACE".to_owned()),
        // A pod that dies on purpose drains nobody.
        Some(_) if pod.made_by.kind() == "Pod" => {}
        Some((delay, grace)) if delay + grace < granted => {}
        Some((delay, grace)) => breaches.push(format!(
            "terminationGracePeriodSeconds is {granted}: must be above GATEWAY_DRAIN_DELAY and GATEWAY_GRACE, {delay} and {grace}"
        )),
    }
    breaches
}

/// TOML: the port of metrics is the pod's, and what is written has a mount that can be written.
fn tracer_agrees(_pod: Pod<'_>, container: &Value, settings: &str) -> Vec<String> {
    let setting = |name: &str| {
        let value = settings.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(" = "));
        value.unwrap_or_default().trim_matches('"')
    };
    let metrics = setting("metrics_listen").rsplit(':').next().and_then(|port| port.parse().ok());
    let mut breaches: Vec<String> =
        port_differs(container, "metrics", metrics, "metrics_listen").into_iter().collect();
    for name in ["store", "socket", "pin_dir"] {
        let path = setting(name);
        let mount = list(&container["volumeMounts"])
            .iter()
            .filter(|mount| Path::new(path).starts_with(text(&mount["mountPath"])))
            .max_by_key(|mount| text(&mount["mountPath"]).len());
        if mount.is_none_or(|mount| mount["readOnly"] == true) {
            breaches.push(format!("{name} is {path}, where no volume is mounted to be written"));
        }
    }
    breaches
}

/// A port of the container that is not the one of its setting. Some containers declare none.
fn port_differs(container: &Value, name: &str, setting: Option<u64>, of: &str) -> Option<String> {
    let port = list(&container["ports"]).iter().find(|port| port["name"] == name)?;
    let declared = port["containerPort"].as_u64();
    (declared != setting).then(|| format!("its port {name} is {declared:?}, {of} is {setting:?}"))
}

#[cfg(test)]
mod tests;

//! Whatever an object names must be there: other objects, volumes, ports, pods by their labels. It
//! knows how objects of Kubernetes name each other, not what any of them is for.

use std::collections::HashSet;

use serde_json::Value;

use super::object::{Object, Pod, list, map, pods, selects, text};

/// Secrets that nobody makes but a person, or cert-manager: namespace, name.
const MADE_BY_PEOPLE: [(&str, &str); 2] = [
    // The certificate: openssl's, a real authority's, or components/cert-manager's.
    ("macula-system", "macula-gateway-tls"),
    // One random number for all replicas, which no file of a repository may hold.
    ("macula-system", "macula-gateway-cookie"),
];

/// Everything that is named and is not there, and every object that is there twice.
pub fn breaches(objects: &[Object]) -> Vec<String> {
    let mut breaches = Vec::new();
    let mut seen = HashSet::new();
    for object in objects {
        if !seen.insert((object.kind(), object.namespace(), object.name())) {
            breaches.push(format!("{object}: is there twice"));
        }
        let namespace = object.namespace();
        if !namespace.is_empty() && !has(objects, "Namespace", "", namespace) {
            breaches.push(format!("{object}: nothing makes its namespace {namespace}"));
        }
        let found = match object.kind() {
            "Service" => service(object, objects),
            "RoleBinding" | "ClusterRoleBinding" => binding(object, objects),
            "HorizontalPodAutoscaler" => scaled(object, objects),
            "NetworkPolicy" => selected(object, &object.spec()["podSelector"], objects),
            "PodDisruptionBudget" => selected(object, &object.spec()["selector"], objects),
            "PodMonitor" => monitor(object, objects),
            "Deployment" | "DaemonSet" | "StatefulSet" => own_pods(object),
            "Certificate" => named(object, &object.spec()["issuerRef"], objects),
            _ => Vec::new(),
        };
        breaches.extend(found);
    }
    for pod in pods(objects) {
        let found = of_pod(pod, objects).into_iter().chain(probes(pod)).chain(volumes(pod));
        breaches.extend(found.map(|what| format!("{}: {what}", pod.made_by)));
    }
    breaches
}

fn has(objects: &[Object], kind: &str, namespace: &str, name: &str) -> bool {
    objects.iter().any(|object| object.is(kind, namespace, name))
}

/// ConfigMaps, Secrets with the keys that are read, the service account and the priority class.
fn of_pod(pod: Pod<'_>, objects: &[Object]) -> Vec<String> {
    let mut breaches = Vec::new();
    let mut want = |kind: &str, namespace: &str, name: &Value| {
        let name = text(name);
        let made = kind == "Secret"
            && (MADE_BY_PEOPLE.contains(&(namespace, name))
                || by_certificate(objects, namespace, name));
        if !name.is_empty() && !made && !has(objects, kind, namespace, name) {
            breaches.push(format!("names the {kind} {name}, which is not there"));
        }
    };
    want("ServiceAccount", pod.namespace(), &pod.spec["serviceAccountName"]);
    want("PriorityClass", "", &pod.spec["priorityClassName"]);
    for volume in pod.volumes() {
        want("ConfigMap", pod.namespace(), &volume["configMap"]["name"]);
        want("Secret", pod.namespace(), &volume["secret"]["secretName"]);
    }
    for container in pod.containers() {
        for from in list(&container["envFrom"]) {
            want("ConfigMap", pod.namespace(), &from["configMapRef"]["name"]);
            want("Secret", pod.namespace(), &from["secretRef"]["name"]);
        }
        for variable in list(&container["env"]) {
            let from = &variable["valueFrom"];
            want("ConfigMap", pod.namespace(), &from["configMapKeyRef"]["name"]);
            want("Secret", pod.namespace(), &from["secretKeyRef"]["name"]);
        }
    }
    for (kind, source, name) in ["configMap", "secret"].into_iter().flat_map(|field| {
        let (kind, name) =
            if field == "secret" { ("Secret", "secretName") } else { ("ConfigMap", "name") };
        pod.volumes().map(move |volume| (kind, &volume[field], text(&volume[field][name])))
    }) {
        let Some(object) = objects.iter().find(|object| object.is(kind, pod.namespace(), name))
        else {
            continue;
        };
        for item in list(&source["items"]) {
            let key = text(&item["key"]);
            let there = ["data", "stringData", "binaryData"]
                .iter()
                .any(|part| object.0[part].get(key).is_some());
            if !there {
                breaches.push(format!("wants the key {key} of {object}, which is not there"));
            }
        }
    }
    breaches
}

fn by_certificate(objects: &[Object], namespace: &str, secret: &str) -> bool {
    objects.iter().any(|object| {
        object.kind() == "Certificate"
            && object.namespace() == namespace
            && object.spec()["secretName"] == secret
    })
}

/// Volumes that are mounted and not there, or there and not mounted.
fn volumes(pod: Pod<'_>) -> Vec<String> {
    let there: HashSet<&str> = pod.volumes().map(|volume| text(&volume["name"])).collect();
    let mounted: HashSet<&str> = pod
        .containers()
        .flat_map(|container| list(&container["volumeMounts"]))
        .map(|mount| text(&mount["name"]))
        .collect();
    let absent =
        mounted.difference(&there).map(|name| format!("mounts {name}, which is no volume of it"));
    let unused = there.difference(&mounted).map(|name| format!("nothing mounts its volume {name}"));
    absent.chain(unused).collect()
}

/// Probes of ports that have no such name. One by number needs no port to be declared.
fn probes(pod: Pod<'_>) -> Vec<String> {
    let mut breaches = Vec::new();
    for container in pod.containers() {
        for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
            for how in ["httpGet", "tcpSocket"] {
                let port = text(&container[probe][how]["port"]);
                if !port.is_empty() && !names_port(container, port) {
                    breaches
                        .push(format!("its {probe} asks the port {port}, which no port is called"));
                }
            }
        }
    }
    breaches
}

fn names_port(container: &Value, name: &str) -> bool {
    list(&container["ports"]).iter().any(|port| port["name"] == name)
}

/// A selector that fits nothing, or a port by a name that no selected pod has.
fn service(service: &Object, objects: &[Object]) -> Vec<String> {
    let selector = &service.spec()["selector"];
    let behind: Vec<Pod<'_>> = selected_pods(service, selector, objects).collect();
    if map(selector).is_empty() || behind.is_empty() {
        return vec![format!("{service}: its selector fits no pod")];
    }
    let mut breaches = Vec::new();
    for port in list(&service.spec()["ports"]) {
        let target = &port["targetPort"];
        let declared = |container: &Value| {
            list(&container["ports"]).iter().any(|declared| {
                let fits = &declared["name"] == target || &declared["containerPort"] == target;
                fits && declared["protocol"] == port["protocol"]
            })
        };
        for pod in behind.iter().filter(|pod| !pod.containers().any(declared)) {
            breaches.push(format!(
                "{service}: {} has no port {target} of {}",
                pod.made_by, port["protocol"]
            ));
        }
    }
    breaches
}

fn selected_pods<'a>(
    by: &'a Object,
    labels: &'a Value,
    objects: &'a [Object],
) -> impl Iterator<Item = Pod<'a>> {
    pods(objects)
        .filter(move |pod| pod.namespace() == by.namespace() && selects(labels, pod.labels))
}

/// A label selector, of `matchLabels` alone, that fits no pod.
fn selected(by: &Object, selector: &Value, objects: &[Object]) -> Vec<String> {
    if !selector["matchExpressions"].is_null() {
        return vec![format!("{by}: matchExpressions are not understood by references.rs")];
    }
    match selected_pods(by, &selector["matchLabels"], objects).next() {
        Some(_) => Vec::new(),
        None => vec![format!("{by}: its selector fits no pod")],
    }
}

fn monitor(monitor: &Object, objects: &[Object]) -> Vec<String> {
    let mut breaches = selected(monitor, &monitor.spec()["selector"], objects);
    let labels = &monitor.spec()["selector"]["matchLabels"];
    for endpoint in list(&monitor.spec()["podMetricsEndpoints"]) {
        let port = text(&endpoint["port"]);
        for pod in selected_pods(monitor, labels, objects) {
            if !pod.containers().any(|container| names_port(container, port)) {
                breaches.push(format!("{monitor}: {} has no port {port}", pod.made_by));
            }
        }
    }
    breaches
}

/// A selector must fit the pods of its own template.
fn own_pods(object: &Object) -> Vec<String> {
    let selector = &object.spec()["selector"]["matchLabels"];
    let fits = object.pod().is_some_and(|pod| selects(selector, pod.labels));
    if fits && !map(selector).is_empty() {
        return Vec::new();
    }
    vec![format!("{object}: its selector does not fit its own pods")]
}

fn binding(binding: &Object, objects: &[Object]) -> Vec<String> {
    let role = &binding.0["roleRef"];
    let (kind, name) = (text(&role["kind"]), text(&role["name"]));
    let namespace = if kind == "Role" { binding.namespace() } else { "" };
    let mut breaches = Vec::new();
    if !has(objects, kind, namespace, name) {
        breaches.push(format!("{binding}: the {kind} {name} is not there"));
    }
    for subject in list(&binding.0["subjects"]) {
        let (kind, namespace, name) =
            (text(&subject["kind"]), text(&subject["namespace"]), text(&subject["name"]));
        if !has(objects, kind, namespace, name) {
            breaches.push(format!("{binding}: the {kind} {namespace}/{name} is not there"));
        }
    }
    breaches
}

fn scaled(scaler: &Object, objects: &[Object]) -> Vec<String> {
    let target = &scaler.spec()["scaleTargetRef"];
    let mut breaches = named(scaler, target, objects);
    let scaled = objects
        .iter()
        .find(|object| object.is(text(&target["kind"]), scaler.namespace(), text(&target["name"])));
    if let Some(object) = scaled.filter(|object| !object.spec()["replicas"].is_null()) {
        breaches.push(format!("{object}: `replicas` is {scaler}'s: each apply would set it back"));
    }
    breaches
}

/// `{kind, name}` of an object of the same namespace.
fn named(by: &Object, reference: &Value, objects: &[Object]) -> Vec<String> {
    let (kind, name) = (text(&reference["kind"]), text(&reference["name"]));
    if has(objects, kind, by.namespace(), name) {
        return Vec::new();
    }
    vec![format!("{by}: the {kind} {name} is not there")]
}

#[cfg(test)]
mod tests;

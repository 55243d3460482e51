//! The profiles of Kubernetes' Pod Security Standards, and which of them each namespace keeps. It
//! knows the published rules (kubernetes.io/docs/concepts/security/pod-security-standards) and pods,
//! not what runs in them.

use serde_json::Value;

use super::object::{Object, Pod, list, map, pods, text};

/// Each namespace that deploy/ makes, with the profile that its label must enforce.
const PROMISED: [(&str, &str); 3] = [
    ("macula-system", "restricted"),
    ("macula-tracer", "privileged"),
    ("macula-crashes", "baseline"),
];

const LABEL: &str = "pod-security.kubernetes.io/enforce";

/// Namespaces without their profile, and pods that it would not admit.
pub fn breaches(objects: &[Object]) -> Vec<String> {
    let mut breaches = Vec::new();
    for namespace in objects.iter().filter(|object| object.kind() == "Namespace") {
        let promised = PROMISED.iter().find(|(name, _)| *name == namespace.name());
        let enforced = text(&namespace.labels()[LABEL]);
        match promised {
            Some((_, profile)) if *profile == enforced => {}
            Some((_, profile)) => {
                breaches.push(format!("{namespace}: must have the label {LABEL}: {profile}"));
            }
            None => breaches.push(format!(
                "{namespace}: no profile is promised for it; add it to pod_security.rs"
            )),
        }
    }
    for pod in pods(objects) {
        let profile = PROMISED.iter().find(|(name, _)| *name == pod.namespace());
        let found = match profile.map_or("restricted", |(_, profile)| profile) {
            "privileged" => Vec::new(),
            "baseline" => baseline(pod),
            _ => restricted(pod),
        };
        breaches.extend(found.into_iter().map(|what| format!("{}: {what}", pod.made_by)));
    }
    breaches
}

/// The tracer is privileged, or with its component has capabilities instead.
pub fn of_the_tracer(objects: &[Object], by_capabilities: bool) -> Vec<String> {
    let mut breaches = Vec::new();
    for pod in
        pods(objects).filter(|pod| pod.made_by.is("DaemonSet", "macula-tracer", "macula-tracer"))
    {
        for container in pod.containers() {
            let context = &container["securityContext"];
            let privileged = context["privileged"] == true;
            let adds = !list(&context["capabilities"]["add"]).is_empty();
            if privileged == by_capabilities || adds != by_capabilities {
                let wanted =
                    if by_capabilities { "capabilities alone" } else { "`privileged` alone" };
                breaches.push(format!(
                    "{}: container {} must have {wanted}: privileged is {privileged}, capabilities are added: {adds}",
                    pod.made_by,
                    text(&container["name"])
                ));
            }
        }
    }
    breaches
}

const BASELINE_CAPABILITIES: [&str; 13] = [
    "AUDIT_WRITE",
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "MKNOD",
    "NET_BIND_SERVICE",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
];

const SAFE_SYSCTLS: [&str; 10] = [
    "kernel.shm_rmid_forced",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.ping_group_range",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
    "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_syncookies",
];

const SELINUX_TYPES: [&str; 5] =
    ["", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"];

fn baseline(pod: Pod<'_>) -> Vec<String> {
    let mut found = Vec::new();
    let mut refuse = |bad: bool, what: String| {
        if bad {
            found.push(format!("the baseline profile forbids {what}"));
        }
    };
    for field in ["hostNetwork", "hostPID", "hostIPC"] {
        refuse(pod.spec[field] == true, field.to_owned());
    }
    for volume in pod.volumes() {
        refuse(!volume["hostPath"].is_null(), format!("hostPath (volume {})", volume["name"]));
    }
    for sysctl in list(&pod.spec["securityContext"]["sysctls"]) {
        let name = text(&sysctl["name"]);
        refuse(!SAFE_SYSCTLS.contains(&name), format!("the sysctl {name}"));
    }
    for (name, value) in map(pod.annotations) {
        let profile = text(value);
        let allowed = profile == "runtime/default" || profile.starts_with("localhost/");
        let is_apparmor = name.starts_with("container.apparmor.security.beta.kubernetes.io/");
        refuse(is_apparmor && !allowed, format!("the AppArmor profile {profile}"));
    }
    for (of, context) in contexts(pod) {
        refuse(context["windowsOptions"]["hostProcess"] == true, format!("hostProcess ({of})"));
        refuse(context["privileged"] == true, format!("privileged ({of})"));
        for capability in list(&context["capabilities"]["add"]) {
            let allowed = BASELINE_CAPABILITIES.contains(&text(capability));
            refuse(!allowed, format!("the capability {} ({of})", text(capability)));
        }
        for field in ["seccompProfile", "appArmorProfile"] {
            let profile = text(&context[field]["type"]);
            let allowed = ["", "RuntimeDefault", "Localhost"].contains(&profile);
            refuse(!allowed, format!("{field} {profile} ({of})"));
        }
        let selinux = &context["seLinuxOptions"];
        refuse(
            !SELINUX_TYPES.contains(&text(&selinux["type"])),
            format!("its SELinux type ({of})"),
        );
        for field in ["user", "role"] {
            refuse(!text(&selinux[field]).is_empty(), format!("an SELinux {field} ({of})"));
        }
        let mount = text(&context["procMount"]);
        refuse(!["", "Default"].contains(&mount), format!("procMount {mount} ({of})"));
    }
    for container in pod.containers() {
        for port in list(&container["ports"]) {
            refuse(
                port["hostPort"].as_u64().unwrap_or(0) != 0,
                format!("hostPort ({})", container["name"]),
            );
        }
        // From Kubernetes 1.34 on.
        for hook in [
            &container["livenessProbe"],
            &container["readinessProbe"],
            &container["startupProbe"],
            &container["lifecycle"]["postStart"],
            &container["lifecycle"]["preStop"],
        ] {
            let host =
                ["httpGet", "tcpSocket"].iter().any(|how| !text(&hook[how]["host"]).is_empty());
            refuse(host, format!("a probe's or hook's host ({})", container["name"]));
        }
    }
    found
}

const RESTRICTED_VOLUMES: [&str; 8] = [
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "persistentVolumeClaim",
    "projected",
    "secret",
];

fn restricted(pod: Pod<'_>) -> Vec<String> {
    let mut found = baseline(pod);
    let mut demand = |kept: bool, what: String| {
        if !kept {
            found.push(format!("the restricted profile wants {what}"));
        }
    };
    for volume in pod.volumes() {
        let mut kinds = map(volume).keys().filter(|key| *key != "name");
        let kept = kinds.all(|kind| RESTRICTED_VOLUMES.contains(&kind.as_str()));
        demand(kept, format!("another type for the volume {}", volume["name"]));
    }
    let of_pod = &pod.spec["securityContext"];
    demand(of_pod["runAsUser"] != 0, "runAsUser other than 0".to_owned());
    for container in pod.containers() {
        let name = text(&container["name"]);
        let own = &container["securityContext"];
        let inherited =
            |field: &str| if own[field].is_null() { &of_pod[field] } else { &own[field] };
        let seccomp = text(&inherited("seccompProfile")["type"]);
        demand(
            own["allowPrivilegeEscalation"] == false,
            format!("allowPrivilegeEscalation: false ({name})"),
        );
        demand(
            inherited("runAsNonRoot") == &Value::Bool(true),
            format!("runAsNonRoot: true ({name})"),
        );
        demand(own["runAsUser"] != 0, format!("runAsUser other than 0 ({name})"));
        demand(
            ["RuntimeDefault", "Localhost"].contains(&seccomp),
            format!("seccompProfile RuntimeDefault ({name})"),
        );
        let capabilities = &own["capabilities"];
        demand(
            list(&capabilities["drop"]).iter().any(|drop| drop == "ALL"),
            format!("capabilities.drop: [ALL] ({name})"),
        );
        demand(
            list(&capabilities["add"]).iter().all(|add| add == "NET_BIND_SERVICE"),
            format!("no capability but NET_BIND_SERVICE ({name})"),
        );
        // Our own promise beside the profile's.
        demand(
            own["readOnlyRootFilesystem"] == true,
            format!("readOnlyRootFilesystem: true ({name})"),
        );
    }
    found
}

/// The pod's own security context and those of its containers, with whose they are.
fn contexts(pod: Pod<'_>) -> Vec<(&str, &Value)> {
    let of_containers =
        pod.containers().map(|container| (text(&container["name"]), &container["securityContext"]));
    std::iter::once(("pod", &pod.spec["securityContext"])).chain(of_containers).collect()
}

#[cfg(test)]
mod tests;

//! The profiles over pods that break one rule each. They know the rules' words, not deploy/.

use super::super::object::objects;
use super::*;

/// A pod that keeps the restricted profile, with one field set to something else.
fn pod(namespace: &str, pointer: &str, value: Value) -> Vec<Object> {
    let mut found = objects(&format!(
        "
apiVersion: v1
kind: Pod
metadata: {{name: p, namespace: {namespace}, annotations: {{}}}}
spec:
  securityContext: {{runAsNonRoot: true, seccompProfile: {{type: RuntimeDefault}}}}
  volumes:
    - {{name: v, emptyDir: {{}}}}
  containers:
    - name: c
      ports: [{{containerPort: 80}}]
      livenessProbe: {{httpGet: {{port: 80}}}}
      securityContext:
        allowPrivilegeEscalation: false
        readOnlyRootFilesystem: true
        capabilities: {{drop: [ALL]}}
"
    ));
    let (folder, field) = pointer.rsplit_once('/').unwrap();
    let parent = found[0].0.pointer_mut(folder).unwrap();
    match parent {
        Value::Array(items) => items[field.parse::<usize>().unwrap()] = value,
        parent => parent[field] = value,
    }
    found
}

fn check(namespace: &str, pointer: &str, value: Value, expected: Option<&str>) {
    let found = breaches(&pod(namespace, pointer, value));
    match expected {
        None => assert!(found.is_empty(), "{pointer}: {found:?}"),
        Some(expected) => {
            assert!(found.iter().any(|breach| breach.contains(expected)), "{pointer}: {found:?}");
        }
    }
}

#[test]
fn a_pod_with_all_that_the_restricted_profile_wants_is_admitted() {
    check("macula-system", "/metadata/name", "q".into(), None);
    let add = serde_json::json!({"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]});
    check("macula-system", "/spec/containers/0/securityContext/capabilities", add, None);
}

#[test]
fn each_rule_of_the_restricted_profile_refuses_a_pod() {
    let own = "/spec/containers/0/securityContext";
    for (pointer, value, expected) in [
        (format!("{own}/allowPrivilegeEscalation"), true.into(), "allowPrivilegeEscalation"),
        (format!("{own}/capabilities"), serde_json::json!({}), "drop: [ALL]"),
        (format!("{own}/capabilities/add"), serde_json::json!(["CHOWN"]), "NET_BIND_SERVICE"),
        (format!("{own}/runAsUser"), 0.into(), "other than 0"),
        (format!("{own}/runAsNonRoot"), false.into(), "runAsNonRoot"),
        (format!("{own}/readOnlyRootFilesystem"), false.into(), "readOnlyRootFilesystem"),
        ("/spec/securityContext/runAsUser".to_owned(), 0.into(), "other than 0"),
        ("/spec/securityContext/seccompProfile".to_owned(), Value::Null, "seccompProfile"),
        ("/spec/volumes/0".to_owned(), serde_json::json!({"name": "v", "nfs": {}}), "another type"),
    ] {
        check("macula-system", &pointer, value, Some(expected));
    }
}

#[test]
fn each_rule_of_the_baseline_profile_refuses_a_pod() {
    let own = "/spec/containers/0/securityContext";
    let unconfined = serde_json::json!({"type": "Unconfined"});
    for (pointer, value, expected) in [
        ("/spec/hostPID".to_owned(), true.into(), "hostPID"),
        ("/spec/hostNetwork".to_owned(), true.into(), "hostNetwork"),
        ("/spec/hostIPC".to_owned(), true.into(), "hostIPC"),
        ("/spec/volumes/0/hostPath".to_owned(), serde_json::json!({"path": "/"}), "hostPath"),
        (
            "/spec/securityContext/sysctls".to_owned(),
            serde_json::json!([{"name": "kernel.msgmax"}]),
            "kernel.msgmax",
        ),
        (
            "/metadata/annotations".to_owned(),
            serde_json::json!({"container.apparmor.security.beta.kubernetes.io/c": "unconfined"}),
            "AppArmor",
        ),
        (format!("{own}/privileged"), true.into(), "privileged"),
        (format!("{own}/capabilities/add"), serde_json::json!(["SYS_ADMIN"]), "SYS_ADMIN"),
        (format!("{own}/seccompProfile"), unconfined.clone(), "seccompProfile"),
        (format!("{own}/appArmorProfile"), unconfined, "appArmorProfile"),
        (format!("{own}/seLinuxOptions"), serde_json::json!({"type": "spc_t"}), "SELinux type"),
        (format!("{own}/seLinuxOptions"), serde_json::json!({"role": "r"}), "SELinux role"),
        (format!("{own}/procMount"), "Unmasked".into(), "procMount"),
        (format!("{own}/windowsOptions"), serde_json::json!({"hostProcess": true}), "hostProcess"),
        ("/spec/containers/0/ports/0/hostPort".to_owned(), 80.into(), "hostPort"),
        ("/spec/containers/0/livenessProbe/httpGet/host".to_owned(), "a".into(), "host"),
    ] {
        check("macula-crashes", &pointer, value.clone(), Some(expected));
        check("macula-tracer", &pointer, value, None);
    }
    check("macula-crashes", &format!("{own}/runAsUser"), 0.into(), None);
}

#[test]
fn a_namespace_enforces_what_is_promised_of_it() {
    let namespace = |name: &str, profile: &str| {
        breaches(&objects(&format!(
            "{{apiVersion: v1, kind: Namespace, metadata: {{name: {name}, labels: {{{LABEL}: {profile}}}}}}}"
        )))
    };
    assert!(namespace("macula-system", "restricted").is_empty());
    assert!(namespace("macula-system", "baseline")[0].contains("restricted"));
    assert!(namespace("another", "restricted")[0].contains("no profile is promised"));
}

#[test]
fn the_tracer_is_privileged_or_has_capabilities_never_both() {
    let tracer = |context: &str| {
        objects(&format!(
            "{{apiVersion: apps/v1, kind: DaemonSet, metadata: {{name: macula-tracer, namespace: macula-tracer}},
              spec: {{template: {{spec: {{containers: [{{name: tracer, securityContext: {context}}}]}}}}}}}}"
        ))
    };
    let privileged = tracer("{privileged: true}");
    let capable = tracer("{privileged: false, capabilities: {add: [BPF]}}");
    let both = tracer("{privileged: true, capabilities: {add: [BPF]}}");
    assert!(of_the_tracer(&privileged, false).is_empty());
    assert!(of_the_tracer(&capable, true).is_empty());
    for by_capabilities in [false, true] {
        assert_eq!(of_the_tracer(&both, by_capabilities).len(), 1);
        assert_eq!(of_the_tracer(&tracer("{}"), by_capabilities).len(), 1);
    }
    assert_eq!(of_the_tracer(&privileged, true).len(), 1);
    assert_eq!(of_the_tracer(&capable, false).len(), 1);
}

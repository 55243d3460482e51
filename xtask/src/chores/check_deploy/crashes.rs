//! The pods that die on purpose: each says its cause, every cause has one, and no Service sends
//! clients there. It knows names of causes, not how anything dies.

use std::collections::BTreeSet;

use super::object::{Object, map, pods, selects, text};

const NAMESPACE: &str = "macula-crashes";

/// The annotation that has the cause that must be named.
const CAUSE: &str = "macula.io/cause";

/// Causes that no pod of deploy/crashes dies of, whatever node it is on.
const WITHOUT_A_POD: [&str; 12] = [
    // Newer runtimes let every user bind any port.
    "bind_permission_denied",
    // It takes somebody else who kills it.
    "killed_by_signal",
    // The whole node would have to run out of memory.
    "oom_killed_node",
    // What becomes of a packet to nowhere differs from cluster to cluster.
    "connection_timed_out",
    "host_unreachable",
    // They take a peer, or settings of the network that a pod may not change.
    "connection_reset",
    "ports_exhausted",
    // A volume would have to fail, or a program of the image to speak TLS, or to be written while it runs.
    "volume_failed",
    "tls_failed",
    "text_file_busy",
    // All programs of the image are built for every processor.
    "cpu_too_old",
    // No program of the image has a runtime that limits its own memory.
    "heap_exhausted",
];

/// What the silent crash of the macula gateway was made of: none of these may go without a pod.
const SILENT_CRASH: [&str; 8] = [
    "oom_killed",
    "stopped_by_runtime",
    "file_not_found",
    "exec_interpreter_missing",
    "shared_library_missing",
    "library_version_mismatch",
    "permission_denied",
    "bind_address_in_use",
];

/// What is wrong with the pods of deploy/crashes; `causes` are all that the tracer knows.
pub fn breaches(crashes: &[Object], causes: &[&str]) -> Vec<String> {
    let mut breaches = Vec::new();
    let mut died_of = BTreeSet::new();
    for pod in pods(crashes) {
        let cause = text(&pod.annotations[CAUSE]);
        died_of.insert(cause);
        let mut refuse = |bad: bool, what: &str| {
            if bad {
                breaches.push(format!("{}: {what}", pod.made_by));
            }
        };
        refuse(
            !causes.contains(&cause),
            &format!("{CAUSE} is {cause:?}, which is no cause (docs/verdicts.md)"),
        );
        refuse(pod.namespace() != NAMESPACE, &format!("must be in {NAMESPACE}"));
        refuse(
            pod.labels["macula.io/crash"] != pod.made_by.name(),
            "must have its name in the label macula.io/crash",
        );
        refuse(pod.labels.get("app").is_some(), "must have no label app, by which Services select");
        let named = pod.containers().any(|container| container["name"] == "gateway");
        refuse(!named, "the container that dies must be called gateway");
    }
    let lacking = causes
        .iter()
        .filter(|cause| !WITHOUT_A_POD.contains(cause))
        .chain(&SILENT_CRASH)
        .filter(|cause| !died_of.contains(*cause))
        .collect::<BTreeSet<_>>();
    breaches.extend(lacking.into_iter().map(|cause| {
        format!("deploy/crashes: no pod dies of {cause}; add one, or its reason to WITHOUT_A_POD")
    }));
    breaches
}

/// Services whose selector fits a pod that dies. In whatever namespace they are: a Service of the same kind in
/// another namespace is one line of an overlay away.
pub fn selected(crashes: &[Object], services: &[Object]) -> Vec<String> {
    let services = services.iter().filter(|object| object.kind() == "Service");
    let mut breaches = Vec::new();
    for service in services {
        let selector = &service.spec()["selector"];
        for pod in
            pods(crashes).filter(|pod| !map(selector).is_empty() && selects(selector, pod.labels))
        {
            breaches
                .push(format!("{service} sends clients to {}, which dies on purpose", pod.made_by));
        }
    }
    breaches
}

#[cfg(test)]
mod tests {
    use super::super::object::objects;
    use super::*;

    fn pod(labels: &str, cause: &str, namespace: &str, container: &str) -> Vec<Object> {
        objects(&format!(
            "{{kind: Pod, metadata: {{name: p, namespace: {namespace}, labels: {{{labels}}}, annotations: {{macula.io/cause: {cause}}}}},
              spec: {{containers: [{{name: {container}}}]}}}}"
        ))
    }

    fn check(pod: &[Object], expected: &str) {
        let found: Vec<_> = breaches(pod, &["abort"])
            .into_iter()
            .filter(|breach| !breach.contains("no pod dies of"))
            .collect();
        assert_eq!(
            found.iter().any(|breach| breach.contains(expected)),
            !expected.is_empty(),
            "{found:?}"
        );
        assert_eq!(found.len(), usize::from(!expected.is_empty()), "{found:?}");
    }

    #[test]
    fn a_pod_that_dies_says_of_what_and_keeps_out_of_the_way() {
        check(&pod("macula.io/crash: p", "abort", "macula-crashes", "gateway"), "");
        check(&pod("macula.io/crash: p", "boredom", "macula-crashes", "gateway"), "is no cause");
        check(&pod("macula.io/crash: q", "abort", "macula-crashes", "gateway"), "macula.io/crash");
        check(&pod("macula.io/crash: p", "abort", "macula-system", "gateway"), "must be in");
        check(&pod("macula.io/crash: p", "abort", "macula-crashes", "c"), "called gateway");
        check(
            &pod("macula.io/crash: p, app: x", "abort", "macula-crashes", "gateway"),
            "no label app",
        );
    }

    #[test]
    fn every_cause_has_a_pod_or_a_reason() {
        let found = breaches(&[], &["abort", "killed_by_signal"]);
        assert_eq!(found.len(), 1 + SILENT_CRASH.len(), "{found:?}");
        assert!(found[0].contains("no pod dies of abort"));
    }

    #[test]
    fn a_service_that_selects_a_crash_pod_is_refused() {
        let crash = pod("macula.io/crash: p", "abort", "macula-crashes", "gateway");
        let service = |selector: &str| {
            objects(&format!(
                "{{kind: Service, metadata: {{name: s, namespace: n}}, spec: {{selector: {{{selector}}}}}}}"
            ))
        };
        assert!(selected(&crash, &service("app: macula-gateway")).is_empty());
        assert!(selected(&crash, &service("")).is_empty());
        assert_eq!(selected(&crash, &service("macula.io/crash: p")).len(), 1);
    }
}

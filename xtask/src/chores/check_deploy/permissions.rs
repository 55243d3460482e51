//! What the service accounts of deploy/ may do: exactly what is promised of them. It knows roles and
//! their bindings, not what the agent does with them.

use std::collections::BTreeSet;

use super::object::{Object, list, text};

/// The agent's, each with where it holds: a namespace, or the whole cluster.
const PROMISED: [&str; 6] = [
    "events create in the cluster",
    "events patch in the cluster",
    "apps daemonsets/macula-tracer get in macula-tracer",
    "pods get in the cluster",
    "pods list in the cluster",
    "pods watch in the cluster",
];

/// What components/annotate-pods adds.
const ANNOTATE_PODS: &str = "pods patch in the cluster";

/// Permissions that somebody has and should not, or the agent should have and has not.
pub fn breaches(objects: &[Object], annotate_pods: bool) -> Vec<String> {
    let agent = "macula-tracer/macula-tracer";
    // Where there is no agent nobody has any.
    let is_there =
        objects.iter().any(|object| object.is("ServiceAccount", "macula-tracer", "macula-tracer"));
    let promised = PROMISED.into_iter().chain(annotate_pods.then_some(ANNOTATE_PODS));
    let wanted: BTreeSet<(String, String)> = promised
        .filter(|_| is_there)
        .map(|permission| (agent.to_owned(), permission.to_owned()))
        .collect();
    let found = granted(objects);
    let too_many = found.difference(&wanted).map(|(who, what)| {
        format!(
            "{who} may {what}, which is not promised; take it away, or say why in permissions.rs"
        )
    });
    let lacking =
        wanted.difference(&found).map(|(who, what)| format!("{who} must be allowed to {what}"));
    too_many.chain(lacking).collect()
}

/// Who may do what: for each binding, the rules of its role.
fn granted(objects: &[Object]) -> BTreeSet<(String, String)> {
    let mut granted = BTreeSet::new();
    for binding in objects.iter().filter(|object| object.kind().ends_with("RoleBinding")) {
        let role = &binding.0["roleRef"];
        let place = match binding.namespace() {
            "" => "the cluster",
            namespace => namespace,
        };
        let rules = objects
            .iter()
            .filter(|object| {
                object.kind() == text(&role["kind"]) && object.name() == text(&role["name"])
            })
            .filter(|object| ["", binding.namespace()].contains(&object.namespace()))
            .flat_map(|object| list(&object.0["rules"]));
        for rule in rules {
            for subject in list(&binding.0["subjects"]) {
                let who = format!("{}/{}", text(&subject["namespace"]), text(&subject["name"]));
                granted.extend(
                    permissions(rule).map(|what| (who.clone(), format!("{what} in {place}"))),
                );
            }
        }
    }
    granted
}

/// `[group ]resource[/name] verb`, for each combination.
fn permissions(rule: &serde_json::Value) -> impl Iterator<Item = String> {
    let mut found = Vec::new();
    // Paths that are no objects: nobody should have any.
    for url in list(&rule["nonResourceURLs"]) {
        found.push(format!("ask {}", text(url)));
    }
    let names = match list(&rule["resourceNames"]) {
        [] => vec![String::new()],
        names => names.iter().map(|name| format!("/{}", text(name))).collect(),
    };
    for group in list(&rule["apiGroups"]) {
        let group = match text(group) {
            // Both groups have the same events.
            "" | "events.k8s.io" => String::new(),
            group => format!("{group} "),
        };
        for resource in list(&rule["resources"]) {
            for name in &names {
                for verb in list(&rule["verbs"]) {
                    found.push(format!("{group}{}{name} {}", text(resource), text(verb)));
                }
            }
        }
    }
    found.into_iter()
}

#[cfg(test)]
mod tests {
    use super::super::object::objects;
    use super::*;

    const AGENT: &str = "
{kind: ServiceAccount, metadata: {name: macula-tracer, namespace: macula-tracer}}
---
kind: ClusterRole
metadata: {name: c}
rules:
  - {apiGroups: [''], resources: [pods], verbs: [get, list, watch]}
  - {apiGroups: ['', events.k8s.io], resources: [events], verbs: [create, patch]}
---
kind: ClusterRoleBinding
metadata: {name: c}
roleRef: {kind: ClusterRole, name: c}
subjects: [{kind: ServiceAccount, name: macula-tracer, namespace: macula-tracer}]
---
kind: Role
metadata: {name: r, namespace: macula-tracer}
rules: [{apiGroups: [apps], resources: [daemonsets], resourceNames: [macula-tracer], verbs: [get]}]
---
kind: RoleBinding
metadata: {name: r, namespace: macula-tracer}
roleRef: {kind: Role, name: r}
subjects: [{kind: ServiceAccount, name: macula-tracer, namespace: macula-tracer}]
";

    fn check(good: &str, bad: &str, annotate_pods: bool, expected: &[&str]) {
        assert!(AGENT.contains(good), "{good}");
        let found = breaches(&objects(&AGENT.replace(good, bad)), annotate_pods);
        assert_eq!(found.len(), expected.len(), "{found:?}");
        for expected in expected {
            assert!(
                found.iter().any(|breach| breach.contains(expected)),
                "{found:?} lacks {expected}"
            );
        }
    }

    #[test]
    fn the_agent_may_do_what_is_promised() {
        check("get", "get", false, &[]);
        check("[get, list, watch]", "[get, list, watch, patch]", true, &[]);
    }

    #[test]
    fn more_than_is_promised_is_refused() {
        check(
            "[get, list, watch]",
            "[get, list, watch, patch]",
            false,
            &["may pods patch in the cluster"],
        );
        check(
            "resources: [events]",
            "resources: [events, secrets]",
            false,
            &["secrets create", "secrets patch"],
        );
        check(
            ", resourceNames: [macula-tracer]",
            "",
            false,
            &["daemonsets get", "daemonsets/macula-tracer get"],
        );
        check(
            "metadata: {name: r, namespace: macula-tracer}\nroleRef",
            "metadata: {name: r}\nroleRef",
            false,
            &["must be allowed"],
        );
        check(
            "name: macula-tracer, namespace: macula-tracer}]\n---\nkind: Role\n",
            "name: other, namespace: macula-tracer}]\n---\nkind: Role\n",
            false,
            &[
                "other may pods get",
                "other may pods list",
                "other may pods watch",
                "other may events create",
                "other may events patch",
                "allowed to pods get",
                "allowed to pods list",
                "allowed to pods watch",
                "allowed to events create",
                "allowed to events patch",
            ],
        );
    }

    #[test]
    fn less_than_is_promised_is_refused() {
        check("[get, list, watch]", "[get, list]", false, &["must be allowed to pods watch"]);
        check("get", "get", true, &["must be allowed to pods patch"]);
    }

    #[test]
    fn where_there_is_no_agent_nobody_has_permissions() {
        assert!(breaches(&[], false).is_empty());
    }
}

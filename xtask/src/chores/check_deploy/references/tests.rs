//! References over a small set of objects, with one of them broken at a time. They know nothing of
//! deploy/.

use super::super::object::objects;
use super::*;

const GOOD: &str = "
{apiVersion: v1, kind: Namespace, metadata: {name: space}}
---
{apiVersion: v1, kind: ConfigMap, metadata: {name: settings, namespace: space}, data: {a.toml: ''}}
---
{apiVersion: v1, kind: ServiceAccount, metadata: {name: account, namespace: space}}
---
{apiVersion: scheduling.k8s.io/v1, kind: PriorityClass, metadata: {name: first}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: d, namespace: space}
spec:
  selector: {matchLabels: {app: d}}
  template:
    metadata: {labels: {app: d}}
    spec:
      serviceAccountName: account
      priorityClassName: first
      containers:
        - name: c
          ports: [{name: http, containerPort: 80, protocol: TCP}]
          livenessProbe: {httpGet: {port: http}}
          env: [{name: A, valueFrom: {configMapKeyRef: {name: settings, key: a.toml}}}]
          volumeMounts: [{name: files, mountPath: /files}]
      volumes:
        - {name: files, configMap: {name: settings, items: [{key: a.toml, path: a}]}}
---
apiVersion: v1
kind: Service
metadata: {name: s, namespace: space}
spec: {selector: {app: d}, ports: [{port: 80, targetPort: http, protocol: TCP}]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: r, namespace: space}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: b, namespace: space}
roleRef: {kind: Role, name: r}
subjects: [{kind: ServiceAccount, name: account, namespace: space}]
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: h, namespace: space}
spec: {scaleTargetRef: {kind: Deployment, name: d}}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: p, namespace: space}
spec: {selector: {matchLabels: {app: d}}}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: np, namespace: space}
spec: {podSelector: {matchLabels: {app: d}}}
---
apiVersion: monitoring.coreos.com/v1
kind: PodMonitor
metadata: {name: m, namespace: space}
spec: {selector: {matchLabels: {app: d}}, podMetricsEndpoints: [{port: http}]}
---
apiVersion: cert-manager.io/v1
kind: Issuer
metadata: {name: i, namespace: space}
---
apiVersion: cert-manager.io/v1
kind: Certificate
metadata: {name: ca, namespace: space}
spec: {secretName: tls, issuerRef: {kind: Issuer, name: i}}
";

#[test]
fn what_is_named_and_there_is_no_breach() {
    let found = breaches(&objects(GOOD));
    assert!(found.is_empty(), "{found:?}");
}

#[test]
fn what_is_named_and_not_there_is_one() {
    for (good, bad, expected) in [
        ("name: settings, key", "name: gone, key", "the ConfigMap gone"),
        ("configMap: {name: settings,", "configMap: {name: gone,", "the ConfigMap gone"),
        ("key: a.toml, path", "key: b.toml, path", "the key b.toml"),
        ("configMap: {name: settings,", "secret: {secretName: gone,", "the Secret gone"),
        ("serviceAccountName: account", "serviceAccountName: gone", "the ServiceAccount gone"),
        ("priorityClassName: first", "priorityClassName: gone", "the PriorityClass gone"),
        ("httpGet: {port: http}", "httpGet: {port: gone}", "the port gone"),
        ("volumeMounts: [{name: files,", "volumeMounts: [{name: gone,", "mounts gone"),
        ("volumeMounts: [{name: files, mountPath: /files}]", "", "nothing mounts its volume files"),
        (
            "spec: {selector: {app: d}",
            "spec: {selector: {app: gone}",
            "Service space/s: its selector fits no pod",
        ),
        ("targetPort: http, protocol: TCP", "targetPort: gone, protocol: TCP", "no port \"gone\""),
        ("targetPort: http, protocol: TCP", "targetPort: http, protocol: UDP", "of \"UDP\""),
        ("roleRef: {kind: Role, name: r}", "roleRef: {kind: Role, name: gone}", "the Role gone"),
        (
            "name: account, namespace: space}]",
            "name: gone, namespace: space}]",
            "the ServiceAccount space/gone",
        ),
        ("{kind: Deployment, name: d}", "{kind: Deployment, name: gone}", "the Deployment gone"),
        (
            "  selector: {matchLabels: {app: d}}",
            "  replicas: 1\n  selector: {matchLabels: {app: d}}",
            "would set it back",
        ),
        (
            "  selector: {matchLabels: {app: d}}",
            "  selector: {matchLabels: {app: e}}",
            "its own pods",
        ),
        (
            "spec: {selector: {matchLabels: {app: d}}}",
            "spec: {selector: {matchLabels: {app: e}}}",
            "PodDisruptionBudget space/p",
        ),
        (
            "podSelector: {matchLabels: {app: d}}",
            "podSelector: {matchLabels: {app: e}}",
            "NetworkPolicy space/np",
        ),
        (
            "podSelector: {matchLabels: {app: d}}",
            "podSelector: {matchExpressions: []}",
            "not understood",
        ),
        (
            "podMetricsEndpoints: [{port: http}]",
            "podMetricsEndpoints: [{port: gone}]",
            "has no port gone",
        ),
        (
            "issuerRef: {kind: Issuer, name: i}",
            "issuerRef: {kind: Issuer, name: gone}",
            "the Issuer gone",
        ),
        (
            "kind: Namespace, metadata: {name: space}",
            "kind: Namespace, metadata: {name: o}",
            "its namespace space",
        ),
        (
            "{name: ca, namespace: space}",
            "{name: ca, namespace: space}\n---\n{kind: Role, metadata: {name: r, namespace: space}}\n---\nkind: Certificate\nmetadata: {name: cb, namespace: space}",
            "is there twice",
        ),
    ] {
        assert!(GOOD.contains(good), "{good}");
        let found = breaches(&objects(&GOOD.replace(good, bad)));
        assert!(found.iter().any(|breach| breach.contains(expected)), "{bad}: {found:?}");
    }
}

#[test]
fn a_secret_may_be_made_by_a_certificate() {
    let secret = GOOD.replace(
        "configMap: {name: settings, items: [{key: a.toml, path: a}]}",
        "secret: {secretName: tls}",
    );
    assert!(breaches(&objects(&secret)).is_empty());
}

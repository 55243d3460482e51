//! What the programs print against what a pod says, and a program that refuses. They know the shape
//! of what is printed, no real program.

use super::super::object::objects;
use super::*;

const GATEWAY: &str = "
kind: Deployment
metadata: {name: d, namespace: n}
spec:
  template:
    spec:
      terminationGracePeriodSeconds: 40
      volumes: [{name: realms, configMap: {name: realms}}]
      containers:
        - image: host/macula-gateway:1
          args: [run]
          ports: [{name: quic, containerPort: 9443}, {name: health, containerPort: 8080}]
          env: [{name: GATEWAY_CONFIG, value: /etc/gateway/realms.toml}, {name: OTHER, value: x}]
          volumeMounts: [{name: realms, mountPath: /etc/gateway}]
---
{kind: ConfigMap, metadata: {name: realms, namespace: n}, data: {realms.toml: 'name = 1'}}
";

const PRINTED: &str =
    "GATEWAY_PORT=9443\nHEALTH_PORT=8080\nGATEWAY_DRAIN_DELAY=5\nGATEWAY_GRACE=25\n";

fn container(objects: &[Object]) -> (Pod<'_>, &Value) {
    let pod = objects[0].pod().unwrap();
    (pod, pod.containers().next().unwrap())
}

#[test]
fn a_gateway_waits_less_than_kubernetes_and_listens_where_it_says() {
    let check = |yaml: &str, printed: &str, expected: Option<&str>| {
        let objects = objects(yaml);
        let (pod, container) = container(&objects);
        let found = gateway_agrees(pod, container, printed);
        assert_eq!(found.len(), usize::from(expected.is_some()), "{found:?}");
        assert!(expected.is_none_or(|expected| found[0].contains(expected)), "{found:?}");
    };
    check(GATEWAY, PRINTED, None);
    check(&GATEWAY.replace("Seconds: 40", "Seconds: 30"), PRINTED, Some("must be above"));
    check(GATEWAY, &PRINTED.replace("=9443", "=9444"), Some("its port quic"));
    check(GATEWAY, &PRINTED.replace("GATEWAY_GRACE=25", ""), Some("prints no"));
}

#[test]
fn a_tracer_writes_where_it_can() {
    let objects = objects(
        "
kind: DaemonSet
metadata: {name: t, namespace: n}
spec: {template: {spec: {containers: [{image: 'macula-tracer:1', ports: [{name: metrics, containerPort: 9469}],
  volumeMounts: [{mountPath: /run}, {mountPath: /sys}, {mountPath: /sys/fs/bpf}, {mountPath: /var/lib/tracer, readOnly: true}]}]}}}",
    );
    let (pod, container) = container(&objects);
    let printed = "store = \"/var/lib/tracer/db\"\nsocket = \"/run/a\"\npin_dir = \"/sys/fs/bpf/t\"\nmetrics_listen = \"0.0.0.0:9469\"\n";
    let found = tracer_agrees(pod, container, printed);
    assert_eq!(found, ["store is /var/lib/tracer/db, where no volume is mounted to be written"]);
    let moved = printed.replace("9469", "9470").replace("/var/lib/tracer", "/run");
    assert!(tracer_agrees(pod, container, &moved)[0].contains("its port metrics"));
}

#[test]
fn a_variable_that_looks_like_a_setting_is_one() {
    let objects = objects(GATEWAY);
    let (_, container) = container(&objects);
    assert!(unknown(container, "[env: GATEWAY_CONFIG=]").is_empty());
    assert_eq!(unknown(container, "").len(), 1);
}

#[test]
fn a_program_is_started_with_the_containers_arguments_and_its_refusal_is_told() {
    let objects = objects(GATEWAY);
    let (pod, container) = container(&objects);
    let start = |program: &str| printed(&objects, pod, container, Path::new(program)).unwrap();
    assert_eq!(start("/bin/echo").unwrap(), "run --print-config\n");
    assert!(start("/bin/false").unwrap_err().contains("failed"));
}

#[test]
fn a_setting_that_names_a_mounted_file_names_the_one_that_is_there() {
    let objects = objects(GATEWAY);
    let (pod, container) = container(&objects);
    let files = mounted(&objects, pod, container);
    assert_eq!(files["/etc/gateway"]["realms.toml"], "name = 1");
    let root = tempfile::tempdir().unwrap();
    let variable = |value: &str| value_of(&serde_json::json!({"value": value}), root.path());
    assert_eq!(variable("/etc/realms.toml"), "/etc/realms.toml");
    fs::create_dir(root.path().join("etc")).unwrap();
    fs::write(root.path().join("etc/realms.toml"), "").unwrap();
    assert_eq!(variable("/etc/realms.toml"), root.path().join("etc/realms.toml").to_str().unwrap());
    assert_eq!(value_of(&serde_json::json!({"valueFrom": {}}), root.path()).len(), 64);
}

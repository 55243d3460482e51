//! Pods as the API writes them, kept and watched.

use std::time::Duration;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{fake_api::FakeApi, *};

const FINISHED: &str = "2026-01-01T00:00:09Z";

pub fn pod(uid: &str) -> Value {
    json!({
        "metadata": {"name": "gateway-0", "namespace": "macula", "uid": uid, "resourceVersion": "1",
            "ownerReferences": [
                {"apiVersion": "v1", "kind": "Other", "name": "x", "uid": "o"},
                {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "gateway-5d", "uid": "r", "controller": true}]},
        "spec": {
            "restartPolicy": "Always",
            "initContainers": [
                {"name": "migrate", "image": "x"},
                {"name": "proxy", "restartPolicy": "Always", "livenessProbe": {"grpc": {"port": 9000}}}],
            "containers": [
                {"name": "gateway",
                 "ports": [{"name": "health", "containerPort": 8080}, {"containerPort": 9443, "protocol": "UDP"}],
                 "livenessProbe": {"httpGet": {"path": "/live", "port": "health", "scheme": "HTTP"},
                    "initialDelaySeconds": 5, "periodSeconds": 3, "failureThreshold": 4},
                 "startupProbe": {"tcpSocket": {"port": 9443}}},
                {"name": "helper", "livenessProbe": {"exec": {"command": ["/healthy", "-q"]}}}]},
        "status": {"phase": "Running", "containerStatuses": [
            {"name": "gateway", "containerID": "containerd://c1", "started": true, "state": {"running": {"startedAt": FINISHED}}},
            {"name": "helper", "containerID": "cri-o://c2", "started": false, "state": {"waiting": {"reason": "x"}}}]},
    })
}

fn read(object: Value) -> Pod {
    Pod::read(object).unwrap()
}

fn deleting(uid: &str) -> Value {
    let mut pod = pod(uid);
    pod["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:40Z".into();
    pod["metadata"]["deletionGracePeriodSeconds"] = 30.into();
    pod
}

#[test]
fn what_matters_of_a_pod_is_kept() {
    let pod = read(pod("u1"));
    assert_eq!(pod.uid, "u1");
    assert_eq!(pod.owner, Some(("ReplicaSet".to_owned(), "gateway-5d".to_owned())));
    let kinds: Vec<(&str, Kind)> =
        pod.containers.iter().map(|it| (it.name.as_str(), it.kind)).collect();
    let expected = [
        ("migrate", Kind::Init),
        ("proxy", Kind::Sidecar),
        ("gateway", Kind::Main),
        ("helper", Kind::Main),
    ];
    assert_eq!(kinds, expected);
    let gateway = pod.container(Some("gateway"), "").unwrap();
    let liveness = gateway.liveness.clone().unwrap();
    let port = |number| Port { number: Some(number), host: None };
    assert_eq!(
        liveness.asks,
        Asks::Http { port: port(8080), path: "/live".to_owned(), tls: false }
    );
    assert_eq!(liveness.earliest_ns(), 14_000_000_000);
    assert_eq!(gateway.startup.clone().unwrap().asks, Asks::Tcp(port(9443)));
    assert_eq!((gateway.id.as_deref(), gateway.started), (Some("c1"), true));
    let helper = pod.container(None, "c2").unwrap();
    let command = ["/healthy", "-q"].map(Text::from).to_vec();
    assert_eq!(helper.liveness.clone().unwrap().asks, Asks::Command(command));
    // As Kubernetes' defaults have it: every 10 s, three times.
    assert_eq!(helper.liveness.clone().unwrap().earliest_ns(), 20_000_000_000);
}

#[test]
fn a_deletion_was_asked_for_before_its_grace() {
    let expected = "2026-01-01T00:00:10Z".parse().map(wall).ok();
    assert_eq!(read(deleting("u1")).deleted_ns, expected);
    assert_eq!(read(pod("u1")).deleted_ns, None);
}

#[test]
fn a_static_pod_goes_by_the_uid_that_its_containers_have() {
    let mut mirror = pod("u1");
    mirror["metadata"]["annotations"] = json!({"kubernetes.io/config.mirror": "abc"});
    assert_eq!(read(mirror).uid, "abc");
}

#[test]
fn the_kubelets_reasons_are_read() {
    for (reason, why) in [
        ("Evicted", Some(RemovalWhy::Evicted)),
        ("Preempting", Some(RemovalWhy::Evicted)),
        ("Terminated", Some(RemovalWhy::NodeShutdown)),
        ("NodeShutdown", Some(RemovalWhy::NodeShutdown)),
        ("DeadlineExceeded", Some(RemovalWhy::DeadlineExceeded)),
        ("NodeLost", None),
    ] {
        let mut pod = pod("u1");
        pod["status"]["reason"] = reason.into();
        pod["status"]["message"] = "é".repeat(9999).into();
        let removal = read(pod).removal;
        assert_eq!(removal.as_ref().map(|(why, _)| *why), why, "{reason}");
        assert!(removal.is_none_or(|(_, message)| message.len() <= MESSAGE));
    }
}

#[test]
fn only_a_pod_whose_containers_stay_ended_has_finished() {
    let mut pod = pod("u1");
    let ended = json!({"terminated": {"exitCode": 0, "finishedAt": FINISHED}});
    pod["status"]["containerStatuses"][0]["state"] = ended.clone();
    pod["spec"]["restartPolicy"] = "OnFailure".into();
    assert_eq!(read(pod.clone()).finished_ns(), None);
    pod["status"]["containerStatuses"][1]["state"] = ended;
    assert_eq!(read(pod.clone()).finished_ns(), FINISHED.parse().map(wall).ok());
    pod["spec"]["restartPolicy"] = "Always".into();
    assert_eq!(read(pod).finished_ns(), None);
}

#[test]
fn a_deleted_pod_is_known_for_a_while_and_a_list_that_is_behind_takes_nothing_back() {
    const MINUTE_NS: u64 = 60_000_000_000;
    let mut known = Known::default();
    assert_eq!(known.listed(vec![read(pod("u1")), read(pod("u2"))], 5), ["u1", "u2"]);
    assert!(!known.applied(read(pod("u1")), 6));
    assert!(known.applied(read(deleting("u1")), 7));
    assert!(known.listed(vec![read(pod("u1")), read(pod("u2"))], 8).is_empty());
    let entry = known.get("u1").unwrap();
    assert_eq!((entry.is_deleted(), entry.deleted_seen_ns), (true, Some(7)));
    // Gone from a list, and back: that list was behind.
    assert_eq!(known.listed(vec![read(pod("u1"))], 9), ["u2"]);
    assert_eq!(known.get("u2").unwrap().deleted_seen_ns, Some(9));
    assert!(known.applied(read(pod("u2")), 10));
    assert!(!known.get("u2").unwrap().is_deleted());
    assert!(known.deleted(read(pod("u2")), 11));
    assert!(!known.applied(read(pod("u2")), 12));
    assert!(known.get("u2").unwrap().is_deleted());
    known.tick(9 * MINUTE_NS);
    assert_eq!(known.len(), 2);
    known.tick(11 * MINUTE_NS);
    assert!(known.get("u2").is_none() && known.get("u1").is_some());
}

#[test]
fn that_an_instance_had_started_is_known_after_its_end() {
    let mut known = Known::default();
    known.applied(read(pod("u1")), 1);
    let mut ended = pod("u1");
    ended["status"]["containerStatuses"][0] = json!({"name": "gateway", "containerID": "containerd://c9", "started": false, "state": {"running": {}}});
    known.applied(read(ended), 2);
    let entry = known.get("u1").unwrap();
    assert!(entry.has_started("gateway", "c1"));
    assert!(!entry.has_started("gateway", "c9") && !entry.has_started("helper", "c2"));
}

/// Waits for a change that is no failure.
async fn next(stream: &mut Stream) -> Change {
    tokio::time::timeout(Duration::from_secs(20), async {
        loop {
            match stream.next().await {
                Change::Failed(_) => {}
                told => return told,
            }
        }
    })
    .await
    .unwrap()
}

fn uids(change: Change) -> Vec<String> {
    match change {
        Change::Listed(pods) => pods.into_iter().map(|pod| pod.uid).collect(),
        Change::Applied(pod) | Change::Deleted(pod) => vec![pod.uid],
        Change::Failed(error) => panic!("{error}"),
    }
}

#[tokio::test]
async fn pods_of_the_node_are_listed_then_watched() {
    let api = FakeApi::start(vec![pod("u1")]).await;
    let mut stream = Stream::new(api.client(), "node1");
    assert_eq!(uids(next(&mut stream).await), ["u1"]);
    api.tells("ADDED", pod("u2"));
    assert_eq!(uids(next(&mut stream).await), ["u2"]);
    api.tells("DELETED", pod("u2"));
    assert!(matches!(next(&mut stream).await, Change::Deleted(_)));
    for asked in api.asked() {
        assert!(asked.contains("fieldSelector=spec.nodeName=node1"), "{asked}");
        assert!(!asked.contains("sendInitialEvents"), "{asked}");
    }
}

#[tokio::test]
async fn a_watch_that_is_cut_goes_on_where_it_was() {
    let api = FakeApi::start(vec![pod("u1")]).await;
    let mut stream = Stream::new(api.client(), "node1");
    next(&mut stream).await;
    api.tells("ADDED", pod("u2"));
    next(&mut stream).await;
    api.cuts();
    api.tells("ADDED", pod("u3"));
    assert_eq!(uids(next(&mut stream).await), ["u3"]);
}

#[tokio::test]
async fn what_is_too_old_to_be_watched_is_listed_anew() {
    let api = FakeApi::start(vec![pod("u1")]).await;
    let mut stream = Stream::new(api.client(), "node1");
    next(&mut stream).await;
    api.has(vec![pod("u5")]);
    let gone = json!({"type": "ERROR", "object": {"kind": "Status", "apiVersion": "v1", "metadata": {},
        "status": "Failure", "message": "too old resource version", "reason": "Expired", "code": 410}});
    api.writes(&gone.to_string());
    let failed = stream.next().await;
    assert!(matches!(&failed, Change::Failed(why) if why.contains("too old")), "{failed:?}");
    assert_eq!(uids(next(&mut stream).await), ["u5"]);
}

#[tokio::test]
async fn garbage_and_an_api_that_is_away_are_failures_after_which_all_is_listed() {
    let api = FakeApi::start(vec![pod("u1")]).await;
    api.fails(1);
    let mut stream = Stream::new(api.client(), "node1");
    assert!(matches!(stream.next().await, Change::Failed(_)));
    assert_eq!(uids(next(&mut stream).await), ["u1"]);
    api.writes("{\"type\":\"ADDED\",\"object\":{\"metadata\":7}}");
    assert!(matches!(stream.next().await, Change::Failed(_)));
    assert_eq!(uids(next(&mut stream).await), ["u1"]);
}

fn mutate(value: &mut Value, path: &[prop::sample::Index], to: &Value) {
    let Some((first, rest)) = path.split_first() else {
        *value = to.clone();
        return;
    };
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            let at = first.index(fields.len());
            if let Some(value) = fields.values_mut().nth(at) {
                mutate(value, rest, to);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            let at = first.index(items.len());
            mutate(&mut items[at], rest, to);
        }
        other => *other = to.clone(),
    }
}

proptest! {
    #[test]
    fn any_pod_is_read_or_refused(
        paths in prop::collection::vec(prop::collection::vec(any::<prop::sample::Index>(), 1..8), 1..4),
        to in prop::sample::select(vec![
            Value::Null, json!(-1), json!(1e30), json!(70000), json!("Ünï"), json!([]), json!({}), json!([null]), json!(true),
        ]),
    ) {
        let mut object = deleting("u1");
        paths.iter().for_each(|path| mutate(&mut object, path, &to));
        if let Some(pod) = Pod::read(object) {
            let mut known = Known::default();
            pod.finished_ns();
            for container in &pod.containers {
                let probes = [&container.liveness, &container.startup];
                probes.into_iter().flatten().for_each(|probe| { probe.earliest_ns(); });
            }
            let uid = pod.uid.clone();
            known.applied(pod, 1);
            prop_assert!(known.get(&uid).is_some());
        }
    }
}

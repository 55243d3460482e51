//! Tests of attribution against a runtime that is late, away, slow, old or talks nonsense.

use tempfile::TempDir;

use super::*;
use crate::node::attribute::fake_runtime::{self, Behaviour, FakeRuntime};

fn attributor(folder: &TempDir, patience: Patience) -> Attributor {
    let socket = folder.path().join("runtime.sock");
    Attributor::new(&[socket], Some("node1".to_owned()), patience).unwrap()
}

/// Many short pauses: a test waits for what it needs, not for the clock.
fn patient() -> Patience {
    Patience {
        pauses: vec![Duration::from_millis(1); 2000],
        call: Duration::from_secs(10),
        total: Duration::from_secs(10),
    }
}

fn start(folder: &TempDir, behaviour: Behaviour) -> FakeRuntime {
    FakeRuntime::start(&folder.path().join("runtime.sock"), behaviour)
}

fn identity(answer: Answer) -> Identity {
    match answer {
        Answer::Container(identity) => identity,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_container_is_named_with_its_pod() {
    let folder = tempfile::tempdir().unwrap();
    let _runtime = start(&folder, Behaviour::default());
    let found = identity(attributor(&folder, patient()).identify("c1", Some("uid-1")).await);
    let expect = Identity {
        container_id: "c1".to_owned(),
        container_name: Some("gateway".to_owned()),
        image: Some("localhost/gateway:1".to_owned()),
        image_id: Some("sha256:00".to_owned()),
        attempt: Some(3),
        pod_name: Some("gateway-0".to_owned()),
        pod_uid: Some("uid-1".to_owned()),
        namespace: Some("macula-system".to_owned()),
        labels: [("app".to_owned(), "macula-gateway".to_owned())].into(),
        runtime: Some("containerd".to_owned()),
        node: Some("node1".to_owned()),
        source: Source::Cri,
        lacks: None,
    };
    assert_eq!(found, expect);
}

#[tokio::test]
async fn a_container_is_asked_for_until_the_runtime_knows_it() {
    let folder = tempfile::tempdir().unwrap();
    let _runtime = start(&folder, Behaviour { ignorant_calls: 8, ..Behaviour::default() });
    let attributor = attributor(&folder, patient());
    assert_eq!(identity(attributor.identify("c1", None).await).attempt, Some(3));
    assert_eq!(attributor.metrics().retries.get(), 4);
    assert_eq!(attributor.metrics().failed_calls.get(), 0);
}

#[tokio::test]
async fn the_pause_container_is_told_from_the_pods_own() {
    let folder = tempfile::tempdir().unwrap();
    let _runtime = start(&folder, Behaviour::default());
    let answer = attributor(&folder, patient()).identify("s1", None).await;
    let Answer::Pause(pod) = answer else { panic!("{answer:?}") };
    assert_eq!(pod.pod_name.as_deref(), Some("gateway-0"));
    assert_eq!(pod.container_name, None);
}

#[tokio::test]
async fn a_pod_on_another_kernel_is_not_called_quiet() {
    let folder = tempfile::tempdir().unwrap();
    let mut behaviour = Behaviour::default();
    behaviour.sandboxes[0].runtime_handler = "kata-qemu".to_owned();
    let _runtime = start(&folder, behaviour);
    let attributor = attributor(&folder, patient());
    for id in ["c1", "s1"] {
        let answer = attributor.identify(id, None).await;
        let Answer::Unobservable(pod) = answer else { panic!("{answer:?}") };
        assert!(pod.lacks.unwrap().contains("virtual machine"));
        assert_eq!(pod.namespace.as_deref(), Some("macula-system"));
    }
}

#[tokio::test]
async fn a_container_that_nobody_knows_is_known_by_its_path() {
    let folder = tempfile::tempdir().unwrap();
    let _runtime = start(&folder, Behaviour::default());
    let patience = Patience { pauses: vec![Duration::from_millis(1); 2], ..patient() };
    let attributor = attributor(&folder, patience);
    let answer = attributor.identify("c9", Some("uid-9")).await;
    let Answer::Unknown(found) = answer else { panic!("{answer:?}") };
    assert_eq!((found.source, found.pod_uid.as_deref()), (Source::Path, Some("uid-9")));
    assert_eq!(found.node.as_deref(), Some("node1"));
    assert!(found.lacks.unwrap().contains("does not know it"));
    assert_eq!(attributor.metrics().retries.get(), 2);
}

#[tokio::test]
async fn a_runtime_that_comes_up_late_is_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let attributor = attributor(&folder, patient());
    let late = async {
        while attributor.metrics().retries.get() < 3 {
            tokio::task::yield_now().await;
        }
        start(&folder, Behaviour::default())
    };
    let (answer, _runtime) = tokio::join!(attributor.identify("c1", None), late);
    identity(answer);
}

#[tokio::test]
async fn a_late_question_is_asked_again_as_soon_as_a_runtime_is_back() {
    let folder = tempfile::tempdir().unwrap();
    let patience = Patience { pauses: Vec::new(), ..patient() };
    let mut attributor = attributor(&folder, patience);
    // Without being woken it would not ask again in the time of any test.
    let never = Duration::from_secs(1_000_000);
    attributor.long = Patience { pauses: vec![never], call: never, total: never * 2 };
    assert!(matches!(attributor.identify("c1", None).await, Answer::Unknown(_)));
    assert!(attributor.runtime_answers().await.is_err());
    let comes_back = async {
        while attributor.metrics().retries.get() < 1 {
            tokio::task::yield_now().await;
        }
        let runtime = start(&folder, Behaviour::default());
        assert!(attributor.runtime_answers().await.is_ok());
        runtime
    };
    let (answer, _runtime) = tokio::join!(attributor.identify_late("c1", None), comes_back);
    identity(answer);
}

#[tokio::test]
async fn a_restarted_runtime_is_asked_again() {
    let folder = tempfile::tempdir().unwrap();
    let attributor = attributor(&folder, patient());
    let first = start(&folder, Behaviour::default());
    identity(attributor.identify("c1", None).await);
    first.stop().await;
    assert!(matches!(attributor.runtime_answers().await, Err(Unanswered::NoSocket(_))));
    let mut behaviour = Behaviour::default();
    behaviour.containers.push(fake_runtime::container("c2", "s1"));
    let _second = start(&folder, behaviour);
    identity(attributor.identify("c2", None).await);
    assert_eq!(attributor.runtime_answers().await.unwrap().runtime_name, "containerd");
}

#[tokio::test]
async fn a_call_that_is_not_answered_is_given_up_and_asked_again() {
    let folder = tempfile::tempdir().unwrap();
    let _runtime = start(&folder, Behaviour { silent_calls: 1, ..Behaviour::default() });
    let patience = Patience { call: Duration::from_millis(200), ..patient() };
    let attributor = attributor(&folder, patience);
    identity(attributor.identify("c1", None).await);
    assert_eq!(attributor.metrics().failed_calls.get(), 1);
}

#[tokio::test]
async fn a_runtime_that_never_answers_does_not_hold_anything_up() {
    let folder = tempfile::tempdir().unwrap();
    let _runtime = start(&folder, Behaviour { silent_calls: 1000, ..Behaviour::default() });
    let patience = Patience { total: Duration::from_millis(100), ..patient() };
    let attributor = attributor(&folder, patience);
    let answer = attributor.identify("c1", None).await;
    let Answer::Unknown(found) = answer else { panic!("{answer:?}") };
    assert!(found.lacks.unwrap().contains("did not answer"));
}

#[tokio::test]
async fn garbage_is_an_unanswered_call() {
    let folder = tempfile::tempdir().unwrap();
    let _runtime = start(&folder, Behaviour { garbage_calls: 2, ..Behaviour::default() });
    let attributor = attributor(&folder, patient());
    assert!(attributor.runtime_answers().await.is_err());
    identity(attributor.identify("c1", None).await);
    assert_eq!(attributor.metrics().failed_calls.get(), 2);
}

#[tokio::test]
async fn an_old_runtime_is_asked_by_the_old_name() {
    let folder = tempfile::tempdir().unwrap();
    let service = "runtime.v1alpha2.RuntimeService";
    let runtime = start(&folder, Behaviour { service, ..Behaviour::default() });
    let attributor = attributor(&folder, patient());
    identity(attributor.identify("c1", None).await);
    let calls = ["ListContainers", "ListContainers", "ListPodSandbox", "Version"];
    assert_eq!(runtime.calls(), calls);
}

#[tokio::test]
async fn a_socket_without_the_interface_does_not_hide_the_runtime_behind_it() {
    let folder = tempfile::tempdir().unwrap();
    let sockets = ["docker.sock", "runtime.sock"].map(|name| folder.path().join(name));
    let _docker =
        FakeRuntime::start(&sockets[0], Behaviour { service: "none", ..Behaviour::default() });
    let _runtime = start(&folder, Behaviour::default());
    let attributor = Attributor::new(&sockets, None, patient()).unwrap();
    identity(attributor.identify("c1", None).await);
    assert!(attributor.runtime_answers().await.is_ok());
    assert_eq!(attributor.metrics().failed_calls.get(), 0);
}

#[tokio::test]
async fn a_pod_is_asked_for_once() {
    let folder = tempfile::tempdir().unwrap();
    let mut behaviour = Behaviour::default();
    behaviour.containers.push(fake_runtime::container("c2", "s1"));
    let runtime = start(&folder, behaviour);
    let attributor = attributor(&folder, patient());
    identity(attributor.identify("c1", None).await);
    identity(attributor.identify("c2", None).await);
    let asked = runtime.calls().into_iter().filter(|call| call == "ListPodSandbox").count();
    assert_eq!(asked, 1);
}

#[tokio::test]
async fn the_status_says_why_a_container_did_not_start() {
    let folder = tempfile::tempdir().unwrap();
    let status = ContainerStatus {
        id: "c1".to_owned(),
        exit_code: 128,
        reason: "StartError".to_owned(),
        message: "exec: \"/gone\": no such file or directory".to_owned(),
        log_path: "/var/log/pods/x/gateway/3.log".to_owned(),
        ..ContainerStatus::default()
    };
    let statuses = vec![status.clone()];
    let _runtime = start(&folder, Behaviour { statuses, ..Behaviour::default() });
    let attributor = attributor(&folder, patient());
    assert_eq!(attributor.status("c1").await.unwrap(), Some(status));
    assert_eq!(attributor.status("c9").await.unwrap(), None);
}

#[test]
fn remembered_sandboxes_are_bounded() {
    let mut sandboxes = Sandboxes::default();
    for number in 0..SANDBOXES * 2 {
        sandboxes.remember(Arc::new(fake_runtime::sandbox(&number.to_string())));
        sandboxes.remember(Arc::new(fake_runtime::sandbox("0")));
    }
    assert!(sandboxes.by_id.len() <= SANDBOXES);
    assert_eq!(sandboxes.by_id.len(), sandboxes.oldest_first.len());
}

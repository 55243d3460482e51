//! The query verbs asking all agents of a cluster: what several nodes tell is put together, and whoever does not answer
//! is named. The API server is of our own making, the agents' routes are real.
#![allow(clippy::unwrap_used, reason = "a test that fails by panicking works")]

mod api_server;
mod remembered;

use std::{
    net::SocketAddr,
    path::Path,
    process::{Output, Stdio},
    sync::Arc,
};

use api_server::{Agent, Allowed, ApiServer};
use remembered::{Death, Remembered};
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::Command,
    sync::watch,
    task::JoinSet,
};
use tracer::node::{
    api::{self, Listener},
    live::{Bus, Line},
    metrics::Metrics,
};

/// The agent of one node.
struct Node {
    bus: Bus,
    address: SocketAddr,
    _store: Remembered,
    _close: watch::Sender<bool>,
    _server: JoinSet<()>,
}

impl Node {
    async fn new(mut store: Remembered) -> Self {
        store.flush();
        let metrics = Arc::new(Metrics::new());
        let bus = Bus::new(metrics.clone());
        let agent = api::Agent { metrics, health: Arc::default() };
        let router = api::on_loopback(api::data_router(&store.path(), bus.clone(), agent));
        let listener = Listener::loopback("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let address = listener.address().unwrap();
        let (close, closing) = watch::channel(false);
        let mut server = JoinSet::new();
        server.spawn(api::serve(listener, router, closing));
        Self { bus, address, _store: store, _close: close, _server: server }
    }

    fn agent(&self) -> Agent {
        Agent::At(self.address)
    }

    fn tell(&self, json: &str) {
        let line = Line { json: json.to_owned(), kind: "exec", identity: None, cause: None };
        self.bus.publish(line);
    }

    async fn is_followed(&self) {
        while !self.bus.is_followed() {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    }
}

/// On `west`: `cart-0` again, which was moved there and died once more, and `web-0`.
fn west() -> Remembered {
    let mut store = Remembered::of_node("west");
    let cart = Death {
        recording: "exit_3_silent",
        namespace: "shop",
        pod: "cart-0",
        container: "cart",
        restarts: 0,
        digit: '1',
    };
    store.add(&cart);
    store.add(&Death { recording: "aborted", pod: "web-0", container: "web", digit: '2', ..cart });
    store
}

/// Two nodes that answer, and others.
struct Cluster {
    east: Node,
    west: Node,
    server: ApiServer,
}

impl Cluster {
    async fn new(others: &[(&'static str, Agent)]) -> Self {
        Self::allowing(Allowed::Everything, others).await
    }

    async fn allowing(allowed: Allowed, others: &[(&'static str, Agent)]) -> Self {
        let (east, west) = (Node::new(Remembered::shop()).await, Node::new(west()).await);
        let nodes = [&[("node1", east.agent()), ("west", west.agent())], others].concat();
        Self { east, west, server: ApiServer::new(&nodes, allowed).await }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = command(Path::new(env!("CARGO_BIN_EXE_tracer")), arguments);
        command.arg("--kubeconfig").arg(self.server.kubeconfig());
        command
    }

    async fn ask(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().await.unwrap()
    }

    /// Stdout, where all went well.
    async fn told(&self, arguments: &[&str]) -> String {
        let output = self.ask(arguments).await;
        assert_eq!(output.status.code(), Some(0), "{}", told(&output));
        assert!(output.stderr.is_empty(), "{}", told(&output));
        text(&output.stdout)
    }

    async fn objects(&self, arguments: &[&str]) -> Vec<Value> {
        objects(&self.told(&[arguments, &["-o", "json"]].concat()).await)
    }
}

fn command(program: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments).env("COLUMNS", "100").env("HOME", "/nowhere").kill_on_drop(true);
    for variable in ["RUST_LOG", "NO_COLOR", "KUBECONFIG", "KUBERNETES_SERVICE_HOST"] {
        command.env_remove(variable);
    }
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Exit code, stdout and stderr in one text.
fn told(output: &Output) -> String {
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    format!("exit {:?}\n--- stdout\n{stdout}--- stderr\n{stderr}", output.status.code())
}

fn objects(lines: &str) -> Vec<Value> {
    lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn string<'a>(object: &'a Value, path: &str) -> &'a str {
    object.pointer(path).and_then(Value::as_str).unwrap_or_default()
}

fn is_sorted(objects: &[Value], path: &str) -> bool {
    objects.is_sorted_by_key(|object| string(object, path))
}

#[tokio::test]
async fn crashes_of_all_nodes_are_one_list_by_time() {
    let cluster = Cluster::new(&[]).await;
    let crashes = cluster.objects(&["crashes", "-A"]).await;
    assert!(crashes.len() == 6 && is_sorted(&crashes, "/crash/time"), "{crashes:#?}");
    let of_west = crashes.iter().filter(|crash| string(crash, "/k8s/node/name") == "west");
    assert_eq!(of_west.count(), 2);

    let output = cluster.ask(&["crashes", "--limit", "3", "-o", "json"]).await;
    assert_eq!(objects(&text(&output.stdout)), crashes[3..]);
    assert_eq!(text(&output.stderr), "tracer: these are the newest 3; --limit shows more\n");

    let table = cluster.told(&["crashes", "-n", "shop"]).await;
    let header: Vec<&str> = table.lines().next().unwrap().split_whitespace().collect();
    assert_eq!(header, ["WHEN", "POD", "CONTAINER", "RESTARTS", "CAUSE", "NODE", "SUMMARY"]);
    assert_eq!(table.matches(" west ").count(), 2, "{table}");
}

#[tokio::test]
async fn nodes_that_do_not_answer_are_named_and_the_others_told() {
    let others =
        [("hanging", Agent::Hangs), ("refusing", Agent::Refuses), ("starting", Agent::Pending)];
    let cluster = Cluster::new(&others).await;
    let silent = "\
tracer: no answer from refusing: nobody listens at port 9468 in its agent's pod macula-tracer-refusing (connection refused): see its log, and api_listen of its settings
tracer: no answer from hanging: the agent does not answer within 3s: see its log
tracer: no answer from starting: the phase of its agent's pod macula-tracer-starting is Pending (ImagePullBackOff)
";
    for (verb, count) in [("crashes", 6), ("timeline web-0", 1), ("explain cart-1", 1)] {
        let verb: Vec<&str> = verb.split(' ').collect();
        let output =
            cluster.ask(&[&verb[..], &["-o", "json", "--request-timeout", "3s"]].concat()).await;
        assert_eq!(output.status.code(), Some(2), "{}", told(&output));
        assert_eq!(objects(&text(&output.stdout)).len(), count, "{}", told(&output));
        assert_eq!(sorted(&text(&output.stderr)), sorted(silent));
    }
    let output = cluster.ask(&["crashes", "-n", "nowhere", "--request-timeout", "3s"]).await;
    assert_eq!(output.status.code(), Some(2), "{}", told(&output));
    assert!(text(&output.stderr).ends_with("tracer: no crashes found\n"), "{}", told(&output));
}

fn sorted(lines: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = lines.lines().collect();
    lines.sort_unstable();
    lines
}

#[tokio::test]
async fn a_death_is_found_on_the_node_that_has_it() {
    let cluster = Cluster::new(&[]).await;
    let timeline = cluster.told(&["timeline", "web-0", "-n", "shop"]).await;
    assert!(timeline.contains("SIGABRT"), "{timeline}");
    let explained = cluster.told(&["explain", "web"]).await;
    assert!(explained.contains("pod:       shop/web-0"), "{explained}");
    let page = cluster.told(&["timeline", "till-0", "-o", "html"]).await;
    assert!(page.starts_with("<!doctype html>"), "{page}");
    let by_id = cluster.objects(&["explain", "222222222222"]).await;
    assert_eq!(string(&by_id[0], "/k8s/pod/name"), "web-0");
}

#[tokio::test]
async fn a_pod_that_was_on_two_nodes_died_where_it_died_last() {
    let cluster = Cluster::new(&[]).await;
    let crashes = cluster.objects(&["crashes", "--all"]).await;
    let of_cart = |crash: &&Value| string(crash, "/k8s/pod/name") == "cart-0";
    let newest_first: Vec<&Value> = crashes.iter().rev().filter(of_cart).collect();
    assert_eq!(newest_first.len(), 3);
    for (previous, expected) in newest_first.iter().enumerate() {
        let previous = previous.to_string();
        for verb in ["timeline", "explain"] {
            let told = cluster.objects(&[verb, "cart-0", "--previous", &previous]).await;
            assert_eq!(told[0]["crash"], expected["crash"], "{verb} {previous}");
        }
    }
    let output = cluster.ask(&["explain", "cart-0", "--previous", "3"]).await;
    assert_eq!(output.status.code(), Some(1), "{}", told(&output));
}

#[tokio::test]
async fn a_name_that_fits_several_pods_lists_them_with_their_nodes() {
    let cluster = Cluster::new(&[]).await;
    insta::assert_snapshot!(told(&cluster.ask(&["timeline", "cart"]).await), @"
    exit Some(2)
    --- stdout
    --- stderr
    tracer: cart fits several, name one of them:
      shop/cart-0 on node1, west
      shop/cart-1 on node1
    ");
}

#[tokio::test]
async fn nothing_on_any_node_is_exit_code_1_and_a_wrong_question_told_once() {
    let cluster = Cluster::new(&[]).await;
    for verb in
        [&["crashes", "-n", "nowhere"][..], &["explain", "nobody"], &["events", "--pod", "nobody"]]
    {
        let output = cluster.ask(verb).await;
        assert_eq!(output.status.code(), Some(1), "{}", told(&output));
        assert_eq!(text(&output.stderr).lines().count(), 1, "{}", told(&output));
    }
    let output = cluster.ask(&["crashes", "--since", "soon"]).await;
    assert_eq!(output.status.code(), Some(2));
    let stderr = text(&output.stderr);
    assert!(stderr.starts_with("tracer: cannot understand the time \"soon\""), "{stderr}");
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
}

#[tokio::test]
async fn stored_events_of_all_nodes_come_by_time() {
    let cluster = Cluster::new(&[("refusing", Agent::Refuses)]).await;
    let output = cluster.ask(&["events", "-o", "json"]).await;
    assert_eq!(output.status.code(), Some(2));
    let events = objects(&text(&output.stdout));
    let mut nodes = Vec::new();
    for node in ["node1", "west"] {
        let alone = cluster.objects(&["events", "--node", node]).await;
        let of_node: Vec<&Value> =
            events.iter().filter(|event| string(event, "/k8s/node/name") == node).collect();
        assert!(of_node.iter().copied().eq(&alone), "{node}");
        nodes.push(alone);
    }
    assert_eq!(events.len(), nodes.concat().len());
    let first = cluster.ask(&["events", "-o", "json", "--limit", "7"]).await;
    assert_eq!(objects(&text(&first.stdout)), events[..7]);
    let lines = cluster.ask(&["events", "--limit", "1"]).await;
    let node = string(&events[0], "/k8s/node/name");
    assert!(text(&lines.stdout).starts_with(&format!("{node}  ")), "{}", told(&lines));
}

#[tokio::test]
async fn live_events_of_all_nodes_are_followed_and_a_node_that_ends_is_named() {
    let cluster = Cluster::new(&[]).await;
    let mut follower = cluster.command(&["events", "-f", "-o", "json"]).spawn().unwrap();
    cluster.east.is_followed().await;
    cluster.west.is_followed().await;
    let mut lines = BufReader::new(follower.stdout.take().unwrap()).lines();
    let mut errors = BufReader::new(follower.stderr.take().unwrap()).lines();
    for (node, json) in [(&cluster.east, "{\"n\":1}"), (&cluster.west, "{\"n\":2}")] {
        node.tell(json);
        assert_eq!(lines.next_line().await.unwrap().unwrap(), json);
    }
    cluster.west.bus.end();
    let named = errors.next_line().await.unwrap().unwrap();
    assert_eq!(named, "tracer: no answer from west: the live stream ended: the agent was stopped");
    cluster.east.tell("{\"n\":3}");
    assert_eq!(lines.next_line().await.unwrap().unwrap(), "{\"n\":3}");
    cluster.east.bus.end();
    assert_eq!(follower.wait().await.unwrap().code(), Some(2));
}

#[tokio::test]
async fn nodes_can_be_chosen() {
    let cluster = Cluster::new(&[("hanging", Agent::Hangs)]).await;
    let crashes = cluster.objects(&["crashes", "--node", "west"]).await;
    assert_eq!(crashes.len(), 2);
    let output = cluster.ask(&["crashes", "--node", "west", "--node", "elsewhere"]).await;
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(text(&output.stdout).lines().count(), 3);
    assert_eq!(
        text(&output.stderr),
        "tracer: no answer from elsewhere: no agent runs there, or no such node is in this cluster\n"
    );
}

#[tokio::test]
async fn what_is_forbidden_is_named_with_the_permission() {
    let cluster = Cluster::allowing(Allowed::Nothing, &[]).await;
    insta::assert_snapshot!(told(&cluster.ask(&["crashes"]).await), @r#"
    exit Some(2)
    --- stdout
    --- stderr
    tracer: cannot find the agents: pods is forbidden: User "me" cannot list resource "pods": who asks needs list of pods in the namespace macula-tracer (docs/operations.md)
    "#);
    let cluster = Cluster::allowing(Allowed::List, &[]).await;
    insta::assert_snapshot!(told(&cluster.ask(&["crashes"]).await), @r#"
    exit Some(2)
    --- stdout
    --- stderr
    tracer: no answer from node1, west: User "me" cannot get resource "pods/portforward": who asks needs get and create of pods/portforward in the namespace macula-tracer (docs/operations.md)
    tracer: no node answers
    "#);
}

#[tokio::test]
async fn a_cluster_without_agents_says_where_they_were_looked_for() {
    let cluster = Cluster::new(&[]).await;
    let output = cluster.ask(&["explain", "cart-0", "--tracer-namespace", "other"]).await;
    insta::assert_snapshot!(told(&output), @"
    exit Some(2)
    --- stdout
    --- stderr
    tracer: no agent in the namespace other (app=macula-tracer): is the DaemonSet applied, and in this namespace? (--tracer-namespace)
    ");
}

#[tokio::test]
async fn without_a_cluster_all_places_are_named() {
    let program = Path::new(env!("CARGO_BIN_EXE_tracer"));
    let output = command(program, &["crashes", "--node", "a"]).output().await.unwrap();
    insta::assert_snapshot!(told(&output), @"
    exit Some(2)
    --- stdout
    --- stderr
    tracer: no cluster is known: no kubeconfig at /nowhere/.kube/config; name a file with --kubeconfig
    ");
    let output = command(program, &["crashes", "--kubeconfig", "/nowhere/config"]).output().await;
    insta::assert_snapshot!(told(&output.unwrap()), @"
    exit Some(2)
    --- stdout
    --- stderr
    tracer: cannot read the kubeconfig /nowhere/config: No such file or directory (os error 2)
    ");
}

#[tokio::test]
async fn as_a_plugin_of_kubectl_it_asks_the_current_cluster() {
    let cluster = Cluster::new(&[]).await;
    let folder = tempfile::tempdir().unwrap();
    let plugin = folder.path().join("kubectl-tracer");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_tracer"), &plugin).unwrap();
    // A list of files, of which one need not exist.
    let kubeconfig = format!("/nowhere/config:{}", cluster.server.kubeconfig().display());
    let ask = async |arguments: &[&str]| {
        command(&plugin, arguments).env("KUBECONFIG", &kubeconfig).output().await.unwrap()
    };
    let output = ask(&["crashes", "-o", "json"]).await;
    assert_eq!(objects(&text(&output.stdout)).len(), 6, "{}", told(&output));
    let output = ask(&["explain", "nobody"]).await;
    assert!(text(&output.stderr).starts_with("kubectl tracer: no end of"), "{}", told(&output));
    let output = ask(&["explain"]).await;
    assert!(text(&output.stderr).contains("Usage: kubectl tracer explain"), "{}", told(&output));
    let complete = plugin.with_file_name("kubectl_complete-tracer");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_tracer"), &complete).unwrap();
    let output = command(&complete, &["crashes", "--cont"]).output().await.unwrap();
    assert!(text(&output.stdout).starts_with("--context\t"), "{}", told(&output));
    let output = ask(&["crashes", "--context", "other"]).await;
    assert_eq!(output.status.code(), Some(2), "{}", told(&output));
    assert!(text(&output.stderr).contains("other"), "{}", told(&output));
}

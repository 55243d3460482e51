//! The query verbs as their user sees them, over a store file and over an agent's socket: tables, texts, JSON, exit
//! codes. They must not know the library, but for the agent that they ask.
#![allow(clippy::unwrap_used, reason = "a test that fails by panicking works")]

mod remembered;

use std::{
    path::Path,
    process::{Command, Output, Stdio},
    sync::Arc,
};

use remembered::{Death, Remembered};
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    sync::watch,
    task::JoinSet,
};
use tracer::node::{
    api::{self, Agent, Listener},
    live::{Bus, Line},
    metrics::Metrics,
};

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tracer"));
    command.args(arguments).env("COLUMNS", "100").env_remove("RUST_LOG").env_remove("NO_COLOR");
    command
}

fn tracer(arguments: &[&str]) -> Output {
    command(arguments).output().expect("the program was built for this test")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Exit code, stdout and stderr in one text.
fn told(output: &Output) -> String {
    format!(
        "exit {:?}\n--- stdout\n{}--- stderr\n{}",
        output.status.code(),
        text(&output.stdout),
        text(&output.stderr)
    )
}

/// Asks `store`; stdout where the exit code is 0.
fn ask(store: &Remembered, arguments: &[&str]) -> String {
    let output = tracer(&[arguments, &["--store", store.path().to_str().unwrap()]].concat());
    assert_eq!(output.status.code(), Some(0), "{}", told(&output));
    assert!(output.stderr.is_empty(), "{}", told(&output));
    text(&output.stdout)
}

/// Asks `store`, whose path is left out of what is told.
fn check(store: &Remembered, arguments: &[&str]) -> String {
    let path = store.path();
    let path = path.to_str().unwrap();
    told(&tracer(&[arguments, &["--store", path]].concat())).replace(path, "tracer.db")
}

/// Without the ages, which grow, and the sentences, which are those of the recordings.
fn without_when_and_summary(table: &str) -> String {
    let summary = table.find("SUMMARY").unwrap();
    let columns = |line: &str| {
        let rest = line[..summary].split_once(' ').unwrap().1.trim();
        assert!(!line[summary..].trim().is_empty(), "{line}");
        rest.to_owned() + "\n"
    };
    let mut lines: Vec<String> = table.lines().map(columns).collect();
    // Their order is that in which they were recorded.
    lines[1..].sort_unstable();
    lines.concat()
}

fn objects(lines: &str) -> Vec<Value> {
    lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn crashes_are_a_table_like_those_of_kubectl() {
    let table = ask(&Remembered::shop(), &["crashes"]);
    assert!(table.starts_with("WHEN "), "{table}");
    insta::assert_snapshot!(without_when_and_summary(&table), @"
    NAMESPACE   POD      CONTAINER   RESTARTS   CAUSE
    bank        till-0   till        12         exec_not_found
    shop        cart-0   cart        1          file_not_found
    shop        cart-0   cart        2          oom_killed
    shop        cart-1   cart        0          segfault
    ");
}

#[test]
fn a_wide_table_of_a_namespace_has_ids_and_nodes() {
    let table = ask(&Remembered::shop(), &["crashes", "-n", "bank", "-o", "wide"]);
    insta::assert_snapshot!(without_when_and_summary(&table), @"
    POD      CONTAINER   RESTARTS   CAUSE            ID             NODE
    till-0   till        12         exec_not_found   dddddddddddd   node1
    ");
}

#[test]
fn crashes_as_json_are_lines_that_keep_the_schema() {
    let schema = serde_json::from_str(include_str!("../../docs/crash.schema.json")).unwrap();
    let validator = jsonschema::draft202012::new(&schema).unwrap();
    let store = Remembered::shop();
    let crashes = objects(&ask(&store, &["crashes", "-o", "json"]));
    assert_eq!(crashes.len(), 4);
    let explained = objects(&ask(&store, &["explain", "cart-0", "-o", "json"]));
    let whole = objects(&ask(&store, &["timeline", "cart-0", "-o", "json"]));
    for object in crashes.iter().chain(&explained).chain(&whole) {
        let errors: Vec<_> = validator.iter_errors(object).map(|e| e.to_string()).collect();
        assert!(errors.is_empty(), "{errors:?}: {object:#}");
    }
}

#[test]
fn crashes_are_narrowed_by_flags() {
    let store = Remembered::shop();
    for (flags, count) in [
        (&["-A"][..], 4),
        (&["-n", "shop"], 3),
        (&["-l", "app=till"], 1),
        (&["-l", "app in (cart, till)"], 4),
        (&["--cause", "segfault,oom_killed"], 2),
        (&["--until", "1m", "--since", "2020-01-01 10:00"], 4),
    ] {
        let lines = ask(&store, &[&["crashes", "-o", "json"], flags].concat());
        assert_eq!(lines.lines().count(), count, "{flags:?}: {lines}");
    }
}

#[test]
fn a_limit_that_was_reached_is_told() {
    let store = Remembered::shop();
    let told = check(&store, &["crashes", "--limit", "2", "-o", "json"]);
    assert!(told.contains("these are the newest 2; --limit shows more"), "{told}");
    assert_eq!(told.matches("{\"schema\"").count(), 2, "{told}");
    let told = check(&store, &["crashes", "--limit", "4", "-o", "json"]);
    assert!(!told.contains("--limit"), "{told}");
}

#[test]
fn nothing_found_is_exit_code_1() {
    let store = Remembered::shop();
    insta::assert_snapshot!(check(&store, &["crashes", "-n", "nowhere"]), @"
    exit Some(1)
    --- stdout
    --- stderr
    tracer: no crashes found
    ");
    insta::assert_snapshot!(check(&store, &["timeline", "nobody", "-n", "shop"]), @r#"
    exit Some(1)
    --- stdout
    --- stderr
    tracer: no end of a container of pod "nobody" in namespace "shop" is remembered
    "#);
    insta::assert_snapshot!(check(&store, &["explain", "ffffffffffff", "-o", "json"]), @r#"
    exit Some(1)
    --- stdout
    --- stderr
    tracer: no crash and no pod is named "ffffffffffff"
    "#);
    insta::assert_snapshot!(check(&store, &["events", "--pod", "nobody"]), @"
    exit Some(1)
    --- stdout
    --- stderr
    tracer: no events found
    ");
}

#[test]
fn failures_and_wrong_usage_are_exit_code_2() {
    let store = Remembered::shop();
    insta::assert_snapshot!(check(&store, &["timeline", "cart"]), @"
    exit Some(2)
    --- stdout
    --- stderr
    tracer: cart fits several, name one of them:
      shop/cart-0
      shop/cart-1
    ");
    insta::assert_snapshot!(check(&store, &["crashes", "--since", "soon"]), @r#"
    exit Some(2)
    --- stdout
    --- stderr
    tracer: cannot understand the time "soon": give 10m, 2h or 1d for so long ago, or RFC 3339, 2026-01-31 10:00 or 10:00 (UTC)
    "#);
    insta::assert_snapshot!(check(&store, &["events", "--kind", "rumour"]), @r#"
    exit Some(2)
    --- stdout
    --- stderr
    tracer: "rumour" is no kind: there are exec, exec_failed, fork, found, exit, signal, threads, oom, bind, call, calls_forgotten, words, cgroup, lost
    "#);
    insta::assert_snapshot!(check(&store, &["explain"]), @"
    exit Some(2)
    --- stdout
    --- stderr
    error: the following required arguments were not provided:
      <POD|CRASH>

    Usage: tracer explain --store <FILE> <POD|CRASH>

    For more information, try '--help'.
    ");
    insta::assert_snapshot!(check(&store, &["events", "-f", "--since", "1h"]), @"
    exit Some(2)
    --- stdout
    --- stderr
    error: the argument '--follow' cannot be used with '--since <TIME>'

    Usage: tracer events --follow --store <FILE>

    For more information, try '--help'.
    ");
}

#[test]
fn what_is_not_there_is_named() {
    insta::assert_snapshot!(told(&tracer(&["crashes", "--store", "/nowhere/tracer.db"])), @"
    exit Some(2)
    --- stdout
    --- stderr
    tracer: there is no store at /nowhere/tracer.db: is the agent running with another --store?
    ");
    insta::assert_snapshot!(told(&tracer(&["crashes", "--socket", "/nowhere/tracer.sock"])), @"
    exit Some(2)
    --- stdout
    --- stderr
    tracer: no agent answers at /nowhere/tracer.sock: No such file or directory (os error 2)
    ");
}

#[test]
fn a_timeline_is_what_the_agent_told() {
    let store = Remembered::shop();
    assert_eq!(ask(&store, &["timeline", "bbbbbb"]), store.texts[1]);
    assert_eq!(ask(&store, &["timeline", "cart-1", "-c", "cart"]), store.texts[2]);
}

#[test]
fn an_earlier_death_is_told_by_previous() {
    let store = Remembered::shop();
    let causes =
        [&["cart-0"][..], &["cart-0", "--previous"], &["cart-0", "--previous", "1"]].map(|which| {
            let line = ask(&store, &[&["timeline", "-o", "json"], which].concat());
            objects(&line)[0]["crash"]["cause"].as_str().unwrap().to_owned()
        });
    assert_ne!(causes[0], causes[1]);
    assert_eq!(causes[1], causes[2]);
    let told = check(&store, &["timeline", "cart-0", "--previous", "9"]);
    assert!(told.starts_with("exit Some(1)"), "{told}");
}

#[test]
fn a_page_is_printed_whole() {
    let page = ask(&Remembered::shop(), &["timeline", "bbbbbbbbbbbb", "-o", "html"]);
    assert!(page.starts_with("<!doctype html>") && page.ends_with("</html>\n"), "{page}");
}

#[test]
fn an_explanation_says_what_changed() {
    let text = ask(&Remembered::shop(), &["explain", "bbbbbbbbbbbb"]);
    for line in [
        "pod:       shop/cart-0",
        "container: cart, restart 2",
        "cause:     oom_killed (proven)",
        "changes:   since eeeeeeeeeeee (from 2020-09-13T12:26:40Z until 2020-09-13T13:26:40Z), the last life that lasted",
        "           - image: localhost/cart:1 → localhost/cart:2",
        "           - memory limit: 32 MiB → 64 MiB",
    ] {
        assert!(text.lines().any(|is| is == line), "{line:?} is not in\n{text}");
    }
}

#[test]
fn stored_events_are_told_as_lines() {
    let store = Remembered::shop();
    let all = objects(&ask(&store, &["events", "-o", "json"]));
    assert!(all.len() > 20 && all.iter().all(|event| event["kind"].is_string()));
    let execs = ask(&store, &["events", "--kind", "exec,exit", "--pod", "cart-1"]);
    assert!(execs.lines().all(|line| line.contains("shop/cart-1/cart")), "{execs}");
    let first = objects(&ask(&store, &["events", "-o", "json", "--limit", "3"]));
    assert_eq!(first, all[..3]);
}

#[test]
fn a_reader_that_goes_away_ends_it_quietly() {
    let store = Remembered::shop();
    for verb in ["crashes", "events", "timeline bbbbbbbbbbbb"] {
        let binary = env!("CARGO_BIN_EXE_tracer");
        let shell = format!("{binary} {verb} --store {} | true", store.path().display());
        let output = Command::new("sh").args(["-c", &shell]).output().unwrap();
        assert!(output.stderr.is_empty(), "{}", told(&output));
    }
}

/// An agent behind a socket, for as long as this lives.
struct Served {
    bus: Bus,
    socket: String,
    _store: Remembered,
    _close: watch::Sender<bool>,
    _server: JoinSet<()>,
}

impl Served {
    fn new(store: Remembered) -> Self {
        let metrics = Arc::new(Metrics::new());
        let bus = Bus::new(metrics.clone());
        let agent = Agent { metrics, health: Arc::default() };
        let router = api::data_router(&store.path(), bus.clone(), agent);
        let socket = store.path().with_file_name("tracer.sock");
        let listener = Listener::unix(&socket).unwrap();
        let (close, closing) = watch::channel(false);
        let mut server = JoinSet::new();
        server.spawn(api::serve(listener, router, closing));
        let socket = socket.to_str().unwrap().to_owned();
        Self { bus, socket, _store: store, _close: close, _server: server }
    }

    /// The program, asking this agent.
    fn command(&self, arguments: &[&str]) -> tokio::process::Command {
        let mut command = command(arguments);
        command.args(["--socket", &self.socket]).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut command = tokio::process::Command::from(command);
        command.kill_on_drop(true);
        command
    }
}

#[tokio::test]
async fn an_agent_answers_as_its_store_does() {
    let store = Remembered::shop();
    let verbs = [
        &["crashes", "-o", "json"][..],
        &["timeline", "cart-1"],
        &["explain", "cart-0"],
        &["events", "-o", "json"],
    ];
    let of_store = verbs.map(|verb| ask(&store, verb));
    let served = Served::new(store);
    for (verb, expected) in verbs.iter().zip(of_store) {
        let output = served.command(verb).output().await.unwrap();
        assert_eq!(text(&output.stdout), expected, "{verb:?}: {}", told(&output));
    }
}

#[tokio::test]
async fn live_events_are_followed_until_the_agent_ends() {
    let served = Served::new(Remembered::empty());
    let mut follower = served.command(&["events", "-f", "-o", "json"]).spawn().unwrap();
    while !served.bus.is_followed() {
        tokio::task::yield_now().await;
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    let json = "{\"kind\":\"exec\",\"n\":1}".to_owned();
    served.bus.publish(Line { json, kind: "exec", identity: None, cause: None });
    let mut lines = BufReader::new(follower.stdout.take().unwrap()).lines();
    assert_eq!(lines.next_line().await.unwrap().unwrap(), "{\"kind\":\"exec\",\"n\":1}");
    served.bus.end();
    let output = follower.wait_with_output().await.unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("the agent was stopped"), "{}", told(&output));
}

#[tokio::test]
async fn a_store_that_an_agent_writes_can_be_followed() {
    let mut store = Remembered::shop();
    let arguments = ["events", "-f", "--pod", "late-0", "--store"];
    let mut command = command(&arguments);
    command.arg(store.path()).stdout(Stdio::piped());
    let mut follower = tokio::process::Command::from(command).kill_on_drop(true).spawn().unwrap();
    let mut lines = BufReader::new(follower.stdout.take().unwrap()).lines();
    // When it begins to follow is not to be seen from here: lives come until it tells of one.
    for digit in "0123456789".chars() {
        store.add(&Death {
            recording: "exit_3_silent",
            namespace: "shop",
            pod: "late-0",
            container: "late",
            restarts: 0,
            digit,
        });
        store.flush();
        let wait = std::time::Duration::from_secs(2);
        if let Ok(line) = tokio::time::timeout(wait, lines.next_line()).await {
            assert!(line.unwrap().unwrap().contains("shop/late-0/late"));
            return;
        }
    }
    panic!("nothing was told");
}

#[tokio::test]
async fn a_dead_agents_socket_is_named() {
    let store = Remembered::empty();
    let socket = store.path().with_file_name("dead.sock");
    drop(std::os::unix::net::UnixListener::bind(&socket).unwrap());
    let output = tracer(&["crashes", "--socket", socket.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("no agent answers at"), "{}", told(&output));
    assert!(Path::new(&socket).exists());
}

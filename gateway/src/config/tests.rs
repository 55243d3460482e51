//! Files of realms, and settings that contradict each other.

use std::fs;

use clap::Parser;

use super::*;
use crate::{
    session::{Nodes, Permissions},
    wire::id::NodeId,
};

#[derive(Debug, Parser)]
struct Line {
    #[command(flatten)]
    options: Options,
}

fn read(
    text: &str,
    default: Option<&str>,
    has_client_ca: bool,
) -> Result<Vec<RealmConfig>, String> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("realms.toml");
    fs::write(&file, text).unwrap();
    let default = default.map(|name| name.parse().unwrap());
    let settings = RealmSettings { file: Some(file), default, has_client_ca };
    settings.read().map_err(|error| error.to_string())
}

#[test]
fn a_file_gives_realms_and_what_their_nodes_may_do() {
    let id = "ab".repeat(32);
    let text = format!(
        r#"
        [[realm]]
        name = "Open.example"

        [[realm]]
        name = "closed.example"
        certificate_required = true

        [[realm.rule]]
        subscribe = ["news.#"]

        [[realm.rule]]
        nodes = ["{id}"]
        publish = ["news.*"]
        call = ["com.example.*"]
        register = ["com.example.add"]
        "#
    );
    let realms = read(&text, Some("closed.example"), true).unwrap();
    let [closed, open] = realms.as_slice() else { panic!("{realms:?}") };
    assert_eq!((open.name.as_str(), open.certificate_required), ("open.example", false));
    assert_eq!(open.permissions, Permissions::default());
    assert!(closed.certificate_required);
    let [all, one] = closed.permissions.rules.as_slice() else { panic!("two rules") };
    assert_eq!((&all.nodes, all.subscribe[0].as_str()), (&Nodes::All, "news.#"));
    assert_eq!(one.nodes, Nodes::Proven([NodeId([0xab; 32])].into()));
    assert_eq!(one.register[0].as_str(), "com.example.add");
}

#[test]
fn a_file_that_means_nothing_says_where_and_why() {
    let realm = "[[realm]]\nname = \"a\"\n";
    let rule = |line: &str| format!("{realm}[[realm.rule]]\n{line}\n");
    for (text, why) in [
        ("realm = 1".to_owned(), "realms.toml"),
        (String::new(), "has no [[realm]]"),
        (format!("{realm}{realm}"), "has realm a twice"),
        (format!("{realm}colour = 1"), "unknown field `colour`"),
        ("[[realm]]\nname = \"a..b\"".to_owned(), "a segment is empty"),
        (rule("nodes = [\"12\"]"), "\"12\" is no node"),
        (rule("nodes = []"), "a rule for no node"),
        (rule("publish = [\"a\\u0007b\"]"), "realm a:"),
        (format!("{realm}certificate_required = true"), "--client-ca"),
        (rule(&format!("nodes = [\"{}\"]", "00".repeat(32))), "--client-ca"),
    ] {
        let error = read(&text, None, false).unwrap_err();
        assert!(error.contains(why), "{text}: {error}");
    }
    let error = read(realm, Some("b"), false).unwrap_err();
    assert!(error.contains("GATEWAY_REALM is b"), "{error}");
}

#[test]
fn without_a_file_there_is_the_default_realm_and_it_is_open() {
    let of = |default: Option<&str>| {
        let default = default.map(|name| name.parse().unwrap());
        let realms = RealmSettings { file: None, default, has_client_ca: false }.read().unwrap();
        realms.iter().map(|realm| realm.name.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(of(None), ["be.cortexiq.energy"]);
    assert_eq!(of(Some("mine")), ["mine"]);
}

#[test]
fn a_queue_holds_two_frames_at_least() {
    let settings = |line: &[&str]| {
        let line = Line::try_parse_from([&["gateway"], line].concat()).unwrap();
        line.options.settings()
    };
    assert!(settings(&[]).is_ok());
    let error = settings(&["--max-frame", "16777216"]).unwrap_err().to_string();
    assert!(error.contains("--max-queue"), "{error}");
}

#[test]
fn an_empty_path_is_one_that_is_not_set() {
    let line = ["gateway", "--config", "", "--tls-cert", "", "--tls-key", "", "--client-ca", ""];
    let settings = Line::try_parse_from(line).unwrap().options.settings().unwrap();
    assert_eq!((settings.certificate, settings.key), (None, None));
    assert_eq!((settings.client_ca, settings.realms.file), (None, None));
}

//! The binary and the signals that it gets.

use std::{
    fs, io,
    path::Path,
    time::{Duration, Instant},
};

use bytes::Bytes;
use gateway::wire::{
    id::{CallId, MessageId},
    message::{Call, Message, Procedure, Publish, Qos, Subscribe},
};
use rustix::process::Signal;
use tempfile::TempDir;
use tokio::time::{interval, timeout};

use crate::{
    authority::Authority,
    peer::{Over, Peer},
    process::{Process, command, until, with_pair},
    world::{LONG, REALM, ask, metrics_say},
};

#[tokio::test]
async fn sigterm_tells_every_client_and_ends_with_0() {
    let (authority, folder) = (Authority::new(), tempfile::tempdir().unwrap());
    authority.write_server(folder.path());
    let mut command = command(&["--port", "0"]);
    with_pair(&mut command, folder.path());
    let mut process = Process::start(&mut command);
    let mut peers = Vec::new();
    for over in Over::BOTH {
        let tls = authority.trusted(None);
        let mut peer = Peer::reach(over, process.at(over), tls).await.unwrap();
        peer.join(REALM).await;
        peers.push(peer);
    }
    process.signal(Signal::TERM);
    for peer in &mut peers {
        assert_eq!(peer.dismissed().await.0, "draining");
    }
    drop(peers);
    let last = until(&mut process.log, "the gateway ends");
    assert_eq!(
        last["message"],
        "the gateway ends: it was asked to stop, and every client has left"
    );
    assert_eq!(process.child.wait().unwrap().code(), Some(0));
}

#[tokio::test]
async fn sighup_brings_new_realms_and_a_bad_file_changes_nothing() {
    let (authority, folder) = (Authority::new(), tempfile::tempdir().unwrap());
    authority.write_server(folder.path());
    let realms = folder.path().join("realms.toml");
    fs::write(&realms, "[[realm]]\nname = \"a\"\n").unwrap();
    let mut command = command(&["--port", "0", "--config", realms.to_str().unwrap()]);
    with_pair(&mut command, folder.path());
    let mut process = Process::start(&mut command);
    let at = process.at(Over::Tcp);
    let reach = async || Peer::reach(Over::Tcp, at, authority.trusted(None)).await.unwrap();
    let mut old = reach().await;
    old.join("a").await;
    fs::write(&realms, "nonsense").unwrap();
    process.signal(Signal::HUP);
    let kept = until(&mut process.log, "realms and permissions stay");
    assert!(kept["message"].as_str().unwrap().contains("realms.toml"));
    old.ping().await;
    fs::write(&realms, "[[realm]]\nname = \"b\"\n").unwrap();
    process.signal(Signal::HUP);
    assert_eq!(old.dismissed().await.0, "unknown_realm");
    let joined = async {
        let mut ticks = interval(Duration::from_millis(10));
        loop {
            ticks.tick().await;
            let mut new = reach().await;
            new.connect("b").await;
            if let Some(gateway::wire::message::Message::Pong(_)) = new.next().await {
                return;
            }
        }
    };
    timeout(LONG, joined).await.unwrap();
}

/// A gateway with these arguments, and whoever signed its certificate.
fn started(arguments: &[&str]) -> (Process, Authority, TempDir) {
    let (authority, folder) = (Authority::new(), tempfile::tempdir().unwrap());
    authority.write_server(folder.path());
    let mut command = command(&[&["--port", "0"], arguments].concat());
    with_pair(&mut command, folder.path());
    (Process::start(&mut command), authority, folder)
}

async fn reach(process: &Process, over: Over, authority: &Authority) -> Peer {
    Peer::reach(over, process.at(over), authority.trusted(None)).await.unwrap()
}

#[tokio::test]
async fn a_second_signal_ends_it_at_once() {
    for second in [Signal::TERM, Signal::INT] {
        let (mut process, authority, _folder) = started(&["--grace", "3600"]);
        let mut peer = reach(&process, Over::Quic, &authority).await;
        peer.join(REALM).await;
        peer.register("p").await;
        let (procedure, call_id) = (Procedure("p".to_owned()), CallId::from([1; 16]));
        peer.send(Message::Call(Call { procedure, args: "".into(), call_id, timeout: None })).await;
        assert!(matches!(peer.next().await, Some(Message::Call(_))), "it has a part in a call");
        process.signal(Signal::TERM);
        until(&mut process.log, "draining");
        let asked = Instant::now();
        process.signal(second);
        let last = until(&mut process.log, "the gateway ends");
        assert_eq!(
            last["message"],
            "the gateway ends: it was asked to stop twice, and does not wait for clients"
        );
        assert_eq!(process.child.wait().unwrap().code(), Some(0));
        assert!(asked.elapsed() < LONG);
    }
}

#[tokio::test]
async fn during_the_drain_delay_new_clients_are_served_and_it_stays_ready() {
    let (mut process, authority, _folder) = started(&["--drain-delay", "3600"]);
    process.signal(Signal::TERM);
    until(&mut process.log, "draining");
    for over in Over::BOTH {
        let mut peer = reach(&process, over, &authority).await;
        peer.join(REALM).await;
        peer.ping().await;
    }
    assert_eq!(ask(process.health, "/ready").await.0, 200);
    assert!(ask(process.health, "/health").await.1.contains(r#""status":"draining""#));
    assert!(process.child.try_wait().unwrap().is_none());
}

#[tokio::test]
async fn a_grace_that_is_over_is_said_in_the_last_line() {
    let (mut process, authority, _folder) = started(&["--grace", "0"]);
    let mut never_reads = reach(&process, Over::Tcp, &authority).await;
    never_reads.join(REALM).await;
    never_reads.send(subscribe("much")).await;
    never_reads.ping().await;
    let mut publisher = reach(&process, Over::Tcp, &authority).await;
    publisher.join(REALM).await;
    // More than sockets and the queue hold.
    for _ in 0..50 {
        publisher.send(publish("much", &[0; 1 << 19])).await;
    }
    publisher.ping().await;
    process.signal(Signal::INT);
    let last = until(&mut process.log, "the gateway ends");
    assert_eq!(
        last["message"],
        "the gateway ends: it was asked to stop, and the grace period is over"
    );
    assert_eq!(process.child.wait().unwrap().code(), Some(0));
}

#[tokio::test]
async fn it_serves_on_when_nobody_reads_its_log_any_more() {
    let (mut process, authority, _folder) = started(&["--log", "debug"]);
    process.log = Box::new(io::empty());
    for over in Over::BOTH {
        let mut peer = reach(&process, over, &authority).await;
        peer.join(REALM).await;
        peer.ping().await;
    }
    process.signal(Signal::TERM);
    assert_eq!(process.child.wait().unwrap().code(), Some(0));
}

fn subscribe(topic: &str) -> Message {
    let topics = vec![topic.parse().unwrap()];
    Message::Subscribe(Subscribe { topics, qos: Qos::AtMostOnce })
}

fn publish(topic: &str, payload: &[u8]) -> Message {
    Message::Publish(Publish {
        topic: topic.parse().unwrap(),
        payload: Bytes::copy_from_slice(payload),
        qos: Qos::AtMostOnce,
        retain: false,
        message_id: MessageId::from([1; 16]),
    })
}

fn permit(file: &Path, publish: &str, subscribe: &str) {
    let rule = format!("publish = [\"{publish}\"]\nsubscribe = [\"{subscribe}\"]");
    fs::write(file, format!("[[realm]]\nname = \"a\"\n[[realm.rule]]\n{rule}\n")).unwrap();
}

#[tokio::test]
async fn sighup_brings_new_permissions_for_what_clients_do_from_then_on() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("realms.toml");
    permit(&file, "news.#", "news.#");
    let (mut process, authority, _pair) = started(&["--config", file.to_str().unwrap()]);
    let mut there = reach(&process, Over::Quic, &authority).await;
    there.join("a").await;
    there.send(subscribe("news.today")).await;
    there.ping().await;

    fs::write(&file, "[[realm]]\nname = \"a\"\n[[realm.rule]]\npublish = [\"#.#.#\"]\n").unwrap();
    process.signal(Signal::HUP);
    let kept = until(&mut process.log, "realms and permissions stay as they were");
    assert!(kept["message"].as_str().unwrap().contains("realms.toml, realm a: "), "{kept}");
    there.send(subscribe("news.tomorrow")).await;
    there.ping().await;

    permit(&file, "news.#", "other.#");
    process.signal(Signal::HUP);
    until(&mut process.log, "realms and permissions are replaced");
    let mut publisher = reach(&process, Over::Tcp, &authority).await;
    publisher.join("a").await;
    publisher.send(publish("news.today", b"!")).await;
    assert_eq!(there.next().await, Some(publish("news.today", b"!")), "what it had stays its own");
    publisher.send(publish("other.today", b"!")).await;
    publisher.ping().await;
    there.send(subscribe("news.today.later")).await;
    there.ping().await;
    let forbidden = "messages_passed_over_total{reason=\"forbidden\"} 2";
    metrics_say(process.health, forbidden).await;
}

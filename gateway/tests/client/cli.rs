//! The commands of `gateway client` against a gateway in the same process.

use clap::Parser;
use gateway::client::{
    Term, Transport,
    cli::{Command, run_to},
};
use serde_json::Value;

use crate::{
    server::{BOTH, REALM, Server},
    subscribe,
};

#[derive(Debug, Parser)]
struct Shell {
    #[command(subcommand)]
    command: Command,
}

/// Runs a command; its exit code and its output.
async fn run(server: &Server, transport: Transport, command: &[&str]) -> (u8, String) {
    let address = server.address(transport);
    let ca = server.pair.ca.to_str().unwrap();
    let common = ["--server", &address, "--realm", REALM, "--ca", ca];
    let tcp: &[&str] = if transport == Transport::Tcp { &["--tcp"] } else { &[] };
    let (name, rest) = command.split_first().unwrap();
    let words = [&["gateway client", *name][..], &common, tcp, rest].concat();
    let mut out = Vec::new();
    let code = run_to(Shell::parse_from(words).command, &mut out).await.unwrap();
    (code, String::from_utf8(out).unwrap())
}

#[tokio::test]
async fn call_prints_the_result_and_fails_by_its_exit_code() {
    let server = Server::start().await;
    for transport in BOTH {
        let echo = ["call", "com.macula.diagnostics.echo", "{\"a\":1}"];
        assert_eq!(run(&server, transport, &echo).await, (0, "{\"a\":1}\n".to_owned()));
        let nobody = ["call", "nobody.offers.this"];
        assert_eq!(run(&server, transport, &nobody).await, (1, String::new()));
    }
}

#[tokio::test]
async fn sub_prints_what_was_published() {
    let server = Server::start().await;
    let keep = ["pub", "--retain", "meters.7.power", "230\n"];
    assert_eq!(run(&server, Transport::Quic, &keep).await, (0, String::new()));
    let text = ["sub", "-n", "1", "meters.#"];
    let expect = "meters.7.power 230\\n\n".to_owned();
    assert_eq!(run(&server, Transport::Tcp, &text).await, (0, expect));
    let json = ["sub", "-n", "1", "-o", "json", "nothing", "meters.#"];
    let (code, line) = run(&server, Transport::Tcp, &json).await;
    let object: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(
        (code, &object["topic"], &object["payload"]),
        (0, &"meters.7.power".into(), &"230\n".into())
    );
}

#[tokio::test]
async fn pub_reaches_a_subscriber() {
    let server = Server::start().await;
    let client = server.client(Transport::Quic).await;
    let mut messages = subscribe(&client, "a").await;
    run(&server, Transport::Tcp, &["pub", "a", "x"]).await;
    assert_eq!(messages.next().await.unwrap().payload, "x");
}

#[tokio::test]
async fn ping_counts_round_trips() {
    let server = Server::start().await;
    let (code, text) = run(&server, Transport::Quic, &["ping", "-n", "2", "-i", "0.01"]).await;
    assert_eq!(code, 0);
    assert_eq!(text.matches("pong from").count(), 2, "{text}");
    assert!(text.contains("2 sent, 2 answered, 0% lost\nrtt min/avg/max/mdev = "), "{text}");
    let quiet = ["ping", "-c", "2", "-i", "0.01", "-q", "-o", "json"];
    let (code, line) = run(&server, Transport::Tcp, &quiet).await;
    let object: Value = serde_json::from_str(&line).unwrap();
    assert_eq!((code, &object["sent"], &object["answered"]), (0, &2.into(), &2.into()));
    assert!(object["min_ms"].as_f64() <= object["max_ms"].as_f64(), "{object}");
}

#[tokio::test]
async fn a_result_is_printed_as_its_reader_wants_it() {
    let server = Server::start().await;
    let client = server.client(Transport::Quic).await;
    client.register("raw", |_| async { Ok(vec![0, 0xff].into()) }).await.unwrap();
    let call = async |format| {
        let mut out = Vec::new();
        let address = server.address(Transport::Tcp);
        let common = ["gateway client", "call", "--tcp", "--insecure", "--server", &address];
        let words = [&common[..], &["-o", format, "raw"]].concat();
        run_to(Shell::parse_from(words).command, &mut out).await.unwrap();
        out
    };
    assert_eq!(call("raw").await, [0, 0xff]);
    assert_eq!(call("text").await, [0, 0xff, b'\n']);
    assert_eq!(call("json").await, b"{\"result_base64\":\"AP8=\"}\n");
    let failed = ["call", "-o", "json", "nobody.offers.this"];
    let (code, line) = run(&server, Transport::Quic, &failed).await;
    let object: Value = serde_json::from_str(&line).unwrap();
    assert_eq!((code, &object["error"]["code"]), (1, &"no_such_procedure".into()));
}

#[tokio::test]
async fn arguments_given_as_json_are_sent_as_what_they_mean() {
    let server = Server::start().await;
    let client = server.client(Transport::Quic).await;
    client.register("echo", |args| async move { Ok(args) }).await.unwrap();
    let (seen, mut sent) = tokio::sync::mpsc::channel(1);
    let tell = move |args: Term| {
        let seen = seen.clone();
        async move {
            seen.send(args).await.unwrap();
            Ok(Term::nil())
        }
    };
    client.register("tell", tell).await.unwrap();
    for (words, packed) in [
        (&["--json", "{\"a\": [1, null]}"][..], &b"\x81\xc4\x01a\x92\x01\xc0"[..]),
        (&["--json", "-5"], b"\xfb"),
        (&["--json", "\"x\""], b"\xc4\x01x"),
        (&["{\"a\":1}"], b"\xc4\x07{\"a\":1}"),
        (&[], b"\xc4\x00"),
    ] {
        let call = [&["call", "tell"][..], words].concat();
        assert_eq!(run(&server, Transport::Tcp, &call).await, (0, "null\n".to_owned()));
        assert_eq!(sent.recv().await.unwrap().packed()[..], *packed, "{words:?}");
    }
    for (format, words, printed) in [
        (
            "text",
            "{\"b\": 1.5, \"a\": {\"$base64\": \"AP8=\"}}",
            "{\"b\":1.5,\"a\":{\"$base64\":\"AP8=\"}}\n",
        ),
        ("json", "[1, \"x\"]", "{\"result\":[1,\"x\"]}\n"),
        ("json", "\"x\"", "{\"result\":\"x\"}\n"),
        ("raw", "\"x\"", "x"),
        ("raw", "{\"a\": 1}", "\u{81}"),
    ] {
        let call = ["call", "-o", format, "echo", "--json", words];
        if printed == "\u{81}" {
            let mut out = Vec::new();
            let address = server.address(Transport::Tcp);
            let common = ["gateway client", "call", "--tcp", "--insecure", "--server", &address];
            let words = [&common[..], &call[1..]].concat();
            run_to(Shell::parse_from(words).command, &mut out).await.unwrap();
            assert_eq!(out, b"\x81\xc4\x01a\x01");
        } else {
            assert_eq!(run(&server, Transport::Tcp, &call).await, (0, printed.to_owned()));
        }
    }
    let shell = Shell::parse_from(["client", "call", "--insecure", "x", "--json", "{a"]);
    let error = run_to(shell.command, &mut Vec::new()).await.unwrap_err();
    assert!(error.to_string().contains("no JSON; without --json"), "{error}");
}

#[tokio::test]
async fn sub_ends_with_1_where_too_little_came_in_time() {
    let server = Server::start().await;
    let silent = ["sub", "--timeout", "0.05", "nothing"];
    assert_eq!(run(&server, Transport::Quic, &silent).await, (1, String::new()));
    run(&server, Transport::Quic, &["pub", "--retain", "--qos", "2", "a", "1"]).await;
    let some = ["sub", "--timeout", "0.05", "a"];
    assert_eq!(run(&server, Transport::Quic, &some).await, (0, "a 1\n".to_owned()));
    let more = ["sub", "--timeout", "0.05", "-n", "2", "-o", "raw", "a"];
    assert_eq!(run(&server, Transport::Quic, &more).await, (1, "1".to_owned()));
}

#[tokio::test]
async fn bench_sees_each_message_once_and_in_order() {
    let server = Server::start().await;
    for transport in BOTH {
        let options = "bench --count 500 --size 32 --publishers 2 --subscribers 3 --calls 100 --in-flight 8 -o json";
        let options: Vec<&str> = options.split(' ').collect();
        let (code, text) = run(&server, transport, &options).await;
        let object: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(object["messages"]["delivered"]["count"], 3000, "{object}");
        assert_eq!(object["messages"]["lost"], 0);
        assert_eq!(object["messages"]["disordered"], 0);
        assert_eq!(object["calls"]["answered"]["count"], 100);
        assert_eq!(code, 0);
    }
}

#[test]
fn a_command_line_that_says_too_little_says_what_is_missing() {
    let error = |line: &str| {
        let parsed = Shell::try_parse_from(line.split(' '));
        parsed.unwrap_err().to_string()
    };
    assert!(error("client serve x").contains("--echo"));
    assert!(error("client sub").contains("PATTERNS"));
    assert!(error("client pub a.#").contains("only a subscription may have"));
    assert!(error("client pub a").contains("<PAYLOAD>"));
    assert!(error("client call p --json").contains("<ARGS>"));
    assert!(error("client pub a\u{7}b x").contains("control character"));
    assert!(error("client pub --qos 3 a x").contains("it is 0, 1 or 2"));
    assert!(error("client ping --ca x --insecure").contains("cannot be used with"));
    assert!(error("client ping --cert x").contains("--key"));
    assert!(error("client ping --node-id 0f").contains("64 hexadecimal digits"));
}

#[tokio::test]
async fn a_gateway_that_nothing_speaks_for_is_not_connected_to() {
    let shell = Shell::parse_from(["client", "ping", "-n", "1"]);
    let error = run_to(shell.command, &mut Vec::new()).await.unwrap_err();
    assert!(error.to_string().contains("--ca FILE"), "{error}");
}

//! The client against a gateway in the same process, over QUIC and TCP.

#![allow(clippy::unwrap_used, reason = "a test that fails by panicking works")]

mod cli;
mod kept;
mod relay;
mod server;
#[allow(dead_code, reason = "its main is for a shell")]
#[path = "../../examples/sum.rs"]
mod sum;

use std::{sync::Arc, time::Duration};

use gateway::{
    client::{
        CallError, Client, Error, PublishOptions, SubscribeOptions, Term, Transport, Trust,
        WhenFull,
    },
    session::{Permissions, Rule},
};
use tokio::{
    sync::{Semaphore, watch},
    task::JoinSet,
};

use crate::server::{BOTH, Pair, Server};

const SOON: Duration = Duration::from_secs(10);

async fn publish(client: &Client, topic: &str, payload: &'static str) {
    let options = PublishOptions::default();
    client.publish(&topic.parse().unwrap(), payload, options).await.unwrap();
}

async fn subscribe(client: &Client, pattern: &str) -> gateway::client::Subscription {
    client.subscribe(&pattern.parse().unwrap(), SubscribeOptions::default()).await.unwrap()
}

#[tokio::test]
async fn messages_and_calls_pass_over_each_transport() {
    let server = Server::start().await;
    for transport in BOTH {
        let (one, other) = (server.client(transport).await, server.client(transport).await);
        let mut messages = subscribe(&one, "meters.*.power").await;
        publish(&other, "meters.7.power", "230").await;
        publish(&other, "meters.7.voltage", "not subscribed to").await;
        publish(&other, "meters.8.power", "231").await;
        for (topic, payload) in [("meters.7.power", "230"), ("meters.8.power", "231")] {
            let message = messages.next().await.unwrap();
            assert_eq!((message.topic.as_str(), &message.payload[..]), (topic, payload.as_bytes()));
        }
        let procedure = format!("twice.{}", transport.name());
        let twice = |args: Term| async move {
            let args = args.bytes()?;
            Ok([&args[..], &args[..]].concat().into())
        };
        one.register(&procedure, twice).await.unwrap();
        assert_eq!(other.call(&procedure, "ab", SOON).await.unwrap(), "abab");
        assert!(other.ping().await.unwrap() < SOON);
        drop(messages);
        one.ping().await.unwrap();
        assert_eq!(server.hub.counts().subscriptions, 0);
        one.close().await;
        other.close().await;
        let after = other.publish(&"a".parse().unwrap(), "", PublishOptions::default()).await;
        assert_eq!(after, Err(Error::Closed));
    }
}

#[tokio::test]
async fn any_value_reaches_a_handler_and_comes_back_as_it_was_packed() {
    let server = Server::start().await;
    for transport in BOTH {
        let (one, other) = (server.client(transport).await, server.client(transport).await);
        let procedure = format!("echo.{}", transport.name());
        one.register(&procedure, |args| async move { Ok(args) }).await.unwrap();
        for packed in [
            &b"\x80"[..],
            b"\x82\xc4\x01a\x01\xa1b\x92\xc0\xc3",
            b"\x2a",
            b"\xff",
            b"\xc0",
            b"\xc3",
            b"\xa0",
            b"\xa3abc",
            b"\xc4\x03abc",
            b"\xcb\x40\x08\0\0\0\0\0\0",
            b"\xd4\x05x",
        ] {
            let term = Term::of_packed(packed.into()).unwrap();
            let result = other.call(&procedure, term, SOON).await.unwrap();
            assert_eq!(result.packed()[..], *packed);
        }
        let failed = Term::of_json(&serde_json::json!({"error": "no_sugar", "left": 0})).unwrap();
        let error = other.call(&procedure, failed, SOON).await.unwrap_err();
        assert_eq!(error.to_string(), "no_sugar");
    }
}

#[tokio::test]
async fn messages_of_two_runs_have_ids_of_their_own() {
    let server = Server::start().await;
    let reader = server.client(Transport::Quic).await;
    let mut messages = subscribe(&reader, "a").await;
    let mut ids = Vec::new();
    for _ in 0..3 {
        let run = server.client(Transport::Tcp).await;
        publish(&run, "a", "").await;
        publish(&run, "a", "").await;
        run.close().await;
        for _ in 0..2 {
            let id = messages.next().await.unwrap().message_id;
            assert!(!ids.contains(&id), "{id}");
            ids.push(id);
        }
    }
}

#[tokio::test]
async fn the_example_adds_numbers() {
    let server = Server::start().await;
    let sum = async |numbers: &str| {
        let trust = Trust::Authority(server.pair.ca.clone());
        sum::sum_of(server.address(Transport::Quic), trust, numbers.to_owned()).await
    };
    assert_eq!(sum("1 2 3").await.unwrap(), "6");
    let error = sum("1 zwei").await.unwrap_err().to_string();
    assert!(error.starts_with("handler_error: ") && error.contains("invalid digit"), "{error}");
}

#[tokio::test]
async fn a_message_as_long_as_may_be_passes_and_a_longer_one_is_refused_here() {
    let server = Server::start().await;
    for transport in BOTH {
        let (one, other) = (server.client(transport).await, server.client(transport).await);
        let mut messages = subscribe(&one, "a").await;
        let topic = "a".parse().unwrap();
        let most = (1 << 20) - 2048;
        let publish = |bytes| other.publish(&topic, vec![b'x'; bytes], PublishOptions::default());
        assert_eq!(publish(most + 1).await, Err(Error::TooLong { bytes: most + 1, most }));
        publish(most).await.unwrap();
        assert_eq!(messages.next().await.unwrap().payload.len(), most);
    }
}

#[tokio::test]
async fn each_subscription_of_a_client_gets_its_own_messages() {
    let server = Server::start().await;
    let (one, other) = (server.client(Transport::Quic).await, server.client(Transport::Tcp).await);
    let mut narrow = subscribe(&one, "a.b").await;
    let mut wide = subscribe(&one, "a.#").await;
    let twin = subscribe(&one, "a.b").await;
    drop(twin);
    let patterns = ["a.*".parse().unwrap(), "#".parse().unwrap()];
    let mut both = one.subscribe_all(&patterns, SubscribeOptions::default()).await.unwrap();
    publish(&other, "a.b", "1").await;
    publish(&other, "a.c", "2").await;
    assert_eq!(narrow.next().await.unwrap().payload, "1");
    for messages in [&mut wide, &mut both] {
        assert_eq!(messages.next().await.unwrap().payload, "1");
        assert_eq!(messages.next().await.unwrap().payload, "2");
    }
    one.close().await;
    assert_eq!((narrow.next().await, wide.next().await, both.next().await), (None, None, None));
}

#[tokio::test]
async fn a_retained_message_comes_with_the_subscription() {
    let server = Server::start().await;
    let client = server.client(Transport::Quic).await;
    let options = PublishOptions { retain: true, ..PublishOptions::default() };
    client.publish(&"state".parse().unwrap(), "on", options).await.unwrap();
    let mut messages = subscribe(&client, "state").await;
    let message = messages.next().await.unwrap();
    assert_eq!((&message.payload[..], message.retain), (&b"on"[..], true));
}

#[tokio::test]
async fn what_is_not_read_is_dropped_and_counted_or_waited_for() {
    let server = Server::start().await;
    let (reader, publisher) =
        (server.client(Transport::Tcp).await, server.client(Transport::Quic).await);
    let options = |when_full| SubscribeOptions {
        most_messages: 10,
        when_full,
        ..SubscribeOptions::default()
    };
    let topic = "a".parse().unwrap();
    let mut drops = reader.subscribe(&topic, options(WhenFull::DropOldest)).await.unwrap();
    for number in 0..100u8 {
        let topic = "a".parse().unwrap();
        publisher.publish(&topic, vec![number], PublishOptions::default()).await.unwrap();
    }
    publisher.ping().await.unwrap();
    reader.ping().await.unwrap();
    assert_eq!((drops.dropped(), reader.losses().messages), (90, 90));
    assert_eq!(drops.next().await.unwrap().payload[..], [90]);
    drop(drops);

    let mut waits = reader.subscribe(&topic, options(WhenFull::Wait)).await.unwrap();
    let publishing = tokio::spawn(async move {
        for number in 0..10_000u32 {
            let topic = "a".parse().unwrap();
            let payload = number.to_be_bytes().to_vec();
            publisher.publish(&topic, payload, PublishOptions::default()).await.unwrap();
        }
        publisher.ping().await.unwrap();
        publisher
    });
    for number in 0..10_000u32 {
        assert_eq!(waits.next().await.unwrap().payload[..], number.to_be_bytes());
    }
    publishing.await.unwrap();
    assert_eq!(waits.dropped(), 0);
}

#[tokio::test]
async fn many_calls_are_answered_in_any_order() {
    const CALLS: u32 = 200;
    let server = Server::start().await;
    let (provider, caller) =
        (server.client(Transport::Quic).await, server.client(Transport::Quic).await);
    // Each call waits until all later ones were answered.
    let (turn, turns) = watch::channel(CALLS);
    let turn = Arc::new(turn);
    let handler = move |args: Term| {
        let (turn, mut turns) = (turn.clone(), turns.clone());
        async move {
            let number = u32::from_be_bytes(args.bytes().unwrap()[..].try_into().unwrap());
            turns.wait_for(|turn| *turn == number + 1).await.unwrap();
            turn.send_replace(number);
            Ok(args)
        }
    };
    provider.register("reversed", handler).await.unwrap();
    let mut calls = JoinSet::new();
    for number in 0..CALLS {
        let caller = caller.clone();
        calls.spawn(async move {
            let args = number.to_be_bytes().to_vec();
            let result = caller.call("reversed", args, SOON).await;
            assert_eq!(result.unwrap(), number.to_be_bytes()[..]);
        });
    }
    assert_eq!(calls.join_all().await.len(), CALLS as usize);
}

#[tokio::test]
async fn a_call_that_fails_says_why() {
    let server = Server::start().await;
    let mut config = server.config(Transport::Quic);
    config.most_handlers = 1;
    let provider = Client::connect(config).await.unwrap();
    let caller = server.client(Transport::Tcp).await;
    let code = |result: Result<Term, CallError>| result.unwrap_err().code;
    assert_eq!(code(caller.call("nothing", "", SOON).await), "no_such_procedure");
    assert_eq!(code(caller.call("no\nname", "", SOON).await), "invalid_call");

    provider
        .register("fails", |_| async { Err(CallError::new("empty", "no sugar")) })
        .await
        .unwrap();
    let error = caller.call("fails", "", SOON).await.unwrap_err();
    assert_eq!(error.to_string(), "empty: no sugar");

    let panics = |args: Term| async move {
        assert!(args == "");
        Ok(args)
    };
    provider.register("panics", panics).await.unwrap();
    assert_eq!(code(caller.call("panics", "x", SOON).await), "handler_error");
    assert!(caller.call("panics", "", SOON).await.is_ok(), "the next call is another one");

    let begun = Arc::new(Semaphore::new(0));
    let signal = begun.clone();
    let hangs = move |_| {
        signal.add_permits(1);
        std::future::pending()
    };
    provider.register("hangs", hangs).await.unwrap();
    let (timed_out, busy) =
        tokio::join!(caller.call("hangs", "", Duration::from_millis(500)), async {
            begun.acquire().await.unwrap().forget();
            caller.call("fails", "", SOON).await
        });
    assert_eq!((code(timed_out), code(busy)), ("timeout".to_owned(), "busy".to_owned()));
    // A handler whose deadline is over makes room for another.
    while caller.call("panics", "", SOON).await.is_err() {}
}

#[tokio::test]
async fn a_cast_runs_the_handler_and_one_too_many_is_counted() {
    let server = Server::start().await;
    let provider = server.client(Transport::Quic).await;
    let (sender, mut receiver) = tokio::sync::mpsc::channel(1);
    let handler = move |args| {
        let sender = sender.clone();
        async move {
            sender.send(args).await.unwrap();
            Ok(Term::nil())
        }
    };
    provider.register("told", handler).await.unwrap();
    let caster = server.client(Transport::Quic).await;
    caster.cast("told", "x").await.unwrap();
    assert_eq!(receiver.recv().await.unwrap(), "x");
    assert_eq!(provider.losses().casts, 0);
}

#[tokio::test]
async fn a_gateway_that_is_not_known_is_not_believed() {
    let server = Server::start().await;
    let stranger = Pair::new();
    for transport in BOTH {
        let mut config = server.config(transport);
        config.trust = Trust::Authority(stranger.ca.clone());
        let error = Client::connect(config.clone()).await.unwrap_err();
        assert!(error.to_string().contains("certificate"), "{error}");
        config.trust = Trust::Authority("/no/such/file".into());
        let error = Client::connect(config.clone()).await.unwrap_err();
        assert!(error.to_string().starts_with("cannot use the CA file /no/such/file"), "{error}");
        config.trust = Trust::Insecure;
        Client::connect(config).await.unwrap().ping().await.unwrap();
    }
}

#[tokio::test]
async fn what_is_not_permitted_ends_the_client_with_the_reason() {
    let rule = Rule { subscribe: vec!["open.#".parse().unwrap()], ..Rule::default() };
    let server = Server::with(Permissions { rules: vec![rule] }).await;
    for transport in BOTH {
        let client = server.client(transport).await;
        let _open = subscribe(&client, "open.a").await;
        let secret = "secret".parse().unwrap();
        let secret = client.subscribe(&secret, SubscribeOptions::default());
        let Err(Error::Disconnected { reason, message }) = secret.await else {
            panic!("permitted")
        };
        assert_eq!(reason, "forbidden");
        assert_eq!(message, "subscribing to secret is not permitted");
        assert!(matches!(client.connected().await, Err(Error::Disconnected { .. })));
    }
}

#[tokio::test]
async fn what_was_published_before_a_close_is_delivered() {
    let server = Server::start().await;
    for transport in BOTH {
        let (reader, publisher) = (server.client(transport).await, server.client(transport).await);
        let mut messages = subscribe(&reader, "a").await;
        let publishing = async {
            for _ in 0..2_000 {
                let topic = "a".parse().unwrap();
                publisher.publish(&topic, vec![7; 1000], PublishOptions::default()).await.unwrap();
            }
            publisher.close().await;
        };
        let reading = async {
            for _ in 0..2_000 {
                assert_eq!(messages.next().await.unwrap().payload.len(), 1000);
            }
        };
        tokio::join!(publishing, reading);
        assert_eq!(messages.dropped(), 0);
    }
}

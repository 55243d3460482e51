//! Clients that ask too much or read too little: the gateway slows them and nobody else.

use super::*;
use crate::{
    outbox::OutboxLimits,
    wire::{
        id::CallId,
        message::{Call, Procedure, Publish, Qos, RegisterProcedure, Subscribe},
    },
};

#[tokio::test(start_paused = true)]
async fn a_client_that_asks_too_much_is_slowed_and_nobody_else() {
    let hub = hub(OutboxLimits::default());
    let limits = ConnectionLimits { control_per_second: 100, ..ConnectionLimits::default() };
    let mut greedy = Client::begin(&hub, limits, CHUNK, None);
    greedy.send(connect(REALM)).await;
    assert!(matches!(greedy.next().await, Some(Message::Pong(_))));
    let mut other = Client::connect(&hub).await;
    let began = Instant::now();
    let pings = encode(&Message::Ping(Ping { timestamp: 1 })).repeat(301);
    greedy.writer.write_all(&pings).await.unwrap();
    for _ in 0..100 {
        greedy.next().await;
    }
    other.settle().await;
    assert_eq!(began.elapsed(), Duration::ZERO, "a second's worth is free");
    for _ in 100..301 {
        assert!(matches!(greedy.next().await, Some(Message::Pong(_))));
    }
    let took = began.elapsed();
    assert!(took >= Duration::from_secs(2) && took < Duration::from_millis(2100), "{took:?}");
    assert!(hub.metrics.slowed.get() >= 1);
}

#[tokio::test(start_paused = true)]
async fn publishing_and_calling_are_not_slowed() {
    let hub = hub(OutboxLimits::default());
    let (mut provider, mut subscriber) = (Client::connect(&hub).await, Client::connect(&hub).await);
    let procedure = Procedure("p".to_owned());
    let register = RegisterProcedure { procedure: procedure.clone() };
    provider.send(Message::RegisterProcedure(register)).await;
    subscriber.subscribe("#").await;
    let limits = ConnectionLimits { control_per_second: 1, ..ConnectionLimits::default() };
    let mut client = Client::begin(&hub, limits, CHUNK, None);
    client.send(connect(REALM)).await;
    assert!(matches!(client.next().await, Some(Message::Pong(_))));
    for number in 0..100 {
        client.send(publish(number, 10)).await;
        assert_eq!(subscriber.next().await, Some(publish(number, 10)));
        let (call_id, args) = (CallId::from([number; 16]), "".into());
        let call = Call { procedure: procedure.clone(), args, call_id, timeout: None };
        client.send(Message::Call(call)).await;
        assert!(matches!(provider.next().await, Some(Message::Call(_))));
    }
    assert_eq!(hub.metrics.slowed.get(), 0);
}

#[tokio::test]
async fn who_reads_gets_all_that_is_retained_however_little_may_wait_for_it() {
    let limits =
        OutboxLimits { mark_bytes: 16 << 10, most_bytes: 256 << 10, ..OutboxLimits::default() };
    let hub = hub(limits);
    let mut publisher = Client::connect(&hub).await;
    let retained = |number: u32| match publish(1, 500) {
        Message::Publish(publish) => {
            let topic = format!("a.{number:05}").parse().unwrap();
            Message::Publish(Publish { topic, retain: true, ..publish })
        }
        other => other,
    };
    for number in 0..4000 {
        publisher.send(retained(number)).await;
    }
    publisher.settle().await;
    let mut late = Client::connect(&hub).await;
    let topics = vec!["#".parse().unwrap()];
    late.send(Message::Subscribe(Subscribe { topics, qos: Qos::AtMostOnce })).await;
    late.send(Message::Ping(Ping { timestamp: 1 })).await;
    for number in 0..4000 {
        assert_eq!(late.next().await, Some(retained(number)));
    }
    assert!(
        matches!(late.next().await, Some(Message::Pong(_))),
        "what came later is answered later"
    );
    assert_eq!(hub.dropped(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_stuck_subscriber_costs_its_own_messages_and_no_others() {
    let limits =
        OutboxLimits { mark_bytes: 8 << 10, most_bytes: 32 << 10, ..OutboxLimits::default() };
    let hub = hub(limits);
    let mut stuck = Client::connect(&hub).await;
    stuck.subscribe("#").await;
    let (mut publisher, mut other) = (Client::connect(&hub).await, Client::connect(&hub).await);
    other.subscribe("#").await;
    let began = Instant::now();
    for number in 0..200 {
        publisher.send(publish(number, 1000)).await;
        assert_eq!(other.next().await, Some(publish(number, 1000)));
    }
    assert!(began.elapsed() < 2 * limits.patience, "{:?}", began.elapsed());
    assert!(hub.dropped() > 0);
    // What it gets when it reads again is in order, with a gap.
    let mut last = None;
    publisher.send(publish(255, 0)).await;
    while last != Some(255) {
        let Some(Message::Publish(publish)) = stuck.next().await else { panic!("no publish") };
        let number = publish.message_id.bytes()[0];
        assert!(last.is_none_or(|last| last < number));
        last = Some(number);
    }
}

#[tokio::test(start_paused = true)]
async fn many_stuck_subscribers_together_cost_a_publisher_one_wait() {
    let limits =
        OutboxLimits { mark_bytes: 8 << 10, most_bytes: 32 << 10, ..OutboxLimits::default() };
    let hub = hub(limits);
    let mut stuck = Vec::new();
    for _ in 0..20 {
        let mut client = Client::connect(&hub).await;
        client.subscribe("#").await;
        stuck.push(client);
    }
    let (mut publisher, mut other) = (Client::connect(&hub).await, Client::connect(&hub).await);
    other.subscribe("#").await;
    let began = Instant::now();
    for number in 0..200 {
        publisher.send(publish(number, 1000)).await;
        assert_eq!(other.next().await, Some(publish(number, 1000)));
    }
    assert!(began.elapsed() < 2 * limits.patience, "{:?}", began.elapsed());
}

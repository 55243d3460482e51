//! What clients see of a gateway that stops.

use std::time::Duration;

use gateway::wire::{
    id::CallId,
    message::{Call, Message, Procedure, Reply, Term},
};

use tokio::net::TcpStream;

use crate::{
    peer::{Over, Peer},
    world::{REALM, World, ask},
};

#[tokio::test]
async fn calls_under_way_end_before_the_gateway_does_and_everybody_is_told() {
    let world = World::new().await;
    let mut provider = world.join(Over::Quic, REALM).await;
    let mut caller = world.join(Over::Tcp, REALM).await;
    let mut idle = [world.join(Over::Quic, REALM).await, world.join(Over::Tcp, REALM).await];
    provider.register("p").await;
    let call = |id| {
        let procedure = Procedure("p".to_owned());
        let call_id = CallId::from([id; 16]);
        Message::Call(Call { procedure, args: "".into(), call_id, timeout: None })
    };
    caller.send(call(1)).await;
    let Some(Message::Call(asked)) = provider.next().await else { panic!("no call") };
    let (udp, tcp, health) = (world.gateway.udp, world.gateway.tcp, world.gateway.health);
    let World { authority, gateway, folder: _folder } = world;
    let drained = tokio::spawn(gateway.drain());
    for peer in &mut idle {
        assert_eq!(peer.dismissed().await.0, "draining");
        assert!(peer.closed().await.is_none_or(|(code, _)| code == 9));
    }
    assert_eq!(ask(health, "/ready").await.0, 200, "clients are left");
    assert!(ask(health, "/health").await.1.contains("draining"));
    for (over, at) in [(Over::Quic, udp), (Over::Tcp, tcp)] {
        assert!(Peer::reach(over, at, authority.trusted(None)).await.is_err());
    }
    let (_, metrics) = ask(health, "/metrics").await;
    assert!(metrics.contains("connections_refused_total{reason=\"draining\"} 1"), "{metrics}");
    caller.send(call(2)).await;
    let Some(Message::Reply(busy)) = caller.next().await else { panic!("no reply") };
    assert_eq!(busy.outcome.unwrap_err().code, "busy");
    let outcome = Ok(Term::from("done"));
    let reply = Reply { call_id: asked.call_id, outcome: outcome.clone() };
    provider.send(Message::Reply(reply)).await;
    let expect = Reply { call_id: CallId::from([1; 16]), outcome };
    assert_eq!(caller.next().await, Some(Message::Reply(expect)));
    for peer in [&mut provider, &mut caller] {
        assert_eq!(peer.dismissed().await.0, "draining");
    }
    assert!(drained.await.unwrap(), "every client has left");
}

#[tokio::test]
async fn under_load_every_call_that_a_provider_got_is_answered() {
    let world = World::new().await;
    let mut provider = world.join(Over::Quic, REALM).await;
    provider.register("p").await;
    let mut callers = Vec::new();
    for over in [Over::BOTH, Over::BOTH].concat() {
        callers.push(world.join(over, REALM).await);
    }
    let served = tokio::spawn(async move {
        let mut asked = 0;
        while let Some(Message::Call(call)) = provider.next().await {
            asked += 1;
            let outcome = Ok("".into());
            provider.send(Message::Reply(Reply { call_id: call.call_id, outcome })).await;
        }
        asked
    });
    let (first, mut answered) = tokio::sync::mpsc::channel(1);
    let calling = callers.into_iter().map(|mut caller| {
        let first = first.clone();
        tokio::spawn(async move {
            let mut answers = 0;
            loop {
                let (procedure, call_id) = (Procedure("p".to_owned()), CallId::from([1; 16]));
                let call = Call { procedure, args: "".into(), call_id, timeout: None };
                caller.send(Message::Call(call)).await;
                match caller.next().await {
                    Some(Message::Reply(reply)) => answers += usize::from(reply.outcome.is_ok()),
                    Some(Message::Disconnect(_)) => return answers,
                    other => panic!("{other:?}"),
                }
                // Nobody waits for the later ones.
                let _ = first.try_send(());
            }
        })
    });
    let calling: Vec<_> = calling.collect();
    answered.recv().await.unwrap();
    assert!(world.gateway.drain().await, "every client has left");
    let mut answers = 0;
    for caller in calling {
        answers += caller.await.unwrap();
    }
    assert!(answers > 0);
    assert_eq!(served.await.unwrap(), answers);
}

#[tokio::test]
async fn who_never_said_who_it_is_does_not_hold_up_the_end() {
    let world = World::new().await;
    let _silent = [world.reach(Over::Quic, None).await, world.reach(Over::Tcp, None).await];
    let _knocked = TcpStream::connect(world.gateway.tcp).await.unwrap();
    assert!(world.gateway.drain().await);
}

#[tokio::test]
async fn calls_longer_than_the_grace_get_a_timeout_before_everybody_is_told() {
    let world = World::with(|settings| settings.grace = Duration::from_millis(400)).await;
    let mut provider = world.join(Over::Quic, REALM).await;
    provider.register("p").await;
    let mut callers = [world.join(Over::Quic, REALM).await, world.join(Over::Tcp, REALM).await];
    for caller in &mut callers {
        let (procedure, call_id) = (Procedure("p".to_owned()), CallId::from([1; 16]));
        caller
            .send(Message::Call(Call { procedure, args: "".into(), call_id, timeout: None }))
            .await;
        assert!(matches!(provider.next().await, Some(Message::Call(_))));
    }
    let World { gateway, authority: _, folder: _folder } = world;
    let drained = tokio::spawn(gateway.drain());
    for caller in &mut callers {
        let Some(Message::Reply(reply)) = caller.next().await else { panic!("no reply") };
        assert_eq!(reply.outcome.unwrap_err().code, "timeout");
        assert_eq!(caller.dismissed().await.0, "draining");
    }
    assert_eq!(provider.dismissed().await.0, "draining");
    assert!(drained.await.unwrap(), "every client has left");
}

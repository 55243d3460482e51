//! What clients see of a gateway that stops.

use bytes::Bytes;
use gateway::{
    id::CallId,
    message::{Call, Message, Procedure, Reply},
};

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
        let call_id = CallId([id; 16]);
        Message::Call(Call { procedure, args: Bytes::new(), call_id, timeout: None })
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
    caller.send(call(2)).await;
    let Some(Message::Reply(busy)) = caller.next().await else { panic!("no reply") };
    assert_eq!(busy.outcome.unwrap_err().code, "busy");
    let outcome = Ok(Bytes::from_static(b"done"));
    let reply = Reply { call_id: asked.call_id, outcome: outcome.clone() };
    provider.send(Message::Reply(reply)).await;
    let expect = Reply { call_id: CallId([1; 16]), outcome };
    assert_eq!(caller.next().await, Some(Message::Reply(expect)));
    for peer in [&mut provider, &mut caller] {
        assert_eq!(peer.dismissed().await.0, "draining");
    }
    assert!(drained.await.unwrap(), "every client has left");
}

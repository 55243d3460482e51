//! How connections end: the stream before the connection, and refused ones a while after they were told.

use std::time::Duration;

use gateway::wire::{
    frame::{Kind, header},
    message::{Disconnect, Message},
};
use tokio::time::{Instant, timeout};

use crate::{
    peer::{Over, Peer},
    world::{LONG, REALM, World, metrics_say},
};

const HOLD: Duration = Duration::from_secs(3600);

fn goodbye() -> Message {
    Message::Disconnect(Disconnect { reason: "normal".to_owned(), message: String::new() })
}

/// Passes over the last words and sees the end of the stream.
async fn ends_its_stream(peer: &mut Peer, reason: Option<&str>) {
    if let Some(reason) = reason {
        assert_eq!(peer.dismissed().await.0, reason);
    } else {
        assert!(peer.finished().await, "the connection ended before its stream");
    }
}

#[tokio::test]
async fn the_stream_ends_before_the_connection_whatever_ended_it() {
    for over in Over::BOTH {
        let world = World::with(|settings| {
            settings.connection.connect_within = Duration::from_millis(200);
            settings.grace = Duration::from_secs(2);
        })
        .await;
        let mut left = world.join(over, REALM).await;
        left.send(goodbye()).await;
        ends_its_stream(&mut left, None).await;
        let mut finished = world.join(over, REALM).await;
        finished.finish().await;
        ends_its_stream(&mut finished, None).await;
        let mut wrong = world.join(over, REALM).await;
        wrong.write(b"no frame at all").await;
        ends_its_stream(&mut wrong, Some("error")).await;
        let mut cut = world.join(over, REALM).await;
        cut.write(&header(Kind::Ping, 100)).await;
        cut.finish().await;
        ends_its_stream(&mut cut, None).await;
        let mut stranger = world.reach(over, None).await;
        stranger.connect("nowhere").await;
        ends_its_stream(&mut stranger, Some("unknown_realm")).await;
        let mut early = world.reach(over, None).await;
        early.send(goodbye()).await;
        ends_its_stream(&mut early, Some("protocol")).await;
        let mut unreadable = world.reach(over, None).await;
        unreadable.write(&[&header(Kind::Connect, 1)[..], &[0x80]].concat()).await;
        ends_its_stream(&mut unreadable, Some("error")).await;
        let mut silent = world.reach(over, None).await;
        // Over QUIC a stream is there when something was said on it.
        silent.write(&[1]).await;
        ends_its_stream(&mut silent, Some("timeout")).await;
    }
}

#[tokio::test]
async fn a_gateway_that_stops_ends_the_streams_of_clients_and_of_who_is_none_yet() {
    for over in Over::BOTH {
        let world = World::with(|settings| settings.connection.hold_refused = HOLD).await;
        let mut client = world.join(over, REALM).await;
        let mut silent = world.reach(over, None).await;
        silent.write(&[1]).await;
        let mut refused = world.reach(over, None).await;
        refused.connect("nowhere").await;
        assert!(matches!(refused.next().await, Some(Message::Disconnect(_))));
        let grace = world.gateway.drain();
        let seen = async {
            ends_its_stream(&mut client, Some("draining")).await;
            ends_its_stream(&mut silent, Some("draining")).await;
            ends_its_stream(&mut refused, None).await;
        };
        let began = Instant::now();
        let (all_left, ()) = tokio::join!(grace, seen);
        assert!(all_left);
        assert!(began.elapsed() < Duration::from_secs(6), "nobody is held while it stops");
    }
}

#[tokio::test]
async fn a_close_with_the_code_of_a_normal_end_is_counted_as_one_and_another_is_a_loss() {
    let world = World::new().await;
    for (code, reason) in [(0, "normal"), (7, "lost")] {
        let mut peer = world.join(Over::Quic, REALM).await;
        peer.ping().await;
        peer.close(code);
        let line = format!("connections_closed_total{{reason=\"{reason}\"}} 1");
        metrics_say(world.gateway.health, &line).await;
    }
}

#[tokio::test]
async fn a_client_of_a_wrong_realm_is_told_at_once_and_its_stream_ends_a_while_later() {
    let hold = Duration::from_millis(500);
    for over in Over::BOTH {
        let world = World::with(|settings| settings.connection.hold_refused = hold).await;
        let mut refused = world.reach(over, None).await;
        refused.connect("nowhere").await;
        assert!(matches!(refused.next().await, Some(Message::Disconnect(_))));
        let told = Instant::now();
        assert!(refused.finished().await);
        // The gateway began to wait a moment before the word of it was here.
        assert!(told.elapsed() >= hold / 2, "{:?}", told.elapsed());
    }
}

#[tokio::test]
async fn refused_clients_that_are_held_are_few_and_take_no_place_of_others() {
    for over in Over::BOTH {
        let world = World::with(|settings| {
            settings.connection.hold_refused = HOLD;
            settings.most_connections = 16;
        })
        .await;
        let mut held = Vec::new();
        for _ in 0..2 {
            let mut peer = world.reach(over, None).await;
            peer.connect("nowhere").await;
            assert!(matches!(peer.next().await, Some(Message::Disconnect(_))));
            held.push(peer);
        }
        for _ in 0..20 {
            let mut peer = world.reach(over, None).await;
            peer.connect("nowhere").await;
            let dismissed = timeout(LONG, peer.dismissed()).await;
            assert_eq!(dismissed.expect("it is not held").0, "unknown_realm", "{over:?}");
        }
        for _ in 0..14 {
            world.join(over, REALM).await.ping().await;
        }
        // One that leaves, and one that goes on talking, make room.
        held[0].finish().await;
        assert!(timeout(LONG, held[0].finished()).await.unwrap());
        held[1].write(&[0; 8192]).await;
        assert!(timeout(LONG, held[1].finished()).await.unwrap());
        let mut next = world.reach(over, None).await;
        next.connect("nowhere").await;
        assert!(matches!(next.next().await, Some(Message::Disconnect(_))));
        assert!(timeout(Duration::from_millis(200), next.finished()).await.is_err(), "it is held");
    }
}

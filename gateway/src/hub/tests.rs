//! How much memory the hub holds while it handles many messages at once, and that its loop turns.

use std::time::Instant;

use super::*;
use crate::{
    session::Permissions,
    wire::{
        frame::Frames,
        id::{FreshIds, MessageId},
        message::{Incoming, Message, Publish, Qos, Subscribe, Unsubscribe, encode, incoming},
    },
};

fn read(message: &Message) -> Incoming {
    let mut frames = Frames::new(1 << 20);
    frames.push(&encode(message));
    incoming(&frames.next_frame().unwrap().unwrap(), &mut FreshIds::new([7; 8]))
}

fn hub(realms: &[RealmConfig]) -> Hub {
    let diagnostics =
        Diagnostics { node: "g".to_owned(), realm: "a".to_owned(), started: Instant::now() };
    let (limits, outbox) = (RealmLimits::default(), OutboxLimits::default());
    Hub::new(realms, limits, outbox, diagnostics, Arc::new(Metrics::new()), Budget::unlimited())
}

#[test]
fn what_a_batch_of_messages_brings_about_does_not_pile_up() {
    let name: RealmName = "a".parse().unwrap();
    let realm = RealmConfig {
        name: name.clone(),
        certificate_required: false,
        permissions: Permissions::default(),
    };
    let hub = hub(&[realm]);
    let connect = Connect {
        version: "1.0".to_owned(),
        node_id: NodeId([1; 32]),
        realm_id: RealmId::Name(name.to_string()),
        capabilities: Vec::new(),
        token: None,
    };
    let client = hub.admit(&connect, None, &Account::unlimited()).unwrap();
    let mut retained = (0..1000).map(|number| {
        read(&Message::Publish(Publish {
            topic: format!("t.{number}").parse().unwrap(),
            payload: "x".into(),
            qos: Qos::AtMostOnce,
            retain: true,
            message_id: MessageId::from([0; 16]),
        }))
    });
    client.handle(&mut retained, &mut Vec::new()).unwrap();
    let mut again = (0..500).flat_map(|_| {
        let topics = vec!["#".parse().unwrap()];
        let subscribe = Subscribe { topics: topics.clone(), qos: Qos::AtMostOnce };
        [Message::Subscribe(subscribe), Message::Unsubscribe(Unsubscribe { topics })]
            .map(|message| read(&message))
    });
    while client.handle(&mut again, &mut Vec::new()).unwrap() > 0 {
        while client.hand_over(&mut Vec::new()).is_some() {}
    }
    assert!(client.outbox.bytes() <= OutboxLimits::default().most_bytes);
    let held = client.realm.lock().actions.capacity();
    assert!(held < 16 * realm::MOST_ACTIONS, "{held}");
}

#[tokio::test(start_paused = true)]
async fn the_loop_of_deadlines_shows_that_it_turns() {
    let hub = Arc::new(hub(&[]));
    let beat = Arc::new(Beat::default());
    let keeping = tokio::spawn(hub.keep_deadlines(beat.clone()));
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(beat.since() < Beat::EVERY);
    keeping.abort();
}

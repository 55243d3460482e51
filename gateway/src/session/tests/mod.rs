//! A realm with clients in it, on a simulated clock.

mod passed;

use super::*;
use crate::wire::{
    frame::{Frames, Kind},
    id::MessageId,
    message::{
        Connect, DecodeError, Disconnect, Publish, Qos, RealmId, RegisterProcedure, Unread,
        Unsubscribe, decode,
    },
};

struct World {
    realm: Realm,
    now: Now,
}

/// What a client was sent.
type Sent = Vec<(ClientId, Message)>;

impl World {
    fn new() -> Self {
        Self::with(RealmLimits::default())
    }

    fn with(limits: RealmLimits) -> Self {
        let realm = Realm::new(limits, Budget::unlimited());
        Self { realm, now: Now { steady: 0, calendar: 1_764_000_000_000 } }
    }

    fn join(&mut self) -> ClientId {
        self.join_as(NodeId([0; 32]), false, &Permissions::default()).0
    }

    fn join_as(
        &mut self,
        node: NodeId,
        proven: bool,
        permissions: &Permissions,
    ) -> (ClientId, Vec<Action>) {
        let mut out = Vec::new();
        let joining = Joining { node, proven, strict: false };
        let id = self.realm.join(joining, Account::unlimited(), permissions, self.now, &mut out);
        (id, out)
    }

    fn join_strict(&mut self) -> (ClientId, Vec<Action>) {
        let mut out = Vec::new();
        let joining = Joining { node: NodeId([9; 32]), proven: false, strict: true };
        let id = self.realm.join(
            joining,
            Account::unlimited(),
            &Permissions::default(),
            self.now,
            &mut out,
        );
        (id, out)
    }

    fn handle(&mut self, from: ClientId, message: Message) -> Result<Vec<Action>, Close> {
        let mut out = Vec::new();
        self.realm.handle(from, message, self.now, &mut out)?;
        while self.realm.hand_over(from, &mut out).is_some() {}
        Ok(out)
    }

    fn send(&mut self, from: ClientId, message: Message) -> Sent {
        sent(self.handle(from, message).unwrap())
    }

    fn subscribe(&mut self, client: ClientId, patterns: &[&str]) -> Sent {
        let topics = patterns.iter().map(|text| text.parse().unwrap()).collect();
        self.send(client, Message::Subscribe(Subscribe { topics, qos: Qos::AtMostOnce }))
    }

    fn register(&mut self, client: ClientId) {
        let register = RegisterProcedure { procedure: procedure() };
        assert_eq!(self.send(client, Message::RegisterProcedure(register)), []);
    }
}

fn sent(actions: Vec<Action>) -> Sent {
    let read = |frame: &[u8]| {
        let mut frames = Frames::new(1 << 20);
        frames.push(frame);
        decode(&frames.next_frame().unwrap().unwrap()).unwrap()
    };
    let message = |action| match action {
        Action::Send(to, frame) => Some((to, read(&frame))),
        Action::Close(..)
        | Action::Diagnose(..)
        | Action::NotRetained
        | Action::NoLongerRetained(_)
        | Action::Answered(_)
        | Action::Failed(_)
        | Action::PassedOver(..) => None,
    };
    actions.into_iter().filter_map(message).collect()
}

/// The reasons for which something was passed over.
fn passed_over(actions: &[Action]) -> Vec<&'static str> {
    let reason = |action: &Action| match action {
        Action::PassedOver(reason, _) => Some(*reason),
        Action::Send(..)
        | Action::Close(..)
        | Action::Diagnose(..)
        | Action::NotRetained
        | Action::NoLongerRetained(_)
        | Action::Answered(_)
        | Action::Failed(_) => None,
    };
    actions.iter().filter_map(reason).collect()
}

fn procedure() -> Procedure {
    Procedure("com.example.add".to_owned())
}

fn published(topic: &str, payload: &'static [u8], retain: bool) -> Publish {
    Publish {
        topic: topic.parse().unwrap(),
        payload: Bytes::from_static(payload),
        qos: Qos::AtMostOnce,
        retain,
        message_id: MessageId::from([1; 16]),
    }
}

fn publish(topic: &str) -> Message {
    Message::Publish(published(topic, b"payload", false))
}

fn call(id: u8) -> Message {
    let call_id = CallId::from([id; 16]);
    Message::Call(Call { procedure: procedure(), args: "".into(), call_id, timeout: Some(50) })
}

/// The id under which a provider was called.
fn asked(sent: &Sent) -> CallId {
    match sent.as_slice() {
        [(_, Message::Call(call))] => call.call_id.clone(),
        other => panic!("{other:?} is no call"),
    }
}

fn result(call_id: &CallId, result: &[u8]) -> Message {
    Message::Reply(Reply { call_id: call_id.clone(), outcome: Ok(result.into()) })
}

fn error_of(sent: &Sent) -> (ClientId, CallId, &str) {
    match sent.as_slice() {
        [(to, Message::Reply(Reply { call_id, outcome: Err(error) }))] => {
            (*to, call_id.clone(), &error.code)
        }
        other => panic!("{other:?} is no error"),
    }
}

#[test]
fn a_connect_is_answered_by_a_pong() {
    let mut world = World::new();
    let (id, out) = world.join_as(NodeId([0; 32]), false, &Permissions::default());
    let pong = Pong { timestamp: world.now.calendar, server_time: world.now.calendar };
    assert_eq!(sent(out), [(id, Message::Pong(pong))]);
}

#[test]
fn a_ping_gets_its_own_timestamp_back() {
    let mut world = World::new();
    let id = world.join();
    let pong = Pong { timestamp: 7, server_time: world.now.calendar };
    assert_eq!(world.send(id, Message::Ping(Ping { timestamp: 7 })), [(id, Message::Pong(pong))]);
}

#[test]
fn a_message_goes_to_each_subscriber_once_and_not_back_to_its_publisher() {
    let mut world = World::new();
    let (publisher, one, other) = (world.join(), world.join(), world.join());
    world.subscribe(publisher, &["#"]);
    world.subscribe(one, &["a.*", "a.#"]);
    world.subscribe(other, &["b"]);
    assert_eq!(world.send(publisher, publish("a.b")), [(one, publish("a.b"))]);
    assert_eq!(world.send(other, publish("b")), [(publisher, publish("b"))]);
}

#[test]
fn who_unsubscribed_gets_nothing() {
    let mut world = World::new();
    let (publisher, subscriber) = (world.join(), world.join());
    world.subscribe(subscriber, &["a"]);
    let topics: Vec<Pattern> = vec!["a".parse().unwrap()];
    world.send(subscriber, Message::Unsubscribe(Unsubscribe { topics }));
    assert_eq!(world.send(publisher, publish("a")), []);
}

#[test]
fn the_last_retained_message_of_each_topic_comes_with_the_subscription() {
    let mut world = World::new();
    let (publisher, late) = (world.join(), world.join());
    let retained = |payload| Message::Publish(published("a", payload, true));
    for payload in [b"old", b"new"] {
        world.send(publisher, retained(payload));
    }
    assert_eq!(world.subscribe(late, &["#"]), [(late, retained(b"new"))]);
    assert_eq!(world.subscribe(late, &["#"]), [], "subscribed before");
    world.send(publisher, retained(b""));
    assert_eq!(world.subscribe(late, &["a"]), [], "an empty one forgets it");
}

#[test]
fn patterns_that_overlap_in_one_subscription_bring_a_retained_message_once() {
    let mut world = World::new();
    let (publisher, late) = (world.join(), world.join());
    let retained = |topic| Message::Publish(published(topic, b"x", true));
    for topic in ["a.b", "a.c.d", "z"] {
        world.send(publisher, retained(topic));
    }
    let sent = world.subscribe(late, &["a.*", "a.#", "a.b", "z"]);
    let sent: Vec<Message> = sent.into_iter().map(|(_, message)| message).collect();
    assert_eq!(sent, [retained("a.b"), retained("a.c.d"), retained("z")]);
}

#[test]
fn a_messages_id_and_qos_are_passed_on() {
    let mut world = World::new();
    let (publisher, subscriber) = (world.join(), world.join());
    world.subscribe(subscriber, &["a"]);
    let message_id = MessageId::from(std::array::from_fn(|at| 0xf0 + u8::try_from(at).unwrap()));
    for qos in [Qos::AtMostOnce, Qos::AtLeastOnce, Qos::ExactlyOnce] {
        let message_id = message_id.clone();
        let message = Publish { qos, message_id, ..published("a", b"x", false) };
        let sent = world.send(publisher, Message::Publish(message.clone()));
        assert_eq!(sent, [(subscriber, Message::Publish(message))]);
    }
}

#[test]
fn two_callers_with_equal_ids_each_get_their_own_reply() {
    let mut world = World::new();
    let (provider, one, other) = (world.join(), world.join(), world.join());
    world.register(provider);
    let first = asked(&world.send(one, call(1)));
    let second = asked(&world.send(other, call(1)));
    let id = CallId::from([1; 16]);
    assert_eq!(world.send(provider, result(&second, b"second")), [(other, result(&id, b"second"))]);
    assert_eq!(world.send(provider, result(&first, b"first")), [(one, result(&id, b"first"))]);
    assert_eq!(world.send(provider, result(&first, b"again")), []);
}

#[test]
fn a_reply_of_somebody_else_is_nobodys() {
    let mut world = World::new();
    let (provider, caller, stranger) = (world.join(), world.join(), world.join());
    world.register(provider);
    let id = asked(&world.send(caller, call(1)));
    assert_eq!(world.send(stranger, result(&id, b"false")), []);
    assert_eq!(world.send(provider, result(&id, b"true")).len(), 1);
}

#[test]
fn a_handlers_own_error_reaches_its_caller() {
    let mut world = World::new();
    let (provider, caller) = (world.join(), world.join());
    world.register(provider);
    let call_id = asked(&world.send(caller, call(1)));
    let error = CallError { code: "handler_error".to_owned(), message: "no".to_owned() };
    let reply = Message::Reply(Reply { call_id, outcome: Err(error) });
    let sent = world.send(provider, reply);
    assert_eq!(error_of(&sent), (caller, CallId::from([1; 16]), "handler_error"));
}

#[test]
fn a_call_that_cannot_succeed_says_why() {
    let limits = RealmLimits {
        calls: CallLimits { caller: 1, ..RealmLimits::default().calls },
        ..RealmLimits::default()
    };
    let mut world = World::with(limits);
    let (provider, caller) = (world.join(), world.join());
    let id = |byte| CallId::from([byte; 16]);
    let sent = world.send(caller, call(1));
    assert_eq!(error_of(&sent), (caller, id(1), "no_such_procedure"));
    world.register(provider);
    world.send(caller, call(2));
    let sent = world.send(caller, call(3));
    assert_eq!(error_of(&sent), (caller, id(3), "busy"));

    assert_eq!(world.realm.next_deadline(), Some(50_000));
    let mut out = Vec::new();
    world.realm.tick(Now { steady: 50_000, ..world.now }, &mut out);
    assert_eq!(error_of(&self::sent(out)), (caller, id(2), "timeout"));

    world.send(caller, call(4));
    let mut out = Vec::new();
    world.realm.leave(provider, &mut out);
    assert_eq!(error_of(&self::sent(out)), (caller, id(4), "peer_disconnected"));
    assert_eq!(world.realm.open_calls(), 0);
}

#[test]
fn a_call_may_not_take_longer_than_the_gateway_allows() {
    let limits = RealmLimits { usual_timeout: 10, longest_timeout: 20, ..RealmLimits::default() };
    let mut world = World::with(limits);
    let (provider, caller) = (world.join(), world.join());
    world.register(provider);
    for (timeout, expect) in [(None, 10), (Some(5), 5), (Some(u64::MAX), 20)] {
        let call = Call {
            procedure: procedure(),
            args: "".into(),
            call_id: CallId::from([1; 16]),
            timeout,
        };
        let sent = world.send(caller, Message::Call(call));
        let [(_, Message::Call(call))] = sent.as_slice() else { panic!("{sent:?}") };
        assert_eq!(call.timeout, Some(expect));
    }
}

#[test]
fn a_realm_that_stops_ends_the_calls_under_way_and_takes_no_new_ones() {
    let mut world = World::new();
    let (provider, caller, idle) = (world.join(), world.join(), world.join());
    world.register(provider);
    let asked = asked(&world.send(caller, call(1)));
    world.realm.stop();
    assert_eq!(error_of(&world.send(idle, call(2))).2, "busy");
    assert_eq!(world.realm.in_calls(), HashSet::from([provider, caller]));
    assert_eq!(world.send(provider, result(&asked, b"done")).len(), 1);
    assert!(world.realm.in_calls().is_empty());
}

#[test]
fn a_cast_reaches_one_provider_and_has_no_reply() {
    let mut world = World::new();
    let (provider, caster) = (world.join(), world.join());
    let cast = || Message::Cast(Cast { procedure: procedure(), args: "".into() });
    assert_eq!(world.send(caster, cast()), []);
    world.register(provider);
    assert_eq!(world.send(caster, cast()), [(provider, cast())]);
}

#[test]
fn diagnostics_are_for_the_gateway_to_answer_and_for_nobody_to_register() {
    let mut world = World::new();
    let client = world.join();
    let echo = Procedure("com.macula.diagnostics.echo".to_owned());
    let (call_id, args) = (CallId::from([1; 16]), Term::from("{}"));
    let (procedure, id) = (echo.clone(), call_id.clone());
    let call = Call { procedure, args: args.clone(), call_id: id, timeout: None };
    let actions = world.handle(client, Message::Call(call)).unwrap();
    assert_eq!(actions, [Action::Diagnose(client, call_id, echo.clone(), args)]);
    let register = Message::RegisterProcedure(RegisterProcedure { procedure: echo });
    assert_eq!(passed_over(&world.handle(client, register).unwrap()), ["forbidden"]);
}

#[test]
fn a_proven_node_that_comes_again_takes_the_place_of_its_earlier_connection() {
    let mut world = World::new();
    let node = NodeId([1; 32]);
    let open = Permissions::default();
    let (first, _) = world.join_as(node, true, &open);
    let (_, out) = world.join_as(node, false, &open);
    assert!(!out.iter().any(|action| matches!(action, Action::Close(..))), "not proven");
    let (second, out) = world.join_as(node, true, &open);
    assert_eq!(out.first(), Some(&Action::Close(first, Close::Replaced)));
    // The one that was replaced goes later; the new one stays known.
    world.realm.leave(first, &mut Vec::new());
    let (_, out) = world.join_as(node, true, &open);
    assert_eq!(out.first(), Some(&Action::Close(second, Close::Replaced)));
}

#[test]
fn a_connection_that_was_replaced_gets_no_more_calls_and_messages() {
    let mut world = World::new();
    let (node, open) = (NodeId([1; 32]), Permissions::default());
    let (first, _) = world.join_as(node, true, &open);
    let caller = world.join();
    world.register(first);
    world.subscribe(first, &["#"]);
    let asked = asked(&world.send(caller, call(1)));
    let (second, out) = world.join_as(node, true, &open);
    let replied: Sent = sent(out).into_iter().filter(|(to, _)| *to == caller).collect();
    assert_eq!(error_of(&replied), (caller, CallId::from([1; 16]), "peer_disconnected"));
    world.register(second);
    for id in 2..5 {
        assert_eq!(world.send(caller, call(id))[0].0, second);
    }
    assert_eq!(world.send(caller, publish("a")), []);
    assert_eq!(world.send(first, result(&asked, b"late")), []);
    world.realm.leave(first, &mut Vec::new());
    assert_eq!(world.realm.counts(), Counts { clients: 2, subscriptions: 0, registrations: 1 });
}

#[test]
fn what_is_not_permitted_is_refused_by_name() {
    let rule = Rule { publish: vec!["a".parse().unwrap()], ..Rule::default() };
    let permissions = Permissions { rules: vec![rule] };
    let mut world = World::new();
    let (client, _) = world.join_as(NodeId([0; 32]), false, &permissions);
    assert!(world.handle(client, publish("a")).is_ok());
    world.subscribe(client, &["a"]);
    assert_eq!(world.realm.counts().subscriptions, 0);
    let out = world.handle(client, publish("b")).unwrap();
    assert_eq!(passed_over(&out), ["forbidden"]);
    assert_eq!(error_of(&world.send(client, call(1))).2, "forbidden");
    world.realm.permit(&Permissions::default());
    assert!(world.handle(client, publish("b")).is_ok(), "permitted anew");
}

#[test]
fn a_client_that_asks_for_too_much_is_disconnected_for_that_limit() {
    let limits = RealmLimits { subscriptions: 2, registrations: 1, ..RealmLimits::default() };
    let mut world = World::with(limits);
    let client = world.join();
    world.subscribe(client, &["a", "b", "a"]);
    let topics = vec!["c".parse().unwrap()];
    let third = Message::Subscribe(Subscribe { topics, qos: Qos::AtMostOnce });
    assert_eq!(world.handle(client, third).unwrap_err().reason(), "limit");
    world.register(client);
    let second = RegisterProcedure { procedure: Procedure("another".to_owned()) };
    let close = world.handle(client, Message::RegisterProcedure(second)).unwrap_err();
    assert_eq!(close.to_string(), "too many procedures: 1 are allowed");
}

#[test]
fn a_goodbye_ends_the_connection_and_a_second_connect_does_not() {
    let mut world = World::new();
    let client = world.join();
    let goodbye = Disconnect { reason: "normal".to_owned(), message: String::new() };
    let close = world.handle(client, Message::Disconnect(goodbye)).unwrap_err();
    assert_eq!(close, Close::ByClient("normal".to_owned()));
    assert_eq!(close.code(), 0);
    let connect = Connect {
        version: "1.0".to_owned(),
        node_id: NodeId([0; 32]),
        realm_id: RealmId::Name("a".to_owned()),
        capabilities: Vec::new(),
        token: None,
    };
    let (strict, _) = world.join_strict();
    let again = Message::Connect(connect);
    assert_eq!(passed_over(&world.handle(client, again.clone()).unwrap()), ["connect"]);
    let close = world.handle(strict, again).unwrap_err();
    assert_eq!((close.reason(), close.code()), ("protocol", 2));
}

#[test]
fn what_a_client_said_is_quoted_to_it_shortened() {
    let long = "a".repeat(1 << 20);
    for close in [
        Close::UnknownRealm(long.clone()),
        Close::Version("\u{1}".repeat(1 << 20)),
        Close::Identity(long),
    ] {
        assert!(close.disconnect().message.len() <= 1024, "{}", close.reason());
    }
}

#[test]
fn what_is_said_to_others_uses_no_allowance_and_what_is_asked_of_the_gateway_does() {
    let mut world = World::new();
    let (client, provider) = (world.join(), world.join());
    world.register(provider);
    let mut used =
        |message| world.realm.handle(client, message, world.now, &mut Vec::new()).unwrap();
    let nowhere = Procedure("com.example.nowhere".to_owned());
    let (args, call_id) = (Term::from(""), CallId::from([1; 16]));
    let topics: Vec<Pattern> = vec!["a".parse().unwrap(), "b".parse().unwrap()];
    for (message, units) in [
        (publish("a"), 0),
        (call(1), 0),
        (result(&CallId::from([9; 16]), b""), 0),
        (Message::Cast(Cast { procedure: procedure(), args: "".into() }), 0),
        (Message::Cast(Cast { procedure: nowhere.clone(), args: "".into() }), 1),
        (Message::Call(Call { procedure: nowhere, args, call_id, timeout: None }), 1),
        (Message::Ping(Ping { timestamp: 1 }), 1),
        (Message::Unserved(Kind::SwimPing), 1),
        (Message::RegisterProcedure(RegisterProcedure { procedure: procedure() }), 1),
        (Message::Subscribe(Subscribe { topics: topics.clone(), qos: Qos::AtMostOnce }), 3),
        (Message::Unsubscribe(Unsubscribe { topics }), 3),
    ] {
        assert_eq!(used(message.clone()), units, "{message:?}");
    }
}

#[test]
fn a_publish_uses_allowance_where_its_subscribers_are_dear_to_find() {
    let mut world = World::new();
    let (subscriber, publisher) = (world.join(), world.join());
    world.subscribe(subscriber, &["a.#", "#.z", "*.*", "a.b.c"]);
    let dear = vec!["a"; 64].join(".");
    let used = |world: &mut World, topic: &str| {
        let now = world.now;
        world.realm.handle(publisher, publish(topic), now, &mut Vec::new()).unwrap()
    };
    assert_eq!(used(&mut world, &dear), 0, "ordinary patterns");
    for bits in 0..64_u32 {
        let segment = |bit: u32| if bits >> bit & 1 == 1 { "*" } else { "a" };
        let between: Vec<&str> = (0..6).map(segment).collect();
        world.subscribe(subscriber, &[&format!("#.{}.#.z", between.join("."))]);
    }
    assert!(used(&mut world, &dear) >= 1);
    assert_eq!(used(&mut world, &dear), 0, "it is remembered");
    assert_eq!(used(&mut world, "a.b.c"), 0, "a short one");
}

#[test]
fn retained_messages_come_in_pieces_that_are_paid_for() {
    let mut world = World::new();
    let (publisher, late) = (world.join(), world.join());
    for number in 0..2 * RETAINED_AT_ONCE {
        let topic = format!("a.{number}");
        world.send(publisher, Message::Publish(published(&topic, b"x", true)));
    }
    // Two patterns that look at all topics, one of which matches none.
    let topics = vec!["*.*".parse().unwrap(), "#.z".parse().unwrap()];
    let subscribe = Message::Subscribe(Subscribe { topics, qos: Qos::AtMostOnce });
    let mut out = Vec::new();
    assert_eq!(world.realm.handle(late, subscribe, world.now, &mut out), Ok(3));
    let (mut pieces, mut units, mut messages) = (0, 0, 0);
    while let Some(used) = world.realm.hand_over(late, &mut out) {
        assert!(out.len() <= RETAINED_AT_ONCE);
        messages += out.drain(..).count();
        units += used;
        pieces += 1;
    }
    assert_eq!(messages, 2 * RETAINED_AT_ONCE);
    assert!(pieces <= 6, "{pieces} pieces");
    assert_eq!(units as usize, 2 * 2 * RETAINED_AT_ONCE / RETAINED_IN_UNIT);
}

#[test]
fn what_cannot_be_retained_is_delivered_all_the_same() {
    let retained = RetainedLimits { messages: 1, bytes: 1 << 20 };
    let mut world = World::with(RealmLimits { retained, ..RealmLimits::default() });
    let (publisher, subscriber) = (world.join(), world.join());
    world.subscribe(subscriber, &["#"]);
    world.send(publisher, Message::Publish(published("a", b"x", true)));
    let out = world.handle(publisher, Message::Publish(published("b", b"x", true))).unwrap();
    assert!(out.contains(&Action::NotRetained));
    assert_eq!(sent(out).len(), 1);
    assert_eq!(world.realm.retained().0, 1);
}

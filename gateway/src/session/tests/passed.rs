//! What the gateway passes over, and messages that other implementations send.

use super::*;

#[test]
fn what_is_passed_over_is_logged_once_a_client_and_counted_each_time() {
    let mut world = World::new();
    let client = world.join();
    for (kind, expect) in [
        (Kind::Other(0x27), "type_0x27"),
        (Kind::SwimPing, "type_0x30"),
        (Kind::Other(0x99), "type_other"),
        (Kind::Other(0), "type_other"),
    ] {
        let out = world.handle(client, Message::Unserved(kind)).unwrap();
        let [Action::PassedOver(reason, first)] = &out[..] else { panic!("{out:?}") };
        assert_eq!(*reason, expect);
        let logged = first.as_ref().map(|first| first.what.as_str());
        assert_eq!(logged, (kind == Kind::Other(0x27)).then_some("type 0x27 is not served"));
    }
    let (strict, _) = world.join_strict();
    let close = world.handle(strict, Message::Unserved(Kind::Other(0x27))).unwrap_err();
    assert_eq!((close.reason(), close.code()), ("error", 1));
}

#[test]
fn what_a_client_did_wrong_is_logged_shortened() {
    let rule = Rule { publish: vec!["a".parse().unwrap()], ..Rule::default() };
    let mut world = World::new();
    let permissions = Permissions { rules: vec![rule] };
    let (client, _) = world.join_as(NodeId([0; 32]), false, &permissions);
    let cast = Cast { procedure: Procedure("p".repeat(1 << 20)), args: "".into() };
    let out = world.handle(client, Message::Cast(cast)).unwrap();
    let [Action::PassedOver("forbidden", Some(first))] = &out[..] else { panic!("{out:?}") };
    assert!(first.what.len() <= 256);
}

#[test]
fn a_pattern_that_is_not_permitted_costs_those_beside_it_nothing() {
    let rule = Rule { subscribe: vec!["a.#".parse().unwrap()], ..Rule::default() };
    let mut world = World::new();
    let permissions = Permissions { rules: vec![rule] };
    let (client, _) = world.join_as(NodeId([0; 32]), false, &permissions);
    let topics = ["secret", "a.b", "#"].map(|text| text.parse().unwrap()).to_vec();
    let subscribe = Message::Subscribe(Subscribe { topics, qos: Qos::AtMostOnce });
    let out = world.handle(client, subscribe).unwrap();
    assert_eq!(passed_over(&out), ["forbidden", "forbidden"]);
    assert_eq!(world.realm.counts().subscriptions, 1);
}

#[test]
fn a_strict_client_is_disconnected_for_what_is_not_permitted() {
    let mut world = World::new();
    let (strict, _) = world.join_strict();
    let rule = Rule { publish: vec!["a".parse().unwrap()], ..Rule::default() };
    world.realm.permit(&Permissions { rules: vec![rule] });
    let close = world.handle(strict, publish("b")).unwrap_err();
    assert_eq!(close.to_string(), "publishing to b is not permitted");
    assert_eq!((close.reason(), close.code()), ("forbidden", 5));
}

#[test]
fn a_call_that_cannot_be_read_is_answered_and_a_reply_that_cannot_be_read_fails_its_call() {
    let mut world = World::new();
    let (provider, caller) = (world.join(), world.join());
    world.register(provider);
    let error = DecodeError::NoOutcome;
    let unread = |world: &mut World, from, kind, call_id| {
        let mut out = Vec::new();
        let unread = Unread { kind, error: error.clone(), call_id };
        assert_eq!(world.realm.pass_over_unread(from, unread, world.now, &mut out), Ok(1));
        assert_eq!(passed_over(&out), ["unreadable"]);
        sent(out)
    };
    let id = CallId::of(b"mine");
    let answer = unread(&mut world, caller, Kind::Call, id.clone());
    assert_eq!(error_of(&answer), (caller, id.unwrap(), "invalid_call"));
    let asked = asked(&world.send(caller, call(1)));
    let stranger = unread(&mut world, caller, Kind::Reply, Some(asked.clone()));
    assert_eq!(stranger, [], "who was not asked fails nobody's call");
    let failed = unread(&mut world, provider, Kind::Reply, Some(asked));
    assert_eq!(error_of(&failed), (caller, CallId::from([1; 16]), "handler_error"));
    assert_eq!(world.realm.open_calls(), 0);
}

#[test]
fn an_id_of_any_length_is_restored_with_the_reply() {
    let mut world = World::new();
    let (provider, caller) = (world.join(), world.join());
    world.register(provider);
    for id in [&b""[..], b"twelve bytes", &[7; 256]] {
        let call_id = CallId::of(id).unwrap();
        let args = Term::of_packed(b"\x81\x01\xc0"[..].into()).unwrap();
        let call = Call {
            procedure: procedure(),
            args: args.clone(),
            call_id: call_id.clone(),
            timeout: None,
        };
        let sent = world.send(caller, Message::Call(call));
        let [(_, Message::Call(passed))] = &sent[..] else { panic!("{sent:?}") };
        assert_eq!((&passed.args, passed.call_id.bytes().len()), (&args, 16));
        let reply = Reply { call_id: passed.call_id.clone(), outcome: Ok(args.clone()) };
        let expect = Message::Reply(Reply { call_id, outcome: Ok(args) });
        assert_eq!(world.send(provider, Message::Reply(reply)), [(caller, expect)]);
    }
}

#[test]
fn the_meshs_own_procedures_are_not_found_unless_a_node_offers_them() {
    let mut world = World::new();
    let (caller, directory) = (world.join(), world.join());
    let resolve = Procedure("_mesh.resolve".to_owned());
    let call = || {
        let (args, call_id) = (Term::nil(), CallId::from([1; 16]));
        Message::Call(Call { procedure: resolve.clone(), args, call_id, timeout: None })
    };
    assert_eq!(error_of(&world.send(caller, call())).2, "not_found");
    let register = RegisterProcedure { procedure: resolve.clone() };
    world.send(directory, Message::RegisterProcedure(register));
    assert_eq!(world.send(caller, call())[0].0, directory);
}

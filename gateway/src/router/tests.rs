//! The router, compared with a plain list of patterns that are tried one by one.

use proptest::prelude::*;

use super::*;

fn topic(text: &str) -> Topic {
    text.parse().unwrap()
}

fn pattern(text: &str) -> Pattern {
    text.parse().unwrap()
}

#[test]
fn overlapping_patterns_of_one_client_deliver_once() {
    let mut router = Router::default();
    let (one, other) = (router.join(), router.join());
    for text in ["a.*", "a.#", "#", "a.b"] {
        assert!(router.subscribe(one, &pattern(text)));
    }
    router.subscribe(other, &pattern("b.#"));
    assert_eq!(*router.subscribers(&topic("a.b")).0, [one]);
    assert_eq!(*router.subscribers(&topic("b")).0, [one, other]);
}

#[test]
fn a_pattern_subscribed_to_twice_is_one_subscription_that_ends_with_the_second_unsubscribing() {
    let mut router = Router::default();
    let (client, other) = (router.join(), router.join());
    assert!(router.subscribe(client, &pattern("a.#")));
    assert!(!router.subscribe(client, &pattern("a.**")), "another spelling of the same");
    assert!(router.subscribe(other, &pattern("a.#")));
    assert_eq!(router.counts().subscriptions, 2);
    assert_eq!(router.subscriptions_of(client), 1);
    assert!(!router.unsubscribe(client, &pattern("a.#")));
    assert_eq!(*router.subscribers(&topic("a")).0, [client, other]);
    assert!(router.unsubscribe(client, &pattern("a.#")));
    assert!(!router.unsubscribe(client, &pattern("a.#")));
    assert_eq!(*router.subscribers(&topic("a")).0, [other]);
    assert_eq!(router.counts().subscriptions, 1);
}

#[test]
fn subscribing_again_and_again_holds_no_more_and_goes_with_the_client() {
    let mut router = Router::default();
    let client = router.join();
    for _ in 0..100_000 {
        router.subscribe(client, &pattern("a"));
    }
    assert_eq!(router.clients[client.index()].as_ref().unwrap().patterns.len(), 1);
    router.leave(client);
    assert_eq!(router.counts(), Counts::default());
    assert!(router.subscribers(&topic("a")).0.is_empty());
}

#[test]
fn who_left_gets_nothing_and_its_number_is_given_again_empty() {
    let mut router = Router::default();
    let client = router.join();
    router.subscribe(client, &pattern("#"));
    router.register(client, &Procedure("p".to_owned()));
    router.leave(client);
    router.leave(client);
    assert_eq!(router.counts(), Counts::default());
    assert_eq!(router.join(), client);
    assert!(router.subscribers(&topic("a")).0.is_empty());
    assert_eq!(router.provider(&Procedure("p".to_owned())), None);
}

#[test]
fn providers_of_one_procedure_take_turns() {
    let mut router = Router::default();
    let procedure = Procedure("p".to_owned());
    let clients = [router.join(), router.join(), router.join()];
    for client in clients {
        assert!(router.register(client, &procedure));
        assert!(!router.register(client, &procedure));
    }
    let turns: Vec<_> = (0..4).filter_map(|_| router.provider(&procedure)).collect();
    assert_eq!(turns, [clients[0], clients[1], clients[2], clients[0]]);
    router.leave(clients[1]);
    let turns: Vec<_> = (0..2).filter_map(|_| router.provider(&procedure)).collect();
    assert_eq!(turns.len(), 2);
    assert!(!turns.contains(&clients[1]));
}

#[test]
fn what_is_remembered_of_topics_with_many_subscribers_is_bounded() {
    let mut router = Router::default();
    for _ in 0..1000 {
        let client = router.join();
        router.subscribe(client, &pattern("#"));
    }
    for number in 0..2000 {
        assert_eq!(router.subscribers(&topic(&format!("a.{number}"))).0.len(), 1000);
    }
    let remembered: usize = router.remembered.values().map(|clients| clients.len()).sum();
    assert!(remembered <= MOST_REMEMBERED_CLIENTS, "{remembered}");
}

fn segment(wild: bool) -> impl Strategy<Value = String> {
    let texts: &[&str] = if wild { &["a", "b", "*", "#"] } else { &["a", "b"] };
    proptest::sample::select(texts.iter().map(ToString::to_string).collect::<Vec<_>>())
}

fn text(wild: bool) -> impl Strategy<Value = String> {
    proptest::collection::vec(segment(wild), 1..5).prop_map(|segments| segments.join("."))
}

proptest! {
    #[test]
    fn the_router_finds_whom_each_pattern_alone_would_find(
        patterns in proptest::collection::vec(text(true), 0..12),
        removed in proptest::collection::vec(any::<bool>(), 12),
        topics in proptest::collection::vec(text(false), 1..6),
    ) {
        let mut router = Router::default();
        let mut expected: Vec<(ClientId, Pattern)> = Vec::new();
        for (text, removed) in patterns.iter().zip(removed) {
            let Ok(pattern) = text.parse::<Pattern>() else { continue };
            let client = router.join();
            router.subscribe(client, &pattern);
            for text in &topics {
                router.subscribers(&topic(text));
            }
            match removed {
                true => prop_assert!(router.unsubscribe(client, &pattern)),
                false => expected.push((client, pattern)),
            }
        }
        for text in &topics {
            let topic = topic(text);
            let matching = expected.iter().filter(|(_, pattern)| pattern.matches(&topic));
            let expected: Vec<ClientId> = matching.map(|(client, _)| *client).collect();
            prop_assert_eq!(&*router.subscribers(&topic).0, &expected[..]);
        }
    }
}

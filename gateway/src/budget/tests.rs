//! Clients of several networks, who hold more than there is.

use super::*;

fn network(number: u8) -> IpAddr {
    IpAddr::from([10, 0, number, 0])
}

#[test]
fn what_is_held_is_counted_once_and_given_back() {
    let budget = Budget::new(1000);
    let account = budget.open(network(1));
    let mut held = Held::take(&account, What::Frames, 300).unwrap();
    held.resize(500).unwrap();
    held.resize(200).unwrap();
    let mut queue = Held::new(account.clone(), What::Queue);
    queue.set(100, 400);
    assert_eq!((budget.used(), account.held()), (300, 700), "shared bytes are the client's alone");
    assert_eq!((budget.held(What::Frames), budget.held(What::Queue)), (200, 100));
    drop((held, queue));
    assert_eq!((budget.used(), account.held()), (0, 0));
    assert_eq!(What::ALL.map(|what| budget.held(what)), [0; 8]);
}

#[test]
fn who_holds_most_is_refused_and_nobody_else_is_touched() {
    let budget = Budget::new(1000);
    let (big, small) = (budget.open(network(1)), budget.open(network(2)));
    let _small = Held::take(&small, What::Queue, 100).unwrap();
    let mut held = Held::take(&big, What::Frames, 800).unwrap();
    let full = held.resize(1001).unwrap_err();
    assert_eq!(full, Full { what: What::Frames, most: 1000 });
    assert_eq!((budget.used(), budget.holdings().refused), (900, [0, 1, 0, 0, 0, 0, 0, 0]));
    assert!(!big.is_evicted() && !small.is_evicted());
}

#[test]
fn who_asks_for_little_is_served_and_the_fullest_goes() {
    let budget = Budget::new(1000);
    let (big, small) = (budget.open(network(1)), budget.open(network(2)));
    let held = Held::take(&big, What::Queue, 950).unwrap();
    let more = Held::take(&small, What::Frames, 100).unwrap();
    assert!(big.is_evicted() && !small.is_evicted());
    drop(held);
    assert_eq!(budget.used(), 100);
    drop(more);
}

#[test]
fn many_small_clients_of_one_network_are_one_large_one() {
    let budget = Budget::new(1000);
    let honest = budget.open(network(1));
    let _honest = Held::take(&honest, What::Queue, 200).unwrap();
    let crowd: Vec<_> = (0..80).map(|_| budget.open(network(2))).collect();
    let held: Vec<_> =
        crowd.iter().map(|account| Held::take(account, What::Connection, 10).unwrap()).collect();
    let new = budget.open(network(3));
    let _new = Held::take(&new, What::Connection, 10).unwrap();
    assert!(!honest.is_evicted(), "it holds more than any other, but its network does not");
    let gone = crowd.iter().filter(|account| account.is_evicted()).count();
    assert!((1..80).contains(&gone), "{gone}");
    drop(held);
}

#[test]
fn more_than_the_ceiling_is_never_held() {
    let budget = Budget::new(1600);
    let accounts: Vec<_> = (0..100).map(|number| budget.open(network(number))).collect();
    // Nobody who has to go does so.
    let held: Vec<_> =
        accounts.iter().filter_map(|it| Held::take(it, What::Frames, 50).ok()).collect();
    assert!(budget.used() <= 2000, "{}", budget.used());
    assert!(held.len() >= 32);
}

#[test]
fn what_is_retained_is_a_quarter_at_most() {
    let budget = Budget::new(1000);
    let share = budget.retain(250).unwrap();
    assert!(budget.retain(1).is_err());
    drop(share);
    assert!(budget.retain(1).is_ok());
}

#[test]
fn accounts_of_those_who_left_are_forgotten() {
    let budget = Budget::new(1000);
    for _ in 0..10_000 {
        drop(budget.open(network(1)));
    }
    assert!(budget.lock().capacity() <= 8);
}

//! One client that reads, reads slowly, or does not read, on a simulated clock.

use super::*;
use crate::budget::Budget;
use crate::wire::frame::{self, Kind, header};

const LIMITS: OutboxLimits = OutboxLimits {
    mark_bytes: 20,
    most_bytes: 40,
    patience: Duration::from_millis(100),
    when_full: WhenFull::DropOldest,
};

fn frame(kind: Kind, number: u8) -> Bytes {
    [&header(kind, 2)[..], &[number, 0]].concat().into()
}

fn outbox(when_full: WhenFull) -> (Outbox, Arc<AtomicU64>) {
    let dropped = Arc::new(AtomicU64::new(0));
    (
        Outbox::new(OutboxLimits { when_full, ..LIMITS }, dropped.clone(), Account::unlimited()),
        dropped,
    )
}

async fn all(outbox: &Outbox) -> Vec<u8> {
    let mut numbers = Vec::new();
    while outbox.bytes() > 0 {
        let frames = outbox.next_frames().await.unwrap();
        numbers.extend(frame::each(&frames).map(|frame| frame[8]));
    }
    numbers
}

#[tokio::test]
async fn frames_leave_in_the_order_in_which_they_came() {
    let (outbox, _) = outbox(WhenFull::DropOldest);
    for number in 0..3 {
        outbox.push(frame(Kind::Publish, number));
    }
    assert_eq!(all(&outbox).await, [0, 1, 2]);
    assert_eq!(outbox.bytes(), 0);
}

#[tokio::test]
async fn the_oldest_published_messages_make_room_and_are_counted() {
    let (outbox, dropped) = outbox(WhenFull::DropOldest);
    outbox.push(frame(Kind::Reply, 0));
    for number in 1..6 {
        outbox.push(frame(Kind::Publish, number));
    }
    assert_eq!(all(&outbox).await, [0, 3, 4, 5], "a reply is never dropped");
    assert_eq!(dropped.load(Ordering::Relaxed), 2);
    assert_eq!(outbox.closes(), None);
}

#[tokio::test]
async fn a_client_without_room_for_replies_is_disconnected() {
    let (outbox, _) = outbox(WhenFull::DropOldest);
    for number in 0..5 {
        outbox.push(frame(Kind::Reply, number));
    }
    assert_eq!(outbox.next_frames().await, Err(Close::Slow(0)));
}

#[test]
fn replies_that_nobody_reads_do_not_make_each_published_message_dear() {
    let limits = OutboxLimits { most_bytes: 8 << 20, mark_bytes: 1 << 20, ..LIMITS };
    let outbox = Outbox::new(limits, Arc::default(), Account::unlimited());
    // Room for no more than two pieces is left.
    for _ in 0..limits.most_bytes / 10 - 10_000 {
        outbox.push(frame(Kind::Reply, 0));
    }
    let began = std::time::Instant::now();
    for _ in 0..100_000 {
        outbox.push(frame(Kind::Publish, 1));
    }
    assert_eq!(outbox.closes(), None);
    // A look at each reply for each message would take an hour.
    assert!(began.elapsed() < Duration::from_secs(60));
}

#[tokio::test]
async fn a_slow_client_is_disconnected_where_that_is_wanted() {
    let (outbox, _) = outbox(WhenFull::Disconnect);
    for number in 0..5 {
        outbox.push(frame(Kind::Publish, number));
    }
    assert_eq!(outbox.closes(), Some(Close::Slow(5)), "all are lost, and counted");
}

#[tokio::test(start_paused = true)]
async fn publishers_wait_for_a_client_once_and_then_no_more_until_it_has_caught_up() {
    let (outbox, _) = outbox(WhenFull::DropOldest);
    assert!(!outbox.push(frame(Kind::Publish, 0)).above);
    outbox.push(frame(Kind::Publish, 1));
    assert!(outbox.push(frame(Kind::Publish, 2)).above);
    let began = tokio::time::Instant::now();
    outbox.drained().await;
    assert_eq!(began.elapsed(), LIMITS.patience);
    assert!(!outbox.push(frame(Kind::Publish, 3)).above, "slow");
    all(&outbox).await;
    for number in 0..2 {
        assert!(!outbox.push(frame(Kind::Publish, number)).above);
    }
    assert!(outbox.push(frame(Kind::Publish, 2)).above, "caught up before");
}

#[tokio::test(start_paused = true)]
async fn a_waiting_publisher_goes_on_as_soon_as_the_client_has_read() {
    let (outbox, _) = outbox(WhenFull::DropOldest);
    for number in 0..3 {
        outbox.push(frame(Kind::Publish, number));
    }
    let began = tokio::time::Instant::now();
    tokio::join!(outbox.drained(), async {
        tokio::time::sleep(Duration::from_millis(7)).await;
        all(&outbox).await;
    });
    assert_eq!(began.elapsed(), Duration::from_millis(7));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_takes_something_is_waited_for_longer_but_not_for_ever() {
    let (outbox, _) = outbox(WhenFull::DropOldest);
    for number in 0..4 {
        outbox.push(frame(Kind::Publish, number));
    }
    let began = tokio::time::Instant::now();
    tokio::join!(outbox.drained(), async {
        for number in 4..14 {
            tokio::time::sleep(LIMITS.patience * 3 / 4).await;
            outbox.next_frames().await.unwrap();
            outbox.push(frame(Kind::Publish, number));
        }
    });
    assert!(!outbox.push(frame(Kind::Publish, 14)).above, "slow");
    assert!(began.elapsed() >= LIMITS.patience * MOST_PATIENCES);
}

#[tokio::test]
async fn what_was_queued_before_a_close_is_still_written() {
    let (outbox, _) = outbox(WhenFull::DropOldest);
    outbox.push(frame(Kind::Publish, 0));
    outbox.close(Close::Draining);
    outbox.push(frame(Kind::Publish, 1));
    assert_eq!(all(&outbox).await, [0]);
    assert_eq!(outbox.next_frames().await, Err(Close::Draining));
}

#[tokio::test]
async fn what_a_queue_holds_is_counted_with_its_unused_room_and_given_back() {
    let (budget, limits) = (Budget::new(1 << 30), OutboxLimits::default());
    let account = budget.open([127, 0, 0, 1].into());
    let outbox = Outbox::new(limits, Arc::default(), account.clone());
    let small: Bytes = [&header(Kind::Publish, 200)[..], &[7; 200]].concat().into();
    let large: Bytes = [&header(Kind::Publish, 40_000)[..], &[7; 40_000]].concat().into();
    for _ in 0..200_000 {
        outbox.push(small.clone());
    }
    let full = limits.most_bytes - 2 * PIECE..=limits.most_bytes;
    assert!(full.contains(&budget.held(What::Queue)), "{}", budget.held(What::Queue));
    assert_eq!(account.held(), budget.used());
    for _ in 0..1000 {
        outbox.push(large.clone());
    }
    let in_memory = budget.held(What::Queue);
    assert!(in_memory >= outbox.bytes() && in_memory <= limits.most_bytes + PIECE, "{in_memory}");
    while outbox.bytes() > 0 {
        outbox.next_frames().await.unwrap();
    }
    // The writer asks for more, and waits.
    assert!(timeout(Duration::ZERO, outbox.next_frames()).await.is_err());
    assert_eq!((account.held(), budget.used()), (0, 0));
}

#[tokio::test]
async fn a_client_that_has_to_go_frees_its_memory_at_the_next_frame() {
    let budget = Budget::new(1 << 20);
    let account = budget.open([127, 0, 0, 1].into());
    let outbox = Outbox::new(OutboxLimits::default(), Arc::default(), account.clone());
    let small: Bytes = [&header(Kind::Publish, 200)[..], &[7; 200]].concat().into();
    while !budget.is_over() {
        outbox.push(small.clone());
    }
    budget.relieve();
    assert!(account.is_evicted());
    outbox.push(small);
    assert_eq!((budget.used(), outbox.closes()), (0, Some(Close::Memory)));
}

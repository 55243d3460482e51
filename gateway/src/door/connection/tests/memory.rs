//! How much memory the stream from a client takes.

use super::*;

#[tokio::test]
async fn who_sent_a_long_frame_once_does_not_keep_its_memory() {
    let (mut ours, reader) = duplex(CHUNK);
    let mut input = Input::new(reader, 1 << 20, Account::unlimited());
    input.admit();
    let long = encode(&publish(1, 1 << 19));
    let sending = async {
        ours.write_all(&long).await.unwrap();
        std::future::pending::<()>().await;
    };
    let receiving = async {
        while input.frames.next_frame().unwrap().is_none() {
            input.fill().await.unwrap();
        }
        tokio::select! {
            biased;
            _ = input.fill() => panic!("nothing came"),
            () = std::future::ready(()) => {}
        }
    };
    tokio::select! {
        () = sending => {}
        () = receiving => {}
    }
    let kept = input.frames.buffer().capacity();
    assert!(kept <= 2 * CHUNK, "{kept}");
}

#[tokio::test]
async fn a_long_frame_gets_room_once_a_part_of_it_has_come_and_memory_is_left() {
    let long = encode(&publish(1, 1 << 20));
    for (memory, fits) in [(1 << 30, true), (1 << 20, false)] {
        let budget = Budget::new(memory);
        let (mut ours, reader) = duplex(1 << 20);
        let mut input = Input::new(reader, 2 << 20, budget.open([10, 0, 0, 0].into()));
        input.admit();
        for part in [&long[..8], &long[8..1000], &long[1000..2000]] {
            ours.write_all(part).await.unwrap();
            input.fill().await.unwrap();
        }
        assert!(budget.used() <= 2 * CHUNK, "next to nothing has come");
        ours.write_all(&long[2000..100_000]).await.unwrap();
        let filled = async {
            while input.frames.buffer().len() < 100_000 {
                input.fill().await?;
            }
            ours.write_all(&long[100_000..long.len() - 1]).await.unwrap();
            input.fill().await
        };
        match filled.await {
            Ok(_) => assert!(fits && (1 << 20..5 << 18).contains(&budget.used())),
            Err(ended) => assert!(!fits && ended.reason() == "memory", "{ended}"),
        }
        input.abandon();
        assert_eq!(budget.used(), 0);
    }
}

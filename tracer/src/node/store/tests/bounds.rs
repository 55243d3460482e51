//! Age and size: what is kept, and that it is no more.

use super::*;

fn small() -> Options {
    Options { max_bytes: Options::BYTES_MIN, ..options() }
}

/// What the file system says, not what the store believes.
fn size(path: &Path) -> u64 {
    let size = |suffix: &str| {
        let path = format!("{}{suffix}", path.display());
        std::fs::metadata(path).map_or(0, |metadata| metadata.len())
    };
    size("") + size("-wal") + size("-shm")
}

#[test]
fn an_overfilled_store_stays_within_its_bytes_and_keeps_the_newest() {
    let site = Site::new();
    let writer = Writer::open(&site.path(), small()).unwrap();
    let mut most = 0;
    for round in 0..40_u32 {
        writer.life(life(round, "a"));
        for number in 0..500 {
            let text = format!("{round} {number} {}", "x".repeat(2000));
            let large = words(THEN + i64::from(round) * SECOND, &text);
            writer.event(&key(round), &large);
        }
        let mut told = crash(round, "abort");
        told.text = "x".repeat(300_000);
        committed(writer.crash(told));
        most = most.max(size(&site.path()));
    }
    assert!(most <= Options::BYTES_MIN, "{most} bytes");
    // It is filled, not emptied.
    assert!(most > Options::BYTES_MIN / 2, "{most} bytes");
    let statistics = writer.statistics();
    assert!(statistics.deleted_events > 0 && statistics.deleted_crashes > 0, "{statistics:?}");
    assert_eq!((statistics.dropped_events, statistics.failed_writes), (0, 0));
    // The answer comes before the thread has made room again: until both agree it is amid that.
    let reader = site.reader();
    let until = std::time::Instant::now() + Duration::from_secs(10);
    let (kept, crashes) = loop {
        let statistics = writer.statistics();
        let kept = events(&reader, EventFilter::default());
        let crashes = crashes(&reader);
        let told = (20_000 - statistics.deleted_events, 40 - statistics.deleted_crashes);
        let is_settled = statistics.bytes == size(&site.path());
        if is_settled && told == (kept.len() as u64, crashes.len() as u64) {
            break (kept, crashes);
        }
        let (events, crashes) = (kept.len(), crashes.len());
        assert!(std::time::Instant::now() < until, "{events}, {crashes}, {statistics:?}");
    };
    assert!(kept.last().unwrap()["text"].as_str().unwrap().starts_with("39 499 "));
    assert!(kept.iter().all(|event| event["process"]["pid"] == 4242));
    assert_eq!(crashes.last().unwrap().crash.id, "000000000027");
    drop(writer);
    let whole: String =
        sqlite(&site.path()).query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(whole, "ok");
}

#[test]
fn what_is_too_old_is_deleted_and_its_space_given_back() {
    let site = Site::new();
    let writer = site.writer();
    writer.life(Life { end: Some(end(1, 1, "abort")), ..life(1, "a") });
    let large = words(THEN, &"x".repeat(4000));
    for _ in 0..2500 {
        writer.event(&key(1), &large);
    }
    committed(writer.crash(crash(1, "abort")));
    drop(writer);
    let full = size(&site.path());
    assert!(full > 10_000_000);

    let options = Options { max_age: Duration::from_secs(3600), ..options() };
    let writer = Writer::open(&site.path(), options).unwrap();
    let now_ns = i64::try_from(jiff::Timestamp::now().as_nanosecond()).unwrap();
    writer.life(life(2, "a"));
    // After each batch comes a step of cleaning.
    for _ in 0..20 {
        writer.event(&key(2), &entry(now_ns, "exec"));
        committed(writer.flush());
    }
    drop(writer);
    let reader = site.reader();
    assert_eq!(events(&reader, EventFilter::default()).len(), 20);
    assert_eq!(crashes(&reader), []);
    assert_eq!(reader.living(BOOT).unwrap(), [life(2, "a")]);
    assert!(size(&site.path()) < full / 2, "{} of {full}", size(&site.path()));
}

#[test]
fn events_without_room_in_the_queue_are_a_gap_in_their_life() {
    let site = Site::new();
    let writer = site.writer();
    writer.life(life(1, "a"));
    committed(writer.flush());
    // Nobody else may write: the queue fills.
    let lock = sqlite(&site.path());
    lock.execute_batch("BEGIN IMMEDIATE").unwrap();
    let large = words(THEN, &"x".repeat(100_000));
    let mut told = 0;
    while writer.statistics().dropped_events < 5 {
        writer.event(&key(1), &large);
        told += 1;
    }
    // Deaths have room where events have none.
    let death = writer.crash(crash(1, "abort"));
    lock.execute_batch("ROLLBACK").unwrap();
    drop(lock);
    assert_eq!(committed(death), Recorded::New);

    let stored = events(&site.reader(), EventFilter::default());
    let lost: Vec<&Value> = stored.iter().filter(|event| event["kind"] == "lost").collect();
    assert_eq!(lost.len(), 1);
    assert_eq!(lost[0]["of"], "store");
    let count = lost[0]["count"].as_u64().unwrap();
    assert_eq!(count, writer.statistics().dropped_events);
    assert_eq!(stored.len() as u64 - 1 + count, told);
}

#[test]
fn a_reader_that_holds_a_snapshot_cannot_make_the_store_grow() {
    let site = Site::new();
    let writer = Writer::open(&site.path(), small()).unwrap();
    writer.event(&key(1), &entry(THEN, "exec"));
    committed(writer.flush());
    let holder = sqlite(&site.path());
    holder.execute_batch("BEGIN; SELECT id FROM events").unwrap();
    let large = words(THEN, &"x".repeat(10_000));
    while !writer.statistics().failing {
        // What is dropped instead is counted; a flush ends with the store's failing.
        for _ in 0..100 {
            writer.event(&key(1), &large);
        }
        let _failing = writer.flush().blocking_recv();
    }
    assert!(size(&site.path()) <= Options::BYTES_MIN, "{} bytes", size(&site.path()));
    holder.execute_batch("ROLLBACK").unwrap();
    let deadline = std::time::Instant::now() + Duration::from_secs(30);
    while writer.statistics().failing {
        assert!(std::time::Instant::now() < deadline, "it does not recover");
        std::thread::yield_now();
    }
    assert_eq!(committed(writer.crash(crash(1, "abort"))), Recorded::New);
}

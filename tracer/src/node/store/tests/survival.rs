//! Deaths, full disks, other programs, other versions.

use std::{
    io::{BufRead, BufReader},
    process::{Command, Stdio},
};

use super::*;

/// Where the process that is to be killed writes; not set in a process that tests.
const VICTIM: &str = "TRACER_TEST_STORE_VICTIM";

#[test]
fn what_was_committed_survives_sigkill() {
    if let Some(path) = std::env::var_os(VICTIM) {
        write_until_killed(Path::new(&path));
    }
    let site = Site::new();
    // Killed at some moment of its writing, three times over.
    let mut known = 0;
    for run in 1..=3 {
        let mut victim = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "node::store::tests::survival::what_was_committed_survives_sigkill"])
            .args(["--nocapture", "--test-threads=1"])
            .env(VICTIM, site.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut committed = 0;
        for line in BufReader::new(victim.stdout.take().unwrap()).lines() {
            let line = line.unwrap();
            if let Some(count) = line.strip_prefix("committed ") {
                committed = count.parse().unwrap();
            }
            if committed >= known + 50 * run {
                victim.kill().unwrap();
            }
        }
        victim.wait().unwrap();
        let whole: String =
            sqlite(&site.path()).query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
        assert_eq!(whole, "ok");
        let reader = site.reader();
        let crashes = reader.crashes(&Filter::default()).unwrap().len();
        assert!(crashes >= committed as usize, "{crashes} of {committed}");
        // Each came after ten events of its own.
        assert!(events(&reader, EventFilter::default()).len() >= committed as usize * 10);
        known = u32::try_from(crashes).unwrap();
    }
}

/// Says what is committed after it is, line by line.
fn write_until_killed(path: &Path) -> ! {
    let writer = Writer::open(path, options()).unwrap();
    let reader = Reader::open(path).unwrap();
    let known = reader.crashes(&Filter::default()).unwrap().len();
    for number in u32::try_from(known).unwrap().. {
        for _ in 0..10 {
            writer.event(&key(number), &entry(THEN, "call"));
        }
        committed(writer.crash(crash(number, "abort")));
        println!("\ncommitted {}", number + 1);
    }
    unreachable!("a u32 does not run out within a test")
}

#[test]
fn a_store_is_read_while_it_is_written() {
    let site = Site::new();
    let writer = site.writer();
    let reader = site.reader();
    let mut slow = None;
    for number in 0..50 {
        writer.life(life(number, "a"));
        writer.event(&key(number), &entry(THEN, "exec"));
        committed(writer.crash(crash(number, "abort")));
        assert_eq!(reader.crashes(&Filter::default()).unwrap().len(), number as usize + 1);
        slow.get_or_insert_with(|| reader.events(EventFilter::default())).next();
    }
    // A reader that stops half way holds no snapshot: the wal can be emptied.
    let busy: i64 = sqlite(&site.path())
        .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))
        .unwrap();
    assert_eq!(busy, 0);
    drop(slow);
}

#[test]
fn what_was_written_is_committed_within_100_ms_without_being_asked() {
    let site = Site::new();
    let writer = site.writer();
    let reader = site.reader();
    writer.event(&key(1), &entry(THEN, "exec"));
    let deadline = std::time::Instant::now() + Duration::from_secs(10);
    while reader.last_row().unwrap() == 0 {
        assert!(std::time::Instant::now() < deadline, "not committed at all");
        std::thread::yield_now();
    }
    // The lag is stored just after; a loaded machine may add to it, a forgotten timer adds seconds.
    while writer.statistics().lag_ns == 0 {
        assert!(std::time::Instant::now() < deadline, "no lag is told");
        std::thread::yield_now();
    }
    assert!(writer.statistics().lag_ns < 1_000_000_000);
}

#[test]
fn a_store_of_a_newer_tracer_is_refused() {
    let site = Site::new();
    drop(site.writer());
    sqlite(&site.path()).pragma_update(None, "user_version", 1000).unwrap();
    let expect = format!(
        "the store {} has schema 1000, this tracer knows 1: use the tracer that wrote it, or a newer one",
        site.path().display()
    );
    assert_eq!(Writer::open(&site.path(), options()).err().unwrap().to_string(), expect);
    assert_eq!(Reader::open(&site.path()).err().unwrap().to_string(), expect);
}

#[test]
fn a_store_that_is_not_there_or_is_none_is_an_error_that_names_it() {
    let site = Site::new();
    let absent = Reader::open(&site.path()).err().unwrap();
    assert!(matches!(absent, StoreError::Absent(_)), "{absent}");
    std::fs::create_dir(site.path().parent().unwrap()).unwrap();
    std::fs::write(site.path(), "no database ".repeat(1000)).unwrap();
    let text = Reader::open(&site.path()).err().unwrap().to_string();
    assert!(text.contains("store.sqlite: file is not a database"), "{text}");
}

#[test]
fn a_folder_in_place_of_the_file_is_an_error_at_once() {
    let site = Site::new();
    std::fs::create_dir_all(site.path()).unwrap();
    let error = Writer::open(&site.path(), options()).err().unwrap().to_string();
    assert!(error.contains("store.sqlite: Is a directory"), "{error}");
}

#[test]
fn a_store_whose_folder_comes_later_is_opened_then() {
    let site = Site::new();
    // A mount that is not there yet.
    let folder = site.path().parent().unwrap().to_owned();
    let later = folder.with_file_name("later");
    std::os::unix::fs::symlink(&later, &folder).unwrap();
    let writer = site.writer();
    let why = writer.failure().unwrap();
    assert!(why.starts_with("cannot open the store") && why.contains("store.sqlite"), "{why}");
    writer.life(life(1, "a"));
    writer.event(&key(1), &entry(THEN, "exec"));
    // Nobody is kept waiting.
    writer.crash(crash(1, "abort")).blocking_recv().unwrap_err();
    writer.flush().blocking_recv().unwrap_err();
    let statistics = writer.statistics();
    assert!(statistics.failing && statistics.failed_writes > 0, "{statistics:?}");
    let absent = Reader::open(&site.path()).err().unwrap();
    assert!(matches!(absent, StoreError::Absent(_)), "{absent}");

    std::fs::create_dir(&later).unwrap();
    wait_until_written(&writer);
    committed(writer.flush());
    assert_eq!(site.reader().crashes(&Filter::default()).unwrap().len(), 1);
    assert_eq!(events(&site.reader(), EventFilter::default()).len(), 1);
    let statistics = writer.statistics();
    assert_eq!((statistics.dropped_events, statistics.dropped_others), (0, 0));
}

#[test]
fn a_writer_whose_store_never_could_be_opened_ends() {
    let site = Site::new();
    let folder = site.path().parent().unwrap().to_owned();
    std::os::unix::fs::symlink(folder.with_file_name("never"), &folder).unwrap();
    let writer = site.writer();
    writer.life(life(1, "a"));
    drop(writer);
}

#[test]
fn a_disk_that_is_full_at_the_start_is_survived() {
    let Some(disk) = SmallDisk::mount() else { return };
    let path = disk.0.path().join("store.sqlite");
    let filler = disk.0.path().join("filler");
    std::fs::write(&filler, vec![0; 8 << 20]).unwrap_err();
    let writer = Writer::open(&path, options()).unwrap();
    assert!(writer.failure().is_some(), "{:?}", writer.statistics());
    writer.life(life(1, "a"));
    writer.crash(crash(1, "abort")).blocking_recv().unwrap_err();
    let absent = Reader::open(&path).err().unwrap();
    assert!(matches!(absent, StoreError::Absent(_)), "{absent}");

    std::fs::remove_file(&filler).unwrap();
    wait_until_written(&writer);
    committed(writer.flush());
    let reader = Reader::open(&path).unwrap();
    assert_eq!(reader.crashes(&Filter::default()).unwrap().len(), 1);
}

#[test]
fn only_its_owner_may_read_a_store() {
    use std::os::unix::fs::PermissionsExt;
    let site = Site::new();
    let writer = site.writer();
    writer.life(life(1, "a"));
    committed(writer.flush());
    for suffix in ["", "-wal", "-shm"] {
        let path = format!("{}{suffix}", site.path().display());
        assert_eq!(std::fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
    }
}

#[test]
fn a_full_disk_is_survived_and_counted() {
    let Some(disk) = SmallDisk::mount() else { return };
    let path = disk.0.path().join("store.sqlite");
    let writer = Writer::open(&path, options()).unwrap();
    writer.life(life(1, "a"));
    assert_eq!(committed(writer.crash(crash(1, "abort"))), Recorded::New);
    let filler = disk.0.path().join("filler");
    std::fs::write(&filler, vec![0; 8 << 20]).unwrap_err();
    let large = words(THEN, &"x".repeat(100_000));
    for _ in 0..20 {
        writer.event(&key(1), &large);
    }
    // Nobody is kept waiting.
    assert!(writer.flush().blocking_recv().is_err());
    let statistics = writer.statistics();
    assert!(statistics.failing && statistics.failed_writes > 0, "{statistics:?}");
    let unanswered = writer.crash(crash(2, "abort"));
    assert!(unanswered.blocking_recv().is_err());

    std::fs::remove_file(&filler).unwrap();
    wait_until_written(&writer);
    committed(writer.flush());
    let reader = Reader::open(&path).unwrap();
    assert_eq!(reader.crashes(&Filter::default()).unwrap().len(), 2);
    assert_eq!(events(&reader, EventFilter::default()).len(), 20);
}

fn wait_until_written(writer: &Writer) {
    let deadline = std::time::Instant::now() + Duration::from_secs(30);
    while let Some(why) = writer.failure() {
        assert!(std::time::Instant::now() < deadline, "it does not recover: {why}");
        std::thread::yield_now();
    }
}

/// A file system of 4 MiB, in memory. Its mount ends with it.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    /// `None`, with the reason printed, where it cannot be mounted.
    fn mount() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=4m", "tmpfs"])
            .arg(folder.path())
            .output();
        if mount.as_ref().is_ok_and(|output| output.status.success()) {
            return Some(Self(folder));
        }
        let required = std::env::var_os("TRACER_TEST_PRIVILEGED").is_some_and(|v| v == "required");
        assert!(!required, "a tmpfs cannot be mounted: {mount:?}");
        eprintln!("skipped: a tmpfs cannot be mounted (not root?): {mount:?}");
        None
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: files in it may still be open.
        let ended = Command::new("umount").arg("-l").arg(self.0.path()).status();
        assert!(
            ended.is_ok_and(|status| status.success()),
            "{} stays mounted",
            self.0.path().display()
        );
    }
}

//! Stores that are damaged, or no files at all.

use std::{fs, os::unix::fs::FileExt as _, path::PathBuf, process::Command};

use super::*;

/// The stores that were put aside.
fn aside(site: &Site) -> Vec<PathBuf> {
    let entries = fs::read_dir(site.path().parent().unwrap()).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let paths = paths.filter(|path| path.to_string_lossy().contains(".damaged-"));
    paths.filter(|path| !path.to_string_lossy().ends_with(['l', 'm'])).collect()
}

/// One with a crash, as an agent left it.
fn written() -> Site {
    let site = Site::new();
    let writer = site.writer();
    writer.life(life(1, "a"));
    assert_eq!(committed(writer.crash(crash(1, "abort"))), Recorded::New);
    site
}

#[test]
fn a_store_that_was_damaged_meanwhile_is_put_aside_and_a_new_one_begun() {
    let length = |site: &Site| fs::metadata(site.path()).unwrap().len();
    let damages: [fn(&Site, u64); 4] = [
        |site, _| fs::write(site.path(), "no database ".repeat(1000)).unwrap(),
        |site, _| fs::write(site.path(), [0xff; 300]).unwrap(),
        |site, length| truncate(site, length / 2),
        |site, _| overwrite(site),
    ];
    for (number, damage) in damages.into_iter().enumerate() {
        let site = written();
        damage(&site, length(&site));
        let writer = site.writer();
        writer.life(life(2, "b"));
        assert_eq!(committed(writer.crash(crash(2, "abort"))), Recorded::New, "{number}");
        assert_eq!(writer.aside().as_slice(), aside(&site), "{number}");
        let reader = site.reader();
        assert_eq!(reader.crashes(&Filter::default()).unwrap().len(), 1, "{number}");
    }
}

#[test]
fn a_store_that_is_damaged_while_it_is_written_is_replaced() {
    let site = Site::new();
    let writer = site.writer();
    writer.life(life(1, "a"));
    committed(writer.crash(crash(1, "abort")));
    let reader = site.reader();
    assert!(reader.reads(&site.path()));
    // What waits in the log counts more than the file.
    sqlite(&site.path()).query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    overwrite(&site);
    writer.life(life(2, "b"));
    // Pages that SQLite still remembers are good: it may go on for a while.
    for number in 2..400 {
        let answer = writer.crash(crash(number, "abort"));
        if answer.blocking_recv().is_err() || writer.aside().is_some() {
            break;
        }
        if number % 20 == 0 {
            let log = sqlite(&site.path());
            let _ = log.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
        }
        overwrite(&site);
    }
    assert_eq!(aside(&site).len(), 1);
    assert!(!reader.reads(&site.path()), "who read the old one would not see the new");
    assert_eq!(committed(writer.crash(crash(1000, "abort"))), Recorded::New);
    assert!(writer.failure().is_none());
}

#[test]
fn what_is_no_regular_file_is_refused_at_once() {
    let target = written();
    for make in [0, 1] {
        let site = Site::new();
        fs::create_dir(site.path().parent().unwrap()).unwrap();
        if make == 0 {
            assert!(Command::new("mkfifo").arg(site.path()).status().unwrap().success());
        } else {
            std::os::unix::fs::symlink(target.path(), site.path()).unwrap();
        }
        for error in [
            Writer::open(&site.path(), options()).err().unwrap(),
            Reader::open(&site.path()).err().unwrap(),
        ] {
            assert!(matches!(error, StoreError::Irregular(_)), "{error}");
        }
        assert!(aside(&site).is_empty());
    }
}

fn truncate(site: &Site, length: u64) {
    fs::File::options().write(true).open(site.path()).unwrap().set_len(length).unwrap();
}

/// All of it but the header.
fn overwrite(site: &Site) {
    let file = fs::File::options().write(true).open(site.path()).unwrap();
    let length = usize::try_from(file.metadata().unwrap().len()).unwrap();
    file.write_all_at(&vec![0x5a; length.saturating_sub(100)], 100).unwrap();
}

//! Measures how fast a store takes events, and how large they are in it. It must not be part of what the agent does.
//! `store_ingest CORPUS STORE COUNT` writes the timelines of a corpus of recorded lives over and over into a new
//! store, and prints one JSON object.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use serde_json::{Value, json};
use tracer::{
    exec::Recording,
    render::json::entry,
    store::{LifeKey, Options, Writer},
};

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [corpus, store, count] = arguments.as_slice() else {
        anyhow::bail!("usage: store_ingest CORPUS STORE COUNT");
    };
    ensure!(!Path::new(store).exists(), "{store} exists: name a new file");
    let ingest = ingest(Path::new(store), &lives(Path::new(corpus))?, count.parse()?)?;
    println!("{ingest}");
    Ok(())
}

/// Timeline entries of each recorded life, in order of their folders' names.
fn lives(folder: &Path) -> anyhow::Result<Vec<Vec<Value>>> {
    let entries = std::fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    let mut folders: Vec<_> =
        entries.map(|entry| Ok(entry?.path())).collect::<std::io::Result<_>>()?;
    folders.retain(|folder| folder.is_dir());
    folders.sort();
    let life = |folder: &PathBuf| {
        let recording = Recording::load(folder, true)?;
        let (timeline, offset) = (&recording.timeline, recording.facts.machine.boot_offset_ns);
        Ok(timeline.entries.iter().map(|event| entry(event, timeline.began_ns, offset)).collect())
    };
    folders.iter().map(life).collect()
}

/// Writes the lives' entries over and over, each time as new lives, until there are so many events. It is not faster
/// than the store: nothing is dropped.
fn ingest(path: &Path, lives: &[Vec<Value>], events: u64) -> anyhow::Result<Value> {
    let options = Options {
        max_bytes: u64::MAX / 2,
        max_age: Duration::from_secs(u64::from(u32::MAX)),
        boot_id: "measure".to_owned(),
    };
    let writer = Writer::open(path, options)?;
    let began = Instant::now();
    let mut written = 0;
    'all: for round in 0_u64.. {
        for (number, life) in lives.iter().enumerate() {
            let container_id = format!("{round:032x}{number:032x}");
            let key = Arc::new(LifeKey { boot_id: "measure".to_owned(), container_id });
            for entry in life {
                while writer.statistics().queued_bytes > 4 << 20 {
                    std::thread::sleep(Duration::from_micros(200));
                }
                writer.event(&key, entry);
                written += 1;
                if written == events {
                    break 'all;
                }
            }
        }
    }
    writer.flush().blocking_recv().context("the store cannot be written")?;
    let seconds = began.elapsed().as_secs_f64();
    let statistics = writer.statistics();
    ensure!(statistics.events == events, "not all was stored: {statistics:?}");
    drop(writer);
    // The wal is empty by now: the last connection empties it.
    let bytes = std::fs::metadata(path)?.len();
    Ok(json!({
        "events": events,
        "seconds": seconds,
        "events_per_second": events as f64 / seconds,
        "bytes_per_event": bytes as f64 / events as f64,
    }))
}

//! Measures how fast a store takes events, and how large they are in it. `store-ingest CORPUS STORE EVENTS CRASHES` writes
//! the timelines of a corpus of recorded lives over and over into a new store, and prints one JSON object. Then it adds
//! crashes of the same lives, so that the store can be asked about them: of pods `gateway-0` and so on, twenty lives each.
//! It is a program of its own, so that the other chores need not compile the tracer first. It knows nothing about the agent.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, ensure};
use serde_json::{Value, json};
use tracer::{
    contract::{Container, Entry, K8s, crash_object, entry},
    diagnose::verdict::{Terms, verdict},
    exec::Recording,
    node::{
        identity::{Identity, Source},
        store::{End, Life, LifeKey, NewCrash, Options, Writer},
    },
    render::{Detail, Style, crash_text},
};

/// Lives of one pod.
const LIVES_OF_A_POD: u64 = 20;
/// From the beginning of one life to that of the next.
const LIFE_NS: u64 = 60_000_000_000;
const BOOT: &str = "measure";

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [corpus, store, events, crashes] = arguments.as_slice() else {
        anyhow::bail!("usage: store-ingest CORPUS STORE EVENTS CRASHES");
    };
    let store = Path::new(store);
    ensure!(!store.exists(), "{} exists: name a new file", store.display());
    let mut lives = lives(Path::new(corpus))?;
    let ingest = ingest(store, &lives, events.parse()?)?;
    crash(store, &mut lives, crashes.parse()?)?;
    println!("{ingest}");
    Ok(())
}

/// The recorded lives, in order of their folders' names.
fn lives(folder: &Path) -> anyhow::Result<Vec<Recording>> {
    let entries = std::fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    let mut folders: Vec<PathBuf> =
        entries.map(|entry| Ok(entry?.path())).collect::<std::io::Result<_>>()?;
    folders.retain(|folder| folder.is_dir());
    folders.sort();
    folders.iter().map(|folder| Recording::load(folder, true)).collect()
}

fn open(path: &Path) -> anyhow::Result<Writer> {
    let options = Options {
        max_bytes: u64::MAX / 2,
        max_age: Duration::from_secs(u64::from(u32::MAX)),
        boot_id: BOOT.to_owned(),
    };
    Ok(Writer::open(path, options)?)
}

/// The queue has a bound: what is given faster than it is written would be dropped.
fn wait_for_room(writer: &Writer) {
    while writer.statistics().queued_bytes > 4 << 20 {
        std::thread::sleep(Duration::from_micros(200));
    }
}

/// Writes the lives' entries over and over, each time as new lives, until there are so many events. It is not faster
/// than the store: nothing is dropped.
fn ingest(path: &Path, lives: &[Recording], events: u64) -> anyhow::Result<Value> {
    let entries = |life: &Recording| -> Vec<Entry> {
        let (timeline, offset) = (&life.timeline, life.facts.machine.boot_offset_ns);
        timeline.entries.iter().map(|event| entry(event, timeline.began_ns, offset)).collect()
    };
    let lives: Vec<Vec<Entry>> = lives.iter().map(entries).collect();
    let writer = open(path)?;
    let began = Instant::now();
    let mut written = 0;
    'all: for round in 0_u64.. {
        for (number, life) in lives.iter().enumerate() {
            let container_id = format!("{round:032x}{number:032x}");
            let key = Arc::new(LifeKey { boot_id: BOOT.to_owned(), container_id });
            for entry in life {
                wait_for_room(&writer);
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

/// Adds ends of lives, the newest of them just now.
fn crash(path: &Path, lives: &mut [Recording], crashes: u64) -> anyhow::Result<()> {
    let now_ns = u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos())?;
    let writer = open(path)?;
    let count = lives.len();
    for number in 0..crashes {
        let recording = &mut lives[usize::try_from(number)? % count];
        let (timeline, facts) = (&recording.timeline, &mut recording.facts);
        let began_ns = i64::try_from(now_ns.saturating_sub((crashes - number) * LIFE_NS))?;
        facts.machine.boot_offset_ns = began_ns.saturating_sub(i64::try_from(timeline.began_ns)?);
        let identity = identity(number, crashes);
        let verdict = verdict(timeline, facts, &Terms::default());
        let mut object = crash_object(identity.short_id(), timeline, facts, &verdict);
        (object.container, object.k8s) = (Some(Container::of(&identity)), K8s::of(&identity));
        let last_ns = timeline.entries.last().map_or(timeline.began_ns, |event| event.time_ns);
        let lasted_ns = i64::try_from(last_ns.saturating_sub(timeline.began_ns))?;
        let end = End {
            time_ns: began_ns.saturating_add(lasted_ns),
            exit: object.exit.clone(),
            cause: verdict.cause.name().to_owned(),
        };
        let life = Life {
            boot_id: BOOT.to_owned(),
            identity,
            cgroup_id: number,
            began_ns,
            main: Some(timeline.main),
            command: vec!["/gateway".to_owned()],
            memory_limit_bytes: None,
            end: Some(end),
        };
        let text = crash_text(&object, Style::Coloured, Detail::Folded);
        wait_for_room(&writer);
        let key = Arc::new(life.key());
        writer.life(life);
        // Its answer comes with the flush.
        drop(writer.crash(NewCrash { life: key, process: None, object, text }));
    }
    writer.flush().blocking_recv().context("the store cannot be written")?;
    let statistics = writer.statistics();
    ensure!(statistics.crashes == crashes, "not all was stored: {statistics:?}");
    Ok(())
}

/// Of the life of this number: pods take turns.
fn identity(number: u64, all: u64) -> Identity {
    let pods = all.div_ceil(LIVES_OF_A_POD);
    let (pod, attempt) = (number % pods, number / pods);
    Identity {
        container_id: format!("{number:012x}{:052x}", 0xc),
        container_name: Some("gateway".to_owned()),
        image: Some(format!("localhost/gateway:{attempt}")),
        attempt: u32::try_from(attempt).ok(),
        pod_name: Some(format!("gateway-{pod}")),
        pod_uid: Some(format!("00000000-0000-4000-8000-{pod:012x}")),
        namespace: Some("macula-system".to_owned()),
        labels: [("app".to_owned(), "macula-gateway".to_owned())].into(),
        runtime: Some("containerd".to_owned()),
        node: Some("measure".to_owned()),
        source: Source::Cri,
        ..Identity::default()
    }
}

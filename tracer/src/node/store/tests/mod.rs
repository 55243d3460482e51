//! The store as its users see it. Each part of it is tested where it is.

mod bounds;
mod crashes;
mod damage;
mod events;
mod survival;

use std::{path::Path, sync::Arc, time::Duration};

use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::*;
use crate::{
    contract::{Crash, CrashObject, Entry, ExitStatus, Process, SCHEMA, rfc3339},
    node::identity::{Identity, Source},
};

pub const BOOT: &str = "b3d9";
const SECOND: i64 = 1_000_000_000;
/// Some time in 2001.
const THEN: i64 = 981_173_106 * SECOND;

/// What a test writes into, in a folder of its own.
pub struct Site {
    folder: tempfile::TempDir,
}

impl Site {
    pub fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    pub fn path(&self) -> std::path::PathBuf {
        self.folder.path().join("sub/store.sqlite")
    }

    pub fn writer(&self) -> Writer {
        Writer::open(&self.path(), options()).unwrap()
    }

    pub fn reader(&self) -> Reader {
        Reader::open(&self.path()).unwrap()
    }
}

pub fn options() -> Options {
    Options {
        max_bytes: 1 << 30,
        max_age: Duration::from_secs(100 * 365 * 86_400),
        boot_id: BOOT.to_owned(),
    }
}

/// Waits for the store's thread, not for a time.
pub fn committed<T>(answer: oneshot::Receiver<T>) -> T {
    answer.blocking_recv().unwrap()
}

/// The container ids of tests begin with a number, so that their crash ids differ.
pub fn container_id(number: u32) -> String {
    format!("{number:012x}{:052}", 0)
}

pub fn key(number: u32) -> Arc<LifeKey> {
    Arc::new(LifeKey { boot_id: BOOT.to_owned(), container_id: container_id(number) })
}

/// The container `app` of a pod, begun `number` seconds after [`THEN`].
pub fn life(number: u32, pod: &str) -> Life {
    Life {
        boot_id: BOOT.to_owned(),
        identity: Identity {
            container_id: container_id(number),
            container_name: Some("app".to_owned()),
            image: Some("registry/app:1".to_owned()),
            attempt: Some(number),
            pod_name: Some(pod.to_owned()),
            pod_uid: Some(format!("uid-{pod}")),
            namespace: Some("shop".to_owned()),
            labels: [("app".to_owned(), "web".to_owned())].into(),
            node: Some("node1".to_owned()),
            source: Source::Cri,
            ..Identity::default()
        },
        cgroup_id: u64::MAX - u64::from(number),
        began_ns: THEN + i64::from(number) * SECOND,
        main: None,
        command: vec!["app".to_owned(), "--port=80".to_owned()],
        memory_limit_bytes: Some(128 << 20),
        end: None,
    }
}

/// Of a kind that is known or not.
pub fn entry(time_ns: i64, kind: &str) -> Entry {
    let fields = json!({"errno": "ENOENT", "file": {"path": "/etc/app.yml", "truncated": false}, "arguments": ["0x1", "0x2"]});
    entry_with(time_ns, kind, fields)
}

/// What a process wrote.
pub fn words(time_ns: i64, text: &str) -> Entry {
    entry_with(time_ns, "words", json!({"stream": "stderr", "text": text, "total_bytes": 1}))
}

fn entry_with(time_ns: i64, kind: &str, fields: Value) -> Entry {
    let mut entry = json!({
        "time": rfc3339(0, time_ns), "offset_ns": 7, "kind": kind,
        "process": {"pid": 4242, "creation": {"time": rfc3339(0, THEN)}, "comm": "app", "user": {"id": 0}},
    });
    entry.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    serde_json::from_value(entry).unwrap()
}

/// The end of that life, one second after its beginning.
pub fn crash(number: u32, cause: &str) -> NewCrash {
    let time_ns = THEN + (i64::from(number) + 1) * SECOND;
    NewCrash {
        life: key(number),
        process: None,
        object: CrashObject {
            schema: SCHEMA,
            crash: Crash {
                id: container_id(number)[..12].to_owned(),
                revision: 1,
                scope: "life".to_owned(),
                time: rfc3339(0, time_ns),
                cause: cause.to_owned(),
                confidence: "proven".to_owned(),
                summary: format!("app ended: {cause}"),
                evidence: Vec::new(),
                next_step: "Look at it.".to_owned(),
                process: Process { pid: 4242, ..Process::default() },
                details: serde_json::Map::new(),
            },
            exit: ExitStatus { code: Some(1), signal: None, core: false },
            process: Process { pid: 4242, ..Process::default() },
            container: None,
            k8s: None,
            timeline: Some(vec![entry(time_ns, "call")]),
            lost: 0,
        },
        text: "\u{1b}[1m▶ app\u{1b}[0m\n".to_owned(),
    }
}

pub fn end(number: u32, seconds: u32, cause: &str) -> End {
    End {
        time_ns: THEN + i64::from(number + seconds) * SECOND,
        exit: ExitStatus { code: Some(1), signal: None, core: false },
        cause: cause.to_owned(),
    }
}

/// All crashes but those without a cause.
pub fn crashes(reader: &Reader) -> Vec<CrashObject> {
    parsed(&reader.crashes(&Filter::default()).unwrap())
}

pub fn parsed(lines: &[String]) -> Vec<CrashObject> {
    lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// All events, without their rows.
pub fn events(reader: &Reader, filter: EventFilter) -> Vec<Value> {
    let json = |event: StoredEvent| serde_json::to_value(event.event).unwrap();
    reader.events(filter).map(|event| json(event.unwrap())).collect()
}

pub fn sqlite(path: &Path) -> rusqlite::Connection {
    rusqlite::Connection::open(path).unwrap()
}

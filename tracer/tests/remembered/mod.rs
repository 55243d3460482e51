//! A store as an agent leaves it behind, made of recorded deaths. It must not know who reads it.
#![allow(clippy::unwrap_used, reason = "a broken fixture must fail the test where it is broken")]

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tracer::{
    capture::event::Event,
    contract::{Container, K8s, crash_object, entry},
    diagnose::verdict::{Terms, verdict},
    exec::Recording,
    node::{
        identity::{Identity, Source},
        store::{End, Life, LifeKey, NewCrash, Options, Writer},
    },
    render::{Detail, Style, crash_text},
};

/// A store in a folder of its own, which goes with it.
pub struct Remembered {
    folder: tempfile::TempDir,
    writer: Option<Writer>,
    /// What was told of each death, without colour.
    pub texts: Vec<String>,
    /// Whose store it is.
    node: String,
}

/// One container instance and how it died.
pub struct Death<'a> {
    pub recording: &'a str,
    pub namespace: &'a str,
    pub pod: &'a str,
    pub container: &'a str,
    pub restarts: u32,
    /// Any hexadecimal digit: the container id is 64 of it.
    pub digit: char,
}

pub const BOOT: &str = "3f2b0c3e-0000-4000-8000-000000000001";

impl Remembered {
    /// `cart-0` of `shop` has lasted, then died twice; `cart-1` and `till-0` of `bank` died once each.
    pub fn shop() -> Self {
        let mut store = Self::empty();
        let cart = Death {
            recording: "config_missing",
            namespace: "shop",
            pod: "cart-0",
            container: "cart",
            restarts: 1,
            digit: 'a',
        };
        store.lasted(&cart);
        store.add(&cart);
        store.add(&Death { recording: "oom_in_container", restarts: 2, digit: 'b', ..cart });
        let other = Death { pod: "cart-1", recording: "segfault_null", digit: 'c', ..cart };
        store.add(&Death { restarts: 0, ..other });
        let bank = Death { namespace: "bank", recording: "runc_path_missing", digit: 'd', ..cart };
        store.add(&Death { pod: "till-0", container: "till", restarts: 12, ..bank });
        store.flush();
        store
    }

    pub fn empty() -> Self {
        Self::of_node("node1")
    }

    /// Empty.
    pub fn of_node(node: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let options = Options {
            max_bytes: 64 << 20,
            // The recorded deaths are of whatever day they were recorded.
            max_age: Duration::from_secs(50 * 365 * 86400),
            boot_id: BOOT.to_owned(),
        };
        let writer = Writer::open(&folder.path().join("tracer.db"), options).unwrap();
        Self { folder, writer: Some(writer), texts: Vec::new(), node: node.to_owned() }
    }

    pub fn path(&self) -> PathBuf {
        self.folder.path().join("tracer.db")
    }

    /// All its events, and its death.
    pub fn add(&mut self, death: &Death<'_>) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/corpus");
        let recording = Recording::load(&folder.join(death.recording), true).unwrap();
        let (timeline, facts) = (&recording.timeline, &recording.facts);
        let verdict = verdict(timeline, facts, &Terms::default());
        let identity = death.identity(death.digit, &self.node);
        let mut object = crash_object(identity.short_id(), timeline, facts, &verdict);
        object.container = Some(Container::of(&identity));
        object.k8s = K8s::of(&identity);

        let boot_offset_ns = facts.machine.boot_offset_ns;
        let exec = timeline.entries.iter().find_map(Event::exec);
        let command = exec.map(|exec| exec.args.iter().map(ToString::to_string).collect());
        let began_ns = i64::try_from(timeline.began_ns).unwrap() + boot_offset_ns;
        let life = Life {
            boot_id: BOOT.to_owned(),
            identity,
            cgroup_id: 1,
            began_ns,
            main: Some(timeline.main),
            command: command.unwrap_or_default(),
            memory_limit_bytes: Some(64 << 20),
            end: None,
        };
        let key = Arc::new(life.key());
        let writer = self.writer.as_ref().unwrap();
        writer.life(life);
        for event in &timeline.entries {
            writer.event(&key, &entry(event, timeline.began_ns, boot_offset_ns));
        }
        let time: jiff::Timestamp = object.crash.time.parse().unwrap();
        let time_ns = i64::try_from(time.as_nanosecond()).unwrap();
        let cause = object.crash.cause.clone();
        writer.end(&key, End { time_ns, exit: object.exit.clone(), cause });
        let text = crash_text(&object, Style::Coloured, Detail::Folded);
        self.texts.push(crash_text(&object, Style::Plain, Detail::Folded));
        drop(writer.crash(NewCrash { life: key, process: None, object, text }));
    }

    /// A life of the same container with another image, an hour long, a week before the recording.
    pub fn lasted(&mut self, death: &Death<'_>) {
        let identity = Identity {
            image: Some("localhost/cart:1".to_owned()),
            ..death.identity('e', &self.node)
        };
        let began_ns = 1_600_000_000_000_000_000;
        let exit = tracer::contract::ExitStatus { code: Some(0), signal: None, core: false };
        let time_ns = began_ns + 3_600_000_000_000;
        let life = Life {
            boot_id: BOOT.to_owned(),
            identity,
            cgroup_id: 2,
            began_ns,
            main: None,
            command: vec!["cart".to_owned()],
            memory_limit_bytes: Some(32 << 20),
            end: None,
        };
        let key: Arc<LifeKey> = Arc::new(life.key());
        let writer = self.writer.as_ref().unwrap();
        writer.life(life);
        writer.end(&key, End { time_ns, exit, cause: "none".to_owned() });
    }

    /// Waits until all is committed.
    pub fn flush(&mut self) {
        let flushed = self.writer.as_ref().unwrap().flush();
        // A thread that runs an event loop may not wait itself.
        let waiting = std::thread::spawn(move || flushed.blocking_recv());
        waiting.join().unwrap().unwrap();
    }
}

impl Drop for Remembered {
    fn drop(&mut self) {
        // Before its folder goes.
        drop(self.writer.take());
    }
}

impl Death<'_> {
    fn identity(&self, digit: char, node: &str) -> Identity {
        Identity {
            container_id: std::iter::repeat_n(digit, 64).collect(),
            container_name: Some(self.container.to_owned()),
            image: Some("localhost/cart:2".to_owned()),
            attempt: Some(self.restarts),
            pod_name: Some(self.pod.to_owned()),
            pod_uid: Some(format!("uid-of-{}", self.pod)),
            namespace: Some(self.namespace.to_owned()),
            labels: [("app".to_owned(), self.container.to_owned())].into(),
            runtime: Some("containerd".to_owned()),
            node: Some(node.to_owned()),
            source: Source::Cri,
            ..Identity::default()
        }
    }
}

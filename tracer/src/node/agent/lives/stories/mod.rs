//! Whole lives of containers without kernel, clock or runtime: inputs go in, and what the node wants done comes out as a few
//! words each. A test reads as a story.

mod api;
mod late;
mod lives;
mod restart;

use serde_json::Value;
use tracer_ebpf::abi::state::LostKey;

use super::{Action, Arming, Gather, Node, Note, Parts, Question, Report};
use crate::{
    capture::{
        decode::golden,
        event::{BootNs, CgroupChange, Change, Event, Process, What},
    },
    config::Recorder,
    contract::CrashObject,
    diagnose::{
        facts::Facts,
        timeline::Timeline,
        verdict::scene::{MS, Scene},
    },
    linux::text::Text,
    node::{
        attribute::Answer,
        identity::{Identity, Source},
        kubernetes::pods,
        redact::Redactor,
    },
};

/// An instance of a container of the pod `u1`.
#[derive(Clone, Copy)]
struct Instance {
    /// Its id is this letter, 64 times.
    letter: char,
    name: &'static str,
    cgroup: u64,
}

const APP: Instance = Instance { letter: 'a', name: "app", cgroup: 77 };
const APP_AGAIN: Instance = Instance { letter: 'b', name: "app", cgroup: 78 };
const PROXY: Instance = Instance { letter: 'c', name: "proxy", cgroup: 79 };

impl Instance {
    fn id(self) -> String {
        self.letter.to_string().repeat(64)
    }

    /// Its pod is one that is selected.
    fn identity(self) -> Identity {
        let text = |text: &str| Some(text.to_owned());
        Identity {
            container_id: self.id(),
            container_name: text(self.name),
            pod_name: text("gateway-0"),
            pod_uid: text("u1"),
            namespace: text("shop"),
            labels: [("app".to_owned(), "macula-gateway".to_owned())].into(),
            source: Source::Cri,
            ..Identity::default()
        }
    }

    fn named(self) -> Answer {
        Answer::Container(self.identity())
    }

    /// What is known as long as the runtime does not answer.
    fn nameless(self) -> Answer {
        Answer::Unknown(Identity {
            container_id: self.id(),
            pod_uid: Some("u1".to_owned()),
            lacks: Some("names".to_owned()),
            ..Identity::default()
        })
    }

    fn cgroup_is(self, change: Change, time_ns: BootNs) -> Event {
        let path = format!("/kubepods/podu1/{}", self.id());
        let change = CgroupChange { change, id: self.cgroup, level: 3, path: path.as_str().into() };
        let process = Process { tracked: false, ..golden::process() };
        Event { time_ns, cgroup: 0, process, what: What::Cgroup(change) }
    }

    /// The events of a scene as those of this instance.
    fn lives(self, scene: &Scene) -> Vec<Event> {
        let mut events = scene.events.clone();
        for event in &mut events {
            (event.cgroup, event.process.cgroup) = (self.cgroup, self.cgroup);
            if let What::Cgroup(change) = &mut event.what {
                change.id = self.cgroup;
            }
        }
        events
    }
}

/// A life that ends by itself, with this code.
fn exits(code: u8) -> Scene {
    let (mut scene, main) = Scene::running("/app/server");
    scene.exits(main, code);
    scene
}

/// Looks nothing up, but remembers what it was shown.
#[derive(Default)]
struct Looks {
    observed: usize,
    finished: usize,
}

impl Gather for Looks {
    fn observe(&mut self, _: &Event) {
        self.observed += 1;
    }

    fn program(&mut self, process: &Process) -> Option<(Text, Vec<Text>)> {
        let path = Text([b"/app/", process.comm.as_bytes()].concat());
        Some((path.clone(), vec![path]))
    }

    fn finish(&mut self, _: &Timeline) -> Facts {
        self.finished += 1;
        Facts::default()
    }
}

struct Story {
    node: Node,
    looks: Looks,
    now_ns: BootNs,
    /// What was reported of deaths, oldest first.
    reports: Vec<Report>,
}

impl Story {
    /// No Kubernetes API is asked.
    fn begins() -> Self {
        Self::of_node(false)
    }

    /// The API listed this pod.
    fn of_pod(pod: Value) -> Self {
        let mut story = Self::of_node(true);
        let pod = pods::Pod::read(pod).unwrap();
        assert_eq!(story.api(pods::Change::Listed(vec![pod])), ["note: pods are listed"]);
        story
    }

    fn of_node(asks_cluster: bool) -> Self {
        let parts = Parts {
            boot_id: "boot".to_owned(),
            selections: vec!["shop:app=macula-gateway".parse().unwrap()],
            redactor: Redactor::new(true, &[]).unwrap(),
            arming: Arming::new(Recorder::Auto, 60_000 * MS),
            asks_cluster,
            boot_offset_ns: 0,
        };
        let node = Node::new(parts, 0);
        Self { node, looks: Looks::default(), now_ns: 0, reports: Vec::new() }
    }

    /// An input, and what follows from it.
    fn input(
        &mut self,
        input: impl FnOnce(&mut Node, &mut Looks, &mut Vec<Action>),
    ) -> Vec<String> {
        let mut out = Vec::new();
        input(&mut self.node, &mut self.looks, &mut out);
        while let Some(cgroup) = self.node.next_end(self.now_ns, &mut out) {
            self.node.report_end(cgroup, &mut self.looks, self.now_ns, &mut out);
        }
        let said = words(&out);
        self.reports.extend(out.into_iter().filter_map(|action| match action {
            Action::Report { report, .. } => Some(*report),
            Action::Ask(_)
            | Action::Event { .. }
            | Action::Life(_)
            | Action::ForgetLife(_)
            | Action::End { .. }
            | Action::LetGo(_)
            | Action::ForgetLosses(_)
            | Action::ForgetFacts(_)
            | Action::Note(_) => None,
        }));
        said
    }

    /// All that the kernel wrote in one turn.
    fn events(&mut self, events: Vec<Event>) -> Vec<String> {
        self.now_ns = events.iter().map(|event| event.time_ns).fold(self.now_ns, u64::max);
        self.input(|node, looks, out| {
            events.into_iter().for_each(|event| node.take_event(event, looks, out));
            node.end_turn(looks, out);
        })
    }

    fn made(&mut self, of: Instance) -> Vec<String> {
        let event = of.cgroup_is(Change::Made, self.now_ns);
        self.events(vec![event])
    }

    fn removed(&mut self, of: Instance) -> Vec<String> {
        let event = of.cgroup_is(Change::Removed, self.now_ns);
        self.events(vec![event])
    }

    fn lives(&mut self, of: Instance, scene: &Scene) -> Vec<String> {
        self.events(of.lives(scene))
    }

    /// The runtime's answer.
    fn answer(&mut self, of: Instance, answer: Answer) -> Vec<String> {
        self.input(|node, _, out| node.answered(of.cgroup, answer, out))
    }

    fn api(&mut self, change: pods::Change) -> Vec<String> {
        let now = self.now_ns;
        self.input(|node, _, out| node.pods_changed(change, now, out))
    }

    /// Time goes by; what waits for a time is looked at.
    fn passes(&mut self, ms: u64) -> Vec<String> {
        self.now_ns += ms * MS;
        let now = self.now_ns;
        self.input(|node, looks, out| {
            if node.cluster().patience_ends_ns().is_some_and(|until_ns| until_ns <= now) {
                node.patience_is_over();
            }
            node.tick(0, looks, now, out);
        })
    }

    /// A container that was made, named and runs; its events were reported.
    fn runs(&mut self, of: Instance) -> Scene {
        self.made(of);
        self.answer(of, of.named());
        let (scene, _) = Scene::running("/app/server");
        self.lives(of, &scene);
        scene
    }

    /// The last that was reported.
    fn report(&self) -> &CrashObject {
        &self.reports.last().unwrap().object
    }

    /// Whose it was.
    fn container_name(&self) -> Option<&str> {
        self.report().container.as_ref()?.name.as_deref()
    }

    fn pod_name(&self) -> Option<&str> {
        self.report().k8s.as_ref()?.pod.as_ref()?.name.as_deref()
    }

    /// What told whose it was, and what could not be told.
    fn attribution(&self) -> (&str, Option<&str>) {
        let told = self.report().k8s.as_ref().unwrap().attribution.as_ref().unwrap();
        (&told.source, told.lacks.as_deref())
    }
}

/// What is to be done; events that follow each other stand in one line.
fn words(actions: &[Action]) -> Vec<String> {
    let mut said: Vec<String> = Vec::new();
    for action in actions {
        let line = word(action);
        match said.last_mut() {
            Some(last) if line.starts_with("events of") && last.starts_with(&line[..11]) => {
                last.push_str(&line[11..]);
            }
            Some(_) | None => said.push(line),
        }
    }
    said
}

fn word(action: &Action) -> String {
    let letter = |id: &str| id[..1].to_owned();
    match action {
        Action::Ask(Question::Who { container_id, .. }) => {
            format!("ask who {} is", letter(container_id))
        }
        Action::Ask(Question::WhoLate { container_id, .. }) => {
            format!("ask on who {} is", letter(container_id))
        }
        Action::Ask(Question::End { container_id, .. }) => {
            format!("ask how {} ended", letter(container_id))
        }
        Action::Event { life, kind, .. } => {
            format!("events of {} {kind}", letter(&life.container_id))
        }
        Action::Life(life) => format!("store life {}", letter(&life.identity.container_id)),
        Action::ForgetLife(life) => format!("forget life {}", letter(&life.container_id)),
        Action::Report { life, report, .. } => {
            let crash = &report.object.crash;
            let (letter, cause) = (letter(&life.container_id), report.cause);
            format!("report {} of {letter}: {cause}, revision {}", crash.scope, crash.revision)
        }
        Action::End { life, end } => {
            format!("store end {}: {}", letter(&life.container_id), end.cause)
        }
        Action::LetGo(cgroup) => format!("let go of {cgroup}"),
        Action::ForgetLosses(keys) => {
            let of: Vec<String> = keys.iter().map(|key: &LostKey| key.cgroup.to_string()).collect();
            format!("forget losses of {}", of.join(", "))
        }
        Action::ForgetFacts(cgroup) => format!("forget facts of {cgroup}"),
        Action::Note(note) => format!("note: {}", noted(note)),
    }
}

fn noted(note: &Note) -> &'static str {
    match note {
        Note::LifeBegun => "a life begins",
        Note::LifeJudged { .. } => "a life is judged",
        Note::IncidentJudged { .. } => "an incident is judged",
        Note::Revised { .. } => "an end is revised",
        Note::Withdrawn { .. } => "a death is withdrawn",
        Note::Unobservable { .. } => "a pod is unobservable",
        Note::Lost { .. } => "records are lost",
        Note::Uncounted { .. } => "records of anybody are lost",
        Note::Strays { .. } => "strays are given up",
        Note::PodsListed { .. } => "pods are listed",
        Note::PodsUnlisted { .. } => "pods are not listed",
    }
}

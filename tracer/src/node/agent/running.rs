//! The running agent: waits for the next input, lets the node decide what follows and the hands carry it out.

use std::{collections::HashSet, ops::ControlFlow, time::Duration};

use anyhow::Context as _;
use tokio::{signal::unix::Signal, time::Interval};

use super::{
    asker::Reply,
    clock::now,
    hands::Hands,
    inventory,
    lives::{Action, Node},
    records::Records,
    reporter::Committed,
    servers::Servers,
    setup::Setup,
    status,
};
use crate::{
    capture::{
        event::{BootNs, Event},
        kernel::{LoadError, Rings},
    },
    contract::names,
    diagnose::facts::boot_offset_ns,
    node::{
        attribute::roots::Root,
        kubernetes::{
            owner::Owner,
            pods::{Change, Stream as PodStream},
        },
        metrics::ByKind,
    },
};

/// A node's agent, from its start on.
pub struct Agent {
    pub setup: Setup,
    pub node: Node,
    pub hands: Hands,
    /// What the node wants done; empty between two inputs.
    pub actions: Vec<Action>,
    pub rings: Rings,
    /// The rings were not read to their ends.
    pub has_unread: bool,
    pub records: Records,
    /// Folders of pods that are watched.
    pub roots: HashSet<u64>,
    pub pods: Option<PodStream>,
    pub clocks: Clocks,
    pub signals: Signals,
    pub servers: Servers,
    pub owner: Option<Owner>,
}

pub struct Clocks {
    /// For what changes by time alone.
    pub tick: Interval,
    /// For roots, and whether the runtime is there.
    pub look: Interval,
}

pub struct Signals {
    pub terminate: Signal,
    pub interrupt: Signal,
    pub hang_up: Signal,
}

/// What the agent waits for.
enum Input {
    /// The kernel side wrote records, or some wait from the turn before.
    Records,
    Reply(Reply),
    /// A crash is in the store, or need not be reported.
    Committed(Option<Box<Committed>>),
    Pods(Change),
    PatienceIsOver,
    Tick,
    Look,
    Reload,
    Stop,
}

impl Agent {
    /// Runs until a signal asks it to stop.
    ///
    /// # Errors
    /// The ring buffers can no longer be read, or what is in the kernel cannot be removed at the end.
    pub async fn run(mut self) -> anyhow::Result<()> {
        loop {
            self.switch_recorder();
            let input = self.next_input().await?;
            if self.handle(input).is_break() {
                break;
            }
            self.report_ended_lives();
        }
        self.stop().await
    }

    async fn next_input(&mut self) -> anyhow::Result<Input> {
        let more = self.has_unread || self.records.has_more() || self.node.has_strays();
        let patience_ends_ns = self.node.cluster().patience_ends_ns();
        let input = tokio::select! {
            // Records first: what they say is what the others wait for.
            biased;
            ready = self.rings.ready(), if !more => {
                ready.context("cannot read the ring buffers")?;
                Input::Records
            }
            reply = self.hands.asker.next() => Input::Reply(reply),
            committed = self.hands.reporter.next_committed() => {
                Input::Committed(committed.map(Box::new))
            }
            change = next_change(&mut self.pods) => Input::Pods(change),
            () = reach(patience_ends_ns) => Input::PatienceIsOver,
            _ = self.clocks.tick.tick() => Input::Tick,
            _ = self.clocks.look.tick() => Input::Look,
            _ = self.signals.hang_up.recv() => Input::Reload,
            _ = self.signals.terminate.recv() => Input::Stop,
            _ = self.signals.interrupt.recv() => Input::Stop,
            // Last, since there may be more for as long as somebody floods: the others are few.
            () = tokio::task::yield_now(), if more => Input::Records,
        };
        Ok(input)
    }

    fn handle(&mut self, input: Input) -> ControlFlow<()> {
        match input {
            Input::Records => self.take_records(),
            Input::Reply(reply) => self.take_reply(reply),
            Input::Committed(committed) => {
                committed.into_iter().for_each(|crash| self.hands.reporter.publish(*crash));
            }
            Input::Pods(change) => self.node.pods_changed(change, now(), &mut self.actions),
            Input::PatienceIsOver => self.node.patience_is_over(),
            Input::Tick => self.tick(),
            Input::Look => self.look(),
            Input::Reload => self.reload(),
            Input::Stop => return ControlFlow::Break(()),
        }
        self.carry_out();
        ControlFlow::Continue(())
    }

    /// Reads both rings and takes what was written before.
    pub fn take_records(&mut self) {
        let until = now();
        let (records, metrics) = (&mut self.records, &self.hands.metrics);
        self.has_unread = self.rings.drain_some(|record| records.push(record, metrics));
        let events = self.records.until(until);
        self.take_events(events);
    }

    /// Each event's actions are carried out before the next event is taken.
    fn take_events(&mut self, events: Vec<Event>) {
        for event in events {
            let kind = names::kind(&event.what);
            self.hands.metrics.events.get_or_create(&ByKind { kind }).inc();
            self.node.take_event(event, &mut self.hands.gatherer, &mut self.actions);
            self.carry_out();
        }
        self.node.end_turn(&mut self.hands.gatherer, &mut self.actions);
        self.carry_out();
    }

    /// Reports the lives that are over, as far as it is known whose they are.
    pub fn report_ended_lives(&mut self) {
        while let Some(cgroup) = self.node.next_end(now(), &mut self.actions) {
            self.note_losses();
            self.node.report_end(cgroup, &mut self.hands.gatherer, now(), &mut self.actions);
            self.carry_out();
        }
        self.carry_out();
    }

    /// Watches roots that were not watched before, and what runs below them already.
    ///
    /// # Errors
    /// The kernel has no room for another root, or refuses the inventory.
    pub fn watch_roots(&mut self, roots: &[Root], now: BootNs) -> Result<(), LoadError> {
        let new: Vec<&Root> = roots.iter().filter(|root| self.roots.insert(root.id)).collect();
        if new.is_empty() {
            return Ok(());
        }
        for root in &new {
            tracing::info!(path = %root.path.display(), "watching the pods below");
            self.hands.programs.watch_root(root.id)?;
        }
        self.find_what_runs(new, now)
    }

    pub fn carry_out(&mut self) {
        self.hands.carry_out(&mut self.actions);
    }

    /// Containers below the roots, those that are not known yet from now on, and their processes.
    fn find_what_runs<'a>(
        &mut self,
        roots: impl IntoIterator<Item = &'a Root>,
        now: BootNs,
    ) -> Result<(), LoadError> {
        for cgroup in roots.into_iter().flat_map(inventory::below) {
            if self.node.is_rejected(cgroup.id) {
                continue;
            }
            if cgroup.is_container() {
                self.hands.programs.track(cgroup.id, cgroup.root, true)?;
            }
            self.node.cgroup_found(cgroup.id, &cgroup.path, now, &mut self.actions);
            self.carry_out();
        }
        self.node.inventory_comes();
        self.hands.programs.take_inventory()
    }

    /// What may have begun unseen.
    fn find_what_was_missed(&mut self) {
        let roots = self.setup.roots();
        if let Err(error) = self.find_what_runs(&roots, now()) {
            tracing::error!(%error, "what the kernel side had no room for cannot be looked for");
        }
    }

    fn take_reply(&mut self, reply: Reply) {
        match reply {
            Reply::Who(cgroup, answer) => self.node.answered(cgroup, *answer, &mut self.actions),
            Reply::End(cgroup, explained) => self.node.end_explained(cgroup, explained),
            Reply::Runtime => {}
            Reply::Lost(error) => tracing::error!(%error, "a question was lost"),
        }
    }

    fn note_losses(&mut self) {
        let lost = self.hands.lost();
        self.node.count_losses(&lost, now(), &mut self.actions);
        self.node.count_uncounted(self.hands.uncounted(), &mut self.actions);
        self.carry_out();
    }

    fn tick(&mut self) {
        // Some records wake nobody.
        self.take_records();
        self.note_losses();
        status::count_redactions(&self.node, &self.setup.metrics);
        let gatherer = &mut self.hands.gatherer;
        self.node.tick(boot_offset_ns(), gatherer, now(), &mut self.actions);
        self.carry_out();
        if self.node.wants_inventory(now()) {
            self.find_what_was_missed();
        }
        status::count_lives(&self.node, &self.setup.metrics);
        status::report_missed(&self.node, &self.setup.health, now());
        let recorder = self.setup.settings.recorder.to_string();
        status::report_state(recorder, &self.setup.health, &self.hands);
        status::report_kernel_side(&self.setup.metrics, &mut self.rings, &self.hands.programs);
    }

    fn look(&mut self) {
        let roots = self.setup.roots();
        if let Err(error) = self.watch_roots(&roots, now()) {
            tracing::error!(%error, "a folder of pods cannot be watched");
        }
        self.hands.asker.ask_runtime(self.setup.health.clone());
    }

    fn reload(&mut self) {
        match self.select_anew() {
            Ok(()) => tracing::info!("selection reloaded"),
            Err(error) => {
                tracing::error!(error = format!("{error:#}"), "the selection stays as it was")
            }
        }
    }

    fn select_anew(&mut self) -> anyhow::Result<()> {
        let selections = self.setup.options.reload_selection()?;
        let (roots, now) = (self.setup.roots(), now());
        self.node.select(selections, &mut self.actions);
        self.carry_out();
        self.node.reject_none();
        Ok(self.find_what_runs(&roots, now)?)
    }
}

/// Waits for ever where no API is asked.
async fn next_change(pods: &mut Option<PodStream>) -> Change {
    match pods {
        Some(pods) => pods.next().await,
        None => std::future::pending().await,
    }
}

/// Waits until a time; for ever without one.
async fn reach(time_ns: Option<BootNs>) {
    match time_ns {
        Some(time_ns) => {
            let left = time_ns.saturating_sub(now());
            tokio::time::sleep(Duration::from_nanos(left)).await;
        }
        None => std::future::pending().await,
    }
}

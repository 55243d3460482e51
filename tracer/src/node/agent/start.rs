//! The agent's start: what it is made of, and the order in which that comes to be, so that no moment is missed between an
//! earlier agent and this one.

use std::{collections::HashSet, path::PathBuf, time::Duration};

use anyhow::Context as _;
use tokio::{
    signal::unix::{SignalKind, signal},
    time::{Interval, MissedTickBehavior, interval},
};

use super::{
    asker::Asker,
    clock::{boot_id, now},
    hands::Hands,
    inventory,
    lives::{Arming, Node, Parts},
    older::Older,
    records::Records,
    reporter::Reporter,
    running::{Agent, Clocks, Signals},
    setup::Setup,
    status,
    stdout::Stdout,
};
use crate::{
    capture::{
        decode::Arch,
        kernel::{self, Programs, Rings},
    },
    diagnose::facts::{Gatherer, boot_offset_ns},
    node::{
        kubernetes::{self, events::Events, owner::Owner, pods::Stream as PodStream},
        live::Bus,
        redact::Redactor,
        store::Life,
    },
};

/// How often roots are looked for and the runtime is asked whether it is there.
const LOOK: Duration = Duration::from_secs(5);
const TICK: Duration = Duration::from_secs(1);

/// What an earlier agent left.
struct Left {
    /// Lives that it saw begin and not end.
    living: Vec<Life>,
    /// Pins of agents of other builds or settings.
    pins: Vec<PathBuf>,
}

impl Agent {
    /// Watches from here on.
    ///
    /// # Errors
    /// Something that is needed is missing; the error says what.
    pub async fn start(setup: Setup) -> anyhow::Result<Self> {
        tracing::info!(version = env!("CARGO_PKG_VERSION"), "starting");
        let signals = Signals::listen()?;
        let bus = Bus::new(setup.metrics.clone());
        let store = setup.open_store()?;
        let kubernetes = kubernetes::client(&setup.settings.kubernetes).await?;
        let owner = kubernetes.clone().filter(|_| setup.pins.is_some()).and_then(Owner::start);
        let events = kubernetes.clone().map(|client| {
            Events::start(client, setup.settings.annotate_pods, setup.metrics.clone())
        });
        let servers = setup.serve(&bus).await?;
        let asker = Asker::new(setup.attributor()?);

        let log_level = tracing::enabled!(tracing::Level::DEBUG).then_some(tracing::Level::DEBUG);
        let (mut programs, taken_over) =
            Programs::attach_for_agent(&setup.layout, log_level, setup.pins.as_ref())?;
        let rings = Rings::take(&mut programs)?;
        status::report_hooks(&setup.metrics, &setup.health);
        let stdout = Stdout::start().context("cannot start a thread for stdout")?;
        let reporter = Reporter::new(setup.settings.stdout, stdout, bus, store, events);
        let node = node(&setup, kubernetes.is_some())?;
        let pods = kubernetes.map(|client| PodStream::new(client, &setup.settings.node_name));
        let records = Records::new(arch()?);
        let metrics = setup.metrics.clone();
        let mut agent = Self {
            node,
            hands: Hands { programs, reporter, gatherer: Gatherer::new(), asker, metrics },
            actions: Vec::new(),
            rings,
            has_unread: false,
            records,
            roots: HashSet::new(),
            pods,
            clocks: Clocks { tick: every(TICK), look: every(LOOK) },
            signals,
            servers,
            owner,
            setup,
        };
        agent.take_over(taken_over)?;
        if agent.pods.is_none() {
            tracing::info!("the Kubernetes API is not asked: restart policies are assumed");
        }
        tracing::info!("watching");
        Ok(agent)
    }

    /// Goes on with what an earlier agent left, and watches all that is there.
    fn take_over(&mut self, taken_over: bool) -> anyhow::Result<()> {
        let pins = self.setup.older_pins();
        let is_resumed = taken_over || !pins.is_empty();
        let living = if is_resumed { self.setup.living() } else { Vec::new() };
        if is_resumed {
            tracing::info!("taking over what was recorded since an earlier agent ended");
            for life in &living {
                self.node.resume(life, now(), &mut self.actions);
                self.carry_out();
            }
            // What began meanwhile is young, once it is known.
            self.hold_recorder();
        }
        self.watch_roots(&self.setup.roots(), now())?;
        // From here on the new programs see everything.
        self.drain(&Left { living, pins });
        self.take_records();
        if is_resumed {
            let roots = self.setup.roots();
            let below = roots.iter().flat_map(inventory::below).map(|cgroup| cgroup.id);
            let there: HashSet<u64> = below.collect();
            let exists = |id| there.contains(&id);
            self.node.give_up_the_vanished(exists, now(), &mut self.actions);
            self.carry_out();
        }
        Ok(())
    }

    /// What older agents left is taken too, until now, from when on this agent sees all; then it goes.
    fn drain(&mut self, left: &Left) {
        let (until, metrics) = (now(), &self.setup.metrics);
        for set in &left.pins {
            tracing::info!(set = %set.display(), "taking what an older agent left, and removing it");
            let mut older = Older::new(kernel::pins::abi(set), self.records.arch());
            if let Err(error) = kernel::pins::drain(set, |record| older.push(record, metrics)) {
                tracing::warn!(%error, "what an older agent left cannot be read: it is lost");
            }
            older.report_gap(&left.living, metrics);
            self.records.append(older.until(until));
            if let Err(error) = kernel::pins::remove(set) {
                tracing::warn!(%error, "what an older agent left cannot be removed");
            }
        }
    }
}

impl Signals {
    fn listen() -> anyhow::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }
}

fn node(setup: &Setup, asks_cluster: bool) -> anyhow::Result<Node> {
    let settings = &setup.settings;
    let parts = Parts {
        boot_id: boot_id(),
        selections: settings.select.clone(),
        redactor: Redactor::new(settings.redact, &settings.redact_pattern)?,
        arming: Arming::new(settings.recorder, setup.startup_window_ns()),
        asks_cluster,
        boot_offset_ns: boot_offset_ns(),
    };
    Ok(Node::new(parts, now()))
}

fn arch() -> anyhow::Result<Arch> {
    let machine = rustix::system::uname().machine().to_string_lossy().into_owned();
    Arch::of_machine(&machine).context("unknown machine")
}

fn every(time: Duration) -> Interval {
    let mut interval = interval(time);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}

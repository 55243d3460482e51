//! `tracer run`: watches a node's pods, remembers what happened to them and says why they died. This file wires the parts
//! together; what is done with an event is in `watch`.

mod answers;
mod cluster;
mod explain;
mod inventory;
mod node;
mod older;
mod recorder;
mod records;
mod reporter;
mod servers;
mod state;
mod stdout;
mod watch;

use std::{collections::HashSet, fs, path::PathBuf, sync::Arc, time::Duration};

use anyhow::{Context, ensure};
use rustix::time::{ClockId, clock_gettime};
use tokio::{
    signal::unix::{SignalKind, signal},
    task::JoinSet,
    time::{MissedTickBehavior, interval},
};

use self::{
    cluster::Cluster,
    explain::Explained,
    node::arming::Arming,
    older::Older,
    records::Records,
    reporter::Reporter,
    servers::Servers,
    stdout::Stdout,
    watch::{Parts, Question, Watch},
};
use crate::{
    api::{self, Listener},
    attribute::{
        Answer, Attributor, Patience,
        roots::{self, Root},
    },
    cgroup::Hierarchy,
    config::{Listen, Options, Settings},
    decode::Arch,
    event::BootNs,
    health::Health,
    kernel::{self, Layout, Programs, Rings, pins::Pins},
    kubernetes::{
        self,
        events::Events,
        owner::Owner,
        pods::{Change, Stream as PodStream},
    },
    live::Bus,
    metrics::Metrics,
    redact::Redactor,
    store::{self, Life, Reader, Writer},
};

/// Exit code for a failure of its own.
pub const OWN_FAILURE: u8 = 2;

/// How often roots are looked for and the runtime is asked whether it is there.
const LOOK: Duration = Duration::from_secs(5);
const TICK: Duration = Duration::from_secs(1);

/// Runs until SIGTERM or SIGINT; then tells what is known and ends with 0.
///
/// # Errors
/// It cannot start; the error says what is missing. Once it runs, what fails is told and goes on.
pub fn run(options: &Options) -> anyhow::Result<u8> {
    let settings = options.load()?;
    if options.print_config {
        print!("{}", settings.to_toml()?);
        return Ok(0);
    }
    crate::log::start(&settings.log);
    ensure!(
        rustix::process::geteuid().is_root(),
        "tracer run needs root, to load eBPF programs: run it as root, or as a DaemonSet (docs/operations.md)"
    );
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(Agent::start(options, settings)?.run())?;
    Ok(0)
}

/// Removes whatever an agent left in the kernel.
///
/// # Errors
/// A pin cannot be removed.
pub fn unload(options: &Options) -> anyhow::Result<u8> {
    let settings = options.load()?;
    let sets = kernel::pins::unload(&settings.pin_dir)?;
    let folder = settings.pin_dir.display();
    match sets {
        0 => eprintln!("tracer: nothing of an agent is in {folder}"),
        _ => eprintln!("tracer: programs and maps pinned in {folder} are unloaded"),
    }
    Ok(0)
}

/// Now, CLOCK_BOOTTIME.
fn now() -> BootNs {
    let time = clock_gettime(ClockId::Boottime);
    let ns = |part: i64| u64::try_from(part).unwrap_or(0);
    ns(time.tv_sec).saturating_mul(1_000_000_000).saturating_add(ns(time.tv_nsec))
}

/// What an outside answered.
enum Reply {
    Who(u64, Box<Answer>),
    End(u64, Explained),
    /// The health knows it already.
    Runtime,
}

struct Agent {
    options: Options,
    settings: Settings,
    hierarchy: Hierarchy,
    layout: Layout,
    pins: Option<Pins>,
    metrics: Arc<Metrics>,
    health: Arc<Health>,
}

impl Agent {
    fn start(options: &Options, settings: Settings) -> anyhow::Result<Self> {
        let hierarchy = Hierarchy::find()?;
        let kernel_options = kernel::Options {
            capture_output: settings.capture_output,
            ..kernel::Options::default()
        };
        let layout = Layout::of_running_kernel(&hierarchy, kernel_options)?;
        let health = Arc::new(Health::default());
        let pins = settings.keep_when_stopped.then(|| Pins::at(&settings.pin_dir, &layout));
        Ok(Self {
            pins: pins.and_then(|pins| state::pins(pins, &health)),
            options: options.clone(),
            settings,
            hierarchy,
            layout,
            metrics: Arc::new(Metrics::new()),
            health,
        })
    }

    async fn run(self) -> anyhow::Result<()> {
        tracing::info!(version = env!("CARGO_PKG_VERSION"), "starting");
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut hang_up = signal(SignalKind::hangup())?;

        let bus = Bus::new(self.metrics.clone());
        let store = self.open_store()?;
        let kubernetes = kubernetes::client(&self.settings.kubernetes).await?;
        let owner = kubernetes.clone().filter(|_| self.pins.is_some()).and_then(Owner::start);
        let events = kubernetes
            .clone()
            .map(|client| Events::start(client, self.settings.annotate_pods, self.metrics.clone()));
        let servers = self.serve(&bus).await?;
        let attributor = Arc::new(
            Attributor::new(
                &self.settings.cri_socket,
                Some(self.settings.node_name.clone()),
                Patience::prompt(),
            )?
            .counting(self.metrics.attribution.clone()),
        );

        let log_level = tracing::enabled!(tracing::Level::DEBUG).then_some(tracing::Level::DEBUG);
        let (mut programs, taken_over) =
            Programs::attach_for_agent(&self.layout, log_level, self.pins.as_ref())?;
        let mut rings = Rings::take(&mut programs)?;
        self.report_hooks();
        let reporter = Reporter::new(
            self.settings.stdout,
            Stdout::start().context("cannot start a thread for stdout")?,
            bus.clone(),
            store,
            events,
        );
        let mut watch = Watch::new(Parts {
            programs,
            reporter,
            arming: Arming::new(self.settings.recorder, nanoseconds(&self.settings)),
            boot_id: boot_id(),
            selections: self.settings.select.clone(),
            redactor: Redactor::new(self.settings.redact, &self.settings.redact_pattern)?,
            metrics: self.metrics.clone(),
            cluster: Cluster::new(kubernetes.is_some()),
        });
        let mut pods = kubernetes.map(|client| PodStream::new(client, &self.settings.node_name));
        let mut records = self.records()?;
        let older = self.older_pins();
        let is_resumed = taken_over || !older.is_empty();
        let living = if is_resumed { self.living() } else { Vec::new() };
        if is_resumed {
            tracing::info!("taking over what was recorded since an earlier agent ended");
            living.iter().for_each(|life| watch.resume(life, now()));
            // What began meanwhile is young, once it is known.
            watch.hold_recorder();
        }
        watch.watch_roots(&self.roots(), now())?;
        // From here on the new programs see everything.
        self.drain(&older, &mut records, &living);
        take(&mut rings, &mut records, &mut watch, &self.metrics);
        if is_resumed {
            let roots = self.roots();
            let below = roots.iter().flat_map(inventory::below).map(|cgroup| cgroup.id);
            let there: HashSet<u64> = below.collect();
            watch.give_up_the_vanished(|id| there.contains(&id));
        }

        let mut replies = JoinSet::new();
        let mut tick = interval(TICK);
        let mut look = interval(LOOK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        if pods.is_none() {
            tracing::info!("the Kubernetes API is not asked: restart policies are assumed");
        }
        tracing::info!("watching");
        loop {
            self.ask(&mut watch, &attributor, &mut replies);
            watch.switch_recorder(now());
            let more = records.has_more() || watch.has_strays();
            tokio::select! {
                // Records first: what they tell is what the others wait for.
                biased;
                ready = rings.ready(), if !more => {
                    ready.context("cannot read the ring buffers")?;
                    take(&mut rings, &mut records, &mut watch, &self.metrics);
                }
                () = std::future::ready(()), if more => {
                    tokio::task::yield_now().await;
                    take(&mut rings, &mut records, &mut watch, &self.metrics);
                }
                Some(reply) = replies.join_next(), if !replies.is_empty() => match reply {
                    Ok(Reply::Who(cgroup, answer)) => watch.answered(cgroup, *answer),
                    Ok(Reply::End(cgroup, explained)) => watch.end_explained(cgroup, explained),
                    Ok(Reply::Runtime) => {}
                    Err(error) => tracing::error!(%error, "a question was lost"),
                },
                () = watch.reporter.next_committed() => {}
                change = next_change(&mut pods) => watch.pods_changed(change, now()),
                () = watch.cluster.patience() => watch.patience_is_over(),
                _ = tick.tick() => {
                    // Some records wake nobody.
                    take(&mut rings, &mut records, &mut watch, &self.metrics);
                    watch.tick(now());
                    self.report_state(&watch);
                    self.report_kernel_side(&mut rings, &watch.programs);
                }
                _ = look.tick() => {
                    if let Err(error) = watch.watch_roots(&self.roots(), now()) {
                        tracing::error!(%error, "a folder of pods cannot be watched");
                    }
                    replies.spawn(state::ask_runtime(attributor.clone(), self.health.clone()));
                }
                _ = hang_up.recv() => self.reload(&mut watch),
                _ = terminate.recv() => break,
                _ = interrupt.recv() => break,
            }
            watch.report_ended_lives();
        }

        tracing::info!("stopping");
        watch.leave_recorder(self.pins.as_ref());
        take(&mut rings, &mut records, &mut watch, &self.metrics);
        watch.stop_waiting();
        watch.report_ended_lives();
        let Watch { reporter, programs, .. } = watch;
        reporter.finish().await;
        drop(programs);
        servers.end().await;
        self.leave(owner).await?;
        tracing::info!("stopped");
        Ok(())
    }

    /// Where no other agent will come, nothing stays but the store.
    async fn leave(&self, owner: Option<Owner>) -> anyhow::Result<()> {
        let Some(owner) = owner else { return Ok(()) };
        let Some(why) = owner.is_gone().await else { return Ok(()) };
        tracing::info!(why, "no other agent will come: what is in the kernel is removed");
        if let Some(folder) = self.settings.socket.parent() {
            // Another may use it.
            let _ = fs::remove_dir(folder);
        }
        kernel::pins::unload(&self.settings.pin_dir)?;
        Ok(())
    }

    fn open_store(&self) -> anyhow::Result<Writer> {
        let options = store::Options {
            max_bytes: self.settings.store_max_size.0,
            max_age: self.settings.store_max_age.0,
            boot_id: boot_id(),
        };
        Ok(Writer::open(&self.settings.store, options)?)
    }

    fn records(&self) -> anyhow::Result<Records> {
        let machine = rustix::system::uname().machine().to_string_lossy().into_owned();
        Ok(Records::new(Arch::of_machine(&machine).context("unknown machine")?))
    }

    /// The folders of pods that are there now; with names that are not there yet it is tried again.
    fn roots(&self) -> Vec<Root> {
        if self.settings.cgroup_root.is_empty() {
            return roots::find(&self.hierarchy);
        }
        let named = self.settings.cgroup_root.iter();
        named
            .filter_map(|name| roots::named(&self.hierarchy, std::slice::from_ref(name)).ok())
            .flatten()
            .collect()
    }

    /// Lives that an earlier agent of this boot saw begin and not end.
    fn living(&self) -> Vec<Life> {
        let living = Reader::open(&self.settings.store).and_then(|store| store.living(&boot_id()));
        living.unwrap_or_else(|error| {
            tracing::warn!(%error, "what an earlier agent watched is not known");
            Vec::new()
        })
    }

    /// What agents of other builds or settings left.
    fn older_pins(&self) -> Vec<PathBuf> {
        let own = self.pins.as_ref().map(Pins::maps);
        let sets = kernel::pins::sets(&self.settings.pin_dir).into_iter();
        sets.filter(|set| Some(set.as_path()) != own).collect()
    }

    /// It is told too, until now, from when on this agent sees all; then it goes.
    fn drain(&self, older: &[PathBuf], records: &mut Records, living: &[Life]) {
        let until = now();
        for set in older {
            tracing::info!(set = %set.display(), "taking what an older agent left, and removing it");
            let mut left = Older::new(kernel::pins::abi(set), records.arch());
            if let Err(error) = kernel::pins::drain(set, |record| left.push(record, &self.metrics))
            {
                tracing::warn!(%error, "what an older agent left cannot be read: it is lost");
            }
            left.report_gap(living, &self.metrics);
            records.append(left.until(until));
            if let Err(error) = kernel::pins::remove(set) {
                tracing::warn!(%error, "what an older agent left cannot be removed");
            }
        }
    }

    async fn serve(&self, bus: &Bus) -> anyhow::Result<Servers> {
        let about = api::Agent { metrics: self.metrics.clone(), health: self.health.clone() };
        let data = api::data_router(&self.settings.store, bus.clone(), about.clone());
        let mut servers = Servers::new();
        servers.add(Listener::unix(&self.settings.socket)?, data.clone());
        if let Listen::At(address) = self.settings.api_listen {
            servers.add(Listener::loopback(address).await?, api::on_loopback(data));
        }
        if let Listen::At(address) = self.settings.metrics_listen {
            servers.add(Listener::tcp(address).await?, api::health_router(about.clone()));
        }
        Ok(servers)
    }

    fn ask(&self, watch: &mut Watch, attributor: &Arc<Attributor>, replies: &mut JoinSet<Reply>) {
        for question in watch.take_questions() {
            let attributor = attributor.clone();
            match question {
                Question::Who { cgroup, container_id, pod_uid } => replies.spawn(async move {
                    let answer = attributor.identify(&container_id, pod_uid.as_deref()).await;
                    Reply::Who(cgroup, Box::new(answer))
                }),
                Question::WhoLate { cgroup, container_id, pod_uid } => replies.spawn(async move {
                    let answer = attributor.identify_late(&container_id, pod_uid.as_deref()).await;
                    Reply::Who(cgroup, Box::new(answer))
                }),
                Question::End { cgroup, container_id, patience } => replies.spawn(async move {
                    let explained = explain::explain(&attributor, &container_id, patience).await;
                    Reply::End(cgroup, explained)
                }),
            };
        }
    }

    fn reload(&self, watch: &mut Watch) {
        let selected = self.options.reload_selection().map_err(anyhow::Error::from);
        let done = selected.and_then(|select| Ok(watch.select(select, &self.roots(), now())?));
        match done {
            Ok(()) => tracing::info!("selection reloaded"),
            Err(error) => {
                tracing::error!(error = format!("{error:#}"), "the selection stays as it was")
            }
        }
    }
}

/// Reads both rings and lets the watch take what was written before.
fn take(rings: &mut Rings, records: &mut Records, watch: &mut Watch, metrics: &Metrics) {
    let until = now();
    rings.drain(|record| records.push(record, metrics));
    watch.take(records.until(until));
}

/// Waits for ever where no API is asked.
async fn next_change(pods: &mut Option<PodStream>) -> Change {
    match pods {
        Some(pods) => pods.next().await,
        None => std::future::pending().await,
    }
}

fn nanoseconds(settings: &Settings) -> u64 {
    u64::try_from(settings.startup_window.0.as_nanos()).unwrap_or(u64::MAX)
}

/// Empty where /proc does not tell: then only container ids tell lives apart, and those are random.
fn boot_id() -> String {
    let text = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    text.trim().to_owned()
}

//! Settings, and what they name on this machine: folders of pods, the store, pins, addresses. It must not know events.

use std::{path::PathBuf, sync::Arc};

use super::{clock::boot_id, servers::Servers, status};
use crate::{
    capture::kernel::{self, Layout, pins::Pins},
    config::{Listen, Options, Settings},
    linux::cgroup::Hierarchy,
    node::{
        api::{self, Listener},
        attribute::{
            Attributor, Patience,
            roots::{self, Root},
        },
        health::Health,
        live::Bus,
        metrics::Metrics,
        store::{self, Life, Reader, Writer},
    },
};

/// What stays the same while the agent runs.
pub struct Setup {
    pub options: Options,
    pub settings: Settings,
    hierarchy: Hierarchy,
    pub layout: Layout,
    pub pins: Option<Pins>,
    pub metrics: Arc<Metrics>,
    pub health: Arc<Health>,
}

impl Setup {
    /// # Errors
    /// There are no cgroups, or this kernel lacks what the programs read.
    pub fn new(options: &Options, settings: Settings) -> anyhow::Result<Self> {
        let hierarchy = Hierarchy::find()?;
        let kernel_options = kernel::Options {
            capture_output: settings.capture_output,
            shares_mounts: false,
            ..kernel::Options::default()
        };
        let layout = Layout::of_running_kernel(&hierarchy, kernel_options)?;
        let health = Arc::new(Health::default());
        let pins = settings.keep_when_stopped.then(|| Pins::at(&settings.pin_dir, &layout));
        Ok(Self {
            pins: pins.and_then(|pins| status::pins(pins, &health)),
            options: options.clone(),
            settings,
            hierarchy,
            layout,
            metrics: Arc::new(Metrics::new()),
            health,
        })
    }

    /// The folders of pods that are there now; with names that are not there yet it is tried again.
    pub fn roots(&self) -> Vec<Root> {
        if self.settings.cgroup_root.is_empty() {
            return roots::find(&self.hierarchy);
        }
        let named = self.settings.cgroup_root.iter();
        named
            .filter_map(|name| roots::named(&self.hierarchy, std::slice::from_ref(name)).ok())
            .flatten()
            .collect()
    }

    /// How long a container counts as young.
    pub fn startup_window_ns(&self) -> u64 {
        u64::try_from(self.settings.startup_window.0.as_nanos()).unwrap_or(u64::MAX)
    }

    pub fn attributor(&self) -> anyhow::Result<Arc<Attributor>> {
        let node = Some(self.settings.node_name.clone());
        let attributor = Attributor::new(&self.settings.cri_socket, node, Patience::prompt())?;
        Ok(Arc::new(attributor.counting(self.metrics.attribution.clone())))
    }

    pub fn open_store(&self) -> anyhow::Result<Writer> {
        let options = store::Options {
            max_bytes: self.settings.store_max_size.0,
            max_age: self.settings.store_max_age.0,
            boot_id: boot_id(),
        };
        Ok(Writer::open(&self.settings.store, options)?)
    }

    /// Lives that an earlier agent of this boot saw begin and not end.
    pub fn living(&self) -> Vec<Life> {
        let living = Reader::open(&self.settings.store).and_then(|store| store.living(&boot_id()));
        living.unwrap_or_else(|error| {
            tracing::warn!(%error, "what an earlier agent watched is not known");
            Vec::new()
        })
    }

    /// What agents of other builds or settings left.
    pub fn older_pins(&self) -> Vec<PathBuf> {
        let own = self.pins.as_ref().map(Pins::maps);
        let sets = kernel::pins::sets(&self.settings.pin_dir).into_iter();
        sets.filter(|set| Some(set.as_path()) != own).collect()
    }

    pub async fn serve(&self, bus: &Bus) -> anyhow::Result<Servers> {
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
}

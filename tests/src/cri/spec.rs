//! What a pod and its containers are to be, spelled as the kubelet spells it for the runtime. Runs nothing.

use std::collections::BTreeMap;

use super::image::VICTIMS;
use super::messages::{
    Capability, ContainerConfig, ContainerMetadata, ContainerSecurityContext, DnsConfig, ImageSpec,
    Int64Value, KeyValue, LinuxContainerConfig, LinuxContainerResources, LinuxPodSandboxConfig,
    Mount, MountPropagation, NamespaceMode, NamespaceOption, PodSandboxConfig, PodSandboxMetadata,
    ProfileType, SandboxSecurityContext, SecurityProfile,
};

/// A pod, as its manifest would have it.
#[derive(Debug, Clone)]
pub struct PodSpec {
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) uid: String,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) handler: String,
    pub(crate) memory_bytes: Option<u64>,
    pub(crate) pids: Option<u32>,
    pub(crate) pid_namespace: NamespaceMode,
    privileged: bool,
}

/// One container of a pod.
#[derive(Debug, Clone)]
pub struct ContainerSpec {
    pub(crate) name: String,
    image: String,
    command: Vec<String>,
    args: Vec<String>,
    env: Vec<(String, String)>,
    memory_bytes: Option<u64>,
    security: ContainerSecurityContext,
    mounts: Vec<Mount>,
}

/// What a container may.
#[derive(Debug, Clone, Default)]
pub struct Security {
    pub privileged: bool,
    pub user: Option<u32>,
    pub group: Option<u32>,
    pub read_only_root: bool,
    pub no_new_privileges: bool,
    /// Capabilities, without `CAP_`.
    pub added: Vec<String>,
    pub dropped: Vec<String>,
    /// The runtime's own seccomp profile, instead of none.
    pub default_seccomp: bool,
}

impl PodSpec {
    /// A pod without labels, under runc, with a uid that is made of its names: a test that needs two pods of one name
    /// names their uids itself.
    pub fn new(namespace: &str, name: &str) -> Self {
        Self {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            uid: uid_of(namespace, name),
            labels: BTreeMap::new(),
            handler: "runc".to_owned(),
            memory_bytes: None,
            pids: None,
            pid_namespace: NamespaceMode::Container,
            privileged: false,
        }
    }

    /// Another uid, in the form of RFC 4122.
    pub fn uid(mut self, uid: &str) -> Self {
        uid.clone_into(&mut self.uid);
        self
    }

    /// Adds a label.
    pub fn label(mut self, key: &str, value: &str) -> Self {
        self.labels.insert(key.to_owned(), value.to_owned());
        self
    }

    /// Runs it under `runc` or `crun`.
    pub fn under(mut self, runtime: &str) -> Self {
        runtime.clone_into(&mut self.handler);
        self
    }

    /// Limits the memory of all its containers together.
    pub fn memory_bytes(mut self, bytes: u64) -> Self {
        self.memory_bytes = Some(bytes);
        self
    }

    /// Limits the number of its tasks, as a kubelet's `podPidsLimit` does.
    pub fn pids(mut self, count: u32) -> Self {
        self.pids = Some(count);
        self
    }

    /// `shareProcessNamespace`: pause is PID 1 of all.
    pub fn sharing_pids(mut self) -> Self {
        self.pid_namespace = NamespaceMode::Pod;
        self
    }

    /// `hostPID`: its processes are in the runtime's own PID namespace.
    pub fn on_host_pids(mut self) -> Self {
        self.pid_namespace = NamespaceMode::Node;
        self
    }

    /// Allows privileged containers in it.
    pub fn privileged(mut self) -> Self {
        self.privileged = true;
        self
    }

    pub(crate) fn config(&self, cgroup: &str, logs: &str) -> PodSandboxConfig {
        let mut labels = self.labels.clone();
        labels.extend(self.names());
        let annotations = [
            ("kubernetes.io/config.seen", "2026-01-01T00:00:00.000000000Z"),
            ("kubernetes.io/config.source", "api"),
        ];
        PodSandboxConfig {
            metadata: Some(PodSandboxMetadata {
                name: self.name.clone(),
                uid: self.uid.clone(),
                namespace: self.namespace.clone(),
                attempt: 0,
            }),
            hostname: String::new(),
            log_directory: logs.to_owned(),
            // Nobody answers there; without one the file of the machine would be wanted, which may lie where a node has none.
            dns_config: Some(DnsConfig { servers: vec!["127.0.0.1".to_owned()] }),
            labels,
            annotations: owned(&annotations),
            linux: Some(LinuxPodSandboxConfig {
                cgroup_parent: cgroup.to_owned(),
                security_context: Some(SandboxSecurityContext {
                    namespace_options: Some(self.namespaces()),
                    privileged: self.privileged,
                }),
            }),
        }
    }

    fn names(&self) -> BTreeMap<String, String> {
        owned(&[
            ("io.kubernetes.pod.name", &self.name),
            ("io.kubernetes.pod.namespace", &self.namespace),
            ("io.kubernetes.pod.uid", &self.uid),
        ])
    }

    /// The network is that of the runtime, which has one of its own.
    fn namespaces(&self) -> NamespaceOption {
        NamespaceOption {
            network: NamespaceMode::Node.into(),
            pid: self.pid_namespace.into(),
            ipc: NamespaceMode::Pod.into(),
        }
    }
}

impl ContainerSpec {
    /// A container of the victims' image that runs this command.
    pub fn new(name: &str, command: &[&str]) -> Self {
        Self {
            name: name.to_owned(),
            image: VICTIMS.to_owned(),
            command: command.iter().map(|word| (*word).to_owned()).collect(),
            args: Vec::new(),
            env: Vec::new(),
            memory_bytes: None,
            security: ContainerSecurityContext::default(),
            mounts: Vec::new(),
        }
    }

    /// Of another image.
    pub fn image(mut self, reference: &str) -> Self {
        reference.clone_into(&mut self.image);
        self
    }

    /// Arguments of the command, or of the image's entrypoint where there is no command.
    pub fn args(mut self, words: &[&str]) -> Self {
        self.args = words.iter().map(|word| (*word).to_owned()).collect();
        self
    }

    /// Adds to the environment.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Limits its memory.
    pub fn memory_bytes(mut self, bytes: u64) -> Self {
        self.memory_bytes = Some(bytes);
        self
    }

    /// Runs it as this user.
    pub fn user(mut self, uid: u32) -> Self {
        self.security.run_as_user = Some(Int64Value { value: uid.into() });
        self
    }

    /// Mounts a file or folder of the host.
    pub fn mount(self, host: &str, container: &str) -> Self {
        self.volume(host, container, false, false)
    }

    /// The same, as a kubelet mounts a volume; `propagated`: with what is mounted below it later on the host.
    pub fn volume(mut self, host: &str, container: &str, readonly: bool, propagated: bool) -> Self {
        let propagation =
            if propagated { MountPropagation::HostToContainer } else { MountPropagation::Private };
        self.mounts.push(Mount {
            container_path: container.to_owned(),
            host_path: host.to_owned(),
            readonly,
            propagation: propagation.into(),
        });
        self
    }

    /// Runs it with these permissions.
    pub fn security(mut self, security: &Security) -> Self {
        let id = |id: u32| Int64Value { value: id.into() };
        let default = ProfileType::RuntimeDefault;
        self.security = ContainerSecurityContext {
            capabilities: Some(Capability {
                add_capabilities: security.added.clone(),
                drop_capabilities: security.dropped.clone(),
            }),
            privileged: security.privileged,
            namespace_options: None,
            run_as_user: security.user.map(id),
            readonly_rootfs: security.read_only_root,
            no_new_privs: security.no_new_privileges,
            run_as_group: security.group.map(id),
            seccomp: security
                .default_seccomp
                .then(|| SecurityProfile { profile_type: default.into() }),
        };
        self
    }

    pub(crate) fn config(&self, pod: &PodSpec, attempt: u32) -> ContainerConfig {
        let mut labels = pod.names();
        labels.insert("io.kubernetes.container.name".to_owned(), self.name.clone());
        let annotations = [
            ("io.kubernetes.container.hash", "5e3f1a2b"),
            ("io.kubernetes.container.restartCount", &attempt.to_string()),
            ("io.kubernetes.container.terminationMessagePath", "/dev/termination-log"),
            ("io.kubernetes.container.terminationMessagePolicy", "File"),
            ("io.kubernetes.pod.terminationGracePeriod", "30"),
        ];
        let envs = self.env.iter();
        ContainerConfig {
            metadata: Some(ContainerMetadata { name: self.name.clone(), attempt }),
            image: Some(ImageSpec { image: self.image.clone(), ..ImageSpec::default() }),
            command: self.command.clone(),
            args: self.args.clone(),
            envs: envs
                .map(|(key, value)| KeyValue {
                    key: key.clone(),
                    value: value.clone().into_bytes(),
                })
                .collect(),
            mounts: self.mounts.clone(),
            labels,
            annotations: owned(&annotations),
            log_path: log_path(&self.name, attempt),
            linux: Some(LinuxContainerConfig {
                resources: self.memory_bytes.map(|bytes| LinuxContainerResources {
                    memory_limit_in_bytes: bytes.try_into().unwrap_or(i64::MAX),
                }),
                security_context: Some(ContainerSecurityContext {
                    namespace_options: Some(pod.namespaces()),
                    ..self.security.clone()
                }),
            }),
        }
    }
}

/// Where a container's output goes, below its pod's folder of logs.
pub(crate) fn log_path(container: &str, attempt: u32) -> String {
    format!("{container}/{attempt}.log")
}

fn owned(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn uid_of(namespace: &str, name: &str) -> String {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    (namespace, name).hash(&mut hasher);
    let half = hasher.finish();
    format!("{:08x}-{:04x}-4000-8000-{:012x}", half >> 32, half >> 16 & 0xffff, half & 0xffff)
}

//! What a cgroup's path says: which container of which pod. It must not do I/O, or know what the runtime says.

/// What lives in a cgroup, as far as its path tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CgroupPath {
    /// A container's, or one nested inside of it.
    Container(ContainerCgroup),
    /// A pod's own: its containers are below.
    Pod { uid: String, qos: Qos },
    /// A kubepods folder, or one of a quality-of-service class below it: pods are below.
    Pods,
    /// A process that looks after a container and is not part of it: conmon, a virtual machine's monitor.
    Monitor { container_id: String },
    /// Nothing that a path tells.
    Other,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContainerCgroup {
    pub container_id: String,
    /// With dashes, as Kubernetes writes it.
    pub pod_uid: Option<String>,
    pub qos: Option<Qos>,
    pub runtime: Option<Runtime>,
    /// The path is that of a cgroup inside of the container's.
    pub nested: bool,
}

/// Quality-of-service class of a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Qos {
    Guaranteed,
    Burstable,
    BestEffort,
}

/// Who made a cgroup, where its name says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Runtime {
    Containerd,
    CriO,
    Docker,
    Podman,
    /// A virtual machine around the whole pod: the id is the sandbox's.
    Kata,
}

impl Runtime {
    pub fn name(self) -> &'static str {
        match self {
            Self::Containerd => "containerd",
            Self::CriO => "cri-o",
            Self::Docker => "docker",
            Self::Podman => "podman",
            Self::Kata => "kata",
        }
    }
}

/// Names that runtimes put before the id, in the order in which they must be tried.
const PREFIXES: [(&str, Option<Runtime>); 9] = [
    ("cri-containerd-", Some(Runtime::Containerd)),
    ("containerd-", Some(Runtime::Containerd)),
    ("crio-conmon-", None),
    ("crio-", Some(Runtime::CriO)),
    ("docker-", Some(Runtime::Docker)),
    ("libpod-conmon-", None),
    ("libpod-payload-", Some(Runtime::Podman)),
    ("libpod-", Some(Runtime::Podman)),
    ("kata_", Some(Runtime::Kata)),
];

/// Where Kata keeps the threads of a virtual machine that run outside of the pod's limits.
const KATA_OVERHEAD: &str = "kata_overhead";

/// Takes a path apart, from the root of its hierarchy or from anywhere above the pod. Where pods run within a
/// pod (a node that is itself a container), the innermost is meant.
pub fn parse(path: &str) -> CgroupPath {
    let names: Vec<&str> = path.split('/').filter(|name| !name.is_empty()).collect();
    if names.first() == Some(&KATA_OVERHEAD) {
        return names
            .iter()
            .rev()
            .find_map(|name| container(name))
            .map_or(CgroupPath::Other, |(container_id, _)| CgroupPath::Monitor { container_id });
    }
    if let Some((index, uid)) = names
        .iter()
        .enumerate()
        .rev()
        .find_map(|(index, name)| pod_uid(name, &names[..index]).map(|uid| (index, uid)))
    {
        return in_pod(uid, qos(&names[..=index]), &names[index..]);
    }
    if let Some(index) = names.iter().rposition(|name| is_kubepods(name)) {
        let below = &names[index + 1..];
        let class = |name: &&str| {
            matches!(*name, "besteffort" | "burstable")
                || name.ends_with("-besteffort.slice")
                || name.ends_with("-burstable.slice")
        };
        return if below.iter().all(class) { CgroupPath::Pods } else { CgroupPath::Other };
    }
    outside_of_pods(&names)
}

/// True for the folder below which all pods are: `kubepods`, `kubepods.slice`, `kubelet-kubepods.slice`.
pub fn is_kubepods(name: &str) -> bool {
    let name = name.strip_suffix(".slice").unwrap_or(name);
    name == "kubepods" || name.ends_with("-kubepods")
}

/// `names` begins with the pod's own.
fn in_pod(uid: String, qos: Qos, names: &[&str]) -> CgroupPath {
    // containerd without systemd's driver keeps systemd's spelling as one folder: slice:prefix:id.
    let (name, rest) = match (names[0].contains(':'), names.get(1)) {
        (true, _) => (names[0], &names[1..]),
        (false, Some(name)) => (*name, &names[2..]),
        (false, None) => return CgroupPath::Pod { uid, qos },
    };
    match container(name) {
        Some((container_id, Named::Container(runtime))) => CgroupPath::Container(ContainerCgroup {
            container_id,
            pod_uid: Some(uid),
            qos: Some(qos),
            runtime,
            nested: !rest.is_empty(),
        }),
        Some((container_id, Named::Monitor)) => CgroupPath::Monitor { container_id },
        None => CgroupPath::Other,
    }
}

/// A container of docker, podman or `ctr`: the innermost.
fn outside_of_pods(names: &[&str]) -> CgroupPath {
    let found = names.iter().enumerate().rev().find_map(|(index, name)| {
        let (id, named) = container(name)?;
        Some((index, id, named))
    });
    match found {
        Some((index, container_id, Named::Container(runtime))) => {
            let parent = index.checked_sub(1).map(|index| names[index]);
            let by_parent = (parent == Some("docker")).then_some(Runtime::Docker);
            CgroupPath::Container(ContainerCgroup {
                container_id,
                pod_uid: None,
                qos: None,
                runtime: runtime.or(by_parent),
                nested: index + 1 < names.len(),
            })
        }
        Some((_, container_id, Named::Monitor)) => CgroupPath::Monitor { container_id },
        None => CgroupPath::Other,
    }
}

/// The uid in `pod<UID>` below kubepods, or in `...kubepods...-pod<UID>.slice`, with dashes.
fn pod_uid(name: &str, above: &[&str]) -> Option<String> {
    let slice = name.split(':').next().unwrap_or(name);
    let uid = match slice.strip_suffix(".slice") {
        Some(unit) => {
            let (front, uid) = unit.rsplit_once("-pod")?;
            front.split('-').any(|part| part == "kubepods").then_some(uid)?
        }
        None => {
            let uid = name.strip_prefix("pod")?;
            above.iter().any(|name| is_kubepods(name)).then_some(uid)?
        }
    };
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    // A systemd unit's name cannot hold a dash that is no level, so the kubelet writes `_`.
    (!uid.is_empty() && uid.bytes().all(fits)).then(|| uid.replace('_', "-"))
}

/// `names` ends with the pod's own.
fn qos(names: &[&str]) -> Qos {
    let Some((pod, above)) = names.split_last() else { return Qos::Guaranteed };
    let of = |class: &str| above.last() == Some(&class) || pod.split('-').any(|part| part == class);
    if of("besteffort") {
        Qos::BestEffort
    } else if of("burstable") {
        Qos::Burstable
    } else {
        Qos::Guaranteed
    }
}

enum Named {
    Container(Option<Runtime>),
    Monitor,
}

/// The id in one folder's name, and whose it is.
fn container(name: &str) -> Option<(String, Named)> {
    if let Some((_slice, rest)) = name.split_once(':') {
        let (prefix, id) = rest.rsplit_once(':')?;
        return container(&format!("{prefix}-{id}"));
    }
    let name = name.strip_suffix(".scope").unwrap_or(name);
    for (prefix, runtime) in PREFIXES {
        if let Some(id) = name.strip_prefix(prefix) {
            let named = match runtime {
                Some(_) => Named::Container(runtime),
                None => Named::Monitor,
            };
            return is_id(id).then(|| (id.to_owned(), named));
        }
    }
    is_id(name).then(|| (name.to_owned(), Named::Container(None)))
}

/// 64 hexadecimal digits for all known runtimes; 32 are the least that cannot be taken for a word.
fn is_id(text: &str) -> bool {
    (32..=64).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "34dc0b5e626f2c5c4c5170e34b10e7654ce36f0fcd532739f4445baabea03376";
    const NODE: &str = "9bca8d63d5fa610783847915bcff0ecac1273e5b4bed3f6fa1b07350e0135961";
    const UID: &str = "2c48913c-b29f-11e7-9350-020968147796";
    const UNIT: &str = "2c48913c_b29f_11e7_9350_020968147796";
    const STATIC: &str = "d4dd3b1a2f0e9a7c5b6d8e9f0a1b2c3d";

    fn spelled(pattern: &str) -> String {
        pattern
            .replace("<ID>", ID)
            .replace("<NODE>", NODE)
            .replace("<UID>", UID)
            .replace("<UNIT>", UNIT)
            .replace("<STATIC>", STATIC)
    }

    fn container_of(pattern: &str) -> ContainerCgroup {
        match parse(&spelled(pattern)) {
            CgroupPath::Container(found) => found,
            other => panic!("{pattern}: {other:?}"),
        }
    }

    #[test]
    fn every_spelling_of_a_pods_container_is_known() {
        use {Qos::*, Runtime::*};
        let table: [(&str, &str, Qos, Option<Runtime>); 20] = [
            // cgroupfs driver
            ("/kubepods/besteffort/pod<UID>/<ID>", UID, BestEffort, None),
            ("/kubepods/burstable/pod<UID>/<ID>", UID, Burstable, None),
            ("/kubepods/pod<UID>/<ID>", UID, Guaranteed, None),
            ("/kubepods/burstable/pod<STATIC>/<ID>", STATIC, Burstable, None),
            ("/kubepods/burstable/pod<UID>/crio-<ID>", UID, Burstable, Some(CriO)),
            ("/kubepods/pod<UID>/kata_<ID>", UID, Guaranteed, Some(Kata)),
            // systemd driver
            (
                "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod<UNIT>.slice/cri-containerd-<ID>.scope",
                UID,
                Burstable,
                Some(Containerd),
            ),
            (
                "/kubepods.slice/kubepods-pod<UNIT>.slice/cri-containerd-<ID>.scope",
                UID,
                Guaranteed,
                Some(Containerd),
            ),
            (
                "/kubepods.slice/kubepods-pod<UID>.slice/containerd-<ID>.scope",
                UID,
                Guaranteed,
                Some(Containerd),
            ),
            (
                "/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod<UNIT>.slice/crio-<ID>.scope",
                UID,
                BestEffort,
                Some(CriO),
            ),
            (
                "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod<STATIC>.slice/crio-<ID>.scope",
                STATIC,
                Burstable,
                Some(CriO),
            ),
            (
                "/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod<UNIT>.slice/docker-<ID>.scope",
                UID,
                BestEffort,
                Some(Docker),
            ),
            (
                "/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod<UNIT>.slice/libpod-<ID>.scope",
                UID,
                BestEffort,
                Some(Podman),
            ),
            ("/kubepods.slice/kubepods-pod<UNIT>.slice/<ID>", UID, Guaranteed, None),
            // containerd with cgroupfs under a kubelet with systemd
            (
                "/system.slice/containerd.service/kubepods-besteffort-pod<UNIT>.slice:cri-containerd:<ID>",
                UID,
                BestEffort,
                Some(Containerd),
            ),
            (
                "/kubepods-burstable-pod<UNIT>.slice:cri-containerd:<ID>",
                UID,
                Burstable,
                Some(Containerd),
            ),
            // kind, and k3s in a container
            ("/docker/<NODE>/kubelet/kubepods/besteffort/pod<UID>/<ID>", UID, BestEffort, None),
            ("/docker/<NODE>/kubepods/burstable/pod<UID>/<ID>", UID, Burstable, None),
            (
                "/system.slice/docker-<NODE>.scope/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-besteffort.slice/kubelet-kubepods-besteffort-pod<UNIT>.slice/cri-containerd-<ID>.scope",
                UID,
                BestEffort,
                Some(Containerd),
            ),
            (
                "/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod<UNIT>.slice/cri-containerd-<ID>.scope",
                UID,
                Guaranteed,
                Some(Containerd),
            ),
        ];
        for (pattern, uid, qos, runtime) in table {
            let found = container_of(pattern);
            assert_eq!(found.container_id, ID, "{pattern}");
            assert_eq!(found.pod_uid.as_deref(), Some(uid), "{pattern}");
            assert_eq!((found.qos, found.runtime), (Some(qos), runtime), "{pattern}");
            assert!(!found.nested, "{pattern}");
        }
    }

    #[test]
    fn a_cgroup_inside_a_container_is_the_containers() {
        for inside in ["init.scope", "container", "sub/deeper", "system.slice/docker-<NODE>.scope"]
        {
            for around in [
                "/kubepods/pod<UID>/<ID>",
                "/kubepods.slice/kubepods-pod<UNIT>.slice/crio-<ID>.scope",
                "/x/kubepods-pod<UNIT>.slice:cri-containerd:<ID>",
            ] {
                let found = container_of(&format!("{around}/{inside}"));
                assert_eq!(found.container_id, ID);
                assert_eq!(found.pod_uid.as_deref(), Some(UID));
                assert!(found.nested);
            }
        }
    }

    #[test]
    fn a_node_that_is_a_pod_does_not_hide_its_own_pods() {
        let found = container_of("/kubepods/podouter/<NODE>/kubelet/kubepods/pod<UID>/<ID>");
        assert_eq!((found.container_id.as_str(), found.pod_uid.as_deref()), (ID, Some(UID)));
    }

    #[test]
    fn containers_without_a_pod_are_known() {
        let table = [
            ("/docker/<ID>", Some(Runtime::Docker), false),
            ("/system.slice/docker-<ID>.scope", Some(Runtime::Docker), false),
            ("/system.slice/docker-<ID>.scope/init.scope", Some(Runtime::Docker), true),
            ("/docker/<NODE>/docker/<ID>", Some(Runtime::Docker), false),
            ("/machine.slice/libpod-<ID>.scope/container", Some(Runtime::Podman), true),
            ("/libpod_parent/libpod-<ID>", Some(Runtime::Podman), false),
            ("/user.slice/x.service/libpod-payload-<ID>", Some(Runtime::Podman), false),
            ("/default/<ID>", None, false),
        ];
        for (pattern, runtime, nested) in table {
            let found = container_of(pattern);
            assert_eq!(found.container_id, ID, "{pattern}");
            assert_eq!((found.pod_uid, found.runtime), (None, runtime), "{pattern}");
            assert_eq!(found.nested, nested, "{pattern}");
        }
    }

    #[test]
    fn what_looks_after_a_container_is_not_the_container() {
        for pattern in [
            "/kubepods.slice/kubepods-pod<UNIT>.slice/crio-conmon-<ID>.scope",
            "/kubepods/pod<UID>/crio-conmon-<ID>",
            "/machine.slice/libpod-conmon-<ID>.scope",
            "/kata_overhead/<ID>",
            "/kata_overhead/kubepods/pod<UID>/<ID>",
        ] {
            let expect = CgroupPath::Monitor { container_id: ID.to_owned() };
            assert_eq!(parse(&spelled(pattern)), expect, "{pattern}");
        }
    }

    #[test]
    fn pods_are_told_from_what_is_above_them() {
        let pod = |uid: &str, qos| CgroupPath::Pod { uid: uid.to_owned(), qos };
        let table = [
            ("/kubepods", CgroupPath::Pods),
            ("/kubepods/besteffort", CgroupPath::Pods),
            ("/kubepods.slice", CgroupPath::Pods),
            ("/kubepods.slice/kubepods-burstable.slice", CgroupPath::Pods),
            (
                "/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-burstable.slice",
                CgroupPath::Pods,
            ),
            ("/kubepods/pod<UID>", pod(UID, Qos::Guaranteed)),
            ("/kubepods/besteffort/pod<STATIC>", pod(STATIC, Qos::BestEffort)),
            (
                "/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod<UNIT>.slice",
                pod(UID, Qos::BestEffort),
            ),
        ];
        for (pattern, expect) in table {
            assert_eq!(parse(&spelled(pattern)), expect, "{pattern}");
        }
    }

    #[test]
    fn anything_else_is_other() {
        for path in [
            "",
            "/",
            "/system.slice/sshd.service",
            "/init.scope",
            "/user.slice/user-1000.slice",
            "/kubepods/podcast",
            "/podabc/sub",
            "/x-pod1.slice",
            "/kubepods/somewhere/else",
            "/kubepods/pod/x",
            "/kubepods/pod1/notanid",
            "/crio-beef.scope",
            ":::",
            "/kubepods-pod1.slice:x",
            "/kubepods-pod1.slice:cri-containerd:short",
        ] {
            let found = parse(path);
            let pod = matches!(found, CgroupPath::Pod { .. });
            // Uids are not checked for a shape: clients of the runtime choose their own.
            assert!(
                found == CgroupPath::Other || (path == "/kubepods/podcast" && pod),
                "{path}: {found:?}"
            );
        }
    }
}

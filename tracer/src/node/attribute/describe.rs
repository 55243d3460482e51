//! From the container runtime's answers to an identity. It must not do I/O, or know retries.

use std::collections::{BTreeMap, HashMap};

use super::cri_messages::{Container, ContainerStatus, ImageSpec, PodSandbox};
use crate::node::identity::{Identity, Source};

/// What the kubelet writes into a container's and a sandbox's labels, beside the pod's own.
const CONTAINER_NAME: &str = "io.kubernetes.container.name";
const POD_NAME: &str = "io.kubernetes.pod.name";
const POD_NAMESPACE: &str = "io.kubernetes.pod.namespace";
const POD_UID: &str = "io.kubernetes.pod.uid";
/// And into a container's annotations.
const RESTART_COUNT: &str = "io.kubernetes.container.restartCount";

/// Parts of the names of runtime handlers whose processes run on a kernel of their own.
const OTHER_KERNELS: [(&str, &str); 3] =
    [("kata", "in a virtual machine"), ("runsc", "under gVisor"), ("gvisor", "under gVisor")];

/// A container. Clients other than the kubelet write no labels: then the metadata tell.
pub fn container(
    container: &Container,
    sandbox: Option<&PodSandbox>,
    status: Option<&ContainerStatus>,
) -> Identity {
    let label = |key| some(container.labels.get(key));
    let metadata = container.metadata.as_ref();
    let annotated = container.annotations.get(RESTART_COUNT).and_then(|count| count.parse().ok());
    let of_pod = sandbox.map(pause).unwrap_or_default();
    let listed = container.image.as_ref();
    let resolved = status.and_then(|status| status.image.as_ref());
    Identity {
        container_id: container.id.clone(),
        container_name: label(CONTAINER_NAME).or_else(|| some(metadata.map(|data| &data.name))),
        image: image_name(listed).or_else(|| image_name(resolved)),
        image_id: some(Some(&container.image_ref))
            .or_else(|| some(listed.map(|image| &image.image).filter(|name| is_digest(name)))),
        attempt: annotated.or(metadata.map(|data| data.attempt)),
        pod_name: of_pod.pod_name.or_else(|| label(POD_NAME)),
        pod_uid: of_pod.pod_uid.or_else(|| label(POD_UID)),
        namespace: of_pod.namespace.or_else(|| label(POD_NAMESPACE)),
        labels: of_pod.labels,
        runtime: None,
        node: None,
        source: Source::Cri,
        lacks: sandbox.is_none().then(|| {
            format!(
                "the pod's labels: the runtime no longer knows its sandbox {}",
                container.pod_sandbox_id
            )
        }),
    }
}

/// The container that only holds a pod's namespaces: a pod without a container's name.
pub fn pause(sandbox: &PodSandbox) -> Identity {
    let metadata = sandbox.metadata.as_ref();
    Identity {
        container_id: sandbox.id.clone(),
        pod_name: some(metadata.map(|data| &data.name)),
        pod_uid: some(metadata.map(|data| &data.uid)),
        namespace: some(metadata.map(|data| &data.namespace)),
        labels: pod_labels(&sandbox.labels),
        source: Source::Cri,
        ..Identity::default()
    }
}

/// Why processes of this sandbox cannot be watched from this kernel, if so.
pub fn unobservable(sandbox: &PodSandbox) -> Option<String> {
    let handler = sandbox.runtime_handler.to_ascii_lowercase();
    let (_, place) = OTHER_KERNELS.iter().find(|(name, _)| handler.contains(name))?;
    Some(format!(
        "what its processes do: they run {place} (runtime handler `{}`), on a kernel that is not watched",
        sandbox.runtime_handler
    ))
}

/// True if only the status may tell the image's name.
pub fn lacks_image(container: &Container) -> bool {
    image_name(container.image.as_ref()).is_none()
}

fn pod_labels(labels: &HashMap<String, String>) -> BTreeMap<String, String> {
    let kubelets = [CONTAINER_NAME, POD_NAME, POD_NAMESPACE, POD_UID];
    let own = labels.iter().filter(|(key, _)| !kubelets.contains(&key.as_str()));
    own.map(|(key, value)| (key.clone(), value.clone())).collect()
}

fn image_name(image: Option<&ImageSpec>) -> Option<String> {
    let image = image?;
    let names = [&image.user_specified_image, &image.image];
    names.into_iter().find(|name| !name.is_empty() && !is_digest(name)).cloned()
}

fn is_digest(name: &str) -> bool {
    let digits = name.strip_prefix("sha256:").unwrap_or(name);
    digits.len() == 64 && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Strings of the interface are empty where there is nothing.
fn some(text: Option<&String>) -> Option<String> {
    text.filter(|text| !text.is_empty()).cloned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::attribute::{cri_messages::ContainerMetadata, fake_runtime};

    #[test]
    fn the_kubelets_labels_and_annotations_come_first() {
        let mut asked = fake_runtime::container("c1", "s1");
        asked.labels.insert(CONTAINER_NAME.to_owned(), "gateway".to_owned());
        asked.annotations.insert(RESTART_COUNT.to_owned(), "7".to_owned());
        asked.metadata = Some(ContainerMetadata { name: "other".to_owned(), attempt: 2 });
        let identity = container(&asked, Some(&fake_runtime::sandbox("s1")), None);
        assert_eq!(identity.container_name.as_deref(), Some("gateway"));
        assert_eq!(identity.attempt, Some(7));
    }

    #[test]
    fn a_container_without_labels_is_named_by_its_sandbox() {
        let mut asked = fake_runtime::container("c1", "s1");
        asked.labels.clear();
        let identity = container(&asked, Some(&fake_runtime::sandbox("s1")), None);
        assert_eq!(identity.container_name.as_deref(), Some("gateway"));
        assert_eq!(identity.pod_name.as_deref(), Some("gateway-0"));
        assert_eq!(identity.namespace.as_deref(), Some("macula-system"));
        assert_eq!(identity.attempt, Some(3));
        assert_eq!(identity.lacks, None);
    }

    #[test]
    fn labels_of_the_kubelet_are_not_the_pods() {
        let mut sandbox = fake_runtime::sandbox("s1");
        sandbox.labels.insert(POD_UID.to_owned(), "x".to_owned());
        assert_eq!(pause(&sandbox).labels, [("app".into(), "macula-gateway".into())].into());
    }

    #[test]
    fn without_a_sandbox_the_containers_own_labels_name_the_pod() {
        let mut asked = fake_runtime::container("c1", "gone");
        asked.labels.insert(POD_NAME.to_owned(), "gateway-0".to_owned());
        let identity = container(&asked, None, None);
        assert_eq!(identity.pod_name.as_deref(), Some("gateway-0"));
        assert!(identity.lacks.unwrap().contains("gone"));
    }

    #[test]
    fn an_image_asked_for_by_digest_is_named_by_the_status() {
        let digest = format!("sha256:{}", "ab".repeat(32));
        let mut asked = fake_runtime::container("c1", "s1");
        asked.image = Some(ImageSpec { image: digest.clone(), ..ImageSpec::default() });
        asked.image_ref.clear();
        assert!(lacks_image(&asked));
        let image = ImageSpec { image: "localhost/gateway:1".to_owned(), ..ImageSpec::default() };
        let status = ContainerStatus { image: Some(image), ..ContainerStatus::default() };
        let identity = container(&asked, None, Some(&status));
        assert_eq!(identity.image.as_deref(), Some("localhost/gateway:1"));
        assert_eq!(identity.image_id, Some(digest));
    }

    #[test]
    fn other_kernels_are_told_by_their_handler() {
        let with = |handler: &str| {
            let sandbox =
                PodSandbox { runtime_handler: handler.to_owned(), ..PodSandbox::default() };
            unobservable(&sandbox).is_some()
        };
        for handler in ["kata", "kata-qemu", "Kata-CLH", "runsc", "gvisor"] {
            assert!(with(handler), "{handler}");
        }
        for handler in ["", "runc", "crun", "nvidia"] {
            assert!(!with(handler), "{handler}");
        }
    }
}

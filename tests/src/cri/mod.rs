//! Real pods without Kubernetes: a private containerd, driven through its container runtime interface as a kubelet
//! drives it. Knows nothing of the tracer but the messages of that interface, which both have from one file.

mod cgroups;
mod client;
mod containerd;
mod image;
mod kubelet;
mod messages;
mod pod;
mod spec;
mod stray;

pub use client::Client;
pub use containerd::{Around, Containerd, NEEDS};
pub use image::{Image, PAUSE, VICTIMS};
pub use kubelet::Ended;
pub use messages::{ContainerState, ContainerStatus};
pub use pod::{Pod, Started};
pub use spec::{ContainerSpec, PodSpec, Security};

//! The messages of the container runtime interface that the agent asks with and is answered by: names and tags as in
//! cri-api's `pkg/apis/runtime/v1/api.proto`. It is pure, and knows no connection.

use std::collections::HashMap;

use prost::Message;

use super::node::{container_id, number, pod_uid, sandbox_id};

/// One call.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// The name of the method.
    pub call: &'a str,
    pub message: &'a [u8],
}

/// What a runtime that knows every container says; `None` to what nobody asks.
pub fn answer(question: Question<'_>) -> Option<Vec<u8>> {
    match question.call {
        "Version" => {
            let (runtime_name, runtime_version) = ("containerd".to_owned(), "1.6.20".to_owned());
            Some(VersionResponse { runtime_name, runtime_version }.encode_to_vec())
        }
        "ListContainers" => {
            let asked = ListRequest::decode(question.message).ok()?.filter?.id;
            let containers = container(&asked).into_iter().collect();
            Some(ListContainersResponse { containers }.encode_to_vec())
        }
        "ListPodSandbox" => {
            let asked = ListRequest::decode(question.message).ok()?.filter?.id;
            let items = sandbox(&asked).into_iter().collect();
            Some(ListPodSandboxResponse { items }.encode_to_vec())
        }
        "ContainerStatus" => {
            let id = StatusRequest::decode(question.message).ok()?.container_id;
            let status = ContainerStatus { id, state: EXITED, reason: "Error".to_owned() };
            Some(StatusResponse { status: Some(status) }.encode_to_vec())
        }
        _ => None,
    }
}

/// CONTAINER_EXITED.
const EXITED: i32 = 2;

fn container(id: &str) -> Option<Container> {
    let number = number(id).ok().filter(|number| container_id(*number) == id)?;
    let image = "localhost/gateway:1".to_owned();
    Some(Container {
        id: id.to_owned(),
        pod_sandbox_id: sandbox_id(number),
        metadata: Some(ContainerMetadata { name: "gateway".to_owned(), attempt: 0 }),
        image: Some(ImageSpec { image }),
        image_ref: format!("sha256:{}", "0".repeat(64)),
    })
}

fn sandbox(id: &str) -> Option<PodSandbox> {
    let number = number(id).ok().filter(|number| sandbox_id(*number) == id)?;
    Some(PodSandbox {
        id: id.to_owned(),
        metadata: Some(PodSandboxMetadata {
            name: format!("gateway-{number}"),
            uid: pod_uid(number),
            namespace: "macula-system".to_owned(),
        }),
        // What the agent selects by default.
        labels: HashMap::from([("app".to_owned(), "macula-gateway".to_owned())]),
        runtime_handler: "runc".to_owned(),
    })
}

#[derive(Clone, PartialEq, Message)]
struct VersionResponse {
    #[prost(string, tag = "2")]
    runtime_name: String,
    #[prost(string, tag = "3")]
    runtime_version: String,
}

/// Of containers and of sandboxes.
#[derive(Clone, PartialEq, Message)]
struct ListRequest {
    #[prost(message, optional, tag = "1")]
    filter: Option<Filter>,
}

#[derive(Clone, PartialEq, Message)]
struct Filter {
    #[prost(string, tag = "1")]
    id: String,
}

#[derive(Clone, PartialEq, Message)]
struct ListContainersResponse {
    #[prost(message, repeated, tag = "1")]
    containers: Vec<Container>,
}

#[derive(Clone, PartialEq, Message)]
struct Container {
    #[prost(string, tag = "1")]
    id: String,
    #[prost(string, tag = "2")]
    pod_sandbox_id: String,
    #[prost(message, optional, tag = "3")]
    metadata: Option<ContainerMetadata>,
    #[prost(message, optional, tag = "4")]
    image: Option<ImageSpec>,
    #[prost(string, tag = "5")]
    image_ref: String,
}

#[derive(Clone, PartialEq, Message)]
struct ContainerMetadata {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(uint32, tag = "2")]
    attempt: u32,
}

#[derive(Clone, PartialEq, Message)]
struct ImageSpec {
    #[prost(string, tag = "1")]
    image: String,
}

#[derive(Clone, PartialEq, Message)]
struct ListPodSandboxResponse {
    #[prost(message, repeated, tag = "1")]
    items: Vec<PodSandbox>,
}

#[derive(Clone, PartialEq, Message)]
struct PodSandbox {
    #[prost(string, tag = "1")]
    id: String,
    #[prost(message, optional, tag = "2")]
    metadata: Option<PodSandboxMetadata>,
    #[prost(map = "string, string", tag = "5")]
    labels: HashMap<String, String>,
    #[prost(string, tag = "7")]
    runtime_handler: String,
}

#[derive(Clone, PartialEq, Message)]
struct PodSandboxMetadata {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    uid: String,
    #[prost(string, tag = "3")]
    namespace: String,
}

#[derive(Clone, PartialEq, Message)]
struct StatusRequest {
    #[prost(string, tag = "1")]
    container_id: String,
}

#[derive(Clone, PartialEq, Message)]
struct StatusResponse {
    #[prost(message, optional, tag = "1")]
    status: Option<ContainerStatus>,
}

#[derive(Clone, PartialEq, Message)]
struct ContainerStatus {
    #[prost(string, tag = "1")]
    id: String,
    #[prost(int32, tag = "3")]
    state: i32,
    #[prost(string, tag = "10")]
    reason: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(id: String) -> Vec<u8> {
        ListRequest { filter: Some(Filter { id }) }.encode_to_vec()
    }

    #[test]
    fn a_container_leads_to_its_pod() {
        let asked = list(container_id(7));
        let said = answer(Question { call: "ListContainers", message: &asked }).unwrap();
        let found = ListContainersResponse::decode(said.as_slice()).unwrap().containers;
        assert_eq!(found[0].id, container_id(7));
        let asked = list(found[0].pod_sandbox_id.clone());
        let said = answer(Question { call: "ListPodSandbox", message: &asked }).unwrap();
        let pod = ListPodSandboxResponse::decode(said.as_slice()).unwrap().items.remove(0);
        assert_eq!(pod.metadata.unwrap().name, "gateway-7");
    }

    #[test]
    fn a_sandbox_is_no_container() {
        let asked = list(sandbox_id(7));
        let said = answer(Question { call: "ListContainers", message: &asked }).unwrap();
        assert_eq!(ListContainersResponse::decode(said.as_slice()).unwrap().containers, []);
        assert_eq!(answer(Question { call: "Exec", message: &[] }), None);
    }
}

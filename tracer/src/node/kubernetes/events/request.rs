//! What is asked of the API about a crash, as its objects have it: core/v1 Events, which every version from 1.20 on takes.
//! It must not send anything.

use serde_json::{Value, json};

use super::notice::{Notice, Place};

/// Who says so, as `kubectl describe` shows it.
const COMPONENT: &str = "macula-tracer";
/// Of every Event.
pub const REASON: &str = "CrashCause";
/// Bytes of an Event's name (RFC 1123, as a subdomain).
const NAME_MAX: usize = 253;

/// One request.
#[derive(Clone, Debug, PartialEq)]
pub enum Request {
    CreateEvent { namespace: String, body: Value },
    PatchEvent { namespace: String, name: String, body: Value },
    AnnotatePod { namespace: String, pod: String, body: Value },
}

/// What crashes of one cause in one container add up to: one Event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tally {
    /// The Event's.
    pub name: String,
    /// How many crashes it tells of; 0 where all of them were taken back.
    pub count: u32,
    /// When the first of them was.
    pub first: String,
}

impl Tally {
    pub fn create(&self, place: &Place, newest: &Notice) -> Request {
        let container = place.container.as_ref();
        let body = json!({
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": self.name, "namespace": place.namespace},
            "involvedObject": {
                "apiVersion": "v1",
                "kind": "Pod",
                "namespace": place.namespace,
                "name": place.pod,
                "uid": place.pod_uid,
                "fieldPath": container.map(|name| format!("spec.containers{{{name}}}")),
            },
            "type": "Warning",
            "reason": REASON,
            "message": newest.message(),
            "source": {"component": COMPONENT, "host": place.node},
            "reportingComponent": COMPONENT,
            "reportingInstance": place.node,
            "firstTimestamp": self.first,
            "lastTimestamp": newest.seconds(),
            "count": self.count,
        });
        Request::CreateEvent { namespace: place.namespace.clone(), body }
    }

    pub fn patch(&self, place: &Place, newest: &Notice) -> Request {
        let body = json!({
            // The API knows no Event of nothing.
            "count": self.count.max(1),
            "lastTimestamp": newest.seconds(),
            "message": newest.message(),
        });
        Request::PatchEvent { namespace: place.namespace.clone(), name: self.name.clone(), body }
    }
}

/// The pod's name and a number that is never given twice, as client-go has it.
pub fn event_name(pod: &str, unique: u64) -> String {
    let unique = format!("{unique:016x}");
    let room = pod.floor_char_boundary(NAME_MAX - 1 - unique.len());
    format!("{}.{unique}", pod[..room].trim_end_matches(['.', '-']))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::kubernetes::events::notice::tests::notice;

    #[test]
    fn an_event_names_its_container_and_who_says_so() {
        let newest = notice("b", "oom_killed");
        let tally =
            Tally { name: "x.1".to_owned(), count: 2, first: "2026-01-01T00:00:00Z".to_owned() };
        let Request::CreateEvent { namespace, body } = tally.create(&newest.place, &newest) else {
            panic!("it creates no Event");
        };
        assert_eq!(namespace, "shop");
        let expect = json!({
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": "x.1", "namespace": "shop"},
            "involvedObject": {
                "apiVersion": "v1", "kind": "Pod", "namespace": "shop", "name": "gateway-0", "uid": "uid-0",
                "fieldPath": "spec.containers{gateway}",
            },
            "type": "Warning",
            "reason": "CrashCause",
            "message": "oom_killed: b died. Mend it.",
            "source": {"component": "macula-tracer", "host": "node1"},
            "reportingComponent": "macula-tracer",
            "reportingInstance": "node1",
            "firstTimestamp": "2026-01-01T00:00:00Z",
            "lastTimestamp": "2026-01-02T03:04:05Z",
            "count": 2,
        });
        assert_eq!(body, expect);
    }

    #[test]
    fn the_name_of_an_event_is_one_for_the_api_whatever_the_pods() {
        assert_eq!(event_name("gateway-0", 0xab), "gateway-0.00000000000000ab");
        let long = event_name(&format!("{}.-{}", "a".repeat(234), "b".repeat(20)), u64::MAX);
        assert_eq!(long.len(), 234 + 17);
        assert!(long.ends_with("a.ffffffffffffffff"), "{long}");
    }
}

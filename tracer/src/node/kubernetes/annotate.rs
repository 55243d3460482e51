//! The pod's annotation with its last crash, for those who gave the permission. It must not send anything.

use serde_json::{Value, json};

use super::events::{Notice, Request};

/// Its key.
pub const ANNOTATION: &str = "macula.io/last-crash-cause";

/// Sets the annotation, or takes it away where nothing is left to tell. The uid is a condition: a new pod of the same
/// name is left alone (the API answers 409 then).
pub fn annotate(notice: &Notice) -> Request {
    let crash = json!({
        "id": notice.id,
        "time": notice.seconds(),
        "cause": notice.cause,
        "container": notice.place.container,
        "message": notice.message(),
    });
    let value = if notice.is_none() { Value::Null } else { crash.to_string().into() };
    let body =
        json!({"metadata": {"uid": notice.place.pod_uid, "annotations": {ANNOTATION: value}}});
    Request::AnnotatePod {
        namespace: notice.place.namespace.clone(),
        pod: notice.place.pod.clone(),
        body,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::kubernetes::events::notice::tests::notice;

    fn annotation(cause: &str) -> Value {
        let Request::AnnotatePod { namespace, pod, body } = annotate(&notice("a", cause)) else {
            panic!("it annotates no pod");
        };
        assert_eq!((namespace.as_str(), pod.as_str()), ("shop", "gateway-0"));
        assert_eq!(body["metadata"]["uid"], "uid-0");
        body["metadata"]["annotations"][ANNOTATION].clone()
    }

    #[test]
    fn a_pod_has_its_last_crash_as_json() {
        let value: Value = serde_json::from_str(annotation("abort").as_str().unwrap()).unwrap();
        let expect = json!({
            "id": "a", "time": "2026-01-02T03:04:05Z", "cause": "abort", "container": "gateway",
            "message": "abort: a died. Mend it.",
        });
        assert_eq!(value, expect);
    }

    #[test]
    fn what_is_taken_back_leaves_no_annotation() {
        assert_eq!(annotation("none"), Value::Null);
    }
}

//! What the API is told of a crash: whose it is, and a line of text. It must not know what was told before.

use crate::{contract::CrashObject, diagnose::verdict::Cause, node::identity::Identity};

/// Bytes of an Event's message that the API takes (k8s.io/kubernetes, pkg/apis/core/validation/events.go).
const MESSAGE_MAX: usize = 1024;
/// Bytes of a name in the API (RFC 1123, as a subdomain).
const NAME_MAX: usize = 253;

/// A crash or incident, or what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    pub place: Place,
    /// Of the crash.
    pub id: String,
    pub revision: u32,
    pub cause: String,
    /// RFC 3339, UTC.
    pub time: String,
    pub summary: String,
    pub next_step: String,
}

/// Where it happened, by the names that the API knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    pub namespace: String,
    pub pod: String,
    pub pod_uid: String,
    pub container: Option<String>,
    pub node: String,
}

impl Notice {
    /// `None` where it is not known whose it is, or where the names cannot be those of a pod.
    pub fn of(object: &CrashObject, identity: &Identity) -> Option<Self> {
        let named = |name: &Option<String>| name.clone().filter(|name| is_name(name));
        let crash = &object.crash;
        Some(Self {
            place: Place {
                namespace: named(&identity.namespace)?,
                pod: named(&identity.pod_name)?,
                pod_uid: identity.pod_uid.clone()?,
                container: named(&identity.container_name),
                node: identity.node.clone().unwrap_or_default(),
            },
            id: crash.id.clone(),
            revision: crash.revision,
            cause: crash.cause.clone(),
            time: crash.time.clone(),
            summary: crash.summary.clone(),
            next_step: crash.next_step.clone(),
        })
    }

    /// What was told of it is taken back, or it ended as it should.
    pub fn is_none(&self) -> bool {
        self.cause == Cause::None.name()
    }

    /// Cause and summary, and what to do about it where there is room for all of that.
    pub fn message(&self) -> String {
        let summary = one_line(&self.summary);
        if self.is_none() {
            return cut(&format!("no crash: {summary}"), MESSAGE_MAX);
        }
        let told = format!("{}: {summary}", self.cause);
        let whole = format!("{told} {}", one_line(&self.next_step));
        cut(if whole.len() <= MESSAGE_MAX { &whole } else { &told }, MESSAGE_MAX)
            .trim_end()
            .to_owned()
    }

    /// To the second: the API keeps no more.
    pub fn seconds(&self) -> String {
        match self.time.split_once('.') {
            Some((seconds, _)) => format!("{seconds}Z"),
            None => self.time.clone(),
        }
    }
}

/// Whether it may be part of a request's path.
fn is_name(name: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let known = |byte: u8| inner(byte) || byte == b'-' || byte == b'.';
    let ends = name.bytes().next().is_some_and(inner) && name.bytes().last().is_some_and(inner);
    name.len() <= NAME_MAX && ends && name.bytes().all(known) && !name.contains("..")
}

/// A table shows it: in one line, without anything that could steer a terminal.
fn one_line(text: &str) -> String {
    let words: Vec<&str> = text.split(|c: char| c.is_whitespace() || c.is_control()).collect();
    words.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

/// At most so many bytes, ending with a whole character and a sign that something was cut.
fn cut(text: &str, bytes: usize) -> String {
    const CUT: &str = "…";
    if text.len() <= bytes {
        return text.to_owned();
    }
    let end = text.floor_char_boundary(bytes.saturating_sub(CUT.len()));
    format!("{}{CUT}", &text[..end])
}

#[cfg(test)]
pub mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Of the pod `gateway-0` and its container `gateway`.
    pub fn notice(id: &str, cause: &str) -> Notice {
        Notice {
            place: Place {
                namespace: "shop".to_owned(),
                pod: "gateway-0".to_owned(),
                pod_uid: "uid-0".to_owned(),
                container: Some("gateway".to_owned()),
                node: "node1".to_owned(),
            },
            id: id.to_owned(),
            revision: 1,
            cause: cause.to_owned(),
            time: "2026-01-02T03:04:05.678901234Z".to_owned(),
            summary: format!("{id} died."),
            next_step: "Mend it.".to_owned(),
        }
    }

    proptest! {
        #[test]
        fn a_message_is_one_line_that_the_api_takes(summary in "(?s).{0,1200}", next in "(?s).{0,1200}") {
            let message = Notice { summary, next_step: next, ..notice("a", "oom_killed") }.message();
            prop_assert!(message.len() <= MESSAGE_MAX, "{}", message.len());
            prop_assert!(message.starts_with("oom_killed:"));
            prop_assert!(!message.contains(char::is_control));
        }

        #[test]
        fn a_name_that_could_leave_its_place_in_a_path_is_none(name in "[a-z./%?# A-Z-]{0,9}") {
            if is_name(&name) {
                prop_assert!(name.bytes().all(|byte| byte.is_ascii_lowercase() || b"-.".contains(&byte)));
                prop_assert!(!name.contains("..") && !name.starts_with('.'));
            }
        }
    }

    #[test]
    fn a_message_says_what_to_do_where_there_is_room() {
        let short = notice("a", "oom_killed");
        assert_eq!(short.message(), "oom_killed: a died. Mend it.");
        let long = Notice { next_step: "x".repeat(1010), ..short.clone() };
        assert_eq!(long.message(), "oom_killed: a died.");
        let longer = Notice { summary: "ä".repeat(600), ..short };
        assert!(longer.message().ends_with("ä…"), "{}", longer.message());
    }

    #[test]
    fn what_is_told_fits_a_line_of_a_terminal_table() {
        let hostile = Notice { summary: "a\n\tb\x1b[2Jc".to_owned(), ..notice("a", "abort") };
        assert_eq!(hostile.message(), "abort: a b [2Jc Mend it.");
    }

    #[test]
    fn times_are_to_the_second() {
        assert_eq!(notice("a", "abort").seconds(), "2026-01-02T03:04:05Z");
    }

    #[test]
    fn only_what_the_api_can_know_by_name_is_told() {
        let identity = Identity {
            pod_name: Some("gateway-0".to_owned()),
            pod_uid: Some("uid-0".to_owned()),
            namespace: Some("shop".to_owned()),
            container_name: Some("gateway".to_owned()),
            node: Some("node1".to_owned()),
            ..Identity::default()
        };
        let told = |identity: &Identity| Notice::of(&object(), identity);
        assert_eq!(told(&identity), Some(notice("a", "oom_killed")));
        for name in ["", "a/../b", "..", "A", "a b", "-a", "a?b", "ä", &"a".repeat(254)] {
            let name = Some(name.to_owned());
            assert_eq!(told(&Identity { pod_name: name.clone(), ..identity.clone() }), None);
            assert_eq!(told(&Identity { namespace: name, ..identity.clone() }), None);
        }
        assert_eq!(told(&Identity::default()), None);
    }

    fn object() -> CrashObject {
        let notice = notice("a", "oom_killed");
        let value = serde_json::json!({
            "schema": 1,
            "crash": {
                "id": notice.id, "revision": 1, "scope": "life", "time": notice.time, "cause": notice.cause,
                "confidence": "proven", "summary": notice.summary, "evidence": [], "next_step": notice.next_step,
                "process": {}, "details": {},
            },
            "exit": {"code": null, "signal": "SIGKILL", "core": false},
            "process": {},
            "lost": 0,
        });
        serde_json::from_value(value).unwrap()
    }
}

//! A verdict as text for people, made of the crash object alone, and what changed since the last life that
//! lasted. It must not decide anything.

use serde::Deserialize as _;
use serde_json::Value;

use super::text::{Style, indexes, printable, size};
use crate::contract::{Change, Changes, Names, ShownExplanation};

/// Labels and what they label, one a line; evidence and changes as lists. Ends in a newline.
pub fn explanation_text(explanation: &ShownExplanation, style: Style) -> String {
    let object = &explanation.object;
    let crash = &object.crash;
    let mut out = String::new();
    let mut line = |label: &str, text: &str| {
        let label = if label.is_empty() { String::new() } else { format!("{label}:") };
        out.push_str(&format!("{label:<11}{text}\n"));
    };
    line("crash", &printable(&format!("{} at {}", crash.id, crash.time)));
    let pod = Named::of(object.names());
    if let Some(pod) = &pod.pod {
        line("pod", &printable(pod));
    }
    if let Some(container) = &pod.container {
        line("container", &printable(container));
    }
    let cause = match crash.cause.as_str() {
        "none" => "none".to_owned(),
        cause => format!("{} ({})", printable(cause), printable(&crash.confidence)),
    };
    line("cause", &fatal(&cause, style));
    line("summary", &printable(&crash.summary));
    for (index, evidence) in crash.evidence.iter().enumerate() {
        let label = if index == 0 { "evidence" } else { "" };
        line(label, &format!("- {}{}", printable(&evidence.text), indexes(evidence)));
    }
    if !crash.next_step.is_empty() {
        line("next step", &printable(&crash.next_step));
    }
    for (index, change) in changes(explanation.changes.as_ref()).iter().enumerate() {
        line(if index == 0 { "changes" } else { "" }, change);
    }
    out
}

/// Who died, in words.
pub struct Named {
    /// `namespace/pod`
    pub pod: Option<String>,
    /// With its restart count.
    pub container: Option<String>,
}

impl Named {
    pub fn of(names: Names<'_>) -> Self {
        let Names { namespace, pod, container, restarts, .. } = names;
        Self {
            pod: pod.map(|pod| namespace.map_or(pod.to_owned(), |space| format!("{space}/{pod}"))),
            container: container.map(|name| match restarts {
                None => name.to_owned(),
                Some(0) => format!("{name}, its first start"),
                Some(count) => format!("{name}, restart {count}"),
            }),
        }
    }
}

/// One line a difference.
fn changes(changes: Option<&Changes>) -> Vec<String> {
    let Some(changes) = changes else {
        return vec!["no earlier life of this container that lasted is remembered".to_owned()];
    };
    let until = match &changes.ended {
        Some(ended) => format!("until {}", to_seconds(ended)),
        None => "and lives on".to_owned(),
    };
    let lasting = format!("{} (from {} {until})", changes.container_id, to_seconds(&changes.began));
    let differences = differences(changes);
    let first = match differences.is_empty() {
        true => format!("nothing that is known, since {lasting}, the last life that lasted"),
        false => format!("since {lasting}, the last life that lasted"),
    };
    std::iter::once(printable(&first)).chain(differences).collect()
}

/// `- image: shop/cart:1 → shop/cart:2`, of what is different.
fn differences(changes: &Changes) -> Vec<String> {
    let Changes { image, image_id, memory_limit_bytes, command, node, cause, others, .. } = changes;
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let bytes = |bytes: &Option<u64>| bytes.map(size).unwrap_or_default();
    let lines = [
        line("image", image, text),
        line("image id", image_id, text),
        line("memory limit", memory_limit_bytes, bytes),
        line("command", command, |words| words.join(" ")),
        line("node", node, text),
        line("cause", cause, text),
    ];
    let others = others.iter().filter_map(|(name, change)| {
        let change = Change::<Value>::deserialize(change).ok();
        line(&printable(&name.replace('_', " ")), &change, plain)
    });
    lines.into_iter().flatten().chain(others).collect()
}

/// A value of which nothing is known: a text without its quotes, nothing for null.
fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
    }
}

fn line<T>(name: &str, change: &Option<Change<T>>, told: impl Fn(&T) -> String) -> Option<String> {
    let Change { from, to } = change.as_ref()?;
    let told = |value| match told(value) {
        told if told.is_empty() => "none known".to_owned(),
        told => printable(&told),
    };
    Some(format!("- {name}: {} → {}", told(from), told(to)))
}

/// `2026-01-31T10:00:00Z`, of a time with nanoseconds.
fn to_seconds(time: &str) -> String {
    time.split_once('.').map_or(time.to_owned(), |(seconds, _)| format!("{seconds}Z"))
}

fn fatal(text: &str, style: Style) -> String {
    match style {
        Style::Plain => text.to_owned(),
        Style::Coloured => format!("\x1b[1;31m{text}\x1b[0m"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        contract::{Explanation, crash_object},
        render::samples,
    };

    fn explained(changes: serde_json::Value) -> ShownExplanation {
        let (timeline, facts, verdict) = samples::missing_file();
        let mut object = crash_object("0123456789ab", &timeline, &facts, &verdict);
        let k8s = json!({
            "namespace": {"name": "shop"},
            "pod": {"name": "cart-0"},
            "container": {"name": "cart", "restart_count": 3},
        });
        object.k8s = serde_json::from_value(k8s).unwrap();
        let explanation = Explanation { object, changes: serde_json::from_value(changes).unwrap() };
        serde_json::from_value(serde_json::to_value(explanation).unwrap()).unwrap()
    }

    #[test]
    fn an_explanation_names_cause_evidence_next_step_and_changes() {
        let changes = json!({
            "container_id": "ba9876543210",
            "pod": "cart-0",
            "began": "2001-02-03T03:00:00.000000000Z",
            "ended": "2001-02-03T04:00:00.000000000Z",
            "image": {"from": "shop/cart:1", "to": "shop/cart:2"},
            "command": {"from": [], "to": ["app", "--config", "/etc/app\u{1b}.yml"]},
            "memory_limit_bytes": {"from": null, "to": 67108864},
        });
        insta::assert_snapshot!(explanation_text(&explained(changes), Style::Plain), @r#"
        crash:     0123456789ab at 2001-02-03T04:05:06.004100000Z
        pod:       shop/cart-0
        container: cart, restart 3
        cause:     file_not_found (proven)
        summary:   app exited with 1 because /etc/app.yml does not exist.
        evidence:  - openat of /etc/app.yml failed with ENOENT [1]
                   - it ended 0.7 ms later, its last words name the file [2, 3]
        next step: Mount the file at /etc/app.yml.
        changes:   since ba9876543210 (from 2001-02-03T03:00:00Z until 2001-02-03T04:00:00Z), the last life that lasted
                   - image: shop/cart:1 → shop/cart:2
                   - memory limit: none known → 64 MiB
                   - command: none known → app --config /etc/app\u{1b}.yml
        "#);
    }

    #[test]
    fn a_workload_that_never_lasted_has_no_changes() {
        let text = explanation_text(&explained(json!(null)), Style::Plain);
        assert!(text.ends_with("that lasted is remembered\n"), "{text}");
    }

    #[test]
    fn a_change_that_this_version_does_not_know_is_told_by_its_name() {
        let changes = json!({
            "container_id": "ba9876543210", "began": "2001-02-03T03:00:00Z", "ended": null,
            "cpu_limit": {"from": null, "to": 2}, "runtime": {"from": "runc", "to": "crun"}, "mood": 1,
        });
        let text = explanation_text(&explained(changes), Style::Plain);
        assert!(text.contains("changes:   since ba9876543210"), "{text}");
        assert!(text.contains("- cpu limit: none known → 2\n"), "{text}");
        assert!(text.ends_with("- runtime: runc → crun\n"), "{text}");
    }

    #[test]
    fn a_workload_without_differences_says_so() {
        let changes =
            json!({"container_id": "ba9876543210", "began": "2001-02-03T03:00:00Z", "ended": null});
        let text = explanation_text(&explained(changes), Style::Plain);
        assert!(text.contains("changes:   nothing that is known, since ba9876543210"), "{text}");
    }
}

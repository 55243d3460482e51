//! What Kubernetes would have said of an end, by the rules of the kubelet and its container runtime: all they have is
//! a status, an OOM notification and what was written. It must not know the tracer's verdict.

use serde_json::Value;

/// Reason and exit code as `kubectl describe pod` shows them. containerd (internal/cri/server/events.go) names an end
/// OOMKilled if the container's cgroup notified of an OOM kill, else Completed for status 0 and Error for all others;
/// an end by a signal has 128 and its number as exit code.
pub fn status(code: i32, timeline: &Value) -> String {
    let mut entries = timeline.as_array().into_iter().flatten();
    let reason = match code {
        _ if entries.any(|entry| entry["kind"] == "oom") => "OOMKilled",
        0 => "Completed",
        _ => "Error",
    };
    format!("{reason}\nexit code {code}")
}

/// What `kubectl logs --previous` shows: all that was written, and nothing if nothing was.
pub fn logs(said: &[u8]) -> String {
    let text = String::from_utf8_lossy(said);
    // Not in a container, the tracer itself says what a container runtime would have put into its status.
    let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with("tracer: ")).collect();
    if lines.is_empty() { "(empty)".to_owned() } else { lines.join("\n") }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_oom_notification_comes_before_the_status() {
        let timeline = json!([{ "kind": "exec" }, { "kind": "oom" }]);
        assert_eq!(status(137, &timeline), "OOMKilled\nexit code 137");
        assert_eq!(status(137, &json!([])), "Error\nexit code 137");
    }

    #[test]
    fn a_status_of_zero_is_no_error_whoever_asked_for_the_end() {
        assert_eq!(status(0, &json!([{ "kind": "signal" }])), "Completed\nexit code 0");
    }

    #[test]
    fn logs_are_what_was_written() {
        assert_eq!(logs(b""), "(empty)");
        assert_eq!(logs(b"one\ntwo\n"), "one\ntwo");
        assert_eq!(logs(b"tracer: cannot run /x: No such file or directory\n"), "(empty)");
    }
}

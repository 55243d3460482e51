//! How events are printed: as the JSON that they came as, or a line each for people. It must not know where they come
//! from.

use std::ops::ControlFlow;

use super::TextOrJson;
use crate::{
    cli::terminal::print,
    contract::{Line, Names},
    render::{gap_of, in_one_line, printable, who},
};

#[derive(Clone, Copy)]
pub struct Printer(pub TextOrJson);

impl Printer {
    /// Prints events, one a line of JSON each, with the node where it is given. Breaks where nobody reads on.
    pub fn print(self, events: &str, node: Option<&str>) -> anyhow::Result<ControlFlow<()>> {
        match self.0 {
            TextOrJson::Json => print(events),
            TextOrJson::Text => {
                let line = |event| {
                    node.map_or(String::new(), |node| format!("{}  ", printable(node)))
                        + &line(event)
                };
                print(&events.lines().map(line).collect::<String>())
            }
        }
    }
}

/// A line's JSON as one line for people: time, whose it is, process, what. Ends in a newline. What is no line of ours
/// is shown as it is.
fn line(json: &str) -> String {
    let Ok(line) = serde_json::from_str::<Line>(json) else { return printable(json) + "\n" };
    let (time, what) = match &line {
        Line::Crash(object) => {
            let crash = &object.crash;
            (crash.time.as_str(), format!("crash {}: {}", crash.cause, crash.summary))
        }
        Line::Observation(observation) => {
            let entry = &observation.entry;
            (entry.time.as_str(), format!("{}  {}", who(entry), in_one_line(entry)))
        }
        Line::Gap(gap) => ("-", format!("-  {}", gap_of(&gap.of, gap.count))),
    };
    let Names { namespace, pod, container, .. } = line.names();
    let whose: Vec<&str> = [namespace, pod, container].into_iter().flatten().collect();
    let whose = if whose.is_empty() { "-".to_owned() } else { whose.join("/") };
    printable(&format!("{}  {whose}  {what}", to_milliseconds(time))) + "\n"
}

/// `2026-01-31T10:00:00.123Z`, of a time with nanoseconds.
fn to_milliseconds(time: &str) -> String {
    match time.split_once('.').and_then(|(seconds, rest)| Some((seconds, rest.get(..3)?))) {
        Some((seconds, milliseconds)) => format!("{seconds}.{milliseconds}Z"),
        None => time.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        contract::{Gap, crash_object, entry},
        render::samples,
    };

    #[test]
    fn every_kind_of_event_has_its_line() {
        let (timeline, facts, _) = samples::every_kind();
        let offset = facts.machine.boot_offset_ns;
        let events = timeline.entries.iter().map(|e| entry(e, timeline.began_ns, offset));
        let lines: String =
            events.map(|event| line(&serde_json::to_string(&event).unwrap())).collect();
        insta::assert_snapshot!(lines, @r#"
        2001-02-03T04:05:06.001Z  -  app[4242]  cgroup /kubepods/pod/app created
        2001-02-03T04:05:06.002Z  -  app[4242]  exec /usr/bin/app --config /etc/app.yml
        2001-02-03T04:05:06.003Z  -  app[4242]  exec "/bin/\xff" … (26 bytes of arguments)
        2001-02-03T04:05:06.004Z  -  app[4242]  exec ./missing as "missing\xff" "two words" (from descriptor 9) = ENOENT (no such file or directory)
        2001-02-03T04:05:06.005Z  -  app[4242]  forked by pid 4000
        2001-02-03T04:05:06.006Z  -  app[4242]  at that moment, 2 of 3 threads: 1 running, 1 waiting in futex
        2001-02-03T04:05:06.007Z  -  app[4242]  bind tcp 0.0.0.0:9443 = EADDRINUSE (address already in use)
        2001-02-03T04:05:06.008Z  -  app[4242]  listen tcp port 9443
        2001-02-03T04:05:06.009Z  -  app[4242]  bind unix "/run/app.sock"
        2001-02-03T04:05:06.010Z  -  app[4242]  openat "/etc/tls/key.pem" = EACCES (permission denied)
        2001-02-03T04:05:06.011Z  -  app[4242]  write …"log/app.log" = ENOSPC (no space left on device)
        2001-02-03T04:05:06.012Z  -  app[4242]  clone = EAGAIN (resource temporarily unavailable)
        2001-02-03T04:05:06.013Z  -  app[4242]  clone in a cgroup with 20 of at most 20 processes = EAGAIN (resource temporarily unavailable)
        2001-02-03T04:05:06.014Z  -  app[4242]  connect tcp 10.0.0.7:5432 on descriptor 5 = EINPROGRESS (operation now in progress)
        2001-02-03T04:05:06.015Z  -  app[4242]  getsockopt(SO_ERROR) tcp on descriptor 5 = ECONNREFUSED (connection refused)
        2001-02-03T04:05:06.016Z  -  app[4242]  connect tcp 10.0.0.7:5432 = ECONNREFUSED (connection refused)
        2001-02-03T04:05:06.017Z  -  app[4242]  connect tcp 10.0.0.8:5432 = ECONNREFUSED (connection refused); 8 times; succeeded later
        2001-02-03T04:05:06.018Z  -  app[4242]  connect tcp [::1]:5432 = ECONNREFUSED (connection refused)
        2001-02-03T04:05:06.019Z  -  app[4242]  connect unix "@bus" = ECONNREFUSED (connection refused)
        2001-02-03T04:05:06.020Z  -  app[4242]  connect AF_NETLINK = ECONNREFUSED (connection refused)
        2001-02-03T04:05:06.021Z  -  app[4242]  connect AF_PACKET = ECONNREFUSED (connection refused)
        2001-02-03T04:05:06.022Z  -  app[4242]  bind 0.0.0.0:80 = EACCES (permission denied)
        2001-02-03T04:05:06.023Z  -  app[4242]  recvfrom DNS question "db.example.com" to 10.96.0.10
        2001-02-03T04:05:06.024Z  -  app[4242]  recvfrom DNS answer from 10.96.0.10 to "db.example.com": NXDOMAIN, 0 records
        2001-02-03T04:05:06.025Z  -  app[4242]  9 earlier failed calls were overwritten in the recorder
        2001-02-03T04:05:06.026Z  -  app[4242]  stdout: "plain"
        2001-02-03T04:05:06.027Z  -  app[4242]  to another descriptor: "exec failed\xff"
        2001-02-03T04:05:06.028Z  -  app[4242]  stderr (the last 23 bytes of 87.8 KiB): | panic: no | ... 68.3 KiB not kept ... | exit status 2
        2001-02-03T04:05:06.029Z  -  app[4242]  SIGTERM from runc[90] (kill): no handler, the default action is taken
        2001-02-03T04:05:06.030Z  -  app[4242]  SIGSEGV from the kernel (SEGV_MAPERR at 0x10, where nothing is mapped): no handler, the default action is taken
        2001-02-03T04:05:06.031Z  -  app[4242]  SIGSYS from the kernel (SYS_SECCOMP: mount, system call 165): no handler, the default action is taken
        2001-02-03T04:05:06.032Z  -  app[4242]  out of memory: the kernel chose it to be killed; it held 62 MiB (address space 1 GiB); memory cgroup 31: 64 MiB used of a limit of 64 MiB; all in it are killed together
        2001-02-03T04:05:06.033Z  -  -  gap: 12 records of kind calls were lost
        2001-02-03T04:05:06.034Z  -  app[4242]  killed by SIGKILL; wrote 21 bytes to stderr; peak memory 10 MiB
        2001-02-03T04:05:06.035Z  -  app[4242]  killed by SIGSEGV (core dumped); peak memory 10 MiB; the recorder was not on from its first exec
        2001-02-03T04:05:06.036Z  -  app[4242]  exited with status 1; wrote 21 bytes to stderr; peak memory 10 MiB
        2001-02-03T04:05:06.037Z  -  app[4242]  exited with status 1; wrote 21 bytes to stderr; peak memory 10 MiB
        2001-02-03T04:05:06.038Z  -  app[4242]  started /usr/bin/app serve; the recorder came 351 s later
        2001-02-03T04:05:06.039Z  -  app[4242]  stderr (to /dev/null): "no such file"
        "#);
    }

    #[test]
    fn an_event_of_a_pod_says_whose_it_is() {
        let event = json!({
            "time": "2026-01-31T10:00:00.123456789Z", "offset_ns": 0, "kind": "fork", "forker_pid": 7,
            "process": {"comm": "app", "pid": 8},
            "k8s": {"namespace": {"name": "shop"}, "pod": {"name": "cart-0"}, "container": {"name": "cart"}},
        });
        let expected = "2026-01-31T10:00:00.123Z  shop/cart-0/cart  app[8]  forked by pid 7\n";
        assert_eq!(line(&event.to_string()), expected);
    }

    #[test]
    fn a_crash_and_a_gap_have_their_lines() {
        let (timeline, facts, verdict) = samples::missing_file();
        let mut crash = crash_object("0123456789ab", &timeline, &facts, &verdict);
        crash.crash.summary = "too\nmuch".to_owned();
        let crash = serde_json::to_string(&crash).unwrap();
        let expected = "2001-02-03T04:05:06.004Z  -  crash file_not_found: too\\nmuch\n";
        assert_eq!(line(&crash), expected);
        let gap = serde_json::to_string(&Gap::of_lines(3)).unwrap();
        assert_eq!(line(&gap), "-  -  -  gap: 3 lines were lost, they came too fast\n");
        assert_eq!(line("no \u{1b}json"), "no \\u{1b}json\n");
    }

    #[test]
    fn an_event_of_a_later_version_is_shown_as_far_as_it_is_known() {
        let event = json!({
            "time": "2026-01-31T10:00:00.123456789Z", "offset_ns": 0, "kind": "rumour", "heard": [1],
            "process": {"comm": "app", "pid": 8, "mood": "good"},
        });
        let expected = "2026-01-31T10:00:00.123Z  -  app[8]  rumour\n";
        assert_eq!(line(&event.to_string()), expected);
    }
}

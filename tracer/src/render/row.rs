//! One event as one line, made of its JSON (docs/events.md): for the page, and for `tracer events`. One of a later
//! version may have other fields: it is shown as far as it is understood, and nothing panics. It must not know
//! where it is shown: nothing is escaped.

use serde_json::Value;

use super::text::size;

/// Its columns.
pub struct Row {
    /// Seconds from the beginning of the life.
    pub offset: String,
    /// `app[4242]`
    pub who: String,
    pub what: String,
    /// What it is like: `bad`, `words`, `gap`, or empty.
    pub class: &'static str,
}

impl Row {
    pub fn of(entry: &Value) -> Self {
        let offset_ns = entry["offset_ns"].as_i64().unwrap_or(0);
        let kind = text(&entry["kind"]);
        Self {
            offset: seconds(offset_ns),
            who: if kind == "lost" { String::new() } else { process(&entry["process"]) },
            what: what(entry, &kind),
            class: match kind.as_str() {
                "exec_failed" | "signal" | "oom" => "bad",
                "exit" if entry["exit"]["code"] != 0 => "bad",
                "bind" if !entry["errno"].is_null() => "bad",
                "words" => "words",
                "lost" | "calls_forgotten" => "gap",
                _ => "",
            },
        }
    }
}

fn seconds(ns: i64) -> String {
    let sign = if ns < 0 { '-' } else { '+' };
    let us = ns.unsigned_abs() / 1000;
    format!("{sign}{}.{:06} s", us / 1_000_000, us % 1_000_000)
}

fn process(process: &Value) -> String {
    format!("{}[{}]", text(&process["comm"]), text(&process["pid"]))
}

fn what(entry: &Value, kind: &str) -> String {
    match kind {
        "exec" => {
            let path = text(&entry["process"]["executable"]["path"]);
            match words(&entry["process"]["command_args"]) {
                args if args.is_empty() => format!("exec {path}"),
                args => format!("exec {path}: {args}"),
            }
        }
        "exec_failed" => {
            let path = text(&entry["file"]["path"]);
            format!("exec {path} = {}", text(&entry["errno"]))
        }
        "found" => {
            let path = text(&entry["file"]["path"]);
            format!("ran already when the agent came: {path} {}", words(&entry["command_args"]))
        }
        "fork" => format!("forked by pid {}", text(&entry["forker_pid"])),
        "exit" => exit(&entry["exit"]),
        "signal" => format!(
            "{} ({}) from {}: {}, disposition {}",
            text(&entry["signal"]),
            text(&entry["code"]),
            process(&entry["sender"]),
            text(&entry["result"]),
            text(&entry["disposition"]),
        ),
        "threads" => threads(entry),
        "oom" => oom(entry),
        "bind" => {
            let result = result(&entry["errno"]);
            let port = text(&entry["port"]);
            let place = network(&entry["network"]).unwrap_or(format!("port {port}"));
            format!("{} {place}{result}", text(&entry["operation"]))
        }
        "call" => call(entry),
        "calls_forgotten" => {
            format!("gap: {} earlier failed calls were overwritten", text(&entry["count"]))
        }
        "words" => {
            let to = if entry["discarded"] == true { " (to /dev/null)" } else { "" };
            format!("{}{to}: {}", text(&entry["stream"]), text(&entry["text"]).trim_end())
        }
        "cgroup" => format!(
            "cgroup {} {}",
            text(&entry["cgroup"]["path"]),
            text(&entry["change"]).replace('_', " ")
        ),
        "lost" => {
            format!("gap: {} of kind {} were lost", text(&entry["count"]), text(&entry["of"]))
        }
        other => other.to_owned(),
    }
}

fn exit(exit: &Value) -> String {
    match exit["signal"].as_str() {
        Some(signal) if exit["core"] == true => format!("killed by {signal} (core dumped)"),
        Some(signal) => format!("killed by {signal}"),
        None => format!("exited with status {}", text(&exit["code"])),
    }
}

fn threads(entry: &Value) -> String {
    let threads = entry["threads"].as_array().map_or(&[][..], Vec::as_slice);
    let doing = threads.iter().map(|thread| match thread["syscall"]["name"].as_str() {
        Some(syscall) => format!("{} in {syscall}", text(&thread["state"])),
        None => text(&thread["state"]),
    });
    let doing: Vec<String> = doing.collect();
    format!("at that moment, of {} threads: {}", text(&entry["total"]), doing.join(", "))
}

fn oom(entry: &Value) -> String {
    let groups = entry["memory_cgroups"].as_array().map_or(&[][..], Vec::as_slice);
    let limited = groups.iter().filter(|group| !group["limit_bytes"].is_null());
    let limited: String = limited
        .map(|group| {
            let bytes = |key: &str| group[key].as_u64().map_or("?".to_owned(), size);
            format!("; a memory cgroup used {} of {}", bytes("usage_bytes"), bytes("limit_bytes"))
        })
        .collect();
    format!("out of memory: the kernel chose it to be killed{limited}")
}

fn call(entry: &Value) -> String {
    let about = entry["file"]["path"]
        .as_str()
        .map(|path| format!(" {path}"))
        .or_else(|| network(&entry["network"]).map(|place| format!(" {place}")))
        .or_else(|| dns(&entry["dns"]))
        .unwrap_or_default();
    format!("{}{about}{}", text(&entry["syscall"]["name"]), result(&entry["errno"]))
}

fn dns(dns: &Value) -> Option<String> {
    let name = dns["question"]["name"].as_str()?;
    Some(match dns["response_code"].as_str() {
        Some(code) => format!(" DNS answer to {name}: {code}"),
        None => format!(" DNS question {name}"),
    })
}

fn network(network: &Value) -> Option<String> {
    let sides = ["peer", "local"].iter().map(|side| &network[side]);
    let Some(side) = sides.into_iter().find(|side| side.is_object()) else {
        return network["family"].as_str().map(str::to_owned);
    };
    let transport = network["transport"].as_str().map_or(String::new(), |name| format!("{name} "));
    let address = text(&side["address"]);
    Some(match side["port"].as_u64() {
        Some(port) if address.contains(':') => format!("{transport}[{address}]:{port}"),
        Some(port) => format!("{transport}{address}:{port}"),
        None => format!("{transport}{address}"),
    })
}

fn result(errno: &Value) -> String {
    errno.as_str().map_or(String::new(), |errno| format!(" = {errno}"))
}

fn words(value: &Value) -> String {
    let words = value.as_array().map_or(&[][..], Vec::as_slice);
    words.iter().map(text).collect::<Vec<_>>().join(" ")
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => "?".to_owned(),
        Value::String(text) => text.clone(),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
    }
}

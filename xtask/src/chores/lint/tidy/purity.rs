//! What the pure parts must not reach for: files, network, processes, environment, clock. It must not know what any
//! of them computes.

use crate::chores::lint::source::Source;

/// The parts that get bytes, time and facts as arguments, and do nothing else. So does every file whose header says
/// that it is pure.
const PURE: [&str; 7] = [
    "gateway/src/wire",
    "gateway/src/router",
    "gateway/src/session",
    "tracer/src/node/agent/lives",
    "tracer/src/capture/decode",
    "tracer/src/diagnose/timeline",
    "tracer/src/diagnose/verdict",
];

/// How a pure part would reach outside: these words one after the other in any path.
const IMPURE: [&[&str]; 13] = [
    &["std", "fs"],
    &["std", "net", "TcpListener"],
    &["std", "net", "TcpStream"],
    &["std", "net", "UdpSocket"],
    &["std", "net", "*"],
    &["std", "env"],
    &["std", "process"],
    &["std", "*"],
    &["std", "time", "*"],
    &["SystemTime"],
    &["Instant"],
    &["rustix"],
    &["tokio"],
];

pub fn breaches(source: &Source) -> Vec<String> {
    if !is_pure(source) {
        return Vec::new();
    }
    let mut breaches = Vec::new();
    for named in &source.named {
        for outside in IMPURE.iter().filter(|outside| contains(&named.path, outside)) {
            let outside = outside.join("::");
            breaches.push(format!("{}:{}: {outside} in a pure part", source.path, named.line));
        }
    }
    breaches
}

fn is_pure(source: &Source) -> bool {
    let header: Vec<&str> = source.header().map(str::trim).collect();
    let header = header.join(" ");
    let says_so = |sentence: &str| {
        let rest = sentence.strip_prefix("Pure").or_else(|| sentence.strip_prefix("It is pure"));
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', ':', ';', ',']))
    };
    let in_a_pure_part = PURE.iter().any(|part| {
        let rest = source.path.strip_prefix(part);
        rest.is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
    });
    in_a_pure_part || header.split(". ").any(says_so)
}

fn contains(path: &[String], words: &[&str]) -> bool {
    path.windows(words.len()).any(|some| some == words)
}

#[cfg(test)]
mod tests {
    use super::super::tests::compare;
    use super::*;

    fn check(path: &str, text: &str, expected: &[&str]) {
        compare(&breaches(&Source::parse(path, text).unwrap()), expected);
    }

    #[test]
    fn pure_parts_do_not_reach_outside_but_their_tests_may() {
        let code = "//! x\nuse std::fs;\n#[cfg(test)]\nmod tests { use std::fs; }\n";
        check("tracer/src/diagnose/verdict/oom.rs", code, &["oom.rs:2: std::fs in a pure part"]);
        check("tracer/src/capture/decode.rs", code, &["decode.rs:2"]);
        check("tracer/src/decoder.rs", code, &[]);
    }

    #[test]
    fn code_below_the_tests_is_pure_too() {
        let code = "//! x\n#[cfg(test)]\nmod tests { use std::fs; }\nfn f() { std::fs::read(1) }\n";
        check("tracer/src/capture/decode.rs", code, &["decode.rs:4: std::fs"]);
    }

    #[test]
    fn a_file_that_calls_itself_pure_is_held_to_it() {
        let code = "//! Topics. It knows no peer.\n//! Pure.\nuse std::{io, time::Instant};\n";
        check("gateway/src/topic.rs", code, &["topic.rs:3: Instant in a pure part"]);
        let code = "//! Topics. It is\n//! pure, and knows no peer.\nuse std::fs;\n";
        check("gateway/src/topic.rs", code, &["std::fs"]);
        let code = "//! Pure: time is passed in.\nuse std::fs;\n";
        check("gateway/src/topic.rs", code, &["std::fs"]);
        check("gateway/src/topic.rs", "//! Pure as snow.\nuse std::fs;\n", &[]);
    }

    #[test]
    fn no_group_and_no_socket_hides_what_is_outside() {
        let code = "//! Pure.\nuse std::{net::{IpAddr, TcpStream}, env::var};\n// std::fs\n";
        check("x.rs", code, &["x.rs:2: std::net::TcpStream", "x.rs:2: std::env"]);
    }
}

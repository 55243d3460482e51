//! How a file of Rust opens, what it is called, how long it is, and where code may be unsafe. It must not know what
//! any code does.

use std::path::Path;

use crate::chores::lint::source::Source;

const LONGEST_FILE: usize = 600;

/// File names that say where something is used, not what it is.
const EMPTY_NAMES: [&str; 5] = ["utils", "util", "helpers", "helper", "common"];

/// The only places whose code may be unsafe.
const UNSAFE_MAY_BE_IN: [&str; 3] =
    ["tracer-ebpf/", "tracer/src/capture/kernel/heap.rs", "gateway/src/life/heap.rs"];

pub fn breaches(source: &Source) -> Vec<String> {
    let mut breaches = Vec::new();
    let path = &source.path;
    if source.header().next().is_none() {
        breaches.push(format!("{path}:1: must open with `//!`: what it is, what it must not know"));
    }
    let stem = Path::new(path).file_stem().unwrap_or_default();
    let folders = Path::new(path).parent().into_iter().flat_map(Path::components);
    let mut names = folders.map(|folder| folder.as_os_str()).chain([stem]);
    if names.any(|name| EMPTY_NAMES.iter().any(|empty| name == *empty)) {
        breaches.push(format!("{path}: a name from the domain is missing"));
    }
    let lines = source.lines_of_code();
    if lines > LONGEST_FILE && !path.starts_with("tests/tests/") {
        breaches.push(format!("{path}: {lines} lines, {LONGEST_FILE} are the limit"));
    }
    if !UNSAFE_MAY_BE_IN.iter().any(|place| path.starts_with(place)) {
        for word in source.named.iter().filter(|word| word.path == [concat!("un", "safe")]) {
            let places = UNSAFE_MAY_BE_IN.join(" and ");
            breaches.push(format!("{path}:{}: unsafe code outside {places}", word.line));
        }
    }
    breaches
}

#[cfg(test)]
mod tests {
    use super::super::tests::compare;
    use super::*;

    fn check(path: &str, text: &str, expected: &[&str]) {
        compare(&breaches(&Source::parse(path, text).unwrap()), expected);
    }

    #[test]
    fn a_rust_file_opens_with_its_purpose() {
        check("tracer/src/x.rs", "fn f() {}\n", &["x.rs:1: must open"]);
        check("tracer/src/x.rs", "//! Purpose.\nfn f() {}\n", &[]);
    }

    #[test]
    fn code_is_unsafe_only_where_it_may_be() {
        let code = "//! x\n#![deny(unsafe_code)]\nconst A: &str = \"unsafe { }\"; // unsafe { }\n\
            #[cfg(test)]\nmod tests { fn f() { unsafe { g() } } }\nfn f() { vec![unsafe { g() }]; }\n";
        check("tracer/src/diagnose/facts/open.rs", code, &["open.rs:6: unsafe code outside"]);
        check("tracer-ebpf/src/main.rs", code, &[]);
    }

    #[test]
    fn only_code_counts_towards_the_longest_file() {
        let tests = format!("//! x\n\n#[cfg(test)]\nmod tests {{\n{}}}\n", "\n".repeat(900));
        check("tracer/src/x.rs", &tests, &[]);
        let below = format!("{tests}{}", "\n".repeat(599));
        check("tracer/src/x.rs", &below, &["601 lines"]);
    }

    #[test]
    fn names_come_from_the_domain() {
        check("tracer/src/utils.rs", "//! x\n", &["a name from the domain"]);
        check("tests/tests/common/mod.rs", "//! x\n", &["a name from the domain"]);
    }
}

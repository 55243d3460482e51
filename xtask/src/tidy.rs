//! The house rules that a machine can check, over the text of all sources. It reads files and
//! reports every breach; it knows nothing about cargo.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail};

use crate::tree;

/// Checks every file below `root`.
///
/// # Errors
///
/// When any rule is broken: the error lists all breaches, one a line.
pub fn check(root: &Path) -> Result<()> {
    let mut breaches = Vec::new();
    for path in tree::files(root)? {
        if !is_ours(&path) {
            continue;
        }
        let file = root.join(&path);
        let text =
            fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        breaches.extend(breaches_of(&path.to_string_lossy(), &text));
    }
    if breaches.is_empty() {
        return Ok(());
    }
    bail!("{} breaches of the house rules:\n{}", breaches.len(), breaches.join("\n"));
}

/// Files that people write: recordings and snapshots are made by programs.
fn is_ours(path: &Path) -> bool {
    let extension = path.extension().unwrap_or_default();
    ["rs", "toml", "md", "c", "h", "yaml", "yml", "go"].iter().any(|ours| extension == *ours)
}

const LONGEST_FILE: usize = 600;

/// File names that say where something is used, not what it is.
const EMPTY_NAMES: [&str; 5] = ["utils", "util", "helpers", "helper", "common"];

/// Paths of the machines that this was written on. Each is put together here, so that this file
/// does not break its own rule.
const MACHINE_PATHS: [&str; 3] =
    [concat!("/wo", "rk/"), concat!("/tmp", "/w/"), concat!("/root/.", "cargo")];

const UNFINISHED: [&str; 4] = [
    concat!("to", "do!("),
    concat!("un", "implemented!("),
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
];

/// The parts that get bytes, time and facts as arguments, and do nothing else.
const PURE: [&str; 6] = [
    "gateway/src/wire",
    "gateway/src/router",
    "gateway/src/session",
    "tracer/src/decode",
    "tracer/src/timeline",
    "tracer/src/verdict",
];

/// How a pure part would reach outside.
const IMPURE: [&str; 9] = [
    "std::fs",
    "std::net::Tcp",
    "std::net::Udp",
    "std::env",
    "std::process",
    "SystemTime",
    "Instant",
    "rustix",
    "tokio",
];

/// The only places whose code may be unsafe.
const UNSAFE_MAY_BE_IN: [&str; 2] = ["tracer-ebpf/", "tracer/src/kernel/heap.rs"];

/// What follows the word where it is code, not a reason given in a text.
const UNSAFE_CODE: [&str; 5] = [" {", " fn", " impl", " extern", "("];

fn breaches_of(path: &str, text: &str) -> Vec<String> {
    let mut breaches = every_file(path, text);
    if path.ends_with(".rs") {
        breaches.extend(rust_file(path, text));
    }
    breaches
}

fn every_file(path: &str, text: &str) -> Vec<String> {
    let mut breaches = Vec::new();
    for (number, line) in numbered(text) {
        for machine in MACHINE_PATHS.iter().filter(|machine| line.contains(**machine)) {
            breaches.push(format!("{path}:{number}: a path of one machine: {machine}"));
        }
        for word in UNFINISHED.iter().filter(|word| line.contains(**word)) {
            breaches.push(format!("{path}:{number}: unfinished: {word}"));
        }
    }
    breaches
}

fn rust_file(path: &str, text: &str) -> Vec<String> {
    let mut breaches = Vec::new();
    if !text.starts_with("//!") {
        breaches.push(format!("{path}:1: must open with `//!`: what it is, what it must not know"));
    }
    let stem = Path::new(path).file_stem().unwrap_or_default();
    let folders = Path::new(path).parent().into_iter().flat_map(Path::components);
    let mut names = folders.map(|folder| folder.as_os_str()).chain([stem]);
    if names.any(|name| EMPTY_NAMES.iter().any(|empty| name == *empty)) {
        breaches.push(format!("{path}: a name from the domain is missing"));
    }

    let code = without_tests(text);
    let lines = code.lines().count();
    if lines > LONGEST_FILE && !path.starts_with("tests/tests/") {
        breaches.push(format!("{path}: {lines} lines, {LONGEST_FILE} are the limit"));
    }
    let may_be_unsafe = UNSAFE_MAY_BE_IN.iter().any(|place| path.starts_with(place));
    let pure = PURE.iter().any(|part| {
        let rest = path.strip_prefix(part);
        rest.is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
    });
    for (number, line) in numbered(code) {
        let line = without_comment(line);
        if !may_be_unsafe && has_unsafe_code(line) {
            let places = UNSAFE_MAY_BE_IN.join(" and ");
            breaches.push(format!("{path}:{number}: unsafe code outside {places}"));
        }
        for outside in IMPURE.iter().filter(|outside| pure && has_word(line, outside)) {
            breaches.push(format!("{path}:{number}: {outside} in a pure part"));
        }
    }
    breaches
}

/// The text up to its test module, which rule 2 puts last.
fn without_tests(text: &str) -> &str {
    text.find("\n#[cfg(test)]\nmod ").map_or(text, |end| &text[..end])
}

fn without_comment(line: &str) -> &str {
    line.find("//").map_or(line, |start| &line[..start])
}

fn has_unsafe_code(line: &str) -> bool {
    line.split(concat!("un", "safe"))
        .skip(1)
        .any(|rest| UNSAFE_CODE.iter().any(|code| rest.starts_with(code)))
}

/// Whether `word` stands in the line as a word of its own.
fn has_word(line: &str, word: &str) -> bool {
    let part_of_word = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(start, _)| {
        let before = line[..start].chars().next_back();
        let after = line[start + word.len()..].chars().next();
        !before.is_some_and(part_of_word) && !after.is_some_and(part_of_word)
    })
}

fn numbered(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines().enumerate().map(|(index, line)| (index + 1, line))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_text(path: &str, text: &str, expected: &[&str]) {
        let found = breaches_of(path, text);
        assert_eq!(found.len(), expected.len(), "{found:?}");
        for (found, expected) in found.iter().zip(expected) {
            assert!(found.contains(expected), "{found:?} lacks {expected:?}");
        }
    }

    #[test]
    fn a_tidy_file_has_no_breach() {
        check_text("tracer/src/verdict/oom.rs", "//! Purpose.\nfn f() {} // std::fs\n", &[]);
    }

    #[test]
    fn a_rust_file_opens_with_its_purpose() {
        check_text("tracer/src/x.rs", "fn f() {}\n", &["x.rs:1: must open"]);
    }

    #[test]
    fn pure_parts_do_not_reach_outside_but_their_tests_may() {
        let code = "//! x\nuse std::fs;\n#[cfg(test)]\nmod tests { use std::fs; }\n";
        check_text("tracer/src/verdict/oom.rs", code, &["oom.rs:2: std::fs in a pure part"]);
        check_text("tracer/src/decode.rs", code, &["decode.rs:2"]);
        check_text("tracer/src/decoder.rs", code, &[]);
    }

    #[test]
    fn code_is_unsafe_only_where_it_may_be() {
        let code = "//! x\nfn f() { unsafe { g() } }\n#![deny(unsafe_code)]\n\"is unsafe; so\"\n";
        check_text("tracer/src/facts/open.rs", code, &["open.rs:2: unsafe code outside"]);
        check_text("tracer-ebpf/src/main.rs", code, &[]);
    }

    #[test]
    fn only_code_counts_towards_the_longest_file() {
        let tests = format!("//! x\n\n#[cfg(test)]\nmod tests {{\n{}}}\n", "\n".repeat(900));
        check_text("tracer/src/x.rs", &tests, &[]);
        let code = format!("//! x\n{}", "\n".repeat(600));
        check_text("tracer/src/x.rs", &code, &["601 lines"]);
    }

    #[test]
    fn nothing_is_unfinished_or_bound_to_one_machine() {
        let text = concat!("see /wo", "rk/main\n", "TO", "DO later\n");
        check_text("README.md", text, &["README.md:1: a path", "README.md:2: unfinished"]);
    }

    #[test]
    fn names_come_from_the_domain() {
        check_text("tracer/src/utils.rs", "//! x\n", &["a name from the domain"]);
        check_text("tests/tests/common/mod.rs", "//! x\n", &["a name from the domain"]);
    }

    #[test]
    fn the_whole_repository_keeps_the_rules() {
        check(&crate::workspace::root()).unwrap();
    }
}

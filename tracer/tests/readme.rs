//! The README's commands: each exists as it is written there, and the death it tells is told so today.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    process::Command,
};

const README: &str = include_str!("../../README.md");

/// Lines of the fenced `console` blocks.
fn console() -> impl Iterator<Item = &'static str> {
    let blocks = README.split("```console\n").skip(1);
    blocks.flat_map(|rest| rest.split("\n```").next().unwrap_or_default().lines())
}

/// The commands of those blocks, without `sudo`.
fn commands() -> Vec<Vec<OsString>> {
    console()
        .filter_map(|line| line.strip_prefix("$ "))
        .map(|line| words(line.strip_prefix("sudo ").unwrap_or(line)))
        .collect()
}

/// Splits a command line that quotes with single quotes alone.
fn words(line: &str) -> Vec<OsString> {
    let mut words = Vec::new();
    for (index, part) in line.split('\'').enumerate() {
        if index % 2 == 1 {
            words.push(part.into());
        } else {
            words.extend(part.split_whitespace().map(OsString::from));
        }
    }
    words
}

#[test]
fn every_command_of_the_readme_is_looked_at() {
    for command in commands() {
        let program = command[0].to_string_lossy().into_owned();
        let known = ["tracer", "cargo", "busybox", "gateway", "kind", "kubectl"];
        assert!(known.contains(&program.as_str()), "{command:?}");
    }
    assert!(commands().len() > 8);
}

#[test]
fn every_tracer_command_of_the_readme_is_accepted() {
    let plugin = |command: &Vec<OsString>| command[0] == "kubectl" && command[1] == "tracer";
    let of_plugin = commands().into_iter().filter(plugin).map(|command| command[1..].to_vec());
    for command in commands().into_iter().filter(|command| command[0] == "tracer").chain(of_plugin)
    {
        let parsed = tracer::cli::command().try_get_matches_from(&command);
        assert!(parsed.is_ok(), "{command:?}: {parsed:?}");
    }
}

#[test]
fn what_the_readme_applies_is_there() {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let applied = |command: &Vec<OsString>| command[1] == "apply";
    for command in commands().into_iter().filter(applied) {
        let kustomization = workspace.join(&command[3]).join("kustomization.yaml");
        assert!(kustomization.is_file(), "{command:?}");
    }
}

#[test]
fn every_chore_of_the_readme_exists() {
    let Some(cargo) = std::env::var_os("CARGO") else {
        return eprintln!("every_chore_of_the_readme_exists skipped: not run by cargo");
    };
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for command in commands().into_iter().filter(|command| command[0] == "cargo") {
        assert_eq!(command[1], "xtask", "{command:?}");
        let help = Command::new(&cargo)
            .current_dir(&workspace)
            .arg("xtask")
            .args(&command[2..])
            .arg("--help")
            .output()
            .expect("cargo can be run");
        let said = String::from_utf8_lossy(&help.stderr);
        assert!(help.status.success(), "{command:?}: {said}");
    }
}

#[test]
fn the_death_of_the_readme_is_told_as_it_stands_there() {
    let required =
        std::env::var_os("TRACER_TEST_PRIVILEGED").is_some_and(|value| value == "required");
    if let Some(why) = lack() {
        assert!(!required, "it cannot be provoked: {why}");
        return eprintln!("the_death_of_the_readme skipped: {why}");
    }
    // A network namespace of our own, in which the port is free, and a pid namespace that ends the server with it.
    let script =
        "busybox httpd -p 9443 && exec \"$0\" exec -- sh -c 'busybox httpd -f -p 9443 2>/dev/null'";
    let output = Command::new("unshare")
        .args(["--net", "--fork", "--kill-child", "--pid", "--mount-proc", "sh", "-c", script])
        .arg(binary())
        .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
        .output()
        .expect("unshare can be run");
    let now = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{now}");
    let written = console().collect::<Vec<_>>().join("\n");
    assert_eq!(verdict_of(&now), verdict_of(&written), "{now}");
}

/// Why the death cannot be provoked here.
fn lack() -> Option<String> {
    if !rustix::process::geteuid().is_root() {
        return Some("not run as root".to_owned());
    }
    if tracer::capture::kernel::object::bytes().is_none()
        && std::env::var_os("TRACER_BIN").is_none()
    {
        return Some("built without the eBPF object".to_owned());
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let missing = ["busybox", "unshare"]
        .into_iter()
        .find(|name| !folders.iter().any(|folder| folder.join(name).is_file()));
    missing.map(|name| format!("{name} is not in PATH"))
}

fn binary() -> PathBuf {
    std::env::var_os("TRACER_BIN")
        .map_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_tracer")), PathBuf::from)
}

/// The lines from `cause:` on, with every number but that of errors, ports and status replaced.
fn verdict_of(text: &str) -> Vec<String> {
    let verdict = text.lines().skip_while(|line| !line.starts_with("cause:"));
    let verdict = verdict.take_while(|line| !line.starts_with('$'));
    verdict.map(without_pids_and_indexes).filter(|line| !line.is_empty()).collect()
}

/// `busybox (pid 22430) ... [14, 16]` to `busybox (pid N) ... [N]`.
fn without_pids_and_indexes(line: &str) -> String {
    let line = line.rsplit_once(" [").filter(|(_, rest)| rest.ends_with(']')).map_or_else(
        || line.to_owned(),
        |(front, indexes)| {
            let plain =
                indexes.trim_end_matches(']').split(", ").all(|one| one.parse::<u32>().is_ok());
            if plain { format!("{front} [N]") } else { line.to_owned() }
        },
    );
    let mut parts = line.split("(pid ");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| {
        let rest = part.trim_start_matches(|c: char| c.is_ascii_digit());
        format!("{text}(pid N{rest}")
    })
}

//! The command line as its user sees it: help, usage errors, exit codes, `tracer doctor`. It must not know the library.

use std::process::{Command, Output};

/// Runs the program in a fixed environment.
fn tracer(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tracer"));
    command.args(arguments).env("COLUMNS", "100").env_remove("RUST_LOG").env_remove("NO_COLOR");
    command.output().expect("the program was built for this test")
}

/// Exit code, stdout and stderr in one text.
fn told(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    format!("exit {:?}\n--- stdout\n{stdout}--- stderr\n{stderr}", output.status.code())
}

fn check(arguments: &[&str]) -> String {
    told(&tracer(arguments))
}

#[test]
fn help_names_every_command() {
    insta::assert_snapshot!(check(&["--help"]));
}

#[test]
fn help_of_exec_says_its_exit_codes() {
    insta::assert_snapshot!(check(&["exec", "--help"]));
}

#[test]
fn help_of_crashes_says_who_is_asked() {
    insta::assert_snapshot!(check(&["crashes", "--help"]));
}

#[test]
fn help_of_doctor_says_its_exit_codes() {
    insta::assert_snapshot!(check(&["doctor", "--help"]));
}

#[test]
fn no_command_is_a_usage_error() {
    insta::assert_snapshot!(check(&[]));
}

#[test]
fn an_unknown_command_is_a_usage_error() {
    insta::assert_snapshot!(check(&["explode"]));
}

#[test]
fn exec_without_a_command_is_a_usage_error() {
    insta::assert_snapshot!(check(&["exec", "-o", "json"]));
}

#[test]
fn an_unknown_format_is_a_usage_error() {
    insta::assert_snapshot!(check(&["doctor", "-o", "yaml"]));
}

#[test]
fn the_entering_of_a_cgroup_is_not_for_people() {
    let output = tracer(&["__enter-cgroup"]);
    assert_eq!(output.status.code(), Some(125), "{}", told(&output));
    assert!(!told(&tracer(&["--help"])).contains("__enter-cgroup"));
}

#[test]
fn doctor_tells_json_and_nothing_else_with_or_without_root() {
    let output = tracer(&["doctor", "-o", "json"]);
    let document: serde_json::Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", told(&output)));
    let schema = serde_json::json!({
        "type": "object",
        "required": ["schema", "ok", "checks"],
        "additionalProperties": false,
        "properties": {
            "schema": { "const": 1 },
            "ok": { "type": "boolean" },
            "checks": { "type": "array", "minItems": 20, "items": {
                "type": "object",
                "required": ["name", "state", "found", "cost", "remedy"],
                "additionalProperties": false,
                "properties": {
                    "name": { "type": "string", "pattern": "^[a-z0-9_]+$" },
                    "state": { "enum": ["ok", "degraded", "missing"] },
                    "found": { "type": "string", "minLength": 1, "pattern": "^[^\\n]*$" },
                    "cost": { "type": "string" },
                    "remedy": { "type": "string" },
                },
            } },
        },
    });
    let validator = jsonschema::validator_for(&schema).expect("the schema is one");
    let errors: Vec<String> =
        validator.iter_errors(&document).map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{errors:?}: {document:#}");
    let expected = if document["ok"] == true { 0 } else { 1 };
    assert_eq!(output.status.code(), Some(expected), "{}", told(&output));
}

#[test]
fn doctor_has_no_colour_where_there_is_no_terminal() {
    let output = tracer(&["doctor"]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("container_runtimes") && !text.contains('\u{1b}'), "{text:?}");
}

#[test]
fn doctor_that_nobody_reads_ends_quietly() {
    let shell = format!("{} doctor | true", env!("CARGO_BIN_EXE_tracer"));
    let output = Command::new("sh").args(["-c", &shell]).output().expect("there is a shell");
    assert!(output.stderr.is_empty(), "{}", told(&output));
}

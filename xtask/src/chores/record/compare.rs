//! Whether a crash object says what its row of the table expects. It does not know how either came about.

use ::tests::{Death, End, Exit};
use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

/// Compares exit, cause, confidence, what must be said, and that nothing was lost.
pub fn with_table(death: &Death, object: &Value, says: &[String], end: &End) -> Result<()> {
    let crash = &object["crash"];
    let cause = crash["cause"].as_str().context("it names no cause")?;
    let summary = crash["summary"].as_str().unwrap_or_default();
    ensure!(cause == death.cause, "cause is {cause}, expected {}: {summary}", death.cause);
    let passed_on = i32::from(death.exit.passed_on());
    ensure!(
        matches!(end, End::Code(code) if *code == passed_on),
        "tracer ended with {end:?}, expected code {passed_on}"
    );
    if let Some(expected) = death.confidence {
        let confidence = &crash["confidence"];
        ensure!(confidence == expected, "confidence is {confidence}, expected {expected}");
    }
    for said in says {
        ensure!(contains(crash, said), "nothing in it says {said:?}: {summary}");
    }
    let exit = &object["exit"];
    let expected = match death.exit {
        // Nothing is expected of the exit of a command that never ran.
        Exit::NotRun(_) => exit.clone(),
        Exit::Code(code) => json!({ "code": code, "signal": null, "core": false }),
        Exit::Signal(name) => json!({ "code": null, "signal": name, "core": false }),
        Exit::Core(name) => json!({ "code": null, "signal": name, "core": true }),
    };
    ensure!(*exit == expected, "exit is {exit}, expected {expected}");
    ensure!(object["lost"] == 0, "{} records were lost", object["lost"]);
    Ok(())
}

/// Whether the summary, the evidence, the next step or the details say this.
fn contains(crash: &Value, said: &str) -> bool {
    ["summary", "evidence", "next_step", "details"].iter().any(|key| says(&crash[key], said))
}

fn says(value: &Value, said: &str) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(value) => value.to_string() == said,
        Value::Number(number) => number.to_string() == said,
        Value::String(string) => string.contains(said),
        Value::Array(items) => items.iter().any(|item| says(item, said)),
        Value::Object(members) => members.values().any(|member| says(member, said)),
    }
}

#[cfg(test)]
mod tests {
    use ::tests::deaths;

    use super::*;

    fn object() -> Value {
        json!({
            "crash": {
                "cause": "exited_with_error",
                "confidence": "likely",
                "summary": "ended with 3",
                "evidence": [{ "text": "exit", "timeline": [1] }],
                "next_step": "",
                "details": { "port": 9443 },
            },
            "exit": { "code": 3, "signal": null, "core": false },
            "lost": 0,
        })
    }

    #[test]
    fn what_the_row_expects_is_right() {
        let death = deaths::named("exit_3_silent").unwrap();
        let says = ["3".to_owned(), "9443".to_owned()];
        with_table(death, &object(), &says, &End::Code(3)).unwrap();
    }

    #[test]
    fn each_difference_is_named() {
        let death = deaths::named("exit_3_silent").unwrap();
        let check = |object: &Value, says: &[String], code| {
            with_table(death, object, says, &End::Code(code)).unwrap_err().to_string()
        };
        assert!(check(&object(), &["libssl".to_owned()], 3).contains("nothing in it says"));
        assert!(check(&object(), &[], 1).contains("expected code 3"));
        let mut lossy = object();
        lossy["lost"] = json!(2);
        assert!(check(&lossy, &[], 3).contains("2 records were lost"));
        let mut other = object();
        other["crash"]["cause"] = json!("oom_killed");
        assert!(check(&other, &[], 3).contains("cause is oom_killed"));
    }
}

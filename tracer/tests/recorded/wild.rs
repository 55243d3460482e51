//! The wild set, replayed: recorded deaths of programs that nobody tuned the tracer for, each with the answer that was
//! written down before it happened. It must not know how the deaths were provoked.

use serde_json::to_value;
use tests::wild::{families, score};
use tracer::render::crash_object;

use crate::deaths::{self, check};

/// Deaths that get a verdict that is not right, as long as that is not mended; docs/verdicts.md tells of each.
const MISSES: &[&str] = &[
    "clisp_no_tariff_after_probes",
    "elixir_match_error_names_no_file",
    "fish_unknown_command",
    "fortran_grid_missing",
    "git_clone_ssh_host_unknown",
    "go_panic_wraps_read_only",
    "honcho_process_refused",
    "java_key_store_missing",
    "node_mysql_hides_the_refusal",
    "tcsh_undefined_variable",
];

#[test]
fn every_wild_death_gets_its_right_answer() {
    let deaths = deaths::wild();
    let (mut wrong, mut missing) = (Vec::new(), Vec::new());
    let families = families().unwrap();
    for answer in families.iter().flat_map(|family| &family.deaths) {
        let Some(death) = deaths.iter().find(|death| death.name == answer.name) else {
            missing.push(&answer.name);
            continue;
        };
        let object = crash_object("0123456789ab", &death.timeline, &death.facts, &death.verdict());
        let scored = score::score(&to_value(object).unwrap(), answer).unwrap();
        if let Some((fault, why)) = scored.fault {
            let line = format!("{}: {}: {why}: {}", answer.name, fault.name(), scored.summary);
            // Shown by `--nocapture`.
            println!("{line}");
            wrong.push(line);
        }
    }
    assert!(missing.is_empty(), "not recorded (cargo xtask wild --record): {missing:?}");
    check(&wrong, MISSES);
}

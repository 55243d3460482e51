//! The wild set, replayed: recorded deaths of programs that nobody tuned the tracer for, each with the answer that was
//! written down before it happened. It must not know how the deaths were provoked.

use serde_json::to_value;
use tests::wild::{families, score};
use tracer::render::crash_object;

use crate::deaths::{self, check};

/// Deaths that get a verdict that is not right, as long as that is not mended. Nothing may be added.
const MISSES: &[&str] = &[];

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

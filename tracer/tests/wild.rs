//! The wild set, replayed: recorded deaths of programs that nobody tuned the tracer for, each with the answer that was
//! written down before it happened. It must not know how the deaths were provoked.
#![allow(clippy::unwrap_used, reason = "a broken recording must fail the test where it is broken")]

mod recorded;

use serde_json::to_value;
use tests::wild::{families, score};
use tracer::render::crash_object;

/// Deaths that get a verdict that is not right, as long as that is not mended. Nothing may be added.
const MISSES: &[&str] = &[];

#[test]
fn every_wild_death_gets_its_right_answer() {
    let deaths = recorded::wild();
    let (mut wrong, mut mended, mut missing) = (Vec::new(), Vec::new(), Vec::new());
    let families = families().unwrap();
    for answer in families.iter().flat_map(|family| &family.deaths) {
        let Some(death) = deaths.iter().find(|death| death.name == answer.name) else {
            missing.push(&answer.name);
            continue;
        };
        let object = crash_object("0123456789ab", &death.timeline, &death.facts, &death.verdict());
        let scored = score::score(&to_value(object).unwrap(), answer).unwrap();
        let is_known = MISSES.contains(&&*answer.name);
        match scored.fault {
            Some((fault, why)) if !is_known => {
                wrong.push(format!("{}: {}: {why}: {}", answer.name, fault.name(), scored.summary));
            }
            None if is_known => mended.push(&answer.name),
            Some(_) | None => {}
        }
    }
    assert!(missing.is_empty(), "not recorded (cargo xtask wild --record): {missing:?}");
    assert!(wrong.is_empty(), "{} are wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert!(mended.is_empty(), "right by now, so take them off the list: {mended:?}");
}

//! The table of deaths without a tracer: every scene must die as its row says, else nothing that a tracer says about it
//! proves anything.

use tests::{Death, Stage, deaths};

#[test]
fn every_scene_dies_as_its_table_says() {
    let required = std::env::var_os("TRACER_TEST_PRIVILEGED").is_some_and(|v| v == "required");
    let mut wrong = Vec::new();
    for death in deaths() {
        match death.lack() {
            Some((need, why)) if required && !need.may_be_missing() => {
                wrong.push(format!("{}: cannot run: {why}", death.name));
            }
            Some((_, why)) => eprintln!("{}: skipped: {why}", death.name),
            None => wrong.extend(die(death).err().map(|e| format!("{}: {e:#}", death.name))),
        }
    }
    assert!(wrong.is_empty(), "{} of the scenes are wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn every_death_has_a_name_of_its_own() {
    let mut names: Vec<&str> = deaths().map(|death| death.name).collect();
    names.sort_unstable();
    let all = names.len();
    names.dedup();
    assert_eq!(names.len(), all);
}

fn die(death: &Death) -> anyhow::Result<()> {
    let started = std::time::Instant::now();
    let stage = Stage::new()?;
    let ran = (death.scene)(&stage)?.run::<&str>(&[])?;
    let words = String::from_utf8_lossy(&ran.stderr);
    anyhow::ensure!(
        death.exit.is(&ran.end),
        "expected {:?}, got {:?} after it said: {words}",
        death.exit,
        ran.end
    );
    for word in death.words {
        anyhow::ensure!(words.contains(word), "it did not say {word:?}, but: {words}");
    }
    eprintln!("{}: {:?} in {:?}: {}", death.name, ran.end, started.elapsed(), words.trim_end());
    Ok(())
}

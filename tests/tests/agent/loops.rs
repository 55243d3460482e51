//! Crash loops: the table of pods, each container dying three times.

use anyhow::{Result, ensure};
use tests::cri::{Around, ContainerSpec, Ended, Pod, PodSpec};
use tests::pods::{self, CONTAINER, PodDeath};

use crate::crash::Crash;
use crate::world::World;

const RESTARTS: u32 = 2;

#[test]
fn each_crash_loop_is_told_with_its_pod_restart_count_and_cause_under_runc_and_crun() -> Result<()>
{
    let Some(world) = World::here("crash loops", Around::Network)? else { return Ok(()) };
    let mut wrong = Vec::new();
    for (runtime, namespace) in [("runc", "macula-system"), ("crun", "macula-crun")] {
        for death in pods::DEATHS {
            let begun = std::time::Instant::now();
            let checked = played(death, &world, runtime, namespace);
            eprintln!("{} under {runtime}: {:?}", death.name, begun.elapsed());
            let told =
                checked.err().map(|error| format!("{} under {runtime}: {error:#}", death.name));
            wrong.extend(told);
        }
    }
    ensure!(wrong.is_empty(), "{} of the loops are wrong:\n{}", wrong.len(), wrong.join("\n"));
    Ok(())
}

#[test]
fn a_loop_whose_cause_changes_says_what_it_was_before() -> Result<()> {
    let Some(world) = World::here("a changing loop", Around::Network)? else { return Ok(()) };
    let pod = Pod::run(&world.containerd, PodSpec::new("macula", "changing"))?;
    let silent = ContainerSpec::new(CONTAINER, &["/victim", "exit", "3"]);
    let faulty = ContainerSpec::new(CONTAINER, &["/victim", "segfault", "0"]);
    pod.crash_loop(2, |attempt| pod.start(if attempt == 0 { &silent } else { &faulty }, attempt))?;
    for (attempt, previous, same) in [(1, "exited_with_error", false), (2, "segfault", true)] {
        let told = Crash::wait(&world, "macula", "changing", CONTAINER, attempt)?;
        let again = &told.0["crash"]["details"]["crash_loop"];
        ensure!(again["previous_cause"] == previous, "attempt {attempt}: {again}");
        ensure!(again["same_cause"] == same, "attempt {attempt}: {again}");
    }
    Ok(())
}

fn played(death: &PodDeath, world: &World, runtime: &str, namespace: &str) -> Result<()> {
    let ends = death.play_under(&world.containerd, runtime, namespace, RESTARTS)?;
    for end in &ends {
        Crash::wait(world, namespace, death.name, CONTAINER, end.started.attempt)?;
    }
    let all = Crash::all(world)?;
    let here = all.iter().filter(|crash| crash.namespace() == namespace);
    let ours: Vec<&Crash> = here.filter(|crash| crash.place() == (death.name, CONTAINER)).collect();
    ensure!(ours.len() == ends.len(), "{} crashes of {} lives", ours.len(), ends.len());
    for end in &ends {
        let told = ours.iter().find(|crash| crash.container_id() == end.started.id);
        let Some(told) = told else { anyhow::bail!("nothing of container {}", end.started.id) };
        compare(death, world, end, told)?;
    }
    Ok(())
}

fn compare(death: &PodDeath, world: &World, end: &Ended, told: &Crash) -> Result<()> {
    let attempt = end.started.attempt;
    ensure!(told.scope() == "life", "it is told of a {}", told.scope());
    ensure!(told.attempt() == Some(attempt.into()), "restart count is {:?}", told.attempt());
    ensure!(end.started.id.starts_with(told.id()), "the crash's id is {}", told.id());
    ensure!(
        told.cause() == death.cause,
        "attempt {attempt}: cause is {}: {}",
        told.cause(),
        told.0
    );
    let verdict = told.whole(world)?;
    for said in death.says {
        ensure!(verdict.contains(said), "attempt {attempt}: nothing says {said:?}: {verdict}");
    }
    // An entrypoint that was never executed has the runtime's code, which no process ended with.
    if end.started.refused.is_none() {
        let code = told.exit_code();
        ensure!(code == Some(death.exit_code.into()), "attempt {attempt}: exit code {code:?}");
    }
    let again = &told.0["crash"]["details"]["crash_loop"];
    if attempt == 0 {
        ensure!(again.is_null(), "a first crash is no loop: {again}");
    } else {
        ensure!(again["crashes"] == attempt + 1, "attempt {attempt}: {again}");
        ensure!(again["previous_cause"] == death.cause, "attempt {attempt}: {again}");
    }
    Ok(())
}

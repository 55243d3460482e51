//! Which pods are told of at all.

use anyhow::{Result, ensure};
use tests::cri::{Around, ContainerSpec, Pod, PodSpec};

use crate::crash::Crash;
use crate::world::World;

#[test]
fn only_selected_pods_are_told_of() -> Result<()> {
    let options = ["--select", "macula:app=macula-gateway"];
    let Some(world) = World::with("a selection", Around::Network, &options)? else { return Ok(()) };
    let gateway = ContainerSpec::new("gateway", &["/victim", "exit", "3"]);
    let die = |namespace: &str, name: &str, app: &str| -> Result<()> {
        let pod = Pod::run(&world.containerd, PodSpec::new(namespace, name).label("app", app))?;
        pod.crash_loop(0, |attempt| pod.start(&gateway, attempt))?;
        Ok(())
    };
    die("macula", "another-app", "database")?;
    die("default", "another-namespace", "macula-gateway")?;
    // Last, so that the others would have been told of by then.
    die("macula", "selected", "macula-gateway")?;
    Crash::wait(&world, "macula", "selected", "gateway", 0)?;
    let all = Crash::all(&world)?;
    ensure!(all.len() == 1, "{all:?}");
    for line in world.agent.lines() {
        let pod = &line["k8s"]["pod"]["name"];
        ensure!(pod.is_null() || pod == "selected", "a line of a pod that is not selected: {line}");
    }
    Ok(())
}

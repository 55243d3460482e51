//! Several nodes on one kernel, as in kind: an agent on each, in its node's PID, mount and cgroup namespaces.

use anyhow::{Context, Result, ensure};
use tests::cri::{Around, ContainerSpec, Pod, PodSpec};

use crate::crash::Crash;
use crate::world::World;

#[test]
fn two_agents_on_one_kernel_see_their_own_pods_only() -> Result<()> {
    let Some(first) = World::here("two agents", Around::Node)? else { return Ok(()) };
    let second = World::here("two agents", Around::Node)?.context("the first was started")?;
    let mut ids = Vec::new();
    // Pods of one name, so that nothing but the container tells them apart.
    for (world, code) in [(&first, "3"), (&second, "4")] {
        let pod = Pod::run(&world.containerd, PodSpec::new("macula", "gateway-0"))?;
        let gateway = ContainerSpec::new("gateway", &["/victim", "exit", code]);
        let ends = pod.crash_loop(1, |attempt| pod.start(&gateway, attempt))?;
        ids.push(ends.into_iter().map(|end| end.started.id).collect::<Vec<_>>());
    }
    for (world, ids, code) in [(&first, &ids[0], 3), (&second, &ids[1], 4)] {
        for attempt in 0..2 {
            Crash::wait(world, "macula", "gateway-0", "gateway", attempt)?;
        }
        let all = Crash::all(world)?;
        ensure!(all.len() == 2, "{} crashes of two lives: {all:?}", all.len());
        for crash in &all {
            ensure!(ids.iter().any(|id| id == crash.container_id()), "another node's: {crash:?}");
            ensure!(crash.exit_code() == Some(code), "it ended with {:?}", crash.exit_code());
            crash.whole(world)?;
        }
    }
    Ok(())
}

#[test]
fn an_agent_on_a_node_names_facts_of_the_container() -> Result<()> {
    let Some(world) = World::here("facts on a node", Around::Node)? else { return Ok(()) };
    let pod = Pod::run(&world.containerd, PodSpec::new("macula", "gateway-0"))?;
    let gateway = ContainerSpec::new("gateway", &["/victim", "open", "/etc/key.pem"]).user(1000);
    pod.crash_loop(0, |attempt| pod.start(&gateway, attempt))?;
    let told = Crash::wait(&world, "macula", "gateway-0", "gateway", 0)?;
    ensure!(told.cause() == "permission_denied", "cause is {}", told.cause());
    let verdict = told.whole(&world)?;
    // The mode can only be known by looking at the file, through the node's /proc.
    for said in ["/etc/key.pem", "1000", "0600"] {
        ensure!(verdict.contains(said), "nothing says {said:?}: {verdict}");
    }
    verdict.check_exit(Some(1), None, false)?;
    ensure!(verdict.confidence() == "proven", "it is {}", verdict.confidence());
    Ok(())
}

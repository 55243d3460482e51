//! Pods whose containers begin no PID namespace of their own: nothing but the runtime's own doing tells which process is
//! the main one.

use anyhow::{Context, Result, ensure};
use tests::cri::{Around, ContainerSpec, Pod, PodSpec};

use crate::crash::Crash;
use crate::world::World;

/// Ways to die: the command, the cause, what ended.
const DEATHS: [(&[&str], &str, i64); 4] = [
    (&["/victim", "open", "/etc/key.pem"], "permission_denied", 1),
    (&["/victim", "segfault", "0"], "segfault", 139),
    (&["/opt/server"], "exec_not_found", 128),
    (&["/victim", "exit", "0"], "exited_by_itself", 0),
];

#[test]
fn a_pod_in_the_hosts_pid_namespace_or_with_a_shared_one_is_told_as_any_other() -> Result<()> {
    let Some(world) = World::here("PID namespaces", Around::Network)? else { return Ok(()) };
    for runtime in ["runc", "crun"] {
        let spec = |name: &str| PodSpec::new(runtime, name).under(runtime);
        each_death_is_told(&world, spec("host").on_host_pids())
            .with_context(|| format!("hostPID under {runtime}"))?;
        each_death_is_told(&world, spec("shared").sharing_pids())
            .with_context(|| format!("shareProcessNamespace under {runtime}"))?;
    }
    let all = Crash::all(&world)?;
    ensure!(all.len() == 4 * (DEATHS.len() + 1), "{} crashes: {all:?}", all.len());
    Ok(())
}

fn each_death_is_told(world: &World, spec: PodSpec) -> Result<()> {
    let pod = Pod::run(&world.containerd, spec)?;
    let (namespace, name) = (pod.namespace(), pod.name());
    // It lives on, and sees the one that dies.
    let ready = pod.ready("ready")?;
    let beside = ContainerSpec::new("beside", &["/victim", "wait-handling", "/pod/ready", "5"]);
    let beside = pod.start(&beside, 0)?;
    ready.wait_alone()?;
    for (attempt, (command, cause, code)) in (0..).zip(DEATHS) {
        let started = pod.start(&ContainerSpec::new("gateway", command).user(1000), attempt)?;
        pod.end_of(&started.id)?;
        let told = Crash::wait(world, namespace, name, "gateway", attempt)?;
        ensure!(told.container_id() == started.id, "it is told of {}", told.container_id());
        let verdict = told.whole(world)?;
        ensure!(told.cause() == cause, "{cause}: {verdict}");
        // One that was never executed has no program, and the runtime's code.
        if started.refused.is_none() {
            ensure!(told.exit_code() == Some(code), "{cause}: {:?}", told.exit_code());
            let main = &verdict.object()["process"];
            ensure!(main["executable"]["path"] == "/victim", "the main process is {main}");
        }
    }
    pod.stop(&beside.id, 30)?;
    let told = Crash::wait(world, namespace, name, "beside", 0)?;
    ensure!(told.cause() == "stopped_by_runtime", "cause is {}", told.cause());
    ensure!(told.exit_code() == Some(5), "it ended with {:?}", told.exit_code());
    Ok(())
}

//! Pods whose containers begin no PID namespace of their own: nothing but the runtime's own doing tells which process is
//! the main one.

use anyhow::{Result, ensure};
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
fn a_pod_in_the_hosts_pid_namespace_is_told_as_any_other() -> Result<()> {
    each_death_is_told("hostPID", PodSpec::on_host_pids)
}

#[test]
fn a_pod_whose_containers_share_their_processes_is_told_as_any_other() -> Result<()> {
    each_death_is_told("shareProcessNamespace", PodSpec::sharing_pids)
}

fn each_death_is_told(test: &str, namespaces: fn(PodSpec) -> PodSpec) -> Result<()> {
    let Some(world) = World::here(test, Around::Network)? else { return Ok(()) };
    for runtime in ["runc", "crun"] {
        let spec = PodSpec::new("macula", runtime).under(runtime);
        let pod = Pod::run(&world.containerd, namespaces(spec))?;
        // It lives on, and sees the one that dies.
        let ready = pod.ready("ready")?;
        let beside = ContainerSpec::new("beside", &["/victim", "wait-handling", "/pod/ready", "5"]);
        let beside = pod.start(&beside, 0)?;
        ready.wait_alone()?;
        for (attempt, (command, cause, code)) in (0..).zip(DEATHS) {
            let gateway = ContainerSpec::new("gateway", command).user(1000);
            let started = pod.start(&gateway, attempt)?;
            pod.end_of(&started.id)?;
            let told = Crash::wait(&world, "macula", runtime, "gateway", attempt)?;
            ensure!(told.container_id() == started.id, "it is told of {}", told.container_id());
            ensure!(told.cause() == cause, "{runtime}, {cause}: {}", told.0);
            let verdict = told.whole(&world)?;
            // One that was never executed has no program, and the runtime's code.
            if started.refused.is_none() {
                ensure!(told.exit_code() == Some(code), "{cause}: {:?}", told.exit_code());
                let program = &verdict.object()["process"]["executable"]["path"];
                ensure!(
                    program == "/victim",
                    "the main process is {}",
                    verdict.object()["process"]
                );
            }
        }
        pod.stop(&beside.id, 30)?;
        let told = Crash::wait(&world, "macula", runtime, "beside", 0)?;
        ensure!(told.cause() == "stopped_by_runtime", "cause is {}", told.cause());
        ensure!(told.exit_code() == Some(5), "it ended with {:?}", told.exit_code());
    }
    let all = Crash::all(&world)?;
    ensure!(all.len() == 2 * (DEATHS.len() + 1), "{} crashes: {all:?}", all.len());
    Ok(())
}

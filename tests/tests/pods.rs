//! The harness that runs real pods, without a tracer: what the tests of the agent rely on.

use std::collections::BTreeSet;
use std::time::Instant;

use anyhow::{Result, ensure};
use tests::cri::{Around, ContainerSpec, Containerd, NEEDS, Pod, PodSpec};
use tests::{need, pods};

const RUNTIMES: [&str; 2] = ["runc", "crun"];

#[test]
fn a_pod_runs_says_its_words_ends_with_its_status_and_is_gone() -> Result<()> {
    if !need::met("a pod", NEEDS) {
        return Ok(());
    }
    let begun = Instant::now();
    let containerd = Containerd::start(Around::Network)?;
    eprintln!("containerd is ready after {:?}", begun.elapsed());

    let begun = Instant::now();
    let pod = Pod::run(&containerd, PodSpec::new("macula", "gateway-0"))?;
    eprintln!("the sandbox runs after {:?}", begun.elapsed());

    let begun = Instant::now();
    let command = ["/victim", "exit", "3", "no realm is configured"];
    let gateway = ContainerSpec::new("gateway", &command);
    let ends = pod.crash_loop(2, |attempt| pod.start(&gateway, attempt))?;
    eprintln!("three lives took {:?}", begun.elapsed());
    let codes: Vec<i32> = ends.iter().map(|end| end.status.exit_code).collect();
    ensure!(codes == [3, 3, 3], "exit codes {codes:?}");
    ensure!(
        pod.log("gateway", 2)? == "no realm is configured\n",
        "it said {:?}",
        pod.log("gateway", 2)
    );

    let begun = Instant::now();
    drop(pod);
    eprintln!("it was gone after {:?}", begun.elapsed());
    ensure!(containerd.client().containers(None)?.is_empty(), "containers are left");
    ensure!(containerd.client().pod_sandboxes()?.is_empty(), "sandboxes are left");
    let left = std::fs::read_dir(containerd.cgroup_root().join("besteffort"))?;
    ensure!(left.flatten().all(|entry| !entry.path().is_dir()), "cgroups are left");
    let (socket, cgroups) = (containerd.socket(), containerd.cgroup_root());
    let begun = Instant::now();
    drop(containerd);
    eprintln!("containerd was gone after {:?}", begun.elapsed());
    ensure!(!socket.exists() && !cgroups.exists(), "files or cgroups are left");
    Ok(())
}

#[test]
fn two_nodes_on_one_machine_run_pods_of_the_same_name() -> Result<()> {
    if !need::met("two nodes", NEEDS) {
        return Ok(());
    }
    let nodes = [Containerd::start(Around::Node)?, Containerd::start(Around::Node)?];
    for (node, code) in nodes.iter().zip([3, 4]) {
        let pod = Pod::run(node, PodSpec::new("macula", "gateway-0"))?;
        let code = code.to_string();
        let gateway = ContainerSpec::new("gateway", &["/victim", "exit", &code]);
        let ends = pod.crash_loop(0, |attempt| pod.start(&gateway, attempt))?;
        ensure!(ends[0].status.exit_code.to_string() == code, "it ended with {:?}", ends[0].status);
    }
    Ok(())
}

#[test]
fn every_pod_dies_as_its_table_says_under_runc_and_crun() -> Result<()> {
    if !need::met("the table of pods", NEEDS) {
        return Ok(());
    }
    let containerd = Containerd::start(Around::Network)?;
    let mut wrong = Vec::new();
    for (runtime, death) in
        RUNTIMES.iter().flat_map(|runtime| pods::DEATHS.iter().map(move |death| (runtime, death)))
    {
        let begun = Instant::now();
        match death.play_under(&containerd, runtime, "macula", 1) {
            Ok(ends) => {
                let (reason, took) = (&ends[0].status.reason, begun.elapsed());
                eprintln!("{} under {runtime}: {reason}, {took:?}", death.name);
            }
            Err(error) => wrong.push(format!("{} under {runtime}: {error:#}", death.name)),
        }
    }
    ensure!(wrong.is_empty(), "{} of the pods are wrong:\n{}", wrong.len(), wrong.join("\n"));
    let names: BTreeSet<&str> = pods::DEATHS.iter().map(|death| death.name).collect();
    ensure!(names.len() == pods::DEATHS.len(), "two pods of one name");
    Ok(())
}

#[test]
fn a_container_is_in_its_pods_cgroup_where_an_agent_watches() -> Result<()> {
    if !need::met("cgroups of pods", NEEDS) {
        return Ok(());
    }
    let containerd = Containerd::start(Around::Network)?;
    for runtime in RUNTIMES {
        let pod = Pod::run(&containerd, PodSpec::new("macula", runtime).under(runtime))?;
        let ready = pod.ready("ready")?;
        let waits = ContainerSpec::new("gateway", &["/victim", "wait", "/pod/ready"]);
        let started = pod.start(&waits, 0)?;
        ready.wait_alone()?;
        let cgroup = format!("besteffort/pod{}/{}/cgroup.procs", pod.uid(), started.id);
        let inside = std::fs::read_to_string(containerd.cgroup_root().join(cgroup))?;
        ensure!(inside.lines().count() == 1, "under {runtime}: {inside:?}");
    }
    Ok(())
}

#[test]
fn a_hundred_pods_live_at_once() -> Result<()> {
    if !need::met("a hundred pods", NEEDS) {
        return Ok(());
    }
    let containerd = Containerd::start(Around::Network)?;
    let begun = Instant::now();
    let ended = pods::many(&containerd, "macula", 100)?;
    eprintln!("a hundred pods took {:?}", begun.elapsed());
    ensure!(ended.len() == 100, "only {} ended", ended.len());
    Ok(())
}

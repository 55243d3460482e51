//! The right cause for the right reason: what else could explain a failure is told apart.

use crate::{
    capture::event::Object,
    diagnose::{
        facts::model::{FileState, Holder, PathFact, PortFact},
        verdict::{
            Cause,
            Confidence::{Likely, Proven},
            scene::Scene,
        },
    },
    linux::{errno::Errno, signal::Signal},
};

/// Killed while its container's limit of 512 MiB was full.
fn out_of_memory(
    command: &str,
    open_files: u64,
    total_vm: u64,
    written: u64,
    age_ms: u64,
) -> String {
    let (mut scene, main) = Scene::running(command);
    scene.after_ms(age_ms).oom_with(main, &[(512, Some(512))], |oom| {
        (oom.anon_bytes, oom.total_vm_bytes) = (500 << 20, total_vm);
        (oom.written, oom.open_files_limit) = (Some(written), Some(open_files));
    });
    scene.dies(main, Signal::SIGKILL);
    if written > 0 {
        scene.says(main, "listening\n");
    }
    scene.verdict().next_step
}

#[test]
fn the_limit_of_descriptors_is_blamed_only_where_it_explains_the_size() {
    let huge = 1 << 30;
    assert!(
        out_of_memory("/usr/lib/erlang/beam.smp", huge, 16 << 30, 0, 100).contains("ulimit -n")
    );
    for (command, open_files, total_vm, written, age_ms) in [
        ("/usr/bin/node app.js", huge, 16 << 30, 0, 100),
        ("/usr/bin/java -jar app.jar", huge, 16 << 30, 0, 100),
        ("/app/goserver", 1 << 20, 1 << 30, 0, 100),
        ("/app/goserver", huge, 2 << 30, 10, 100),
        ("/app/server", huge, 2 << 30, 0, 3_600_000),
    ] {
        let next_step = out_of_memory(command, open_files, total_vm, written, age_ms);
        assert!(!next_step.contains("ulimit -n"), "{command}: {next_step}");
    }
}

#[test]
fn missing_huge_pages_are_no_matter_of_overcommit() {
    let (mut scene, main) = Scene::running("/usr/lib/postgresql/bin/postgres");
    scene.call(main, "mmap", Errno::ENOMEM, Object::None, [0, 1 << 27, 3, 0x4_0021, u64::MAX]);
    scene.says(
        main,
        "FATAL:  could not map anonymous shared memory: mmap: Cannot allocate memory\n",
    );
    scene.exits(main, 1);
    let verdict = scene.verdict();
    assert_eq!(verdict.cause, Cause::MemoryAllocationFailed, "{}", verdict.summary);
    assert!(verdict.summary.contains("huge pages"), "{}", verdict.summary);
    assert!(!verdict.next_step.contains("overcommit"), "{}", verdict.next_step);
    let (mut scene, main) = Scene::running("/app/server");
    scene.call(main, "mmap", Errno::ENOMEM, Object::None, [0, 1 << 27, 3, 0x4_0021, u64::MAX]);
    scene.says(main, "OSError: [Errno 12] Cannot allocate memory\n").exits(main, 1);
    let verdict = scene.verdict();
    assert_eq!((verdict.cause, verdict.confidence), (Cause::MemoryAllocationFailed, Likely));
}

#[test]
fn a_port_that_the_process_had_bound_itself_is_told_so() {
    let (mut scene, main) = Scene::running("/app/server");
    scene.binds(main, "tcp 127.0.0.1:8080", None);
    scene.binds(main, "tcp 127.0.0.1:8080", Some(Errno::EADDRINUSE)).exits(main, 1);
    let verdict = scene.verdict();
    assert!(verdict.summary.contains("which it had bound itself before"), "{}", verdict.summary);
}

#[test]
fn a_listener_of_the_other_family_is_named() {
    for (refused, listens, told) in [
        ("[::1]:6379", "tcp 127.0.0.1:6379", true),
        ("127.0.0.1:6379", "tcp [::1]:6379", true),
        ("[::1]:6379", "tcp 127.0.0.1:6380", false),
        ("10.0.0.1:6379", "tcp [::1]:6379", false),
    ] {
        let (mut scene, shell) = Scene::running("/bin/sh /entry.sh");
        let server = scene.runs(shell, "/usr/bin/redis-server");
        scene.listens(server, listens);
        let client = scene.runs(shell, "/app/client");
        scene.fails_to(client, "connect", refused, Errno::ECONNREFUSED);
        scene.exits(client, 3).exits(shell, 3);
        let verdict = scene.expect(Cause::ConnectionRefused, Likely);
        assert_eq!(verdict.summary.contains("listens on"), told, "{}", verdict.summary);
    }
}

#[test]
fn a_port_that_a_connection_of_the_pod_got_is_told_so() {
    let (mut scene, main) = Scene::running("/app/server");
    scene.binds(main, "tcp 0.0.0.0:40000", Some(Errno::EADDRINUSE)).exits(main, 1);
    let holder = |pid| Holder {
        address: "10.0.0.5:40000".into(),
        peer: Some("10.0.0.9:5432".into()),
        pid,
        comm: "sidecar".into(),
        command: "sidecar --db".into(),
    };
    for (pid, text) in [(Some(7), "sidecar --db (pid 7) to 10.0.0.9:5432"), (None, "being closed")]
    {
        let fact =
            PortFact { protocol: "tcp".into(), port: 40000, net_ns: 2, holders: vec![holder(pid)] };
        scene.facts.ports = vec![fact];
        let verdict = scene.expect(Cause::BindAddressInUse, Proven);
        assert!(verdict.summary.contains(text), "{}", verdict.summary);
        assert!(!verdict.next_step.contains("Stop"), "{}", verdict.next_step);
    }
}

fn missing_behind_link(
    path: &str,
    resolved: &str,
    prefix: &str,
) -> crate::diagnose::verdict::Verdict {
    let (mut scene, main) = Scene::running("/app/server");
    scene.fails_at(main, "openat", path, Errno::ENOENT).exits(main, 1);
    let file = FileState::Missing { existing_prefix: prefix.into() };
    let (path, resolved) = (path.into(), resolved.into());
    scene.facts.paths.push(PathFact { path, resolved, file, ..PathFact::default() });
    scene.expect(Cause::FileNotFound, Likely)
}

#[test]
fn a_dangling_link_names_its_target() {
    let verdict = missing_behind_link("/etc/app.conf", "/data/app.conf", "/");
    assert!(verdict.summary.contains("leads to /data/app.conf"), "{}", verdict.summary);
    assert_eq!(verdict.details["link_target"], "/data/app.conf");
    let verdict = missing_behind_link(
        "/config/app.yaml",
        "/config/..2026_01_31/app.yaml",
        "/config/..2026_01_31",
    );
    assert!(verdict.next_step.contains("a key app.yaml"), "{}", verdict.next_step);
    let verdict = missing_behind_link("/etc/app.conf", "/etc/app.conf", "/etc");
    assert!(!verdict.summary.contains("symbolic link"), "{}", verdict.summary);
}

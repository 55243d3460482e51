//! The entrypoint was never exec'd, and the dynamic loader.

use crate::{
    capture::event::{Stream, What},
    diagnose::{
        facts::model::{
            Executable, ExecutableKind, FileState, LoaderReport, MissingLibrary, MissingSymbol,
            MissingVersion,
        },
        verdict::{
            Cause,
            Confidence::{Likely, Proven},
            scene::Scene,
        },
    },
    linux::errno::Errno,
};

fn file(path: &str, mode: u32, kind: ExecutableKind) -> Executable {
    let file =
        FileState::Present { file_type: "regular".into(), mode, uid: 0, gid: 0, size_bytes: 10 };
    Executable { path: path.into(), file, kind, ..Executable::default() }
}

fn missing(prefix: &str) -> FileState {
    FileState::Missing { existing_prefix: prefix.into() }
}

#[test]
fn a_command_that_does_not_exist_was_never_found() {
    let mut scene = Scene::new();
    let main = scene.init();
    scene.exec_fails(main, "/app/gatway", Errno::ENOENT).exits(main, 127);
    scene.expect(Cause::ExecNotFound, Likely);
    let executable =
        Executable { path: "/app/gatway".into(), file: missing("/app"), ..Executable::default() };
    scene.facts.executables.push(executable);
    let verdict = scene.expect(Cause::ExecNotFound, Proven);
    assert!(verdict.summary.contains("/app/gatway does not exist"), "{}", verdict.summary);
}

#[test]
fn in_the_hosts_pid_namespace_an_init_is_known_by_the_runtime_that_is_its_parent() {
    let mut scene = Scene::new();
    let first = scene.init();
    let runtime = scene.init();
    let outside = scene.of(runtime);
    (outside.tracked, outside.root, outside.runtime_init) = (false, false, false);
    outside.comm = "runc".into();
    scene.fails(runtime, "lseek", Errno::ESPIPE);
    // It runs a copy of itself once it is in the cgroup.
    scene.execs(first, "runc init");
    let init = scene.forks_container(first, runtime);
    let namespace = scene.of(first).pid_ns;
    (scene.of(init).pid_ns, scene.of(init).container_pid) = (namespace, init.0);
    scene.exits(first, 0);
    scene.fails_at(init, "newfstatat", "/opt/server", Errno::ENOENT).exits(init, 1);
    scene.expect(Cause::ExecNotFound, Likely);
}

#[test]
fn a_command_in_no_folder_of_path_was_never_found() {
    let mut scene = Scene::new();
    let main = scene.init();
    for folder in ["/usr/local/bin", "/usr/bin", "/bin"] {
        scene.exec_fails(main, &format!("{folder}/gatway"), Errno::ENOENT);
    }
    scene.exits(main, 127);
    let verdict = scene.expect(Cause::ExecNotFound, Proven);
    assert!(verdict.summary.contains("no gatway in any folder of PATH"), "{}", verdict.summary);
    assert_eq!(verdict.evidence[0].timeline.len(), 3);
}

#[test]
fn a_missing_elf_interpreter_is_named() {
    let mut scene = Scene::new();
    let main = scene.init();
    scene.exec_fails(main, "/app/glibc", Errno::ENOENT).exits(main, 127);
    scene.facts.executables.push(file(
        "/app/glibc",
        0o755,
        ExecutableKind::Elf {
            machine: "x86-64".into(),
            native: true,
            interpreter: Some("/lib64/ld-linux-x86-64.so.2".into()),
            interpreter_file: Some(missing("/")),
        },
    ));
    let verdict = scene.expect(Cause::ExecInterpreterMissing, Proven);
    assert!(verdict.summary.contains("/lib64/ld-linux-x86-64.so.2"), "{}", verdict.summary);
}

#[test]
fn a_carriage_return_in_the_first_line_is_named() {
    let mut scene = Scene::new();
    let main = scene.init();
    scene.exec_fails(main, "/entrypoint.sh", Errno::ENOENT).exits(main, 127);
    scene.facts.executables.push(file(
        "/entrypoint.sh",
        0o755,
        ExecutableKind::Script {
            interpreter: "/bin/sh\r".into(),
            argument: None,
            interpreter_file: missing("/bin"),
        },
    ));
    let verdict = scene.expect(Cause::ExecInterpreterMissing, Proven);
    assert!(verdict.summary.contains("CRLF"), "{}", verdict.summary);
    assert_eq!(verdict.details["carriage_return"], true);
}

#[test]
fn a_script_without_the_x_bit_may_not_be_executed() {
    let mut scene = Scene::new();
    let main = scene.init();
    scene.exec_fails(main, "/entrypoint.sh", Errno::EACCES).exits(main, 126);
    scene.facts.executables.push(file("/entrypoint.sh", 0o644, ExecutableKind::Unknown));
    let verdict = scene.expect(Cause::ExecPermissionDenied, Proven);
    assert!(verdict.summary.contains("no execute bit (mode 0644)"), "{}", verdict.summary);
}

#[test]
fn a_foreign_machine_is_named() {
    let mut scene = Scene::new();
    let main = scene.init();
    scene.exec_fails(main, "/app/x", Errno::ENOEXEC).exits(main, 126);
    scene.facts.machine.arch = "x86_64".into();
    scene.facts.executables.push(file(
        "/app/x",
        0o755,
        ExecutableKind::Elf {
            machine: "aarch64".into(),
            native: false,
            interpreter: None,
            interpreter_file: None,
        },
    ));
    let verdict = scene.expect(Cause::ExecFormatError, Proven);
    assert!(verdict.summary.contains("built for aarch64"), "{}", verdict.summary);
}

#[test]
fn a_runtime_init_that_only_looked_is_a_failed_entrypoint() {
    let mut scene = Scene::new();
    let main = scene.init();
    for folder in ["/usr/local/bin", "/usr/bin", "/bin"] {
        scene.fails_at(main, "newfstatat", &format!("{folder}/gatway"), Errno::ENOENT);
    }
    scene.words(
        main,
        Stream::Init,
        r#"{"Err":"exec: \"gatway\": executable file not found in $PATH"}"#,
    );
    scene.exits(main, 1);
    let verdict = scene.expect(Cause::ExecNotFound, Proven);
    assert!(verdict.summary.contains("no gatway in any folder of PATH"), "{}", verdict.summary);
}

#[test]
fn a_missing_x_bit_that_caused_no_failed_call_is_known_from_the_bundle() {
    let mut scene = Scene::new();
    let main = scene.init();
    scene
        .words(main, Stream::Init, r#"{"Err":"exec: \"/app/run\": permission denied"}"#)
        .exits(main, 1);
    scene.facts.executables.push(file("/app/run", 0o644, ExecutableKind::Unknown));
    let verdict = scene.expect(Cause::ExecPermissionDenied, Proven);
    assert!(verdict.summary.contains("mode 0644"), "{}", verdict.summary);
}

#[test]
fn the_container_of_a_tracked_runc_is_blamed_rather_than_runc() {
    let (mut scene, runc) = Scene::running("/usr/sbin/runc run box");
    let stage = scene.runs(runc, "/proc/self/exe init");
    let init = scene.forks_container(stage, runc);
    scene.exits(stage, 0);
    scene.fails_at(init, "newfstatat", "/app/gatway", Errno::ENOENT);
    scene.words(
        init,
        Stream::Init,
        r#"exec: "/app/gatway": stat /app/gatway: no such file or directory"#,
    );
    scene.exits(init, 255).exits(runc, 1);
    let verdict = scene.expect(Cause::ExecNotFound, Proven);
    assert_eq!(verdict.blamed, scene.id(init));
}

/// As runc 1.1 and crun 1.8 write it into the pipe to their parent.
const SAID_BY_RUNC: &str = concat!(
    "E\0\0\0{\"type\":\"procHooks\",\"fd\":-1}{\"type\":\"procReady\",\"fd\":-1}",
    "{\"type\":\"procError\",\"fd\":-1}",
    r#"{"message":"exec: \"/opt/server\": stat /opt/server: no such file or directory"}"#
);
const SAID_BY_CRUN: &str =
    "\0\0\0\0\0\0\0\0\u{1}\0\0\0\u{2}\0\0\0executable file `/opt/server` not found in $PATH\0";

#[test]
fn a_lookup_and_the_runtimes_word_for_it_prove_that_the_command_is_absent() {
    for (call, said) in [("newfstatat", SAID_BY_RUNC), ("access", SAID_BY_CRUN)] {
        let mut scene = Scene::new();
        let init = scene.init();
        scene.fails_at(init, "openat", "/etc/passwd", Errno::ENOENT);
        scene.fails_at(init, call, "/opt/server", Errno::ENOENT);
        scene.words(init, Stream::Init, said).exits(init, 1);
        let verdict = scene.verdict();
        assert_eq!((verdict.cause, verdict.confidence), (Cause::ExecNotFound, Proven), "{said}");
        assert_eq!(verdict.details["path"], "/opt/server");
        assert_eq!(verdict.evidence[0].timeline.len(), 2);
        // One of the two alone is no proof.
        assert_eq!(scene.without_words().verdict().confidence, Likely);
        scene.events.retain(|event| !matches!(event.what, What::Call(_)));
        assert_eq!(scene.verdict().confidence, Likely);
    }
}

#[test]
fn an_execve_and_the_runtimes_word_for_it_may_be_about_the_interpreter() {
    let mut scene = Scene::new();
    let init = scene.init();
    scene.exec_fails(init, "/opt/server", Errno::ENOENT);
    let said = r#"{"message":"exec /opt/server: no such file or directory"}"#;
    scene.words(init, Stream::Init, said).exits(init, 1);
    scene.expect(Cause::ExecNotFound, Likely);
}

#[test]
fn a_crun_that_was_run_by_descriptor_is_a_runtime_whose_init_only_looked() {
    let (mut scene, crun) = Scene::running("/usr/bin/crun run box");
    scene.execs(crun, "/usr/bin/crun run box");
    if let Some(What::Exec(exec)) = scene.events.last_mut().map(|event| &mut event.what) {
        exec.path = "/dev/fd/3".into();
    }
    let init = scene.forks_container(crun, crun);
    scene.fails_at(init, "openat", "/etc/passwd", Errno::ENOENT);
    scene.fails_at(init, "access", "/start.sh", Errno::EACCES);
    scene.exits(init, 1);
    scene.fails_at(crun, "openat", "/state/status", Errno::ENOENT).exits(crun, 1);
    let verdict = scene.expect(Cause::ExecPermissionDenied, Likely);
    assert_eq!(verdict.blamed, scene.id(init));
}

#[test]
fn what_an_init_looked_for_before_other_failures_is_not_the_entrypoint() {
    let (mut scene, runc) = Scene::running("/usr/sbin/runc run box");
    let init = scene.forks_container(runc, runc);
    scene.fails_at(init, "newfstatat", "/bundle/rootfs/x", Errno::ENOENT);
    scene.fails_at(init, "openat", "/etc/group", Errno::ENOENT);
    scene.exits(init, 1).exits(runc, 1);
    assert_ne!(scene.verdict().cause, Cause::ExecNotFound);
}

#[test]
fn a_shells_127_after_lookups_along_path_is_likely_not_found() {
    let (mut scene, shell) = Scene::running("/bin/sh -c gatway");
    for folder in ["/usr/local/bin", "/usr/bin", "/bin"] {
        scene.fails_at(shell, "newfstatat", &format!("{folder}/gatway"), Errno::ENOENT);
    }
    scene.says(shell, "sh: 1: gatway: not found\n").exits(shell, 127);
    let verdict = scene.expect(Cause::ExecNotFound, Likely);
    assert_eq!(verdict.details["command"], "gatway");
}

#[test]
fn a_forked_shell_that_cannot_exec_is_blamed_with_its_path() {
    let (mut scene, shell) = Scene::running("/bin/bash /entry.sh");
    let child = scene.forks(shell);
    scene.exec_fails(child, "/app/run", Errno::EACCES).exits(child, 126).exits(shell, 126);
    scene.facts.executables.push(file("/app/run", 0o640, ExecutableKind::Unknown));
    let verdict = scene.expect(Cause::ExecPermissionDenied, Likely);
    assert_eq!(verdict.blamed, scene.id(child));
}

#[test]
fn a_launcher_that_finds_no_program_is_a_failed_entrypoint() {
    let (mut scene, tini) = Scene::running("/sbin/tini -- gatway");
    let child = scene.forks(tini);
    for folder in ["/usr/bin", "/bin"] {
        scene.exec_fails(child, &format!("{folder}/gatway"), Errno::ENOENT);
    }
    scene.says(child, "[FATAL tini (7)] exec gatway failed: No such file or directory\n");
    scene.exits(child, 127).exits(tini, 127);
    scene.expect(Cause::ExecNotFound, Proven);
}

#[test]
fn a_wrapper_of_unknown_name_that_ends_with_127_ran_nothing() {
    let (mut scene, wrapper) = Scene::running("/app/start --");
    scene.exec_fails(wrapper, "/app/gatway", Errno::ENOENT).exits(wrapper, 127);
    scene.expect(Cause::ExecNotFound, Likely);
}

fn library(name: &str) -> LoaderReport {
    let missing = MissingLibrary {
        name: name.into(),
        needed_by: "/app/server".into(),
        searched: vec!["/lib".into(), "/usr/lib".into()],
    };
    LoaderReport {
        executable: "/app/server".into(),
        missing: vec![missing],
        ..LoaderReport::default()
    }
}

#[test]
fn a_library_that_the_loader_found_nowhere_is_missing() {
    let (mut scene, main) = Scene::running("/app/server");
    for folder in ["/lib", "/usr/lib"] {
        scene.fails_at(main, "openat", &format!("{folder}/libgreeting.so.2"), Errno::ENOENT);
    }
    scene.says(main, "error while loading shared libraries: libgreeting.so.2: cannot open\n");
    scene.exits(main, 127);
    scene.expect(Cause::SharedLibraryMissing, Proven);
    scene.facts.loader = Some(library("libgreeting.so.2"));
    let verdict = scene.expect(Cause::SharedLibraryMissing, Proven);
    assert!(
        verdict.summary.contains("libgreeting.so.2, which /app/server needs"),
        "{}",
        verdict.summary
    );
}

#[test]
fn a_plugins_missing_library_is_likely_when_the_end_follows() {
    let (mut scene, main) = Scene::running("/app/host");
    scene.after_ms(3000);
    for folder in ["/lib", "/usr/lib"] {
        scene.fails_at(main, "openat", &format!("{folder}/libgone.so.1"), Errno::ENOENT);
    }
    scene.exits(main, 2);
    scene.expect(Cause::SharedLibraryMissing, Likely);
}

#[test]
fn a_version_that_the_library_lacks_is_named() {
    let (mut scene, main) = Scene::running("/app/server");
    scene
        .says(main, "/app/server: /lib/libc.so.6: version `GLIBC_2.99' not found\n")
        .exits(main, 1);
    scene.facts.loader = Some(LoaderReport {
        executable: "/app/server".into(),
        versions: vec![MissingVersion {
            version: "GLIBC_2.99".into(),
            library: "libc.so.6".into(),
            library_path: "/lib/libc.so.6".into(),
            needed_by: "/app/server".into(),
            highest: Some("GLIBC_2.36".into()),
        }],
        ..LoaderReport::default()
    });
    let verdict = scene.expect(Cause::LibraryVersionMismatch, Proven);
    assert!(verdict.summary.contains("which ends at GLIBC_2.36"), "{}", verdict.summary);
}

#[test]
fn a_symbol_that_no_library_defines_is_named() {
    let (mut scene, main) = Scene::running("/app/server");
    scene.fails_at(main, "openat", "/app/libc.so.6", Errno::ENOENT);
    scene
        .says(main, "symbol lookup error: /app/server: undefined symbol: greet\n")
        .exits(main, 127);
    let symbols = vec![MissingSymbol { symbol: "greet".into(), needed_by: "/app/server".into() }];
    let executable = "/app/server".into();
    scene.facts.loader = Some(LoaderReport { executable, symbols, ..LoaderReport::default() });
    let verdict = scene.expect(Cause::LibraryVersionMismatch, Proven);
    assert_eq!(verdict.details["symbol"], "greet");
}

#[test]
fn a_library_that_was_found_in_another_folder_is_not_missing() {
    let (mut scene, main) = Scene::running("/app/server");
    scene.fails_at(main, "openat", "/app/libssl.so.3", Errno::ENOENT);
    scene.fails_at(main, "openat", "/app/libc.so.6", Errno::ENOENT);
    scene.says(main, "licence expired\n").exits(main, 1);
    let executable = "/app/server".into();
    let found = vec!["libssl.so.3".into(), "libc.so.6".into()];
    scene.facts.loader = Some(LoaderReport { executable, found, ..LoaderReport::default() });
    assert_ne!(scene.verdict().cause, Cause::SharedLibraryMissing);
}

#[test]
fn a_report_on_the_loader_is_no_cause_of_a_late_death() {
    let (mut scene, main) = Scene::running("/app/server");
    scene.facts.loader = Some(library("liboptional.so"));
    scene.after_ms(60_000).exits(main, 1);
    scene.expect(Cause::ExitedWithError, Proven);
}

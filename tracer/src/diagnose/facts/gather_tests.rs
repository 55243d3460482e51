//! Tests of the gatherer on real processes.

use std::{fs, net::TcpListener};

use super::*;
use crate::{
    capture::event::{Bind, Exec, ExecFailed, Exit, Process},
    diagnose::facts::{
        model::{ExecutableKind, FileState},
        process_dir::{
            ProcessDir,
            tests::{process_of, sleeper},
        },
    },
    linux::signal::{Signal, SignalCode},
    render::samples,
};

const CGROUP: u64 = 77;

fn event(process: &Process, what: What) -> Event {
    Event { time_ns: process.id.start_ns + 1, cgroup: CGROUP, process: process.clone(), what }
}

fn exec(process: &Process, path: &str) -> Event {
    // As the kernel tells it of every exec; the processes of these tests live in our own namespace.
    let own = || ProcessDir::open_pid(std::process::id()).ok();
    let seen = ProcessDir::of(process).ok().or_else(own);
    let mount_ns = seen.and_then(|dir| dir.namespace("ns/mnt"));
    let exec = Exec {
        path: Text::from(path),
        args: Vec::new(),
        mount_ns: mount_ns.unwrap_or(0),
        device: 0,
        inode: 0,
        ..samples::exec()
    };
    event(process, What::Exec(exec))
}

fn exec_failed(process: &Process, path: &str) -> Event {
    let failed = ExecFailed {
        errno: Errno::ENOENT,
        path: Text::from(path),
        path_truncated: false,
        args: Vec::new(),
        args_truncated: false,
        dirfd: None,
    };
    event(process, What::ExecFailed(failed))
}

fn exit(process: &Process, code: u8) -> Event {
    let exit = Exit { cwd: Some(Text::from("/")), ..samples::exit(samples::code(code)) };
    event(process, What::Exit(exit))
}

fn failed_open(process: &Process, path: &str) -> Event {
    event(process, What::Call(samples::call("open", Errno::ENOENT, samples::path(path))))
}

fn timeline(main: &Process, entries: Vec<Event>) -> Timeline {
    Timeline {
        main: main.id,
        began_ns: main.id.start_ns,
        processes: HashMap::from([(main.id, main.clone())]),
        entries,
        lost: 0,
    }
}

#[test]
fn facts_of_a_dead_process_come_from_what_was_held() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("missing.toml");
    let path = path.to_str().unwrap();
    let (mut child, main) = sleeper();
    let mut gatherer = Gatherer::new();
    let mut entries = vec![exec(&main, "/bin/sh")];
    gatherer.observe(&entries[0]);
    child.end();
    entries.extend([failed_open(&main, path), exit(&main, 1)]);
    gatherer.observe(&entries[2]);
    let facts = gatherer.finish(&timeline(&main, entries));
    assert_eq!(facts.missing, [""; 0]);
    assert!(!facts.mounts.is_empty() && facts.machine.memory_bytes.is_some());
    assert_eq!(facts.paths.len(), 1);
    let prefix = Text::from(dir.path().to_str().unwrap());
    assert_eq!(facts.paths[0].file, FileState::Missing { existing_prefix: prefix });
    assert!(facts.paths[0].mount.as_ref().unwrap().size_bytes.is_some());
    assert!(matches!(facts.executables[0].kind, ExecutableKind::Elf { native: true, .. }));
    let loader = facts.loader.unwrap();
    assert!(loader.missing.is_empty() && loader.versions.is_empty());
}

#[test]
fn a_pid_used_again_is_never_held() {
    let (_child, mut main) = sleeper();
    main.id.start_ns += 1_000_000_000;
    main.parent_pid = 1;
    let mut gatherer = Gatherer::new();
    let entries = vec![exec(&main, "/bin/sh"), failed_open(&main, "/nothing")];
    gatherer.observe(&entries[0]);
    let facts = gatherer.finish(&timeline(&main, entries));
    assert_eq!(facts.missing, [GONE]);
    assert!(facts.paths.is_empty() && facts.executables.is_empty());
}

#[test]
fn a_failing_exec_is_described_while_its_process_lives_and_after() {
    let dir = tempfile::tempdir().unwrap();
    let script = dir.path().join("run");
    fs::write(&script, "#!/no/such/interpreter\n").unwrap();
    let script = script.to_str().unwrap();
    let (mut child, main) = sleeper();
    let mut gatherer = Gatherer::new();
    gatherer.observe(&exec_failed(&main, script));
    gatherer.observe(&exec_failed(&main, script));
    child.end();
    gatherer.observe(&exec_failed(&main, "/no/such/program"));
    let facts = gatherer.finish(&timeline(&main, vec![exec_failed(&main, script)]));
    assert_eq!(facts.executables.len(), 2);
    let ExecutableKind::Script { interpreter_file, .. } = &facts.executables[0].kind else {
        panic!("{:?}", facts.executables[0]);
    };
    assert_eq!(*interpreter_file, FileState::Missing { existing_prefix: Text::from("/") });
    assert_eq!(facts.executables[1].file, FileState::Missing { existing_prefix: Text::from("/") });
}

#[test]
fn a_child_that_ended_too_soon_saw_what_this_program_sees() {
    let (mut child, main) = sleeper();
    child.end();
    let mut gatherer = Gatherer::new();
    let entries = vec![exec(&main, "/bin/sh"), failed_open(&main, "/no/such/file")];
    gatherer.observe(&entries[0]);
    let facts = gatherer.finish(&timeline(&main, entries.clone()));
    assert_eq!(facts.paths[0].file, FileState::Missing { existing_prefix: Text::from("/") });
    let stranger = Process { parent_pid: 1, ..main };
    let mut gatherer = Gatherer::new();
    gatherer.observe(&exec(&stranger, "/bin/sh"));
    assert_eq!(gatherer.finish(&timeline(&stranger, entries)).missing, [GONE]);
}

#[test]
fn a_folder_stands_for_the_root_of_an_entrypoint_never_executed() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("app")).unwrap();
    let (mut child, main) = sleeper();
    child.end();
    let mut gatherer = Gatherer::new();
    gatherer.hold_folder(CGROUP, dir.path()).unwrap();
    let facts = gatherer.finish(&timeline(&main, vec![failed_open(&main, "/app/run")]));
    assert_eq!(facts.paths[0].file, FileState::Missing { existing_prefix: Text::from("/app") });
    gatherer.forget(CGROUP);
    let facts = gatherer.finish(&timeline(&main, vec![failed_open(&main, "/app/run")]));
    assert_eq!(facts.missing, [GONE]);
}

#[test]
fn who_holds_a_port_is_asked_at_the_failing_bind() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (_child, main) = sleeper();
    let bind = Bind {
        net_ns: ProcessDir::of(&main).unwrap().namespace("ns/net").unwrap(),
        ..samples::bind(Some(Errno::EADDRINUSE), &address.to_string())
    };
    let mut gatherer = Gatherer::new();
    let failing = event(&main, What::Bind(bind));
    gatherer.observe(&failing);
    drop(listener);
    gatherer.observe(&failing);
    let facts = gatherer.finish(&timeline(&main, vec![failing]));
    assert_eq!(facts.ports.len(), 1);
    assert_eq!(facts.ports[0].holders[0].pid, Some(std::process::id()));
}

#[test]
fn the_command_of_a_sender_from_outside_is_noted() {
    let (_child, main) = sleeper();
    let mut sender = process_of(std::process::id());
    (sender.tracked, sender.cgroup) = (false, 1);
    let signal = |sender: &Process| {
        let signal = samples::signal(Signal::SIGTERM, SignalCode::User, sender.clone());
        event(&main, What::Signal(signal))
    };
    let mut gatherer = Gatherer::new();
    for event in [signal(&sender), signal(&sender), signal(&main)] {
        gatherer.observe(&event);
    }
    let facts = gatherer.finish(&timeline(&main, vec![signal(&sender)]));
    assert_eq!(facts.senders.len(), 1);
    assert_eq!(facts.senders[0].pid, sender.id.pid);
    assert!(!facts.senders[0].command.is_empty());
}

#[test]
fn lives_beyond_the_bound_push_out_the_oldest() {
    let (_child, main) = sleeper();
    let mut gatherer = Gatherer::new();
    for cgroup in 0..LIVES_MAX as u64 + 3 {
        gatherer.observe(&Event { cgroup, ..exec_failed(&main, "x") });
        // Descriptors of a thousand lives are more than a test may have.
        for life in gatherer.lives.values_mut() {
            life.held.clear();
        }
    }
    assert_eq!(gatherer.lives.len(), LIVES_MAX);
    assert!(!gatherer.lives.contains_key(&0));
}

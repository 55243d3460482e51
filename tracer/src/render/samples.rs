//! Lives made up for the tests of the outputs, and one event of each kind, from which other tests make theirs.

use std::collections::HashMap;

use serde_json::Map;

use crate::{
    capture::event::{
        Address, After, Bind, Call, CgroupChange, Change, Delivery, Disposition, Dns, DnsAnswer,
        Event, Exec, ExecFailed, Exit, Fork, Found, Limits, Lost, LostKind, Memcg, MemoryUse,
        MoreLimits, Object, Oom, Process, ProcessId, Protocol, SignalEvent, Status, Stream, Thread,
        ThreadState, Threads, What, Words,
    },
    contract::Evidence,
    diagnose::{
        facts::model::{Facts, Machine},
        timeline::Timeline,
        verdict::{Cause, Confidence, Verdict},
    },
    linux::{
        errno::Errno,
        signal::{Signal, SignalCode},
        text::Text,
    },
};

pub fn main_process() -> Process {
    Process {
        id: ProcessId { pid: 4242, start_ns: 0 },
        tid: 4242,
        container_pid: 1,
        agent_pid: Some(4242),
        parent_pid: 4000,
        uid: 1000,
        gid: 1000,
        cgroup: u64::MAX,
        pid_ns: 4_026_532_000,
        seccomp: true,
        comm: Text::from("app"),
        tracked: true,
        root: true,
        runtime_init: false,
        kernel_thread: false,
        below_root: None,
        above: None,
    }
}

pub fn runtime() -> Process {
    Process {
        id: ProcessId { pid: 90, start_ns: 7 },
        tid: 90,
        comm: Text::from("runc"),
        tracked: false,
        ..main_process()
    }
}

pub fn event(time_ns: u64, what: What) -> Event {
    Event { time_ns, cgroup: 777, process: main_process(), what }
}

pub fn timeline(entries: Vec<Event>) -> Timeline {
    let main = main_process();
    Timeline {
        main: main.id,
        began_ns: 0,
        processes: HashMap::from([(main.id, main)]),
        entries,
        lost: 0,
    }
}

pub fn facts() -> Facts {
    let machine = Machine { boot_offset_ns: 981_173_106_000_000_000, ..Machine::default() };
    Facts { machine, ..Facts::default() }
}

pub fn exec() -> Exec {
    Exec {
        path: Text::from("/usr/bin/app"),
        args: ["app", "--config", "/etc/app.yml"].map(Text::from).to_vec(),
        args_truncated: false,
        args_length: 26,
        cap_effective: 0x3ff,
        mount_ns: 4_026_531_840,
        net_ns: 4_026_531_841,
        device: (8 << 20) | 1,
        inode: 123_456,
    }
}

pub fn exit(status: Status) -> Exit {
    Exit {
        status,
        cwd: Some(Text::from("/srv")),
        limits: Limits { open_files: Some(1_048_576), ..Limits::default() },
        max_rss_bytes: 10 << 20,
        written: Some([0, 21]),
        failed_calls: 40,
        forks: 0,
        cap_effective: 0x400,
        recorded: true,
        user_time_ns: 1_000_000,
        system_time_ns: 2_000_000,
        memory: None,
        more_limits: None,
        cap_bounding: None,
    }
}

pub fn code(code: u8) -> Status {
    Status { code: Some(code), signal: None, core: false }
}

pub fn killed(signal: Signal, core: bool) -> Status {
    Status { code: None, signal: Some(signal), core }
}

pub fn call(name: &'static str, errno: Errno, object: Object) -> Call {
    Call {
        seq: 40,
        number: 257,
        name,
        errno,
        args: [0xffff_ffff_ffff_ff9c, 0x7fff_0000_0010, 0, 0, 0],
        object,
        reported: false,
        protocol: None,
        after: After::default(),
    }
}

pub fn path(path: &str) -> Object {
    Object::Path { path: Text::from(path), truncated: false }
}

pub fn bind(errno: Option<Errno>, address: &str) -> Bind {
    let address = Address::Inet(address.parse().unwrap());
    Bind {
        listen: false,
        errno,
        fd: 3,
        address,
        protocol: Protocol::Tcp,
        port: 9443,
        reuse_address: true,
        reuse_port: false,
        net_ns: 4_026_531_841,
        family: 2,
        v6_only: false,
    }
}

pub fn signal(signal: Signal, code: SignalCode, sender: Process) -> SignalEvent {
    SignalEvent {
        signal,
        code,
        sender_exe: sender.comm.clone(),
        sender,
        result: Delivery::Delivered,
        disposition: Disposition::Default,
        group: true,
        syscall: None,
        address: None,
        instruction: Vec::new(),
    }
}

pub fn oom() -> Oom {
    let limited =
        Memcg { id: 31, usage_bytes: 64 << 20, limit_bytes: Some(64 << 20), oom_group: true };
    Oom {
        trigger: main_process(),
        total_vm_bytes: 1 << 30,
        file_bytes: 4096,
        anon_bytes: 62 << 20,
        shmem_bytes: 0,
        open_files_limit: Some(1_000_000_000),
        written: Some(0),
        oom_score_adj: -998,
        memcgs: vec![limited, Memcg { id: 1, limit_bytes: None, oom_group: false, ..limited }],
    }
}

pub fn words(stream: Stream, bytes: &[u8]) -> Words {
    let total_bytes = bytes.len().try_into().unwrap();
    let head = Text::default();
    let bytes = Text(bytes.to_vec());
    Words { stream, head, skipped_bytes: 0, bytes, total_bytes, discarded: false }
}

/// An application that ends because its configuration is missing.
pub fn missing_file() -> (Timeline, Facts, Verdict) {
    let open = call("openat", Errno::ENOENT, path("/etc/app.yml"));
    let timeline = timeline(vec![
        event(1_200_000, What::Exec(exec())),
        event(3_412_000, What::Call(open)),
        event(3_900_000, What::Words(words(Stream::Stderr, b"cannot read config!\n"))),
        event(4_100_000, What::Exit(exit(code(1)))),
    ]);
    let evidence = |text: &str, timeline: &[usize]| Evidence {
        text: text.to_owned(),
        timeline: timeline.to_vec(),
    };
    let verdict = Verdict {
        cause: Cause::FileNotFound,
        confidence: Confidence::Proven,
        summary: "app exited with 1 because /etc/app.yml does not exist.".to_owned(),
        evidence: vec![
            evidence("openat of /etc/app.yml failed with ENOENT", &[1]),
            evidence("it ended 0.7 ms later, its last words name the file", &[2, 3]),
        ],
        next_step: "Mount the file at /etc/app.yml.".to_owned(),
        blamed: timeline.main,
        details: Map::from_iter([("path".to_owned(), "/etc/app.yml".into())]),
    };
    (timeline, facts(), verdict)
}

/// Every kind of entry, and every form that a kind can take.
pub fn every_kind() -> (Timeline, Facts, Verdict) {
    let (_, facts, verdict) = missing_file();
    let connect = |address| Call {
        protocol: Some(Protocol::Tcp),
        after: After::default(),
        ..call("connect", Errno::ECONNREFUSED, Object::Address(address))
    };
    let other = |address| Call { protocol: Some(Protocol::Other(0)), ..connect(address) };
    let inet = |text: &str| Address::Inet(text.parse().unwrap());
    let dns = |answer| Call {
        protocol: Some(Protocol::Udp),
        after: After::default(),
        ..call(
            "recvfrom",
            Errno(0),
            Object::Dns(Dns {
                question: Text::from("db.example.com"),
                answer,
                server: Some([10, 96, 0, 10].into()),
            }),
        )
    };
    let fault = SignalEvent {
        address: Some(0x10),
        ..signal(Signal::SIGSEGV, SignalCode::Kernel(1), main_process())
    };
    let refused = SignalEvent {
        syscall: Some((165, "mount")),
        ..signal(Signal::SIGSYS, SignalCode::Kernel(1), main_process())
    };
    let whats = vec![
        What::Cgroup(CgroupChange {
            change: Change::Made,
            id: 777,
            level: 3,
            path: Text::from("/kubepods/pod/app"),
        }),
        What::Exec(exec()),
        What::Exec(Exec {
            path: Text(b"/bin/\xff".to_vec()),
            args: vec![],
            args_truncated: true,
            ..exec()
        }),
        What::ExecFailed(ExecFailed {
            errno: Errno::ENOENT,
            path: Text::from("./missing"),
            path_truncated: false,
            args: vec![Text(b"missing\xff".to_vec()), Text::from("two words")],
            args_truncated: false,
            dirfd: Some(9),
        }),
        What::Fork(Fork { forker_pid: 4000 }),
        What::Threads(Threads {
            total: 3,
            threads: vec![
                Thread { tid: 4242, state: ThreadState::Running, syscall: None },
                Thread { tid: 4243, state: ThreadState::Waiting, syscall: Some((202, "futex")) },
            ],
        }),
        What::Bind(bind(Some(Errno::EADDRINUSE), "0.0.0.0:9443")),
        What::Bind(Bind { listen: true, address: Address::None, ..bind(None, "[::]:0") }),
        What::Bind(Bind {
            protocol: Protocol::Other(0),
            address: Address::Unix(Text::from("/run/app.sock")),
            family: 1,
            port: 0,
            ..bind(None, "[::]:0")
        }),
        What::Call(call("openat", Errno::EACCES, path("/etc/tls/key.pem"))),
        What::Call(call(
            "write",
            Errno::ENOSPC,
            Object::File { path: Text::from("log/app.log"), truncated: true },
        )),
        What::Call(call("clone", Errno::EAGAIN, Object::None)),
        What::Call(call("clone", Errno::EAGAIN, Object::Pids { count: 20, max: 20 })),
        What::Call(Call {
            protocol: Some(Protocol::Tcp),
            after: After::default(),
            args: [5, 0, 16, 0, 0],
            ..call("connect", Errno::EINPROGRESS, Object::Address(inet("10.0.0.7:5432")))
        }),
        What::Call(Call {
            protocol: Some(Protocol::Tcp),
            reported: true,
            args: [5, 1, 4, 0, 0],
            ..call("getsockopt", Errno::ECONNREFUSED, Object::None)
        }),
        What::Call(connect(inet("10.0.0.7:5432"))),
        What::Call(Call {
            after: After {
                repeats: 7,
                first_ns: Some(8_000_000),
                made_good: true,
                same_port_reached: true,
                opened: Some(3),
                connected: Some(1),
            },
            ..connect(inet("10.0.0.8:5432"))
        }),
        What::Call(connect(inet("[::1]:5432"))),
        What::Call(other(Address::Unix(Text::from("@bus")))),
        What::Call(other(Address::Netlink)),
        What::Call(other(Address::Family(17))),
        What::Call(call("bind", Errno::EACCES, Object::Address(inet("0.0.0.0:80")))),
        What::Call(dns(None)),
        What::Call(dns(Some(DnsAnswer { code: 3, records: 0 }))),
        What::CallsForgotten(9),
        What::Words(words(Stream::Stdout, b"plain\n")),
        What::Words(words(Stream::Init, b"exec failed\xff")),
        What::Words(Words {
            head: Text::from("panic: no"),
            skipped_bytes: 70_000,
            total_bytes: 90_000,
            ..words(Stream::Stderr, b"exit status 2\n")
        }),
        What::Signal(signal(Signal::SIGTERM, SignalCode::User, runtime())),
        What::Signal(fault),
        What::Signal(refused),
        What::Oom(oom()),
        What::Lost(Lost { of: LostKind::Calls, count: 12 }),
        What::Exit(exit(killed(Signal::SIGKILL, false))),
        What::Exit(Exit {
            written: None,
            cwd: None,
            recorded: false,
            ..exit(killed(Signal::SIGSEGV, true))
        }),
        What::Exit(exit(code(1))),
        What::Exit(Exit {
            memory: Some(MemoryUse { peak_bytes: 60 << 20, limit_bytes: Some(64 << 20) }),
            more_limits: Some(MoreLimits { cpu_seconds: Some(10), ..MoreLimits::default() }),
            cap_bounding: Some(0x3ff),
            ..exit(code(1))
        }),
        What::Found(Found {
            found_ns: 352_000_000_000,
            path: Text::from("/usr/bin/app"),
            args: vec![Text::from("app"), Text::from("serve")],
        }),
        What::Words(Words { discarded: true, ..words(Stream::Stderr, b"no such file\n") }),
    ];
    let entries = (1..).zip(whats).map(|(n, what)| event(n * 1_000_000, what)).collect();
    (Timeline { lost: 12, ..timeline(entries) }, facts, verdict)
}

/// Puts `text` wherever an event has text.
pub fn rewrite(event: &mut Event, text: &Text) {
    event.process.comm = text.clone();
    match &mut event.what {
        What::Exec(exec) => (exec.path, exec.args) = (text.clone(), vec![text.clone()]),
        What::ExecFailed(failed) => {
            (failed.path, failed.args) = (text.clone(), vec![text.clone()]);
        }
        What::Found(found) => (found.path, found.args) = (text.clone(), vec![text.clone()]),
        What::Exit(exit) => exit.cwd = Some(text.clone()),
        What::Signal(signal) => {
            (signal.sender.comm, signal.sender_exe) = (text.clone(), text.clone());
        }
        What::Oom(oom) => oom.trigger.comm = text.clone(),
        What::Words(words) => {
            words.bytes = text.clone();
            if !words.head.is_empty() {
                words.head = text.clone();
            }
        }
        What::Cgroup(change) => change.path = text.clone(),
        What::Call(call) => match &mut call.object {
            Object::Path { path, .. } | Object::File { path, .. } => *path = text.clone(),
            Object::Address(Address::Unix(path)) => *path = text.clone(),
            Object::Dns(dns) => dns.question = text.clone(),
            Object::Address(_) | Object::Pids { .. } | Object::None => {}
        },
        What::Bind(_)
        | What::Fork(_)
        | What::Threads(_)
        | What::CallsForgotten(_)
        | What::Lost(_) => {}
    }
}

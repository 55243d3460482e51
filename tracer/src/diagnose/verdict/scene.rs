//! Builds timelines for tests, so that each reads like a sentence. Time goes on by 1 ms with every event.

use std::collections::HashMap;

use crate::{
    capture::event::*,
    diagnose::{facts::Facts, timeline::Timeline},
    linux::{
        errno::Errno,
        signal::{Signal, SignalCode},
        text::Text,
    },
    render::samples,
};

use crate::diagnose::verdict::{Cause, Confidence, Terms, Verdict, incidents, verdict};

pub const MS: u64 = 1_000_000;
/// The container's pid namespace, and the node's.
pub const INSIDE: u32 = 4_026_532_000;
pub const OUTSIDE: u32 = 4_026_531_836;
const NESTED: u32 = 4_026_533_000;

/// A process of a scene, by its pid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Who(pub u32);

#[derive(Clone, Debug)]
pub struct Scene {
    pub events: Vec<Event>,
    pub facts: Facts,
    pub terms: Terms,
    now_ns: BootNs,
    next_pid: u32,
    processes: HashMap<u32, Process>,
    calls: u32,
}

impl Scene {
    pub fn new() -> Self {
        Self {
            events: Vec::new(),
            facts: Facts::default(),
            terms: Terms::default(),
            now_ns: 1_000_000_000,
            next_pid: 500,
            processes: HashMap::new(),
            calls: 0,
        }
    }

    /// A container whose main process has become `command`.
    pub fn running(command: &str) -> (Self, Who) {
        let mut scene = Self::new();
        let main = scene.init();
        scene.execs(main, command);
        (scene, main)
    }

    /// A process that came in from outside and has not exec'd.
    pub fn init(&mut self) -> Who {
        let pid = self.spawn(1, "runc:[2:INIT]");
        let process = self.of(Who(pid));
        (process.root, process.runtime_init, process.container_pid) = (true, true, 1);
        let change = CgroupChange { change: Change::MovedIn, id: 77, level: 3, path: "/k".into() };
        self.add(Who(pid), What::Cgroup(change));
        Who(pid)
    }

    pub fn of(&mut self, who: Who) -> &mut Process {
        self.processes.get_mut(&who.0).expect("a process of this scene")
    }

    pub fn id(&self, who: Who) -> ProcessId {
        self.processes[&who.0].id
    }

    pub fn after_ms(&mut self, ms: u64) -> &mut Self {
        self.now_ns += ms * MS;
        self
    }

    pub fn add(&mut self, who: Who, what: What) -> &mut Self {
        self.now_ns += MS;
        let process = self.processes[&who.0].clone();
        self.events.push(Event { time_ns: self.now_ns, cgroup: 77, process, what });
        self
    }

    pub fn execs(&mut self, who: Who, command: &str) -> &mut Self {
        let args: Vec<Text> = command.split(' ').map(Text::from).collect();
        let path = args[0].clone();
        let comm = command.split(' ').next().and_then(|it| it.rsplit('/').next()).unwrap_or("");
        let process = self.of(who);
        process.runtime_init = false;
        process.comm = comm.into();
        let exec = Exec {
            path,
            args,
            args_length: command.len() as u64,
            cap_effective: 0,
            mount_ns: 1,
            net_ns: 2,
            device: 3,
            inode: 4,
            ..samples::exec()
        };
        self.add(who, What::Exec(exec))
    }

    pub fn forks(&mut self, parent: Who) -> Who {
        let comm = self.of(parent).comm.to_json_string();
        let pid = self.spawn(parent.0, &comm);
        let namespace = self.of(parent).pid_ns;
        self.of(Who(pid)).pid_ns = namespace;
        self.add(Who(pid), What::Fork(Fork { forker_pid: parent.0 }));
        Who(pid)
    }

    /// Forks the first process of a container inside this one; `parent` is told by CLONE_PARENT.
    pub fn forks_container(&mut self, forker: Who, parent: Who) -> Who {
        let child = self.forks(forker);
        let process = self.of(child);
        (process.parent_pid, process.container_pid, process.pid_ns) = (parent.0, 1, NESTED);
        let process = process.clone();
        self.events.last_mut().expect("the fork").process = process;
        child
    }

    /// Forks a child that becomes `command`.
    pub fn runs(&mut self, parent: Who, command: &str) -> Who {
        let child = self.forks(parent);
        self.execs(child, command);
        child
    }

    pub fn exec_fails(&mut self, who: Who, path: &str, errno: Errno) -> &mut Self {
        let failed = ExecFailed {
            errno,
            path: path.into(),
            path_truncated: false,
            args: vec![path.into()],
            args_truncated: false,
            dirfd: None,
        };
        self.add(who, What::ExecFailed(failed))
    }

    pub fn fails(&mut self, who: Who, name: &'static str, errno: Errno) -> &mut Self {
        self.call(who, name, errno, Object::None, [0; 5])
    }

    /// A failed call about a path.
    pub fn fails_at(
        &mut self,
        who: Who,
        name: &'static str,
        path: &str,
        errno: Errno,
    ) -> &mut Self {
        let object = Object::Path { path: path.into(), truncated: false };
        self.call(who, name, errno, object, [0; 5])
    }

    pub fn call(
        &mut self,
        who: Who,
        name: &'static str,
        errno: Errno,
        object: Object,
        args: [u64; 5],
    ) -> &mut Self {
        self.calls += 1;
        let call = Call {
            seq: self.calls,
            number: 1,
            args,
            reported: name == "getsockopt",
            ..samples::call(name, errno, object)
        };
        self.add(who, What::Call(call))
    }

    /// `connect` or another call towards `10.0.0.1:5432`.
    pub fn fails_to(
        &mut self,
        who: Who,
        name: &'static str,
        peer: &str,
        errno: Errno,
    ) -> &mut Self {
        let address = Address::Inet(peer.parse().expect("an address with a port"));
        self.call(who, name, errno, Object::Address(address), [9, 0, 0, 0, 0])
    }

    /// What is known of the time after the last call.
    pub fn later(&mut self, known: impl FnOnce(&mut After)) -> &mut Self {
        let last = self.events.iter_mut().rev().find_map(|event| {
            let What::Call(call) = &mut event.what else { return None };
            Some(&mut call.after)
        });
        known(last.expect("a call came before"));
        self
    }

    pub fn dns(&mut self, who: Who, question: &str, answer: Option<(u8, u16)>) -> &mut Self {
        let answer = answer.map(|(code, records)| DnsAnswer { code, records });
        let name = if answer.is_some() { "recvfrom" } else { "sendto" };
        self.call(
            who,
            name,
            Errno(0),
            Object::Dns(Dns { question: question.into(), answer, server: None }),
            [0; 5],
        )
    }

    /// bind of `udp 0.0.0.0:9443`; `None` if it succeeds.
    pub fn binds(&mut self, who: Who, address: &str, errno: Option<Errno>) -> &mut Self {
        self.bind(who, address, errno, false)
    }

    pub fn listens(&mut self, who: Who, address: &str) -> &mut Self {
        self.bind(who, address, None, false);
        self.bind(who, address, None, true)
    }

    fn bind(&mut self, who: Who, address: &str, errno: Option<Errno>, listen: bool) -> &mut Self {
        let (protocol, place) = address.split_once(' ').expect("protocol and address");
        let protocol = match protocol {
            "tcp" => Protocol::Tcp,
            "udp" => Protocol::Udp,
            _ => Protocol::Other(0),
        };
        let inet = place.parse().ok().map(Address::Inet);
        let address = inet.unwrap_or_else(|| Address::Unix(place.into()));
        let port = if let Address::Inet(inet) = &address { inet.port() } else { 0 };
        let bind = Bind {
            listen,
            address: if listen { Address::None } else { address },
            protocol,
            port,
            reuse_address: false,
            net_ns: 2,
            ..samples::bind(errno, "0.0.0.0:0")
        };
        self.add(who, What::Bind(bind))
    }

    pub fn says(&mut self, who: Who, words: &str) -> &mut Self {
        self.words(who, Stream::Stderr, words)
    }

    /// As `says`, of which whoever started it did not want to know (`2>/dev/null`).
    pub fn says_to_nobody(&mut self, who: Who, words: &str) -> &mut Self {
        self.says(who, words);
        if let Some(Event { what: What::Words(words), .. }) = self.events.last_mut() {
            words.discarded = true;
        }
        self
    }

    pub fn words(&mut self, who: Who, stream: Stream, words: &str) -> &mut Self {
        self.add(who, What::Words(samples::words(stream, words.as_bytes())))
    }

    pub fn exits(&mut self, who: Who, code: u8) -> &mut Self {
        self.ends(who, Status { code: Some(code), signal: None, core: false }, |_| {})
    }

    pub fn dies(&mut self, who: Who, signal: Signal) -> &mut Self {
        self.ends(who, Status { code: None, signal: Some(signal), core: false }, |_| {})
    }

    pub fn ends(&mut self, who: Who, status: Status, more: impl FnOnce(&mut Exit)) -> &mut Self {
        let spoke = self
            .events
            .iter()
            .any(|event| event.process.id.pid == who.0 && matches!(event.what, What::Words(_)));
        let mut exit = Exit {
            cwd: None,
            limits: Limits::default(),
            max_rss_bytes: 1 << 20,
            written: Some(if spoke { [0, 10] } else { [0, 0] }),
            failed_calls: 0,
            cap_effective: 0,
            user_time_ns: 1,
            system_time_ns: 1,
            ..samples::exit(status)
        };
        more(&mut exit);
        self.add(who, What::Exit(exit))
    }

    /// A process outside the container.
    pub fn outsider(&mut self, comm: &str) -> Process {
        let pid = self.spawn(1, comm);
        let process = self.of(Who(pid));
        (process.tracked, process.pid_ns) = (false, OUTSIDE);
        self.processes[&pid].clone()
    }

    /// A signal from somebody.
    pub fn sends(
        &mut self,
        sender: &Process,
        who: Who,
        signal: Signal,
        how: Disposition,
    ) -> &mut Self {
        let init = self.of(who).container_pid == 1;
        let dropped = how == Disposition::Ignored || (how == Disposition::Default && init);
        let result = match signal {
            Signal::SIGKILL => Delivery::Delivered,
            _ if dropped => Delivery::Ignored,
            _ => Delivery::Delivered,
        };
        let signal = SignalEvent {
            result,
            disposition: how,
            ..samples::signal(signal, SignalCode::User, sender.clone())
        };
        self.add(who, What::Signal(signal))
    }

    /// A signal that the kernel raised for what the process did.
    pub fn faults(
        &mut self,
        who: Who,
        signal: Signal,
        code: i32,
        address: Option<u64>,
    ) -> &mut Self {
        self.faults_with(who, signal, code, |it| it.address = address)
    }

    pub fn faults_with(
        &mut self,
        who: Who,
        signal: Signal,
        code: i32,
        more: impl FnOnce(&mut SignalEvent),
    ) -> &mut Self {
        let sender = self.of(who).clone();
        let mut event = SignalEvent {
            group: false,
            ..samples::signal(signal, SignalCode::Kernel(code), sender)
        };
        more(&mut event);
        self.add(who, What::Signal(event))
    }

    /// Threads seen at a TERM, all in one system call.
    pub fn threads(&mut self, who: Who, count: u32, call: &'static str) -> &mut Self {
        let thread = Thread { tid: who.0, state: ThreadState::Waiting, syscall: Some((202, call)) };
        let threads = vec![thread; count as usize];
        self.add(who, What::Threads(Threads { total: count, threads }))
    }

    /// Chosen by the OOM killer; `levels`: usage and limit in MiB, its own cgroup first.
    pub fn oom(&mut self, who: Who, levels: &[(u64, Option<u64>)]) -> &mut Self {
        self.oom_with(who, levels, |_| {})
    }

    pub fn oom_with(
        &mut self,
        who: Who,
        levels: &[(u64, Option<u64>)],
        more: impl FnOnce(&mut Oom),
    ) -> &mut Self {
        let memcgs = levels.iter().zip(77..).map(|((usage, limit), id)| Memcg {
            id,
            usage_bytes: usage << 20,
            limit_bytes: limit.map(|it| it << 20),
            oom_group: false,
        });
        let mut oom = Oom {
            trigger: self.processes[&who.0].clone(),
            total_vm_bytes: 4 << 30,
            file_bytes: 0,
            anon_bytes: 63 << 20,
            open_files_limit: Some(1024),
            written: None,
            oom_score_adj: 0,
            memcgs: memcgs.collect(),
            ..samples::oom()
        };
        more(&mut oom);
        self.add(who, What::Oom(oom))
    }

    pub fn timeline(&self) -> Timeline {
        Timeline::build(self.events.clone()).expect("a timeline")
    }

    pub fn verdict(&self) -> Verdict {
        verdict(&self.timeline(), &self.facts, &self.terms)
    }

    pub fn incidents(&self) -> Vec<Verdict> {
        incidents(&self.timeline(), &self.facts)
    }

    /// The same with output capture off.
    pub fn without_words(&self) -> Self {
        let mut scene = self.clone();
        scene.events.retain(|event| !matches!(event.what, What::Words(_)));
        scene
    }

    /// As it is and with output capture off it comes to this cause; the verdict as it is.
    #[track_caller]
    pub fn expect(&self, cause: Cause, confidence: Confidence) -> Verdict {
        let verdict = self.verdict();
        assert_eq!((verdict.cause, verdict.confidence), (cause, confidence), "{}", verdict.summary);
        let silent = self.without_words().verdict();
        assert_eq!(silent.cause, cause, "with output capture off: {}", silent.summary);
        assert!(verdict.summary.ends_with('.') && !verdict.next_step.is_empty());
        verdict
    }

    /// Its words show that it ended with an error that nothing explains; without them no more than a guess is made.
    #[track_caller]
    pub fn expect_by_words(&self) -> Verdict {
        let verdict = self.verdict();
        let error = Cause::ExitedWithError;
        assert_eq!(verdict.cause, error, "{}", verdict.summary);
        let silent = self.without_words().verdict();
        let honest = silent.cause == error || silent.confidence == Confidence::Likely;
        assert!(honest, "with output capture off: {}", silent.summary);
        verdict
    }

    /// Its words show an exception that nothing caught; without them no more than a guess is made.
    #[track_caller]
    pub fn expect_exception(&self) -> Verdict {
        let verdict = self.verdict();
        assert_eq!(verdict.cause, Cause::UncaughtException, "{}", verdict.summary);
        let silent = self.without_words().verdict();
        let honest =
            silent.cause == Cause::ExitedWithError || silent.confidence == Confidence::Likely;
        assert!(honest, "with output capture off: {}", silent.summary);
        verdict
    }

    fn spawn(&mut self, parent: u32, comm: &str) -> u32 {
        self.next_pid += 1;
        let pid = self.next_pid;
        let process = Process {
            id: ProcessId { pid, start_ns: self.now_ns },
            tid: pid,
            container_pid: pid - 500,
            agent_pid: Some(pid),
            parent_pid: parent,
            uid: 1000,
            gid: 1000,
            cgroup: 77,
            pid_ns: INSIDE,
            seccomp: false,
            comm: comm.into(),
            tracked: true,
            root: false,
            runtime_init: false,
            kernel_thread: false,
            below_root: None,
            above: None,
        };
        self.processes.insert(pid, process);
        pid
    }
}

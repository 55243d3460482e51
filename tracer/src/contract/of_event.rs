//! Entries of events as they were decoded: boot times become wall-clock times, bytes text, numbers names. It must not
//! decide anything.

use super::{
    Entry, ExitStatus, What, kinds, names,
    network::{Network, Side},
    process::Process,
    text::{hex, id, text, texts},
    time::rfc3339,
};
use crate::{
    capture::event::{
        Bind, BootNs, Call, CgroupChange, Change, Delivery, Disposition, Dns, Event, Exec,
        ExecFailed, Exit, Found, LostKind, Memcg, Object, Oom, SignalEvent, Status, Stream,
        Threads, What as Happened, Words,
    },
    linux::{
        errno::Errno,
        text::{Text, hex as digits},
    },
};

/// `began_ns`: the beginning of the life, from which its offset counts.
pub fn entry(event: &Event, began_ns: BootNs, boot_offset_ns: i64) -> Entry {
    let process = Process::thread(&event.process, boot_offset_ns);
    Entry {
        time: rfc3339(event.time_ns, boot_offset_ns),
        offset_ns: offset(event.time_ns, began_ns),
        process: match &event.what {
            Happened::Exec(exec) => process.running(exec),
            Happened::ExecFailed(_)
            | Happened::Fork(_)
            | Happened::Exit(_)
            | Happened::Signal(_)
            | Happened::Threads(_)
            | Happened::Oom(_)
            | Happened::Bind(_)
            | Happened::Call(_)
            | Happened::CallsForgotten(_)
            | Happened::Words(_)
            | Happened::Cgroup(_)
            | Happened::Lost(_)
            | Happened::Found(_) => process,
        },
        what: what(&event.what, boot_offset_ns),
    }
}

/// Saturates where the difference does not fit, some 292 years away.
fn offset(time_ns: BootNs, began_ns: BootNs) -> i64 {
    let difference = i128::from(time_ns) - i128::from(began_ns);
    let most = if difference < 0 { i64::MIN } else { i64::MAX };
    i64::try_from(difference).unwrap_or(most)
}

fn what(what: &Happened, boot_offset_ns: i64) -> What {
    match what {
        Happened::Exec(exec) => What::Exec(exec.into()),
        Happened::ExecFailed(failed) => What::ExecFailed(failed.into()),
        Happened::Fork(fork) => What::Fork(kinds::Fork { forker_pid: fork.forker_pid }),
        Happened::Found(it) => What::Found(found(it, boot_offset_ns)),
        Happened::Exit(exit) => What::Exit(Box::new(exit.into())),
        Happened::Signal(it) => What::Signal(Box::new(signal(it, boot_offset_ns))),
        Happened::Threads(threads) => What::Threads(threads.into()),
        Happened::Oom(it) => What::Oom(Box::new(oom(it, boot_offset_ns))),
        Happened::Bind(bind) => What::Bind(Box::new(bind.into())),
        Happened::Call(it) => What::Call(Box::new(call(it, boot_offset_ns))),
        Happened::CallsForgotten(count) => {
            What::CallsForgotten(kinds::CallsForgotten { count: *count })
        }
        Happened::Words(words) => What::Words(words.into()),
        Happened::Cgroup(change) => What::Cgroup(change.into()),
        Happened::Lost(lost) => What::Lost(kinds::Lost { of: lost.of.into(), count: lost.count }),
    }
}

impl From<&Exec> for kinds::Exec {
    fn from(exec: &Exec) -> Self {
        Self {
            capabilities_effective: hex(exec.cap_effective),
            mount_namespace: exec.mount_ns,
            network_namespace: exec.net_ns,
        }
    }
}

impl From<&ExecFailed> for kinds::ExecFailed {
    fn from(failed: &ExecFailed) -> Self {
        let (command_args_b64, command_args) = texts(&failed.args);
        Self {
            errno: failed.errno.to_string(),
            file: file(&failed.path, failed.path_truncated, None),
            command_args_b64,
            command_args,
            args_truncated: failed.args_truncated,
            directory_fd: failed.dirfd,
        }
    }
}

fn file(path: &Text, truncated: bool, from_descriptor: Option<bool>) -> kinds::File {
    let (path_b64, path) = text(path);
    kinds::File { path_b64, path, truncated, from_descriptor }
}

fn found(found: &Found, boot_offset_ns: i64) -> kinds::Found {
    let (command_args_b64, command_args) = texts(&found.args);
    kinds::Found {
        found_time: rfc3339(found.found_ns, boot_offset_ns),
        command_args_b64,
        command_args,
        file: file(&found.path, false, None),
    }
}

impl From<Status> for ExitStatus {
    fn from(status: Status) -> Self {
        let signal = status.signal.map(|signal| signal.name());
        Self { code: status.code, signal, core: status.core }
    }
}

impl From<&Exit> for kinds::Exit {
    fn from(exit: &Exit) -> Self {
        let (working_directory_b64, working_directory) = exit.cwd.as_ref().map(text).unzip();
        let more = exit.more_limits.as_ref().map(|more| kinds::MoreLimits {
            locked_memory_bytes: more.locked_memory_bytes,
            file_size_bytes: more.file_size_bytes,
            cpu_seconds: more.cpu_seconds,
            stack_bytes: more.stack_bytes,
            data_bytes: more.data_bytes,
        });
        let memory = exit.memory.as_ref().map(|memory| kinds::Memory {
            peak_bytes: memory.peak_bytes,
            limit_bytes: memory.limit_bytes,
        });
        Self {
            exit: exit.status.into(),
            limits: kinds::Limits {
                open_files: exit.limits.open_files,
                processes: exit.limits.processes,
                address_space_bytes: exit.limits.address_space_bytes,
                core_bytes: exit.limits.core_bytes,
                more,
            },
            written_bytes: exit.written.map(|[stdout, stderr]| kinds::Written { stdout, stderr }),
            working_directory_b64: working_directory_b64.flatten(),
            working_directory,
            memory,
            capabilities_bounding: exit.cap_bounding.map(hex),
            max_rss_bytes: exit.max_rss_bytes,
            failed_calls: exit.failed_calls,
            forks: exit.forks,
            capabilities_effective: hex(exit.cap_effective),
            recorded: exit.recorded,
            user_time_ns: exit.user_time_ns,
            system_time_ns: exit.system_time_ns,
        }
    }
}

fn signal(signal: &SignalEvent, boot_offset_ns: i64) -> kinds::Signal {
    let is_known = !signal.instruction.is_empty();
    kinds::Signal {
        signal: signal.signal.name(),
        code: names::signal_code(signal.signal, signal.code),
        sender: Process::thread(&signal.sender, boot_offset_ns).called(&signal.sender_exe),
        result: signal.result.into(),
        disposition: signal.disposition.into(),
        group: signal.group,
        syscall: signal.syscall.map(syscall),
        address: signal.address.map(hex),
        instruction: is_known.then(|| digits(&signal.instruction, "")),
    }
}

/// A system call by number and name.
fn syscall((number, name): (u32, &'static str)) -> kinds::Syscall {
    kinds::Syscall { number, name: name.into() }
}

impl From<Delivery> for kinds::Delivery {
    fn from(delivery: Delivery) -> Self {
        match delivery {
            Delivery::Delivered => Self::Delivered,
            Delivery::Ignored => Self::Ignored,
            Delivery::AlreadyPending => Self::AlreadyPending,
            Delivery::Lost => Self::Lost,
        }
    }
}

impl From<Disposition> for kinds::Disposition {
    fn from(disposition: Disposition) -> Self {
        match disposition {
            Disposition::Default => Self::Default,
            Disposition::Ignored => Self::Ignored,
            Disposition::Handled => Self::Handled,
        }
    }
}

impl From<&Threads> for kinds::Threads {
    fn from(threads: &Threads) -> Self {
        let listed = threads.threads.iter().map(|thread| kinds::Thread {
            thread_id: thread.tid,
            state: names::thread_state(thread.state).into(),
            syscall: thread.syscall.map(syscall),
        });
        Self { total: threads.total, threads: listed.collect() }
    }
}

fn oom(oom: &Oom, boot_offset_ns: i64) -> kinds::Oom {
    let cgroup = |memcg: &Memcg| kinds::MemoryCgroup {
        id: id(memcg.id),
        usage_bytes: memcg.usage_bytes,
        limit_bytes: memcg.limit_bytes,
        oom_group: memcg.oom_group,
    };
    kinds::Oom {
        trigger: Process::thread(&oom.trigger, boot_offset_ns),
        total_vm_bytes: oom.total_vm_bytes,
        file_bytes: oom.file_bytes,
        anon_bytes: oom.anon_bytes,
        shmem_bytes: oom.shmem_bytes,
        open_files_limit: oom.open_files_limit,
        written_bytes: oom.written,
        oom_score_adj: oom.oom_score_adj,
        memory_cgroups: oom.memcgs.iter().map(cgroup).collect(),
    }
}

impl From<&Bind> for kinds::Bind {
    fn from(bind: &Bind) -> Self {
        Self {
            operation: if bind.listen { "listen" } else { "bind" }.into(),
            errno: bind.errno.map(|errno| errno.to_string()),
            fd: bind.fd,
            family: names::family(bind.family),
            port: bind.port,
            reuse_address: bind.reuse_address,
            reuse_port: bind.reuse_port,
            v6_only: bind.v6_only,
            network_namespace: bind.net_ns,
            network: Network::of(Side::Local, &bind.address, Some(bind.protocol)),
        }
    }
}

fn call(call: &Call, boot_offset_ns: i64) -> kinds::Call {
    let after = &call.after;
    let transport = call.protocol.and_then(names::transport);
    let transport = transport.map(|name| Network { transport: Some(name), ..Network::default() });
    let bare = kinds::Call {
        seq: call.seq,
        syscall: syscall((call.number, call.name)),
        errno: (call.errno != Errno(0)).then(|| call.errno.to_string()),
        arguments: call.args.map(hex).to_vec(),
        reported: call.reported,
        repeats: (after.repeats > 0).then_some(after.repeats),
        first_time: after.first_ns.map(|first_ns| rfc3339(first_ns, boot_offset_ns)),
        made_good: after.made_good,
        same_port_reached: after.same_port_reached,
        opened_later: after.opened,
        connected_later: after.connected,
        file: None,
        pids_cgroup: None,
        dns: None,
        network: transport,
    };
    match &call.object {
        Object::None => bare,
        Object::Path { path, truncated } => {
            kinds::Call { file: Some(file(path, *truncated, Some(false))), ..bare }
        }
        Object::File { path, truncated } => {
            kinds::Call { file: Some(file(path, *truncated, Some(true))), ..bare }
        }
        Object::Address(address) => {
            let side = if call.name == "bind" { Side::Local } else { Side::Peer };
            kinds::Call { network: Some(Network::of(side, address, call.protocol)), ..bare }
        }
        Object::Pids { count, max } => {
            let full = kinds::PidsCgroup { count: *count, max: *max };
            kinds::Call { pids_cgroup: Some(full), ..bare }
        }
        Object::Dns(dns) => kinds::Call { dns: Some(dns.into()), ..bare },
    }
}

impl From<&Dns> for kinds::Dns {
    fn from(dns: &Dns) -> Self {
        let (name_b64, name) = text(&dns.question);
        Self {
            question: kinds::Question { name_b64, name },
            server: dns.server.map(|server| server.to_string()),
            response_code: dns.answer.map(|answer| names::dns_code(answer.code)),
            answer_count: dns.answer.map(|answer| answer.records),
        }
    }
}

impl From<&Words> for kinds::Words {
    fn from(words: &Words) -> Self {
        let has_head = !words.head.is_empty();
        let (text_b64, told) = text(&words.bytes);
        let (head_b64, head) = has_head.then(|| text(&words.head)).unzip();
        Self {
            stream: words.stream.into(),
            text_b64,
            text: told,
            head_b64: head_b64.flatten(),
            head,
            skipped_bytes: has_head.then_some(words.skipped_bytes),
            total_bytes: words.total_bytes,
            discarded: words.discarded,
        }
    }
}

impl From<Stream> for kinds::Stream {
    fn from(stream: Stream) -> Self {
        match stream {
            Stream::Stdout => Self::Stdout,
            Stream::Stderr => Self::Stderr,
            Stream::Init => Self::Init,
        }
    }
}

impl From<&CgroupChange> for kinds::CgroupChange {
    fn from(change: &CgroupChange) -> Self {
        let (path_b64, path) = text(&change.path);
        Self {
            change: match change.change {
                Change::Made => kinds::Change::Made,
                Change::Removed => kinds::Change::Removed,
                Change::MovedIn => kinds::Change::MovedIn,
                Change::MovedOut => kinds::Change::MovedOut,
            },
            cgroup: kinds::Cgroup { id: id(change.id), level: change.level, path_b64, path },
        }
    }
}

impl From<LostKind> for kinds::Of {
    fn from(kind: LostKind) -> Self {
        match kind {
            LostKind::Process => Self::Process,
            LostKind::Recorder => Self::Recorder,
            LostKind::Container => Self::Container,
            LostKind::Undecodable => Self::Undecodable,
            LostKind::Forgotten => Self::Forgotten,
            LostKind::Exec
            | LostKind::ExecFailed
            | LostKind::Fork
            | LostKind::Exit
            | LostKind::Signal
            | LostKind::Threads
            | LostKind::Oom
            | LostKind::Bind
            | LostKind::Calls
            | LostKind::Words
            | LostKind::Cgroup => Self::Records(names::lost(kind).into()),
        }
    }
}

//! One timeline entry for each event (docs/events.md).

use serde_json::Value;

use super::{
    fields::{Fields, errno, hex, id, object, syscall},
    names,
    network::{Side, network},
    process,
    time::rfc3339,
};
use crate::{
    event::{
        After, Bind, BootNs, Call, CgroupChange, Event, Exec, ExecFailed, Exit, Lost, Object, Oom,
        SignalEvent, Threads, What, Words,
    },
    text,
};

/// `time`, `offset_ns` from `began_ns` on, `kind`, `process`, and what the kind adds.
pub fn entry(event: &Event, began_ns: BootNs, boot_offset_ns: i64) -> Value {
    object(|fields| {
        fields
            .put("time", rfc3339(event.time_ns, boot_offset_ns))
            .put("offset_ns", offset(event.time_ns, began_ns))
            .put("kind", names::kind(&event.what))
            .object("process", |fields| {
                process::short(fields, &event.process, boot_offset_ns);
                fields.put("thread_id", event.process.tid);
                if let What::Exec(exec) = &event.what {
                    process::program(fields, exec);
                }
            });
        match &event.what {
            What::Exec(what) => exec(fields, what),
            What::ExecFailed(what) => exec_failed(fields, what),
            What::Fork(what) => {
                fields.put("forker_pid", what.forker_pid);
            }
            What::Exit(what) => exit(fields, what),
            What::Signal(what) => signal(fields, what, boot_offset_ns),
            What::Threads(what) => threads(fields, what),
            What::Oom(what) => oom(fields, what, boot_offset_ns),
            What::Bind(what) => bind(fields, what),
            What::Call(what) => call(fields, what, boot_offset_ns),
            What::CallsForgotten(count) => {
                fields.put("count", *count);
            }
            What::Words(what) => words(fields, what),
            What::Cgroup(what) => cgroup(fields, what),
            What::Lost(what) => lost(fields, what),
            What::Found(what) => {
                fields
                    .put("found_time", rfc3339(what.found_ns, boot_offset_ns))
                    .texts("command_args", &what.args)
                    .object("file", |file| {
                        file.text("path", &what.path).put("truncated", false);
                    });
            }
        }
    })
}

/// Saturates where the difference does not fit, some 292 years away.
fn offset(time_ns: BootNs, began_ns: BootNs) -> i64 {
    let difference = i128::from(time_ns) - i128::from(began_ns);
    let most = if difference < 0 { i64::MIN } else { i64::MAX };
    i64::try_from(difference).unwrap_or(most)
}

fn exec(fields: &mut Fields, exec: &Exec) {
    fields
        .put("capabilities_effective", hex(exec.cap_effective))
        .put("mount_namespace", exec.mount_ns)
        .put("network_namespace", exec.net_ns);
}

fn exec_failed(fields: &mut Fields, failed: &ExecFailed) {
    fields
        .put("errno", errno(failed.errno))
        .object("file", |file| {
            file.text("path", &failed.path).put("truncated", failed.path_truncated);
        })
        .texts("command_args", &failed.args)
        .put("args_truncated", failed.args_truncated)
        .put("directory_fd", failed.dirfd);
}

fn exit(fields: &mut Fields, exit: &Exit) {
    let status = exit.status;
    fields
        .object("exit", |fields| {
            fields
                .put("code", status.code)
                .put("signal", status.signal.map(|signal| signal.name()))
                .put("core", status.core);
        })
        .object("limits", |fields| {
            fields
                .put("open_files", exit.limits.open_files)
                .put("processes", exit.limits.processes)
                .put("address_space_bytes", exit.limits.address_space_bytes)
                .put("core_bytes", exit.limits.core_bytes);
            if let Some(more) = &exit.more_limits {
                fields
                    .put("locked_memory_bytes", more.locked_memory_bytes)
                    .put("file_size_bytes", more.file_size_bytes)
                    .put("cpu_seconds", more.cpu_seconds)
                    .put("stack_bytes", more.stack_bytes)
                    .put("data_bytes", more.data_bytes);
            }
        });
    match exit.written {
        Some([stdout, stderr]) => fields.object("written_bytes", |fields| {
            fields.put("stdout", stdout).put("stderr", stderr);
        }),
        None => fields.put("written_bytes", Value::Null),
    };
    match &exit.cwd {
        Some(cwd) => fields.text("working_directory", cwd),
        None => fields.put("working_directory", Value::Null),
    };
    if let Some(memory) = &exit.memory {
        fields.object("memory", |fields| {
            fields.put("peak_bytes", memory.peak_bytes).put("limit_bytes", memory.limit_bytes);
        });
    }
    if let Some(set) = exit.cap_bounding {
        fields.put("capabilities_bounding", hex(set));
    }
    fields
        .put("max_rss_bytes", exit.max_rss_bytes)
        .put("failed_calls", exit.failed_calls)
        .put("forks", exit.forks)
        .put("capabilities_effective", hex(exit.cap_effective))
        .put("recorded", exit.recorded)
        .put("user_time_ns", exit.user_time_ns)
        .put("system_time_ns", exit.system_time_ns);
}

fn signal(fields: &mut Fields, signal: &SignalEvent, boot_offset_ns: i64) {
    fields
        .put("signal", signal.signal.name())
        .put("code", names::signal_code(signal.signal, signal.code))
        .object("sender", |fields| {
            process::short(fields, &signal.sender, boot_offset_ns);
            fields.put("thread_id", signal.sender.tid).object("executable", |executable| {
                executable.text("name", &signal.sender_exe);
            });
        })
        .put("result", names::delivery(signal.result))
        .put("disposition", names::disposition(signal.disposition))
        .put("group", signal.group)
        .put("syscall", signal.syscall.map(syscall))
        .put("address", signal.address.map(hex))
        .put(
            "instruction",
            (!signal.instruction.is_empty()).then(|| text::hex(&signal.instruction, "")),
        );
}

fn threads(fields: &mut Fields, threads: &Threads) {
    let listed = threads.threads.iter().map(|thread| {
        object(|fields| {
            fields
                .put("thread_id", thread.tid)
                .put("state", names::thread_state(thread.state))
                .put("syscall", thread.syscall.map(syscall));
        })
    });
    fields.put("total", threads.total).put("threads", listed.collect::<Vec<_>>());
}

fn oom(fields: &mut Fields, oom: &Oom, boot_offset_ns: i64) {
    let memcgs = oom.memcgs.iter().map(|memcg| {
        object(|fields| {
            fields
                .put("id", id(memcg.id))
                .put("usage_bytes", memcg.usage_bytes)
                .put("limit_bytes", memcg.limit_bytes)
                .put("oom_group", memcg.oom_group);
        })
    });
    fields
        .object("trigger", |fields| {
            process::short(fields, &oom.trigger, boot_offset_ns);
            fields.put("thread_id", oom.trigger.tid);
        })
        .put("total_vm_bytes", oom.total_vm_bytes)
        .put("file_bytes", oom.file_bytes)
        .put("anon_bytes", oom.anon_bytes)
        .put("shmem_bytes", oom.shmem_bytes)
        .put("open_files_limit", oom.open_files_limit)
        .put("written_bytes", oom.written)
        .put("oom_score_adj", oom.oom_score_adj)
        .put("memory_cgroups", memcgs.collect::<Vec<_>>());
}

fn bind(fields: &mut Fields, bind: &Bind) {
    fields
        .put("operation", if bind.listen { "listen" } else { "bind" })
        .put("errno", bind.errno.map(errno))
        .put("fd", bind.fd)
        .put("family", names::family(bind.family))
        .put("port", bind.port)
        .put("reuse_address", bind.reuse_address)
        .put("reuse_port", bind.reuse_port)
        .put("v6_only", bind.v6_only)
        .put("network_namespace", bind.net_ns);
    network(fields, Side::Local, &bind.address, Some(bind.protocol));
}

fn call(fields: &mut Fields, call: &Call, boot_offset_ns: i64) {
    fields
        .put("seq", call.seq)
        .put("syscall", syscall((call.number, call.name)))
        .put("errno", (call.errno.0 != 0).then(|| errno(call.errno)))
        .put("arguments", call.args.map(hex).to_vec())
        .put("reported", call.reported);
    after(fields, &call.after, boot_offset_ns);
    match &call.object {
        Object::None => {}
        Object::Path { path, truncated } => {
            fields.object("file", |file| {
                file.text("path", path).put("truncated", *truncated).put("from_descriptor", false);
            });
        }
        Object::File { path, truncated } => {
            fields.object("file", |file| {
                file.text("path", path).put("truncated", *truncated).put("from_descriptor", true);
            });
        }
        Object::Address(address) => {
            let side = if call.name == "bind" { Side::Local } else { Side::Peer };
            return network(fields, side, address, call.protocol);
        }
        Object::Pids { count, max } => {
            fields.object("pids_cgroup", |fields| {
                fields.put("count", *count).put("max", *max);
            });
        }
        Object::Dns(dns) => {
            fields.object("dns", |fields| {
                fields.object("question", |question| {
                    question.text("name", &dns.question);
                });
                fields.put("server", dns.server.map(|server| server.to_string()));
                fields.put("response_code", dns.answer.map(|answer| names::dns_code(answer.code)));
                fields.put("answer_count", dns.answer.map(|answer| answer.records));
            });
        }
    }
    if let Some(transport) = call.protocol.and_then(names::transport) {
        fields.object("network", |network| {
            network.put("transport", transport);
        });
    }
}

fn after(fields: &mut Fields, after: &After, boot_offset_ns: i64) {
    if after.repeats > 0 {
        fields.put("repeats", after.repeats);
    }
    if let Some(first_ns) = after.first_ns {
        fields.put("first_time", rfc3339(first_ns, boot_offset_ns));
    }
    for (name, is_so) in
        [("made_good", after.made_good), ("same_port_reached", after.same_port_reached)]
    {
        if is_so {
            fields.put(name, true);
        }
    }
    for (name, count) in [("opened_later", after.opened), ("connected_later", after.connected)] {
        if let Some(count) = count {
            fields.put(name, count);
        }
    }
}

fn words(fields: &mut Fields, words: &Words) {
    fields.put("stream", names::stream(words.stream)).text("text", &words.bytes);
    if !words.head.is_empty() {
        fields.text("head", &words.head).put("skipped_bytes", words.skipped_bytes);
    }
    fields.put("total_bytes", words.total_bytes);
    if words.discarded {
        fields.put("discarded", true);
    }
}

fn cgroup(fields: &mut Fields, change: &CgroupChange) {
    fields.put("change", names::change(change.change)).object("cgroup", |fields| {
        fields.put("id", id(change.id)).put("level", change.level).text("path", &change.path);
    });
}

fn lost(fields: &mut Fields, lost: &Lost) {
    fields.put("of", names::lost(lost.of)).put("count", lost.count);
}

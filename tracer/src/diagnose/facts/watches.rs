//! How much of the node's limits on inotify a user has in use, and who has most of it. It must not know what was
//! refused.

use std::{
    fs::{self, File},
    io::Read,
    os::unix::fs::MetadataExt,
    time::{Duration, Instant},
};

use super::{
    model::{WatchFact, WatchHolder},
    process_dir::ProcessDir,
};

const SEARCH_MAX: Duration = Duration::from_millis(300);
const DESCRIPTORS_MAX: usize = 4096;
/// One watch is a line of some 100 bytes (fs/notify/fdinfo.c).
const INSTANCE_BYTES_MAX: u64 = 16 << 20;
const HOLDERS_MAX: usize = 3;

/// What the user with this uid has in use now: the limits are of the user, whatever container its processes are in.
pub fn of_user(uid: u32) -> WatchFact {
    let until = Instant::now() + SEARCH_MAX;
    let mut fact = WatchFact {
        uid,
        max_instances: limit("max_user_instances"),
        max_watches: limit("max_user_watches"),
        complete: true,
        ..WatchFact::default()
    };
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        if Instant::now() > until {
            fact.complete = false;
            break;
        }
        if entry.metadata().is_ok_and(|meta| meta.uid() == uid) {
            fact.holders.extend(holder(pid));
        }
    }
    fact.instances = fact.holders.iter().map(|holder| holder.instances).sum();
    fact.watches = fact.holders.iter().map(|holder| holder.watches).sum();
    fact.holders.sort_by_key(|holder| std::cmp::Reverse((holder.watches, holder.instances)));
    fact.holders.truncate(HOLDERS_MAX);
    fact
}

fn limit(name: &str) -> Option<u64> {
    fs::read_to_string(format!("/proc/sys/fs/inotify/{name}")).ok()?.trim().parse().ok()
}

/// What one process has; `None` if that is nothing.
fn holder(pid: u32) -> Option<WatchHolder> {
    let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).ok()?.flatten().take(DESCRIPTORS_MAX);
    let (mut instances, mut watches) = (0, 0);
    for descriptor in descriptors {
        let is_inotify = fs::read_link(descriptor.path())
            .is_ok_and(|target| target.as_os_str() == "anon_inode:inotify");
        if is_inotify {
            instances += 1;
            watches += watches_of(pid, &descriptor.file_name().to_string_lossy());
        }
    }
    let dir = (instances > 0).then(|| ProcessDir::open_pid(pid).ok())?;
    Some(WatchHolder {
        pid,
        comm: dir.map(|dir| dir.comm()).unwrap_or_default(),
        instances,
        watches,
    })
}

fn watches_of(pid: u32, descriptor: &str) -> u64 {
    let mut text = Vec::new();
    let read = File::open(format!("/proc/{pid}/fdinfo/{descriptor}"))
        .and_then(|file| file.take(INSTANCE_BYTES_MAX).read_to_end(&mut text));
    if read.is_err() {
        return 0;
    }
    let lines = text.split(|byte| *byte == b'\n').filter(|line| line.starts_with(b"inotify wd:"));
    u64::try_from(lines.count()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use rustix::fs::inotify::{CreateFlags, WatchFlags, add_watch, init};

    use super::*;

    #[test]
    fn instances_and_watches_of_a_user_are_counted() {
        let inotify = init(CreateFlags::CLOEXEC).unwrap();
        add_watch(&inotify, "/", WatchFlags::CREATE).unwrap();
        let fact = of_user(rustix::process::geteuid().as_raw());
        assert!(fact.max_instances.unwrap() > 0 && fact.max_watches.unwrap() > 0);
        assert!(fact.instances >= 1 && fact.watches >= 1, "{fact:?}");
        let own = holder(std::process::id()).unwrap();
        assert!(own.instances >= 1 && own.watches >= 1 && !own.comm.is_empty());
    }
}

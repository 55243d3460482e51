//! An OOM kill.

use tracer_ebpf::abi::oom as abi;

use super::{
    arch::Arch,
    error::DecodeError,
    exit::limit,
    record::{Body, Record},
    task,
};
use crate::capture::event::{Event, Memcg, Oom, What};

pub(super) fn oom(record: &Record<'_>, arch: Arch) -> Result<Event, DecodeError> {
    let oom: Body<abi::Oom> = record.whole()?;
    let levels = record.at_most("levels", oom.levels, abi::LEVELS)?;
    Ok(record.event(What::Oom(Oom {
        trigger: task::process(&oom.trigger),
        total_vm_bytes: arch.bytes_of_pages(oom.total_vm_pages),
        file_bytes: arch.bytes_of_pages(oom.file_pages),
        anon_bytes: arch.bytes_of_pages(oom.anon_pages),
        shmem_bytes: arch.bytes_of_pages(oom.shmem_pages),
        open_files_limit: limit(oom.rlimit_nofile),
        written: (oom.written != u64::MAX).then_some(oom.written),
        oom_score_adj: oom.oom_score_adj,
        memcgs: oom.memcgs[..levels].iter().map(|memcg| memcg_of(memcg, arch)).collect(),
    })))
}

fn memcg_of(memcg: &abi::Memcg, arch: Arch) -> Memcg {
    Memcg {
        id: memcg.id,
        usage_bytes: arch.bytes_of_pages(memcg.usage_pages),
        limit_bytes: arch.limit_of_pages(memcg.limit_pages),
        oom_group: memcg.oom_group != 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::decode::{decode, golden};

    #[test]
    fn an_oom_kill_has_its_trigger_and_every_memory_cgroup() {
        let events = decode(&golden::oom(), Arch::X86_64).unwrap();
        assert_eq!(events[0].process, golden::process());
        assert_eq!(
            events[0].what,
            What::Oom(Oom {
                trigger: golden::other_process(),
                total_vm_bytes: 1 << 30,
                file_bytes: 4096,
                anon_bytes: 16_000 * 4096,
                shmem_bytes: 0,
                open_files_limit: Some(1_000_000_000),
                written: Some(0),
                oom_score_adj: -998,
                memcgs: vec![
                    Memcg {
                        id: 31,
                        usage_bytes: 64 << 20,
                        limit_bytes: Some(64 << 20),
                        oom_group: true
                    },
                    Memcg {
                        id: 1,
                        usage_bytes: 90_000 * 4096,
                        limit_bytes: None,
                        oom_group: false
                    },
                ],
            })
        );
    }

    #[test]
    fn more_levels_than_there_are_is_refused() {
        let mut bytes = golden::oom();
        bytes[228] = 13;
        assert_eq!(
            decode(&bytes, Arch::X86_64),
            Err(DecodeError::Bounds { record: "oom", field: "levels", value: 13, most: 12 })
        );
    }
}

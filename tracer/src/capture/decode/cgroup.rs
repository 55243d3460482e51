//! The life of cgroups under a watched root.

use tracer_ebpf::abi::{cgroup as abi, exec::PATH_MAX};

use super::{error::DecodeError, record::Record};
use crate::{
    capture::event::{CgroupChange, Change, Event, What},
    linux::text::Text,
};

pub(super) fn cgroup(record: &Record<'_>) -> Result<Event, DecodeError> {
    let (cgroup, mut tail) = record.body::<abi::Cgroup>()?;
    let path = tail.take("path_size", cgroup.path_size, PATH_MAX)?;
    tail.finish()?;
    Ok(record.event(What::Cgroup(CgroupChange {
        change: match cgroup.change {
            abi::change::MADE => Change::Made,
            abi::change::REMOVED => Change::Removed,
            abi::change::MOVED_IN => Change::MovedIn,
            abi::change::MOVED_OUT => Change::MovedOut,
            other => return Err(record.meaningless("change", other)),
        },
        id: cgroup.id,
        level: cgroup.level,
        path: Text::until_nul(path),
    })))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::decode::{Arch, decode, golden};

    #[test]
    fn a_change_names_the_cgroup_and_its_path() {
        for (number, change) in
            [Change::Made, Change::Removed, Change::MovedIn, Change::MovedOut].iter().enumerate()
        {
            let bytes = golden::cgroup(u32::try_from(number).unwrap());
            assert_eq!(
                decode(&bytes, Arch::X86_64).unwrap()[0].what,
                What::Cgroup(CgroupChange {
                    change: *change,
                    id: 777,
                    level: 3,
                    path: Text::from("/kubepods/x/y"),
                })
            );
        }
        assert!(decode(&golden::cgroup(4), Arch::X86_64).is_err());
    }
}

//! What decoding must know of the machine that wrote a record.

use crate::linux::syscall::SyscallTable;

/// System call numbering and page size of the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arch {
    pub syscalls: SyscallTable,
    /// Size of a page in bytes: 4096 on x86_64; 4096, 16384 or 65536 on aarch64.
    pub page_bytes: u64,
}

impl Arch {
    pub const X86_64: Self = Self { syscalls: SyscallTable::X86_64, page_bytes: 4096 };

    /// The machine that uname(2) names: `x86_64` or `aarch64`, with 4 KiB pages.
    pub fn of_machine(machine: &str) -> Option<Self> {
        Some(Self { syscalls: SyscallTable::of_machine(machine)?, page_bytes: 4096 })
    }

    /// Bytes of a page count. A count is a signed long in the kernel; sums of per-CPU counters that are
    /// read without a lock can be below zero, which is none.
    pub(super) fn bytes_of_pages(self, pages: u64) -> u64 {
        if i64::try_from(pages).is_err() { 0 } else { pages.saturating_mul(self.page_bytes) }
    }

    /// Bytes of a memory cgroup's limit, `None` from PAGE_COUNTER_MAX on (include/linux/page_counter.h:
    /// LONG_MAX / PAGE_SIZE), which means no limit.
    pub(super) fn limit_of_pages(self, pages: u64) -> Option<u64> {
        let no_limit = i64::MAX.unsigned_abs() / self.page_bytes.max(1);
        (pages < no_limit).then(|| pages.saturating_mul(self.page_bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_from_page_counter_max_on_is_none() {
        let most = 0x7_ffff_ffff_ffff;
        assert_eq!(Arch::X86_64.limit_of_pages(0), Some(0));
        assert_eq!(Arch::X86_64.limit_of_pages(16_384), Some(64 << 20));
        assert_eq!(Arch::X86_64.limit_of_pages(most - 1), Some((most - 1) * 4096));
        assert_eq!(Arch::X86_64.limit_of_pages(most), None);
        assert_eq!(Arch::X86_64.limit_of_pages(u64::MAX >> 12), None);
        assert_eq!(Arch::X86_64.limit_of_pages(u64::MAX), None);
    }

    #[test]
    fn pages_of_the_machine_become_bytes() {
        let large = Arch { syscalls: SyscallTable::Aarch64, page_bytes: 65_536 };
        assert_eq!(large.bytes_of_pages(2), 131_072);
        assert_eq!(Arch::X86_64.bytes_of_pages(2), 8192);
        assert_eq!(Arch::X86_64.bytes_of_pages((-3_i64).cast_unsigned()), 0);
    }
}

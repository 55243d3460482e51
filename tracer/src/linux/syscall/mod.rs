//! System call numbers and their names, per architecture. It must not know what a call does.

mod aarch64;
mod recent;
mod x86_64;

/// Name of a number that is in no table: newer than this program, or not a system call.
pub const UNKNOWN: &str = "unknown";

/// The numbering of one architecture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SyscallTable {
    X86_64,
    Aarch64,
}

impl SyscallTable {
    /// The table of `x86_64` or `aarch64` (`uname -m`), `None` for any other machine.
    pub fn of_machine(machine: &str) -> Option<Self> {
        match machine {
            "x86_64" => Some(Self::X86_64),
            "aarch64" => Some(Self::Aarch64),
            _ => None,
        }
    }

    /// `openat`; [`UNKNOWN`] for a number that the table lacks.
    pub fn name(self, number: u32) -> &'static str {
        let own = match self {
            Self::X86_64 => at(&x86_64::FROM_0, 0, number),
            Self::Aarch64 => {
                at(&aarch64::FROM_0, 0, number).or_else(|| at(&aarch64::FROM_260, 260, number))
            }
        };
        own.or_else(|| at(&recent::FROM_424, 424, number)).unwrap_or(UNKNOWN)
    }
}

fn at(names: &[&'static str], first: u32, number: u32) -> Option<&'static str> {
    let index = usize::try_from(number.checked_sub(first)?).ok()?;
    names.get(index).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_named_as_the_architecture_counts_them() {
        let check = |number, x86_64, aarch64| {
            assert_eq!(SyscallTable::X86_64.name(number), x86_64);
            assert_eq!(SyscallTable::Aarch64.name(number), aarch64);
        };
        check(0, "read", "io_setup");
        check(49, "bind", "chdir");
        check(56, "clone", "openat");
        check(59, "execve", "pipe2");
        check(79, "getcwd", "newfstatat");
        check(200, "tkill", "bind");
        check(221, "fadvise64", "execve");
        check(222, "timer_create", "mmap");
        check(257, "openat", UNKNOWN);
        check(281, "epoll_pwait", "execveat");
        check(294, "inotify_init1", "kexec_file_load");
        check(322, "execveat", UNKNOWN);
        check(334, "rseq", UNKNOWN);
        check(437, "openat2", "openat2");
        check(469, "file_setattr", "file_setattr");
    }

    #[test]
    fn a_number_outside_the_tables_is_unknown() {
        for number in [243 + 1, 259, 295, 335, 423] {
            assert_eq!(SyscallTable::Aarch64.name(number), UNKNOWN);
        }
        for number in [335, 423, 470, 1024, 0x4000_0000, u32::MAX] {
            assert_eq!(SyscallTable::X86_64.name(number), UNKNOWN);
        }
    }

    #[test]
    fn only_the_supported_machines_have_a_table() {
        assert_eq!(SyscallTable::of_machine("x86_64"), Some(SyscallTable::X86_64));
        assert_eq!(SyscallTable::of_machine("aarch64"), Some(SyscallTable::Aarch64));
        assert_eq!(SyscallTable::of_machine("riscv64"), None);
    }
}

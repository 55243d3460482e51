//! The table of causes, in the order in which they are tried, each in its family. It must not know what proves a cause:
//! that is for the rules, and for docs/verdicts.md to say.

use std::fmt;

// A cause is its variant, then its name: in JSON, in docs/crash.schema.json, in metrics and as heading of
// docs/verdicts.md. A family is its variant, then the name of the file below tests/src/deaths that lets it happen.
// `cargo xtask lint` reads this table and names what a cause lacks elsewhere.
macro_rules! causes {
    ($($(#[$about:meta])* $family:ident $word:literal { $($variant:ident $name:literal,)+ })+) => {
        /// Why a life ended.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Cause { $($($variant,)+)+ }

        /// What a cause is about.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Family { $($(#[$about])* $family,)+ }

        impl Cause {
            /// All causes, in order.
            pub const ALL: &[Cause] = &[$($(Cause::$variant,)+)+];

            /// The name in JSON and documentation.
            pub fn name(self) -> &'static str {
                match self { $($(Cause::$variant => $name,)+)+ }
            }

            pub fn family(self) -> Family {
                match self { $($(Cause::$variant => Family::$family,)+)+ }
            }
        }

        impl Family {
            pub fn name(self) -> &'static str {
                match self { $(Family::$family => $word,)+ }
            }
        }
    };
}

causes! {
    /// The entrypoint was never executed.
    Exec "exec" {
        ExecNotFound "exec_not_found",
        ExecInterpreterMissing "exec_interpreter_missing",
        ExecPermissionDenied "exec_permission_denied",
        ExecFormatError "exec_format_error",
    }
    /// The kernel's OOM killer.
    Oom "oom" {
        OomKilled "oom_killed",
        OomKilledChild "oom_killed_child",
        OomKilledNode "oom_killed_node",
    }
    /// The container runtime stopped it.
    Stopped "stopped" {
        StoppedByRuntime "stopped_by_runtime",
    }
    /// The memory that a runtime allows itself.
    Heap "heaps" {
        HeapExhausted "heap_exhausted",
    }
    /// Signals that a process brings upon itself.
    Faults "faults" {
        CpuTooOld "cpu_too_old",
        Segfault "segfault",
        BusError "bus_error",
        IllegalInstruction "illegal_instruction",
        ArithmeticFault "arithmetic_fault",
        SeccompViolation "seccomp_violation",
        Abort "abort",
    }
    /// Other signals.
    Signals "signals" {
        BrokenPipe "broken_pipe",
        FileSizeLimit "file_size_limit",
        KilledBySignal "killed_by_signal",
    }
    /// The dynamic loader.
    Loader "loader" {
        SharedLibraryMissing "shared_library_missing",
        LibraryVersionMismatch "library_version_mismatch",
    }
    /// An address to listen on.
    Bind "bind" {
        BindAddressInUse "bind_address_in_use",
        BindPermissionDenied "bind_permission_denied",
        BindAddressUnavailable "bind_address_unavailable",
    }
    /// Files, folders and what a process may do.
    Files "files" {
        FileNotFound "file_not_found",
        PermissionDenied "permission_denied",
        ReadOnlyFilesystem "read_only_filesystem",
        DiskFull "disk_full",
        IsADirectory "is_a_directory",
        LockHeld "lock_held",
        MountPointBusy "mount_point_busy",
        TextFileBusy "text_file_busy",
        CrossDevice "cross_device",
        PathInvalid "path_invalid",
        VolumeFailed "volume_failed",
    }
    /// Limits of a process, a user or the node.
    Limits "limits" {
        FdLimit "fd_limit",
        PidLimit "pid_limit",
        MemoryAllocationFailed "memory_allocation_failed",
        WatchLimit "watch_limit",
        ArgumentsTooLong "arguments_too_long",
        CallUnsupported "call_unsupported",
    }
    /// Peers and names.
    Network "network" {
        ConnectionRefused "connection_refused",
        ConnectionTimedOut "connection_timed_out",
        HostUnreachable "host_unreachable",
        ConnectionReset "connection_reset",
        PortsExhausted "ports_exhausted",
        AddressFamilyUnsupported "address_family_unsupported",
        NameResolutionFailed "name_resolution_failed",
        TlsFailed "tls_failed",
    }
    /// What nothing in the program caught.
    Exceptions "exceptions" {
        UncaughtException "uncaught_exception",
    }
    /// Ends that nothing else explains.
    Exits "exits" {
        ExitedByItself "exited_by_itself",
        ExitedWithError "exited_with_error",
        None "none",
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Confidence {
    Proven,
    Likely,
    /// Of cause `none`.
    None,
}

impl Confidence {
    pub fn name(self) -> &'static str {
        match self {
            Self::Proven => "proven",
            Self::Likely => "likely",
            Self::None => "none",
        }
    }
}

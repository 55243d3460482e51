//! The causes, in the order in which they are tried. docs/verdicts.md says of each what proves it.

use std::fmt;

macro_rules! causes {
    ($($variant:ident $name:literal,)*) => {
        /// Why a life ended.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Cause { $($variant,)* }

        impl Cause {
            /// All causes, in order.
            pub const ALL: &[Cause] = &[$(Cause::$variant,)*];

            /// The name in JSON and documentation.
            pub fn name(self) -> &'static str {
                match self { $(Cause::$variant => $name,)* }
            }
        }
    };
}

causes! {
    ExecNotFound "exec_not_found",
    ExecInterpreterMissing "exec_interpreter_missing",
    ExecPermissionDenied "exec_permission_denied",
    ExecFormatError "exec_format_error",
    OomKilled "oom_killed",
    OomKilledChild "oom_killed_child",
    OomKilledNode "oom_killed_node",
    StoppedByRuntime "stopped_by_runtime",
    Segfault "segfault",
    BusError "bus_error",
    IllegalInstruction "illegal_instruction",
    ArithmeticFault "arithmetic_fault",
    SeccompViolation "seccomp_violation",
    Abort "abort",
    KilledBySignal "killed_by_signal",
    SharedLibraryMissing "shared_library_missing",
    LibraryVersionMismatch "library_version_mismatch",
    BindAddressInUse "bind_address_in_use",
    BindPermissionDenied "bind_permission_denied",
    BindAddressUnavailable "bind_address_unavailable",
    FileNotFound "file_not_found",
    PermissionDenied "permission_denied",
    ReadOnlyFilesystem "read_only_filesystem",
    DiskFull "disk_full",
    FdLimit "fd_limit",
    PidLimit "pid_limit",
    MemoryAllocationFailed "memory_allocation_failed",
    ConnectionRefused "connection_refused",
    NameResolutionFailed "name_resolution_failed",
    ExitedByItself "exited_by_itself",
    ExitedWithError "exited_with_error",
    None "none",
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

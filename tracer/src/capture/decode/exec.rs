//! A successful exec, and one that failed.

use tracer_ebpf::abi::exec as abi;

use super::{error::DecodeError, record::Record};
use crate::{
    capture::event::{Event, Exec, ExecFailed, What},
    linux::{errno::Errno, text::Text},
};

/// The working directory (include/uapi/linux/fcntl.h: AT_FDCWD).
const AT_FDCWD: i32 = -100;

pub(super) fn exec(record: &Record<'_>) -> Result<Event, DecodeError> {
    let (exec, mut tail) = record.body::<abi::Exec>()?;
    let path = tail.take("path_size", exec.path_size, abi::PATH_MAX)?;
    let args = tail.take("args_size", exec.args_size, abi::ARGS_MAX)?;
    tail.finish()?;
    Ok(record.event(What::Exec(Exec {
        path: Text::until_nul(path),
        args: arguments(args),
        args_truncated: exec.args_length > u64::from(exec.args_size),
        args_length: exec.args_length,
        cap_effective: exec.cap_effective,
        mount_ns: exec.mount_ns,
        net_ns: exec.net_ns,
        device: exec.device,
        inode: exec.inode,
    })))
}

pub(super) fn exec_failed(record: &Record<'_>) -> Result<Event, DecodeError> {
    let (failed, mut tail) = record.body::<abi::ExecFailed>()?;
    let path = tail.take("path_size", failed.path_size, abi::PATH_MAX)?;
    let args = tail.take("args_size", failed.args_size, abi::ARGS_MAX)?;
    tail.finish()?;
    Ok(record.event(What::ExecFailed(ExecFailed {
        errno: Errno(failed.errno),
        path: Text::until_nul(path),
        path_truncated: failed.path_truncated != 0,
        args: arguments(args),
        args_truncated: failed.args_truncated != 0,
        dirfd: (failed.dirfd != AT_FDCWD).then_some(failed.dirfd),
    })))
}

/// Arguments of a NUL separated argv; the last may lack its NUL where the argv was cut.
fn arguments(bytes: &[u8]) -> Vec<Text> {
    if bytes.is_empty() {
        return Vec::new();
    }
    let bytes = bytes.strip_suffix(&[0]).unwrap_or(bytes);
    bytes.split(|byte| *byte == 0).map(|argument| Text(argument.to_vec())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::decode::{Arch, decode, golden};

    #[test]
    fn an_exec_has_its_path_and_arguments() {
        let events = decode(&golden::exec(), Arch::X86_64).unwrap();
        assert_eq!(
            events,
            [Event {
                time_ns: 1_000_000_007,
                cgroup: 777,
                process: golden::process(),
                what: What::Exec(Exec {
                    path: Text::from("/usr/bin/app"),
                    args: vec![Text::from("app"), Text::from("--flag"), Text::from("")],
                    args_truncated: true,
                    args_length: 9000,
                    cap_effective: 0x3ff,
                    mount_ns: 4_026_531_840,
                    net_ns: 4_026_531_841,
                    device: 0x801,
                    inode: 123_456,
                }),
            }]
        );
    }

    #[test]
    fn a_failed_exec_has_its_error_and_relative_path() {
        let events = decode(&golden::exec_failed(), Arch::X86_64).unwrap();
        assert_eq!(
            events[0].what,
            What::ExecFailed(ExecFailed {
                errno: Errno::ENOENT,
                path: Text::from("./missing"),
                path_truncated: false,
                args: vec![Text::from("missing"), Text::from("x")],
                args_truncated: false,
                dirfd: None,
            })
        );
    }

    #[test]
    fn a_directory_descriptor_is_told() {
        let mut bytes = golden::exec_failed();
        bytes[108..112].copy_from_slice(&9_i32.to_ne_bytes());
        let events = decode(&bytes, Arch::X86_64).unwrap();
        assert!(matches!(&events[0].what, What::ExecFailed(failed) if failed.dirfd == Some(9)));
    }

    #[test]
    fn a_path_longer_than_the_record_is_refused() {
        let mut bytes = golden::exec_failed();
        bytes[112..116].copy_from_slice(&4096_u32.to_ne_bytes());
        assert_eq!(
            decode(&bytes, Arch::X86_64),
            Err(DecodeError::Short { part: "path_size", needed: 4096, got: 19 })
        );
        bytes[112..116].copy_from_slice(&4097_u32.to_ne_bytes());
        assert_eq!(
            decode(&bytes, Arch::X86_64),
            Err(DecodeError::Bounds {
                record: "exec_failed",
                field: "path_size",
                value: 4097,
                most: 4096
            })
        );
    }

    #[test]
    fn arguments_keep_empty_ones_and_a_cut_last_one() {
        let texts = |texts: &[&str]| texts.iter().map(|text| Text::from(*text)).collect::<Vec<_>>();
        assert_eq!(arguments(b""), texts(&[]));
        assert_eq!(arguments(b"\0"), texts(&[""]));
        assert_eq!(arguments(b"a\0\0b\0"), texts(&["a", "", "b"]));
        assert_eq!(arguments(b"a\0b"), texts(&["a", "b"]));
    }
}

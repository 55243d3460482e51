//! A signal that was generated for a process.

use std::mem::offset_of;

use tracer_ebpf::abi::signal as abi;

use super::{
    arch::Arch,
    error::DecodeError,
    record::{Body, Record},
    task,
};
use crate::{
    capture::event::{Delivery, Disposition, Event, SignalEvent, What},
    linux::{
        signal::{Signal, SignalCode},
        text::Text,
    },
};

/// `si_code` of a fault without particulars, such as a general protection fault: `si_addr` is no
/// address then (include/uapi/asm-generic/siginfo.h).
const SI_KERNEL: i32 = 0x80;

pub(super) fn signal(record: &Record<'_>, arch: Arch) -> Result<Event, DecodeError> {
    let raw: Body<abi::Signal> = record.whole()?;
    let signal = Signal(raw.signal);
    let code = SignalCode::from_raw(raw.code);
    Ok(record.event(What::Signal(SignalEvent {
        signal,
        code,
        sender: task::process(&raw.sender),
        sender_exe: Text::until_nul(&raw.sender_exe),
        result: delivery(raw.result).ok_or_else(|| record.meaningless("result", raw.result))?,
        disposition: disposition(raw.disposition)
            .ok_or_else(|| record.meaningless("disposition", raw.disposition))?,
        group: raw.group != 0,
        syscall: syscall(raw.syscall, arch),
        address: has_address(signal, code).then_some(raw.address),
        instruction: instruction(record, &raw)?,
    })))
}

/// Empty where it was not read.
fn instruction(record: &Record<'_>, raw: &Body<abi::Signal>) -> Result<Vec<u8>, DecodeError> {
    if !raw.has(offset_of!(abi::Signal, instruction_bytes) + size_of::<u32>()) {
        return Ok(Vec::new());
    }
    let most = raw.instruction.len();
    let size = record.at_most("instruction_bytes", raw.instruction_bytes, most)?;
    Ok(raw.instruction[..size].to_vec())
}

fn delivery(raw: u32) -> Option<Delivery> {
    match raw {
        abi::result::DELIVERED => Some(Delivery::Delivered),
        abi::result::IGNORED => Some(Delivery::Ignored),
        abi::result::ALREADY_PENDING => Some(Delivery::AlreadyPending),
        abi::result::OVERFLOW_FAIL | abi::result::LOSE_INFO => Some(Delivery::Lost),
        _ => None,
    }
}

fn disposition(raw: u32) -> Option<Disposition> {
    match raw {
        abi::disposition::DEFAULT => Some(Disposition::Default),
        abi::disposition::IGNORED => Some(Disposition::Ignored),
        abi::disposition::HANDLED => Some(Disposition::Handled),
        _ => None,
    }
}

/// A system call number with its name; `None` for a negative one.
pub(super) fn syscall(raw: i32, arch: Arch) -> Option<(u32, &'static str)> {
    let number = u32::try_from(raw).ok()?;
    Some((number, arch.syscalls.name(number)))
}

fn has_address(signal: Signal, code: SignalCode) -> bool {
    let fault =
        matches!(signal, Signal::SIGSEGV | Signal::SIGBUS | Signal::SIGILL | Signal::SIGFPE);
    match code {
        SignalCode::Kernel(code) => fault && code != SI_KERNEL,
        SignalCode::User
        | SignalCode::Thread
        | SignalCode::Queue
        | SignalCode::KernelSent
        | SignalCode::NoInfo
        | SignalCode::Other(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::decode::{decode, golden};

    fn decoded(bytes: &[u8]) -> SignalEvent {
        match decode(bytes, Arch::X86_64).unwrap().remove(0).what {
            What::Signal(signal) => signal,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_signal_has_its_sender_and_how_it_is_met() {
        assert_eq!(
            decoded(&golden::signal(15, 0, -1, 0)),
            SignalEvent {
                signal: Signal::SIGTERM,
                code: SignalCode::User,
                sender: golden::other_process(),
                sender_exe: Text::from("runc"),
                result: Delivery::Delivered,
                disposition: Disposition::Handled,
                group: true,
                syscall: None,
                address: None,
                instruction: Vec::new(),
            }
        );
    }

    #[test]
    fn only_a_fault_of_the_kernel_has_an_address() {
        let address = |signal, code| decoded(&golden::signal(signal, code, -1, 0)).address;
        assert_eq!(address(11, 1), Some(0));
        assert_eq!(address(7, 2), Some(0));
        assert_eq!(address(11, SI_KERNEL), None);
        assert_eq!(address(11, 0), None);
        assert_eq!(address(15, 1), None);
    }

    #[test]
    fn an_illegal_instruction_is_told_by_its_bytes() {
        assert_eq!(decoded(&golden::signal(4, 2, -1, 0)).instruction, [0x0f, 0x0b]);
        assert!(decoded(&golden::signal(11, 1, -1, 0)).instruction.is_empty());
        // As recorded before the instruction was.
        let mut bytes = golden::signal(4, 2, -1, 0);
        let size = offset_of!(abi::Signal, instruction);
        bytes.truncate(size);
        let size = u32::try_from(size).unwrap().to_ne_bytes();
        bytes[offset_of!(abi::Signal, header.size)..][..4].copy_from_slice(&size);
        bytes[offset_of!(abi::Signal, header.body)..][..4].copy_from_slice(&size);
        assert!(decoded(&bytes).instruction.is_empty());
    }

    #[test]
    fn a_refused_system_call_is_named() {
        assert_eq!(decoded(&golden::signal(31, 1, 165, 0)).syscall, Some((165, "mount")));
    }

    #[test]
    fn a_result_without_meaning_is_refused() {
        let fields = [
            (offset_of!(abi::Signal, result), "result"),
            (offset_of!(abi::Signal, disposition), "disposition"),
        ];
        for (offset, field) in fields {
            let mut bytes = golden::signal(15, 0, -1, 0);
            bytes[offset] = 9;
            assert_eq!(
                decode(&bytes, Arch::X86_64),
                Err(DecodeError::Value { record: "signal", field, value: 9 })
            );
        }
    }
}

//! All programs, one file per hook, and what they stand on.

mod cgroup;
mod container;
mod counter;
mod exec;
mod exit;
mod forget;
mod fork;
mod found;
mod kernel;
mod maps;
mod memory;
mod oom;
mod path;
mod record;
mod rlimit;
mod said;
mod share;
mod signal;
mod syscall;
mod threads;
mod track;

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    // The verifier refuses any program that can come here.
    loop {}
}

// Many helpers are GPL-only; the rest of the project may be used under Apache-2.0 or MIT as well.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";

//! Clears and copies what is kept of a call, word by word: of an assignment the compiler makes a loop over bytes, and a call of
//! a helper costs four times as much.

use tracer_ebpf::abi::recorder::{Call, DATA};

/// Clears the data of a call or of a message, which lie at multiples of eight.
#[inline(always)]
pub fn clear(data: &mut [u8; DATA]) {
    for index in 0..DATA / 8 {
        // SAFETY: eight bytes of the array, at a multiple of eight.
        unsafe { data.as_mut_ptr().cast::<u64>().add(index).write_volatile(0) };
    }
}

/// Copies a call.
#[inline(always)]
pub fn copy(to: &mut Call, from: &Call) {
    let (to, from) = ((&raw mut *to).cast::<u64>(), (&raw const *from).cast::<u64>());
    for index in 0..size_of::<Call>() / 8 {
        // SAFETY: eight bytes of each, at a multiple of eight.
        unsafe { to.add(index).write_volatile(from.add(index).read_volatile()) };
    }
}

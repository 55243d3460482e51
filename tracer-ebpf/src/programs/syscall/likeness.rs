//! Which failed calls are alike, and what they were about, as numbers that are quickly compared.

use tracer_ebpf::abi::recorder::{Call, DATA, data_kind};

/// Words of eight bytes that a call's data has.
const WORDS: usize = DATA / 8;
/// An odd number with well mixed bits (the golden ratio).
const MIX: u64 = 0x9e37_79b9_7f4a_7c15;
const SLASHES: u64 = 0x2f2f_2f2f_2f2f_2f2f;
const LOW_SEVEN: u64 = 0x7f7f_7f7f_7f7f_7f7f;
/// Arguments up to here are commands, options and flags, not addresses.
const SMALL: u64 = 4096;

#[inline(always)]
fn mix(hash: u64, word: u64) -> u64 {
    let hash = (hash ^ word).wrapping_mul(MIX);
    hash ^ (hash >> 29)
}

/// Alike are calls of one number with one error about one object; without an object those with the same commands and
/// options.
#[inline(always)]
pub fn of(call: &Call) -> u32 {
    let mut hash = mix(u64::from(call.number), call.errno as u32 as u64);
    if call.data_kind == data_kind::NONE {
        hash = mix(hash, call.args[0]);
        for argument in [call.args[1], call.args[2]] {
            hash = mix(hash, if argument < SMALL { argument } else { SMALL });
        }
    } else {
        hash = words(hash, &call.data);
    }
    (hash >> 32) as u32
}

#[inline(always)]
fn words(seed: u64, data: &[u8; DATA]) -> u64 {
    let mut hash = seed;
    for index in 0..WORDS {
        // SAFETY: eight bytes of the array, which lies at a multiple of eight in a call: the compiler would read the bytes of
        // a word one by one otherwise.
        let word = unsafe { data.as_ptr().cast::<u64>().add(index).read() };
        if word != 0 {
            hash = mix(hash, word);
        }
    }
    hash
}

/// The last name of a path, as a number: of a name longer than 16 bytes its last 16. `path` holds `size` bytes and has 16
/// others before it.
#[inline(always)]
pub fn name_key(path: *const u8, size: u32) -> u64 {
    if size == 0 {
        return 0;
    }
    // SAFETY: as said. What lies before a short path is cut off below.
    let words = unsafe { path.add(size as usize).sub(16).cast::<[u64; 2]>().read_unaligned() };
    let [mut low, mut high] = words;
    if size < 8 {
        high = cut(high, size);
        low = 0;
    } else if size < 16 {
        low = cut(low, size - 8);
    }
    let slashes = slashes(high);
    if slashes != 0 {
        (low, high) = (0, high & above(slashes));
    } else {
        let slashes = self::slashes(low);
        if slashes != 0 {
            low &= above(slashes);
        }
    }
    mix(mix(1, low), high) | 1
}

/// The last `bytes` bytes of a word, in the order of memory.
#[inline(always)]
fn cut(word: u64, bytes: u32) -> u64 {
    let gone = (64 - bytes * 8) & 63;
    if bytes == 0 { 0 } else { (word >> gone) << gone }
}

/// A word with the highest bit of each byte set that is a slash.
#[inline(always)]
fn slashes(word: u64) -> u64 {
    let x = word ^ SLASHES;
    !(((x & LOW_SEVEN) + LOW_SEVEN) | x | LOW_SEVEN)
}

/// All bits above the highest one that is set, which is a byte's highest.
#[inline(always)]
fn above(bits: u64) -> u64 {
    let mut below = bits;
    below |= below >> 8;
    below |= below >> 16;
    below |= below >> 32;
    // Each byte up to the slash has its highest bit now.
    let bytes = (below >> 7) & 0x0101_0101_0101_0101;
    !(bytes.wrapping_mul(0xff))
}

/// Of the socket address in a call's data: the port in the low 16 bits, the address above.
#[inline(always)]
pub fn address_key(call: &Call) -> u64 {
    let family = u16::from_ne_bytes([call.data[0], call.data[1]]);
    let port = u16::from_ne_bytes([call.data[2], call.data[3]]);
    let hash = match family {
        // struct sockaddr_in: the address at 4; sockaddr_in6: at 8.
        2 => mix(2, word(&call.data, 4) & 0xffff_ffff),
        10 => mix(mix(10, word(&call.data, 8)), word(&call.data, 16)),
        _ => return words(u64::from(family), &call.data) | 1,
    };
    (hash & !0xffff) | u64::from(port)
}

#[inline(always)]
fn word(data: &[u8; DATA], at: usize) -> u64 {
    // SAFETY: callers name places up to DATA - 8.
    unsafe { data.as_ptr().add(at).cast::<u64>().read_unaligned() }
}

/// Adds a label of a name to a hash: its length and its last eight bytes, whatever their case.
#[inline(always)]
pub fn label(hash: u64, data: &[u8; DATA], at: usize, length: usize) -> u64 {
    const LOWER: u64 = 0x2020_2020_2020_2020;
    let end = (at + 1 + length) & 0xff;
    if end < 8 || end > DATA {
        return mix(hash, length as u64);
    }
    let last = word(data, end - 8) | LOWER;
    let kept = if length < 8 { cut(last, length as u32) } else { last };
    mix(mix(hash, length as u64), kept)
}

/// The port in an address's key.
#[inline(always)]
pub fn port_of(key: u64) -> u16 {
    key as u16
}

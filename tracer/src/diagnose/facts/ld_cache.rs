//! /etc/ld.so.cache of glibc: the libraries that ldconfig found. It must not do I/O.

use crate::linux::text::Text;

/// The file's entries: library names and paths. One name may have several paths, for other machines or
/// better processors.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Cache {
    /// From the header of the new format on.
    bytes: Vec<u8>,
    entries: usize,
}

const MAGIC: &[u8] = b"glibc-ld.so.cache1.1";
const OLD_MAGIC: &[u8] = b"ld.so-1.7.0";
const HEADER: usize = 48;
const ENTRY: usize = 24;
/// Paths of one name that are told; a real cache has a handful.
const PATHS_MAX: usize = 16;
/// PATH_MAX: what follows is no path.
const PATH_BYTES_MAX: usize = 4096;

impl Cache {
    /// Reads the format of glibc 2.2 and later (sysdeps/generic/dl-cache.h), alone or behind the older
    /// one. `None` if it is neither.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let bytes = bytes.get(new_format_at(bytes)?..)?;
        if !bytes.starts_with(MAGIC) {
            return None;
        }
        let fitting = bytes.len().checked_sub(HEADER)? / ENTRY;
        Some(Self { bytes: bytes.to_vec(), entries: word(bytes, 20)?.min(fitting) })
    }

    /// In the order of the file.
    pub fn paths(&self, library: &Text) -> Vec<Text> {
        let mut name = library.as_bytes().to_vec();
        name.push(0);
        (0..self.entries)
            .map(|index| HEADER + index * ENTRY)
            .filter(|at| self.string(at + 4).is_some_and(|text| text.starts_with(&name)))
            .filter_map(|at| self.string(at + 8))
            .map(|path| Text::until_nul(&path[..path.len().min(PATH_BYTES_MAX)]))
            .take(PATHS_MAX)
            .collect()
    }

    /// The bytes from where an entry's word points; offsets count from this format's header.
    fn string(&self, at: usize) -> Option<&[u8]> {
        self.bytes.get(word(&self.bytes, at)?..)
    }
}

fn new_format_at(bytes: &[u8]) -> Option<usize> {
    if !bytes.starts_with(OLD_MAGIC) {
        return Some(0);
    }
    let entries = word(bytes, 12)?.checked_mul(12)?;
    entries.checked_add(16)?.checked_next_multiple_of(8)
}

fn word(bytes: &[u8], at: usize) -> Option<usize> {
    let word = bytes.get(at..at.checked_add(4)?)?.try_into().ok()?;
    usize::try_from(u32::from_ne_bytes(word)).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cache(entries: &[(&str, &str)]) -> Vec<u8> {
        let mut strings = Vec::new();
        let start = HEADER + entries.len() * ENTRY;
        let mut table = Vec::new();
        for (name, path) in entries {
            table.extend(0x0303_u32.to_ne_bytes());
            for text in [name, path] {
                table.extend(((start + strings.len()) as u32).to_ne_bytes());
                strings.extend(text.as_bytes());
                strings.push(0);
            }
            table.extend([0; 12]);
        }
        let mut bytes = MAGIC.to_vec();
        bytes.extend((entries.len() as u32).to_ne_bytes());
        bytes.extend((strings.len() as u32).to_ne_bytes());
        bytes.extend([0; 20]);
        bytes.extend(table);
        bytes.extend(strings);
        bytes
    }

    const ENTRIES: [(&str, &str); 3] = [
        ("libc.so.6", "/lib/x86_64-linux-gnu/libc.so.6"),
        ("libc.so.6", "/lib32/libc.so.6"),
        ("libssl.so.3", "/opt/ssl/libssl.so.3"),
    ];

    #[test]
    fn every_path_of_a_name_is_kept_in_order() {
        let cache = Cache::parse(&cache(&ENTRIES)).unwrap();
        let paths: Vec<String> =
            cache.paths(&Text::from("libc.so.6")).iter().map(Text::to_string).collect();
        assert_eq!(paths, ["/lib/x86_64-linux-gnu/libc.so.6", "/lib32/libc.so.6"]);
        assert!(cache.paths(&Text::from("libnone.so")).is_empty());
    }

    #[test]
    fn the_new_format_is_found_behind_the_old_one() {
        let mut bytes = OLD_MAGIC.to_vec();
        bytes.push(0);
        bytes.extend(1_u32.to_ne_bytes());
        bytes.extend([0; 12]);
        bytes.extend([0; 4]);
        bytes.extend(cache(&ENTRIES));
        let cache = Cache::parse(&bytes).unwrap();
        assert_eq!(cache.paths(&Text::from("libssl.so.3")), [Text::from("/opt/ssl/libssl.so.3")]);
    }

    #[test]
    fn the_cache_of_this_machine_is_read() {
        let Ok(bytes) = std::fs::read("/etc/ld.so.cache") else {
            println!("skipped: this machine has no /etc/ld.so.cache");
            return;
        };
        let cache = Cache::parse(&bytes).unwrap();
        assert!(!cache.paths(&Text::from("libc.so.6")).is_empty());
    }

    #[test]
    fn other_bytes_are_no_cache() {
        assert_eq!(Cache::parse(b""), None);
        assert_eq!(Cache::parse(b"ld.so-1.7.0"), None);
        assert_eq!(Cache::parse(b"something else entirely"), None);
    }

    proptest! {
        #[test]
        fn no_mutated_cache_panics(
            edits in prop::collection::vec((0_usize..300, any::<u8>()), 0..16),
            cut in 0_usize..300,
        ) {
            let mut bytes = cache(&ENTRIES);
            let length = bytes.len();
            for (at, value) in edits {
                bytes[at % length] = value;
            }
            bytes.truncate(cut.max(30));
            let _ = Cache::parse(&bytes);
        }
    }
}

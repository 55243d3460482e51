//! The dynamic section of an ELF file, read by addresses as a dynamic loader does: what it needs, what it
//! defines. It must not know where libraries are.

use std::collections::HashSet;

use object::{
    Endianness,
    elf::{self, FileHeader32, FileHeader64},
    pod::{self, Pod},
    read::elf::{Dyn, FileHeader, GnuHashTable, HashTable, Sym},
};

use super::{elf::Header, regular::ReadAt};
use crate::linux::text::Text;

/// What a dynamic loader learns from a file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Dynamic {
    /// DT_NEEDED, in order.
    pub needed: Vec<Text>,
    pub soname: Option<Text>,
    pub rpath: Option<Text>,
    pub runpath: Option<Text>,
    /// Versions that it needs of a library, without those marked weak.
    pub needs: Vec<VersionNeed>,
    /// Versions that it defines; `None` if it has no version definitions.
    pub defines: Option<Vec<Text>>,
    strings: Vec<u8>,
    symbol_table: u64,
    hash: u64,
    gnu_hash: u64,
}

#[derive(Clone, Debug, PartialEq)]
pub struct VersionNeed {
    pub library: Text,
    pub version: Text,
}

/// Names of the dynamic symbol table.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Symbols {
    pub defined: HashSet<Vec<u8>>,
    /// Undefined and not weak.
    pub undefined: Vec<Text>,
}

/// Bounds of what is read of one file; the largest libraries stay well below them.
const DYNAMIC_MAX: u64 = 64 << 10;
const STRINGS_MAX: u64 = 8 << 20;
const VERSIONS_MAX: u64 = 256 << 10;
const SYMBOLS_MAX: u64 = 16 << 20;
const HASH_MAX: u64 = 8 << 20;
const VERSION_ENTRIES_MAX: usize = 4096;
const NAME_MAX: usize = 8 << 10;
const NAMES_MAX: usize = 32 << 20;

impl Dynamic {
    /// `None` if there is no dynamic section: a static file.
    pub fn read(file: &(impl ReadAt + ?Sized), header: &Header) -> Option<Self> {
        let (offset, size) = header.dynamic?;
        let table = file.read_at(offset, size.min(DYNAMIC_MAX) as usize);
        let tags = if header.is_64 {
            tags::<FileHeader64<Endianness>>(&table, header.endian)
        } else {
            tags::<FileHeader32<Endianness>>(&table, header.endian)
        };
        let value = |tag| tags.iter().find(|(known, _)| *known == tag).map(|(_, value)| *value);
        let strings = value(elf::DT_STRTAB).map(|address| {
            let limit = value(elf::DT_STRSZ).unwrap_or(0).min(STRINGS_MAX);
            read_address(file, header, address, limit)
        });
        let mut dynamic = Self {
            strings: strings.unwrap_or_default(),
            symbol_table: value(elf::DT_SYMTAB).unwrap_or(0),
            hash: value(elf::DT_HASH).unwrap_or(0),
            gnu_hash: value(elf::DT_GNU_HASH).unwrap_or(0),
            ..Self::default()
        };
        let text = |tag| value(tag).and_then(|at| dynamic.string(at));
        (dynamic.soname, dynamic.rpath, dynamic.runpath) =
            (text(elf::DT_SONAME), text(elf::DT_RPATH), text(elf::DT_RUNPATH));
        dynamic.needed = tags
            .iter()
            .filter(|(tag, _)| *tag == elf::DT_NEEDED)
            .filter_map(|(_, at)| dynamic.string(*at))
            .collect();
        if let Some(address) = value(elf::DT_VERNEED) {
            let bytes = read_address(file, header, address, VERSIONS_MAX);
            dynamic.needs = dynamic.version_needs(&bytes, header.endian);
        }
        if let Some(address) = value(elf::DT_VERDEF) {
            let bytes = read_address(file, header, address, VERSIONS_MAX);
            dynamic.defines = Some(dynamic.version_definitions(&bytes, header.endian));
        }
        Some(dynamic)
    }

    /// Reads the symbol table, which only a loader that knows no versions needs.
    pub fn symbols(&self, file: &(impl ReadAt + ?Sized), header: &Header) -> Symbols {
        if header.is_64 {
            self.symbols_of::<FileHeader64<Endianness>>(file, header)
        } else {
            self.symbols_of::<FileHeader32<Endianness>>(file, header)
        }
    }

    fn symbols_of<H: FileHeader<Endian = Endianness>>(
        &self,
        file: &(impl ReadAt + ?Sized),
        header: &Header,
    ) -> Symbols {
        let endian = header.endian;
        let count = self.symbol_count::<H>(file, header);
        let limit = count.saturating_mul(size_of::<H::Sym>() as u64).min(SYMBOLS_MAX);
        let table = read_address(file, header, self.symbol_table, limit);
        let mut symbols = Symbols::default();
        let mut names_bytes = 0;
        for symbol in whole::<H::Sym>(&table) {
            if names_bytes > NAMES_MAX {
                break;
            }
            let Some(name) = self.string(symbol.st_name(endian).into()) else { continue };
            if name.is_empty() || symbol.is_local() {
                continue;
            }
            names_bytes += name.0.len();
            if symbol.st_shndx(endian) != elf::SHN_UNDEF {
                symbols.defined.insert(name.0);
            } else if !symbol.is_weak() {
                symbols.undefined.push(name);
            }
        }
        symbols
    }

    /// The dynamic section does not say how many symbols there are; the hash tables do.
    fn symbol_count<H: FileHeader<Endian = Endianness>>(
        &self,
        file: &(impl ReadAt + ?Sized),
        header: &Header,
    ) -> u64 {
        if self.hash != 0 {
            let bytes = read_address(file, header, self.hash, HASH_MAX);
            if let Ok(table) = HashTable::<H>::parse(header.endian, &bytes) {
                return table.symbol_table_length().into();
            }
        }
        if self.gnu_hash != 0 {
            let bytes = read_address(file, header, self.gnu_hash, HASH_MAX);
            if let Ok(table) = GnuHashTable::<H>::parse(header.endian, &bytes) {
                // A table without a defined symbol says only where they would begin.
                let length = table.symbol_table_length(header.endian);
                return length.unwrap_or_else(|| table.symbol_base()).into();
            }
        }
        0
    }

    fn version_needs(&self, bytes: &[u8], endian: Endianness) -> Vec<VersionNeed> {
        let mut needs = Vec::new();
        let mut left = VERSION_ENTRIES_MAX;
        for (at, need) in
            chain(bytes, 0, |need: &elf::Verneed<Endianness>| need.vn_next.get(endian))
        {
            let Some(library) = self.string(need.vn_file.get(endian).into()) else { continue };
            let first = at.saturating_add(need.vn_aux.get(endian) as usize);
            let entries =
                chain(bytes, first, |entry: &elf::Vernaux<Endianness>| entry.vna_next.get(endian));
            for (_, entry) in entries.take(usize::from(need.vn_cnt.get(endian)).min(left)) {
                left -= 1;
                let weak = entry.vna_flags.get(endian).0 & elf::VER_FLG_WEAK.0 != 0;
                match self.string(entry.vna_name.get(endian).into()) {
                    Some(version) if !weak => {
                        needs.push(VersionNeed { library: library.clone(), version });
                    }
                    Some(_) | None => {}
                }
            }
        }
        needs
    }

    fn version_definitions(&self, bytes: &[u8], endian: Endianness) -> Vec<Text> {
        chain(bytes, 0, |definition: &elf::Verdef<Endianness>| definition.vd_next.get(endian))
            .filter(|(_, definition)| definition.vd_flags.get(endian).0 & elf::VER_FLG_BASE.0 == 0)
            .filter_map(|(at, definition)| {
                // The first name is the version itself, the others are what it inherits from.
                let first = at.saturating_add(definition.vd_aux.get(endian) as usize);
                let (entry, _) =
                    pod::from_bytes::<elf::Verdaux<Endianness>>(bytes.get(first..)?).ok()?;
                self.string(entry.vda_name.get(endian).into())
            })
            .collect()
    }

    fn string(&self, at: u64) -> Option<Text> {
        let at = usize::try_from(at).ok()?;
        let rest = self.strings.get(at..)?;
        Some(Text::until_nul(&rest[..rest.len().min(NAME_MAX)]))
    }
}

/// The entries of a list linked by distances, from `first` on, each with where it stands.
fn chain<T: Pod>(
    bytes: &[u8],
    first: usize,
    next: impl Fn(&T) -> u32,
) -> impl Iterator<Item = (usize, &T)> {
    let mut at = Some(first);
    std::iter::from_fn(move || {
        let here = at?;
        let (entry, _) = pod::from_bytes::<T>(bytes.get(here..)?).ok()?;
        let distance = next(entry) as usize;
        at = if distance == 0 { None } else { here.checked_add(distance) };
        Some((here, entry))
    })
    .take(VERSION_ENTRIES_MAX)
}

fn tags<H: FileHeader<Endian = Endianness>>(
    table: &[u8],
    endian: Endianness,
) -> Vec<(elf::DynamicTag, u64)> {
    whole::<H::Dyn>(table)
        .iter()
        .map(|entry| (entry.d_tag(endian), entry.d_val(endian).into()))
        .take_while(|(tag, _)| *tag != elf::DT_NULL)
        .collect()
}

/// As many whole entries as the bytes hold.
fn whole<T: Pod>(bytes: &[u8]) -> &[T] {
    let count = bytes.len() / size_of::<T>();
    pod::slice_from_bytes(bytes, count).map_or(&[], |(entries, _)| entries)
}

fn read_address(
    file: &(impl ReadAt + ?Sized),
    header: &Header,
    address: u64,
    limit: u64,
) -> Vec<u8> {
    match header.offset_of(address) {
        Some((offset, left)) => file.read_at(offset, left.min(limit) as usize),
        None => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnose::facts::elf_fixture::Fixture;

    fn read(bytes: &[u8]) -> (Header, Dynamic) {
        let header = Header::read(bytes).unwrap();
        let dynamic = Dynamic::read(bytes, &header).unwrap();
        (header, dynamic)
    }

    #[test]
    fn what_is_needed_and_defined_is_read_by_address() {
        let bytes = Fixture::rich().build();
        let (header, dynamic) = read(&bytes);
        assert_eq!(dynamic.needed, [Text::from("libc.so.6"), Text::from("libm.so.6")]);
        assert_eq!(dynamic.soname, Some(Text::from("librich.so.1")));
        assert_eq!(dynamic.runpath, Some(Text::from("$ORIGIN/../lib")));
        assert_eq!(dynamic.needs.len(), 2);
        assert_eq!(dynamic.needs[1].library, Text::from("libc.so.6"));
        assert_eq!(dynamic.needs[1].version, Text::from("GLIBC_2.34"));
        assert_eq!(dynamic.defines, Some(vec![Text::from("RICH_1"), Text::from("RICH_2")]));
        let symbols = dynamic.symbols(&bytes[..], &header);
        assert_eq!(symbols.undefined, [Text::from("printf")]);
        assert!(symbols.defined.contains(&b"rich_call"[..]));
    }

    #[test]
    fn the_libc_of_this_machine_defines_versions_and_symbols() {
        let Some(path) = ["/lib/x86_64-linux-gnu/libc.so.6", "/lib64/libc.so.6"]
            .iter()
            .find(|path| std::path::Path::new(path).exists())
        else {
            println!("skipped: no glibc at the usual places");
            return;
        };
        let bytes = std::fs::read(path).unwrap();
        let (header, dynamic) = read(&bytes);
        assert!(dynamic.defines.as_ref().unwrap().contains(&Text::from("GLIBC_2.2.5")));
        let symbols = dynamic.symbols(&bytes[..], &header);
        assert!(symbols.defined.contains(&b"printf"[..]));
    }
}

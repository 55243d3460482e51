//! The header and program headers of an ELF file, as the kernel reads them: section headers are not
//! needed to run a program and are not looked at. It must not know where the file is.

use object::{
    Endianness,
    elf::{self, FileHeader32, FileHeader64},
    pod,
    read::elf::{FileHeader, ProgramHeader},
};

use super::regular::ReadAt;
use crate::linux::text::Text;

/// What of an ELF file decides how it is run.
#[derive(Clone, Debug, PartialEq)]
pub struct Header {
    pub is_64: bool,
    pub endian: Endianness,
    /// `EM_*`
    pub machine: u16,
    /// `ET_*`
    pub file_type: u16,
    /// PT_INTERP without its NUL.
    pub interpreter: Option<Text>,
    /// PT_LOAD segments.
    pub loads: Vec<Load>,
    /// Offset and size in the file of PT_DYNAMIC.
    pub dynamic: Option<(u64, u64)>,
    /// GNU_PROPERTY_X86_ISA_1_NEEDED, zero where it is not there.
    pub needed_levels: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Load {
    pub offset: u64,
    pub address: u64,
    /// Bytes in the file.
    pub size: u64,
}

/// The kernel refuses more bytes of program headers than this (fs/binfmt_elf.c, `load_elf_phdrs`).
const PROGRAM_HEADERS_MAX: usize = 65536;
/// Properties that are looked at.
const PROPERTIES_MAX: u64 = 4096;
/// PATH_MAX, which PT_INTERP must fit.
const INTERPRETER_MAX: u64 = 4096;

impl Header {
    /// `None` if it does not begin as an ELF file does or is cut short.
    pub fn read(file: &(impl ReadAt + ?Sized)) -> Option<Self> {
        let beginning = file.read_at(0, 64);
        if !beginning.starts_with(&elf::ELFMAG) {
            return None;
        }
        match beginning.get(4) {
            Some(1) => Self::read_class::<FileHeader32<Endianness>>(file, &beginning),
            Some(2) => Self::read_class::<FileHeader64<Endianness>>(file, &beginning),
            _ => None,
        }
    }

    fn read_class<H: FileHeader<Endian = Endianness>>(
        file: &(impl ReadAt + ?Sized),
        beginning: &[u8],
    ) -> Option<Self> {
        let (header, _) = pod::from_bytes::<H>(beginning).ok()?;
        let endian = header.endian().ok()?;
        let mut parsed = Self {
            is_64: header.is_type_64(),
            endian,
            machine: header.e_machine(endian).0,
            file_type: header.e_type(endian).0,
            interpreter: None,
            loads: Vec::new(),
            dynamic: None,
            needed_levels: 0,
        };
        let count = usize::from(header.e_phnum(endian));
        let size = size_of::<H::ProgramHeader>();
        if usize::from(header.e_phentsize(endian)) != size || count * size > PROGRAM_HEADERS_MAX {
            return Some(parsed);
        }
        let table = file.read_at(header.e_phoff(endian).into(), count * size);
        let whole = table.len() / size;
        let (segments, _) = pod::slice_from_bytes::<H::ProgramHeader>(&table, whole).ok()?;
        for segment in segments {
            parsed.add_segment(file, segment);
        }
        Some(parsed)
    }

    fn add_segment<P: ProgramHeader<Endian = Endianness>>(
        &mut self,
        file: &(impl ReadAt + ?Sized),
        segment: &P,
    ) {
        let (offset, size) = segment.file_range(self.endian);
        match segment.p_type(self.endian) {
            elf::PT_INTERP => {
                let bytes = file.read_at(offset, size.min(INTERPRETER_MAX) as usize);
                self.interpreter = Some(Text::until_nul(&bytes));
            }
            elf::PT_LOAD => {
                self.loads.push(Load {
                    offset,
                    address: segment.p_vaddr(self.endian).into(),
                    size,
                });
            }
            elf::PT_DYNAMIC => self.dynamic = Some((offset, size)),
            elf::PT_GNU_PROPERTY if self.machine == elf::EM_X86_64.0 && self.is_64 => {
                let bytes = file.read_at(offset, size.min(PROPERTIES_MAX) as usize);
                self.needed_levels = needed_levels(&bytes).unwrap_or(0);
            }
            _ => {}
        }
    }

    /// Where an address lies in the file, and how many bytes of its segment follow there.
    pub fn offset_of(&self, address: u64) -> Option<(u64, u64)> {
        self.loads.iter().find_map(|load| {
            let inside = address.checked_sub(load.address)?;
            let left = load.size.checked_sub(inside).filter(|left| *left > 0)?;
            Some((load.offset.checked_add(inside)?, left))
        })
    }

    /// `x86-64`, `aarch64`, ...; the number for what has no name here.
    pub fn machine_name(&self) -> String {
        let name = match elf::Machine(self.machine) {
            elf::EM_X86_64 if self.is_64 => "x86-64",
            elf::EM_X86_64 => "x32",
            elf::EM_386 => "i386",
            elf::EM_AARCH64 => "aarch64",
            elf::EM_ARM => "arm",
            elf::EM_RISCV => "riscv",
            elf::EM_PPC64 => "ppc64",
            elf::EM_PPC => "ppc",
            elf::EM_S390 => "s390",
            elf::EM_MIPS => "mips",
            elf::EM_LOONGARCH => "loongarch",
            elf::EM_SPARCV9 => "sparc64",
            elf::EM_IA_64 => "ia64",
            elf::EM_BPF => "bpf",
            _ => return format!("machine {}", self.machine),
        };
        name.to_owned()
    }

    /// True if a kernel of `arch` (`uname -m`) runs it without an emulator. It is not known whether a
    /// 64-bit kernel was built with its 32-bit mode; most are.
    pub fn is_native(&self, arch: &str) -> bool {
        let machine = elf::Machine(self.machine);
        let known = match arch {
            "x86_64" => matches!(machine, elf::EM_X86_64 | elf::EM_386),
            "aarch64" => {
                matches!((machine, self.is_64), (elf::EM_AARCH64, _) | (elf::EM_ARM, false))
            }
            "i386" | "i486" | "i586" | "i686" => machine == elf::EM_386,
            "riscv64" => machine == elf::EM_RISCV,
            "ppc64le" | "ppc64" => machine == elf::EM_PPC64,
            "s390x" => machine == elf::EM_S390,
            _ => false,
        };
        let big = matches!(arch, "ppc64" | "s390x");
        let runnable = matches!(elf::FileType(self.file_type), elf::ET_EXEC | elf::ET_DYN);
        known && runnable && big == matches!(self.endian, Endianness::Big)
    }
}

/// The levels that a note of properties asks for (x86-64 psABI, "Program Property"): behind the note's header and its owner
/// `GNU` stand pairs of type and size, each value padded to eight bytes. All is little-endian.
fn needed_levels(note: &[u8]) -> Option<u32> {
    const NT_GNU_PROPERTY_TYPE_0: u32 = 5;
    const ISA_1_NEEDED: u32 = 0xc000_8002;
    let word = |bytes: &[u8], at: usize| {
        let bytes = bytes.get(at..at + 4)?.try_into().ok()?;
        Some(u32::from_le_bytes(bytes))
    };
    let is_it = word(note, 8)? == NT_GNU_PROPERTY_TYPE_0 && note.get(12..16)? == b"GNU\0";
    let mut rest = note.get(16..).filter(|_| is_it)?;
    while let (Some(kind), Some(size)) = (word(rest, 0), word(rest, 4)) {
        if kind == ISA_1_NEEDED && size == 4 {
            return word(rest, 8);
        }
        let size = usize::try_from(size).ok()?;
        rest = rest.get(8 + size.checked_next_multiple_of(8)?..)?;
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::diagnose::facts::{elf_dynamic::Dynamic, elf_fixture::Fixture};

    #[test]
    fn the_interpreter_and_machine_of_an_executable_are_read() {
        let bytes = Fixture::executable("/lib64/ld-linux-x86-64.so.2").build();
        let header = Header::read(&bytes[..]).unwrap();
        assert_eq!(header.interpreter, Some(Text::from("/lib64/ld-linux-x86-64.so.2")));
        assert_eq!(header.machine_name(), "x86-64");
        assert!(header.is_native("x86_64"));
        assert!(!header.is_native("aarch64"));
    }

    #[test]
    fn a_foreign_machine_is_named() {
        let mut fixture = Fixture::executable("/lib/ld-linux-aarch64.so.1");
        fixture.machine = elf::EM_AARCH64.0;
        let bytes = fixture.build();
        let header = Header::read(&bytes[..]).unwrap();
        assert_eq!(header.machine_name(), "aarch64");
        assert!(!header.is_native("x86_64"));
    }

    #[test]
    fn a_file_cut_short_is_no_elf() {
        let bytes = Fixture::executable("/lib/ld.so").build();
        assert_eq!(Header::read(&bytes[..20]), None);
        assert_eq!(Header::read(&b"\x7fELF"[..]), None);
        assert_eq!(Header::read(&b"#!/bin/sh"[..]), None);
    }

    #[test]
    fn the_levels_of_a_processor_that_a_file_needs_are_read() {
        let note = |properties: &[(u32, &[u8])]| {
            let mut bytes = [4_u32, 0, 5].map(u32::to_le_bytes).concat();
            bytes.extend(b"GNU\0");
            for (kind, value) in properties {
                bytes.extend(kind.to_le_bytes());
                bytes.extend(u32::try_from(value.len()).unwrap().to_le_bytes());
                bytes.extend(*value);
                bytes.resize(bytes.len().next_multiple_of(8), 0);
            }
            bytes
        };
        let needs: (u32, &[u8]) = (0xc000_8002, &[0b111, 0, 0, 0]);
        assert_eq!(needed_levels(&note(&[(0xc000_0002, &[3, 0, 0, 0]), needs])), Some(0b111));
        assert_eq!(needed_levels(&note(&[needs])), Some(0b111));
        assert_eq!(needed_levels(&note(&[])), None);
        assert_eq!(needed_levels(&note(&[needs])[..27]), None);
    }

    #[test]
    fn the_running_test_is_an_elf_of_this_machine() {
        let file = std::fs::read("/proc/self/exe").unwrap();
        let header = Header::read(&file[..]).unwrap();
        assert!(header.is_native(std::env::consts::ARCH));
    }

    fn mutated() -> impl Strategy<Value = Vec<u8>> {
        let seed = Fixture::rich().build();
        let length = seed.len();
        let edits = prop::collection::vec((0..length, any::<u8>()), 0..24);
        (edits, 0..=length).prop_map(move |(edits, cut)| {
            let mut bytes = seed.clone();
            for (at, value) in edits {
                bytes[at] = value;
            }
            bytes.truncate(cut.max(length / 2));
            bytes
        })
    }

    proptest! {
        #[test]
        fn no_mutated_file_panics(bytes in mutated()) {
            if let Some(header) = Header::read(&bytes[..])
                && let Some(dynamic) = Dynamic::read(&bytes[..], &header)
            {
                let _ = dynamic.symbols(&bytes[..], &header);
            }
        }
    }
}

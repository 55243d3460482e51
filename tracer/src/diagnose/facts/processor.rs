//! The levels of x86-64 (psABI, "Micro-Architecture Levels") by the flags of /proc/cpuinfo, and what an instruction needs of
//! them. It must not know files.

use super::model::{LoaderReport, Machine};
use crate::linux::text::Text;

/// One level: the flags that a processor of it has beyond the level below.
pub struct Level {
    pub name: &'static str,
    /// In GNU_PROPERTY_X86_ISA_1_NEEDED.
    pub bit: u32,
    pub flags: &'static [&'static str],
}

/// Every x86-64 has the first, whose flags are left out.
pub const LEVELS: &[Level] = &[
    Level {
        name: "x86-64-v2",
        bit: 1 << 1,
        flags: &["cx16", "lahf_lm", "popcnt", "sse4_1", "sse4_2", "ssse3"],
    },
    Level {
        name: "x86-64-v3",
        bit: 1 << 2,
        flags: &["avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "abm", "movbe", "xsave"],
    },
    Level {
        name: "x86-64-v4",
        bit: 1 << 3,
        flags: &["avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"],
    },
];

/// Of the levels that `needed` has a bit of, those that a processor with these flags lacks. A bit that no level here has is
/// one that no processor of this program's time has.
fn lacking(needed: u32, flags: &[String]) -> Vec<String> {
    let known = LEVELS.iter().fold(1, |all, level| all | level.bit);
    let lacks = |level: &&Level| {
        needed & level.bit != 0 && !level.flags.iter().all(|it| flags.iter().any(|flag| flag == it))
    };
    let mut lacking: Vec<String> =
        LEVELS.iter().filter(lacks).map(|level| level.name.to_owned()).collect();
    if needed & !known != 0 {
        lacking.push(format!("a level beyond {}", LEVELS[LEVELS.len() - 1].name));
    }
    lacking
}

/// The first file of a program that asks for levels which the machine is known to lack, and these levels.
pub fn first_unfit<'a>(
    report: &'a LoaderReport,
    machine: &Machine,
) -> Option<(&'a Text, Vec<String>)> {
    let flags = machine.cpu_flags.as_ref()?;
    report.processor.iter().find_map(|it| {
        let lacking = lacking(it.levels, flags);
        (!lacking.is_empty()).then_some((&it.file, lacking))
    })
}

/// What instructions of an encoding need, and the flag without which none of them runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extension {
    pub name: &'static str,
    pub flag: &'static str,
}

/// What the instruction at the beginning of `bytes` needs, by its encoding (Intel SDM, volume 2, chapter 2; x86-64).
pub fn extension(bytes: &[u8]) -> Option<Extension> {
    // Operand size, repeat and REX prefixes.
    let prefix = |byte: &u8| matches!(byte, 0x66 | 0xf2 | 0xf3 | 0x40..=0x4f);
    let count = bytes.iter().take_while(|byte| prefix(byte)).count();
    match &bytes[count..] {
        [0x62, ..] if count == 0 => Some(Extension { name: "AVX-512", flag: "avx512f" }),
        [0xc4 | 0xc5, ..] if count == 0 => {
            Some(Extension { name: "AVX, AVX2, FMA or BMI", flag: "avx" })
        }
        [0x0f, 0x38, 0xf0 | 0xf1, ..] => Some(Extension { name: "MOVBE or CRC32", flag: "sse4_2" }),
        [0x0f, 0x38 | 0x3a, ..] => Some(Extension { name: "SSSE3 or SSE4", flag: "sse4_1" }),
        [0x0f, 0xb8, ..] => Some(Extension { name: "POPCNT", flag: "popcnt" }),
        _ => None,
    }
}

/// `ud0`, `ud1`, `ud2`: undefined for all time, so that programs can end by them.
pub fn is_undefined_by_intent(bytes: &[u8]) -> bool {
    matches!(bytes, [0x0f, 0x0b | 0xb9 | 0xff, ..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instruction_is_known_by_its_encoding() {
        let flag = |bytes: &[u8]| extension(bytes).map(|it| it.flag);
        // vmovups zmm0, [rdi]; vaddps ymm0, ymm0, ymm1; andn eax, ecx, edx
        assert_eq!(flag(&[0x62, 0xf1, 0x7c, 0x48, 0x10, 0x07]), Some("avx512f"));
        assert_eq!(flag(&[0xc5, 0xfc, 0x58, 0xc1]), Some("avx"));
        assert_eq!(flag(&[0xc4, 0xe2, 0x70, 0xf2, 0xc2]), Some("avx"));
        // pshufb xmm0, xmm1; popcnt rax, rcx; crc32 eax, cl
        assert_eq!(flag(&[0x66, 0x0f, 0x38, 0x00, 0xc1]), Some("sse4_1"));
        assert_eq!(flag(&[0xf3, 0x48, 0x0f, 0xb8, 0xc1]), Some("popcnt"));
        assert_eq!(flag(&[0xf2, 0x0f, 0x38, 0xf0, 0xc1]), Some("sse4_2"));
        for other in [&[][..], &[0x0f, 0x0b], &[0x66], &[0xcc], &[0x00; 16]] {
            assert_eq!(flag(other), None, "{other:x?}");
        }
        assert!(is_undefined_by_intent(&[0x0f, 0x0b]) && !is_undefined_by_intent(&[0xc5, 0x0b]));
    }

    #[test]
    fn a_level_is_lacking_where_one_of_its_flags_is() {
        let flags = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let second = flags("cx16 lahf_lm popcnt sse4_1 sse4_2 ssse3");
        assert!(lacking(0b11, &second).is_empty());
        assert_eq!(lacking(0b111, &second), ["x86-64-v3"]);
        assert_eq!(lacking(0b10, &flags("cx16 popcnt")), ["x86-64-v2"]);
        assert_eq!(lacking(1 << 7, &second), ["a level beyond x86-64-v4"]);
    }
}

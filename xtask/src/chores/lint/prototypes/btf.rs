//! Prototypes of tracepoints from a kernel's type information (Documentation/bpf/btf.rst). Pure.
//!
//! The tracer's own reader knows offsets, not names of types; a chore must not wait for the tracer's compilation.

use thiserror::Error;

use super::c::{Parameter, Prototype};

/// Why bytes are no type information.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum BtfError {
    #[error("no BTF: its header is wrong")]
    Header,
    #[error("BTF ends in the middle of type {0}")]
    Truncated(usize),
}

/// Types and their names.
#[derive(Debug)]
pub struct Btf<'a> {
    types: &'a [u8],
    strings: &'a [u8],
    /// Where each type begins; type 1 is the first.
    begins: Vec<usize>,
}

#[derive(Clone, Copy)]
struct Type<'a> {
    name: &'a str,
    kind: u32,
    /// How many parameters.
    count: usize,
    /// The type that it is made of.
    of: u32,
    /// Where what follows begins.
    tail: usize,
}

const MAGIC: u16 = 0xeb9f;
const INT: u32 = 1;
const PTR: u32 = 2;
const ARRAY: u32 = 3;
const STRUCT: u32 = 4;
const UNION: u32 = 5;
const ENUM: u32 = 6;
const FWD: u32 = 7;
const TYPEDEF: u32 = 8;
const VOLATILE: u32 = 9;
const CONST: u32 = 10;
const RESTRICT: u32 = 11;
const FUNC: u32 = 12;
const FUNC_PROTO: u32 = 13;
const VAR: u32 = 14;
const DATASEC: u32 = 15;
const DECL_TAG: u32 = 17;
const TYPE_TAG: u32 = 18;
const ENUM64: u32 = 19;
/// No type of a parameter is nested deeper.
const DEPTH: usize = 16;

impl<'a> Btf<'a> {
    pub fn parse(bytes: &'a [u8]) -> Result<Self, BtfError> {
        let header = |at| word(bytes, at).ok_or(BtfError::Header);
        if header(0)? & 0xffff != u32::from(MAGIC) {
            return Err(BtfError::Header);
        }
        let base = header(4)? as usize;
        let section = |at, length| {
            let start = base.checked_add(at as usize).ok_or(BtfError::Header)?;
            let end = start.checked_add(length as usize).ok_or(BtfError::Header)?;
            bytes.get(start..end).ok_or(BtfError::Header)
        };
        let types = section(header(8)?, header(12)?)?;
        let strings = section(header(16)?, header(20)?)?;
        let mut btf = Self { types, strings, begins: Vec::new() };
        let mut at = 0;
        while at < types.len() {
            let found = btf.read(at).ok_or(BtfError::Truncated(btf.begins.len() + 1))?;
            btf.begins.push(at);
            at = found.tail + tail_size(found.kind, found.count);
        }
        Ok(btf)
    }

    /// The prototype of a tracepoint. `__traceiter_NAME` has it with its parameters' names; where a kernel was built
    /// without it, `btf_trace_NAME` has the types. The first parameter of both is the kernel's own.
    pub fn tracepoint(&self, name: &str) -> Option<Prototype> {
        let iterator = self.find(FUNC, &format!("__traceiter_{name}")).map(|found| found.of);
        let pointer = || self.get(self.find(TYPEDEF, &format!("btf_trace_{name}"))?.of);
        let prototype = self.get(iterator.or_else(|| Some(pointer()?.of))?)?;
        if prototype.kind != FUNC_PROTO {
            return None;
        }
        let parameter = |index: usize| {
            let at = prototype.tail + index * 8;
            let kind = self.described(word(self.types, at + 4)?, DEPTH)?;
            Some(Parameter { kind, name: self.string(word(self.types, at)?)?.to_owned() })
        };
        let parameters = (1..prototype.count).map(parameter).collect::<Option<_>>()?;
        Some(Prototype { name: name.to_owned(), parameters })
    }

    fn find(&self, kind: u32, name: &str) -> Option<Type<'a>> {
        let mut all = self.begins.iter().filter_map(|at| self.read(*at));
        all.find(|found| found.kind == kind && found.name == name)
    }

    /// A type in the words of C; qualifiers stand before what they qualify.
    fn described(&self, id: u32, depth: usize) -> Option<String> {
        if id == 0 {
            return Some("void".to_owned());
        }
        let depth = depth.checked_sub(1)?;
        let found = self.get(id)?;
        let of = || self.described(found.of, depth);
        Some(match found.kind {
            PTR => {
                let of = of()?;
                let space = if of.ends_with('*') { "" } else { " " };
                format!("{of}{space}*")
            }
            CONST => format!("const {}", of()?),
            VOLATILE => format!("volatile {}", of()?),
            RESTRICT | TYPE_TAG => of()?,
            STRUCT | FWD => format!("struct {}", found.name),
            UNION => format!("union {}", found.name),
            ENUM | ENUM64 => format!("enum {}", found.name),
            _ => c_name(found.name).to_owned(),
        })
    }

    fn get(&self, id: u32) -> Option<Type<'a>> {
        self.read(*self.begins.get((id as usize).checked_sub(1)?)?)
    }

    fn read(&self, at: usize) -> Option<Type<'a>> {
        let info = word(self.types, at + 4)?;
        let found = Type {
            name: self.string(word(self.types, at)?)?,
            kind: (info >> 24) & 0x1f,
            count: (info & 0xffff) as usize,
            of: word(self.types, at + 8)?,
            tail: at + 12,
        };
        (found.tail + tail_size(found.kind, found.count) <= self.types.len()).then_some(found)
    }

    fn string(&self, at: u32) -> Option<&'a str> {
        let bytes = self.strings.get(at as usize..)?;
        str::from_utf8(bytes.split(|byte| *byte == 0).next()?).ok()
    }
}

/// Compilers write the same type in the one way or the other.
fn c_name(name: &str) -> &str {
    match name {
        "long int" => "long",
        "long unsigned int" => "unsigned long",
        "_Bool" => "bool",
        name => name,
    }
}

fn tail_size(kind: u32, count: usize) -> usize {
    match kind {
        INT | VAR | DECL_TAG => 4,
        ARRAY => 12,
        STRUCT | UNION | DATASEC | ENUM64 => count * 12,
        ENUM | FUNC_PROTO => count * 8,
        _ => 0,
    }
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    let chunk = bytes.get(at..at.checked_add(4)?)?;
    Some(u32::from_le_bytes(chunk.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of a kernel with the tracepoints `named(const struct task *p, long x)`, and the same without names as `bare`.
    fn sample() -> Vec<u8> {
        let strings = b"\0task\0long int\0data\0p\0x\0__traceiter_named\0btf_trace_bare\0";
        let mut types = Vec::new();
        let mut put = |words: &[u32]| words.iter().for_each(|w| types.extend(w.to_le_bytes()));
        put(&[1, STRUCT << 24, 8]);
        put(&[0, CONST << 24, 1]);
        put(&[0, PTR << 24, 2]);
        put(&[6, INT << 24, 8, 64]);
        put(&[0, PTR << 24, 0]);
        put(&[0, FUNC_PROTO << 24 | 3, 0, 15, 5, 20, 3, 22, 4]);
        put(&[24, FUNC << 24, 6]);
        put(&[0, FUNC_PROTO << 24 | 3, 0, 0, 5, 0, 3, 0, 4]);
        put(&[0, PTR << 24, 8]);
        put(&[42, TYPEDEF << 24, 9]);
        let mut out = Vec::from(MAGIC.to_le_bytes());
        out.extend([1, 0]);
        for word in [24, 0, types.len() as u32, types.len() as u32, strings.len() as u32] {
            out.extend(word.to_le_bytes());
        }
        out.extend(types);
        out.extend(strings);
        out
    }

    #[test]
    fn a_tracepoint_has_its_parameters_and_not_the_kernels_own() {
        let bytes = sample();
        let btf = Btf::parse(&bytes).unwrap();
        let named = btf.tracepoint("named").unwrap().to_string();
        assert_eq!(named, "void named(const struct task *p, long x)");
        let bare = btf.tracepoint("bare").unwrap().to_string();
        assert_eq!(bare, "void bare(const struct task *, long)");
        assert_eq!(btf.tracepoint("other"), None);
    }

    #[test]
    fn what_is_no_btf_is_refused_and_what_is_cut_off_never_panics() {
        assert_eq!(Btf::parse(b"ELF").unwrap_err(), BtfError::Header);
        let bytes = sample();
        for length in 0..bytes.len() {
            assert!(Btf::parse(&bytes[..length]).is_err());
        }
    }
}

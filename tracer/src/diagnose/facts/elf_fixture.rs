//! Builds small ELF files for tests: one segment that holds everything, no code.

/// What the file shall say of itself.
#[derive(Clone, Debug)]
pub struct Fixture {
    pub machine: u16,
    pub interpreter: Option<String>,
    pub soname: Option<String>,
    pub needed: Vec<String>,
    pub rpath: Option<String>,
    pub runpath: Option<String>,
    /// Library and version.
    pub needs: Vec<(String, String)>,
    pub defines: Vec<String>,
    pub undefined: Vec<String>,
    pub defined: Vec<String>,
}

const HEADER: usize = 64;
const SEGMENT: usize = 56;

impl Fixture {
    pub fn library(soname: &str) -> Self {
        Self {
            machine: 62,
            interpreter: None,
            soname: Some(soname.to_owned()),
            needed: Vec::new(),
            rpath: None,
            runpath: None,
            needs: Vec::new(),
            defines: Vec::new(),
            undefined: Vec::new(),
            defined: Vec::new(),
        }
    }

    pub fn executable(interpreter: &str) -> Self {
        let interpreter = Some(interpreter.to_owned());
        Self { interpreter, soname: None, ..Self::library("") }
    }

    pub fn needing(mut self, library: &str) -> Self {
        self.needed.push(library.to_owned());
        self
    }

    /// One of everything.
    pub fn rich() -> Self {
        let mut fixture = Self::library("librich.so.1").needing("libc.so.6").needing("libm.so.6");
        fixture.interpreter = Some("/lib64/ld-linux-x86-64.so.2".to_owned());
        fixture.runpath = Some("$ORIGIN/../lib".to_owned());
        for version in ["GLIBC_2.2.5", "GLIBC_2.34"] {
            fixture.needs.push(("libc.so.6".to_owned(), version.to_owned()));
        }
        fixture.defines = vec!["RICH_1".to_owned(), "RICH_2".to_owned()];
        fixture.undefined = vec!["printf".to_owned()];
        fixture.defined = vec!["rich_call".to_owned()];
        fixture
    }

    pub fn build(&self) -> Vec<u8> {
        let mut strings = Strings(vec![0]);
        let mut body = vec![0; HEADER + 3 * SEGMENT];
        let mut tags: Vec<(u64, u64)> = Vec::new();
        for library in &self.needed {
            tags.push((1, strings.add(library).into()));
        }
        for (tag, value) in [(14, &self.soname), (15, &self.rpath), (29, &self.runpath)] {
            if let Some(value) = value {
                tags.push((tag, strings.add(value).into()));
            }
        }
        let interpreter = self.interpreter.as_ref().map(|path| {
            let at = body.len();
            body.extend(path.as_bytes());
            body.push(0);
            (at, path.len() + 1)
        });
        align(&mut body);
        tags.push((6, body.len() as u64));
        body.extend(self.symbols(&mut strings));
        let count = self.undefined.len() + self.defined.len() + 1;
        tags.push((4, body.len() as u64));
        for word in [1, count as u32, 0] {
            body.extend(word.to_le_bytes());
        }
        body.extend(vec![0; 4 * count]);
        if !self.needs.is_empty() {
            align(&mut body);
            tags.push((0x6fff_fffe, body.len() as u64));
            body.extend(self.version_needs(&mut strings));
        }
        if !self.defines.is_empty() {
            align(&mut body);
            tags.push((0x6fff_fffc, body.len() as u64));
            body.extend(self.version_definitions(&mut strings));
        }
        tags.push((5, body.len() as u64));
        tags.push((10, strings.0.len() as u64));
        body.extend(&strings.0);
        align(&mut body);
        tags.push((0, 0));
        let dynamic = (body.len(), tags.len() * 16);
        for (tag, value) in tags {
            body.extend(tag.to_le_bytes());
            body.extend(value.to_le_bytes());
        }
        let mut segments = vec![(1, (0, body.len())), (2, dynamic)];
        segments.extend(interpreter.map(|range| (3, range)));
        self.write_headers(&mut body, &segments);
        body
    }

    fn symbols(&self, strings: &mut Strings) -> Vec<u8> {
        let mut table = vec![0; 24];
        let names = self.undefined.iter().map(|name| (name, 0_u16));
        for (name, section) in names.chain(self.defined.iter().map(|name| (name, 1))) {
            table.extend(strings.add(name).to_le_bytes());
            // Global function.
            table.extend([0x12, 0]);
            table.extend(section.to_le_bytes());
            table.extend([0; 16]);
        }
        table
    }

    fn version_needs(&self, strings: &mut Strings) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (index, (library, version)) in self.needs.iter().enumerate() {
            let next: u32 = if index + 1 == self.needs.len() { 0 } else { 32 };
            bytes.extend([1, 0, 1, 0]);
            bytes.extend(strings.add(library).to_le_bytes());
            bytes.extend(16_u32.to_le_bytes());
            bytes.extend(next.to_le_bytes());
            bytes.extend([0; 8]);
            bytes.extend(strings.add(version).to_le_bytes());
            bytes.extend([0; 4]);
        }
        bytes
    }

    fn version_definitions(&self, strings: &mut Strings) -> Vec<u8> {
        let mut bytes = Vec::new();
        let base = self.soname.clone().unwrap_or_default();
        let names: Vec<&String> = std::iter::once(&base).chain(&self.defines).collect();
        for (index, name) in names.iter().enumerate() {
            let next: u32 = if index + 1 == names.len() { 0 } else { 28 };
            let flags = u16::from(index == 0);
            for half in [1, flags, index as u16 + 1, 1] {
                bytes.extend(half.to_le_bytes());
            }
            bytes.extend([0; 4]);
            bytes.extend(20_u32.to_le_bytes());
            bytes.extend(next.to_le_bytes());
            bytes.extend(strings.add(name).to_le_bytes());
            bytes.extend([0; 4]);
        }
        bytes
    }

    fn write_headers(&self, body: &mut [u8], segments: &[(u32, (usize, usize))]) {
        body[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
        let file_type: u16 = if self.interpreter.is_some() { 2 } else { 3 };
        body[16..18].copy_from_slice(&file_type.to_le_bytes());
        body[18..20].copy_from_slice(&self.machine.to_le_bytes());
        body[20] = 1;
        body[32] = HEADER as u8;
        body[52] = HEADER as u8;
        body[54] = SEGMENT as u8;
        body[56] = segments.len() as u8;
        for (index, (kind, (offset, size))) in segments.iter().enumerate() {
            let at = HEADER + index * SEGMENT;
            body[at..at + 4].copy_from_slice(&kind.to_le_bytes());
            // Offset, virtual and physical address are the same; so are the sizes.
            for (field, value) in [(8, offset), (16, offset), (24, offset), (32, size), (40, size)]
            {
                let bytes = (*value as u64).to_le_bytes();
                body[at + field..at + field + 8].copy_from_slice(&bytes);
            }
        }
    }
}

struct Strings(Vec<u8>);

impl Strings {
    fn add(&mut self, text: &str) -> u32 {
        let at = self.0.len();
        self.0.extend(text.as_bytes());
        self.0.push(0);
        at as u32
    }
}

fn align(bytes: &mut Vec<u8>) {
    while !bytes.len().is_multiple_of(8) {
        bytes.push(0);
    }
}

//! Looks for the libraries of an executable as its dynamic loader would, and says what is missing. It
//! must not know whether the loader really failed.

use std::collections::{HashSet, VecDeque};

use super::{
    loader_folders::{Flavour, Folders},
    loader_object::{Object, Start},
    model::{LoaderReport, MissingLibrary, MissingSymbol, MissingVersion, NeededProcessor},
    regular::RegularFile,
    root::End,
    shebang::{self, BINPRM_BUF_SIZE},
};
use crate::linux::text::Text;

/// Objects of one program; more are not followed.
const OBJECTS_MAX: usize = 512;
/// What is named; where one symbol is missing there are often hundreds.
const SYMBOLS_SHOWN: usize = 32;
const LIBRARIES_SHOWN: usize = 64;
/// The kernel follows this many interpreters that are scripts themselves (fs/exec.c).
const SCRIPTS_MAX: usize = 5;

/// Examines `executable`, or the interpreter if it is a script; the report names it as it was given. `Ok(None)` for what is not a dynamic ELF file
/// whose interpreter exists; an error says why nothing can be told.
pub fn examine(start: Start<'_>, executable: &Text) -> Result<Option<LoaderReport>, String> {
    let Some(main) = open_program(start, executable) else { return Ok(None) };
    let Some(interpreter) = main.header.interpreter.clone() else { return Ok(None) };
    let flavour = Flavour::of(&interpreter);
    let Some(loader) = Object::open(start, &interpreter, None) else { return Ok(None) };
    let folders = Folders::new(start, &interpreter, &main.header);
    let mut search = Search { start, flavour, folders, objects: vec![main], unknown: false };
    let report = LoaderReport { executable: executable.clone(), ..search.run(interpreter, loader) };
    if start.budget.is_used_up() {
        return Err(format!("libraries of {executable}: too much to read"));
    }
    if search.unknown {
        return Err(format!("libraries of {executable}: a folder could not be looked at"));
    }
    Ok(Some(report))
}

struct Search<'a> {
    start: Start<'a>,
    flavour: Flavour,
    folders: Folders,
    objects: Vec<Object>,
    /// Something on the way could not be looked at: nothing is known to be missing.
    unknown: bool,
}

impl Search<'_> {
    fn run(&mut self, interpreter: Text, mut loader: Object) -> LoaderReport {
        let mut report = LoaderReport { interpreter, ..LoaderReport::default() };
        loader.names.extend(loader.dynamic.soname.clone());
        self.objects.push(loader);
        let mut queue = VecDeque::from([0]);
        while let Some(index) = queue.pop_front() {
            for name in self.objects[index].dynamic.needed.clone() {
                if self.is_loaded(&name) || report.missing.iter().any(|known| known.name == name) {
                    continue;
                }
                if report.missing.len() >= LIBRARIES_SHOWN {
                    return report;
                }
                if self.objects.len() >= OBJECTS_MAX {
                    self.unknown = true;
                    return report;
                }
                match self.load(&name, index) {
                    Some(loaded) => queue.extend(loaded),
                    None => report.missing.push(MissingLibrary {
                        needed_by: self.objects[index].path.clone(),
                        searched: self.folders.searched(&self.objects, index, &name),
                        name,
                    }),
                }
            }
        }
        report.found =
            self.objects.iter().skip(1).flat_map(|object| object.names.clone()).collect();
        let needing = self.objects.iter().filter(|it| it.header.needed_levels > 1);
        let needing = needing
            .take(LIBRARIES_SHOWN)
            .map(|it| NeededProcessor { file: it.path.clone(), levels: it.header.needed_levels });
        report.processor = needing.collect();
        report.versions = self.missing_versions();
        if report.missing.is_empty() && report.versions.is_empty() {
            report.symbols = self.missing_symbols();
        }
        report
    }

    fn is_loaded(&self, name: &Text) -> bool {
        self.flavour.is_part_of_loader(name)
            || self.objects.iter().any(|object| object.is_named(name))
    }

    /// The first file of that name fit for this program: `Some(Some(index))` if it is a new object.
    fn load(&mut self, name: &Text, needed_by: usize) -> Option<Option<usize>> {
        for path in self.folders.candidates(&self.objects, needed_by, name) {
            if self.start.budget.is_used_up() {
                break;
            }
            let found = self.start.root.find(self.start.cwd, &path);
            if matches!(found.end, End::Unreadable { .. }) {
                self.unknown = true;
            }
            let Some(mut object) = Object::open(self.start, &path, Some(needed_by)) else {
                continue;
            };
            let main = &self.objects[0].header;
            if (object.header.machine, object.header.is_64) != (main.machine, main.is_64) {
                continue;
            }
            let known = self.objects.iter().position(|known| known.identity == object.identity);
            if let Some(known) = known {
                self.objects[known].names.push(name.clone());
                return Some(None);
            }
            if path.as_bytes().starts_with(b"/") {
                // As the loader itself calls it in its messages, and finds $ORIGIN.
                object.path = path;
            }
            object.names.push(name.clone());
            object.names.extend(object.dynamic.soname.clone());
            self.objects.push(object);
            return Some(Some(self.objects.len() - 1));
        }
        None
    }

    /// glibc's `_dl_check_map_versions`: only a library that has version definitions can lack one.
    fn missing_versions(&self) -> Vec<MissingVersion> {
        if self.flavour == Flavour::Musl {
            return Vec::new();
        }
        let mut missing = Vec::new();
        for object in &self.objects {
            for need in &object.dynamic.needs {
                let library = self.objects.iter().find(|other| other.is_named(&need.library));
                let Some(library) = library else { continue };
                let Some(defines) = &library.dynamic.defines else { continue };
                if !defines.contains(&need.version) {
                    missing.push(MissingVersion {
                        version: need.version.clone(),
                        library: need.library.clone(),
                        library_path: library.path.clone(),
                        needed_by: object.path.clone(),
                        highest: highest_of_family(defines, &need.version),
                    });
                }
            }
        }
        missing
    }

    fn missing_symbols(&mut self) -> Vec<MissingSymbol> {
        for object in &mut self.objects {
            object.read_symbols(self.start);
        }
        let tables = || self.objects.iter().filter_map(|object| object.symbols.as_ref());
        let mut missing = Vec::new();
        let mut seen = HashSet::new();
        for object in &self.objects {
            let Some(symbols) = &object.symbols else { continue };
            for name in &symbols.undefined {
                let is_defined = tables().any(|table| table.defined.contains(name.as_bytes()));
                if !is_defined && seen.insert(name) && missing.len() < SYMBOLS_SHOWN {
                    let needed_by = object.path.clone();
                    missing.push(MissingSymbol { symbol: name.clone(), needed_by });
                }
            }
        }
        missing
    }
}

/// The executable, or the ELF file at the end of a chain of scripts.
fn open_program(start: Start<'_>, executable: &Text) -> Option<Object> {
    let mut path = executable.clone();
    for _ in 0..SCRIPTS_MAX {
        let found = start.root.find(start.cwd, &path);
        let beginning = RegularFile::open(&found, start.budget).ok()?.beginning(BINPRM_BUF_SIZE);
        match shebang::parse(&beginning) {
            Some(script) => path = script.interpreter,
            None => return Object::open(start, &path, None),
        }
    }
    None
}

/// Of `GLIBC_2.34` the highest `GLIBC_*` that is defined.
fn highest_of_family(defines: &[Text], version: &Text) -> Option<Text> {
    let family = family_of(version)?;
    defines
        .iter()
        .filter(|defined| family_of(defined) == Some(family))
        .max_by_key(|defined| numbers_of(&defined.as_bytes()[family.len()..]))
        .cloned()
}

/// The name up to and with its last underscore.
fn family_of(version: &Text) -> Option<&[u8]> {
    let at = version.as_bytes().iter().rposition(|byte| *byte == b'_')?;
    version.as_bytes().get(..=at)
}

/// `None` for a version that is not made of numbers, as `GLIBC_PRIVATE`: the lowest of all.
fn numbers_of(version: &[u8]) -> Option<Vec<u64>> {
    std::str::from_utf8(version).ok()?.split('.').map(|part| part.parse().ok()).collect()
}

#[cfg(test)]
#[path = "loader_search_tests.rs"]
mod tests;

//! Where the dynamic loaders of glibc and musl look for a library. It must not open libraries.

use super::{
    elf::Header,
    ld_cache::Cache,
    loader_object::{Object, Start},
    regular::RegularFile,
};
use crate::linux::text::Text;

/// Whose rules apply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flavour {
    Glibc,
    Musl,
}

/// What of the search is the same for every library of a program.
#[derive(Debug)]
pub struct Folders {
    flavour: Flavour,
    library_path: Vec<Text>,
    cache: Option<Cache>,
    defaults: Vec<Text>,
    /// `lib/x86_64-linux-gnu` or `lib64`, and `lib`: what `$LIB` may stand for.
    lib_names: Vec<&'static str>,
    platform: &'static str,
}

const CACHE_PATH: &str = "/etc/ld.so.cache";
const CACHE_MAX: usize = 4 << 20;
const MUSL_PATH_MAX: usize = 64 << 10;
/// Folders of one list; nobody's program has more.
const FOLDERS_MAX: usize = 64;
/// What musl itself contains (ldso/dynlink.c, `load_library`).
const MUSL_RESERVED: [&[u8]; 7] = [b"c.", b"pthread.", b"rt.", b"m.", b"dl.", b"util.", b"xnet."];

impl Flavour {
    /// By the name of PT_INTERP.
    pub fn of(interpreter: &Text) -> Self {
        if file_name(interpreter).starts_with(b"ld-musl-") { Self::Musl } else { Self::Glibc }
    }

    /// True for a library that musl takes itself for: `libc.so.6` too.
    pub fn is_part_of_loader(self, name: &Text) -> bool {
        match self {
            Self::Glibc => false,
            Self::Musl => name.as_bytes().strip_prefix(b"lib").is_some_and(|rest| {
                MUSL_RESERVED.iter().any(|reserved| rest.starts_with(reserved))
            }),
        }
    }
}

impl Folders {
    /// Reads the loader's own configuration in the container.
    pub fn new(start: Start<'_>, interpreter: &Text, main: &Header) -> Self {
        let flavour = Flavour::of(interpreter);
        let read = |path: &Text, limit| {
            let found = start.root.find(start.cwd, path);
            Some(RegularFile::open(&found, start.budget).ok()?.beginning(limit))
        };
        let (platform, triple) = match (main.machine_name().as_str(), main.is_64) {
            ("x86-64", _) => ("x86_64", "x86_64-linux-gnu"),
            ("aarch64", _) => ("aarch64", "aarch64-linux-gnu"),
            ("i386", _) => ("i686", "i386-linux-gnu"),
            ("arm", _) => ("v7l", "arm-linux-gnueabihf"),
            (_, _) => ("", ""),
        };
        let (cache, defaults) = match flavour {
            Flavour::Glibc => {
                let cache = read(&Text::from(CACHE_PATH), CACHE_MAX);
                (cache.and_then(|bytes| Cache::parse(&bytes)), glibc_defaults(triple, main.is_64))
            }
            Flavour::Musl => {
                let configured = read(&musl_path_file(interpreter), MUSL_PATH_MAX);
                let list = configured.unwrap_or_else(|| b"/lib:/usr/local/lib:/usr/lib".to_vec());
                (None, split_list(&list, b":\n"))
            }
        };
        let library_path = start.library_path.map(|list| split_list(list.as_bytes(), b":;"));
        let lib_names = match platform {
            "x86_64" => vec!["lib/x86_64-linux-gnu", "lib64", "lib"],
            "aarch64" => vec!["lib/aarch64-linux-gnu", "lib64", "lib"],
            _ => vec!["lib"],
        };
        let library_path = library_path.unwrap_or_default();
        Self { flavour, library_path, cache, defaults, lib_names, platform }
    }

    /// Paths at which `name` is looked for, for the object `needed_by`, in order.
    pub fn candidates(&self, objects: &[Object], needed_by: usize, name: &Text) -> Vec<Text> {
        if name.as_bytes().contains(&b'/') {
            return vec![name.clone()];
        }
        self.steps(objects, needed_by)
            .into_iter()
            .flat_map(|step| match step {
                Step::Folder(folder) => vec![join(&folder, name)],
                Step::Cache(cache) => cache.paths(name),
            })
            .collect()
    }

    /// The folders of these, each once. What the cache names lies in folders that are not searched.
    pub fn searched(&self, objects: &[Object], needed_by: usize, name: &Text) -> Vec<Text> {
        if name.as_bytes().contains(&b'/') {
            return Vec::new();
        }
        let mut searched: Vec<Text> = Vec::new();
        for step in self.steps(objects, needed_by) {
            match step {
                Step::Folder(folder) if !searched.contains(&folder) => searched.push(folder),
                Step::Folder(_) | Step::Cache(_) => {}
            }
        }
        searched
    }

    fn steps(&self, objects: &[Object], needed_by: usize) -> Vec<Step<'_>> {
        let (before, after) = match self.flavour {
            Flavour::Glibc => self.glibc_paths(objects, needed_by),
            Flavour::Musl => (Vec::new(), self.musl_paths(objects, needed_by)),
        };
        let folders = |folders: Vec<Text>| folders.into_iter().map(Step::Folder);
        folders(before)
            .chain(folders(self.library_path.clone()))
            .chain(folders(after))
            .chain(self.cache.iter().map(Step::Cache))
            .chain(folders(self.defaults.clone()))
            .collect()
    }

    /// DT_RPATH of the object and of those that asked for it, unless it has DT_RUNPATH, which counts
    /// for itself only and after LD_LIBRARY_PATH (glibc elf/dl-load.c, `_dl_map_object`).
    fn glibc_paths(&self, objects: &[Object], needed_by: usize) -> (Vec<Text>, Vec<Text>) {
        let object = &objects[needed_by];
        if object.dynamic.runpath.is_some() {
            return (Vec::new(), self.expand(object, object.dynamic.runpath.as_ref()));
        }
        let mut folders = Vec::new();
        for asking in chain_of(objects, needed_by) {
            if folders.len() >= FOLDERS_MAX {
                break;
            }
            // An object with DT_RUNPATH has no DT_RPATH as far as glibc is concerned.
            if asking.dynamic.runpath.is_none() {
                folders.extend(self.expand(asking, asking.dynamic.rpath.as_ref()));
            }
        }
        (folders, Vec::new())
    }

    /// musl makes no difference between the two, and both count for what is asked for further on.
    fn musl_paths(&self, objects: &[Object], needed_by: usize) -> Vec<Text> {
        chain_of(objects, needed_by)
            .flat_map(|object| {
                let dynamic = &object.dynamic;
                self.expand(object, dynamic.runpath.as_ref().or(dynamic.rpath.as_ref()))
            })
            .take(FOLDERS_MAX)
            .collect()
    }

    fn expand(&self, object: &Object, list: Option<&Text>) -> Vec<Text> {
        let Some(list) = list else { return Vec::new() };
        split_list(list.as_bytes(), b":")
            .into_iter()
            .flat_map(|folder| self.expand_folder(object, folder))
            .collect()
    }

    fn expand_folder(&self, object: &Object, folder: Text) -> Vec<Text> {
        let origin = parent(&object.path);
        let folder = replace(folder, "ORIGIN", origin.as_bytes());
        let folder = replace(folder, "PLATFORM", self.platform.as_bytes());
        if !folder.contains(b"$LIB") && !folder.contains(b"${LIB}") {
            return vec![folder];
        }
        let names = self.lib_names.iter();
        names.map(|name| replace(folder.clone(), "LIB", name.as_bytes())).collect()
    }
}

enum Step<'c> {
    Folder(Text),
    Cache(&'c Cache),
}

/// The object itself, then who asked for it, up to the executable.
fn chain_of(objects: &[Object], from: usize) -> impl Iterator<Item = &Object> {
    // Objects ask only for later ones, so that the way up ends.
    std::iter::successors(objects.get(from), |object| objects.get(object.needed_by?))
}

/// What distributions compile into glibc's loader.
fn glibc_defaults(triple: &str, is_64: bool) -> Vec<Text> {
    let mut folders = Vec::new();
    if !triple.is_empty() {
        folders.extend([format!("/lib/{triple}"), format!("/usr/lib/{triple}")]);
    }
    if is_64 {
        folders.extend(["/lib64".to_owned(), "/usr/lib64".to_owned()]);
    }
    folders.extend(["/lib".to_owned(), "/usr/lib".to_owned()]);
    folders.iter().map(|folder| Text::from(folder.as_str())).collect()
}

/// `/etc/ld-musl-x86_64.path` beside `/lib/ld-musl-x86_64.so.1`.
fn musl_path_file(interpreter: &Text) -> Text {
    let name = file_name(interpreter);
    let end = name.windows(3).position(|window| window == b".so").unwrap_or(name.len());
    let mut path = parent(&parent(interpreter)).0;
    if path == b"/" {
        path.clear();
    }
    path.extend(b"/etc/");
    path.extend(&name[..end]);
    path.extend(b".path");
    Text(path)
}

fn split_list(list: &[u8], separators: &[u8]) -> Vec<Text> {
    list.split(|byte| separators.contains(byte))
        .filter(|folder| !folder.is_empty())
        .take(FOLDERS_MAX)
        .map(|folder| Text(folder.to_vec()))
        .collect()
}

fn file_name(path: &Text) -> &[u8] {
    path.as_bytes().rsplit(|byte| *byte == b'/').next().unwrap_or_default()
}

fn parent(path: &Text) -> Text {
    match path.as_bytes().iter().rposition(|byte| *byte == b'/') {
        Some(0) | None => Text::from("/"),
        Some(at) => Text(path.as_bytes()[..at].to_vec()),
    }
}

fn join(folder: &Text, name: &Text) -> Text {
    let mut path = folder.0.clone();
    path.push(b'/');
    path.extend(&name.0);
    Text(path)
}

/// Replaces `$NAME` and `${NAME}`, but not in what was put in.
fn replace(text: Text, name: &str, value: &[u8]) -> Text {
    let tokens = [format!("${{{name}}}"), format!("${name}")];
    let mut replaced = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let token = tokens.iter().find(|token| rest.starts_with(token.as_bytes()));
        match token {
            Some(token) => {
                replaced.extend(value);
                rest = &rest[token.len()..];
            }
            None => {
                replaced.push(*first);
                rest = tail;
            }
        }
    }
    Text(replaced)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_replaced_in_both_spellings() {
        let replaced = replace(Text::from("$ORIGIN/../lib:${ORIGIN}"), "ORIGIN", b"/opt/$ORIGIN");
        assert_eq!(replaced, Text::from("/opt/$ORIGIN/../lib:/opt/$ORIGIN"));
    }

    #[test]
    fn the_configuration_of_musl_stands_beside_its_loader() {
        let path = |interpreter: &str| musl_path_file(&Text::from(interpreter)).to_string();
        assert_eq!(path("/lib/ld-musl-x86_64.so.1"), "/etc/ld-musl-x86_64.path");
        assert_eq!(
            path("/opt/musl/lib/ld-musl-aarch64.so.1"),
            "/opt/musl/etc/ld-musl-aarch64.path"
        );
    }

    #[test]
    fn musl_takes_itself_for_the_libraries_of_libc() {
        let is_part = |name: &str| Flavour::Musl.is_part_of_loader(&Text::from(name));
        assert!(is_part("libc.so.6") && is_part("libpthread.so.0") && is_part("libm.so"));
        assert!(!is_part("libcrypto.so.3") && !is_part("ld-linux-x86-64.so.2"));
    }
}

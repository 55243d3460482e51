//! The modules of one target: which file each stands in, what it defines and what it takes from others; and to which
//! file a path leads. It must not know what a circle is.

use std::collections::{BTreeMap, BTreeSet};
use std::iter::successors;

use quote::ToTokens as _;
use syn::visit::{self, Visit};
use syn::{Item, UseTree, Visibility};

use crate::chores::lint::source::{Named, Source, words};

/// All modules; the target's root is the first.
pub struct Modules<'a> {
    pub all: Vec<Module<'a>>,
}

pub struct Module<'a> {
    pub file: &'a str,
    parent: usize,
    children: BTreeMap<String, usize>,
    defined: BTreeSet<String>,
    pub imports: Vec<Import>,
    /// The words of its code, without its `use` and without its inner modules.
    pub words: Vec<Named>,
}

/// A leaf of a `use`.
pub struct Import {
    /// Ends with `*` where it takes all names.
    pub path: Vec<String>,
    /// What it is called here.
    pub name: String,
    /// Others may take it from here.
    pub passed_on: bool,
}

/// Where a path leads.
#[derive(Debug, PartialEq, Eq)]
pub enum Target<'a> {
    Module,
    /// A name, and the file that defines it.
    Name(&'a str, String),
}

/// A path that goes through more imports than this is taken for one that leads nowhere.
const DEPTH: usize = 16;

impl<'a> Modules<'a> {
    pub fn of(root: &'a Source, sources: &'a [Source]) -> Self {
        let mut modules = Self { all: Vec::new() };
        let folder = root.path.rsplit_once('/').map_or("", |(folder, _)| folder);
        modules.add(&root.path, folder, 0, &root.code.items, sources);
        modules
    }

    /// Adds a module and those below it; `folder` is where the files of its children are.
    fn add(
        &mut self,
        file: &'a str,
        folder: &str,
        parent: usize,
        items: &'a [Item],
        sources: &'a [Source],
    ) -> usize {
        let id = self.all.len();
        self.all.push(Module::of(file, parent, items));
        for item in items {
            let Item::Mod(module) = item else { continue };
            let name = module.ident.to_string();
            let below = format!("{folder}/{name}");
            let child = match &module.content {
                Some((_, inner)) => Some(self.add(file, &below, id, inner, sources)),
                None => {
                    let files = [format!("{below}.rs"), format!("{below}/mod.rs")];
                    let source = sources.iter().find(|source| files.contains(&source.path));
                    source.map(|it| self.add(&it.path, &below, id, &it.code.items, sources))
                }
            };
            if let Some(child) = child {
                self.all[id].children.insert(name, child);
            }
        }
        id
    }

    /// The files of the modules that a module stands in.
    pub fn above(&self, id: usize) -> impl Iterator<Item = &'a str> {
        let parent = |at: &usize| Some(self.all[*at].parent).filter(|parent| parent != at);
        successors(parent(&id), parent).map(|at| self.all[at].file)
    }

    /// Where a path of the module `from` leads; `None` where it leaves the crate, or names what stands in `from`.
    pub fn lead(&self, from: usize, path: &[String]) -> Option<Target<'a>> {
        self.lead_within(from, path, DEPTH)
    }

    fn lead_within(&self, from: usize, path: &[String], depth: usize) -> Option<Target<'a>> {
        let depth = depth.checked_sub(1)?;
        let (first, rest) = path.split_first()?;
        match first.as_str() {
            "crate" => self.down(0, rest, depth),
            "self" => self.down(from, rest, depth),
            "super" => {
                let (mut at, mut rest) = (self.all[from].parent, rest);
                while let [word, more @ ..] = rest
                    && word == "super"
                {
                    (at, rest) = (self.all[at].parent, more);
                }
                self.down(at, rest, depth)
            }
            name if self.all[from].children.contains_key(name) => self.down(from, path, depth),
            name => {
                let import = self.all[from].imports.iter().find(|import| import.name == *name)?;
                self.lead_within(from, &[&import.path, rest].concat(), depth)
            }
        }
    }

    /// From a module on. A name that nobody is seen to define is one that a macro makes there.
    fn down(&self, mut at: usize, mut path: &[String], depth: usize) -> Option<Target<'a>> {
        while let [name, rest @ ..] = path
            && let Some(child) = self.all[at].children.get(name)
        {
            (at, path) = (*child, rest);
        }
        let Some(name) = path.first().filter(|name| *name != "self") else {
            return Some(Target::Module);
        };
        let named = || Target::Name(self.all[at].file, name.clone());
        Some(self.taken(at, path, depth).unwrap_or_else(named))
    }

    /// What a module has by its imports.
    fn taken(&self, at: usize, path: &[String], depth: usize) -> Option<Target<'a>> {
        let module = &self.all[at];
        let (name, rest) = path.split_first()?;
        if module.defined.contains(name) {
            return None;
        }
        if let Some(import) = module.imports.iter().find(|import| import.name == *name) {
            return self.lead_within(at, &[&import.path, rest].concat(), depth);
        }
        let all =
            module.imports.iter().filter_map(|import| import.path.strip_suffix(&["*".to_owned()]));
        all.filter_map(|of| self.module(at, of, depth)).find_map(|of| {
            let has = &self.all[of];
            let there = has.defined.contains(name) || has.children.contains_key(name);
            match there {
                true => self.down(of, path, depth.checked_sub(1)?),
                false => self.taken(of, path, depth.checked_sub(1)?),
            }
        })
    }

    /// The module that a path names.
    fn module(&self, from: usize, path: &[String], depth: usize) -> Option<usize> {
        let depth = depth.checked_sub(1)?;
        let (first, rest) = path.split_first()?;
        let (mut at, rest) = match first.as_str() {
            "crate" => (0, rest),
            "self" => (from, rest),
            "super" => (self.all[from].parent, rest),
            name if self.all[from].children.contains_key(name) => (from, path),
            name => {
                let import = self.all[from].imports.iter().find(|import| import.name == *name)?;
                return self.module(from, &[&import.path, rest].concat(), depth);
            }
        };
        for word in rest {
            at = match word.as_str() {
                "super" => self.all[at].parent,
                name => *self.all[at].children.get(name)?,
            };
        }
        Some(at)
    }
}

impl<'a> Module<'a> {
    fn of(file: &'a str, parent: usize, items: &[Item]) -> Self {
        let mut module = Self {
            file,
            parent,
            children: BTreeMap::new(),
            defined: BTreeSet::new(),
            imports: Vec::new(),
            words: Vec::new(),
        };
        for item in items {
            module.defined.extend(defined(item));
            match item {
                Item::Mod(inner) if inner.content.is_some() => {}
                Item::Use(it) => {
                    let passed_on = !matches!(it.vis, Visibility::Inherited);
                    leaves(&it.tree, &[], passed_on, &mut module.imports);
                }
                _ => {
                    module.words.extend(words(item.to_token_stream()));
                    Inside { imports: &mut module.imports }.visit_item(item);
                }
            }
        }
        module
    }
}

/// The `use` inside of functions.
struct Inside<'a> {
    imports: &'a mut Vec<Import>,
}

impl<'ast> Visit<'ast> for Inside<'_> {
    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        leaves(&item.tree, &[], false, self.imports);
        visit::visit_item_use(self, item);
    }
}

fn leaves(tree: &UseTree, before: &[String], passed_on: bool, imports: &mut Vec<Import>) {
    let mut leaf = |ident: String, name: String| {
        let path = if ident == "self" { before.to_vec() } else { [before, &[ident]].concat() };
        imports.push(Import { path, name, passed_on });
    };
    match tree {
        UseTree::Path(path) => {
            let path_before = [before, &[path.ident.to_string()]].concat();
            leaves(&path.tree, &path_before, passed_on, imports);
        }
        UseTree::Name(name) if name.ident == "self" => {
            leaf("self".to_owned(), before.last().cloned().unwrap_or_default());
        }
        UseTree::Name(name) => leaf(name.ident.to_string(), name.ident.to_string()),
        UseTree::Rename(name) => leaf(name.ident.to_string(), name.rename.to_string()),
        UseTree::Glob(_) => leaf("*".to_owned(), "*".to_owned()),
        UseTree::Group(group) => {
            group.items.iter().for_each(|inner| leaves(inner, before, passed_on, imports));
        }
    }
}

fn defined(item: &Item) -> Option<String> {
    let ident = match item {
        Item::Const(it) => &it.ident,
        Item::Enum(it) => &it.ident,
        Item::Fn(it) => &it.sig.ident,
        Item::Macro(it) => it.ident.as_ref()?,
        Item::Static(it) => &it.ident,
        Item::Struct(it) => &it.ident,
        Item::Trait(it) => &it.ident,
        Item::Type(it) => &it.ident,
        Item::Union(it) => &it.ident,
        _ => return None,
    };
    Some(ident.to_string())
}

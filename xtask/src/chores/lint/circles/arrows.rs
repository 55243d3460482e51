//! Which file takes which names from which other. It must not know what a circle is.
//!
//! A parent's `mod x;` is no arrow, nor is a name that it passes on and does not use itself. Nor is what a module takes
//! from those that it stands in: a folder's `mod.rs` holds what its files share, and works with them.

use std::collections::{BTreeMap, BTreeSet};

use super::modules::{Import, Module, Modules, Target};

/// From file and to file: the names between them.
pub type Arrows = BTreeMap<(String, String), BTreeSet<String>>;

/// Adds the arrows of one target.
pub fn read(modules: &Modules<'_>, arrows: &mut Arrows) {
    for (id, module) in modules.all.iter().enumerate() {
        let taken = module.imports.iter().filter(|import| is_taken(import, module));
        let spoken = module.words.iter().filter(|word| word.path.len() > 1);
        let paths = taken.map(|import| &import.path).chain(spoken.map(|word| &word.path));
        for path in paths {
            let Some(Target::Name(file, name)) = modules.lead(id, path) else { continue };
            if file != module.file && modules.above(id).all(|above| above != file) {
                arrows.entry((module.file.to_owned(), file.to_owned())).or_default().insert(name);
            }
        }
    }
}

/// What is passed on alone ties the file to nobody.
fn is_taken(import: &Import, module: &Module<'_>) -> bool {
    let spoken = || module.words.iter().any(|word| word.path.first() == Some(&import.name));
    !import.passed_on || spoken()
}

//! No circle between the files of a crate: one can be read, moved and tested without another, or the other without
//! the one. It must not know what any file is about.

mod arrows;
mod modules;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Result, bail};

use crate::chores::lint::source::Source;
use arrows::Arrows;
use modules::Modules;

/// Looks at every target of every package below `root`.
///
/// # Errors
///
/// When files need each other in a circle: the error lists all.
pub fn check(root: &Path) -> Result<()> {
    let breaches = against(&Source::all(root, "")?);
    if breaches.is_empty() {
        return Ok(());
    }
    bail!("{} breaches of \"no circle between files\":\n{}", breaches.len(), breaches.join("\n"));
}

fn against(sources: &[Source]) -> Vec<String> {
    let mut arrows = Arrows::default();
    for root in roots(sources) {
        arrows::read(&Modules::of(root, sources), &mut arrows);
    }
    circles(&arrows).iter().map(|circle| described(circle, &arrows)).collect()
}

/// The files that cargo begins a target with.
fn roots(sources: &[Source]) -> impl Iterator<Item = &Source> {
    sources.iter().filter(|source| {
        let folders: Vec<&str> = source.path.split('/').collect();
        match &folders[..] {
            [.., "src", "lib.rs" | "main.rs"] | [.., "build.rs"] => true,
            [.., "bin" | "tests" | "benches" | "examples", name, "main.rs"] => *name != "src",
            [.., "src", "bin", _] => true,
            [package @ .., "tests" | "benches" | "examples", _] => !package.contains(&"src"),
            _ => false,
        }
    })
}

/// Sets of files that need each other, each in order.
fn circles(arrows: &Arrows) -> Vec<Vec<&str>> {
    let mut next: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (from, to) in arrows.keys() {
        next.entry(from).or_default().push(to);
    }
    let reached: BTreeMap<&str, BTreeSet<&str>> =
        next.keys().map(|from| (*from, reached(from, &next))).collect();
    let mut circles = BTreeSet::new();
    for (file, there) in &reached {
        let back = |other: &&&str| reached.get(**other).is_some_and(|from| from.contains(file));
        let circle: Vec<&str> = there.iter().filter(back).copied().collect();
        if !circle.is_empty() {
            circles.insert(circle);
        }
    }
    circles.into_iter().collect()
}

/// All files that `from` needs, by whatever way; itself too where a way leads back.
fn reached<'a>(from: &str, next: &BTreeMap<&str, Vec<&'a str>>) -> BTreeSet<&'a str> {
    let mut found = BTreeSet::new();
    let mut open = vec![from];
    while let Some(file) = open.pop() {
        for to in next.get(file).into_iter().flatten() {
            if found.insert(*to) {
                open.push(to);
            }
        }
    }
    found
}

fn described(circle: &[&str], arrows: &Arrows) -> String {
    let mut lines = vec![format!("{} files need each other in a circle:", circle.len())];
    for ((from, to), names) in arrows {
        if circle.contains(&from.as_str()) && circle.contains(&to.as_str()) {
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            lines.push(format!("    {from} -> {to}: {}", names.join(", ")));
        }
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(files: &[(&str, &str)]) -> Vec<String> {
        let sources: Vec<Source> =
            files.iter().map(|(path, text)| Source::parse(path, text).unwrap()).collect();
        against(&sources)
    }

    /// Looks for circles among files of one crate, whose root declares `a` and `b`.
    fn check(files: &[(&str, &str)], expected: &[&str]) {
        let root = [("c/src/lib.rs", "mod a; mod b;")];
        let found = found(&[&root, files].concat());
        let lines: Vec<&str> = found.iter().flat_map(|circle| circle.lines().skip(1)).collect();
        assert_eq!(lines.iter().map(|line| line.trim()).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn the_whole_repository_has_no_circle() {
        super::check(&crate::means::workspace::root()).unwrap();
    }

    #[test]
    fn two_files_that_use_each_other_are_a_circle() {
        check(
            &[
                ("c/src/a.rs", "use crate::b::{B, inner::{C as D}}; pub struct A;"),
                ("c/src/b.rs", "pub struct B; pub mod inner { pub struct C; } use super::a::A;"),
            ],
            &["c/src/a.rs -> c/src/b.rs: B, C", "c/src/b.rs -> c/src/a.rs: A"],
        );
    }

    #[test]
    fn paths_without_use_and_by_an_imported_module_count() {
        check(
            &[
                ("c/src/a.rs", "pub fn f() { crate::b::g() }"),
                ("c/src/b.rs", "use crate::a; pub fn g() { vec![a::f()]; }"),
            ],
            &["c/src/a.rs -> c/src/b.rs: g", "c/src/b.rs -> c/src/a.rs: f"],
        );
    }

    #[test]
    fn one_direction_is_no_circle_and_a_module_that_is_only_imported_no_arrow() {
        check(&[("c/src/a.rs", "use crate::b::B;"), ("c/src/b.rs", "pub struct B;")], &[]);
        check(
            &[("c/src/a.rs", "use crate::b::B;"), ("c/src/b.rs", "pub struct B; use super::a;")],
            &[],
        );
    }

    #[test]
    fn what_is_used_by_tests_alone_does_not_count() {
        check(
            &[
                ("c/src/a.rs", "use crate::b::B; pub struct A;"),
                ("c/src/b.rs", "pub struct B; #[cfg(test)] mod tests { use crate::a::A; }"),
            ],
            &[],
        );
    }

    #[test]
    fn a_parent_that_declares_and_re_exports_is_no_part_of_a_circle() {
        check(
            &[
                ("c/src/a/mod.rs", "mod x; mod y; pub use x::X; pub use y::*;"),
                ("c/src/a/x.rs", "use super::Y; pub struct X;"),
                ("c/src/a/y.rs", "pub struct Y;"),
                ("c/src/b.rs", "use crate::a::{X, Y};"),
            ],
            &[],
        );
    }

    #[test]
    fn a_re_export_leads_to_the_file_that_defines_the_name() {
        check(
            &[
                ("c/src/a/mod.rs", "mod x; mod y; pub use x::X; pub use y::*;"),
                ("c/src/a/x.rs", "use super::Y; pub struct X;"),
                ("c/src/a/y.rs", "use crate::a::X; pub struct Y;"),
            ],
            &["c/src/a/x.rs -> c/src/a/y.rs: Y", "c/src/a/y.rs -> c/src/a/x.rs: X"],
        );
    }

    #[test]
    fn a_module_may_take_from_those_that_it_stands_in() {
        check(
            &[
                (
                    "c/src/a/mod.rs",
                    "mod x; pub use x::X; fn f(x: X) { x::g() } pub const Y: u8 = 1;",
                ),
                ("c/src/a/x.rs", "use super::Y; pub struct X; pub fn g() {}"),
            ],
            &[],
        );
    }

    #[test]
    fn a_parent_and_a_file_outside_are_a_circle() {
        check(
            &[
                ("c/src/a/mod.rs", "mod x; pub use x::X; use crate::b::B; pub const Y: u8 = 1;"),
                ("c/src/a/x.rs", "pub struct X;"),
                ("c/src/b.rs", "use crate::a::{X, Y}; pub struct B;"),
            ],
            &["c/src/a/mod.rs -> c/src/b.rs: B", "c/src/b.rs -> c/src/a/mod.rs: Y"],
        );
    }
}

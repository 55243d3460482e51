//! Our own enums are matched without `_`: a new variant must fail to compile where it is not handled. It sees syntax
//! alone: the enum must be named in a pattern, and a match inside of a macro's call is passed over.

use std::collections::{BTreeMap, BTreeSet};

use syn::spanned::Spanned as _;
use syn::visit::{self, Visit};
use syn::{Pat, Type, UseTree};

use super::known::WILDCARDS;
use crate::chores::lint::source::Source;

/// Names that paths to code of this workspace begin with.
const OURS: [&str; 7] = ["crate", "self", "super", "gateway", "tests", "tracer", "tracer_ebpf"];

pub fn breaches(sources: &[Source]) -> Vec<String> {
    against(sources, &WILDCARDS.iter().copied().collect())
}

fn against(sources: &[Source], known: &BTreeMap<&str, usize>) -> Vec<String> {
    let enums = enums(sources);
    let mut breaches = Vec::new();
    for source in sources {
        let mut wildcards =
            Wildcards { ours: &enums, foreign: foreign(source), own: None, found: Vec::new() };
        wildcards.visit_file(&source.code);
        let path = &source.path;
        let known = known.get(path.as_str()).copied().unwrap_or_default();
        if wildcards.found.len() > known {
            let one =
                |(line, of): &(usize, String)| format!("{path}:{line}: `_` in a match of {of}");
            breaches.extend(wildcards.found.iter().map(one));
        } else if wildcards.found.len() < known {
            let left = wildcards.found.len();
            breaches.push(format!("{path}: {left} wildcards are left: tidy/known.rs says {known}"));
        }
    }
    let gone = known.keys().filter(|known| !sources.iter().any(|source| source.path == **known));
    breaches.extend(gone.map(|path| format!("{path}: is no more: tidy/known.rs names it")));
    breaches
}

/// All enums of the workspace. Those that a macro makes are seen by the words of the macro.
fn enums(sources: &[Source]) -> BTreeSet<String> {
    let mut enums = BTreeSet::new();
    for source in sources {
        let pairs = source.named.windows(2).filter(|pair| pair[0].path == ["enum"]);
        enums.extend(pairs.filter_map(|pair| pair[1].path.first().cloned()));
    }
    enums
}

/// Names that a file takes from outside of the workspace.
fn foreign(source: &Source) -> BTreeSet<String> {
    let mut foreign = BTreeSet::new();
    let own_modules: Vec<String> = source
        .code
        .items
        .iter()
        .filter_map(|item| match item {
            syn::Item::Mod(module) => Some(module.ident.to_string()),
            _ => None,
        })
        .collect();
    for item in &source.code.items {
        let syn::Item::Use(item) = item else { continue };
        let UseTree::Path(path) = &item.tree else { continue };
        let first = path.ident.to_string();
        if !OURS.contains(&first.as_str()) && !own_modules.contains(&first) {
            last_names(&path.tree, &mut foreign);
        }
    }
    foreign
}

fn last_names(tree: &UseTree, names: &mut BTreeSet<String>) {
    match tree {
        UseTree::Path(path) => last_names(&path.tree, names),
        UseTree::Name(name) => drop(names.insert(name.ident.to_string())),
        UseTree::Rename(rename) => drop(names.insert(rename.rename.to_string())),
        UseTree::Group(group) => group.items.iter().for_each(|inner| last_names(inner, names)),
        _ => {}
    }
}

struct Wildcards<'a> {
    ours: &'a BTreeSet<String>,
    foreign: BTreeSet<String>,
    /// What `Self` is.
    own: Option<String>,
    /// Each with its line and the enum.
    found: Vec<(usize, String)>,
}

impl<'ast> Visit<'ast> for Wildcards<'_> {
    fn visit_item_impl(&mut self, of: &'ast syn::ItemImpl) {
        let before = self.own.take();
        if let Type::Path(own) = &*of.self_ty {
            self.own = own.path.segments.last().map(|last| last.ident.to_string());
        }
        visit::visit_item_impl(self, of);
        self.own = before;
    }

    fn visit_expr_match(&mut self, of: &'ast syn::ExprMatch) {
        let matched = of.arms.iter().find_map(|arm| self.our_enum(&arm.pat));
        let all = |arm: &&syn::Arm| matches!(arm.pat, Pat::Wild(_));
        if let (Some(matched), Some(wildcard)) = (matched, of.arms.iter().find(all)) {
            self.found.push((wildcard.pat.span().start().line, matched));
        }
        visit::visit_expr_match(self, of);
    }
}

impl Wildcards<'_> {
    /// The enum of ours that a variant in the pattern belongs to.
    fn our_enum(&self, pattern: &Pat) -> Option<String> {
        let path = match pattern {
            Pat::Or(or) => return or.cases.iter().find_map(|case| self.our_enum(case)),
            Pat::Guard(guarded) => return self.our_enum(&guarded.pat),
            Pat::Paren(inner) => return self.our_enum(&inner.pat),
            Pat::Reference(inner) => return self.our_enum(&inner.pat),
            Pat::Ident(bound) => return self.our_enum(&bound.subpat.as_ref()?.1),
            Pat::Path(path) => &path.path,
            Pat::TupleStruct(variant) => &variant.path,
            Pat::Struct(variant) => &variant.path,
            _ => return None,
        };
        let words: Vec<String> = path.segments.iter().map(|word| word.ident.to_string()).collect();
        let [before @ .., of, variant] = &words[..] else { return None };
        let of = if of == "Self" { self.own.as_ref()? } else { of };
        let is_variant =
            variant.starts_with(char::is_uppercase) && variant.contains(char::is_lowercase);
        let ours = match before.first() {
            Some(first) => OURS.contains(&first.as_str()) || !self.foreign.contains(first),
            None => !self.foreign.contains(of),
        };
        (is_variant && ours && self.ours.contains(of)).then(|| of.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::compare;
    use super::*;

    const OWN: &str = "enum Kind { Oom, Bind }\n";

    fn check(text: &str, known: &[(&'static str, usize)], expected: &[&str]) {
        let source = Source::parse("x.rs", &format!("{OWN}{text}")).unwrap();
        compare(&against(&[source], &known.iter().copied().collect()), expected);
    }

    #[test]
    fn a_wildcard_beside_a_variant_of_ours_is_a_breach() {
        let text = "fn f() { match x {\nKind::Oom => 1,\n_ => 2,\n} }";
        check(text, &[], &["x.rs:4: `_` in a match of Kind"]);
        check("fn f() { match x { &(Kind::Oom | Kind::Bind) => 1, _ => 2 } }", &[], &["Kind"]);
        check("impl Kind { fn f() { match x { Self::Oom => 1, _ => 2 } } }", &[], &["Kind"]);
        check("fn f() { match x { a::Kind::Oom { .. } => 1, _ => 2 } }", &[], &["Kind"]);
    }

    #[test]
    fn an_enum_that_a_macro_makes_is_ours() {
        let made = "macro_rules! made { ($($v:ident)*) => { pub enum Made { $($v,)* } } }\n";
        check(&format!("{made}fn f() {{ match x {{ Made::Oom => 1, _ => 2 }} }}"), &[], &["Made"]);
    }

    #[test]
    fn what_others_define_may_be_matched_with_a_wildcard() {
        check("use serde_json::Kind;\nfn f() { match x { Kind::Oom => 1, _ => 2 } }", &[], &[]);
        check("fn f() { match x { Other::Oom => 1, _ => 2 } }", &[], &[]);
        check("fn f() { match x { Kind::LIMIT => 1, _ => 2 } }", &[], &[]);
        check("fn f() { match x { Some(1) => 1, _ => 2 } }", &[], &[]);
    }

    #[test]
    fn a_guarded_wildcard_and_a_whole_match_are_no_breach() {
        check("fn f() { match x { Kind::Oom => 1, _ if y => 2, Kind::Bind => 3 } }", &[], &[]);
    }

    #[test]
    fn the_known_places_may_only_become_fewer() {
        let one = "fn f() { match x { Kind::Oom => 1, _ => 2 } }";
        check(one, &[("x.rs", 1)], &[]);
        check(&format!("{one}\n{one}"), &[("x.rs", 1)], &["x.rs:2", "x.rs:3"]);
        check(one, &[("x.rs", 2)], &["x.rs: 1 wildcards are left: tidy/known.rs says 2"]);
        check("", &[("y.rs", 1)], &["y.rs: is no more"]);
    }
}

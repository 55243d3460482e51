//! One Rust file as the compiler reads it, without what is compiled for tests alone. It knows no rule.

use std::fs;
use std::ops::RangeInclusive;
use std::path::Path;

use anyhow::{Context as _, Result};
use proc_macro2::{Delimiter, TokenStream, TokenTree};
use quote::ToTokens;
use syn::punctuated::Punctuated;
use syn::visit_mut::{self, VisitMut};
use syn::{Attribute, Meta, Token};

use crate::means::tree;

/// A file of ours.
pub struct Source {
    /// Relative to the workspace's root.
    pub path: String,
    pub text: String,
    /// Without test items.
    pub code: syn::File,
    /// Every path and every word of the code, in order.
    pub named: Vec<Named>,
    /// The lines of each test item, its attributes among them.
    tests: Vec<RangeInclusive<usize>>,
}

/// A path that the code names, `use` groups taken apart: `a::{b, c}` names `a::b` and `a::c`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    pub line: usize,
    /// `*` stands for all names of a module.
    pub path: Vec<String>,
}

impl Source {
    pub fn parse(path: &str, text: &str) -> Result<Self> {
        let mut code = syn::parse_file(text).map_err(|error| {
            let line = error.span().start().line;
            anyhow::anyhow!("{path}:{line}: not read as Rust: {error}")
        })?;
        let mut stripped = WithoutTests::default();
        stripped.visit_file_mut(&mut code);
        let named = words(code.to_token_stream());
        let (path, text) = (path.to_owned(), text.to_owned());
        Ok(Self { path, text, code, named, tests: stripped.lines })
    }

    /// All files of Rust in a folder of the workspace at `root`; an empty name is the workspace.
    pub fn all(root: &Path, folder: &str) -> Result<Vec<Self>> {
        let files = tree::files(root)?.into_iter().filter(|path| path.starts_with(folder));
        let rust = files.filter(|path| path.extension().is_some_and(|ours| ours == "rs"));
        rust.map(|path| {
            let file = root.join(&path);
            let text = fs::read_to_string(&file)
                .with_context(|| format!("cannot read {}", file.display()))?;
            Self::parse(&path.to_string_lossy(), &text)
        })
        .collect()
    }

    /// What stands at the top of the file about the file.
    pub fn header(&self) -> impl Iterator<Item = &str> {
        self.text.lines().map_while(|line| line.strip_prefix("//!"))
    }

    /// How many lines are no part of a test item.
    pub fn lines_of_code(&self) -> usize {
        let tested = |line: &usize| self.tests.iter().any(|test| test.contains(line));
        (1..=self.text.lines().count()).filter(|line| !tested(line)).count()
    }
}

/// Every path and every word of some code, in order.
pub fn words(code: TokenStream) -> Vec<Named> {
    let mut found = Vec::new();
    read(code, &[], &mut found);
    found
}

/// Reads words, and what follows them by `::`; `before` is the path that a group of `use` goes on with.
fn read(words: TokenStream, before: &[String], found: &mut Vec<Named>) {
    let words: Vec<TokenTree> = words.into_iter().collect();
    let mut at = 0;
    while let Some(word) = words.get(at) {
        match word {
            TokenTree::Group(group) => read(group.stream(), &[], found),
            TokenTree::Ident(first) => {
                let mut path = [before, &[first.to_string()]].concat();
                let mut group = None;
                while is_path_separator(&words[at + 1..]) {
                    match words.get(at + 3) {
                        Some(TokenTree::Ident(next)) => path.push(next.to_string()),
                        Some(TokenTree::Punct(all)) if all.as_char() == '*' => {
                            path.push("*".to_owned());
                        }
                        Some(TokenTree::Group(inner)) if inner.delimiter() == Delimiter::Brace => {
                            group = Some(inner.stream());
                        }
                        _ => break,
                    }
                    at += 3;
                }
                match group {
                    Some(group) => read(group, &path, found),
                    None => found.push(Named { line: first.span().start().line, path }),
                }
            }
            TokenTree::Punct(all) if all.as_char() == '*' && !before.is_empty() => {
                let path = [before, &["*".to_owned()]].concat();
                found.push(Named { line: all.span().start().line, path });
            }
            TokenTree::Punct(_) | TokenTree::Literal(_) => {}
        }
        at += 1;
    }
}

fn is_path_separator(words: &[TokenTree]) -> bool {
    let colon =
        |at: usize| matches!(words.get(at), Some(TokenTree::Punct(it)) if it.as_char() == ':');
    colon(0) && colon(1)
}

/// Takes the items out that are compiled for tests alone.
#[derive(Default)]
struct WithoutTests {
    lines: Vec<RangeInclusive<usize>>,
}

impl WithoutTests {
    fn keep<T: ToTokens>(&mut self, attributes: &[Attribute], of: &T) -> bool {
        if !attributes.iter().any(|attribute| for_tests_alone(&attribute.meta)) {
            return true;
        }
        let mut words = of.to_token_stream().into_iter().map(|word| word.span());
        if let Some(first) = words.next() {
            let last = words.last().unwrap_or(first);
            self.lines.push(first.start().line..=last.end().line);
        }
        false
    }
}

impl VisitMut for WithoutTests {
    fn visit_file_mut(&mut self, file: &mut syn::File) {
        file.items.retain(|item| self.keep(attributes_of_item(item), item));
        visit_mut::visit_file_mut(self, file);
    }

    fn visit_item_mod_mut(&mut self, module: &mut syn::ItemMod) {
        if let Some((_, items)) = &mut module.content {
            items.retain(|item| self.keep(attributes_of_item(item), item));
        }
        visit_mut::visit_item_mod_mut(self, module);
    }

    fn visit_item_impl_mut(&mut self, of: &mut syn::ItemImpl) {
        of.items.retain(|item| self.keep(attributes_in_impl(item), item));
        visit_mut::visit_item_impl_mut(self, of);
    }

    fn visit_block_mut(&mut self, block: &mut syn::Block) {
        block.stmts.retain(|statement| self.keep(attributes_of_statement(statement), statement));
        visit_mut::visit_block_mut(self, block);
    }

    fn visit_fields_named_mut(&mut self, fields: &mut syn::FieldsNamed) {
        let kept = std::mem::take(&mut fields.named).into_iter();
        fields.named = kept.filter(|field| self.keep(&field.attrs, field)).collect();
        visit_mut::visit_fields_named_mut(self, fields);
    }

    fn visit_item_enum_mut(&mut self, of: &mut syn::ItemEnum) {
        let kept = std::mem::take(&mut of.variants).into_iter();
        of.variants = kept.filter(|variant| self.keep(&variant.attrs, variant)).collect();
        visit_mut::visit_item_enum_mut(self, of);
    }

    fn visit_expr_match_mut(&mut self, of: &mut syn::ExprMatch) {
        of.arms.retain(|arm| self.keep(&arm.attrs, arm));
        visit_mut::visit_expr_match_mut(self, of);
    }
}

/// `cfg(test)`, or `cfg(all(...))` with it among others.
fn for_tests_alone(meta: &Meta) -> bool {
    let inside = || {
        let list = meta.require_list().ok()?;
        list.parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated).ok()
    };
    let any_inside = |holds: fn(&Meta) -> bool| inside().is_some_and(|all| all.iter().any(holds));
    fn needs_test(condition: &Meta) -> bool {
        condition.path().is_ident("test") || for_tests_alone(condition)
    }
    (meta.path().is_ident("cfg") || meta.path().is_ident("all")) && any_inside(needs_test)
}

fn attributes_of_item(item: &syn::Item) -> &[Attribute] {
    match item {
        syn::Item::Const(it) => &it.attrs,
        syn::Item::Enum(it) => &it.attrs,
        syn::Item::ExternCrate(it) => &it.attrs,
        syn::Item::Fn(it) => &it.attrs,
        syn::Item::ForeignMod(it) => &it.attrs,
        syn::Item::Impl(it) => &it.attrs,
        syn::Item::Macro(it) => &it.attrs,
        syn::Item::Mod(it) => &it.attrs,
        syn::Item::Static(it) => &it.attrs,
        syn::Item::Struct(it) => &it.attrs,
        syn::Item::Trait(it) => &it.attrs,
        syn::Item::Type(it) => &it.attrs,
        syn::Item::Union(it) => &it.attrs,
        syn::Item::Use(it) => &it.attrs,
        _ => &[],
    }
}

fn attributes_in_impl(item: &syn::ImplItem) -> &[Attribute] {
    match item {
        syn::ImplItem::Const(it) => &it.attrs,
        syn::ImplItem::Fn(it) => &it.attrs,
        syn::ImplItem::Macro(it) => &it.attrs,
        syn::ImplItem::Type(it) => &it.attrs,
        _ => &[],
    }
}

fn attributes_of_statement(statement: &syn::Stmt) -> &[Attribute] {
    match statement {
        syn::Stmt::Item(it) => attributes_of_item(it),
        syn::Stmt::Local(it) => &it.attrs,
        syn::Stmt::Macro(it) => &it.attrs,
        syn::Stmt::Expr(syn::Expr::Block(it), _) => &it.attrs,
        syn::Stmt::Expr(syn::Expr::Call(it), _) => &it.attrs,
        syn::Stmt::Expr(syn::Expr::MethodCall(it), _) => &it.attrs,
        syn::Stmt::Expr(..) => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(text: &str) -> Vec<(usize, String)> {
        let source = Source::parse("x.rs", text).unwrap();
        source.named.iter().map(|named| (named.line, named.path.join("::"))).collect()
    }

    fn check_words(text: &str, there: &[&str], absent: &[&str]) {
        let found: Vec<String> = paths(text).into_iter().map(|(_, path)| path).collect();
        for word in there {
            assert!(found.iter().any(|it| it == word), "{found:?} lacks {word}");
        }
        for word in absent {
            assert!(!found.iter().any(|it| it.contains(word)), "{found:?} has {word}");
        }
    }

    #[test]
    fn groups_of_use_are_taken_apart() {
        let text = "use std::{\n    fs,\n    net::{self, TcpStream as Tcp},\n    io::*,\n};\n";
        check_words(
            text,
            &["std::fs", "std::net::self", "std::net::TcpStream", "std::io::*"],
            &["std::Tcp"],
        );
        assert!(paths(text).contains(&(2, "std::fs".to_owned())));
    }

    #[test]
    fn paths_are_seen_inside_of_macros_and_not_in_texts() {
        let text = "fn f() {\n    // std::env\n    print(\"std::env {\");\n    vec![std::fs::read(1)];\n}\n";
        check_words(text, &["std::fs::read"], &["env"]);
    }

    #[test]
    fn code_below_a_test_module_is_code() {
        let text = "#[cfg(test)]\nmod tests {\n    const A: &str = \"}\"; // }\n    use a::gone;\n}\nuse a::kept;\n";
        check_words(text, &["a::kept"], &["gone"]);
        assert_eq!(Source::parse("x.rs", text).unwrap().lines_of_code(), 1);
    }

    #[test]
    fn test_items_are_taken_out_wherever_they_stand() {
        let text = "
            struct S { #[cfg(test)] gone_a: u8, kept_a: u8 }
            enum E { #[cfg(test)] GoneB, KeptB }
            impl S { #[cfg(test)] fn gone_c() {} fn kept_c() {} }
            #[cfg(all(test, unix))] const GONE_D: S = S { a: 1 };
            #[cfg(any(test, unix))] const KEPT_D: S = S { a: 1 };
            #[cfg(not(test))] use a::{kept_e};
            #[cfg(test)] use a::{gone_e};
            fn f() { #[cfg(test)] let gone_f = { 1 }; match x { #[cfg(test)] GoneG => {} KeptG => {} } }
        ";
        let kept = ["kept_a", "KeptB", "kept_c", "KEPT_D", "a::kept_e", "KeptG"];
        check_words(text, &kept, &["gone", "Gone", "GONE"]);
    }

    #[test]
    fn what_is_no_rust_is_named_with_its_line() {
        let error = Source::parse("x.rs", "\nfn {").err().unwrap();
        assert!(error.to_string().starts_with("x.rs:2: not read as Rust"), "{error}");
    }
}

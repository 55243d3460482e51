//! Tests of the loader's search, on folders of small ELF files and on this machine's own programs.

use std::{fs, path::Path, time::Duration};

use super::*;
use crate::diagnose::facts::{elf_fixture::Fixture, regular::Budget, root::Root};

const GLIBC: &str = "/lib64/ld-linux-x86-64.so.2";
const MUSL: &str = "/lib/ld-musl-x86_64.so.1";

struct Container(tempfile::TempDir);

impl Container {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn with(self, path: &str, fixture: &Fixture) -> Self {
        self.with_bytes(path, &fixture.build())
    }

    fn with_bytes(self, path: &str, bytes: &[u8]) -> Self {
        let path = self.0.path().join(path.trim_start_matches('/'));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
        self
    }

    fn examine(&self, executable: &str, library_path: Option<&str>) -> LoaderReport {
        examine_in(self.0.path(), executable, library_path).unwrap().unwrap()
    }
}

fn examine_in(
    root: &Path,
    executable: &str,
    library_path: Option<&str>,
) -> Result<Option<LoaderReport>, String> {
    let library_path = library_path.map(Text::from);
    let start = Start {
        root: &Root::open(root).unwrap(),
        cwd: &Text::from("/"),
        library_path: library_path.as_ref(),
        budget: &Budget::new(64 << 20, Duration::from_secs(60)),
    };
    examine(start, &Text::from(executable))
}

fn names(report: &LoaderReport) -> Vec<String> {
    report.missing.iter().map(|library| library.name.to_string()).collect()
}

fn glibc() -> Container {
    let mut libc = Fixture::library("libc.so.6");
    libc.defines =
        ["GLIBC_2.2.5", "GLIBC_2.9", "GLIBC_2.31", "GLIBC_PRIVATE"].map(str::to_owned).to_vec();
    Container::new()
        .with(GLIBC, &Fixture::library("ld-linux-x86-64.so.2"))
        .with("/lib/x86_64-linux-gnu/libc.so.6", &libc)
}

#[test]
fn a_missing_library_of_a_library_is_named_with_who_needs_it() {
    let container = glibc()
        .with("/app/run", &Fixture::executable(GLIBC).needing("liba.so").needing("libc.so.6"))
        .with("/usr/lib/liba.so", &Fixture::library("liba.so").needing("libgone.so.1"));
    let report = container.examine("/app/run", None);
    assert_eq!(names(&report), ["libgone.so.1"]);
    assert_eq!(report.missing[0].needed_by, Text::from("/usr/lib/liba.so"));
    assert!(report.missing[0].searched.contains(&Text::from("/usr/lib64")));
    assert_eq!(report.executable, Text::from("/app/run"));
    assert_eq!(report.interpreter, Text::from(GLIBC));
}

#[test]
fn a_version_too_new_is_named_beside_the_highest_there_is() {
    let mut app = Fixture::executable(GLIBC).needing("libc.so.6");
    for version in ["GLIBC_2.2.5", "GLIBC_2.38"] {
        app.needs.push(("libc.so.6".to_owned(), version.to_owned()));
    }
    let report = glibc().with("/app/run", &app).examine("/app/run", None);
    assert_eq!(
        report.versions,
        [MissingVersion {
            version: Text::from("GLIBC_2.38"),
            library: Text::from("libc.so.6"),
            library_path: Text::from("/lib/x86_64-linux-gnu/libc.so.6"),
            needed_by: Text::from("/app/run"),
            highest: Some(Text::from("GLIBC_2.31")),
        }]
    );
}

#[test]
fn rpath_runpath_and_library_path_are_searched() {
    let mut app = Fixture::executable(GLIBC).needing("liba.so");
    app.runpath = Some("$ORIGIN/../own".to_owned());
    let mut old = Fixture::executable(GLIBC).needing("liba.so");
    old.rpath = Some("${ORIGIN}/../own".to_owned());
    let container = glibc()
        .with("/app/bin/run", &app)
        .with("/app/bin/old", &old)
        .with("/app/own/liba.so", &Fixture::library("liba.so").needing("libb.so"))
        .with("/app/own/libb.so", &Fixture::library("libb.so"));
    // DT_RUNPATH counts for what the executable itself needs, DT_RPATH for all below it.
    assert_eq!(names(&container.examine("/app/bin/run", None)), ["libb.so"]);
    assert!(container.examine("/app/bin/old", None).missing.is_empty());
    assert!(container.examine("/app/bin/run", Some("/nowhere:/app/own")).missing.is_empty());
}

#[test]
fn a_library_of_another_machine_is_passed_over() {
    let mut foreign = Fixture::library("liba.so");
    foreign.machine = 183;
    let container = glibc()
        .with("/app/run", &Fixture::executable(GLIBC).needing("liba.so"))
        .with("/lib/x86_64-linux-gnu/liba.so", &foreign);
    assert_eq!(names(&container.examine("/app/run", None)), ["liba.so"]);
    let container = container.with("/usr/lib/liba.so", &Fixture::library("liba.so"));
    assert!(container.examine("/app/run", None).missing.is_empty());
}

#[test]
fn musl_names_the_symbols_that_only_glibc_has() {
    let mut app = Fixture::executable(MUSL).needing("libc.so.6").needing("libssl.so.3");
    app.undefined = vec!["printf".to_owned(), "__printf_chk".to_owned()];
    let mut libc = Fixture::library("libc.musl-x86_64.so.1");
    libc.defined = vec!["printf".to_owned()];
    let container = Container::new()
        .with(MUSL, &libc)
        .with("/app/run", &app)
        .with("/srv/lib/libssl.so.3", &Fixture::library("libssl.so.3"));
    assert_eq!(names(&container.examine("/app/run", None)), ["libssl.so.3"]);
    let report = container
        .with_bytes("/etc/ld-musl-x86_64.path", b"/lib\n/srv/lib\n")
        .examine("/app/run", None);
    assert!(report.missing.is_empty());
    assert_eq!(report.symbols.len(), 1);
    assert_eq!(report.symbols[0].symbol, Text::from("__printf_chk"));
}

#[test]
fn the_interpreter_of_a_script_is_examined() {
    let report = glibc()
        .with("/bin/interp", &Fixture::executable(GLIBC).needing("libgone.so"))
        .with_bytes("/app/run", b"#!/bin/interp -x\n")
        .examine("/app/run", None);
    assert_eq!(report.executable, Text::from("/app/run"));
    assert_eq!(names(&report), ["libgone.so"]);
    assert_eq!(report.missing[0].needed_by, Text::from("/bin/interp"));
}

#[test]
fn what_is_not_a_dynamic_program_has_no_report() {
    let container = glibc()
        .with("/app/run", &Fixture::executable("/lib/gone.so"))
        .with_bytes("/app/text", b"hello");
    for path in ["/app/run", "/app/text", "/app", "/nothing"] {
        assert_eq!(examine_in(container.0.path(), path, None), Ok(None), "{path}");
    }
}

#[test]
fn hostile_libraries_end_within_the_budget() {
    let mut container = glibc();
    let mut app = Fixture::executable(GLIBC);
    for index in 0..600 {
        let name = format!("lib{index}.so");
        container = container.with(&format!("/lib/{name}"), &Fixture::library(&name));
        app = app.needing(&name);
    }
    let container = container.with("/app/run", &app);
    assert!(examine_in(container.0.path(), "/app/run", None).is_err());
}

#[test]
fn programs_of_this_machine_lack_nothing() {
    for path in ["/bin/sh", "/bin/ls", "/usr/bin/env"] {
        match examine_in(Path::new("/"), path, None) {
            Ok(Some(report)) => {
                assert!(report.missing.is_empty(), "{report:?}");
                assert!(report.versions.is_empty() && report.symbols.is_empty(), "{report:?}");
            }
            Ok(None) => println!("skipped: {path} is not a dynamic program here"),
            Err(error) => panic!("{error}"),
        }
    }
}

//! The root filesystem of a virtual machine: what the tests need, and nothing else. It knows the
//! tests by the variables that they read.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};

use super::suites::Suites;
use crate::means::host_files::{add_file, add_merged_folders, add_program};
use crate::means::rootfs::{Entry, Tree};
use crate::means::{exec, workspace};

/// Where the root is in the archive; `init` moves it to a filesystem of its own.
const ROOT: &str = "/root-tree";

/// Programs of this machine that deaths use. A death whose program is nowhere says so by itself.
const PROGRAMS: [&str; 5] = ["sh", "perl", "runc", "crun", "kubectl"];

/// What every Unix has in /etc, as small as it can be.
const ETC: [(&str, &str); 5] = [
    ("passwd", "root:x:0:0::/:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n"),
    ("group", "root:x:0:\nnogroup:x:65534:\n"),
    ("hosts", "127.0.0.1 localhost\n::1 localhost\n"),
    ("nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\n"),
    ("resolv.conf", ""),
];

/// The tree of the first root, in which the real one is a folder.
///
/// # Errors
///
/// When a file cannot be read.
pub fn tree(suites: &Suites, filters: &[String]) -> Result<Tree> {
    let mut root = Tree::default();
    add_merged_folders(&mut root);
    for folder in ["/dev", "/proc", "/sys", "/tmp", "/run", "/root", "/mnt", "/usr/local/bin"] {
        root.add(folder, Entry::Folder);
    }
    for (name, text) in ETC {
        root.add(Path::new("/etc").join(name), text_file(text, 0o644));
    }
    let busybox = workspace::on_path("busybox").context("busybox is not in PATH")?;
    for applet in exec::stdout(Command::new(&busybox).arg("--list"))?.lines() {
        let path = Path::new("/usr/bin").join(applet);
        root.add(path, Entry::Link { to: "busybox".into() });
    }
    add_program(&mut root, &busybox, "busybox")?;
    for name in PROGRAMS {
        if let Some(program) = workspace::on_path(name) {
            add_program(&mut root, &program, name)?;
        }
    }
    // The one module that the table's Perl program loads, where this machine's Perl finds it.
    let strict = ["-Mstrict", "-e", "print $INC{'strict.pm'}"];
    let strict = exec::stdout(Command::new("perl").args(strict))?;
    add_file(&mut root, Path::new(&strict), &strict)?;

    add_program(&mut root, &suites.tracer, "tracer")?;
    for (name, program) in &suites.suites {
        add_file(&mut root, program, Path::new("/tests").join(name))?;
    }
    for name in tests::victims::NAMES {
        add_file(&mut root, &suites.victims.join(name), Path::new("/victims").join(name))?;
    }
    let schema = workspace::root().join("docs/crash.schema.json");
    add_file(&mut root, &schema, "/crash.schema.json")?;
    root.add("/run-tests", text_file(&script(suites, filters), 0o755));

    let mut first = Tree::default();
    add_file(&mut first, &busybox, "/bin/busybox")?;
    first.add("/init", text_file(include_str!("init.sh"), 0o755));
    first.add_below(ROOT, root);
    Ok(first)
}

fn text_file(text: &str, mode: u32) -> Entry {
    Entry::File { bytes: text.as_bytes().to_vec(), mode }
}

/// The script with the suites' and the filters' names in place of its two lists.
fn script(suites: &Suites, filters: &[String]) -> String {
    include_str!("run-tests.sh")
        .replace("@SUITES@", &suites.names().join(" "))
        .replace("@FILTERS@", &filters.iter().map(|f| quoted(f)).collect::<Vec<_>>().join(" "))
}

fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

//! Builds the victims: small C programs, each the plainest form of its death. Needs `cc`, unless they were built before
//! and `TRACER_VICTIMS` names their folder, as in a virtual machine without a compiler.

use std::collections::hash_map::DefaultHasher;
use std::ffi::OsStr;
use std::fs;
use std::hash::{Hash, Hasher};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// Names a folder of victims built elsewhere.
pub const FOLDER: &str = "TRACER_VICTIMS";

/// Every file that a stage gets: programs and the libraries beside them. `victim` and `hello` are static, the rest need
/// [`LOADER_FILES`].
pub const NAMES: &[&str] = &[
    "victim",
    "hello",
    "foreign",
    "loader_gone",
    "resolve",
    "plugin_host",
    "plugin_needing_gone.so",
    "needs_gone_library",
    "needs_newer_library",
    "libgreeting.so.2",
    "needs_gone_symbol",
    "libwave.so.1",
    "needs_newer_glibc",
    "needs_newer_cpu",
];

/// What the dynamic victims need of the system: glibc's loader and its libc, at these names under any of the system's
/// library folders.
pub const LOADER_FILES: &[&str] = &["ld-linux-x86-64.so.2", "libc.so.6"];

macro_rules! sources {
    ($($name:literal)*) => { &[$(($name, include_str!(concat!("../victims/", $name)))),*] };
}

const SOURCES: &[(&str, &str)] = sources! {
    "victim.h" "victim.c" "files.c" "limits.c" "net.c" "faults.c" "memory.c" "signals.c" "trees.c" "with.c" "node.c"
    "bpf.c" "resolve.c" "plugin_host.c" "greeter.c" "greeting.c" "greeting_replaced.c" "newer_libc_stub.c"
    "newer_libc_user.c" "newer_cpu.c" "hello.c" "pause.c"
};

const PARTS: &[&str] = &[
    "victim.c",
    "files.c",
    "limits.c",
    "net.c",
    "faults.c",
    "memory.c",
    "signals.c",
    "trees.c",
    "with.c",
    "node.c",
    "bpf.c",
];

/// The folder of the built victims; builds them when that was not done yet for these sources.
///
/// # Errors
/// When there is no C compiler, or it fails.
pub fn folder() -> Result<PathBuf> {
    if let Some(folder) = std::env::var_os(FOLDER) {
        return Ok(folder.into());
    }
    let mut hasher = DefaultHasher::new();
    (SOURCES, include_str!("victims.rs")).hash(&mut hasher);
    let all = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/victims");
    let folder = all.join(format!("{:016x}", hasher.finish()));
    if !folder.is_dir() {
        // Built aside and renamed, since tests run at the same time: the first that is done wins.
        fs::create_dir_all(&all)?;
        let aside = tempfile::tempdir_in(&all)?;
        build(aside.path())?;
        if fs::rename(aside.path(), &folder).is_ok() {
            let _moved = aside.keep();
        }
    }
    Ok(folder)
}

/// Builds all victims into a folder.
///
/// # Errors
/// When there is no C compiler, or it fails.
pub fn build(out: &Path) -> Result<()> {
    for (name, text) in SOURCES {
        fs::write(out.join(name), text)?;
    }
    for (name, version, symbol) in [
        ("newer_libc.map", "GLIBC_2.99", "*"),
        ("built_with.map", "GREETING_2.99", "greet"),
        ("found.map", "GREETING_1.0", "greet"),
    ] {
        fs::write(out.join(name), format!("{version} {{ global: {symbol}; }};\n"))?;
    }
    let cc = Compiler { out };

    let program = ["-static", "-O1", "-Wall", "-pthread", "-o", "victim"];
    cc.run(program.into_iter().chain(PARTS.iter().copied()))?;
    cc.run(["-static", "-o", "hello", "hello.c"])?;
    cc.run(["-static", "-o", "pause", "pause.c"])?;
    cc.run(["-o", "resolve", "resolve.c"])?;
    cc.run(["-o", "plugin_host", "plugin_host.c"])?;
    cc.run(["-o", "needs_newer_cpu", "newer_cpu.c"])?;
    cc.run(["-o", "loader_gone", "hello.c", "-Wl,--dynamic-linker=/lib/ld-musl-nowhere.so.1"])?;
    for_another_machine(&out.join("hello"), &out.join("foreign"))?;

    // Each library is built as the program wants it, linked with, and then built as the program finds it.
    cc.library("libgone.so.3", "greeting.c", &[])?;
    cc.program_with("needs_gone_library", "libgone.so.3")?;
    let needy = ["-Wl,--no-as-needed", "./libgone.so.3"];
    cc.library("plugin_needing_gone.so", "greeting_replaced.c", &needy)?;
    fs::remove_file(out.join("libgone.so.3"))?;

    cc.library("libgreeting.so.2", "greeting.c", &["-Wl,--version-script=built_with.map"])?;
    cc.program_with("needs_newer_library", "libgreeting.so.2")?;
    cc.library("libgreeting.so.2", "greeting.c", &["-Wl,--version-script=found.map"])?;

    cc.library("libwave.so.1", "greeting.c", &[])?;
    cc.program_with("needs_gone_symbol", "libwave.so.1")?;
    cc.library("libwave.so.1", "greeting_replaced.c", &[])?;

    fs::create_dir_all(out.join("later"))?;
    let stub = "later/libc.so.6";
    let map = "-Wl,--version-script=newer_libc.map";
    cc.run(
        ["-shared", "-fPIC", "-nostdlib", "-Wl,-soname,libc.so.6", map, "-o", stub]
            .into_iter()
            .chain(["newer_libc_stub.c"]),
    )?;
    cc.run(["-nostdlib", "-nostartfiles", "-o", "needs_newer_glibc", "newer_libc_user.c", stub])
}

struct Compiler<'a> {
    out: &'a Path,
}

impl Compiler<'_> {
    fn run<'s>(&self, args: impl IntoIterator<Item = &'s str>) -> Result<()> {
        let args: Vec<&OsStr> = args.into_iter().map(OsStr::new).collect();
        let done = Command::new("cc").current_dir(self.out).args(&args).output().context(
            "cannot run cc: install a C compiler with static libc (Debian: gcc libc6-dev)",
        )?;
        let words = String::from_utf8_lossy(&done.stderr);
        ensure!(done.status.success(), "cc {args:?} failed: {words}");
        Ok(())
    }

    fn library(&self, name: &str, source: &str, more: &[&str]) -> Result<()> {
        let soname = format!("-Wl,-soname,{name}");
        let args = ["-shared", "-fPIC", &soname, "-o", name, source, "-Wl,-rpath,$ORIGIN"];
        self.run(args.into_iter().chain(more.iter().copied()))
    }

    fn program_with(&self, name: &str, library: &str) -> Result<()> {
        let library = format!("./{library}");
        self.run(["-o", name, "greeter.c", &library, "-Wl,-rpath,$ORIGIN", "-Wl,-z,now"])
    }
}

/// Copies an ELF file and names another machine in its header (`e_machine`, elf(5)): aarch64 on x86_64, else x86_64.
fn for_another_machine(from: &Path, to: &Path) -> Result<()> {
    const E_MACHINE_OFFSET: u64 = 18;
    let machine: u16 = if cfg!(target_arch = "x86_64") { 183 } else { 62 };
    fs::copy(from, to)?;
    let file = fs::OpenOptions::new().write(true).open(to)?;
    file.write_all_at(&machine.to_le_bytes(), E_MACHINE_OFFSET)?;
    Ok(())
}

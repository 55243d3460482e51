//! Records in a throw-away virtual machine what no other machine may suffer: a whole node without memory, and what needs
//! the memory controller of cgroup v2. It knows how the machine is made and how its corpus comes out, not what dies.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use ::tests::victims;
use anyhow::{Context as _, Result, ensure};

use crate::means::packages::{self, Package};
use crate::means::qemu::Qemu;
use crate::means::{exec, workspace};

const PACKAGES: &[Package] =
    &[Package { name: "busybox-static", proof: "busybox", why: "as that machine's shell" }];

const TARGET: &str = "x86_64-unknown-linux-gnu";

/// The machine's first process. Its second serial line carries the corpus out, as the bytes that they are.
const INIT: &str = "#!/bin/sh
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
mount -t cgroup2 cgroup2 /sys/fs/cgroup
echo '+memory +pids' > /sys/fs/cgroup/cgroup.subtree_control
mount -t tracefs tracefs /sys/kernel/tracing
mount -t bpf bpf /sys/fs/bpf
export HOME=/root TRACER_VICTIMS=/victims TRACER_TEST_THROW_AWAY_MACHINE=1
xtask record --tracer /bin/tracer --into /tmp/corpus @NAMES@
stty -F /dev/ttyS1 raw
tar -c -C /tmp/corpus . > /dev/ttyS1
poweroff -f
";

/// Records these deaths into a folder.
///
/// # Errors
///
/// When there is no kernel to boot, something does not compile, or the machine gives back no recording.
pub fn record(names: &[&str], into: &Path) -> Result<()> {
    packages::ensure(PACKAGES)?;
    let qemu = Qemu::find_or_fetch()?;
    let kernel = kernel()?;
    let root = tempfile::tempdir().context("cannot create a temporary folder")?;
    make_root(root.path(), names)?;
    let archive = workspace::cache("vm/recorder.cpio");
    pack(root.path(), &archive)?;
    let corpus = tempfile::NamedTempFile::new().context("cannot create a temporary file")?;
    eprintln!("xtask: booting {}", kernel.display());
    exec::run(&mut machine(&qemu, &kernel, &archive, corpus.path()))?;
    let mut unpack = Command::new("tar");
    exec::run(unpack.arg("-xf").arg(corpus.path()).arg("-C").arg(into))
        .context("the virtual machine gave back no recordings")
}

/// The newest of the images that the VM tests keep.
fn kernel() -> Result<PathBuf> {
    let folder = workspace::cache("vm/kernels");
    let series = ["6.12", "6.1"].map(|series| folder.join(series));
    let images = series.iter().filter_map(|series| fs::read_dir(series).ok()).flatten();
    let mut images = images.filter_map(|image| Some(image.ok()?.path()));
    images.find(|image| is_image(image)).with_context(|| {
        format!("no kernel in {}: run `cargo xtask vmtest` first", folder.display())
    })
}

fn is_image(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("vmlinuz-"))
}

fn make_root(root: &Path, names: &[&str]) -> Result<()> {
    for folder in ["bin", "proc", "sys", "dev", "tmp/corpus", "root", "etc", "victims"] {
        fs::create_dir_all(root.join(folder))?;
    }
    let busybox = workspace::on_path("busybox").context("busybox is not on PATH")?;
    fs::copy(&busybox, root.join("bin/busybox"))?;
    for applet in exec::stdout(Command::new(&busybox).arg("--list"))?.lines() {
        let link = root.join("bin").join(applet);
        if !link.exists() {
            symlink("busybox", link)?;
        }
    }
    for program in ["tracer", "xtask"] {
        fs::copy(build_static(program)?, root.join("bin").join(program))?;
    }
    let built = victims::folder()?;
    for name in victims::NAMES {
        fs::copy(built.join(name), root.join("victims").join(name))?;
    }
    let init = root.join("init");
    fs::write(&init, INIT.replace("@NAMES@", &names.join(" ")))?;
    fs::set_permissions(init, fs::Permissions::from_mode(0o755))?;
    Ok(())
}

/// Beside the programs of the VM tests, which are built alike.
fn build_static(program: &str) -> Result<PathBuf> {
    let folder = workspace::cache("vm/build");
    let mut cargo = workspace::cargo();
    cargo
        .args(["build", "--release", "--package", program, "--bin", program, "--target", TARGET])
        .arg("--target-dir")
        .arg(&folder)
        .env("RUSTFLAGS", "-C target-feature=+crt-static")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env("CARGO_PROFILE_RELEASE_DEBUG", "0")
        .env("CARGO_PROFILE_RELEASE_STRIP", "symbols");
    exec::run(&mut cargo)?;
    Ok(folder.join(TARGET).join("release").join(program))
}

/// As the archive that the kernel unpacks into its first root.
fn pack(root: &Path, archive: &Path) -> Result<()> {
    let mut files = Command::new("busybox")
        .args(["find", "."])
        .current_dir(root)
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot run busybox")?;
    let list = files.stdout.take().context("busybox has no stdout")?;
    let archive = fs::File::create(archive).context("cannot write the machine's root")?;
    let mut cpio = Command::new("busybox");
    cpio.args(["cpio", "--quiet", "-o", "-H", "newc"]).current_dir(root);
    exec::run(cpio.stdin(list).stdout(archive))?;
    ensure!(files.wait()?.success(), "the machine's root cannot be listed");
    Ok(())
}

/// Emulated, since that works everywhere; a recording does not tell.
fn machine(qemu: &Qemu, kernel: &Path, archive: &Path, corpus: &Path) -> Command {
    let mut qemu = qemu.command();
    qemu.args(["-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-m", "1024"])
        .args(["-nodefaults", "-no-user-config", "-display", "none", "-nic", "none"])
        .args(["-no-reboot", "-append", "console=ttyS0 loglevel=3 panic=-1"])
        .args(["-serial", "stdio", "-serial"])
        .arg(format!("file:{}", corpus.display()))
        .arg("-kernel")
        .arg(kernel)
        .arg("-initrd")
        .arg(archive)
        .stdin(Stdio::null());
    // A machine that does not come to its end is killed.
    let mut limited = Command::new("timeout");
    limited.args(["--kill-after=5", "300"]).arg(qemu.get_program()).args(qemu.get_args());
    limited.stdin(Stdio::null());
    limited
}

//! Deaths by files and refused calls: missing, unreadable, read-only, full, not permitted.

use anyhow::Result;
use rustix::mount::MountFlags;

use crate::death::Exit::Code;
use crate::{Act, Bundle, Death, Need, Stage};

pub const DEATHS: &[Death] =
    &[
        Death::new("config_missing", "file_not_found", Code(1), config_missing)
            .proven()
            .says(&["ENOENT"]),
        Death::new("config_missing_silently", "file_not_found", Code(1), config_missing_silently)
            .likely()
            .says(&["ENOENT"]),
        Death::new("certificate_never_made", "file_not_found", Code(1), certificate_never_made)
            .says(&["cert.pem", "openssl", "key.pem"])
            .needs(&[Need::Root, Need::Tool("sh")]),
        Death::new("key_unreadable", "permission_denied", Code(1), key_unreadable)
            .proven()
            .says(&["EACCES", "0600", "1000"]),
        Death::new("key_unreadable_in_container", "permission_denied", Code(1), key_in_container)
            .says(&["/key.pem", "EACCES", "0600", "1000"])
            .words(&["cannot open /key.pem: Permission denied"])
            .needs(&[Need::Root, Need::Tool("runc")]),
        Death::new("mount_not_permitted", "permission_denied", Code(1), mount_not_permitted)
            .says(&["mount", "EPERM", "CAP_SYS_ADMIN"]),
        Death::new("chroot_not_permitted", "permission_denied", Code(1), chroot_not_permitted)
            .says(&["chroot", "EPERM", "CAP_SYS_CHROOT"]),
        Death::new("setuid_not_permitted", "permission_denied", Code(1), setuid_not_permitted)
            .says(&["setuid", "EPERM", "CAP_SETUID"]),
        Death::new("mount_refused_by_seccomp", "permission_denied", Code(1), refused_by_seccomp)
            .says(&["mount", "EPERM", "seccomp"]),
        Death::new("state_folder_read_only", "read_only_filesystem", Code(1), read_only)
            .proven()
            .says(&["EROFS"]),
        Death::new("tmpfs_full", "disk_full", Code(1), tmpfs_full).proven().says(&["ENOSPC"]),
        Death::new("config_is_a_folder", "is_a_directory", Code(1), config_is_a_folder)
            .proven()
            .says(&["EISDIR", "subPath"]),
        Death::new("lock_taken", "lock_held", Code(1), lock_taken).proven().says(&[
            "flock",
            "EAGAIN",
            "hold-lock",
        ]),
        Death::new("pid_file_left", "lock_held", Code(1), pid_file_left).proven().says(&["EEXIST"]),
        Death::new("mounted_file_replaced", "mount_point_busy", Code(1), mounted_file_replaced)
            .proven()
            .says(&["EBUSY"]),
        Death::new("program_still_written", "text_file_busy", Code(1), program_still_written)
            .proven()
            .says(&["ETXTBSY"]),
        Death::new("renamed_to_another_volume", "cross_device", Code(1), renamed_to_another_volume)
            .proven()
            .says(&["EXDEV"]),
        Death::new("name_too_long", "path_invalid", Code(1), name_too_long)
            .proven()
            .says(&["ENAMETOOLONG", "300"]),
        Death::new("links_in_a_circle", "path_invalid", Code(1), links_in_a_circle)
            .proven()
            .says(&["ELOOP"]),
        Death::new("volume_without_server", "volume_failed", Code(1), volume_without_server)
            .proven()
            .says(&["ENOTCONN", "fuse"])
            .needs(&[Need::Root, Need::Fuse]),
    ];

fn config_missing(stage: &Stage) -> Result<Act> {
    let path = stage.path("gateway.toml");
    Ok(Act::new([&stage.path("victim"), "open", &path]).says(&path))
}

fn config_missing_silently(stage: &Stage) -> Result<Act> {
    let path = stage.path("gateway.toml");
    Ok(Act::new([&stage.path("victim"), "open", &path, "silently"]).says(&path))
}

// The helper is named openssl and comes first in PATH; the folder's name is quoted once too often.
fn certificate_never_made(stage: &Stage) -> Result<Act> {
    stage.subfolder("bin", 0o755)?;
    stage.copy("victim", "bin/openssl")?;
    let gateway = stage.copy("victim", "gateway")?;
    let folder = stage.subfolder("tls", 0o755)?;
    let path = format!("{}:{}", stage.path("bin"), std::env::var("PATH").unwrap_or_default());
    let act = Act::new([&gateway, "gateway", &folder]).env("PATH", path);
    Ok(act.says(format!("{folder}/cert.pem")).says(format!("\"{folder}\"/key.pem")))
}

fn key_unreadable(stage: &Stage) -> Result<Act> {
    let victim = stage.path("victim");
    let key = stage.file("key.pem", "secret\n", 0o600)?;
    Ok(Act::new([&victim, "with", "uid=1000", "--", &victim, "open", &key]).says(&key))
}

fn key_in_container(stage: &Stage) -> Result<Act> {
    Bundle::new(stage, "runc", &["/victim", "open", "/key.pem"])?
        .user(1000)
        .with_file("key.pem", "secret\n", 0o600)?
        .act()
}

fn not_permitted(stage: &Stage, call: &str) -> Result<Act> {
    let victim = stage.path("victim");
    Ok(Act::new([&victim, "with", "uid=1000", "--", &victim, "call", call]))
}

fn mount_not_permitted(stage: &Stage) -> Result<Act> {
    not_permitted(stage, "mount")
}

fn chroot_not_permitted(stage: &Stage) -> Result<Act> {
    not_permitted(stage, "chroot")
}

fn setuid_not_permitted(stage: &Stage) -> Result<Act> {
    not_permitted(stage, "setuid")
}

fn refused_by_seccomp(stage: &Stage) -> Result<Act> {
    Ok(Act::new([&stage.path("victim"), "seccomp-errno"]))
}

fn read_only(stage: &Stage) -> Result<Act> {
    let folder = stage.tmpfs("state", MountFlags::RDONLY, "size=4m")?;
    let path = format!("{folder}/gateway.db");
    Ok(Act::new([&stage.path("victim"), "create", &path]).says(&path))
}

fn tmpfs_full(stage: &Stage) -> Result<Act> {
    let folder = stage.tmpfs("state", MountFlags::empty(), "size=64k")?;
    let path = format!("{folder}/gateway.db");
    Ok(Act::new([&stage.path("victim"), "fill", &path]).says(&path))
}

fn config_is_a_folder(stage: &Stage) -> Result<Act> {
    let path = stage.subfolder("gateway.toml", 0o755)?;
    Ok(Act::new([&stage.path("victim"), "read", &path]).says(&path))
}

fn lock_taken(stage: &Stage) -> Result<Act> {
    let (victim, path) = (stage.path("victim"), stage.path("gateway.db"));
    let holder = stage.bystander(&[&victim, "hold-lock", &path])?;
    Ok(Act::new([&victim, "lock", &path]).says(&path).says(holder.pid))
}

fn pid_file_left(stage: &Stage) -> Result<Act> {
    let path = stage.file("gateway.pid", "1\n", 0o644)?;
    Ok(Act::new([&stage.path("victim"), "pid-file", &path]).says(&path))
}

fn mounted_file_replaced(stage: &Stage) -> Result<Act> {
    let victim = stage.path("victim");
    let (new, old) = (stage.file("conf.tmp", "", 0o644)?, stage.file("conf", "", 0o644)?);
    stage.mount_file(&old)?;
    Ok(Act::new([&victim, "rename", &new, &old]).says(&old))
}

fn program_still_written(stage: &Stage) -> Result<Act> {
    let path = stage.copy("hello", "plugin")?;
    Ok(Act::new([&stage.path("victim"), "run-open", &path]).says(&path))
}

fn renamed_to_another_volume(stage: &Stage) -> Result<Act> {
    let folder = stage.tmpfs("state", MountFlags::empty(), "size=64k")?;
    let (from, to) = (stage.file("upload", "", 0o644)?, format!("{folder}/upload"));
    Ok(Act::new([&stage.path("victim"), "rename", &from, &to]).says(&from))
}

fn name_too_long(stage: &Stage) -> Result<Act> {
    let path = stage.path(&"x".repeat(300));
    Ok(Act::new([&stage.path("victim"), "open", &path]))
}

fn links_in_a_circle(stage: &Stage) -> Result<Act> {
    let path = stage.path("current");
    std::os::unix::fs::symlink("current", &path)?;
    Ok(Act::new([&stage.path("victim"), "open", &path]).says(&path))
}

fn volume_without_server(stage: &Stage) -> Result<Act> {
    let path = format!("{}/gateway.db", stage.abandoned_volume("state")?);
    Ok(Act::new([&stage.path("victim"), "open", &path]).says(&path))
}

//! Reads files that a setting names, and explains why one cannot be read. The contents are not known here.

use std::{fs, io, os::unix::fs::MetadataExt, path::Path};

use nix::errno::Errno;

/// # Errors
/// Why the file cannot be read: errno, owner, mode, and what to do.
pub fn read(path: &Path) -> Result<Vec<u8>, String> {
    fs::read(path).map_err(|error| why_unreadable(&error, path))
}

fn why_unreadable(error: &io::Error, path: &Path) -> String {
    let name = error.raw_os_error().map(Errno::from_raw);
    let why = name.map_or_else(|| error.to_string(), |name| format!("{name:?}"));
    let (user, group) = (rustix::process::geteuid(), rustix::process::getegid());
    let (user, group) = (user.as_raw(), group.as_raw());
    let step = match (error.kind(), fs::metadata(path)) {
        (io::ErrorKind::NotFound, _) => format!(
            "there is no such file for this process, which runs as {user}:{group}: mount it, or correct the path"
        ),
        (io::ErrorKind::PermissionDenied, Ok(found)) => {
            let (owner, owning_group, mode) = (found.uid(), found.gid(), found.mode() & 0o7777);
            format!(
                "it belongs to {owner}:{owning_group} with mode {mode:04o}, this process runs as {user}:{group}: \
                 change one of them"
            )
        }
        (io::ErrorKind::PermissionDenied, Err(_)) => {
            format!(
                "a folder above it is closed to this process, which runs as {user}:{group}: let it in"
            )
        }
        (io::ErrorKind::IsADirectory, _) => "it is a folder: name a file in it".to_owned(),
        (_, _) => error.to_string(),
    };
    format!("{why}; {step}")
}

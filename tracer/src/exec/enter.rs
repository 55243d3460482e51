//! The init of an exec's life: enters the cgroup, then becomes the command. Small, since all it does is recorded.

use std::{
    ffi::{CString, NulError, OsStr, OsString},
    fs,
    os::unix::ffi::OsStrExt,
    path::Path,
    process::ExitCode,
};

use nix::errno::Errno;

/// First argument by which `tracer` knows that it is such an init; then the cgroup's folder and the command.
pub const ENTER: &str = "__enter-cgroup";

/// Where commands are looked for without PATH, as execvp(3) does.
const DEFAULT_PATH: &str = "/bin:/usr/bin";

/// Enters the cgroup and becomes the command. Returns only if that failed: 127 if it was not found, 126 if it
/// could not be run, 125 if the cgroup could not be entered.
pub fn enter(mut arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let (Some(cgroup), Some(program)) = (arguments.next(), arguments.next()) else {
        eprintln!("tracer: {ENTER} is for tracer's own use");
        return ExitCode::from(super::OWN_FAILURE);
    };
    let procs = Path::new(&cgroup).join("cgroup.procs");
    if let Err(error) = fs::write(&procs, "0\n") {
        eprintln!("tracer: cannot enter {}: {error}", procs.display());
        return ExitCode::from(super::OWN_FAILURE);
    }
    // Rust programs ignore SIGPIPE; the command must not inherit that.
    sigpipe::reset();
    let Ok(errno) = become_command(&program, arguments) else {
        eprintln!("tracer: cannot run {}: an argument holds a NUL byte", program.display());
        return ExitCode::from(super::OWN_FAILURE);
    };
    eprintln!("tracer: cannot run {}: {}", program.display(), errno.desc());
    ExitCode::from(if errno == Errno::ENOENT { 127 } else { 126 })
}

/// Tries each folder of PATH with plain execve. execvp(3) would hand a file of unknown format to a shell, and
/// the failure that is to be shown would be gone.
fn become_command(
    program: &OsStr,
    rest: impl Iterator<Item = OsString>,
) -> Result<Errno, NulError> {
    let arguments = std::iter::once(Ok(program.to_owned()))
        .chain(rest.map(Ok))
        .map(|argument: Result<OsString, NulError>| CString::new(argument?.as_bytes()))
        .collect::<Result<Vec<_>, _>>()?;
    let environment = std::env::vars_os()
        .map(|(name, value)| CString::new([name.as_bytes(), b"=", value.as_bytes()].concat()))
        .collect::<Result<Vec<_>, _>>()?;
    let attempt = |path: &[u8]| -> Result<Errno, NulError> {
        Ok(match nix::unistd::execve(&CString::new(path)?, &arguments, &environment) {
            Err(errno) => errno,
            Ok(never) => match never {},
        })
    };
    if program.as_bytes().contains(&b'/') {
        return attempt(program.as_bytes());
    }
    let folders = std::env::var_os("PATH").unwrap_or_else(|| DEFAULT_PATH.into());
    let mut answer = Errno::ENOENT;
    for folder in std::env::split_paths(&folders) {
        match attempt(folder.join(program).as_os_str().as_bytes())? {
            Errno::ENOENT | Errno::ENOTDIR => {}
            // Another folder may hold one that may be run.
            Errno::EACCES => answer = Errno::EACCES,
            other => return Ok(other),
        }
    }
    Ok(answer)
}

//! Runs other programs and puts the command line that failed into the error. It knows nothing
//! about what any of them is for.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};

/// Runs a command with our own stdout and stderr; anything but status 0 is an error.
pub fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| cannot_run(command))?;
    if !status.success() {
        bail!("`{}` failed: {status}", line(command));
    }
    Ok(())
}

/// Runs a command without showing what it prints, unless it fails: then the error has all of it.
pub fn run_quietly(command: &mut Command) -> Result<()> {
    stdout(command).map(drop)
}

/// Runs a command and returns what it printed to stdout; a failure's error carries its stderr.
pub fn stdout(command: &mut Command) -> Result<String> {
    let output = command.stdin(Stdio::null()).output().with_context(|| cannot_run(command))?;
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr);
        bail!("`{}` failed: {}\n{stdout}{stderr}", line(command), output.status);
    }
    Ok(stdout)
}

/// The command as a person would type it: variables that were set, program, arguments.
pub fn line(command: &Command) -> String {
    let mut line = String::new();
    for (name, value) in command.get_envs() {
        if let Some(value) = value {
            let _ = write!(line, "{}={} ", name.to_string_lossy(), quoted(value));
        }
    }
    line.push_str(&quoted(command.get_program()));
    for argument in command.get_args() {
        line.push(' ');
        line.push_str(&quoted(argument));
    }
    line
}

fn cannot_run(command: &Command) -> String {
    format!("cannot run `{}`", line(command))
}

fn quoted(text: &OsStr) -> String {
    let text = text.to_string_lossy();
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,+@%".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.into_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''").replace('\x1f', " "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_command_is_shown_as_it_would_be_typed() {
        let error = run(Command::new("false").env("WHY", "no reason").arg("it's")).unwrap_err();
        assert_eq!(error.to_string(), r"`WHY='no reason' false 'it'\''s'` failed: exit status: 1");
    }

    #[test]
    fn a_quiet_failure_carries_what_the_command_printed() {
        let error = run_quietly(Command::new("sh").args(["-c", "echo out; echo err >&2; exit 3"]));
        let text = error.unwrap_err().to_string();
        assert!(text.ends_with("failed: exit status: 3\nout\nerr\n"), "{text}");
    }

    #[test]
    fn an_absent_program_is_named() {
        let error = run(&mut Command::new("no-such-program")).unwrap_err();
        assert_eq!(error.to_string(), "cannot run `no-such-program`");
    }
}

//! What kubectl asks its plugins for when the user presses Tab: it runs `kubectl_complete-tracer` with the words of the
//! line (kubectl 1.26 and later). It must not know what the commands do.

use std::{ffi::OsString, path::Path};

use clap::Command;

const NAME: &str = "kubectl_complete-tracer";
/// The last line of an answer (cobra's ShellCompDirective): no names of files.
const NO_FILES: &str = ":4\n";
/// Names of files where nothing else fits.
const FILES: &str = ":0\n";

/// True where this program was started by that name.
pub fn is_asked() -> bool {
    let program = std::env::args_os().next().unwrap_or_default();
    Path::new(&program).file_name().is_some_and(|name| name == NAME)
}

/// Subcommands or flags that can stand where the last of `words` does, with their help; and whether files can.
pub fn candidates(mut command: Command, words: impl Iterator<Item = OsString>) -> String {
    command.build();
    let mut words: Vec<String> = words.map(|word| word.to_string_lossy().into_owned()).collect();
    let last = words.pop().unwrap_or_default();
    let mut here = &command;
    for word in &words {
        here = here.find_subcommand(word).unwrap_or(here);
    }
    let after_flag = words.last().is_some_and(|word| word.starts_with('-'));
    let flags = here
        .get_arguments()
        .filter(|flag| !flag.is_hide_set())
        .filter_map(|flag| Some((format!("--{}", flag.get_long()?), flag.get_help()?.to_string())));
    let about = |command: &Command| command.get_about().map(ToString::to_string);
    let subcommands = here.get_subcommands().filter(|_| !after_flag).map(|subcommand| {
        (subcommand.get_name().to_owned(), about(subcommand).unwrap_or_default())
    });
    let fitting: Vec<(String, String)> = if last.starts_with('-') {
        flags.filter(|(name, _)| name.starts_with(&last)).collect()
    } else {
        subcommands.filter(|(name, _)| name.starts_with(&last)).collect()
    };
    let lines: String = fitting.iter().map(|(name, help)| format!("{name}\t{help}\n")).collect();
    lines + if after_flag { FILES } else { NO_FILES }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(words: &[&str], expected: &[&str]) {
        let told = candidates(crate::cli::command(), words.iter().map(OsString::from));
        let names: Vec<&str> =
            told.lines().map(|line| line.split('\t').next().unwrap_or_default()).collect();
        assert_eq!(names, expected, "{words:?}");
    }

    #[test]
    fn subcommands_and_flags_are_completed() {
        check(&["ex"], &["exec", "explain", ":4"]);
        check(&["crashes", "--co"], &["--context", ":4"]);
        check(&["explain", "--con"], &["--container", "--context", ":4"]);
        check(&["crashes", "-n", ""], &[":0"]);
        check(&["crashes", ""], &[":4"]);
    }
}

//! What a file that was to be executed is: ELF, script or neither, and whether its interpreter exists.
//! It must not know which process asked.

use super::{
    elf::Header,
    model::{Executable, ExecutableKind, FileState},
    regular::{Budget, RegularFile},
    root::Root,
    shebang::{self, BINPRM_BUF_SIZE},
};
use crate::linux::text::Text;

/// First bytes shown of a file that is neither ELF nor script.
const FIRST_BYTES: usize = 16;

/// Looks at `path` in a container, from `cwd` if it is relative. `arch` as in `uname -m`.
pub fn describe(
    root: &Root,
    cwd: &Text,
    path: &Text,
    pid: u32,
    arch: &str,
    budget: &Budget,
) -> Executable {
    let found = root.find(cwd, path);
    let kind = match RegularFile::open(&found, budget) {
        Ok(file) => kind_of(root, cwd, &file, arch),
        Err(_) => ExecutableKind::Unknown,
    };
    Executable {
        path: path.clone(),
        resolved: Some(found.resolved.clone()).filter(|resolved| resolved != path),
        pid,
        file: found.state(),
        kind,
    }
}

fn kind_of(root: &Root, cwd: &Text, file: &RegularFile<'_>, arch: &str) -> ExecutableKind {
    if file.size_bytes() == 0 {
        return ExecutableKind::Empty;
    }
    let state = |path: &Text| -> FileState { root.find(cwd, path).state() };
    if let Some(header) = Header::read(file) {
        return ExecutableKind::Elf {
            machine: header.machine_name(),
            native: header.is_native(arch),
            interpreter_file: header.interpreter.as_ref().map(state),
            interpreter: header.interpreter,
        };
    }
    let beginning = file.beginning(BINPRM_BUF_SIZE);
    match shebang::parse(&beginning) {
        Some(script) => ExecutableKind::Script {
            interpreter_file: state(&script.interpreter),
            interpreter: script.interpreter,
            argument: script.argument,
        },
        None if beginning.is_empty() => ExecutableKind::Unknown,
        None => ExecutableKind::Other {
            first_bytes: Text(beginning[..beginning.len().min(FIRST_BYTES)].to_vec()),
        },
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, time::Duration};

    use super::*;
    use crate::diagnose::facts::elf_fixture::Fixture;

    fn describe_bytes(bytes: &[u8]) -> Executable {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("app")).unwrap();
        fs::write(dir.path().join("app/run"), bytes).unwrap();
        let root = Root::open(dir.path()).unwrap();
        let budget = Budget::new(1 << 20, Duration::from_secs(60));
        describe(&root, &Text::from("/app"), &Text::from("./run"), 7, "x86_64", &budget)
    }

    #[test]
    fn an_elf_without_its_interpreter_says_which_one_is_missing() {
        let executable = describe_bytes(&Fixture::executable("/lib/ld-musl-x86_64.so.1").build());
        assert_eq!(executable.resolved, Some(Text::from("/app/run")));
        assert_eq!(
            executable.kind,
            ExecutableKind::Elf {
                machine: "x86-64".to_owned(),
                native: true,
                interpreter: Some(Text::from("/lib/ld-musl-x86_64.so.1")),
                interpreter_file: Some(FileState::Missing { existing_prefix: Text::from("/") }),
            }
        );
    }

    #[test]
    fn a_crlf_script_names_the_interpreter_with_its_carriage_return() {
        let executable = describe_bytes(b"#!/bin/sh\r\necho hi\r\n");
        let ExecutableKind::Script { interpreter, interpreter_file, .. } = executable.kind else {
            panic!("{:?}", executable.kind);
        };
        assert_eq!(interpreter, Text::from("/bin/sh\r"));
        assert!(matches!(interpreter_file, FileState::Missing { .. }));
    }

    #[test]
    fn empty_and_unknown_files_are_told_apart() {
        assert_eq!(describe_bytes(b"").kind, ExecutableKind::Empty);
        let first_bytes = Text::from("echo hi\n");
        assert_eq!(describe_bytes(b"echo hi\n").kind, ExecutableKind::Other { first_bytes });
    }
}

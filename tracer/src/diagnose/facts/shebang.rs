//! The first line of a script as the kernel reads it. It must not do I/O.

use crate::linux::text::Text;

/// Bytes of a file that the kernel looks at (include/uapi/linux/binfmts.h).
pub const BINPRM_BUF_SIZE: usize = 256;

/// What the kernel would execute instead of the script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shebang {
    /// A carriage return before the newline belongs to it.
    pub interpreter: Text,
    /// Everything after the interpreter, as one argument.
    pub argument: Option<Text>,
}

/// Follows `load_script` of fs/binfmt_script.c (Linux 5.0 and later, unchanged in 6.18). `None` where
/// that returns ENOEXEC.
pub fn parse(beginning: &[u8]) -> Option<Shebang> {
    let mut buffer = [0_u8; BINPRM_BUF_SIZE];
    let taken = beginning.len().min(BINPRM_BUF_SIZE);
    buffer[..taken].copy_from_slice(&beginning[..taken]);
    if !buffer.starts_with(b"#!") {
        return None;
    }
    let last = BINPRM_BUF_SIZE - 1;
    let newline = buffer.iter().position(|byte| matches!(byte, b'\n' | 0));
    let mut end = match newline {
        Some(at) if buffer[at] == b'\n' => at,
        _ => {
            // Without a newline the path must be known to be whole: a space, a tab or a NUL follows it.
            let name = next_not_blank(&buffer, 2, last)?;
            next_terminator(&buffer, name, last)?;
            last
        }
    };
    while is_blank(buffer[end - 1]) {
        end -= 1;
    }
    let name = next_not_blank(&buffer, 2, end)?;
    if name == end {
        return None;
    }
    let separator = next_terminator(&buffer, name, end).filter(|at| *at < end);
    let argument = separator
        .filter(|at| buffer[*at] != 0)
        .and_then(|at| next_not_blank(&buffer, at, end))
        .filter(|at| *at < end)
        .map(|at| Text::until_nul(&buffer[at..end]));
    let interpreter = Text::until_nul(&buffer[name..separator.unwrap_or(end)]);
    Some(Shebang { interpreter, argument })
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

fn next_not_blank(buffer: &[u8], first: usize, last: usize) -> Option<usize> {
    (first..=last).find(|at| !is_blank(buffer[*at]))
}

fn next_terminator(buffer: &[u8], first: usize, last: usize) -> Option<usize> {
    (first..=last).find(|at| is_blank(buffer[*at]) || buffer[*at] == 0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(line: &[u8], expect: Option<(&str, Option<&str>)>) {
        let expect = expect.map(|(interpreter, argument)| Shebang {
            interpreter: Text::from(interpreter),
            argument: argument.map(Text::from),
        });
        assert_eq!(parse(line), expect, "{:?}", Text(line.to_vec()));
    }

    #[test]
    fn interpreter_and_one_argument_are_told_apart() {
        check(b"#!/bin/sh\necho", Some(("/bin/sh", None)));
        check(b"#! \t/bin/sh \t\n", Some(("/bin/sh", None)));
        check(b"#!/usr/bin/env python3 -u\n", Some(("/usr/bin/env", Some("python3 -u"))));
        check(b"#!/bin/sh", Some(("/bin/sh", None)));
    }

    #[test]
    fn a_carriage_return_belongs_to_the_interpreter() {
        check(b"#!/bin/sh\r\necho\r\n", Some(("/bin/sh\r", None)));
        check(b"#!/bin/sh -e\r\n", Some(("/bin/sh", Some("-e\r"))));
    }

    #[test]
    fn a_line_without_interpreter_is_no_script() {
        check(b"#!\n", None);
        check(b"#!   \n", None);
        check(b"#", None);
        check(b"", None);
        check(b"echo", None);
    }

    #[test]
    fn a_path_cut_by_the_buffer_is_refused() {
        let mut long = b"#!/".to_vec();
        long.extend(std::iter::repeat_n(b'x', 300));
        check(&long, None);
        let mut argument = b"#!/bin/sh ".to_vec();
        argument.extend(std::iter::repeat_n(b'x', 300));
        assert_eq!(parse(&argument).unwrap().interpreter, Text::from("/bin/sh"));
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(prop_oneof![
            Just(b' '), Just(b'\n'), Just(0_u8), Just(b'/'), any::<u8>()
        ], 0..300)) {
            let mut line = b"#!".to_vec();
            line.extend(&bytes);
            let _ = parse(&line);
            let _ = parse(&bytes);
        }
    }
}

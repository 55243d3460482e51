//! Phrases by which a line says that a program goes on, complains, or lacks something. It must not know failures.

use memchr::memmem;

/// It says that the program did without what failed.
pub(in crate::diagnose::verdict) fn goes_on(line: &[u8]) -> bool {
    const SIGNS: &[&[u8]] = &[
        b"warn",
        b"warning",
        b"ignoring",
        b"ignored",
        b"skipping",
        b"skipped",
        b"continuing",
        b"optional",
        b"disabled",
        b"disabling",
        b"fallback",
        b"falling back",
        b"using default",
        b"using defaults",
        b"proceeding",
        b"carrying on",
        b"going on",
        b"non-fatal",
        b"not fatal",
        b"degraded",
        b"instead",
        b"retrying",
        b"will retry",
    ];
    // `PytestCacheWarning: could not create x`
    SIGNS.iter().any(|sign| contains_word(line, sign)) || contains(line, b"warning: ")
}

pub(in crate::diagnose::verdict) fn complains(line: &[u8]) -> bool {
    const SIGNS: &[&[u8]] = &[b"fatal", b"error", b"panic", b"critical", b"emerg", b"exception"];
    SIGNS.iter().any(|sign| contains_word(line, sign))
}

/// How lines say that something is not there or could not be had.
const ABSENT: &[&[u8]] = &[
    b"cannot",
    b"can't",
    b"can not",
    b"could not",
    b"couldn't",
    b"unable",
    b"missing",
    b"not found",
    b"no such",
    b"not accessible",
    b"not readable",
    b"no file",
    b"not a directory",
    b"not a file",
    b"not a regular file",
    b"not a valid",
];

/// It says that something cannot be used or reached.
pub(in crate::diagnose::verdict) fn blames(line: &[u8]) -> bool {
    const SIGNS: &[&[u8]] = &[
        b"failed",
        b"fails",
        b"failure",
        b"denied",
        b"refused",
        b"does not exist",
        b"doesn't exist",
        b"not exist",
        b"unreachable",
        b"unavailable",
        b"in use",
        b"no access",
        b"error",
        b"fatal",
        b"not permitted",
        b"not allowed",
        b"not writable",
        b"not valid",
    ];
    ABSENT.iter().chain(SIGNS).any(|sign| contains(line, sign))
}

/// It says that something is not there, or could not be had: of what a program only looked for, a complaint in whose line it
/// stands says nothing.
pub(in crate::diagnose::verdict) fn misses(line: &[u8]) -> bool {
    const SIGNS: &[&[u8]] = &[b"fail", b"exist", b"not writ"];
    ABSENT.iter().chain(SIGNS).any(|sign| contains(line, sign))
}

/// It says what is wrong within a file, and names it: `unknown setting 'max-cache-entires'`.
pub(in crate::diagnose::verdict) fn is_about_named_contents(line: &[u8]) -> bool {
    let quotes = line.iter().filter(|byte| b"'\"`".contains(byte)).count();
    is_about_contents(line) && quotes >= 2
}

/// It says what is wrong within a file, so that the file was there.
pub(in crate::diagnose::verdict) fn is_about_contents(line: &[u8]) -> bool {
    const SIGNS: &[&[u8]] = &[
        b"parse",
        b"parsing",
        b"syntax",
        b"invalid",
        b"malformed",
        b"unexpected",
        b"unknown",
        b"unrecognized",
        b"unrecognised",
        b"decode",
        b"decoding",
        b"unmarshal",
        b"corrupt",
        b"corrupted",
        b"unsupported",
        b"deprecated",
        b"expected",
        b"bad option",
        b"validation",
    ];
    SIGNS.iter().any(|sign| contains_word(line, sign))
}

pub(in crate::diagnose::verdict) fn contains(text: &[u8], needle: &[u8]) -> bool {
    !needle.is_empty() && memmem::find(text, needle).is_some()
}

/// A one-word phrase (an errno's name) must stand for itself, a longer one may stand anywhere.
pub(in crate::diagnose::verdict) fn contains_phrase(text: &[u8], phrase: &str) -> bool {
    if phrase.contains(' ') {
        contains(text, phrase.as_bytes())
    } else {
        contains_word(text, phrase.as_bytes())
    }
}

/// `needle` with no letter, digit or joining sign on either side, so that `/app` is not found in `/app/main.py`.
pub(in crate::diagnose::verdict) fn contains_word(text: &[u8], needle: &[u8]) -> bool {
    if needle.is_empty() {
        return false;
    }
    let joins = |byte: u8| byte.is_ascii_alphanumeric() || b"_-/".contains(&byte) || byte >= 0x80;
    memmem::find_iter(text, needle).map(|start| (start, start + needle.len())).any(
        |(start, end)| {
            let before = start.checked_sub(1).map(|at| text[at]);
            let after = text.get(end).copied();
            let dotted = after == Some(b'.') && text.get(end + 1).is_some_and(|next| joins(*next));
            let begins = needle[0] == b'/' || needle[0] == b':';
            let free_before = before.is_none_or(|byte| {
                if begins {
                    !(byte == b'/' || byte == b'.') || needle[0] == b':'
                } else {
                    !joins(byte) || byte == b'/'
                }
            });
            free_before && !after.is_some_and(joins) && !dotted
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_not_named_by_a_file_in_it() {
        assert!(!contains_word(b"file \"/app/main.py\"", b"/app"));
        assert!(contains_word(b"cannot open /app: no", b"/app"));
        assert!(contains_word(b"cannot open /etc/app.conf.", b"/etc/app.conf"));
        assert!(!contains_word(b"cannot open /etc/app.conf.d", b"/etc/app.conf"));
    }

    #[test]
    fn a_port_is_named_behind_its_colon() {
        assert!(contains_word(b"listen tcp :9443: bind", b":9443"));
        assert!(contains_word(b"127.0.0.1:9443", b":9443"));
        assert!(!contains_word(b"127.0.0.1:19443", b"9443"));
    }
}

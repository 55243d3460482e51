//! What a process wrote last, line for line, as it can be pasted. It must not judge the words.

use super::{
    Detail,
    size::size,
    style::{printable, quoted},
};
use crate::{
    contract::names,
    event::{Stream, Words},
    text::Text,
};

/// Most lines that are shown, the last ones.
const LINES: usize = 20;

/// One line in quotes beside the name of the stream, more below it with a bar in front of each.
pub(super) fn words(words: &Words, detail: Detail) -> Vec<String> {
    let name = match words.stream {
        Stream::Stdout | Stream::Stderr => names::stream(words.stream),
        // Of a runtime's init, which tells the runtime there why it failed.
        Stream::Init => "to another descriptor",
    };
    let all = with_head(words);
    let bytes = all.as_slice();
    let lines: Vec<&[u8]> =
        bytes.strip_suffix(b"\n").unwrap_or(bytes).split(|b| *b == b'\n').collect();
    let skipped = match detail {
        Detail::Folded => lines.len().saturating_sub(LINES),
        Detail::All => 0,
    };
    let kept = words.head.as_bytes().len() + words.bytes.as_bytes().len();
    let kept = u64::try_from(kept).unwrap_or(u64::MAX);
    let mut notes = Vec::new();
    if words.discarded {
        notes.push("to /dev/null".to_owned());
    }
    if words.total_bytes > kept {
        notes.push(format!("the last {} of {}", size(kept), size(words.total_bytes)));
    }
    if skipped > 0 {
        notes.push(format!("{skipped} earlier lines left out"));
    }
    let notes = if notes.is_empty() { String::new() } else { format!(" ({})", notes.join("; ")) };
    match &lines[skipped..] {
        [line] => vec![format!("{name}{notes}: {}", quoted(&Text(line.to_vec())))],
        lines => {
            let shown = lines.iter().map(|line| {
                let line = printable(&Text(line.to_vec()).to_string());
                format!("  | {line}").trim_end().to_owned()
            });
            std::iter::once(format!("{name}{notes}:")).chain(shown).collect()
        }
    }
}

/// The beginning of the burst, what is missing, and the end.
fn with_head(words: &Words) -> Vec<u8> {
    if words.head.is_empty() {
        return words.bytes.as_bytes().to_vec();
    }
    let gap = format!("\n... {} not kept ...\n", size(words.skipped_bytes));
    [words.head.as_bytes(), gap.as_bytes(), words.bytes.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::samples;

    fn check(bytes: &[u8]) -> String {
        words(&samples::words(Stream::Stderr, bytes), Detail::Folded).join("\n")
    }

    #[test]
    fn one_line_is_quoted_beside_its_stream() {
        insta::assert_snapshot!(check(b"cannot read \"x\"!\n"), @r#"stderr: "cannot read \"x\"!""#);
        insta::assert_snapshot!(check(b" "), @r#"stderr: " ""#);
    }

    #[test]
    fn each_of_more_lines_has_its_own_and_cannot_pass_for_an_entry() {
        let bytes = b"Traceback:\n  File \"x\", line 1\r\n\n  9  +0.1s  app[1]  exit 0\x1b[2J\n";
        insta::assert_snapshot!(check(bytes), @r#"
        stderr:
          | Traceback:
          |   File "x", line 1\r
          |
          |   9  +0.1s  app[1]  exit 0\u{1b}[2J
        "#);
    }

    #[test]
    fn of_many_lines_the_last_are_shown() {
        let bytes: String = (1..=30).map(|n| format!("line {n}\n")).collect();
        let told = Words { total_bytes: 5000, ..samples::words(Stream::Stderr, bytes.as_bytes()) };
        let folded = words(&told, Detail::Folded);
        assert_eq!(folded[0], "stderr (the last 231 bytes of 4.8 KiB; 10 earlier lines left out):");
        assert_eq!(folded[1], "  | line 11");
        assert_eq!(folded.last().unwrap(), "  | line 30");
        assert_eq!(words(&told, Detail::All).len(), 31);
    }
}

//! What a process wrote last, line for line, as it can be pasted. It must not judge the words.

use std::borrow::Cow;

use super::{
    Detail,
    size::size,
    style::{printable, quoted},
};
use crate::contract::kinds::{Stream, Words};

/// Most lines that are shown, the last ones.
const LINES: usize = 20;

/// One line in quotes beside the name of the stream, more below it with a bar in front of each.
pub(super) fn words(words: &Words, detail: Detail) -> Vec<String> {
    let name = printable(stream(&words.stream));
    let all = with_head(words);
    let lines: Vec<&str> = all.strip_suffix('\n').unwrap_or(&all).split('\n').collect();
    let skipped = match detail {
        Detail::Folded => lines.len().saturating_sub(LINES),
        Detail::All => 0,
    };
    let kept = words.kept_bytes();
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
        [line] => vec![format!("{name}{notes}: {}", quoted(line))],
        lines => {
            let shown =
                lines.iter().map(|line| format!("  | {}", printable(line)).trim_end().to_owned());
            std::iter::once(format!("{name}{notes}:")).chain(shown).collect()
        }
    }
}

/// Where it was written to.
pub fn stream(stream: &Stream) -> &str {
    match stream {
        Stream::Stdout => "stdout",
        Stream::Stderr => "stderr",
        // Of a runtime's init, which tells the runtime there why it failed.
        Stream::Init => "to another descriptor",
        Stream::Unknown(name) => name,
    }
}

/// The beginning of the burst, what is missing, and the end.
fn with_head(words: &Words) -> Cow<'_, str> {
    let Some(head) = &words.head else { return Cow::Borrowed(&words.text) };
    let skipped = size(words.skipped_bytes.unwrap_or_default());
    Cow::Owned(format!("{head}\n... {skipped} not kept ...\n{}", words.text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{capture::event, render::samples};

    fn check(bytes: &[u8]) -> String {
        words(&(&samples::words(event::Stream::Stderr, bytes)).into(), Detail::Folded).join("\n")
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
        let told = Words {
            total_bytes: 5000,
            ..(&samples::words(event::Stream::Stderr, bytes.as_bytes())).into()
        };
        let folded = words(&told, Detail::Folded);
        assert_eq!(folded[0], "stderr (the last 231 bytes of 4.8 KiB; 10 earlier lines left out):");
        assert_eq!(folded[1], "  | line 11");
        assert_eq!(folded.last().unwrap(), "  | line 30");
        assert_eq!(words(&told, Detail::All).len(), 31);
    }
}

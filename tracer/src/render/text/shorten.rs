//! Long text made short in its middle, so that a line can be pasted. It must not know what a line tells.

/// Columns that what an entry tells may take. Names of errors, which end a line, fit into its half.
pub(super) const LINE: usize = 160;

/// At most `width` characters: the middle of a longer text is replaced by `…`.
pub(super) fn shorten(text: &str, width: usize) -> String {
    let characters = text.chars().count();
    if characters <= width {
        return text.to_owned();
    }
    let tail = width / 2;
    let head = width.saturating_sub(tail + 1);
    let start: String = text.chars().take(head).collect();
    let end: String = text.chars().skip(characters - tail).collect();
    format!("{start}…{end}")
}

/// Sentences stay whole, whatever their length; words in them longer than a line are shortened.
pub(super) fn shorten_words(text: &str) -> String {
    let words: Vec<String> = text.split(' ').map(|word| shorten(word, LINE)).collect();
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_too_long_loses_its_middle() {
        insta::assert_snapshot!(shorten("0123456789", 10), @"0123456789");
        insta::assert_snapshot!(shorten("0123456789a", 10), @"0123…6789a");
        insta::assert_snapshot!(shorten("ööööööööööü", 10), @"öööö…ööööü");
        assert_eq!(shorten(&"x".repeat(1 << 17), LINE).chars().count(), LINE);
    }

    #[test]
    fn sentences_keep_their_words() {
        let sentence = "did not find it ".repeat(40);
        assert_eq!(shorten_words(&sentence), sentence);
        let path = "/a".repeat(2048);
        let told = shorten_words(&format!("did not find {path} (openat: ENOENT)"));
        assert!(told.starts_with("did not find /a/a/a"), "{told}");
        assert!(told.contains('…') && told.ends_with("/a/a (openat: ENOENT)"), "{told}");
    }
}

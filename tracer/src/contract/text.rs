//! How bytes, masks and ids look in JSON.

use base64::{Engine, engine::general_purpose::STANDARD};

use crate::linux::text::Text;

/// The text, and in front of it all of it as base64 where it is not UTF-8: the values of `<field>_b64` and `<field>`.
pub(super) fn text(text: &Text) -> (Option<String>, String) {
    (base64(text), text.to_json_string())
}

/// Texts, and in front of them all of them as base64 where one is not UTF-8.
pub(super) fn texts(texts: &[Text]) -> (Option<Vec<String>>, Vec<String>) {
    let encoded = || texts.iter().map(|text| STANDARD.encode(text.as_bytes())).collect();
    let is_plain = texts.iter().all(Text::is_utf8);
    ((!is_plain).then(encoded), texts.iter().map(Text::to_json_string).collect())
}

/// How many bytes a text had before it became JSON.
pub(super) fn length(base64: Option<&str>, text: &str) -> usize {
    let bytes = base64.and_then(|encoded| STANDARD.decode(encoded).ok());
    bytes.map_or(text.len(), |bytes| bytes.len())
}

fn base64(text: &Text) -> Option<String> {
    (!text.is_utf8()).then(|| STANDARD.encode(text.as_bytes()))
}

/// 64-bit ids are strings: JSON numbers are exact only to 53 bits in most readers.
pub(super) fn id(id: u64) -> String {
    id.to_string()
}

/// Masks, addresses and raw arguments.
pub(super) fn hex(value: u64) -> String {
    format!("{value:#x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_are_not_utf8_have_a_base64_sibling() {
        let odd = text(&Text(b"/a\xff".to_vec()));
        assert_eq!(odd, (Some("L2H/".to_owned()), "/a\\xff".to_owned()));
        assert_eq!(text(&Text::from("b")), (None, "b".to_owned()));
        assert_eq!(length(odd.0.as_deref(), &odd.1), 3);
    }

    #[test]
    fn one_list_element_that_is_not_utf8_gives_the_whole_list_a_sibling() {
        let (encoded, plain) = texts(&[Text::from("a"), Text(vec![0xff])]);
        assert_eq!(encoded.unwrap(), ["YQ==", "/w=="]);
        assert_eq!(plain, ["a", "\\xff"]);
    }
}

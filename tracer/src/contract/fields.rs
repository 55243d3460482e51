//! JSON objects, field by field: how bytes, masks and ids look everywhere.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Map, Value};

use crate::{errno::Errno, text::Text};

/// An object in the making.
#[derive(Default)]
pub(super) struct Fields(Map<String, Value>);

impl Fields {
    pub fn put(&mut self, key: &str, value: impl Into<Value>) -> &mut Self {
        self.0.insert(key.to_owned(), value.into());
        self
    }

    /// Text, and as base64 in `<key>_b64` too where it is not UTF-8.
    pub fn text(&mut self, key: &str, text: &Text) -> &mut Self {
        if !text.is_utf8() {
            self.put(&format!("{key}_b64"), STANDARD.encode(text.as_bytes()));
        }
        self.put(key, text.to_json_string())
    }

    /// Texts; all of them as base64 in `<key>_b64` too where one is not UTF-8.
    pub fn texts(&mut self, key: &str, texts: &[Text]) -> &mut Self {
        if !texts.iter().all(Text::is_utf8) {
            let encoded = texts.iter().map(|text| STANDARD.encode(text.as_bytes()));
            self.put(&format!("{key}_b64"), encoded.collect::<Vec<_>>());
        }
        self.put(key, texts.iter().map(Text::to_json_string).collect::<Vec<_>>())
    }

    /// An object within this one.
    pub fn object(&mut self, key: &str, fill: impl FnOnce(&mut Fields)) -> &mut Self {
        self.put(key, object(fill))
    }
}

pub(super) fn object(fill: impl FnOnce(&mut Fields)) -> Value {
    let mut fields = Fields::default();
    fill(&mut fields);
    Value::Object(fields.0)
}

/// 64-bit ids are strings: JSON numbers are exact only to 53 bits in most readers.
pub(super) fn id(id: u64) -> String {
    id.to_string()
}

/// Masks, addresses and raw arguments.
pub(super) fn hex(value: u64) -> String {
    format!("{value:#x}")
}

pub(super) fn errno(errno: Errno) -> String {
    errno.to_string()
}

/// A system call as number and name.
pub(super) fn syscall((number, name): (u32, &str)) -> Value {
    object(|fields| {
        fields.put("number", number).put("name", name);
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn bytes_that_are_not_utf8_have_a_base64_sibling() {
        let value = object(|fields| {
            fields.text("path", &Text(b"/a\xff".to_vec())).text("comm", &Text::from("b"));
        });
        assert_eq!(value, json!({ "path": "/a\\xff", "path_b64": "L2H/", "comm": "b" }));
    }

    #[test]
    fn one_list_element_that_is_not_utf8_gives_the_whole_list_a_sibling() {
        let list = [Text::from("a"), Text(vec![0xff])];
        let value = object(|fields| {
            fields.texts("args", &list);
        });
        assert_eq!(value, json!({ "args": ["a", "\\xff"], "args_b64": ["YQ==", "/w=="] }));
    }
}

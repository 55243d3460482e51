//! Paths with queries, as the API takes them. It must not know what they mean.

use std::fmt::{Display, Write as _};

/// A path, growing a query.
pub struct Url {
    text: String,
    separator: char,
}

impl Url {
    pub fn new(path: &str) -> Self {
        Self { text: path.to_owned(), separator: '?' }
    }

    /// Adds a parameter, if there is a value.
    pub fn with(mut self, name: &str, value: Option<impl Display>) -> Self {
        if let Some(value) = value {
            self.text.push(self.separator);
            self.text.push_str(name);
            self.text.push('=');
            for byte in value.to_string().bytes() {
                if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
                    self.text.push(char::from(byte));
                } else {
                    // Writing to a string does not fail.
                    let _ = write!(self.text, "%{byte:02X}");
                }
            }
            self.separator = '&';
        }
        self
    }

    pub fn as_str(&self) -> &str {
        &self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_encoded_and_absent_ones_left_out() {
        let url = Url::new("/v1/crashes")
            .with("label", Some("app=a&b,c in (ü)"))
            .with("pod", None::<&str>)
            .with("limit", Some(5));
        let expected = "/v1/crashes?label=app%3Da%26b%2Cc%20in%20%28%C3%BC%29&limit=5";
        assert_eq!(url.as_str(), expected);
    }
}

//! The error of a call, and the forms in which peers write it. Where in a message it stands is not known here.

use super::pack::{Reader, Value};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallError {
    /// `no_such_procedure`, `handler_error`, `timeout`, `peer_disconnected`, `busy`, or a provider's own.
    pub code: String,
    /// May be empty.
    pub message: String,
}

/// The error that a packed value is: a map with a code, or the code alone. `None`: it is no error.
pub(super) fn call_error(packed: &[u8]) -> Option<CallError> {
    let mut reader = Reader::new(packed);
    let in_words = |value: Value<'_>| match value {
        Value::Bytes(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
        Value::Unsigned(number) => Some(number.to_string()),
        Value::Negative(number) => Some(number.to_string()),
        Value::Boolean(true) => Some("true".to_owned()),
        Value::Nil
        | Value::Boolean(false)
        | Value::Fraction(_)
        | Value::Array(_)
        | Value::Map(_)
        | Value::Extension(..) => None,
    };
    let pairs = match reader.value().ok()? {
        Value::Map(pairs) => pairs,
        code => {
            return in_words(code).map(|code| CallError { code, message: String::new() });
        }
    };
    let (mut code, mut message) = (None, None);
    for _ in 0..pairs {
        let key = reader.packed().ok()?;
        let value = Reader::new(reader.packed().ok()?).value().ok()?;
        match Reader::new(key).bytes() {
            Ok(b"code") => code = in_words(value),
            Ok(b"message") => message = in_words(value),
            Ok(_) | Err(_) => {}
        }
    }
    let code = code.unwrap_or_else(|| "error".to_owned());
    Some(CallError { code, message: message.unwrap_or_default() })
}

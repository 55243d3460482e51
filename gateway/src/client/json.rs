//! Packed terms to JSON, and back. A value that JSON cannot hold becomes an object with one key that begins with `$`.
//! Messages are not known here.

use std::collections::HashSet;

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Map, Number, Value as Json, json};

use crate::wire::message::{
    DEEPEST, PackError, Term, Value,
    pack::{Reader, Writer},
};

const BYTES: &str = "$base64";
const EXTENSION: &str = "$extension";
const PAIRS: &str = "$pairs";
const FRACTION: &str = "$fraction";

impl Term {
    /// The value as JSON. Bytes that are UTF-8 are a string, whether `bin` or `str`, and a map with such keys is an object.
    /// Others: `{"$base64": "AP8="}` are bytes, `{"$extension": [5, "AP8="]}` is an extension with its type,
    /// `{"$pairs": [[1, 2]]}` is a map with other keys, or with the same twice, or with one that begins with `$`, and
    /// `{"$fraction": "NaN"}` is a number that JSON has not.
    ///
    /// ```
    /// use gateway::client::Term;
    ///
    /// let json = serde_json::json!({"a": [1, -2.5, null, true, "x"], "b": {"$base64": "AP8="}});
    /// assert_eq!(Term::of_json(&json)?.to_json(), json);
    /// # Ok::<(), gateway::client::PackError>(())
    /// ```
    pub fn to_json(&self) -> Json {
        // The constructor has checked it.
        json_of(&mut self.reader()).unwrap_or(Json::Null)
    }

    /// A term of JSON: strings and keys become `bin`, as macula peers write them, and the forms of [`Term::to_json`] become
    /// what they stand for.
    ///
    /// # Errors
    /// [`PackError::TooDeep`]: the value is nested deeper than a gateway reads.
    pub fn of_json(json: &Json) -> Result<Self, PackError> {
        if depth(json) > DEEPEST {
            return Err(PackError::TooDeep);
        }
        Ok(Self::written(64, |out| write(json, out)))
    }
}

fn json_of(reader: &mut Reader<'_>) -> Result<Json, PackError> {
    Ok(match reader.value()? {
        Value::Nil => Json::Null,
        Value::Boolean(value) => value.into(),
        Value::Unsigned(number) => number.into(),
        Value::Negative(number) => number.into(),
        Value::Fraction(number) => match Number::from_f64(number) {
            Some(number) => number.into(),
            None => json!({ FRACTION: number.to_string() }),
        },
        Value::Bytes(bytes) => match str::from_utf8(bytes) {
            Ok(text) => text.into(),
            Err(_) => json!({ BYTES: STANDARD.encode(bytes) }),
        },
        Value::Extension(kind, bytes) => json!({ EXTENSION: [kind, STANDARD.encode(bytes)] }),
        Value::Array(values) => {
            (0..values).map(|_| json_of(reader)).collect::<Result<Vec<_>, _>>()?.into()
        }
        Value::Map(count) => {
            let mut pairs = Vec::new();
            for _ in 0..count {
                pairs.push((json_of(reader)?, json_of(reader)?));
            }
            map_of(pairs)
        }
    })
}

fn map_of(pairs: Vec<(Json, Json)>) -> Json {
    let mut known = HashSet::new();
    let plain = |key: &Json| match key.as_str() {
        Some(key) => !key.starts_with('$') && known.insert(key.to_owned()),
        None => false,
    };
    if !pairs.iter().map(|(key, _)| key).all(plain) {
        let pairs = pairs.into_iter().map(|(key, value)| Json::Array(vec![key, value]));
        return json!({ PAIRS: pairs.collect::<Vec<_>>() });
    }
    let text = |key: Json| key.as_str().unwrap_or_default().to_owned();
    Json::Object(pairs.into_iter().map(|(key, value)| (text(key), value)).collect())
}

/// How deep arrays and objects are nested.
fn depth(json: &Json) -> usize {
    let (mut level, mut deepest) = (vec![json], 0);
    while !level.is_empty() && deepest <= DEEPEST + 1 {
        let below = level.iter().flat_map(|json| match json {
            Json::Array(values) => values.iter().collect::<Vec<_>>(),
            Json::Object(object) => object.values().collect(),
            Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => Vec::new(),
        });
        level = below.collect();
        deepest += usize::from(!level.is_empty());
    }
    deepest
}

fn write(json: &Json, out: &mut Writer<'_>) {
    match json {
        Json::Null => {
            out.nil();
        }
        Json::Bool(value) => {
            out.boolean(*value);
        }
        Json::Number(number) => write_number(number, out),
        Json::String(text) => {
            out.text(text);
        }
        Json::Array(values) => {
            out.array(values.len());
            values.iter().for_each(|value| write(value, out));
        }
        Json::Object(object) => write_object(object, out),
    }
}

fn write_number(number: &Number, out: &mut Writer<'_>) {
    match (number.as_u64(), number.as_i64(), number.as_f64()) {
        (Some(number), _, _) => out.number(number),
        (None, Some(number), _) => out.integer(number),
        (None, None, number) => out.fraction(number.unwrap_or(f64::NAN)),
    };
}

fn write_object(object: &Map<String, Json>, out: &mut Writer<'_>) {
    if object.len() == 1
        && let Some((name, value)) = object.iter().next()
        && write_form(name, value, out).is_some()
    {
        return;
    }
    out.map(object.len());
    for (key, value) in object {
        write(value, out.text(key));
    }
}

/// Writes a value that has one of the forms. `None`: it has none of them, and nothing was written.
fn write_form(name: &str, value: &Json, out: &mut Writer<'_>) -> Option<()> {
    let bytes = |value: &Json| STANDARD.decode(value.as_str()?).ok();
    match name {
        BYTES => {
            out.bytes(&bytes(value)?);
        }
        EXTENSION => {
            let [kind, value] = value.as_array()?.as_slice() else { return None };
            out.extension(kind.as_i64()?.try_into().ok()?, &bytes(value)?);
        }
        FRACTION => {
            out.fraction(value.as_str()?.parse().ok()?);
        }
        PAIRS => {
            let pairs = value.as_array()?.iter();
            let pair = |pair: &'_ Json| match pair.as_array().map(Vec::as_slice) {
                Some([key, value]) => Some((key.clone(), value.clone())),
                Some(_) | None => None,
            };
            let pairs = pairs.map(pair).collect::<Option<Vec<_>>>()?;
            out.map(pairs.len());
            for (key, value) in &pairs {
                write(key, out);
                write(value, out);
            }
        }
        _ => return None,
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn packed(bytes: &[u8]) -> Term {
        Term::of_packed(bytes.to_vec().into()).unwrap()
    }

    #[test]
    fn what_json_cannot_hold_has_a_form_of_its_own_and_comes_back_as_it_was() {
        for (bytes, form) in [
            (&b"\xc4\x02\x00\xff"[..], json!({"$base64": "AP8="})),
            (b"\xc7\x01\x05a", json!({"$extension": [5, "YQ=="]})),
            (b"\x81\x01\x02", json!({"$pairs": [[1, 2]]})),
            (b"\x82\xc4\x01a\x01\xc4\x01a\x02", json!({"$pairs": [["a", 1], ["a", 2]]})),
            (b"\x81\xc4\x07$base64\xc0", json!({"$pairs": [["$base64", null]]})),
            (
                b"\x81\x81\xc0\xc0\x91\xd0\x80",
                json!({"$pairs": [[{"$pairs": [[null, null]]}, [-128]]]}),
            ),
            (b"\xcb\x7f\xf0\0\0\0\0\0\0", json!({"$fraction": "inf"})),
        ] {
            let term = packed(bytes);
            assert_eq!(term.to_json(), form);
            assert_eq!(Term::of_json(&form), Ok(term), "{form}");
        }
    }

    #[test]
    fn strings_and_keys_of_json_are_written_as_bin_and_both_kinds_are_read() {
        let term = Term::of_json(&json!({"a": 1})).unwrap();
        assert_eq!(term.packed()[..], *b"\x81\xc4\x01a\x01");
        assert_eq!(packed(b"\x81\xa1a\xa1b").to_json(), json!({"a": "b"}));
        assert_eq!(packed(b"\xca\x3f\x00\x00\x00").to_json(), json!(0.5));
    }

    #[test]
    fn a_form_that_means_nothing_is_an_ordinary_map() {
        for json in
            [json!({"$base64": "?"}), json!({"$extension": [300, ""]}), json!({"$pairs": [1]})]
        {
            let term = Term::of_json(&json).unwrap();
            assert!(matches!(term.reader().value(), Ok(Value::Map(1))), "{json}");
        }
    }

    #[test]
    fn json_that_is_nested_too_deep_is_refused_and_as_deep_as_may_be_is_read() {
        let nested = |deep| (0..deep).fold(json!(1), |inner, _| json!([inner]));
        let deepest = Term::of_json(&nested(DEEPEST)).unwrap();
        assert!(Term::of_packed(deepest.packed().clone()).is_ok());
        assert_eq!(Term::of_json(&nested(DEEPEST + 1)), Err(PackError::TooDeep));
    }

    fn any_json() -> impl Strategy<Value = Json> {
        let leaf = prop_oneof![
            Just(Json::Null),
            any::<bool>().prop_map(Json::from),
            any::<i64>().prop_map(Json::from),
            any::<u64>().prop_map(Json::from),
            any::<f64>().prop_map(Json::from),
            ".{0,20}".prop_map(Json::from),
        ];
        leaf.prop_recursive(4, 32, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..20).prop_map(Json::from),
                prop::collection::hash_map("[^$]{0,3}", inner, 0..5)
                    .prop_map(|pairs| Json::Object(pairs.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn json_comes_back_as_it_was(json in any_json()) {
            let term = Term::of_json(&json).unwrap();
            let checked = Term::of_packed(term.packed().clone());
            prop_assert_eq!(checked.as_ref(), Ok(&term));
            prop_assert_eq!(term.to_json(), json);
        }

        #[test]
        fn whatever_is_a_term_has_a_form_in_json(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            if let Ok(term) = Term::of_packed(bytes.into()) {
                let json = term.to_json();
                // As text, which is the same value in JSON.
                let again: Json = serde_json::from_str(&json.to_string()).unwrap();
                if let Ok(back) = Term::of_json(&again) {
                    prop_assert_eq!(back.to_json(), again);
                }
            }
        }
    }
}

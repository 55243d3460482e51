//! JSON objects as a list of key paths, which repeats and is stored once, and a list of values. It must not know
//! SQL or what the keys mean.

use serde_json::{Map, Value};

/// An object in two parts; [`join`] is its opposite.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Split {
    /// JSON array of the paths of the values: `["errno","file.path"]`.
    pub paths: String,
    /// JSON array of the values, in the same order.
    pub values: String,
}

/// Lists, empty objects and objects with a key that cannot stand in a path are values as a whole.
pub fn split(value: &Value) -> Split {
    let mut parts = Parts::new();
    parts.walk(value, &mut String::new());
    parts.end()
}

/// # Errors
/// The lists are no JSON, or not of the same length.
pub fn join(paths: &str, values: &str) -> Result<Value, serde_json::Error> {
    let paths: Vec<String> = serde_json::from_str(paths)?;
    let values: Vec<Value> = serde_json::from_str(values)?;
    if paths.len() != values.len() {
        return Err(serde::de::Error::custom(format!(
            "{} values for {} paths",
            values.len(),
            paths.len()
        )));
    }
    let mut out = Value::Object(Map::new());
    for (path, value) in paths.iter().zip(values) {
        put(&mut out, path, value);
    }
    Ok(out)
}

/// Both lists, each to be closed.
struct Parts {
    paths: String,
    values: Vec<u8>,
}

impl Parts {
    fn new() -> Self {
        let (mut paths, mut values) = (String::with_capacity(256), Vec::with_capacity(256));
        paths.push('[');
        values.push(b'[');
        Self { paths, values }
    }

    fn walk(&mut self, value: &Value, path: &mut String) {
        match value {
            Value::Object(map) if !map.is_empty() && map.keys().all(|key| can_be_in_path(key)) => {
                map.iter().for_each(|(key, value)| self.member(key, value, path));
            }
            value => {
                self.paths.push('"');
                self.paths.push_str(path);
                self.paths.push_str("\",");
                serde_json::to_writer(&mut self.values, value)
                    .expect("a value has only string keys, and memory does not refuse bytes");
                self.values.push(b',');
            }
        }
    }

    fn member(&mut self, key: &str, value: &Value, path: &mut String) {
        let length = path.len();
        if length > 0 {
            path.push('.');
        }
        path.push_str(key);
        self.walk(value, path);
        path.truncate(length);
    }

    /// The last comma becomes the end of the list.
    fn end(mut self) -> Split {
        self.paths.pop();
        self.paths.push(']');
        self.values.pop();
        self.values.push(b']');
        let values = String::from_utf8(self.values).expect("serde_json writes UTF-8");
        Split { paths: self.paths, values }
    }
}

/// So a path needs no escapes.
fn can_be_in_path(key: &str) -> bool {
    !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

fn put(out: &mut Value, path: &str, value: Value) {
    let mut place = out;
    if !path.is_empty() {
        for key in path.split('.') {
            if !place.is_object() {
                *place = Value::Object(Map::new());
            }
            place = &mut place[key];
        }
    }
    *place = value;
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn paths_and_values_are_apart() {
        let call = json!({"errno": "ENOENT", "file": {"path": "/a\u{0}", "truncated": false}, "args": [1]});
        let split = split(&call);
        assert_eq!(split.paths, r#"["errno","file.path","file.truncated","args"]"#);
        assert_eq!(split.values, r#"["ENOENT","/a\u0000",false,[1]]"#);
        assert_eq!(join(&split.paths, &split.values).unwrap().to_string(), call.to_string());
    }

    #[test]
    fn lists_that_do_not_belong_together_are_refused() {
        assert!(join(r#"["a"]"#, "[]").is_err());
        assert!(join("", "[]").is_err());
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<String>().prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 64, 6, |inner| {
            let key = prop_oneof!["[a-c]{0,2}", any::<String>()];
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::vec((key, inner), 0..5)
                    .prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn any_json_comes_back_as_it_was(value in any_json()) {
            let split = split(&value);
            prop_assert_eq!(join(&split.paths, &split.values).unwrap().to_string(), value.to_string());
        }
    }
}

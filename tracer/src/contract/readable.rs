//! JSON of another version, read as far as it can be: what cannot be read costs itself and nothing beside it. It must
//! not know what is read.

use serde::{Deserialize, Deserializer, de::DeserializeOwned};
use serde_json::{Map, Value};

/// What stands in a place: a value of the type that is expected there, or another.
#[derive(Deserialize)]
#[serde(untagged)]
pub(crate) enum Readable<T> {
    Read(T),
    Other(Value),
}

impl<T: Default> Readable<T> {
    pub(crate) fn or_default(self) -> T {
        match self {
            Self::Read(value) => value,
            Self::Other(_) => T::default(),
        }
    }
}

impl<T> Default for Readable<T> {
    fn default() -> Self {
        Self::Other(Value::Null)
    }
}

/// Of a struct whose fields all have a default: the fields that can be read.
pub(crate) fn fields<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned + Default,
{
    Ok(match Readable::deserialize(deserializer)? {
        Readable::Read(whole) => whole,
        Readable::Other(Value::Object(fields)) => each_alone(fields),
        Readable::Other(_) => T::default(),
    })
}

/// The same of a text.
pub(crate) fn fields_of<T: DeserializeOwned + Default>(json: &str) -> T {
    // What is no JSON has no field that could be read.
    fields(&mut serde_json::Deserializer::from_str(json)).unwrap_or_default()
}

fn each_alone<T: DeserializeOwned + Default>(fields: Map<String, Value>) -> T {
    let can_be_read = |(name, value): &(String, Value)| {
        let alone = Map::from_iter([(name.clone(), value.clone())]);
        T::deserialize(Value::Object(alone)).is_ok()
    };
    let readable: Map<String, Value> = fields.into_iter().filter(can_be_read).collect();
    T::deserialize(Value::Object(readable)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[derive(Debug, Default, PartialEq, Deserialize)]
    #[serde(default)]
    struct Thing {
        name: String,
        size: u32,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    struct Holder {
        #[serde(deserialize_with = "fields")]
        thing: Thing,
    }

    #[test]
    fn a_field_that_cannot_be_read_costs_itself_alone() {
        let check = |thing: Value, name: &str, size: u32| {
            let read: Holder = serde_json::from_value(json!({ "thing": thing })).unwrap();
            assert_eq!(read.thing, Thing { name: name.to_owned(), size });
        };
        check(json!({"name": "a", "size": 7}), "a", 7);
        check(json!({"name": ["a"], "size": 7, "new": {}}), "", 7);
        check(json!({"name": "a", "size": -1}), "a", 0);
        check(json!("a"), "", 0);
        assert_eq!(fields_of::<Thing>(r#"{"name": 1, "size": 2}"#).size, 2);
        assert_eq!(fields_of::<Thing>("{"), Thing::default());
    }
}

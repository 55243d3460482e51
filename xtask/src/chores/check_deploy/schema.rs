//! Objects against the schemas that Kubernetes publishes for each of its versions. It knows what
//! those schemas are written in, not what any object is for.
//!
//! They use eight words of JSON Schema, which are all here; any other word is refused, so that nothing is passed
//! over. The crate `jsonschema` takes two minutes to compile, and every chore would wait for it.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::object::{Object, list, map, text};
use crate::means::wheels::Wheel;

/// Kubernetes' schemas from 1.25 on, with one more of each that knows no other fields.
pub const SCHEMAS: Wheel = Wheel {
    name: "kubernetes-validate",
    version: "1.37.0",
    sha256: &["85136d018a27b50ec7fc049d902bfa5193f5976807e6c0f408e3ab6fe078cad9"],
    why: "for Kubernetes' schemas",
};

/// The minor versions of Kubernetes that deploy/ is for.
pub const VERSIONS: std::ops::RangeInclusive<u32> = 27..=37;

/// The schemas of one version of Kubernetes.
#[derive(Debug)]
pub struct Schemas {
    folder: PathBuf,
    definitions: Value,
    kinds: HashMap<String, Value>,
}

impl Schemas {
    /// Reads those of Kubernetes 1.`minor` from the files of [`SCHEMAS`].
    pub fn read(wheel: &Path, minor: u32) -> Result<Self> {
        let name = format!("kubernetes_validate/kubernetes-json-schema/v1.{minor}.0-local-strict");
        let folder = wheel.join(name);
        let definitions = read(&folder.join("_definitions.json"))?;
        Ok(Self { folder, definitions, kinds: HashMap::new() })
    }

    /// What does not fit in an object of Kubernetes' own kinds.
    pub fn breaches(&mut self, object: &Object) -> Vec<String> {
        let kind = file_of(object);
        if !self.kinds.contains_key(&kind) {
            match read(&self.folder.join(format!("{kind}.json"))) {
                Err(error) => return vec![format!("{object}: no such kind: {error:#}")],
                Ok(schema) => self.kinds.insert(kind.clone(), schema),
            };
        }
        let mut found = Vec::new();
        fits(&self.definitions, &self.kinds[&kind], &object.0, "", &mut found);
        found.into_iter().map(|breach| format!("{object}: {breach}")).collect()
    }
}

fn read(file: &Path) -> Result<Value> {
    let text = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    serde_json::from_slice(&text).with_context(|| format!("{} is no JSON", file.display()))
}

/// `clusterrole-rbac-v1` for a ClusterRole of rbac.authorization.k8s.io/v1.
fn file_of(object: &Object) -> String {
    let group = object.group().split('.').next().unwrap_or_default();
    let kind = object.kind().to_lowercase();
    let parts = [kind.as_str(), group, object.version()];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("-")
}

/// Puts what does not fit into `found`, each with its place in the object.
fn fits(definitions: &Value, schema: &Value, value: &Value, at: &str, found: &mut Vec<String>) {
    for (word, wanted) in map(schema) {
        match word.as_str() {
            "$ref" => {
                let name = text(wanted).rsplit('/').next().unwrap_or_default();
                match definitions["$defs"].get(name) {
                    Some(schema) => fits(definitions, schema, value, at, found),
                    None => found.push(format!("{at}: the schema lacks its definition of {name}")),
                }
            }
            "type" => {
                let kept = match wanted {
                    Value::Array(kinds) => kinds.iter().any(|kind| is_of(value, text(kind))),
                    kind => is_of(value, text(kind)),
                };
                if !kept {
                    found.push(format!("{at}: {value} is not of type {wanted}"));
                }
            }
            "enum" if !list(wanted).contains(value) => {
                found.push(format!("{at}: {value} is none of {wanted}"));
            }
            "enum" => {}
            "oneOf" => {
                let kept = list(wanted).iter().filter(|schema| {
                    let mut found = Vec::new();
                    fits(definitions, schema, value, at, &mut found);
                    found.is_empty()
                });
                if kept.count() != 1 {
                    found.push(format!("{at}: {value} fits none of {wanted}"));
                }
            }
            "required" if value.is_object() => {
                for field in list(wanted).iter().filter(|field| value.get(text(field)).is_none()) {
                    found.push(format!("{at}: lacks {field}"));
                }
            }
            "required" => {}
            "items" => {
                for (index, item) in list(value).iter().enumerate() {
                    fits(definitions, wanted, item, &format!("{at}/{index}"), found);
                }
            }
            "properties" => {
                for (field, value) in map(value) {
                    if let Some(schema) = wanted.get(field) {
                        fits(definitions, schema, value, &format!("{at}/{field}"), found);
                    }
                }
            }
            "additionalProperties" => {
                let known = map(&schema["properties"]);
                for (field, value) in
                    map(value).iter().filter(|(field, _)| !known.contains_key(*field))
                {
                    let at = format!("{at}/{field}");
                    match wanted {
                        Value::Bool(true) => {}
                        Value::Bool(false) => found.push(format!("{at}: no such field")),
                        schema => fits(definitions, schema, value, &at, found),
                    }
                }
            }
            "description" | "format" | "default" | "$schema" | "$id" => {}
            word if word.starts_with("x-kubernetes-") => {}
            word => {
                found.push(format!("{at}: the schema's word {word} is not known here: schema.rs"))
            }
        }
    }
}

fn is_of(value: &Value, kind: &str) -> bool {
    match kind {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::object::objects;
    use super::*;

    fn check(schema: Value, value: Value, expected: &[&str]) {
        let definitions =
            json!({"$defs": {"port": {"oneOf": [{"type": "string"}, {"type": "integer"}]}}});
        let mut found = Vec::new();
        fits(&definitions, &schema, &value, "", &mut found);
        assert_eq!(found.len(), expected.len(), "{found:?}");
        for (found, expected) in found.iter().zip(expected) {
            assert!(found.contains(expected), "{found:?} lacks {expected:?}");
        }
    }

    #[test]
    fn each_word_of_a_schema_refuses_what_does_not_fit() {
        let schema = json!({
            "type": "object", "required": ["name"], "additionalProperties": false, "description": "x",
            "properties": {
                "name": {"type": ["string", "null"]},
                "kind": {"enum": ["a", "b"]},
                "port": {"$ref": "/api/_definitions.json#/$defs/port"},
                "list": {"type": "array", "items": {"type": "integer"}},
                "map": {"additionalProperties": {"type": "string"}},
            },
        });
        let good =
            json!({"name": null, "kind": "a", "port": "http", "list": [1], "map": {"x": "y"}});
        check(schema.clone(), good, &[]);
        check(schema.clone(), json!([]), &["is not of type"]);
        check(schema.clone(), json!({}), &["lacks \"name\""]);
        check(schema.clone(), json!({"name": 1}), &["/name: 1 is not of type"]);
        check(schema.clone(), json!({"name": "n", "kind": "c"}), &["/kind: \"c\" is none of"]);
        check(schema.clone(), json!({"name": "n", "port": true}), &["/port: true fits none"]);
        check(schema.clone(), json!({"name": "n", "list": [1, "2"]}), &["/list/1: \"2\""]);
        check(schema.clone(), json!({"name": "n", "map": {"x": 1}}), &["/map/x: 1"]);
        check(schema, json!({"name": "n", "naem": 1}), &["/naem: no such field"]);
    }

    #[test]
    fn a_schema_that_says_more_than_is_known_here_is_refused() {
        check(json!({"pattern": "^a"}), json!("b"), &["word pattern is not known"]);
        check(json!({"$ref": "#/$defs/gone"}), json!("b"), &["lacks its definition of gone"]);
    }

    #[test]
    fn a_kind_is_found_by_group_and_version() {
        let kind = |yaml: &str| file_of(&objects(yaml)[0]);
        assert_eq!(kind("{apiVersion: v1, kind: Pod}"), "pod-v1");
        assert_eq!(
            kind("{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole}"),
            "clusterrole-rbac-v1"
        );
    }
}

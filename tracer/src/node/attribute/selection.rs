//! Which pods are wanted: namespaces and label selectors in Kubernetes' syntax. It must not do I/O, or know how a
//! container was identified.

use std::{collections::BTreeMap, fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::node::identity::{Identity, Source};

/// The gateway's label: what is watched unless something else is asked for.
pub const DEFAULT: &str = "app=macula-gateway";

/// One wanted set of pods.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selection {
    /// `None` for all.
    pub namespace: Option<String>,
    pub labels: LabelSelector,
    /// Whether what these pods print may be kept.
    pub capture_output: bool,
}

/// What a pod's labels must be, all of it; empty for any.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LabelSelector(Vec<Requirement>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Requirement {
    Exists(String),
    Absent(String),
    In(String, Vec<String>),
    /// Also true of pods that lack the label, as in Kubernetes.
    NotIn(String, Vec<String>),
}

/// Why a selection cannot be read.
#[derive(Debug, Error, PartialEq, Eq)]
#[error(
    "cannot read the selection `{text}`: {reason} at `{at}`; write [NAMESPACE:]LABELS, e.g. `shop:app=web,tier in (a,b),!canary`"
)]
pub struct SelectionError {
    pub text: String,
    pub reason: &'static str,
    /// The rest of the text from where it is wrong.
    pub at: String,
}

/// The first selection that wants the container.
///
/// Where the labels or the namespace of a container are not known, it is kept if they could fit, so that nothing is
/// lost; its identity says what is lacking. Of several selections that could fit it, one that forbids to capture
/// output is then taken.
pub fn matches<'a>(selections: &'a [Selection], identity: &Identity) -> Option<&'a Selection> {
    let knowledge = Knowledge::of(identity);
    let mut fitting = selections.iter().filter(|selection| selection.may_want(identity, knowledge));
    let first = fitting.next()?;
    if knowledge == Knowledge::Whole || !first.capture_output {
        return Some(first);
    }
    Some(fitting.find(|selection| !selection.capture_output).unwrap_or(first))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Knowledge {
    Whole,
    LabelsLack,
}

impl Knowledge {
    fn of(identity: &Identity) -> Self {
        let complete = identity.source == Source::Cri && identity.lacks.is_none();
        if complete || !identity.labels.is_empty() { Self::Whole } else { Self::LabelsLack }
    }
}

impl Selection {
    /// The selection that applies where none is given.
    pub fn gateway() -> Self {
        let (key, value) = DEFAULT.split_once('=').unwrap_or((DEFAULT, ""));
        let labels = vec![Requirement::In(key.to_owned(), vec![value.to_owned()])];
        Self { namespace: None, labels: LabelSelector(labels), capture_output: true }
    }

    fn may_want(&self, identity: &Identity, knowledge: Knowledge) -> bool {
        let namespace = match (&self.namespace, &identity.namespace) {
            (None, _) | (Some(_), None) => true,
            (Some(wanted), Some(namespace)) => wanted == namespace,
        };
        let labels = match knowledge {
            Knowledge::Whole => self.labels.matches(&identity.labels),
            Knowledge::LabelsLack => true,
        };
        namespace && labels
    }
}

/// `[NAMESPACE:]LABELS`; the namespace `*` means all, as does none.
impl FromStr for Selection {
    type Err = SelectionError;

    fn from_str(text: &str) -> Result<Self, SelectionError> {
        let (namespace, labels) = match text.split_once(':') {
            Some((namespace, labels)) => (namespace.trim(), labels),
            None => ("*", text),
        };
        let name = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if namespace != "*" && (namespace.is_empty() || !namespace.bytes().all(name)) {
            let reason = "this is no name of a namespace";
            return Err(SelectionError { text: text.into(), reason, at: text.into() });
        }
        let labels = labels
            .parse()
            .map_err(|error: SelectionError| SelectionError { text: text.into(), ..error })?;
        let namespace = (namespace != "*").then(|| namespace.to_owned());
        Ok(Self { namespace, labels, capture_output: true })
    }
}

impl fmt::Display for Selection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.namespace.as_deref().unwrap_or("*"), self.labels)
    }
}

impl LabelSelector {
    pub fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        self.0.iter().all(|requirement| match requirement {
            Requirement::Exists(key) => labels.contains_key(key),
            Requirement::Absent(key) => !labels.contains_key(key),
            Requirement::In(key, values) => labels.get(key).is_some_and(|has| values.contains(has)),
            Requirement::NotIn(key, values) => {
                labels.get(key).is_none_or(|has| !values.contains(has))
            }
        })
    }
}

impl fmt::Display for LabelSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, requirement) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str(",")?;
            }
            match requirement {
                Requirement::Exists(key) => f.write_str(key)?,
                Requirement::Absent(key) => write!(f, "!{key}")?,
                Requirement::In(key, values) if values.len() == 1 => {
                    write!(f, "{key}={}", values[0])?;
                }
                Requirement::NotIn(key, values) if values.len() == 1 => {
                    write!(f, "{key}!={}", values[0])?;
                }
                Requirement::In(key, values) => write!(f, "{key} in ({})", values.join(","))?,
                Requirement::NotIn(key, values) => {
                    write!(f, "{key} notin ({})", values.join(","))?;
                }
            }
        }
        Ok(())
    }
}

impl FromStr for LabelSelector {
    type Err = SelectionError;

    fn from_str(text: &str) -> Result<Self, SelectionError> {
        let mut reader = Reader { rest: text.trim() };
        let mut requirements = Vec::new();
        while !reader.rest.is_empty() {
            let requirement = reader.requirement().map_err(|reason| SelectionError {
                text: text.to_owned(),
                reason,
                at: reader.rest.to_owned(),
            })?;
            requirements.push(requirement);
        }
        Ok(Self(requirements))
    }
}

/// What of a selector is not read yet.
struct Reader<'a> {
    rest: &'a str,
}

impl Reader<'_> {
    /// One requirement, and the comma after it.
    fn requirement(&mut self) -> Result<Requirement, &'static str> {
        if self.take("!") {
            let key = self.key()?;
            self.end()?;
            return Ok(Requirement::Absent(key));
        }
        let key = self.key()?;
        let requirement = if self.take("!=") {
            Requirement::NotIn(key, vec![self.value()?])
        } else if self.take("==") || self.take("=") {
            Requirement::In(key, vec![self.value()?])
        } else if self.take_word("notin") {
            Requirement::NotIn(key, self.values()?)
        } else if self.take_word("in") {
            Requirement::In(key, self.values()?)
        } else {
            Requirement::Exists(key)
        };
        self.end()?;
        Ok(requirement)
    }

    fn end(&mut self) -> Result<(), &'static str> {
        if self.rest.is_empty() {
            return Ok(());
        }
        if !self.take(",") {
            return Err("a comma is expected");
        }
        if self.rest.is_empty() { Err("a label is expected after the last comma") } else { Ok(()) }
    }

    fn values(&mut self) -> Result<Vec<String>, &'static str> {
        if !self.take("(") {
            return Err("`(` is expected after `in` or `notin`");
        }
        let mut values = vec![self.value()?];
        while self.take(",") {
            values.push(self.value()?);
        }
        if self.take(")") { Ok(values) } else { Err("`,` or `)` is expected") }
    }

    fn key(&mut self) -> Result<String, &'static str> {
        let start = self.rest;
        let key = self.run(|byte| byte == b'/');
        let edges = [key.bytes().next(), key.bytes().last()];
        if edges.iter().all(|edge| edge.is_some_and(|byte| byte.is_ascii_alphanumeric())) {
            return Ok(key);
        }
        self.rest = start;
        Err("a label's name is expected")
    }

    /// May be empty, as a label's value may.
    fn value(&mut self) -> Result<String, &'static str> {
        let value = self.run(|_| false);
        if value.len() > 63 {
            Err("the value before is longer than 63 characters")
        } else {
            Ok(value)
        }
    }

    fn run(&mut self, also: impl Fn(u8) -> bool) -> String {
        let fits = |byte: u8| {
            byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.') || also(byte)
        };
        let end = self.rest.bytes().position(|byte| !fits(byte)).unwrap_or(self.rest.len());
        let (run, rest) = self.rest.split_at(end);
        self.rest = rest.trim_start();
        run.to_owned()
    }

    fn take(&mut self, token: &str) -> bool {
        match self.rest.strip_prefix(token) {
            Some(rest) => {
                self.rest = rest.trim_start();
                true
            }
            None => false,
        }
    }

    /// `in` is a word only before a space or a bracket.
    fn take_word(&mut self, word: &str) -> bool {
        let follows = self.rest.strip_prefix(word);
        follows.is_some_and(|rest| rest.starts_with([' ', '('])) && self.take(word)
    }
}

/// In the configuration file: the text of a flag, or a table.
#[derive(Deserialize)]
#[serde(
    untagged,
    expecting = "a selection is a string `[NAMESPACE:]LABELS`, or a table with `namespace`, `labels` and `capture_output`"
)]
enum Form {
    Text(String),
    Table(Table),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    namespace: Option<String>,
    #[serde(default)]
    labels: String,
    #[serde(default = "yes")]
    capture_output: bool,
}

fn yes() -> bool {
    true
}

impl<'de> Deserialize<'de> for Selection {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error as _;
        match Form::deserialize(deserializer)? {
            Form::Text(text) => text.parse().map_err(D::Error::custom),
            Form::Table(Table { namespace, labels, capture_output }) => {
                let namespace = namespace.unwrap_or_else(|| "*".to_owned());
                let text = format!("{namespace}:{labels}");
                let selection: Self = text.parse().map_err(D::Error::custom)?;
                Ok(Self { capture_output, ..selection })
            }
        }
    }
}

impl Serialize for Selection {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let namespace = Some(self.namespace.clone().unwrap_or_else(|| "*".to_owned()));
        let labels = self.labels.to_string();
        Table { namespace, labels, capture_output: self.capture_output }.serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Selection {
        text.parse().unwrap()
    }

    fn pod(namespace: &str, labels: &[(&str, &str)]) -> Identity {
        let own = |(key, value): &(&str, &str)| (key.to_string(), value.to_string());
        Identity {
            namespace: Some(namespace.to_owned()),
            labels: labels.iter().map(own).collect(),
            source: Source::Cri,
            ..Identity::default()
        }
    }

    #[test]
    fn selectors_mean_what_they_mean_in_kubernetes() {
        let labels = [("app", "web"), ("tier", "b"), ("example.com/x", "")];
        let pod = pod("shop", &labels);
        let table = [
            ("app=web", true),
            ("app==web", true),
            ("app = web , tier", true),
            ("app=api", false),
            ("app!=api", true),
            ("absent!=x", true),
            ("tier in (a, b)", true),
            ("tier in(a)", false),
            ("tier notin (a)", true),
            ("absent notin (a)", true),
            ("app", true),
            ("!app", false),
            ("! canary", true),
            ("example.com/x=", true),
            ("example.com/x", true),
            ("inside", false),
            ("", true),
            ("shop:app=web", true),
            ("shop:", true),
            ("bank:app=web", false),
            ("*:app=web,tier in (a,b),!canary", true),
        ];
        for (text, expect) in table {
            let selections = [parse(text)];
            assert_eq!(matches(&selections, &pod).is_some(), expect, "{text}");
            assert_eq!(parse(&selections[0].to_string()), selections[0], "{text}");
        }
    }

    #[test]
    fn errors_name_the_text_and_the_place() {
        let table = [
            ("app=web tier", "a comma is expected", "tier"),
            ("app in web", "`(` is expected after `in` or `notin`", "web"),
            ("app in (a;b)", "`,` or `)` is expected", ";b)"),
            ("app=web,", "a label is expected after the last comma", ""),
            ("a,=x", "a label's name is expected", "=x"),
            ("a,/x", "a label's name is expected", "/x"),
            ("Shop:app", "this is no name of a namespace", "Shop:app"),
            (":app", "this is no name of a namespace", ":app"),
            ("n:a>1", "a comma is expected", ">1"),
        ];
        for (text, reason, at) in table {
            let error = text.parse::<Selection>().unwrap_err();
            assert_eq!((error.reason, error.at.as_str()), (reason, at), "{text}");
            assert!(error.to_string().contains(text));
        }
    }

    #[test]
    fn the_first_selection_that_fits_is_taken() {
        let selections = [parse("bank:"), parse("app=web"), parse("")];
        assert_eq!(matches(&selections, &pod("shop", &[("app", "web")])), Some(&selections[1]));
        assert_eq!(matches(&selections, &pod("bank", &[])), Some(&selections[0]));
        assert_eq!(matches(&selections[..2], &pod("shop", &[])), None);
    }

    #[test]
    fn a_container_that_is_only_known_by_its_path_is_kept() {
        let unknown = Identity { lacks: Some("no answer".to_owned()), ..Identity::default() };
        let selections = [Selection::gateway()];
        assert_eq!(matches(&selections, &unknown), Some(&selections[0]));
    }

    #[test]
    fn a_known_namespace_decides_even_without_labels() {
        let mut half = pod("shop", &[]);
        half.lacks = Some("the pod's labels".to_owned());
        assert!(matches(&[parse("bank:app=x")], &half).is_none());
        assert!(matches(&[parse("shop:app=x")], &half).is_some());
    }

    #[test]
    fn output_of_an_unknown_container_is_not_captured_where_any_fitting_selection_forbids_it() {
        let silent = Selection { capture_output: false, ..parse("app=secret") };
        let selections = [parse("app=web"), silent.clone()];
        assert_eq!(matches(&selections, &Identity::default()), Some(&silent));
    }

    #[test]
    fn a_table_of_the_configuration_is_a_selection() {
        let table = r#"{"namespace": "shop", "labels": "app=web", "capture_output": false}"#;
        let selection: Selection = serde_json::from_str(table).unwrap();
        assert_eq!(selection, Selection { capture_output: false, ..parse("shop:app=web") });
        let text: Selection = serde_json::from_str("\"shop:app=web\"").unwrap();
        assert_eq!(text, parse("shop:app=web"));
        assert!(serde_json::from_str::<Selection>(r#"{"label": "x"}"#).is_err());
        let json = serde_json::to_string(&selection).unwrap();
        assert_eq!(serde_json::from_str::<Selection>(&json).unwrap(), selection);
    }

    #[test]
    fn the_default_is_the_gateways_label() {
        assert_eq!(Selection::gateway(), parse(DEFAULT));
    }
}

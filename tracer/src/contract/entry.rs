//! One entry of a timeline: when, to which process, what (docs/events.md).

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

use super::{
    kinds::{
        Bind, Call, CallsForgotten, CgroupChange, Exec, ExecFailed, Exit, Fork, Found, Lost, Oom,
        Signal, Threads, Words,
    },
    process::Process,
    readable::{self, Readable},
};

#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// RFC 3339, UTC, nanoseconds.
    pub time: String,
    /// Nanoseconds from the beginning of the life.
    pub offset_ns: i64,
    /// The process that it happened to.
    pub process: Process,
    pub what: What,
}

/// One of a kind that this version does not know, or cannot read.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Unknown {
    #[serde(skip)]
    pub kind: String,
    /// Its own, an object.
    #[serde(flatten)]
    pub fields: Value,
}

macro_rules! kinds {
    ($($name:literal $kind:ident($body:ty);)*) => {
        /// What happened, of each kind.
        #[derive(Clone, Debug, PartialEq, Serialize)]
        #[serde(untagged)]
        pub enum What {
            $($kind($body),)*
            Unknown(Unknown),
        }

        /// Every kind that is known.
        pub const KINDS: [&str; 14] = [$($name),*];

        impl What {
            /// Its name.
            pub fn kind(&self) -> &str {
                match self {
                    $(Self::$kind(_) => $name,)*
                    Self::Unknown(unknown) => &unknown.kind,
                }
            }

            /// Of a kind by its name, with the fields that are its own.
            pub fn read(kind: &str, fields: Map<String, Value>) -> Self {
                let fields = Value::Object(fields);
                let known = match kind {
                    $($name => <$body>::deserialize(&fields).ok().map(Self::$kind),)*
                    _ => None,
                };
                let kind = kind.to_owned();
                known.unwrap_or(Self::Unknown(Unknown { kind, fields }))
            }
        }
    };
}

kinds! {
    "exec" Exec(Exec);
    "exec_failed" ExecFailed(ExecFailed);
    "fork" Fork(Fork);
    "found" Found(Found);
    "exit" Exit(Box<Exit>);
    "signal" Signal(Box<Signal>);
    "threads" Threads(Threads);
    "oom" Oom(Box<Oom>);
    "bind" Bind(Box<Bind>);
    "call" Call(Box<Call>);
    "calls_forgotten" CallsForgotten(CallsForgotten);
    "words" Words(Words);
    "cgroup" Cgroup(CgroupChange);
    "lost" Lost(Lost);
}

/// Its shape in JSON, where the fields of its kind stand beside the others.
#[derive(Serialize)]
struct Written<'a> {
    time: &'a str,
    offset_ns: i64,
    kind: &'a str,
    process: &'a Process,
    #[serde(flatten)]
    what: &'a What,
}

/// What makes an entry is that it has a time: all else is read as far as it can be.
#[derive(Deserialize)]
struct Read {
    time: Readable<String>,
    #[serde(default)]
    offset_ns: Readable<i64>,
    #[serde(default)]
    kind: Readable<String>,
    #[serde(default, deserialize_with = "readable::fields")]
    process: Process,
    #[serde(flatten)]
    fields: Map<String, Value>,
}

/// The kind of an entry that does not say which it is of.
const NO_KIND: &str = "unreadable";

impl Serialize for Entry {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { time, offset_ns, process, what } = self;
        Written { time, offset_ns: *offset_ns, kind: what.kind(), process, what }
            .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Entry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Read { time, offset_ns, kind, process, fields } = Read::deserialize(deserializer)?;
        let kind = match &kind {
            Readable::Read(kind) => kind,
            Readable::Other(_) => NO_KIND,
        };
        let what = What::read(kind, fields);
        Ok(Self { time: time.or_default(), offset_ns: offset_ns.or_default(), process, what })
    }
}

impl Entry {
    /// The entries of a JSON list. One that cannot be read keeps its place, by which evidence cites the others.
    ///
    /// # Errors
    /// It is no list.
    pub fn list(json: &str) -> serde_json::Result<Vec<Self>> {
        let entries: Vec<Readable<Self>> = serde_json::from_str(json)?;
        let entry = |entry| match entry {
            Readable::Read(entry) => entry,
            Readable::Other(_) => Self {
                time: String::new(),
                offset_ns: 0,
                process: Process::default(),
                what: What::read(NO_KIND, Map::new()),
            },
        };
        Ok(entries.into_iter().map(entry).collect())
    }
}

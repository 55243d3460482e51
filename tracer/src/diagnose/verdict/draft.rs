//! A verdict being written. It must not decide.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Map, Value};

use crate::{
    capture::event::{Address, ProcessId, Protocol, Status},
    contract::Evidence,
    linux::{errno::Errno, text::Text},
};

use crate::diagnose::verdict::{Cause, Confidence, Verdict, wording};

pub(super) struct Draft(Verdict);

impl Draft {
    pub fn new(cause: Cause, confidence: Confidence, blamed: ProcessId) -> Self {
        Self(Verdict {
            cause,
            confidence,
            summary: String::new(),
            evidence: Vec::new(),
            next_step: String::new(),
            blamed,
            details: Map::new(),
        })
    }

    pub fn summary(mut self, text: String) -> Self {
        self.0.summary = text;
        self
    }

    /// As the rule itself judges it, where it knows more than how the call was chosen.
    pub fn confidence(mut self, confidence: Confidence) -> Self {
        self.0.confidence = confidence;
        self
    }

    pub fn next_step(mut self, text: impl Into<String>) -> Self {
        self.0.next_step = text.into();
        self
    }

    pub fn evidence(mut self, text: impl Into<String>, entries: impl Into<Vec<usize>>) -> Self {
        self.0.evidence.push(Evidence { text: text.into(), timeline: entries.into() });
        self
    }

    pub fn detail(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.0.details.insert(key.to_owned(), value.into());
        self
    }

    /// A detail that is left out where it is not known.
    pub fn known(self, key: &str, value: Option<impl Into<Value>>) -> Self {
        match value {
            Some(value) => self.detail(key, value),
            None => self,
        }
    }

    /// Bytes: beside those that are not UTF-8 stands their base64.
    pub fn text(mut self, key: &str, text: &Text) -> Self {
        if !text.is_utf8() {
            self = self.detail(&format!("{key}_b64"), STANDARD.encode(text.as_bytes()));
        }
        self.detail(key, text.to_json_string())
    }

    pub fn errno(self, errno: Errno) -> Self {
        self.detail("errno", errno.to_string())
    }

    pub fn status(self, status: Status) -> Self {
        let draft = self.known("exit_code", status.code);
        match status.signal {
            Some(signal) => draft.detail("signal", signal.name()).detail("core", status.core),
            None => draft,
        }
    }

    pub fn address(self, address: &Address, protocol: Option<Protocol>, port: u16) -> Self {
        let draft = match address {
            Address::Inet(inet) => {
                self.detail("address", wording::unmapped(*inet).ip().to_string())
            }
            Address::Unix(path) => self.text("path", path),
            Address::None | Address::Netlink | Address::Family(_) => self,
        };
        let port = address.port().or(Some(port).filter(|port| *port != 0));
        draft.known("port", port).known("protocol", protocol.and_then(wording::protocol_key))
    }

    pub fn finish(self) -> Verdict {
        self.0
    }
}

//! The names of realms. Each realm is a mesh of its own: no message passes from one to another.

use std::{fmt, str::FromStr, sync::Arc};

use thiserror::Error;

/// The longest name, in bytes: as long as a host name may be (RFC 1035, 2.3.4).
const LONGEST: usize = 253;

/// A realm's name: segments with dots between them, in lower case.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RealmName(Arc<str>);

#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{name:?} is no realm: {why}; a realm is like be.cortexiq.energy")]
pub struct RealmError {
    name: String,
    why: &'static str,
}

impl RealmName {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for RealmName {
    type Err = RealmError;

    /// Spaces around the name and the case of its letters do not matter.
    fn from_str(name: &str) -> Result<Self, RealmError> {
        let wrong = |why| RealmError { name: name.chars().take(LONGEST).collect(), why };
        let normal = name.trim().to_lowercase();
        if normal.is_empty() {
            return Err(wrong("it is empty"));
        }
        if normal.len() > LONGEST {
            return Err(wrong("it is longer than 253 bytes"));
        }
        if normal.split('.').any(str::is_empty) {
            return Err(wrong("a segment is empty"));
        }
        if normal.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return Err(wrong("it has a space or a control character in it"));
        }
        Ok(Self(normal.into()))
    }
}

impl fmt::Display for RealmName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_realm_is_compared_without_case_and_spaces_around() {
        let realm: RealmName = " Be.CortexIQ.energy\n".parse().unwrap();
        assert_eq!(realm.as_str(), "be.cortexiq.energy");
    }

    #[test]
    fn what_is_no_realm_says_why() {
        for (name, why) in [
            ("", "empty"),
            (".energy", "a segment is empty"),
            ("energy.", "a segment is empty"),
            ("be..energy", "a segment is empty"),
            ("be cortexiq", "a space"),
            (&"a".repeat(254), "longer"),
        ] {
            let error = name.parse::<RealmName>().unwrap_err().to_string();
            assert!(error.contains(why), "{name}: {error}");
        }
    }
}

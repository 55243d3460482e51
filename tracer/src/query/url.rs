//! Paths with queries, as the API takes them. It must not know what they mean.

use anyhow::Context as _;
use serde::Serialize;

/// A path and its query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url(String);

impl Url {
    /// Without a query.
    pub fn new(path: &str) -> Self {
        Self(path.to_owned())
    }

    /// Parameters without a value are left out.
    ///
    /// # Errors
    /// A parameter is neither text nor a number.
    pub fn with(path: &str, parameters: &impl Serialize) -> anyhow::Result<Self> {
        let query = serde_urlencoded::to_string(parameters)
            .context("the question cannot be written as a query")?;
        Ok(Self(if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") }))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::question::{CRASHES, Crashes, Death, Events};

    #[test]
    fn values_are_encoded_and_absent_ones_left_out() {
        let label = Some("app=a&b,c in (ü)".to_owned());
        let crashes = Crashes { label, limit: Some(5), ..Crashes::default() };
        let url = Url::with(CRASHES, &crashes).unwrap();
        let expected = "/v1/crashes?label=app%3Da%26b%2Cc+in+%28%C3%BC%29&limit=5";
        assert_eq!(url.as_str(), expected);
        assert_eq!(Url::with(CRASHES, &Crashes::default()).unwrap(), Url::new(CRASHES));
    }

    #[test]
    fn what_a_client_writes_the_api_reads() {
        fn again<T: Serialize + serde::de::DeserializeOwned>(parameters: &T) -> T {
            let url = Url::with("/", parameters).unwrap();
            let query = url.as_str().strip_prefix("/?").unwrap();
            serde_urlencoded::from_str(query).unwrap()
        }
        let text = |text: &str| Some(text.to_owned());
        let crashes = Crashes {
            pod: text("a b+c%20&d"),
            cause: text("oom_killed,abort"),
            all: true,
            limit: Some(0),
            ..Crashes::default()
        };
        assert_eq!(again(&crashes), crashes);
        let pod = "ü\n?".to_owned();
        let death = Death { pod, previous: Some(3), color: true, ..Death::default() };
        assert_eq!(again(&death), death);
        let events =
            Events { since: text("10m"), after_row: Some(-1), limit: Some(7), ..Events::default() };
        assert_eq!(again(&events), events);
        assert!(serde_urlencoded::from_str::<Events>("pods=a").is_err());
    }
}

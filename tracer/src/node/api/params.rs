//! What a query asks for, checked. It must not know who answers.

use std::sync::Arc;

use axum::{extract::Query, http::Uri};
use jiff::Timestamp;
use serde::de::DeserializeOwned;

use super::error::ApiError;
use crate::{
    config::when,
    contract::{
        CRASH, KINDS,
        question::{Crashes, Death, Events},
    },
    diagnose::verdict::Cause,
    node::{
        attribute::selection::{LabelSelector, SelectionError},
        live::Wanted,
        store::{EventFilter, Filter, LabelTest, Selector},
    },
};

/// Crashes in one answer where no limit is given.
const CRASHES: usize = 500;
const MOST_CRASHES: usize = 10_000;
const EVENTS: usize = 1_000;
const MOST_EVENTS: usize = 10_000;

/// Reads the query of `uri`.
pub fn parse<T: DeserializeOwned>(uri: &Uri) -> Result<T, ApiError> {
    match Query::try_from_uri(uri) {
        Ok(Query(params)) => Ok(params),
        Err(rejection) => Err(ApiError::bad_request(rejection.body_text())),
    }
}

impl Crashes {
    /// Of the store. Times can be given from `now` on back.
    pub(super) fn filter(self, now: Timestamp) -> Result<Filter, ApiError> {
        let causes = listed(self.cause.as_deref());
        let known = Cause::ALL.iter().map(|cause| cause.name());
        all_known("cause", &causes, &known.collect::<Vec<_>>())?;
        Ok(Filter {
            namespace: self.namespace,
            pod: self.pod,
            container: self.container,
            labels: label_test(self.label.as_deref())?,
            since_ns: time(self.since.as_deref(), now)?,
            until_ns: time(self.until.as_deref(), now)?,
            causes,
            all: self.all,
            limit: Some(limit(self.limit, CRASHES, MOST_CRASHES)?),
        })
    }
}

impl Death {
    pub(super) fn selector(self) -> Selector {
        Selector::parse(&self.pod, self.namespace, self.container, self.previous.unwrap_or(0))
    }
}

impl Events {
    /// The filter, and the most events of one answer.
    pub(super) fn stored(self, now: Timestamp) -> Result<(EventFilter, usize), ApiError> {
        let kinds = listed(self.kind.as_deref());
        all_known("kind", &kinds, &KINDS)?;
        let filter = EventFilter {
            namespace: self.namespace,
            pod: self.pod,
            container: self.container,
            labels: label_test(self.label.as_deref())?,
            container_id: None,
            since_ns: time(self.since.as_deref(), now)?,
            until_ns: time(self.until.as_deref(), now)?,
            kinds,
            after_row: self.after_row.unwrap_or(0),
        };
        Ok((filter, limit(self.limit, EVENTS, MOST_EVENTS)?))
    }

    pub(super) fn live(self) -> Result<Wanted, ApiError> {
        let past = [self.since.is_some(), self.until.is_some(), self.after_row.is_some()];
        if past.contains(&true) || self.limit.is_some() {
            let message = "live events have no since, until, after_row or limit: they begin now";
            return Err(ApiError::bad_request(message));
        }
        let kinds = listed(self.kind.as_deref());
        let known: Vec<&str> = KINDS.into_iter().chain([CRASH]).collect();
        all_known("kind", &kinds, &known)?;
        Ok(Wanted {
            kinds,
            namespace: self.namespace,
            pod: self.pod,
            container: self.container,
            labels: label_test(self.label.as_deref())?,
        })
    }
}

/// At the commas.
fn listed(text: Option<&str>) -> Vec<String> {
    text.map_or_else(Vec::new, |text| text.split(',').map(|name| name.trim().to_owned()).collect())
}

fn all_known(what: &str, names: &[String], known: &[&str]) -> Result<(), ApiError> {
    match names.iter().find(|name| !known.contains(&name.as_str())) {
        None => Ok(()),
        Some(name) => {
            let known = known.join(", ");
            Err(ApiError::bad_request(format!("{name:?} is no {what}: there are {known}")))
        }
    }
}

fn label_test(text: Option<&str>) -> Result<Option<LabelTest>, ApiError> {
    let Some(text) = text else { return Ok(None) };
    let selector: LabelSelector = text.parse().map_err(|SelectionError { reason, at, .. }| {
        ApiError::bad_request(format!(
            "cannot read the labels `{text}`: {reason} at `{at}`; write them as kubectl takes them, e.g. app=web,tier in (a,b),!canary"
        ))
    })?;
    Ok(Some(Arc::new(move |labels| selector.matches(labels))))
}

fn time(text: Option<&str>, now: Timestamp) -> Result<Option<i64>, ApiError> {
    let Some(text) = text else { return Ok(None) };
    let time = when::parse(text, now).map_err(|error| ApiError::bad_request(error.to_string()))?;
    Ok(Some(when::nanoseconds(time)))
}

fn limit(given: Option<usize>, usual: usize, most: usize) -> Result<usize, ApiError> {
    let limit = given.unwrap_or(usual);
    if limit > most {
        let message = format!("limit is {limit}, {most} is the most of one answer");
        return Err(ApiError::bad_request(message));
    }
    Ok(limit)
}

//! The routes about crashes: listed, one with its timeline, one explained. It must not know SQL.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
    http::{HeaderMap, Uri, header::CONTENT_TYPE},
    response::{Html, IntoResponse, Response},
};
use jiff::Timestamp;

use super::{
    Memory,
    accept::{Form, JSON_LINES, form},
    error::ApiError,
    params,
};
use crate::{
    contract::{
        CrashObject, Explanation,
        question::{Crashes, Death, Shown},
    },
    node::store::{Selector, StoredCrash},
    render::{crash_page, without_colour},
};

type Answer = Result<Response, ApiError>;

pub async fn list(State(memory): State<Arc<Memory>>, headers: HeaderMap, uri: Uri) -> Answer {
    let filter = params::parse::<Crashes>(&uri)?.filter(Timestamp::now())?;
    let crashes = memory.readers.read(move |reader| reader.crashes(&filter)).await?;
    if form(&headers, &[Form::Json, Form::JsonLines]) == Form::Json {
        let array = format!("[{}]", crashes.join(","));
        return Ok(([(CONTENT_TYPE, "application/json")], array).into_response());
    }
    let lines: String = crashes.iter().flat_map(|crash| [crash, "\n"]).collect();
    Ok(([(CONTENT_TYPE, JSON_LINES)], lines).into_response())
}

pub async fn by_id(
    State(memory): State<Arc<Memory>>,
    Path(id): Path<String>,
    headers: HeaderMap,
    uri: Uri,
) -> Answer {
    let shown: Shown = params::parse(&uri)?;
    one(&memory, Selector::Id(id), &headers, shown.color).await
}

pub async fn timeline(State(memory): State<Arc<Memory>>, headers: HeaderMap, uri: Uri) -> Answer {
    let death: Death = params::parse(&uri)?;
    let color = death.color;
    one(&memory, death.selector(), &headers, color).await
}

async fn one(memory: &Memory, selector: Selector, headers: &HeaderMap, color: bool) -> Answer {
    let absent = nothing_of(&selector);
    let crash = memory.readers.read(move |reader| reader.crash(&selector)).await?.ok_or(absent)?;
    let StoredCrash { object, text, .. } = crash;
    Ok(match form(headers, &[Form::Json, Form::Text, Form::Html]) {
        Form::Text if color => text.into_response(),
        Form::Text => without_colour(&text).into_response(),
        Form::Html => Html(crash_page(&object)).into_response(),
        Form::Json | Form::JsonLines | Form::Stream => Json(object).into_response(),
    })
}

pub async fn explain(State(memory): State<Arc<Memory>>, uri: Uri) -> Answer {
    let selector = params::parse::<Death>(&uri)?.selector();
    let absent = nothing_of(&selector);
    let found = memory.readers.read(move |reader| {
        let Some(crash) = reader.crash(&selector)? else { return Ok(None) };
        let changes = reader.changes(&crash)?;
        Ok(Some((crash.object, changes)))
    });
    let (object, changes) = found.await?.ok_or(absent)?;
    let object = CrashObject { timeline: None, ..object };
    Ok(Json(Explanation { object, changes }).into_response())
}

fn nothing_of(selector: &Selector) -> ApiError {
    ApiError::not_found(match selector {
        Selector::Id(id) => format!("no crash and no pod is named {id:?}"),
        Selector::Pod { name, namespace, container, previous } => {
            let within = |what: &str, name: &Option<String>| {
                name.as_ref().map_or(String::new(), |name| format!(" in {what} {name:?}"))
            };
            let earlier = match previous {
                0 => String::new(),
                _ => format!(" with {previous} later ones"),
            };
            format!(
                "no end of a container{} of pod {name:?}{} is remembered{earlier}",
                container.as_ref().map_or(String::new(), |name| format!(" {name:?}")),
                within("namespace", namespace),
            )
        }
    })
}

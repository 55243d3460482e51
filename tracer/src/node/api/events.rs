//! The route of events: those that are stored, a part at a time, or those that happen, as a stream. It must
//! not know SQL.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    extract::State,
    http::{HeaderMap, HeaderName, Uri, header::CONTENT_TYPE},
    response::{
        IntoResponse, Response,
        sse::{Event, KeepAlive, Sse},
    },
};
use jiff::Timestamp;
use tokio_stream::StreamExt;

use super::{
    Memory,
    accept::{Form, JSON_LINES, form},
    error::ApiError,
    params,
};
use crate::{
    contract::{Gap, question},
    node::{
        live::Told,
        store::{EventFilter, Reader, StoreError},
    },
};

/// Response header: the row to give as `after_row` to read on.
pub const LAST_ROW: HeaderName = HeaderName::from_static("x-last-row");
/// Response header: `true` where more is stored than one answer holds.
pub const MORE: HeaderName = HeaderName::from_static("x-more");

/// JSON text of one answer: a few long events fill it before the limit of their number does.
const MOST_BYTES: usize = 4 << 20;

pub async fn events(
    State(memory): State<Arc<Memory>>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, ApiError> {
    let asked: question::Events = params::parse(&uri)?;
    let form = form(&headers, &[Form::Json, Form::JsonLines, Form::Stream]);
    if form == Form::Stream {
        return live(&memory, asked);
    }
    let (filter, limit) = asked.stored(Timestamp::now())?;
    let part = memory.readers.read(move |reader| Part::read(reader, filter, limit)).await?;
    let (content_type, body) = match form {
        Form::JsonLines => (JSON_LINES, part.lines.concat()),
        Form::Json | Form::Text | Form::Html | Form::Stream => {
            let array: Vec<&str> = part.lines.iter().map(|line| line.trim_end()).collect();
            ("application/json", format!("[{}]", array.join(",")))
        }
    };
    let headers = [
        (CONTENT_TYPE, content_type.to_owned()),
        (LAST_ROW, part.last_row.to_string()),
        (MORE, part.more.to_string()),
    ];
    Ok((headers, body).into_response())
}

/// As many events as one answer holds.
struct Part {
    /// Each ends in a newline.
    lines: Vec<String>,
    last_row: i64,
    more: bool,
}

impl Part {
    fn read(reader: &Reader, filter: EventFilter, limit: usize) -> Result<Self, StoreError> {
        // Before the events are read: one that is committed meanwhile must not be skipped.
        let newest = reader.last_row()?;
        let mut part = Self { lines: Vec::new(), last_row: filter.after_row, more: false };
        if limit == 0 {
            return Ok(Self { last_row: newest, ..part });
        }
        let mut bytes = 0;
        for event in reader.events(filter) {
            if part.lines.len() == limit || bytes > MOST_BYTES {
                return Ok(Self { more: true, ..part });
            }
            let event = event?;
            let line = serde_json::to_string(&event.event)? + "\n";
            bytes += line.len();
            part.lines.push(line);
            part.last_row = event.row;
        }
        part.last_row = part.last_row.max(newest);
        Ok(part)
    }
}

/// A comment that says that the stream lives.
const HEARTBEAT: Duration = Duration::from_secs(15);

fn live(memory: &Memory, asked: question::Events) -> Result<Response, ApiError> {
    let Some(bus) = &memory.live else {
        return Err(ApiError::bad_request("a store has no live events: ask an agent"));
    };
    let Some(subscription) = bus.subscribe(asked.live()?) else {
        return Err(ApiError::unavailable("too many follow the live events: try again later"));
    };
    let events = subscription.map(|told| {
        Ok::<_, Infallible>(match told {
            Told::Line(line) => Event::default().event(line.kind).data(&line.json),
            Told::Lost(count) => {
                let gap = Gap::of_lines(count);
                let json = serde_json::to_string(&gap).expect("a gap has only string keys");
                Event::default().event(Gap::KIND).data(json)
            }
        })
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(HEARTBEAT)).into_response())
}

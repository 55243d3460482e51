//! In which form an answer is wanted. It must not know what is answered.

use axum::http::{HeaderMap, header::ACCEPT};

/// The forms that there are; each route has some of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Json,
    /// One JSON object a line.
    JsonLines,
    Text,
    Html,
    /// Server-sent events.
    Stream,
}

pub const JSON_LINES: &str = "application/jsonl";

/// The first form of `offered` that `Accept` names; JSON where it names none of them. Weights are not read.
pub fn form(headers: &HeaderMap, offered: &[Form]) -> Form {
    let values = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    values
        .flat_map(|value| value.split(','))
        .filter_map(|range| named(range.split(';').next().unwrap_or_default().trim()))
        .find(|form| offered.contains(form))
        .unwrap_or(Form::Json)
}

fn named(range: &str) -> Option<Form> {
    match range {
        "application/json" => Some(Form::Json),
        JSON_LINES => Some(Form::JsonLines),
        "text/plain" => Some(Form::Text),
        "text/html" => Some(Form::Html),
        "text/event-stream" => Some(Form::Stream),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_form_that_is_offered_is_taken() {
        let check = |accept: &'static str, expected| {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT, accept.parse().unwrap());
            assert_eq!(form(&headers, &[Form::Json, Form::Html]), expected, "{accept}");
        };
        check("*/*", Form::Json);
        check("application/json", Form::Json);
        check("text/html,application/xhtml+xml;q=0.9,*/*;q=0.8", Form::Html);
        check("text/plain;q=1, text/html", Form::Html);
        check("application/jsonl", Form::Json);
        assert_eq!(form(&HeaderMap::new(), &[Form::Json]), Form::Json);
    }
}

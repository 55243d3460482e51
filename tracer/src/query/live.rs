//! Events as they happen, of one agent or of several. It must not know how they are printed.

use std::time::Duration;

use anyhow::{Context as _, bail};
use axum::body::Body;
use futures_util::{Stream, StreamExt as _, stream};
use http_body_util::BodyExt as _;
use tokio::time::timeout;

use super::{
    Found,
    printer::Printer,
    source::{Answer, Source},
    sources::Sources,
    sse::Parser,
    tell_silent,
    url::Url,
};
use crate::contract::{
    Gap, K8s,
    kinds::Of,
    question::{EVENTS, Events},
};

/// Several heartbeats of an agent.
const SILENCE: Duration = Duration::from_secs(60);

/// Prints them until nobody reads on, or no stream is left.
pub async fn follow(
    asked: &Events,
    printer: Printer,
    sources: &mut Sources,
) -> anyhow::Result<Found> {
    let url = Url::with(EVENTS, asked)?;
    let bodies = sources.all(async |_, source| open(source, &url).await).await?;
    tell_silent(sources);
    let streams = bodies
        .into_iter()
        .map(|(node, body)| events(body).map(move |events| (node, events)).boxed_local());
    let mut streams = stream::select_all(streams);
    while let Some((node, events)) = streams.next().await {
        match events {
            Ok(events) => {
                let node = sources.node(node).filter(|_| sources.are_several());
                for event in events {
                    if printer.print(&(named(event, node) + "\n"), node)?.is_break() {
                        return Ok(Found::Something);
                    }
                }
            }
            Err(error) => {
                sources.be_silent(node, error)?;
                tell_silent(sources);
            }
        }
    }
    bail!("no live stream is left")
}

/// Lines that got lost on a node's own stream are nobody's: among those of several nodes they say whose.
fn named(event: String, node: Option<&str>) -> String {
    let Some(node) = node else { return event };
    match serde_json::from_str::<Gap>(&event) {
        Ok(mut gap) if gap.of == Of::Lines => {
            gap.k8s = Some(K8s::of_node(node));
            serde_json::to_string(&gap).unwrap_or(event)
        }
        Ok(_) | Err(_) => event,
    }
}

async fn open(source: &mut Source, url: &Url) -> anyhow::Result<Body> {
    match source.get(url, "text/event-stream").await? {
        Answer::Found(answer) => Ok(answer.into_body()),
        Answer::Nothing(why) | Answer::Several { message: why, .. } => bail!(why),
    }
}

/// The events of a body, as they come. Its last item is why it ended.
fn events(body: Body) -> impl Stream<Item = anyhow::Result<Vec<String>>> {
    stream::unfold(Some((body, Parser::default())), async |state| {
        let (mut body, mut parser) = state?;
        match part(&mut body, &mut parser).await {
            Ok(events) => Some((Ok(events), Some((body, parser)))),
            Err(error) => Some((Err(error), None)),
        }
    })
}

async fn part(body: &mut Body, parser: &mut Parser) -> anyhow::Result<Vec<String>> {
    let Ok(frame) = timeout(SILENCE, body.frame()).await else {
        bail!("the live stream fell silent");
    };
    let Some(frame) = frame else { bail!("the live stream ended: the agent was stopped") };
    let frame = frame.context("the live stream broke off")?;
    Ok(frame.data_ref().map_or_else(Vec::new, |bytes| parser.take(bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lost_lines_say_on_which_of_several_nodes() {
        let lost = r#"{"kind":"lost","of":"lines","count":3}"#;
        let expected = r#"{"kind":"lost","of":"lines","count":3,"k8s":{"node":{"name":"a"}}}"#;
        assert_eq!(named(lost.to_owned(), Some("a")), expected);
        assert_eq!(named(lost.to_owned(), None), lost);
        assert_eq!(named("{\"n\":1}".to_owned(), Some("a")), "{\"n\":1}");
    }
}

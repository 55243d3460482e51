//! Lists and watches the pods of one node, for ever: what the API does not answer is asked again, ever more seldom. It
//! must not know what is kept of a pod, or why.

use std::{pin::Pin, time::Duration};

use kube::{
    Api, Client,
    runtime::watcher::{self, DefaultBackoff, Event},
};
use tokio::time::{Instant, sleep_until};
use tokio_stream::StreamExt as _;

use super::{Pod, object::Object};

/// Between two tries where nothing else is known.
const PAUSE: Duration = Duration::from_secs(30);

/// What the API told.
#[derive(Debug)]
pub enum Change {
    /// All pods of the node.
    Listed(Vec<Pod>),
    Applied(Box<Pod>),
    Deleted(Box<Pod>),
    /// It does not answer, or not as it should: why, in words. Then comes another `Listed`.
    Failed(String),
}

type Events = Pin<Box<dyn tokio_stream::Stream<Item = watcher::Result<Event<Object>>> + Send>>;

/// The changes of one node's pods.
pub struct Stream {
    api: Api<Object>,
    config: watcher::Config,
    backoff: DefaultBackoff,
    events: Events,
    /// After a failure nothing is asked before.
    again: Option<Instant>,
    list: Vec<Pod>,
}

impl Stream {
    /// Nothing is asked yet.
    pub fn new(client: Client, node: &str) -> Self {
        let api = Api::all(client);
        // From the server's memory, not from etcd: there are as many of us as there are nodes.
        let config =
            watcher::Config::default().fields(&format!("spec.nodeName={node}")).any_semantic();
        let events = Box::pin(watcher::watcher(api.clone(), config.clone()));
        Self {
            api,
            config,
            backoff: DefaultBackoff::default(),
            events,
            again: None,
            list: Vec::new(),
        }
    }

    /// The next change. Nothing is lost where it is not waited for to the end.
    pub async fn next(&mut self) -> Change {
        loop {
            if let Some(again) = self.again {
                sleep_until(again).await;
                // With a new list it is known at once that it answers again, and what was missed.
                self.events = Box::pin(watcher::watcher(self.api.clone(), self.config.clone()));
                self.again = None;
            }
            let error = match self.events.next().await {
                Some(Ok(event)) => match self.take(event) {
                    Some(change) => return change,
                    None => continue,
                },
                Some(Err(error)) => in_words(&error),
                None => "the watch ended".to_owned(),
            };
            self.again = Some(Instant::now() + self.backoff.next().unwrap_or(PAUSE));
            return Change::Failed(error);
        }
    }

    fn take(&mut self, event: Event<Object>) -> Option<Change> {
        match event {
            Event::Init => self.list.clear(),
            Event::InitApply(object) => self.list.extend(Pod::of(object)),
            Event::InitDone => return Some(Change::Listed(std::mem::take(&mut self.list))),
            Event::Apply(object) => return Pod::of(object).map(Box::new).map(Change::Applied),
            Event::Delete(object) => return Pod::of(object).map(Box::new).map(Change::Deleted),
        }
        None
    }
}

/// With what lies beneath it.
fn in_words(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        let cause = source.to_string();
        if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
        next = source.source();
    }
    text
}

//! The bus of live observations and crashes: from the agent to whoever follows. A slow follower loses lines
//! and is told how many; it never makes the agent wait. It must not know how lines travel on.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};

use tokio::sync::broadcast;
use tokio_stream::{
    Stream,
    wrappers::{BroadcastStream, errors::BroadcastStreamRecvError},
};

use crate::node::{
    identity::Identity,
    metrics::{LinesLost, Metrics, SubscriberRefused},
    store::LabelTest,
};

/// Lines that a follower may be behind.
const BACKLOG: usize = 4096;
/// Followers at one time.
const MOST_SUBSCRIBERS: usize = 32;

/// One line of the live stream.
#[derive(Clone, Debug)]
pub struct Line {
    /// One JSON object without a newline.
    pub json: String,
    /// `contract::KINDS`, or `crash`.
    pub kind: &'static str,
    /// Whose it is, where that is known yet.
    pub identity: Option<Arc<Identity>>,
    /// Of a crash.
    pub cause: Option<&'static str>,
}

/// What of the stream a follower wants. An empty list and `None` mean all.
#[derive(Clone, Default)]
pub struct Wanted {
    pub kinds: Vec<String>,
    pub namespace: Option<String>,
    pub pod: Option<String>,
    pub container: Option<String>,
    pub labels: Option<LabelTest>,
}

impl Wanted {
    pub fn has(&self, line: &Line) -> bool {
        let who = line.identity.as_deref();
        let is = |wanted: &Option<String>, is: Option<&String>| {
            wanted.as_ref().is_none_or(|wanted| is == Some(wanted))
        };
        (self.kinds.is_empty() || self.kinds.iter().any(|kind| kind == line.kind))
            && is(&self.namespace, who.and_then(|who| who.namespace.as_ref()))
            && is(&self.pod, who.and_then(|who| who.pod_name.as_ref()))
            && is(&self.container, who.and_then(|who| who.container_name.as_ref()))
            && self.labels.as_ref().is_none_or(|test| who.is_some_and(|who| test(&who.labels)))
    }
}

#[derive(Clone, Debug)]
enum Message {
    Line(Arc<Line>),
    /// Nothing comes after it.
    End,
}

/// Takes lines from the agent and hands them to every follower.
#[derive(Clone, Debug)]
pub struct Bus {
    messages: broadcast::Sender<Message>,
    subscribers: Arc<AtomicUsize>,
    metrics: Arc<Metrics>,
}

impl Bus {
    pub fn new(metrics: Arc<Metrics>) -> Self {
        let (messages, _) = broadcast::channel(BACKLOG);
        Self { messages, subscribers: Arc::default(), metrics }
    }

    /// Whether anybody follows: if not, a line need not be made for it.
    pub fn is_followed(&self) -> bool {
        self.messages.receiver_count() > 0
    }

    /// Never waits.
    pub fn publish(&self, line: Line) {
        // The error says that nobody follows.
        let _ = self.messages.send(Message::Line(Arc::new(line)));
    }

    /// Ends the streams of those that follow now.
    pub fn end(&self) {
        let _ = self.messages.send(Message::End);
    }

    /// `None` where there are as many followers as are allowed.
    pub fn subscribe(&self, wanted: Wanted) -> Option<Subscription> {
        let taken = self.subscribers.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |count| {
            (count < MOST_SUBSCRIBERS).then_some(count + 1)
        });
        if taken.is_err() {
            SubscriberRefused { most: MOST_SUBSCRIBERS }.tell(&self.metrics);
            return None;
        }
        self.metrics.subscribers.inc();
        Some(Subscription {
            messages: BroadcastStream::new(self.messages.subscribe()),
            wanted,
            subscribers: self.subscribers.clone(),
            metrics: self.metrics.clone(),
        })
    }
}

/// What a follower gets next.
#[derive(Clone, Debug)]
pub enum Told {
    Line(Arc<Line>),
    /// So many lines, wanted or not, are gone: the follower was too slow.
    Lost(u64),
}

/// One follower of the bus, a stream of what it wants; it makes room for another when dropped.
pub struct Subscription {
    messages: BroadcastStream<Message>,
    wanted: Wanted,
    subscribers: Arc<AtomicUsize>,
    metrics: Arc<Metrics>,
}

impl Stream for Subscription {
    type Item = Told;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Told>> {
        loop {
            let message = std::task::ready!(Pin::new(&mut self.messages).poll_next(context));
            match message {
                Some(Ok(Message::Line(line))) if self.wanted.has(&line) => {
                    return Poll::Ready(Some(Told::Line(line)));
                }
                Some(Ok(Message::Line(_))) => {}
                Some(Ok(Message::End)) | None => return Poll::Ready(None),
                Some(Err(BroadcastStreamRecvError::Lagged(count))) => {
                    LinesLost { count }.tell(&self.metrics);
                    return Poll::Ready(Some(Told::Lost(count)));
                }
            }
        }
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.subscribers.fetch_sub(1, Ordering::Relaxed);
        self.metrics.subscribers.dec();
    }
}

#[cfg(test)]
mod tests {
    use tokio_stream::StreamExt;

    use super::*;

    fn bus() -> Bus {
        Bus::new(Arc::new(Metrics::new()))
    }

    fn line(kind: &'static str, pod: &str) -> Line {
        let identity = Identity {
            pod_name: Some(pod.to_owned()),
            namespace: Some("shop".to_owned()),
            labels: [("app".to_owned(), "cart".to_owned())].into(),
            ..Identity::default()
        };
        Line {
            json: format!("{{\"kind\":\"{kind}\"}}"),
            kind,
            identity: Some(Arc::new(identity)),
            cause: (kind == "crash").then_some("oom_killed"),
        }
    }

    #[tokio::test]
    async fn a_follower_gets_what_it_wants_only() {
        let bus = bus();
        let wanted = Wanted {
            kinds: vec!["crash".to_owned()],
            pod: Some("cart-1".to_owned()),
            ..Wanted::default()
        };
        let mut follower = bus.subscribe(wanted).unwrap();
        bus.publish(line("exec", "cart-1"));
        bus.publish(line("crash", "cart-2"));
        bus.publish(line("crash", "cart-1"));
        let Some(Told::Line(told)) = follower.next().await else { panic!("no line") };
        assert_eq!(told.kind, "crash");
        assert_eq!(told.identity.as_ref().unwrap().pod_name.as_deref(), Some("cart-1"));
    }

    #[test]
    fn every_filter_narrows() {
        let line = line("crash", "cart-1");
        let some = |text: &str| Some(text.to_owned());
        let label = |value: &'static str| -> Option<LabelTest> {
            Some(Arc::new(move |labels| labels.get("app").is_some_and(|is| is == value)))
        };
        assert!(Wanted::default().has(&line));
        assert!(Wanted { namespace: some("shop"), ..Wanted::default() }.has(&line));
        assert!(!Wanted { namespace: some("bank"), ..Wanted::default() }.has(&line));
        assert!(!Wanted { container: some("app"), ..Wanted::default() }.has(&line));
        assert!(Wanted { labels: label("cart"), ..Wanted::default() }.has(&line));
        assert!(!Wanted { labels: label("till"), ..Wanted::default() }.has(&line));
    }

    #[tokio::test]
    async fn a_slow_follower_is_told_how_much_it_lost_and_blocks_nobody() {
        let bus = bus();
        let mut slow = bus.subscribe(Wanted::default()).unwrap();
        for _ in 0..BACKLOG + 10 {
            bus.publish(line("exec", "cart-1"));
        }
        assert!(matches!(slow.next().await, Some(Told::Lost(10))));
        assert!(matches!(slow.next().await, Some(Told::Line(_))));
        assert_eq!(bus.metrics.subscriber_lines_lost.get(), 10);
    }

    #[tokio::test]
    async fn followers_are_bounded_and_make_room_when_they_leave() {
        let bus = bus();
        let mut followers: Vec<_> =
            (0..MOST_SUBSCRIBERS).map(|_| bus.subscribe(Wanted::default()).unwrap()).collect();
        assert!(bus.subscribe(Wanted::default()).is_none());
        assert_eq!(bus.metrics.subscribers_refused.get(), 1);
        followers.pop();
        assert!(bus.subscribe(Wanted::default()).is_some());
        drop(followers);
        assert_eq!(bus.metrics.subscribers.get(), 0);
        assert!(!bus.is_followed());
    }

    #[tokio::test]
    async fn followers_end_after_the_last_line() {
        let bus = bus();
        let mut follower = bus.subscribe(Wanted::default()).unwrap();
        bus.publish(line("exec", "cart-1"));
        bus.end();
        assert!(matches!(follower.next().await, Some(Told::Line(_))));
        assert!(follower.next().await.is_none());
    }
}

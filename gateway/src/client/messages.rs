//! The client publishes and subscribes. How messages travel is not known here.

use std::slice;

use bytes::Bytes;

use super::{Client, Error, SubscribeOptions, Subscription};
use crate::wire::{
    id::MessageId,
    message::{Message, Publish, Qos},
    topic::{Pattern, Topic},
};

/// How a message is published.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PublishOptions {
    /// Kept by the gateway for later subscribers; an empty payload forgets what was kept.
    pub retain: bool,
    /// Passed on to the subscribers. Delivery is at most once, for every value.
    pub qos: Qos,
}

impl Client {
    /// Queues a message; waits while much is queued already. Queued messages are lost if the last handle is dropped before
    /// [`Client::close`] or a later [`Client::ping`] has returned.
    ///
    /// # Errors
    /// There is no connection, or the payload is too long.
    pub async fn publish(
        &self,
        topic: &Topic,
        payload: impl Into<Bytes>,
        options: PublishOptions,
    ) -> Result<(), Error> {
        let payload = payload.into();
        self.check(payload.len())?;
        let PublishOptions { retain, qos } = options;
        self.handle
            .shared
            .link
            .with_room(|link| {
                let message_id = MessageId::from(link.next_id());
                let topic = topic.clone();
                link.push(&Message::Publish(Publish { topic, payload, qos, retain, message_id }));
                Ok(())
            })
            .await
    }

    /// Subscribes, and returns once the gateway has done so; without a connection the client subscribes as soon as there is
    /// one. A second subscription to the same pattern gets no retained messages; one with an overlapping pattern may get
    /// those of the other too.
    ///
    /// # Errors
    /// The subscription is not permitted, there are too many, or the client was closed.
    ///
    /// ```
    /// # use gateway::client::{Client, Config, PublishOptions, SubscribeOptions, Trust};
    /// # use gateway::{config::Settings, life::Gateway};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let gateway = Gateway::start(Settings::local()).await?;
    /// # let config = Config::new(gateway.udp.to_string(), "be.cortexiq.energy".parse()?, Trust::Insecure);
    /// # let client = Client::connect(config).await?;
    /// let kept = PublishOptions { retain: true, ..PublishOptions::default() };
    /// client.publish(&"lamp.state".parse()?, "on", kept).await?;
    /// let mut states = client.subscribe(&"*.state".parse()?, SubscribeOptions::default()).await?;
    /// assert_eq!(states.next().await.ok_or("closed")?.payload, "on");
    /// # Ok(())
    /// # }
    /// ```
    pub async fn subscribe(
        &self,
        pattern: &Pattern,
        options: SubscribeOptions,
    ) -> Result<Subscription, Error> {
        self.subscribe_all(slice::from_ref(pattern), options).await
    }

    /// Subscribes to several patterns at once: what matches more than one of them comes once.
    ///
    /// # Errors
    /// The subscription is not permitted, there are too many, or the client was closed.
    pub async fn subscribe_all(
        &self,
        patterns: &[Pattern],
        options: SubscribeOptions,
    ) -> Result<Subscription, Error> {
        let shared = self.handle.shared.clone();
        let (id, inbox) = shared.table.subscribe(patterns, options, &shared.link)?;
        let subscription = Subscription { id, inbox, shared };
        self.settle().await?;
        Ok(subscription)
    }
}

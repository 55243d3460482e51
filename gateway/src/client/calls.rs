//! The client calls procedures and offers its own. What a handler does is not known here.

use std::{sync::Arc, time::Duration};

use tokio::time::timeout;

use super::{CallError, Client, Error, Term, link::Link, table::Handler};
use crate::wire::{
    id::CallId,
    message::{Call, Cast, Message, Procedure},
    topic,
};

impl Client {
    /// Calls a procedure with one value of any type: bytes, or a [`Term`] from [`Term::of_json`]. The gateway shortens a
    /// timeout that is longer than it allows. A result that is a map with an `error` in it, as upstream's relay answers, is
    /// an error.
    ///
    /// # Errors
    /// The provider's own error, or one of these codes: `no_such_procedure`, `handler_error`, `timeout`, `busy`,
    /// `forbidden`, `invalid_call`, or `peer_disconnected` when the provider or the connection was lost, and the procedure may have run.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use gateway::{client::{Client, Config, Trust}, config::Settings, life::Gateway};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let gateway = Gateway::start(Settings::local()).await?;
    /// # let config = Config::new(gateway.udp.to_string(), "be.cortexiq.energy".parse()?, Trust::Insecure);
    /// # let client = Client::connect(config).await?;
    /// let soon = Duration::from_secs(5);
    /// let hello = client.call("com.macula.diagnostics.hello", "", soon).await?;
    /// assert!(hello.bytes()?.starts_with(b"{"));
    /// let failed = client.call("com.example.nobody", "", soon).await.unwrap_err();
    /// assert_eq!(failed.code, "no_such_procedure");
    /// # Ok(())
    /// # }
    /// ```
    pub async fn call(
        &self,
        procedure: &str,
        args: impl Into<Term>,
        within: Duration,
    ) -> Result<Term, CallError> {
        let procedure = named(procedure)?;
        let args = args.into();
        self.check(args.packed().len())?;
        let link = &self.handle.shared.link;
        let asked = async {
            let begun = link.with_room(|link| {
                let (call_id, answer) = link.begin_call()?;
                let id = call_id.clone();
                let milliseconds = u64::try_from(within.as_millis()).unwrap_or(u64::MAX);
                let timeout = Some(milliseconds);
                link.push(&Message::Call(Call { procedure, args, call_id, timeout }));
                Ok((id, answer))
            });
            let (call_id, answer) = begun.await?;
            let _pending = Pending { link, call_id };
            answer.await.unwrap_or_else(|_| Err(Error::Closed.into()))
        };
        let timed_out =
            |_| Err(CallError::new("timeout", format!("no reply came within {within:?}")));
        timeout(within, asked).await.unwrap_or_else(timed_out)
    }

    /// Calls a procedure without an answer: the caller does not learn whether it ran.
    ///
    /// # Errors
    /// There is no connection, the name is no procedure's, or the arguments are too long.
    pub async fn cast(&self, procedure: &str, args: impl Into<Term>) -> Result<(), Error> {
        let procedure = named(procedure)?;
        let args = args.into();
        self.check(args.packed().len())?;
        self.handle
            .shared
            .link
            .with_room(|link| {
                link.push(&Message::Cast(Cast { procedure, args }));
                Ok(())
            })
            .await
    }

    /// Offers a procedure as long as the client lives, as the protocol has no way to withdraw one; returns once the gateway
    /// knows it. Handlers of all procedures run together, `most_handlers` of them at a time. A handler is dropped at its
    /// call's deadline; a handler that panics answers by `handler_error`. A handler that holds this client keeps the client
    /// alive until it is closed.
    ///
    /// # Errors
    /// The procedure is not permitted, the name is no procedure's, there are too many, or the client was closed.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use gateway::client::{CallError, Client, Config, Trust};
    /// # use gateway::{config::Settings, life::Gateway};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let gateway = Gateway::start(Settings::local()).await?;
    /// # let config = Config::new(gateway.udp.to_string(), "be.cortexiq.energy".parse()?, Trust::Insecure);
    /// # let client = Client::connect(config).await?;
    /// client.register("com.example.length", |args| async move {
    ///     let bytes = args.bytes()?;
    ///     let text = str::from_utf8(&bytes).map_err(|error| CallError::handler(error.to_string()))?;
    ///     Ok(text.chars().count().to_string().into())
    /// }).await?;
    /// assert_eq!(client.call("com.example.length", "fünf", Duration::from_secs(5)).await?, "4");
    /// # Ok(())
    /// # }
    /// ```
    pub async fn register<H, F>(&self, procedure: &str, handler: H) -> Result<(), Error>
    where
        H: Fn(Term) -> F + Send + Sync + 'static,
        F: Future<Output = Result<Term, CallError>> + Send + 'static,
    {
        let procedure = named(procedure)?;
        let handler = Handler(Arc::new(move |args| Box::pin(handler(args))));
        let shared = &self.handle.shared;
        shared.table.register(&procedure, handler, &shared.link)?;
        self.settle().await
    }
}

/// A call that waits for its answer.
struct Pending<'a> {
    link: &'a Link,
    call_id: CallId,
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        self.link.forget_call(&self.call_id);
    }
}

fn named(procedure: &str) -> Result<Procedure, Error> {
    let wrong =
        |why| Error::Procedure { procedure: procedure.chars().take(topic::LONGEST).collect(), why };
    Procedure::new(procedure).map_err(wrong)
}

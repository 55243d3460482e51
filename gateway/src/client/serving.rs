//! Runs the handlers of calls and casts, up to a limit at a time. Every call gets a reply, whatever happens to its handler.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use tokio::{task::JoinSet, time::timeout};

use super::{Shared, link::Outcome};
use crate::wire::{
    id::CallId,
    message::{Call, CallError, Cast, Message, Reply},
};

#[derive(Debug)]
pub(super) struct Serving {
    shared: Arc<Shared>,
    running: JoinSet<()>,
    most: usize,
}

impl Serving {
    pub fn new(shared: Arc<Shared>, most: usize) -> Self {
        Self { shared, running: JoinSet::new(), most }
    }

    pub fn call(&mut self, call: Call) {
        let life = self.shared.link.life();
        let mut owed = OwedReply {
            shared: self.shared.clone(),
            call_id: call.call_id.clone(),
            life,
            paid: false,
        };
        let Some(handler) = self.shared.table.handler(&call.procedure) else {
            let why = format!("{} is not offered here", call.procedure.0);
            return owed.pay(Err(CallError::new("no_such_procedure", why)));
        };
        if self.is_busy() {
            let why = format!("{} calls are under way here", self.most);
            return owed.pay(Err(CallError::new("busy", why)));
        }
        // After the deadline nobody waits for the answer. A gateway always sends a deadline.
        let within = call.timeout.map_or(Duration::MAX, Duration::from_millis);
        self.running.spawn(async move {
            let answer = timeout(within, handler.0(call.args))
                .await
                .unwrap_or_else(|_| Err(CallError::new("timeout", "the handler took too long")));
            // Without a connection there is nobody to answer.
            if owed.shared.link.with_room(|_| Ok(())).await.is_ok() {
                owed.pay(answer);
            }
        });
    }

    pub fn cast(&mut self, cast: Cast) {
        let handler = self.shared.table.handler(&cast.procedure);
        match handler {
            Some(handler) if !self.is_busy() => {
                self.running.spawn(async move {
                    // A cast has no answer.
                    let _ = handler.0(cast.args).await;
                });
            }
            Some(_) | None => {
                self.shared.casts_dropped.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    fn is_busy(&mut self) -> bool {
        // A handler that panicked has answered by the drop of the reply that it owed.
        while self.running.try_join_next().is_some() {}
        self.running.len() >= self.most
    }
}

/// A reply that a caller waits for. If it is dropped before it was sent, the caller gets an error.
struct OwedReply {
    shared: Arc<Shared>,
    call_id: CallId,
    /// A reply is of no use on another connection: the gateway would take it for that of another call.
    life: u64,
    paid: bool,
}

impl OwedReply {
    fn pay(&mut self, outcome: Outcome) {
        self.paid = true;
        let most = self.shared.most_bytes;
        let outcome = match outcome {
            Ok(result) if result.packed().len() > most => {
                let bytes = result.packed().len();
                let why = format!("the result has {bytes} bytes, {most} are allowed");
                Err(CallError::handler(why))
            }
            other => other,
        };
        let reply = Message::Reply(Reply { call_id: self.call_id.clone(), outcome });
        self.shared.link.push_in_life(self.life, &reply);
    }
}

impl Drop for OwedReply {
    fn drop(&mut self) {
        if !self.paid {
            self.pay(Err(CallError::handler("the handler did not finish")));
        }
    }
}

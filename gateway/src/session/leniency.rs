//! Passes over messages that cannot be served; only a strict client is disconnected for one. Any other client would connect
//! and send the message again. Each message is counted and uses the client's allowance; the first of a client is logged.

use super::{Action, Close, FirstPassedOver, Now, PassedOver, Realm, refusal, send};
use crate::{
    router::ClientId,
    wire::{
        frame::Kind,
        message::{CallError, Reply, Unread},
    },
};

/// The most characters that are logged.
const LONGEST: usize = 256;

impl Realm {
    /// Passes over a message; returns the units that it uses.
    ///
    /// # Errors
    /// The client is strict: its connection must be closed.
    pub fn pass_over(
        &mut self,
        from: ClientId,
        what: PassedOver,
        out: &mut Vec<Action>,
    ) -> Result<u32, Close> {
        let Some(Some(client)) = self.clients.get_mut(from.index()) else { return Ok(1) };
        if client.strict {
            return Err(Close::Strict(what));
        }
        let first = !std::mem::replace(&mut client.was_passed_over, true);
        let shortened = || what.to_string().chars().take(LONGEST).collect();
        let first = first.then(|| FirstPassedOver { node: client.node, what: shortened() });
        out.push(Action::PassedOver(what.reason(), first));
        Ok(1)
    }

    /// Passes over a message that cannot be read. A client that waits for an answer to it gets one.
    ///
    /// # Errors
    /// The client is strict: its connection must be closed.
    pub fn pass_over_unread(
        &mut self,
        from: ClientId,
        unread: Unread,
        now: Now,
        out: &mut Vec<Action>,
    ) -> Result<u32, Close> {
        let Unread { kind, error, call_id } = unread;
        if let Some(call_id) = call_id {
            let message = format!("{} cannot be read: {error}", kind.name());
            if kind == Kind::Call {
                send(from, &refusal(call_id, "invalid_call", message, out), out);
            } else {
                let outcome = Err(CallError { code: "handler_error".to_owned(), message });
                self.reply(from, Reply { call_id, outcome }, now, out);
            }
        }
        self.pass_over(from, PassedOver::Unreadable(kind, error), out)
    }
}

//! The state of one connection: the bytes to be written, and the calls and pings that wait for an answer. Sockets and
//! subscriptions are not known here.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
};

use bytes::BytesMut;
use tokio::sync::{Notify, oneshot};

use super::Error;
use crate::wire::{
    id::{CallId, FreshIds},
    message::{CallError, Message, Term, encode},
};

/// Publishes and calls wait while more than this is to be written.
const MARK_BYTES: usize = 256 << 10;
/// As many as a gateway allows one client by default.
const MOST_CALLS: usize = 4096;
const MOST_PINGS: usize = 1024;

pub(super) type Outcome = Result<Term, CallError>;

#[derive(Debug)]
pub(super) struct Link {
    state: Mutex<State>,
    /// Notified when there is something to write.
    filled: Notify,
    /// Notified when what was queued is being written, or the connection has ended.
    room: Notify,
}

#[derive(Debug)]
pub(super) struct State {
    /// The number of the connection: the first is 1.
    life: u64,
    /// Why there is no connection now.
    ended: Option<Error>,
    out: BytesMut,
    calls: HashMap<CallId, oneshot::Sender<Outcome>>,
    pings: VecDeque<oneshot::Sender<()>>,
    ids: FreshIds,
}

impl State {
    /// Makes ids of calls and messages. None is made twice: a late answer belongs to no other call, and two runs of a
    /// program have no message of the same id.
    pub fn next_id(&mut self) -> [u8; 16] {
        self.ids.next_id()
    }

    pub fn push(&mut self, message: &Message) {
        self.out.extend_from_slice(&encode(message));
    }

    /// Begins a call under a new id.
    pub fn begin_call(&mut self) -> Result<(CallId, oneshot::Receiver<Outcome>), Error> {
        if self.calls.len() >= MOST_CALLS {
            return Err(Error::TooMany { what: "calls under way", most: MOST_CALLS });
        }
        let id = CallId::from(self.next_id());
        let (sender, receiver) = oneshot::channel();
        self.calls.insert(id.clone(), sender);
        Ok((id, receiver))
    }

    /// Begins a ping. Pongs come in the order of their pings.
    pub fn begin_ping(&mut self) -> Result<oneshot::Receiver<()>, Error> {
        if self.pings.len() >= MOST_PINGS {
            return Err(Error::TooMany { what: "pings under way", most: MOST_PINGS });
        }
        let (sender, receiver) = oneshot::channel();
        self.pings.push_back(sender);
        Ok(receiver)
    }
}

impl Link {
    pub fn new() -> Self {
        let state = State {
            life: 0,
            ended: Some(Error::Lost("it has not begun".to_owned())),
            out: BytesMut::new(),
            calls: HashMap::new(),
            pings: VecDeque::new(),
            ids: FreshIds::new(super::random()),
        };
        Self { state: Mutex::new(state), filled: Notify::new(), room: Notify::new() }
    }

    /// A connection has begun; `first` goes before all else.
    pub fn open(&self, first: &[Message]) {
        let mut state = self.lock();
        state.life += 1;
        state.ended = None;
        state.out.clear();
        first.iter().for_each(|message| state.push(message));
        drop(state);
        self.filled.notify_one();
    }

    /// The connection has ended, and with it its calls and pings.
    pub fn end(&self, why: &Error) {
        let mut state = self.lock();
        state.ended = Some(why.clone());
        state.out.clear();
        state.pings.clear();
        let error = CallError::from(why.clone());
        for (_, call) in state.calls.drain() {
            // A caller that has stopped waiting needs no answer.
            let _ = call.send(Err(error.clone()));
        }
        drop(state);
        self.room.notify_waiters();
    }

    /// The number of the connection.
    pub fn life(&self) -> u64 {
        self.lock().life
    }

    /// Why there is no connection, if there is none.
    pub fn why(&self) -> Option<Error> {
        self.lock().ended.clone()
    }

    /// Calls `act` as soon as there is room for more to be written.
    ///
    /// # Errors
    /// There is no connection, or `act` failed.
    pub async fn with_room<T>(
        &self,
        act: impl FnOnce(&mut State) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let mut act = Some(act);
        loop {
            let room = self.room.notified();
            if let Some(done) = self.try_with_room(&mut act) {
                return done;
            }
            room.await;
        }
    }

    fn try_with_room<T>(
        &self,
        act: &mut Option<impl FnOnce(&mut State) -> Result<T, Error>>,
    ) -> Option<Result<T, Error>> {
        let mut state = self.lock();
        if let Some(why) = &state.ended {
            return Some(Err(why.clone()));
        }
        if state.out.len() > MARK_BYTES {
            return None;
        }
        let was_empty = state.out.is_empty();
        let done = act.take()?(&mut state);
        drop(state);
        if was_empty {
            self.filled.notify_one();
        }
        Some(done)
    }

    /// Queues a message without waiting for room; without a connection the message is lost.
    pub fn push_now(&self, message: &Message) {
        let mut state = self.lock();
        if state.ended.is_none() {
            state.push(message);
            drop(state);
            self.filled.notify_one();
        }
    }

    /// Queues a message only if the connection is still the same.
    pub fn push_in_life(&self, life: u64, message: &Message) {
        let mut state = self.lock();
        if state.ended.is_none() && state.life == life {
            state.push(message);
            drop(state);
            self.filled.notify_one();
        }
    }

    /// Waits for something to write; `into` must be empty.
    pub async fn next_output(&self, into: &mut BytesMut) {
        while !self.try_next_output(into) {
            self.filled.notified().await;
        }
    }

    /// Swaps what is queued into `into`; returns false if there is nothing.
    pub fn try_next_output(&self, into: &mut BytesMut) -> bool {
        let mut state = self.lock();
        if state.out.is_empty() {
            return false;
        }
        std::mem::swap(&mut state.out, into);
        drop(state);
        self.room.notify_waiters();
        true
    }

    pub fn answer_call(&self, id: &CallId, answer: Outcome) {
        if let Some(call) = self.lock().calls.remove(id) {
            let _ = call.send(answer);
        }
    }

    /// Forgets a call that nobody waits for any more.
    pub fn forget_call(&self, id: &CallId) {
        self.lock().calls.remove(id);
    }

    pub fn answer_ping(&self) {
        if let Some(ping) = self.lock().pings.pop_front() {
            let _ = ping.send(());
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

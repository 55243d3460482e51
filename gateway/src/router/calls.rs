//! The calls under way within one realm: caller, provider, deadline. Pure: the time is an argument. Procedures are not known
//! here.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::ClientId;
use crate::wire::id::CallId;

/// Microseconds of a clock that only goes forward.
pub type Micros = u64;

/// A call that was accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    pub caller: ClientId,
    /// The caller's own id; other callers may use the same.
    pub call_id: CallId,
    pub provider: ClientId,
    pub deadline: Micros,
}

/// Too many calls are under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooManyCalls;

/// The client that waits for a reply, and its own id of the call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    pub client: ClientId,
    pub call_id: CallId,
}

/// A call that ends without a reply, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expired {
    Deadline(Caller),
    ProviderLeft(Caller),
}

/// Calls under way.
#[derive(Debug)]
pub struct Calls {
    open: HashMap<u64, Open>,
    deadlines: BTreeSet<(Micros, u64)>,
    next: u64,
    /// The most calls under way, of the realm and of one caller.
    most: usize,
    most_of_caller: usize,
    of_caller: HashMap<ClientId, usize>,
}

#[derive(Clone, Debug)]
struct Open {
    request: Request,
    /// When the call was sent on.
    began: Micros,
}

impl Calls {
    pub fn new(most: usize, most_of_caller: usize) -> Self {
        Self {
            open: HashMap::new(),
            deadlines: BTreeSet::new(),
            next: 1,
            most,
            most_of_caller,
            of_caller: HashMap::new(),
        }
    }

    /// Begins a call; returns the id under which the provider gets it, which no other call ever had.
    ///
    /// # Errors
    /// Too many calls are under way.
    pub fn begin(&mut self, request: Request, now: Micros) -> Result<CallId, TooManyCalls> {
        let of_caller = self.of_caller.get(&request.caller).copied().unwrap_or_default();
        if self.open.len() >= self.most || of_caller >= self.most_of_caller {
            return Err(TooManyCalls);
        }
        let number = self.next;
        self.next += 1;
        self.of_caller.insert(request.caller, of_caller + 1);
        self.deadlines.insert((request.deadline, number));
        self.open.insert(number, Open { request, began: now });
        Ok(id_of(number))
    }

    /// Ends the call that a reply belongs to; returns its caller, and the microseconds that the call took. `None` where
    /// nobody waits for the reply: this client was not asked, or has answered already, or the deadline has passed.
    pub fn answer(&mut self, from: ClientId, id: &CallId, now: Micros) -> Option<(Caller, Micros)> {
        let number = number_of(id)?;
        if self.open.get(&number)?.request.provider != from {
            return None;
        }
        let open = self.close(number)?;
        Some((caller_of(open.request), now.saturating_sub(open.began)))
    }

    /// Ends the calls whose deadline has passed.
    pub fn expire(&mut self, now: Micros) -> Vec<Expired> {
        let mut expired = Vec::new();
        while let Some((deadline, number)) = self.deadlines.first().copied()
            && deadline <= now
        {
            if let Some(open) = self.close(number) {
                expired.push(Expired::Deadline(caller_of(open.request)));
            }
        }
        expired
    }

    /// The next time at which `expire` has something to do.
    pub fn next_deadline(&self) -> Option<Micros> {
        self.deadlines.first().map(|(deadline, _)| *deadline)
    }

    /// A client has gone: its own calls are forgotten, and the calls that it should answer end.
    pub fn leave(&mut self, client: ClientId) -> Vec<Expired> {
        let of_client =
            |open: &&Open| open.request.caller == client || open.request.provider == client;
        let gone: Vec<u64> = self
            .open
            .iter()
            .filter(|(_, open)| of_client(open))
            .map(|(number, _)| *number)
            .collect();
        let mut expired = Vec::new();
        for number in gone {
            let Some(open) = self.close(number) else { continue };
            if open.request.caller != client {
                expired.push(Expired::ProviderLeft(caller_of(open.request)));
            }
        }
        expired
    }

    /// The callers and providers of calls under way.
    pub fn parties(&self) -> HashSet<ClientId> {
        let parties = |open: &Open| [open.request.caller, open.request.provider];
        self.open.values().flat_map(parties).collect()
    }

    pub fn len(&self) -> usize {
        self.open.len()
    }

    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    fn close(&mut self, number: u64) -> Option<Open> {
        let open = self.open.remove(&number)?;
        self.deadlines.remove(&(open.request.deadline, number));
        let caller = open.request.caller;
        if let Some(count) = self.of_caller.get_mut(&caller) {
            *count -= 1;
            if *count == 0 {
                self.of_caller.remove(&caller);
            }
        }
        Some(open)
    }
}

fn caller_of(request: Request) -> Caller {
    Caller { client: request.caller, call_id: request.call_id }
}

fn id_of(number: u64) -> CallId {
    let mut bytes = [0; CallId::BYTES];
    bytes[8..].copy_from_slice(&number.to_be_bytes());
    bytes.into()
}

fn number_of(id: &CallId) -> Option<u64> {
    let (zeros, number) = id.bytes().split_first_chunk::<8>()?;
    (*zeros == [0; 8]).then_some(())?;
    number.try_into().ok().map(u64::from_be_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CALLER: ClientId = ClientId(1);
    const OTHER: ClientId = ClientId(2);
    const PROVIDER: ClientId = ClientId(3);

    fn own_id() -> CallId {
        CallId::from([7; 16])
    }

    fn call(calls: &mut Calls, caller: ClientId, deadline: Micros) -> CallId {
        let request = Request { caller, call_id: own_id(), provider: PROVIDER, deadline };
        calls.begin(request, 0).unwrap()
    }

    #[test]
    fn callers_with_equal_ids_each_get_their_own_reply_in_whatever_order() {
        let mut calls = Calls::new(10, 10);
        let first = call(&mut calls, CALLER, 100);
        let second = call(&mut calls, OTHER, 100);
        assert_ne!(first, second);
        let answered = |client| Some((Caller { client, call_id: own_id() }, 5));
        assert_eq!(calls.answer(PROVIDER, &second, 5), answered(OTHER));
        assert_eq!(calls.answer(PROVIDER, &first, 5), answered(CALLER));
        assert_eq!(calls.answer(PROVIDER, &first, 5), None, "answered once");
        assert!(calls.is_empty());
    }

    #[test]
    fn only_who_was_asked_may_answer() {
        let mut calls = Calls::new(10, 10);
        let id = call(&mut calls, CALLER, 100);
        assert_eq!(calls.answer(OTHER, &id, 1), None);
        assert_eq!(calls.answer(PROVIDER, &CallId::from([9; 16]), 1), None);
        assert!(calls.answer(PROVIDER, &id, 1).is_some());
    }

    #[test]
    fn a_call_ends_at_its_deadline_and_a_late_reply_is_nobodys() {
        let mut calls = Calls::new(10, 10);
        let id = call(&mut calls, CALLER, 100);
        call(&mut calls, CALLER, 200);
        assert_eq!(calls.next_deadline(), Some(100));
        assert_eq!(calls.expire(99), []);
        let caller = Caller { client: CALLER, call_id: own_id() };
        assert_eq!(calls.expire(100), [Expired::Deadline(caller)]);
        assert_eq!(calls.answer(PROVIDER, &id, 101), None);
        assert_eq!(calls.len(), 1);
    }

    #[test]
    fn who_leaves_fails_what_it_was_asked_and_forgets_what_it_asked() {
        let mut calls = Calls::new(10, 10);
        call(&mut calls, CALLER, 100);
        let caller = Caller { client: CALLER, call_id: own_id() };
        assert_eq!(calls.leave(PROVIDER), [Expired::ProviderLeft(caller)]);
        call(&mut calls, CALLER, 100);
        assert_eq!(calls.leave(CALLER), []);
        assert!(calls.is_empty());
        assert_eq!(calls.next_deadline(), None);
    }

    #[test]
    fn calls_under_way_are_bounded_in_all_and_for_each_caller() {
        let mut calls = Calls::new(3, 2);
        call(&mut calls, CALLER, 100);
        call(&mut calls, CALLER, 100);
        let of = |caller| Request { caller, call_id: own_id(), provider: PROVIDER, deadline: 100 };
        assert_eq!(calls.begin(of(CALLER), 0), Err(TooManyCalls));
        call(&mut calls, OTHER, 100);
        assert_eq!(calls.begin(of(OTHER), 0), Err(TooManyCalls));
        calls.expire(100);
        assert!(calls.begin(of(CALLER), 0).is_ok());
    }
}

//! The calls under way within one realm: caller, provider, deadline. Pure: the time is an argument. Procedures are not known
//! here.

use std::{
    collections::{BTreeSet, HashMap, HashSet, hash_map::Entry},
    hash::Hash,
    sync::Arc,
};

use super::{ClientId, Group};
use crate::{
    budget::{Account, Held, What},
    wire::id::CallId,
};

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

/// Who asks, and for whose share it counts.
#[derive(Clone, Copy, Debug)]
pub struct Asks<'a> {
    pub group: Group,
    pub account: &'a Arc<Account>,
}

/// How many calls may be under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallLimits {
    pub realm: usize,
    pub caller: usize,
    /// Calls that one provider has yet to answer.
    pub provider: usize,
}

/// Why a call cannot begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Busy {
    /// The realm is, and the caller has more than its share of it already.
    Realm,
    Caller,
    Provider,
    /// There is no memory left.
    Memory,
}

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
    limits: CallLimits,
    of_caller: HashMap<ClientId, usize>,
    of_provider: HashMap<ClientId, usize>,
    of_group: HashMap<Group, usize>,
}

/// What a call under way takes in memory, at most, without its id.
const CALL_BYTES: usize = 384;

#[derive(Debug)]
struct Open {
    request: Request,
    group: Group,
    _memory: Held,
    /// When the call was sent on.
    began: Micros,
}

impl Calls {
    pub fn new(limits: CallLimits) -> Self {
        Self {
            open: HashMap::new(),
            deadlines: BTreeSet::new(),
            next: 1,
            limits,
            of_caller: HashMap::new(),
            of_provider: HashMap::new(),
            of_group: HashMap::new(),
        }
    }

    /// Begins a call; returns the id under which the provider gets it, which no other call ever had.
    ///
    /// # Errors
    /// Too many calls are under way.
    pub fn begin(&mut self, request: Request, asks: Asks<'_>, now: Micros) -> Result<CallId, Busy> {
        let group = asks.group;
        if count(&self.of_caller, &request.caller) >= self.limits.caller {
            return Err(Busy::Caller);
        }
        if count(&self.of_provider, &request.provider) >= self.limits.provider {
            return Err(Busy::Provider);
        }
        if !self.has_room(request.caller, group) {
            return Err(Busy::Realm);
        }
        let bytes = CALL_BYTES + request.call_id.bytes().len();
        let memory = Held::take(asks.account, What::Calls, bytes).map_err(|_| Busy::Memory)?;
        let number = self.next;
        self.next += 1;
        *self.of_caller.entry(request.caller).or_default() += 1;
        *self.of_provider.entry(request.provider).or_default() += 1;
        *self.of_group.entry(group).or_default() += 1;
        self.deadlines.insert((request.deadline, number));
        self.open.insert(number, Open { request, group, _memory: memory, began: now });
        Ok(id_of(number))
    }

    /// The last quarter of the calls is for those who have less than their share, a part as large as that of everybody who
    /// calls and of one who has yet to come. At first the share of a client or of its network counts, at last that of the
    /// network alone, which may have any number of clients.
    fn has_room(&self, caller: ClientId, group: Group) -> bool {
        let (open, most) = (self.open.len(), self.limits.realm);
        if open < most / 4 * 3 {
            return true;
        }
        let of_group = has_less_than_its_share(&self.of_group, &group, most);
        let of_client = || has_less_than_its_share(&self.of_caller, &caller, most);
        open < most && (of_group || (open < most / 16 * 15 && of_client()))
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
        uncount(&mut self.of_caller, open.request.caller);
        uncount(&mut self.of_provider, open.request.provider);
        uncount(&mut self.of_group, open.group);
        Some(open)
    }
}

fn count<K: Eq + Hash>(counts: &HashMap<K, usize>, of: &K) -> usize {
    counts.get(of).copied().unwrap_or_default()
}

fn uncount<K: Eq + Hash>(counts: &mut HashMap<K, usize>, of: K) {
    if let Entry::Occupied(mut entry) = counts.entry(of) {
        *entry.get_mut() -= 1;
        if *entry.get() == 0 {
            entry.remove();
        }
    }
}

fn has_less_than_its_share<K: Eq + Hash>(counts: &HashMap<K, usize>, of: &K, most: usize) -> bool {
    let others = counts.len() - usize::from(counts.contains_key(of));
    count(counts, of) < most / (others + 2)
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
        begin(calls, caller, PROVIDER, deadline).unwrap()
    }

    fn begin(
        calls: &mut Calls,
        caller: ClientId,
        provider: ClientId,
        deadline: Micros,
    ) -> Result<CallId, Busy> {
        // Clients of one network have numbers of one hundred.
        let network = Group::Network([10, 0, (caller.0 / 100).try_into().unwrap(), 0].into());
        let request = Request { caller, call_id: own_id(), provider, deadline };
        calls.begin(request, Asks { group: network, account: &Account::unlimited() }, 0)
    }

    fn calls(realm: usize, caller: usize, provider: usize) -> Calls {
        Calls::new(CallLimits { realm, caller, provider })
    }

    #[test]
    fn callers_with_equal_ids_each_get_their_own_reply_in_whatever_order() {
        let mut calls = calls(10, 10, 10);
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
        let mut calls = calls(10, 10, 10);
        let id = call(&mut calls, CALLER, 100);
        assert_eq!(calls.answer(OTHER, &id, 1), None);
        assert_eq!(calls.answer(PROVIDER, &CallId::from([9; 16]), 1), None);
        assert!(calls.answer(PROVIDER, &id, 1).is_some());
    }

    #[test]
    fn a_call_ends_at_its_deadline_and_a_late_reply_is_nobodys() {
        let mut calls = calls(10, 10, 10);
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
        let mut calls = calls(10, 10, 10);
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
        let mut calls = calls(16, 12, 100);
        for _ in 0..12 {
            call(&mut calls, CALLER, 100);
        }
        assert_eq!(begin(&mut calls, CALLER, PROVIDER, 100), Err(Busy::Caller));
        for _ in 12..15 {
            call(&mut calls, OTHER, 100);
        }
        assert_eq!(begin(&mut calls, OTHER, PROVIDER, 100), Err(Busy::Realm));
        calls.expire(100);
        call(&mut calls, CALLER, 100);
    }

    #[test]
    fn calls_that_a_provider_leaves_unanswered_make_it_alone_busy() {
        let mut calls = calls(1000, 100, 10);
        for caller in 0..10 {
            call(&mut calls, ClientId(caller), 100);
        }
        assert_eq!(begin(&mut calls, ClientId(11), PROVIDER, 100), Err(Busy::Provider));
        let another = begin(&mut calls, ClientId(11), OTHER, 100).unwrap();
        assert!(calls.answer(OTHER, &another, 1).is_some());
        calls.leave(PROVIDER);
        assert!(calls.of_provider.is_empty() && calls.of_group.is_empty());
    }

    /// Calls until it is busy, each to another provider; returns how many began.
    fn fill(calls: &mut Calls, caller: u32) -> usize {
        let mut each =
            (0..).map(|provider| begin(calls, ClientId(caller), ClientId(10_000 + provider), 100));
        each.by_ref().take_while(Result::is_ok).count()
    }

    #[test]
    fn one_network_full_of_callers_leaves_others_their_share() {
        let mut calls = calls(1600, 1600, 1600);
        let taken: usize = (0..16).map(|caller| fill(&mut calls, caller)).sum();
        assert_eq!(taken, 1500, "what is left is for others");
        assert_eq!(fill(&mut calls, 99), 0, "of the same network, which has had its share");
        assert_eq!(fill(&mut calls, 500), 100, "of another network");
    }

    #[test]
    fn within_a_network_a_client_that_calls_little_gets_its_share_too() {
        let mut calls = calls(1600, 1600, 1600);
        assert_eq!(fill(&mut calls, 1), 1200, "nobody else has called yet");
        for caller in 2..12 {
            begin(&mut calls, ClientId(caller), PROVIDER, 100).unwrap();
        }
        assert_eq!(begin(&mut calls, ClientId(1), PROVIDER, 100), Err(Busy::Realm));
    }
}

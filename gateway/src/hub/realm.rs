//! One realm with the outboxes of its clients. It carries out the actions of `session`. The transport is not known here.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use sha2::{Digest, Sha256};

use super::services::Services;
use crate::{
    budget::Account,
    observe::metrics::{ByCode, ByReason, RealmMetrics},
    outbox::{Counting, Outbox},
    router::ClientId,
    session::{Action, Close, Joining, Now, Permissions, Realm, RealmLimits},
    wire::{
        message::{Incoming, Message, Reply, encode},
        realm::RealmName,
    },
};

/// After so many actions they are carried out, and other clients get their turn.
pub(super) const MOST_ACTIONS: usize = 4096;

/// A realm as the settings describe it.
#[derive(Clone, Debug, PartialEq)]
pub struct RealmConfig {
    pub name: RealmName,
    /// Only nodes with a certificate of the realm are admitted.
    pub certificate_required: bool,
    pub permissions: Permissions,
}

/// One realm, shared by the tasks of its clients.
#[derive(Debug)]
pub struct SharedRealm {
    pub name: RealmName,
    /// SHA-256 of the name.
    pub(super) hash: [u8; 32],
    inner: Mutex<Inner>,
    services: Arc<Services>,
    pub metrics: RealmMetrics,
}

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) realm: Realm,
    certificate_required: bool,
    permissions: Permissions,
    /// The outbox of each client, by the client's number.
    outboxes: Vec<Option<Arc<Outbox>>>,
    pub(super) actions: Vec<Action>,
    /// The clients for whom something was queued.
    wake: Vec<ClientId>,
    /// Why nobody is admitted any more.
    refuses: Option<Close>,
}

impl SharedRealm {
    pub(super) fn new(config: &RealmConfig, limits: RealmLimits, services: Arc<Services>) -> Self {
        Self {
            name: config.name.clone(),
            hash: Sha256::digest(config.name.as_str()).into(),
            inner: Mutex::new(Inner {
                realm: Realm::new(limits, services.budget.clone()),
                certificate_required: config.certificate_required,
                permissions: config.permissions.clone(),
                outboxes: Vec::new(),
                actions: Vec::new(),
                wake: Vec::new(),
                refuses: None,
            }),
            metrics: services.metrics.realm(&config.name),
            services,
        }
    }

    pub(super) fn configure(&self, config: &RealmConfig) {
        let mut inner = self.lock();
        inner.certificate_required = config.certificate_required;
        inner.permissions = config.permissions.clone();
        inner.realm.permit(&config.permissions);
        if config.certificate_required {
            let close = Close::Identity("this realm asks for one now".to_owned());
            for id in inner.realm.unproven() {
                if let Some(outbox) = inner.outboxes.get(id.index()).and_then(Option::as_ref) {
                    outbox.close(close.clone());
                }
            }
        }
    }

    pub(super) fn join(
        &self,
        joining: Joining,
        account: Arc<Account>,
        outbox: Arc<Outbox>,
    ) -> Result<ClientId, Close> {
        let mut inner = self.lock();
        if let Some(close) = &inner.refuses {
            return Err(close.clone());
        }
        if inner.certificate_required && !joining.proven {
            let why = "this realm asks for one, and there is none";
            return Err(Close::Identity(why.to_owned()));
        }
        let Inner { realm, permissions, actions, .. } = &mut *inner;
        let id = realm.join(joining, account, permissions, self.services.now(), actions);
        if inner.outboxes.len() <= id.index() {
            inner.outboxes.resize_with(id.index() + 1, || None);
        }
        inner.outboxes[id.index()] = Some(outbox);
        inner.carry_out(&self.services, &mut Vec::new());
        Ok(id)
    }

    pub(super) fn refuse_new(&self, close: &Close) {
        self.lock().refuses = Some(close.clone());
    }

    pub(super) fn drain_some(&self, most: &mut usize) -> usize {
        let inner = self.lock();
        let in_calls: HashSet<_> = inner.realm.in_calls().iter().map(|id| id.index()).collect();
        let mut left = 0;
        for (index, outbox) in inner.outboxes.iter().enumerate() {
            let Some(outbox) = outbox.as_ref().filter(|outbox| outbox.closes().is_none()) else {
                continue;
            };
            if in_calls.contains(&index) || *most == 0 {
                left += 1;
            } else {
                outbox.close(Close::Draining);
                *most -= 1;
            }
        }
        left
    }

    pub(super) fn tick(&self) {
        let now = self.services.now();
        let mut inner = self.lock();
        if inner.realm.next_deadline().is_some_and(|deadline| deadline <= now.steady) {
            let Inner { realm, actions, .. } = &mut *inner;
            realm.tick(now, actions);
            inner.carry_out(&self.services, &mut Vec::new());
        }
    }

    pub(super) fn end_calls(&self) {
        let mut inner = self.lock();
        let Inner { realm, actions, .. } = &mut *inner;
        realm.tick(Now { steady: u64::MAX, ..self.services.now() }, actions);
        inner.carry_out(&self.services, &mut Vec::new());
    }

    pub(super) fn close_all(&self, close: &Close) {
        for outbox in self.lock().outboxes.iter().flatten() {
            outbox.close(close.clone());
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// Carries out the actions. `above` gets the outboxes that are above their mark.
    fn carry_out(&mut self, services: &Services, above: &mut Vec<Arc<Outbox>>) {
        let Self { outboxes, actions, wake, .. } = self;
        let mut counting = Counting::default();
        let of = |id: ClientId| outboxes.get(id.index()).and_then(Option::as_ref);
        let mut send = |to: ClientId, frame| {
            let Some(outbox) = of(to) else { return };
            let known = |known: &Arc<Outbox>| Arc::ptr_eq(known, outbox);
            let pushed = outbox.push_shared(frame, &mut counting);
            if pushed.wake {
                wake.push(to);
            }
            if pushed.above && !above.iter().any(known) {
                above.push(outbox.clone());
            }
        };
        for action in actions.drain(..) {
            match action {
                Action::Send(to, frame) => send(to, frame),
                Action::Close(client, close) => {
                    if let Some(outbox) = of(client) {
                        outbox.close(close);
                    }
                }
                Action::Diagnose(to, call_id, procedure, args) => {
                    let outcome = services.diagnostics.answer(&procedure, &args);
                    send(to, encode(&Message::Reply(Reply { call_id, outcome })));
                }
                Action::NotRetained => {
                    services.metrics.not_retained.inc();
                }
                Action::NoLongerRetained(messages) => {
                    services.metrics.no_longer_retained.inc_by(messages);
                }
                Action::Answered(took) => {
                    services
                        .metrics
                        .call_seconds
                        .observe(Duration::from_micros(took).as_secs_f64());
                }
                Action::Failed(code) => {
                    services.metrics.calls_failed.get_or_create(&ByCode { code }).inc();
                }
                Action::PassedOver(reason, first) => {
                    services.metrics.passed_over.get_or_create(&ByReason { reason }).inc();
                    if let Some(first) = first {
                        services.log_passed_over(&first);
                    }
                }
            }
        }
        wake.drain(..).filter_map(of).for_each(|outbox| outbox.wake());
        services.budget.relieve();
    }
}

/// A client that was admitted.
#[derive(Debug)]
pub struct Member {
    pub(super) realm: Arc<SharedRealm>,
    pub(super) id: ClientId,
    pub outbox: Arc<Outbox>,
}

impl Member {
    pub fn realm(&self) -> &Arc<SharedRealm> {
        &self.realm
    }

    /// Handles messages in their order, up to one that uses some of the client's allowance; returns how many units it used.
    /// The caller then calls [`Member::hand_over`], before the next message. `above` gets the outboxes for which the client
    /// should wait before it reads on.
    ///
    /// # Errors
    /// Why the connection must be closed.
    pub fn handle(
        &self,
        messages: &mut impl Iterator<Item = Incoming>,
        above: &mut Vec<Arc<Outbox>>,
    ) -> Result<u32, Close> {
        let now = self.realm.services.now();
        let mut messages = messages.peekable();
        let mut used = Ok(0);
        while used == Ok(0) && messages.peek().is_some() {
            let mut inner = self.realm.lock();
            let Inner { realm, actions, .. } = &mut *inner;
            while used == Ok(0)
                && actions.len() < MOST_ACTIONS
                && let Some(message) = messages.next()
            {
                used = match message {
                    Incoming::Publication(publication) => {
                        realm.publish(self.id, publication, actions)
                    }
                    Incoming::Message(message) => realm.handle(self.id, message, now, actions),
                    Incoming::Unread(unread) => {
                        realm.pass_over_unread(self.id, unread, now, actions)
                    }
                };
            }
            inner.carry_out(&self.realm.services, above);
        }
        used
    }

    /// Sends the client some of the retained messages for its new subscriptions. Returns how many units of its allowance
    /// that used; `None` when nothing is left.
    pub fn hand_over(&self, above: &mut Vec<Arc<Outbox>>) -> Option<u32> {
        let mut inner = self.realm.lock();
        let Inner { realm, actions, .. } = &mut *inner;
        let used = realm.hand_over(self.id, actions);
        inner.carry_out(&self.realm.services, above);
        used
    }

    /// Removes the client from its realm. Callers who wait for its replies get an error.
    pub fn leave(self) {
        let mut inner = self.realm.lock();
        let Inner { realm, actions, outboxes, .. } = &mut *inner;
        realm.leave(self.id, actions);
        if let Some(outbox) = outboxes.get_mut(self.id.index()) {
            *outbox = None;
        }
        inner.carry_out(&self.realm.services, &mut Vec::new());
    }
}

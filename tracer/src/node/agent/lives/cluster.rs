//! What is known of the cluster: the terms of ends that are to be reported, and of those that were reported a moment ago.
//! Pure.

use std::{collections::VecDeque, sync::Arc};

use super::{
    container::Attribution,
    terms::{self, SourcedTerms, TermsSource},
};
use crate::{
    capture::event::BootNs,
    contract::CrashObject,
    diagnose::{
        facts::Facts,
        timeline::Timeline,
        verdict::{
            self, Cause,
            terms::{Wanted, WantedWhy},
        },
    },
    node::{identity::Identity, kubernetes::pods, store::LifeKey},
};

/// So long after it was reported an end can be reported better.
const REVISABLE_NS: BootNs = 60_000_000_000;
/// So many ends at once; the oldest gives way.
const REVISABLE: usize = 256;
/// What is known of the cluster, and what waits for it.
#[derive(Default)]
pub struct Cluster {
    pub(super) pods: pods::Known,
    /// An API is asked at all.
    is_asked: bool,
    pub(super) is_connected: bool,
    /// Containers whose ends wait to be reported, and until when.
    pub(super) waiting: Vec<(u64, BootNs)>,
    /// Ends that were reported, oldest first.
    pub(super) reported: VecDeque<ReportedEnd>,
}

/// An end that may have to be reported once more.
pub struct ReportedEnd {
    pub until_ns: BootNs,
    pub life: Arc<LifeKey>,
    pub owner: Arc<Attribution>,
    pub timeline: Timeline,
    pub facts: Facts,
    pub terms: SourcedTerms,
    pub object: CrashObject,
    pub was_stopped: bool,
}

impl Cluster {
    /// `is_asked`: there is an API that will say what it knows of pods.
    pub fn new(is_asked: bool) -> Self {
        Self { is_asked, ..Self::default() }
    }

    pub fn terms(&self, identity: &Identity, boot_offset_ns: i64) -> SourcedTerms {
        let entry = identity.pod_uid.as_deref().and_then(|uid| self.pods.get(uid));
        terms::terms_of(entry, identity, boot_offset_ns)
    }

    /// The same of a container that the runtime stopped, a while ago: a pod that the API does not have by then was deleted.
    pub fn terms_of_stopped(&self, identity: &Identity, boot_offset_ns: i64) -> SourcedTerms {
        let mut terms = self.terms(identity, boot_offset_ns);
        // Without any pod it is the node that is not known.
        let is_whole = self.is_connected && !self.pods.is_empty();
        if terms.source == TermsSource::Assumed && identity.pod_uid.is_some() && is_whole {
            terms.terms.wanted = Some(Wanted { since_ns: 0, why: WantedWhy::Deleted });
            terms.source = TermsSource::Api;
        }
        terms
    }

    /// When the first end that waits has waited long enough; `None` where none waits.
    pub fn patience_ends_ns(&self) -> Option<BootNs> {
        self.waiting.iter().map(|(_, until_ns)| *until_ns).min()
    }

    /// Pods that are held.
    pub fn pods(&self) -> usize {
        self.pods.len()
    }

    /// Pods that there was no room for.
    pub fn pods_refused(&self) -> u64 {
        self.pods.refused
    }

    /// Once a second: forgets what is no longer needed.
    pub fn tick(&mut self, now: BootNs) {
        self.pods.tick(now);
        self.reported.retain(|end| end.until_ns > now);
    }

    /// Keeps an end in mind, if more that is known of its pod could change what is reported of it.
    pub fn keep_reported(
        &mut self,
        (life, owner): (&Arc<LifeKey>, &Arc<Attribution>),
        (timeline, facts): (Timeline, Facts),
        terms: SourcedTerms,
        object: CrashObject,
        now: BootNs,
    ) {
        if !self.is_asked || !depends(&object) {
            return;
        }
        if self.reported.len() >= REVISABLE {
            self.reported.pop_front();
        }
        self.reported.push_back(ReportedEnd {
            until_ns: now.saturating_add(REVISABLE_NS),
            was_stopped: verdict::was_stopped(&timeline),
            life: life.clone(),
            owner: owner.clone(),
            timeline,
            facts,
            terms,
            object,
        });
    }
}

/// Whether policy, deletion or probes have a say in it.
fn depends(object: &CrashObject) -> bool {
    let causes = [Cause::StoppedByRuntime, Cause::ExitedByItself, Cause::KilledBySignal];
    let is_wanted = object.crash.cause == Cause::None.name();
    is_wanted || causes.iter().any(|cause| object.crash.cause == cause.name())
}

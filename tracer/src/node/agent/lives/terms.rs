//! From what the Kubernetes API says of a pod to the terms on which a container of it ran; where it says nothing, what is
//! assumed. Pure.

use crate::{
    capture::event::BootNs,
    diagnose::verdict::{
        Policy, Terms,
        terms::{Removal, Wanted, WantedWhy},
    },
    node::{
        identity::Identity,
        kubernetes::pods::{Container, Entry, Kind},
    },
};

/// Terms, and who says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourcedTerms {
    pub terms: Terms,
    pub source: TermsSource,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TermsSource {
    Assumed,
    Api,
}

impl TermsSource {
    /// `details.policy`
    pub fn name(self) -> &'static str {
        match self {
            Self::Assumed => "assumed",
            Self::Api => "api",
        }
    }
}

/// Labels of the pods of a Job; the first is the older spelling (batch/v1).
const JOB_LABELS: [&str; 2] = ["job-name", "batch.kubernetes.io/job-name"];

/// Of a container of this pod. `boot_offset_ns`: what boot time lacks of the time since 1970.
pub fn terms_of(entry: Option<&Entry>, identity: &Identity, boot_offset_ns: i64) -> SourcedTerms {
    let Some(entry) = entry else {
        return SourcedTerms {
            terms: assumed_policy(identity).into(),
            source: TermsSource::Assumed,
        };
    };
    let boot = |wall_ns: i64| -> BootNs {
        u64::try_from(wall_ns.saturating_sub(boot_offset_ns)).unwrap_or(0)
    };
    let id = &identity.container_id;
    let pod = &entry.pod;
    let container = pod.container(identity.container_name.as_deref(), id);
    let clock = pod.deleted_ns.map(boot);
    let deleted = match (clock, entry.deleted_seen_ns) {
        // Who sees it cannot have seen it before it was so: that holds, however clocks disagree.
        (Some(clock), Some(seen)) => Some(clock.min(seen)),
        (clock, seen) => clock.or(seen),
    };
    let deleted = deleted
        .filter(|_| entry.is_deleted())
        .map(|since_ns| Wanted { since_ns, why: WantedWhy::Deleted });
    let is_sidecar = container.is_some_and(|it| it.kind == Kind::Sidecar);
    let finished = pod
        .finished_ns()
        .filter(|_| is_sidecar)
        .map(|wall_ns| Wanted { since_ns: boot(wall_ns), why: WantedWhy::Finished });
    let wanted = [deleted, finished].into_iter().flatten().min_by_key(|wanted| wanted.since_ns);
    let removal = pod.removal.as_ref().map(|(why, message)| Removal {
        why: *why,
        seen_ns: entry.removal_seen_ns,
        message: message.clone(),
    });
    let terms = Terms {
        policy: container.map_or(pod.policy, |it| policy_of(it, pod.policy)),
        wanted,
        removal,
        liveness: container.and_then(|it| it.liveness.clone()),
        startup: container.and_then(|it| it.startup.clone()),
        started: container.is_some_and(|it| entry.has_started(&it.name, id)),
    };
    SourcedTerms { terms, source: TermsSource::Api }
}

/// What holds for one container: an init container may end whatever its pod's policy is.
fn policy_of(container: &Container, of_pod: Policy) -> Policy {
    match container.kind {
        Kind::Sidecar => Policy::Always,
        Kind::Main => container.policy.unwrap_or(of_pod),
        Kind::Ephemeral => Policy::Never,
        Kind::Init => match container.policy.unwrap_or(of_pod) {
            Policy::Always | Policy::OnFailure => Policy::OnFailure,
            Policy::Never => Policy::Never,
        },
    }
}

/// Without the API: a Job's pods are those that may end well.
fn assumed_policy(identity: &Identity) -> Policy {
    let is_job = JOB_LABELS.iter().any(|label| identity.labels.contains_key(*label));
    if is_job { Policy::OnFailure } else { Policy::Always }
}

/// As Kubernetes spells it.
pub fn policy_name(policy: Policy) -> &'static str {
    match policy {
        Policy::Always => "Always",
        Policy::OnFailure => "OnFailure",
        Policy::Never => "Never",
    }
}

#[cfg(test)]
#[path = "terms_tests.rs"]
mod tests;

//! What the kernel side lost, as differences: it counts from its start. Pure.

use std::collections::HashMap;

use tracer_ebpf::abi::state::LostKey;

use crate::capture::{decode::lost_kind, event::LostKind};

/// The counts of the last look.
#[derive(Debug, Default)]
pub struct Losses {
    known: HashMap<(u64, u32), u64>,
    uncounted: u64,
}

/// What was lost of one kind for one cgroup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Difference {
    pub cgroup: u64,
    /// As the kernel side counts it.
    pub kind: u32,
    pub of: LostKind,
    pub count: u64,
}

impl Losses {
    /// What was lost since the last look.
    pub fn since(&mut self, counts: &[(LostKey, u64)]) -> Vec<Difference> {
        let mut lost = Vec::new();
        for (key, count) in counts {
            let known = self.known.entry((key.cgroup, key.kind)).or_default();
            let more = count.saturating_sub(*known);
            *known = (*known).max(*count);
            if let Some(of) = lost_kind(key.kind).filter(|_| more > 0) {
                lost.push(Difference { cgroup: key.cgroup, kind: key.kind, of, count: more });
            }
        }
        lost
    }

    /// Of losses that are counted together, those since the last look.
    pub fn uncounted_since(&mut self, count: u64) -> u64 {
        let more = count.saturating_sub(self.uncounted);
        self.uncounted = self.uncounted.max(count);
        more
    }

    /// Forgets a cgroup that is gone: its keys.
    pub fn forget(&mut self, cgroup: u64) -> Vec<LostKey> {
        let gone = self.known.extract_if(|(of, _), _| *of == cgroup);
        gone.map(|((cgroup, kind), _)| LostKey { cgroup, kind, _pad: 0 }).collect()
    }
}

#[cfg(test)]
mod tests {
    use tracer_ebpf::abi::header::Kind;

    use super::*;

    #[test]
    fn only_what_is_new_counts() {
        let key = LostKey { cgroup: 7, kind: Kind::Fork as u32, _pad: 0 };
        let lost =
            |count| Difference { cgroup: 7, kind: Kind::Fork as u32, of: LostKind::Fork, count };
        let mut losses = Losses::default();
        assert_eq!(losses.since(&[(key, 3)]), [lost(3)]);
        assert_eq!(losses.since(&[(key, 3)]), []);
        assert_eq!(losses.since(&[(key, 5)]), [lost(2)]);
    }
}

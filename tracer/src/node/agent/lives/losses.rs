//! What the kernel side lost, as differences: it counts from its start. Pure.

use std::collections::HashMap;

use tracer_ebpf::abi::state::LostKey;

use crate::capture::{decode::lost_kind, event::LostKind};

/// The counts of the last look.
#[derive(Debug, Default)]
pub struct Losses {
    known: HashMap<(u64, u32), u64>,
}

impl Losses {
    /// What was lost since the last look: cgroup, kind and count.
    pub fn since(&mut self, counts: &[(LostKey, u64)]) -> Vec<(u64, LostKind, u64)> {
        let mut lost = Vec::new();
        for (key, count) in counts {
            let known = self.known.entry((key.cgroup, key.kind)).or_default();
            let more = count.saturating_sub(*known);
            *known = (*known).max(*count);
            if let Some(of) = lost_kind(key.kind).filter(|_| more > 0) {
                lost.push((key.cgroup, of, more));
            }
        }
        lost
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
        let mut losses = Losses::default();
        assert_eq!(losses.since(&[(key, 3)]), [(7, LostKind::Fork, 3)]);
        assert_eq!(losses.since(&[(key, 3)]), []);
        assert_eq!(losses.since(&[(key, 5)]), [(7, LostKind::Fork, 2)]);
    }
}

//! What an agent of another build left in the kernel: its records are read if they are laid out as ours are, else they are
//! counted. It must not know where they come from.

use tracer_ebpf::abi::ABI;

use super::records::Records;
use crate::{
    capture::{
        decode::Arch,
        event::{BootNs, Event, LostKind},
    },
    contract::names,
    node::{
        metrics::{EventsLost, Metrics},
        store::Life,
    },
};

/// Lives that a line names.
const NAMED: usize = 50;

/// The records of one set of pins.
#[derive(Debug)]
pub struct Older {
    is_readable: bool,
    records: Records,
    unread: u64,
}

impl Older {
    /// `abi`: the version of the layout by which they were written, if that is known.
    pub fn new(abi: Option<u16>, arch: Arch) -> Self {
        Self { is_readable: abi == Some(ABI), records: Records::new(arch), unread: 0 }
    }

    /// Takes one record.
    pub fn push(&mut self, record: &[u8], metrics: &Metrics) {
        if self.is_readable {
            self.records.push(record, metrics);
        } else {
            self.unread += 1;
        }
    }

    /// Counts what could not be read, and says of which lives something may be missing.
    pub fn report_gap(&self, living: &[Life], metrics: &Metrics) {
        if self.is_readable {
            return;
        }
        if self.unread > 0 {
            EventsLost { kind: names::lost(LostKind::Undecodable), count: self.unread }
                .tell(metrics);
        }
        tracing::warn!(
            records = self.unread,
            lives = named(living),
            "what an agent of another version left cannot be read: what happened in these lives while no agent ran, and of \
             others that began and ended meanwhile, is not known"
        );
    }

    /// Events until a time, in order.
    pub fn until(mut self, time_ns: BootNs) -> Vec<Event> {
        self.records.until(time_ns)
    }
}

/// `shop/cart-0/cart`, or the id of a container without names.
fn named(living: &[Life]) -> String {
    let name = |life: &Life| {
        let identity = &life.identity;
        let names = [&identity.namespace, &identity.pod_name, &identity.container_name];
        let names: Vec<&str> = names.into_iter().filter_map(|it| it.as_deref()).collect();
        if names.is_empty() { identity.short_id().to_owned() } else { names.join("/") }
    };
    let mut named: Vec<String> = living.iter().take(NAMED).map(name).collect();
    if living.len() > NAMED {
        named.push(format!("{} more", living.len() - NAMED));
    }
    named.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{capture::decode::golden, node::identity::Identity};

    fn read(abi: Option<u16>) -> (usize, u64, String) {
        let metrics = Metrics::new();
        let mut older = Older::new(abi, Arch::X86_64);
        // It would decode: its own header says the version of today.
        older.push(&golden::fork(), &metrics);
        older.report_gap(&[], &metrics);
        let unread = older.unread;
        (older.until(u64::MAX).len(), unread, metrics.encode())
    }

    #[test]
    fn records_of_another_layout_are_counted_and_never_decoded() {
        let lost = "tracer_events_lost_total{kind=\"undecodable\"} 1";
        for abi in [None, Some(0), Some(ABI + 1)] {
            let (events, unread, metrics) = read(abi);
            assert_eq!((events, unread), (0, 1), "{abi:?}");
            assert!(metrics.contains(lost), "{metrics}");
        }
        let (events, unread, metrics) = read(Some(ABI));
        assert_eq!((events, unread), (1, 0));
        assert!(!metrics.contains(lost), "{metrics}");
    }

    #[test]
    fn the_lives_that_were_open_are_named() {
        let life = |identity| Life {
            boot_id: String::new(),
            identity,
            cgroup_id: 1,
            began_ns: 0,
            main: None,
            command: Vec::new(),
            memory_limit_bytes: None,
            end: None,
        };
        let text = |text: &str| Some(text.to_owned());
        let whole = Identity {
            namespace: text("shop"),
            pod_name: text("cart-0"),
            container_name: text("cart"),
            ..Identity::default()
        };
        let by_path = Identity { container_id: "ab".repeat(32), ..Identity::default() };
        assert_eq!(named(&[life(whole), life(by_path.clone())]), "shop/cart-0/cart, abababababab");
        let many = vec![life(by_path); NAMED + 2];
        assert!(named(&many).ends_with("abababababab, 2 more"));
    }
}

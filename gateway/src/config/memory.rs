//! How much memory the gateway may take, and how much of it may be held for clients. Where the amount comes from is not known
//! here.

/// How much memory the gateway may take, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory(pub usize);

impl Memory {
    /// Less is of no use.
    pub const LEAST: usize = 64 << 20;
    /// What the gateway itself takes: its program, threads and tables.
    const OWN: usize = 24 << 20;

    /// What may be held for clients, as it is counted: half of the rest. The other half is for what cannot be counted exactly:
    /// unused room between allocations, which is nearly half as much again while queues come and go, buffers of TLS and the
    /// transport, and clients that are about to go.
    pub fn for_clients(self) -> usize {
        self.0.saturating_sub(Self::OWN) / 2
    }
}

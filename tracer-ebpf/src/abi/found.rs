//! A process that ran in a tracked container before the container was tracked.

use super::header::Header;
use super::record;

record! {
    /// Told once for each process by the inventory; the header's time is that of the inventory.
    Found [104] {
        header: Header,
    }
}

//! Gives memory back to the system that clients needed and need no longer. What it was for is not known here.

use std::{sync::Arc, time::Duration};

use tokio::{task::spawn_blocking, time::interval};

use crate::budget::Budget;

const EVERY: Duration = Duration::from_secs(1);
/// So much must have become free: the allocator looks through all that it has.
const WORTH_IT: usize = 16 << 20;

/// Has the allocator give memory back whenever much has become free, until the program ends.
pub async fn give_back(budget: Arc<Budget>) {
    let mut ticks = interval(EVERY);
    let mut most = 0;
    loop {
        ticks.tick().await;
        let used = budget.used();
        if used.saturating_add(WORTH_IT) <= most {
            // It does not panic, and the runtime ends with the program.
            let _ = spawn_blocking(trim).await;
            most = used;
        }
        most = used.max(most);
    }
}

/// glibc keeps what is free between blocks that are still in use, in each of its arenas (malloc_trim(3)). Other C libraries
/// keep less by themselves.
fn trim() {
    #[cfg(target_env = "gnu")]
    // SAFETY: it takes a number, and touches nothing but what the allocator knows to be free, under its locks.
    #[expect(unsafe_code, reason = "no safe crate offers it")]
    unsafe {
        libc::malloc_trim(0);
    }
}

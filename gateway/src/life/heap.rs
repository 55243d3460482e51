//! Gives memory back to the system that clients needed and need no longer. What it was for is not known here.

use std::{sync::Arc, time::Duration};

use tokio::{
    task::spawn_blocking,
    time::{MissedTickBehavior, interval},
};

use crate::{budget::Budget, observe::process::resident_bytes};

const EVERY: Duration = Duration::from_millis(100);
/// What is resident besides what clients hold, with some of what is free.
const USUAL: u64 = 40 << 20;
/// So much more must be so than after the last time: the allocator looks through all that it has.
const WORTH_IT: u64 = 8 << 20;
/// Or clients hold so much less than before.
const FELL: u64 = 16 << 20;

/// Has the allocator give memory back whenever clients hold much less than before, or than is resident, until the program
/// ends.
pub async fn give_back(budget: Arc<Budget>) {
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut left, mut most) = (0, 0);
    loop {
        ticks.tick().await;
        let used = u64::try_from(budget.used()).unwrap_or(u64::MAX);
        let beside = resident_bytes().saturating_sub(used);
        left = beside.min(left);
        most = used.max(most);
        if is_worth_it(beside, left, used) || used.saturating_add(FELL) <= most {
            // It does not panic, and the runtime ends with the program.
            let _ = spawn_blocking(trim).await;
            left = resident_bytes().saturating_sub(used);
            most = used;
        }
    }
}

/// `beside`: what is resident besides what clients hold, which is `used`. `left`: the same after the last time, or the least
/// since then.
fn is_worth_it(beside: u64, left: u64, used: u64) -> bool {
    beside > USUAL.saturating_add(used / 4) && beside >= left.saturating_add(WORTH_IT)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_given_back_where_much_is_free_and_not_again_and_again() {
        let mib = |number: u64| number << 20;
        assert!(!is_worth_it(mib(39), 0, 0), "the gateway itself");
        assert!(!is_worth_it(mib(60), 0, mib(100)), "some is free between what clients hold");
        assert!(is_worth_it(mib(70), 0, mib(100)));
        assert!(!is_worth_it(mib(70), mib(65), mib(100)), "it was of no use just now");
        assert!(is_worth_it(mib(73), mib(65), mib(100)));
    }
}

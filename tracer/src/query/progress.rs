//! Says on stderr how many nodes are still awaited. It must not know what they are asked.

use std::{io::IsTerminal as _, time::Duration};

use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};

/// How many have not answered yet, on a terminal, if it takes long.
pub struct Progress {
    all: usize,
    left: usize,
    ticks: Option<Interval>,
    is_shown: bool,
}

/// Until people wonder.
const LONG: Duration = Duration::from_secs(1);

impl Progress {
    pub fn new(all: usize) -> Self {
        let ticks = (all > 1 && std::io::stderr().is_terminal()).then(|| {
            let mut ticks = interval_at(Instant::now() + LONG, LONG / 4);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
            ticks
        });
        Self { all, left: all, ticks, is_shown: false }
    }

    /// Waits for one of them.
    pub async fn show_until<T>(&mut self, answer: impl Future<Output = T>) -> T {
        let mut answer = std::pin::pin!(answer);
        loop {
            let tick = async {
                match &mut self.ticks {
                    Some(ticks) => drop(ticks.tick().await),
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                answer = &mut answer => {
                    self.left = self.left.saturating_sub(1);
                    return answer;
                }
                () = tick => {
                    self.is_shown = true;
                    eprint!("\r\x1b[Kasking {} of {} nodes", self.left, self.all);
                }
            }
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.is_shown {
            eprint!("\r\x1b[K");
        }
    }
}

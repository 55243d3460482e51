//! Waiting for what announces itself by no descriptor: looked at again and again, until a limit.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// Between two looks: longer each time, so that a hundred that wait keep nobody from his work.
const FIRST_PAUSE: Duration = Duration::from_millis(2);
const LONGEST_PAUSE: Duration = Duration::from_millis(100);

/// Looks until `look` finds something.
///
/// # Errors
/// When it fails, or finds nothing within `longest`: the error names `what` was awaited.
pub fn eventually<T>(
    what: &str,
    longest: Duration,
    mut look: impl FnMut() -> Result<Option<T>>,
) -> Result<T> {
    let deadline = Instant::now() + longest;
    let mut pause = FIRST_PAUSE;
    loop {
        if let Some(found) = look()? {
            return Ok(found);
        }
        if Instant::now() > deadline {
            bail!("{what}: not within {longest:?}");
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

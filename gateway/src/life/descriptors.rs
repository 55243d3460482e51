//! Raises the limit of open files: each TCP connection needs a file descriptor, and the health port needs some.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tracing::warn;

use super::Failure;

/// The descriptors that clients cannot use: sockets that listen, health, files that are read.
const RESERVED: u64 = 128;

/// Raises the soft limit of open files as far as `connections` need and the hard limit allows; returns how many connections
/// there is room for.
///
/// # Errors
/// The limit leaves no room for a client.
pub fn make_room(connections: usize) -> Result<usize, Failure> {
    let limit = getrlimit(Resource::Nofile);
    let wanted = u64::try_from(connections).unwrap_or(u64::MAX).saturating_add(RESERVED);
    let raised = raised(limit, wanted);
    let current = if raised == limit.current
        || setrlimit(Resource::Nofile, Rlimit { current: raised, maximum: limit.maximum }).is_ok()
    {
        raised
    } else {
        limit.current
    };
    let room = room(current, connections);
    if room == 0 {
        return Err(Failure::Runtime(format!(
            "open files are limited to {}, and more than {RESERVED} are needed: raise that limit (ulimit -n)",
            current.unwrap_or(u64::MAX)
        )));
    }
    if room < connections {
        warn!(
            connections = room,
            "open files are limited to {}: raise that limit, or lower --max-connections from {connections}",
            current.unwrap_or(u64::MAX)
        );
    }
    Ok(room)
}

/// `None` is no limit.
fn raised(limit: Rlimit, wanted: u64) -> Option<u64> {
    let current = limit.current?;
    Some(current.max(wanted.min(limit.maximum.unwrap_or(u64::MAX))))
}

fn room(limit: Option<u64>, connections: usize) -> usize {
    let Some(limit) = limit else { return connections };
    let free = usize::try_from(limit.saturating_sub(RESERVED)).unwrap_or(usize::MAX);
    connections.min(free)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_raised_as_far_as_is_needed_and_allowed() {
        let of = |current, maximum| Rlimit { current, maximum };
        assert_eq!(raised(of(Some(1024), Some(524_288)), 65_664), Some(65_664));
        assert_eq!(raised(of(Some(1024), Some(4096)), 65_664), Some(4096));
        assert_eq!(raised(of(Some(1 << 20), Some(1 << 20)), 65_664), Some(1 << 20));
        assert_eq!(raised(of(Some(1024), None), 65_664), Some(65_664));
        assert_eq!(raised(of(None, None), 65_664), None);
    }

    #[test]
    fn some_files_are_left_for_health() {
        assert_eq!(room(Some(1024), 65_536), 896);
        assert_eq!(room(Some(10), 65_536), 0);
        assert_eq!((room(Some(1024), 10), room(None, 10)), (10, 10));
    }
}

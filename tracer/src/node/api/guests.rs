//! Who is connected, and who has to go where there is no place for another. It must not know what is asked.

use std::net::IpAddr;

use tokio::task::{AbortHandle, Id};

/// Connections that are open, the oldest first.
#[derive(Debug, Default)]
pub struct Guests {
    open: Vec<(Option<IpAddr>, AbortHandle)>,
}

impl Guests {
    pub fn count(&self) -> usize {
        self.open.len()
    }

    /// One came; `None` for one of a unix socket.
    pub fn came(&mut self, peer: Option<IpAddr>, task: AbortHandle) {
        self.open.push((peer, task));
    }

    /// One is gone.
    pub fn left(&mut self, task: Id) {
        self.open.retain(|(_, open)| open.id() != task);
    }

    /// Cuts the oldest connection of the peer that has the most.
    pub fn cut_one(&mut self) {
        let peers: Vec<Option<IpAddr>> = self.open.iter().map(|(peer, _)| *peer).collect();
        if let Some(index) = to_cut(&peers) {
            self.open.remove(index).1.abort();
        }
    }
}

/// Which of these connections, the oldest first, has to go.
fn to_cut(peers: &[Option<IpAddr>]) -> Option<usize> {
    let count = |peer: &Option<IpAddr>| peers.iter().filter(|it| *it == peer).count();
    let most = peers.iter().map(count).max()?;
    peers.iter().position(|peer| count(peer) == most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_of_who_has_the_most_goes() {
        let peer = |last: u8| Some(IpAddr::from([10, 0, 0, last]));
        assert_eq!(to_cut(&[]), None);
        assert_eq!(to_cut(&[peer(1), peer(2), peer(2)]), Some(1));
        assert_eq!(to_cut(&[peer(1), peer(2), peer(3)]), Some(0));
        assert_eq!(to_cut(&[None, None, peer(1)]), Some(0));
    }
}

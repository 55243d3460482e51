//! Reads the two ring buffers. Records are handed on as bytes.

use std::io;

use aya::maps::{MapData, RingBuf};
use tokio::io::unix::AsyncFd;

use super::load::{LoadError, Programs};

/// DEATHS and EVENTS, read in turns; deaths first.
pub struct Rings {
    deaths: AsyncFd<RingBuf<MapData>>,
    events: AsyncFd<RingBuf<MapData>>,
}

impl Rings {
    /// Takes both rings. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// They were taken before, or the runtime cannot watch them.
    pub fn take(programs: &mut Programs) -> anyhow::Result<Self> {
        #[expect(
            deprecated,
            reason = "its successor is unsafe; a RingBuf owns its descriptor until it is dropped"
        )]
        let watch = |ring: Result<RingBuf<MapData>, LoadError>| -> anyhow::Result<_> {
            Ok(AsyncFd::with_interest(ring?, tokio::io::Interest::READABLE)?)
        };
        Ok(Self {
            deaths: watch(programs.take_ring("DEATHS"))?,
            events: watch(programs.take_ring("EVENTS"))?,
        })
    }

    /// Waits until there is something, then hands every record of both rings to `take`.
    ///
    /// # Errors
    /// The runtime can no longer watch them.
    pub async fn next(&mut self, take: impl FnMut(&[u8])) -> io::Result<()> {
        self.ready().await?;
        self.drain(take);
        Ok(())
    }

    /// Waits until there is something, for whoever drains the rings right after. Nothing is lost if it is not waited for
    /// to the end.
    ///
    /// # Errors
    /// The runtime can no longer watch them.
    pub async fn ready(&mut self) -> io::Result<()> {
        // Cleared before reading: what comes meanwhile makes it ready again.
        tokio::select! {
            ready = self.deaths.readable_mut() => ready?.clear_ready(),
            ready = self.events.readable_mut() => ready?.clear_ready(),
        }
        Ok(())
    }

    /// Hands over what is there now, without waiting.
    pub fn drain(&mut self, mut take: impl FnMut(&[u8])) {
        for ring in [&mut self.deaths, &mut self.events] {
            while let Some(record) = ring.get_mut().next() {
                take(&record);
            }
        }
    }
}

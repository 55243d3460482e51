//! Reads the two ring buffers. Records are handed on as bytes.

use std::io;

use aya::maps::{MapData, RingBuf};
use tokio::io::unix::AsyncFd;

use super::load::{LoadError, Programs};

/// A record's header and its alignment in a ring (BPF_RINGBUF_HDR_SZ in include/uapi/linux/bpf.h).
const HEADER_BYTES: usize = 8;

/// DEATHS and EVENTS, read in turns; deaths first.
pub struct Rings {
    deaths: Ring,
    events: Ring,
}

struct Ring {
    buffer: AsyncFd<RingBuf<MapData>>,
    size_bytes: u32,
    most_used_bytes: usize,
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
        let watch = |ring: Result<(RingBuf<MapData>, u32), LoadError>| -> anyhow::Result<_> {
            let (buffer, size_bytes) = ring?;
            let buffer = AsyncFd::with_interest(buffer, tokio::io::Interest::READABLE)?;
            Ok(Ring { buffer, size_bytes, most_used_bytes: 0 })
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
            ready = self.deaths.buffer.readable_mut() => ready?.clear_ready(),
            ready = self.events.buffer.readable_mut() => ready?.clear_ready(),
        }
        Ok(())
    }

    /// Hands over what is there now, without waiting.
    pub fn drain(&mut self, mut take: impl FnMut(&[u8])) {
        while self.drain_some(&mut take) {}
    }

    /// The same, but of each ring no more than it holds: whoever writes as fast as it is read would be read for ever.
    /// Returns whether there may be more.
    pub fn drain_some(&mut self, mut take: impl FnMut(&[u8])) -> bool {
        let mut more = false;
        for ring in [&mut self.deaths, &mut self.events] {
            let (most, mut used) = (ring.size_bytes as usize, 0);
            while used < most
                && let Some(record) = ring.buffer.get_mut().next()
            {
                used += HEADER_BYTES + record.len().next_multiple_of(HEADER_BYTES);
                take(&record);
            }
            more |= used >= most;
            ring.most_used_bytes = ring.most_used_bytes.max(used.min(most));
        }
        more
    }

    /// Sizes of DEATHS and of EVENTS.
    pub fn size_bytes(&self) -> [u32; 2] {
        [&self.deaths, &self.events].map(|ring| ring.size_bytes)
    }

    /// The most bytes that were found in DEATHS and in EVENTS at one reading since the last time.
    pub fn take_most_used_bytes(&mut self) -> [usize; 2] {
        [&mut self.deaths, &mut self.events].map(|ring| std::mem::take(&mut ring.most_used_bytes))
    }
}

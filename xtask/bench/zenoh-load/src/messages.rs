//! Messages: one publisher, each subscriber with a session of its own. Every message is checked by
//! the number in its payload. It knows nothing about calls.

use std::io::Read as _;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use zenoh::bytes::ZBytes;
use zenoh::qos::CongestionControl;
use zenoh::{Result, Session, Wait as _};

use crate::{NUMBER_BYTES, Router, key, payload};

pub struct Cell {
    /// Bytes of one payload.
    pub size: usize,
    pub subscribers: usize,
    /// Those that count; a fifth of them go before, to warm up.
    pub messages: usize,
}

/// The number of a message that only asks whether the subscribers are there.
const PROBE: u64 = u64::MAX;
const PROBES: usize = 500;
const PROBE_WAIT: Duration = Duration::from_millis(20);

/// So long may nothing arrive before the rest counts as lost.
const PATIENCE: Duration = Duration::from_secs(10);

impl Cell {
    /// `received` counts messages after the warm-up, of all subscribers together, in `seconds`;
    /// `in_order` says that each, and each of the warm-up, was whole and the next one.
    pub fn measure(&self, router: &Router<'_>) -> Result<String> {
        let warm = self.messages as u64 / 5;
        let all = warm + self.messages as u64;
        let mut subscribers = Subscribers::open(router, self, warm, all)?;
        let session = router.open()?;
        // Blocked rather than dropped: a cell with a lost message would not count.
        let publisher =
            session.declare_publisher(key()).congestion_control(CongestionControl::Block).wait()?;
        subscribers.meet(|| publisher.put(payload(PROBE, self.size)).wait())?;

        for number in 0..all {
            publisher.put(payload(number, self.size)).wait()?;
        }
        let ended = subscribers.wait_for_last();
        let seen = || subscribers.each.iter().map(|(_, seen)| seen);
        let began = seen().filter_map(|seen| seen.began.get()).min();
        let seconds = began.zip(ended).map_or(0.0, |(began, ended)| (ended - *began).as_secs_f64());
        let received: u64 = seen().map(|seen| seen.count().saturating_sub(warm)).sum();
        let in_order = seen().all(|seen| !seen.strayed.load(Relaxed));
        for (session, _) in &subscribers.each {
            session.close().wait()?;
        }
        session.close().wait()?;
        Ok(format!(r#"{{"received":{received},"seconds":{seconds:.6},"in_order":{in_order}}}"#))
    }
}

struct Subscribers {
    each: Vec<(Session, Arc<Seen>)>,
    /// When each of them had its first probe, and its last message.
    reports: Receiver<Instant>,
}

impl Subscribers {
    fn open(router: &Router<'_>, cell: &Cell, warm: u64, all: u64) -> Result<Self> {
        let (report, reports) = sync_channel(2 * cell.subscribers);
        let mut each = Vec::new();
        for _ in 0..cell.subscribers {
            let session = router.open()?;
            let seen = Arc::new(Seen { size: cell.size, warm, all, ..Seen::default() });
            let (mine, report) = (seen.clone(), report.clone());
            session
                .declare_subscriber(key())
                .callback(move |sample| mine.take(sample.payload(), &report))
                .background()
                .wait()?;
            each.push((session, seen));
        }
        Ok(Self { each, reports })
    }

    /// Sends probes until every subscriber had one.
    fn meet(&mut self, probe: impl Fn() -> Result<()>) -> Result<()> {
        let mut met = 0;
        for _ in 0..PROBES {
            probe()?;
            while met < self.each.len() && self.reports.recv_timeout(PROBE_WAIT).is_ok() {
                met += 1;
            }
            if met == self.each.len() {
                return Ok(());
            }
        }
        Err(format!("the router reaches only {met} of {} subscribers", self.each.len()).into())
    }

    /// When the last subscriber had its last message; none if waiting for that was in vain.
    fn wait_for_last(&mut self) -> Option<Instant> {
        let count = || self.each.iter().map(|(_, seen)| seen.count()).sum::<u64>();
        let mut ends = Vec::new();
        let mut counted = count();
        while ends.len() < self.each.len() {
            match self.reports.recv_timeout(PATIENCE) {
                Ok(end) => ends.push(end),
                Err(_) if count() == counted => return None,
                Err(_) => counted = count(),
            }
        }
        ends.into_iter().max()
    }
}

/// What one subscriber has seen. Only the receiving thread of its session writes it.
#[derive(Default)]
struct Seen {
    size: usize,
    warm: u64,
    all: u64,
    met: AtomicBool,
    count: AtomicU64,
    strayed: AtomicBool,
    /// When the last message of the warm-up had come.
    began: OnceLock<Instant>,
}

impl Seen {
    fn take(&self, payload: &ZBytes, report: &SyncSender<Instant>) {
        let mut number = [0; NUMBER_BYTES];
        let whole = payload.reader().read_exact(&mut number).is_ok() && payload.len() == self.size;
        let number = u64::from_be_bytes(number);
        // Whoever waited for the report may have given up.
        if whole && number == PROBE {
            if !self.met.swap(true, Relaxed) {
                let _ = report.send(Instant::now());
            }
            return;
        }
        let expected = self.count();
        if !whole || number != expected {
            self.strayed.store(true, Relaxed);
        }
        self.count.store(expected + 1, Relaxed);
        if expected + 1 == self.warm.max(1) {
            let _ = self.began.set(Instant::now());
        }
        if expected + 1 == self.all {
            let _ = report.send(Instant::now());
        }
    }

    fn count(&self) -> u64 {
        self.count.load(Relaxed)
    }
}

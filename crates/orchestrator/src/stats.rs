//! What the scheduler tells about itself.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

/// Upper bounds of the start-delay histogram, in seconds.
pub const DELAY_BUCKETS: [f64; 12] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];

/// A check that starts this much after it was due counts as late.
pub(crate) const LATE: Duration = Duration::from_secs(1);

/// Counters of one orchestrator, shared by its shards.
#[derive(Debug, Default)]
pub struct SchedulerStats {
    pub(crate) started: AtomicU64,
    pub(crate) ended: AtomicU64,
    pub(crate) late: AtomicU64,
    pub(crate) dropped: AtomicU64,
    pub(crate) panics: AtomicU64,
    pub(crate) overstayed: AtomicU64,
    pub(crate) stalls: AtomicU64,
    pub(crate) in_flight: AtomicI64,
    pub(crate) waiting: AtomicI64,
    pub(crate) discarded: AtomicU64,
    gaps: AtomicU64,
    pub(crate) duplicates: AtomicU64,
    delays: [AtomicU64; DELAY_BUCKETS.len() + 1],
    delay_sum_micros: AtomicU64,
}

/// The counters at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StatsSnapshot {
    /// Checks started.
    pub started: u64,
    /// Checks ended.
    pub ended: u64,
    /// Checks that started more than a second after they were due.
    pub late: u64,
    /// Ticks that were never run, because the one before was still running or waiting.
    pub dropped: u64,
    /// Checks that ended in a panic.
    pub panics: u64,
    /// Checks thrown away because they did not keep their deadline.
    pub overstayed: u64,
    /// Times that a probe runtime stood still for more than a second.
    pub stalls: u64,
    /// Checks running now.
    pub in_flight: i64,
    /// Checks that are due and wait for a place.
    pub waiting: i64,
    /// Results thrown away because the store did not take them.
    pub discarded: u64,
    /// Gaps: times in which a monitor was not watched though it should have been.
    pub gaps: u64,
    /// Readings dropped because their check had another of the same series.
    pub duplicates: u64,
    /// Start delays by bucket, not cumulated; the last is over every bound.
    pub delays: Vec<u64>,
    /// Sum of the start delays in seconds.
    pub delay_sum_seconds: f64,
}

impl SchedulerStats {
    pub(crate) fn observe_delay(&self, delay: Duration) {
        let seconds = delay.as_secs_f64();
        let bucket = DELAY_BUCKETS.iter().position(|bound| seconds <= *bound).unwrap_or(DELAY_BUCKETS.len());
        self.delays[bucket].fetch_add(1, Ordering::Relaxed);
        self.delay_sum_micros
            .fetch_add(u64::try_from(delay.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
        if delay > LATE {
            self.late.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn add_gaps(&self, count: u64) {
        self.gaps.fetch_add(count, Ordering::Relaxed);
    }

    /// The counters now.
    pub fn snapshot(&self) -> StatsSnapshot {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        StatsSnapshot {
            started: get(&self.started),
            ended: get(&self.ended),
            late: get(&self.late),
            dropped: get(&self.dropped),
            panics: get(&self.panics),
            overstayed: get(&self.overstayed),
            stalls: get(&self.stalls),
            in_flight: self.in_flight.load(Ordering::Relaxed),
            waiting: self.waiting.load(Ordering::Relaxed),
            discarded: get(&self.discarded),
            gaps: get(&self.gaps),
            duplicates: get(&self.duplicates),
            delays: self.delays.iter().map(get).collect(),
            delay_sum_seconds: get(&self.delay_sum_micros) as f64 / 1e6,
        }
    }
}

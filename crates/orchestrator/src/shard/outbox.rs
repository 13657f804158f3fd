//! What goes to the store, in batches.

use std::time::Duration;

use std::sync::atomic::Ordering;
use tokio::time::Instant;
use wise_core::{CheckRecord, Event, EventKind, MonitorId, Timestamp};

use super::Shard;

/// Results wait at most this long before they go to the store.
pub(super) const FLUSH: Duration = Duration::from_millis(100);
/// Results kept while the store takes none. Events are kept without limit.
const MAX_KEPT: usize = 10_000;

impl Shard {
    pub(super) fn push_record(&mut self, record: CheckRecord, now: Instant) {
        self.batch.records.push(record);
        self.batch_since.get_or_insert(now);
    }

    pub(super) fn push_events(
        &mut self,
        monitor: MonitorId,
        time: Timestamp,
        kinds: impl IntoIterator<Item = EventKind>,
    ) {
        let before = self.batch.events.len();
        self.batch.events.extend(kinds.into_iter().map(|kind| Event { monitor, time, kind }));
        if self.batch.events.len() > before {
            // An event does not wait for company.
            self.batch_since = Some(self.epoch);
        }
    }

    pub(super) fn flush_if_due(&mut self, now: Instant) {
        if self.batch_since.is_none_or(|since| now < since + FLUSH) {
            return;
        }
        self.batch_since = None;
        if let Err(mut batch) = self.sink.send(std::mem::take(&mut self.batch)) {
            if batch.records.len() > MAX_KEPT {
                let excess = batch.records.len() - MAX_KEPT;
                batch.records.drain(..excess);
                self.stats.discarded.fetch_add(excess as u64, Ordering::Relaxed);
            }
            self.batch = batch;
            self.batch_since = Some(now);
        }
    }
}

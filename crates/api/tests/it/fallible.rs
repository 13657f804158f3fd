//! A store that fails when it is told to. Everything else is done by the embedded store, in a folder in memory.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use wise_core::{
    CheckRecord, Event, MonitorDefinition, MonitorId, MonitorState, SourceId, SourceName, Timestamp,
};
use wise_storage::ports::{Commit, DefinitionStore, HistoryStore, MainRecord, SourceSamples, Timeline};
use wise_storage::{Answer, QueryPlan, ResultQuery, SeriesPieces, SqliteStore, StoreError, StoredResult};

/// Writes that still succeed; below zero all do.
const NEVER: i64 = -1;

pub struct Fallible {
    inner: SqliteStore,
    left: AtomicI64,
    history_fails: AtomicBool,
}

impl Fallible {
    pub fn new(inner: SqliteStore) -> Self {
        Self { inner, left: AtomicI64::new(NEVER), history_fails: AtomicBool::new(false) }
    }

    /// Lets samples of sources that are no monitors be refused, or taken again.
    pub fn fail_samples(&self, fails: bool) {
        self.history_fails.store(fails, Ordering::SeqCst);
    }

    /// Lets so many changes of definitions succeed, and none after them.
    pub fn fail_after(&self, writes: i64) {
        self.left.store(writes, Ordering::SeqCst);
    }

    pub fn recover(&self) {
        self.left.store(NEVER, Ordering::SeqCst);
    }

    fn write(&self) -> Result<(), StoreError> {
        let left = self.left.load(Ordering::SeqCst);
        if left == 0 {
            return Err(StoreError::DiskFull { path: "/secret/path/wise.sqlite3".into() });
        }
        if left > 0 {
            self.left.store(left - 1, Ordering::SeqCst);
        }
        Ok(())
    }
}

impl DefinitionStore for Fallible {
    fn monitors(&self) -> Result<Vec<MonitorDefinition>, StoreError> {
        self.inner.monitors()
    }

    fn insert_monitor(&self, definition: &MonitorDefinition) -> Result<(), StoreError> {
        self.write()?;
        self.inner.insert_monitor(definition)
    }

    fn update_monitor(&self, definition: &MonitorDefinition, expected: u64) -> Result<(), StoreError> {
        self.write()?;
        self.inner.update_monitor(definition, expected)
    }

    fn remove_monitor(&self, removal: &Event) -> Result<u64, StoreError> {
        self.write()?;
        self.inner.remove_monitor(removal)
    }

    fn restore_monitor(&self, definition: &MonitorDefinition, event: &Event) -> Result<u64, StoreError> {
        self.write()?;
        self.inner.restore_monitor(definition, event)
    }

    fn removed_monitors(&self) -> Result<Vec<(MonitorDefinition, Timestamp)>, StoreError> {
        self.inner.removed_monitors()
    }

    fn purge_monitor(&self, id: MonitorId) -> Result<(), StoreError> {
        self.write()?;
        self.inner.purge_monitor(id)
    }

    fn meta(&self, key: &str) -> Result<Option<String>, StoreError> {
        self.inner.meta(key)
    }

    fn set_meta(&self, key: &str, value: &str) -> Result<(), StoreError> {
        self.inner.set_meta(key, value)
    }
}

impl MainRecord for Fallible {
    fn commit(&self, commit: Commit<'_>) -> Result<Vec<u64>, StoreError> {
        self.inner.commit(commit)
    }

    fn events_after(&self, after: u64, limit: usize) -> Result<Vec<(u64, Event)>, StoreError> {
        self.inner.events_after(after, limit)
    }

    fn unseen_events(&self, consumer: &str, limit: usize) -> Result<Vec<(u64, Event)>, StoreError> {
        self.inner.unseen_events(consumer, limit)
    }

    fn events_of(
        &self,
        monitor: MonitorId,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<(u64, Event)>, StoreError> {
        self.inner.events_of(monitor, before, limit)
    }

    fn timeline(&self, monitor: Option<MonitorId>, from: Timestamp) -> Result<Timeline, StoreError> {
        self.inner.timeline(monitor, from)
    }

    fn states(&self) -> Result<HashMap<MonitorId, MonitorState>, StoreError> {
        self.inner.states()
    }

    fn last_event(&self) -> Result<u64, StoreError> {
        self.inner.last_event()
    }

    fn cursor(&self, consumer: &str) -> Result<u64, StoreError> {
        self.inner.cursor(consumer)
    }
}

impl HistoryStore for Fallible {
    fn append(&self, records: &[CheckRecord]) -> Result<(), StoreError> {
        self.inner.append(records)
    }

    fn append_samples(&self, samples: &[SourceSamples]) -> Result<(), StoreError> {
        if self.history_fails.load(Ordering::SeqCst) {
            return Err(StoreError::Away { reason: "a test has said so".to_owned() });
        }
        self.inner.append_samples(samples)
    }

    fn sources(&self) -> Result<Vec<SourceName>, StoreError> {
        self.inner.sources()
    }

    fn maintain(&self, now: Timestamp) -> Result<(), StoreError> {
        self.inner.maintain(now)
    }

    fn answer(&self, plan: &QueryPlan) -> Result<Answer, StoreError> {
        self.inner.answer(plan)
    }

    fn read(&self, source: &SourceId, plan: &QueryPlan) -> Result<Vec<SeriesPieces>, StoreError> {
        self.inner.read(source, plan)
    }

    fn refused_readings(&self) -> u64 {
        self.inner.refused_readings()
    }

    fn results(&self, query: &ResultQuery) -> Result<Vec<StoredResult>, StoreError> {
        self.inner.results(query)
    }

    fn last_checks(&self) -> Result<HashMap<MonitorId, HashMap<String, Timestamp>>, StoreError> {
        self.inner.last_checks()
    }
}

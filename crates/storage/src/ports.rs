//! The ports of the store, by concern. All calls block; callers on an async runtime move them to a blocking thread.

use std::collections::HashMap;

use wise_core::{
    CheckRecord, Event, EventKind, Labels, MetricSpec, MonitorDefinition, MonitorId, MonitorState, Reading,
    SourceId, SourceName, Status, Timestamp,
};

use crate::error::StoreError;
use crate::query::{Answer, QueryPlan, ResultQuery, SeriesPieces, StoredResult};
use crate::rollup::Distribution;

/// Definitions. Their settings come in and go out sealed.
pub trait DefinitionStore: Send + Sync {
    /// Every monitor.
    ///
    /// # Errors
    /// The store cannot be read.
    fn monitors(&self) -> Result<Vec<MonitorDefinition>, StoreError>;

    /// Adds a monitor. Durable when it returns.
    ///
    /// # Errors
    /// The name is taken, or the store cannot be written.
    fn insert_monitor(&self, definition: &MonitorDefinition) -> Result<(), StoreError>;

    /// Replaces a monitor whose version is `expected`. Durable when it returns.
    ///
    /// # Errors
    /// It has another version, is gone, its new name is taken, or the store cannot be written.
    fn update_monitor(&self, definition: &MonitorDefinition, expected: u64) -> Result<(), StoreError>;

    /// Takes a monitor out of force, and commits the event that says so with it. Its name is free; its definition and
    /// history are kept, hidden, until it is purged. Durable when it returns.
    ///
    /// # Errors
    /// It is gone, or the store cannot be written.
    fn remove_monitor(&self, removal: &Event) -> Result<u64, StoreError>;

    /// Puts a monitor that was removed into force again, and commits the event that says so with it. Durable when it
    /// returns.
    ///
    /// # Errors
    /// Its name is taken, or the store cannot be written.
    fn restore_monitor(&self, definition: &MonitorDefinition, event: &Event) -> Result<u64, StoreError>;

    /// Monitors that were removed and not purged, and when they were removed.
    ///
    /// # Errors
    /// The store cannot be read.
    fn removed_monitors(&self) -> Result<Vec<(MonitorDefinition, Timestamp)>, StoreError>;

    /// Forgets a monitor that was removed, with its events, for good.
    ///
    /// # Errors
    /// The store cannot be written.
    fn purge_monitor(&self, id: MonitorId) -> Result<(), StoreError>;

    /// A small setting of the store's own, such as whether the first start has been made.
    ///
    /// # Errors
    /// The store cannot be read.
    fn meta(&self, key: &str) -> Result<Option<String>, StoreError>;

    /// Sets it.
    ///
    /// # Errors
    /// The store cannot be written.
    fn set_meta(&self, key: &str, value: &str) -> Result<(), StoreError>;
}

/// What decides uptime, by monitor, in the order of its events.
pub type Timeline = HashMap<MonitorId, Vec<TimelineChange>>;

/// An event that bears on uptime.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimelineChange {
    /// The status changed.
    Status {
        /// When that was decided.
        time: Timestamp,
        /// From when it holds; earlier than `time` for a monitor that is down.
        since: Timestamp,
        /// The status after.
        status: Status,
        /// Whether the monitor counts as down.
        down: bool,
    },
    /// No one watched.
    Gap {
        /// From when.
        from: Timestamp,
        /// Until when.
        until: Timestamp,
    },
}

impl TimelineChange {
    /// What an event says of uptime, if it says something.
    pub fn of(time: Timestamp, kind: &EventKind) -> Option<Self> {
        match kind {
            EventKind::Status(change) => {
                Some(Self::Status { time, since: change.since, status: change.to, down: change.down })
            }
            EventKind::Gap(gap) => Some(Self::Gap { from: gap.from, until: gap.until }),
            _ => None,
        }
    }
}

/// What belongs together, and is stored together or not at all.
#[derive(Clone, Copy, Debug, Default)]
pub struct Commit<'c> {
    /// Events, in order. They are numbered.
    pub events: &'c [Event],
    /// How far a consumer has come with this: its name, and the number of the last event it has taken in.
    pub cursor: Option<(&'c str, u64)>,
}

impl<'c> Commit<'c> {
    /// A commit of events alone.
    pub fn of(events: &'c [Event]) -> Self {
        Self { events, cursor: None }
    }
}

/// The main record: what must never be lost, in one numbered sequence.
pub trait MainRecord: Send + Sync {
    /// Stores what belongs together in one transaction; answers the numbers of its events. Durable when it returns.
    ///
    /// # Errors
    /// Nothing was stored.
    fn commit(&self, commit: Commit<'_>) -> Result<Vec<u64>, StoreError>;

    /// Events with a number above `after`, oldest first.
    ///
    /// # Errors
    /// The store cannot be read.
    fn events_after(&self, after: u64, limit: usize) -> Result<Vec<(u64, Event)>, StoreError>;

    /// Events that a consumer has not seen, oldest first: those above its cursor, without those that it saw under another
    /// number before this process took over from another.
    ///
    /// # Errors
    /// The store cannot be read.
    fn unseen_events(&self, consumer: &str, limit: usize) -> Result<Vec<(u64, Event)>, StoreError>;

    /// Events of a monitor with a number below `before`, newest first.
    ///
    /// # Errors
    /// The store cannot be read.
    fn events_of(
        &self,
        monitor: MonitorId,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<(u64, Event)>, StoreError>;

    /// What decides uptime in a range that begins at `from`: the last change of status before it, and what bears on it
    /// since. Without a monitor, of all.
    ///
    /// # Errors
    /// The store cannot be read.
    fn timeline(&self, monitor: Option<MonitorId>, from: Timestamp) -> Result<Timeline, StoreError>;

    /// What the events of every monitor add up to.
    ///
    /// # Errors
    /// The store cannot be read.
    fn states(&self) -> Result<HashMap<MonitorId, MonitorState>, StoreError>;

    /// The number of the last event.
    ///
    /// # Errors
    /// The store cannot be read.
    fn last_event(&self) -> Result<u64, StoreError>;

    /// How far a consumer has come.
    ///
    /// # Errors
    /// The store cannot be read.
    fn cursor(&self, consumer: &str) -> Result<u64, StoreError>;
}

/// What was measured of a source that is no monitor, at one time.
#[derive(Clone, Debug, PartialEq)]
pub struct SourceSamples {
    /// Whose. It need not be known to the store.
    pub source: SourceName,
    /// When.
    pub time: Timestamp,
    /// The numbers.
    pub readings: Vec<Reading>,
    /// What is a distribution: how values were distributed since the sample before.
    pub distributions: Vec<(&'static MetricSpec, Labels, Distribution)>,
}

impl SourceSamples {
    /// Numbers alone.
    pub fn of(source: SourceName, time: Timestamp, readings: Vec<Reading>) -> Self {
        Self { source, time, readings, distributions: Vec::new() }
    }
}

/// Results and samples.
pub trait HistoryStore: Send + Sync {
    /// Stores checks, with one write to the disk. Durable when it returns.
    ///
    /// # Errors
    /// None of the batch was stored.
    fn append(&self, records: &[CheckRecord]) -> Result<(), StoreError>;

    /// Stores samples of sources that are no monitors, with one write to the disk. A source is made with its first sample.
    /// Durable when it returns.
    ///
    /// # Errors
    /// What was not stored is stored when the same is given again; what was is not stored twice.
    fn append_samples(&self, samples: &[SourceSamples]) -> Result<(), StoreError>;

    /// The sources that are no monitors, in order.
    ///
    /// # Errors
    /// The store cannot be read.
    fn sources(&self) -> Result<Vec<SourceName>, StoreError>;

    /// House-keeping between writes: sealing, closing old days, retention. Short, called often.
    ///
    /// # Errors
    /// Something could not be written; what is stored stays readable.
    fn maintain(&self, now: Timestamp) -> Result<(), StoreError>;

    /// A metric over time.
    ///
    /// # Errors
    /// The store cannot be read.
    fn answer(&self, plan: &QueryPlan) -> Result<Answer, StoreError>;

    /// What there is of the series of one source that a plan asks for, before it is merged: for those who want
    /// everything, such as an export.
    ///
    /// # Errors
    /// The store cannot be read.
    fn read(&self, source: &SourceId, plan: &QueryPlan) -> Result<Vec<SeriesPieces>, StoreError>;

    /// Readings that were not kept, because their source has more series with labels than are allowed.
    fn refused_readings(&self) -> u64;

    /// Checks, newest first.
    ///
    /// # Errors
    /// The store cannot be read.
    fn results(&self, query: &ResultQuery) -> Result<Vec<StoredResult>, StoreError>;

    /// When each probe of each monitor last ran, as far as raw history goes back.
    ///
    /// # Errors
    /// The store cannot be read.
    fn last_checks(&self) -> Result<HashMap<MonitorId, HashMap<String, Timestamp>>, StoreError>;
}

/// A whole store.
pub trait Store: DefinitionStore + MainRecord + HistoryStore {}

impl<T: DefinitionStore + MainRecord + HistoryStore> Store for T {}

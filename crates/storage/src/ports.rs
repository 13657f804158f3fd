//! The ports of the store, by concern. All calls block; callers on an async runtime move them to a blocking thread.

use std::collections::HashMap;

use wise_core::{CheckRecord, MonitorDefinition, MonitorId, Reason, Status, Timestamp, Transition};

use crate::error::StoreError;
use crate::query::{Answer, QueryPlan, ResultQuery, SeriesPieces, StoredResult};

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

    /// Removes a monitor and its transitions. Durable when it returns.
    ///
    /// # Errors
    /// It is gone, or the store cannot be written.
    fn delete_monitor(&self, id: MonitorId) -> Result<(), StoreError>;

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

/// Changes of status by monitor, oldest first: when, to what, and whether it was down.
pub type StateChanges = HashMap<MonitorId, Vec<(Timestamp, Status, bool)>>;

/// What an earlier run left of a monitor.
#[derive(Clone, Debug, PartialEq)]
pub struct LastState {
    /// The status after the last transition.
    pub status: Status,
    /// When that was.
    pub since: Timestamp,
    /// Why.
    pub reason: Option<Reason>,
    /// Whether it was down when it was last known.
    pub was_down: bool,
}

/// The main record: what must never be lost, in one numbered sequence.
pub trait MainRecord: Send + Sync {
    /// Stores transitions, and what follows from them, in one transaction; answers their numbers. Durable when it
    /// returns.
    ///
    /// # Errors
    /// Nothing was stored.
    fn commit(&self, transitions: &[Transition]) -> Result<Vec<u64>, StoreError>;

    /// Transitions with a number above `after`, oldest first.
    ///
    /// # Errors
    /// The store cannot be read.
    fn transitions_after(&self, after: u64, limit: usize) -> Result<Vec<(u64, Transition)>, StoreError>;

    /// Transitions of a monitor with a number below `before`, newest first.
    ///
    /// # Errors
    /// The store cannot be read.
    fn transitions_of(
        &self,
        monitor: MonitorId,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<(u64, Transition)>, StoreError>;

    /// What decides uptime in a range: the last transition before it, and those in it; oldest first. Without a
    /// monitor, of all.
    ///
    /// # Errors
    /// The store cannot be read.
    fn states(&self, monitor: Option<MonitorId>, from: Timestamp) -> Result<StateChanges, StoreError>;

    /// The last known state of every monitor.
    ///
    /// # Errors
    /// The store cannot be read.
    fn last_states(&self) -> Result<HashMap<MonitorId, LastState>, StoreError>;

    /// How far a consumer has come.
    ///
    /// # Errors
    /// The store cannot be read.
    fn cursor(&self, consumer: &str) -> Result<u64, StoreError>;

    /// Notes how far a consumer has come. Never goes back.
    ///
    /// # Errors
    /// The store cannot be written.
    fn advance_cursor(&self, consumer: &str, sequence: u64) -> Result<(), StoreError>;
}

/// Results and samples.
pub trait HistoryStore: Send + Sync {
    /// Stores checks, with one write to the disk. Durable when it returns.
    ///
    /// # Errors
    /// None of the batch was stored.
    fn append(&self, records: &[CheckRecord]) -> Result<(), StoreError>;

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

    /// What there is of the series of one monitor that a plan asks for, before it is merged: for those who want
    /// everything, such as an export.
    ///
    /// # Errors
    /// The store cannot be read.
    fn read(&self, monitor: MonitorId, plan: &QueryPlan) -> Result<Vec<SeriesPieces>, StoreError>;

    /// Readings that were not kept, because their monitor has more series with labels than are allowed.
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

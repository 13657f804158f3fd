//! The embedded store: a folder with one main file, and one file a day of raw history.
//!
//! `main_file` keeps definitions and the main record, `days` the history, one `day` each; `head` is what is not sealed yet,
//! `compact` makes one sealed file of a day that is over (`day_writer`), and its rollups (`rollup_file`, `rollup_chunk`).
//! `files` knows the names, `folder_lock` keeps others out, `read` and `results` read across files, `export` for other
//! backends. SQLite does the crash safety.

mod backup;
mod clock;
mod compact;
mod day;
mod day_writer;
mod days;
mod export;
mod files;
mod folder_lock;
mod head;
mod main_copy;
mod main_file;
mod movable;
mod open;
mod pool;
mod read;
mod results;
mod rice;
mod rollup_chunk;
mod rollup_file;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicI64;

use wise_core::{CheckRecord, MonitorDefinition, MonitorId, Timestamp, Transition};

use crate::error::StoreError;
use crate::ports::{DefinitionStore, HistoryStore, LastState, MainRecord, StateChanges};
use crate::query::{Answer, QueryPlan, ResultQuery, SeriesPieces, StoredResult};
use crate::retention::Retention;

pub use backup::{Copied, Progress, backup, check_store, restore};

use days::Days;
use export::Exporter;
use folder_lock::FolderLock;
use main_file::MainFile;
pub(crate) use read::Reader;

/// Name of the main file.
const MAIN: &str = "wise.sqlite3";

/// Options of the embedded store.
#[derive(Clone, Debug)]
pub struct SqliteOptions {
    /// The folder. Made when missing.
    pub folder: PathBuf,
    /// How long history is kept.
    pub retention: Retention,
    /// Memory for results that are not sealed yet, in bytes.
    pub head_bytes: usize,
    /// Series with labels of one monitor in a day at most; readings beyond are refused.
    pub max_series: usize,
    /// How long a clock that has jumped ahead has to stay there before history is removed because of it.
    pub clock_patience: std::time::Duration,
    /// The first day that may not be removed for its age, counted from 1970: something is still to be done with it.
    pub hold_from: Arc<AtomicI64>,
    /// Kept with each result: where it was made.
    pub location: String,
    /// Kept with each result: by which process.
    pub worker: String,
}

/// The embedded store.
#[derive(Debug)]
pub struct SqliteStore {
    main: MainFile,
    days: Days,
    // The last, so that it is given back when all else is closed.
    _lock: FolderLock,
}

impl SqliteStore {
    /// Opens, or makes, the store.
    ///
    /// # Errors
    /// The folder cannot be written, is in use, or the main file is damaged or too new. Damaged history is set aside
    /// and reported, and does not stop the start.
    pub fn open(options: &SqliteOptions, now: Timestamp) -> Result<Self, StoreError> {
        let folder = &options.folder;
        std::fs::create_dir_all(folder).map_err(|error| StoreError::io(folder, &error))?;
        let lock = FolderLock::take(folder)?;
        let main = MainFile::open(&folder.join(MAIN))?;
        let days = Days::open(folder, options, main.keys(), now)?;
        Ok(Self { main, days, _lock: lock })
    }

    /// Compacts every day that is over, and waits for it. A server does this by itself, a day at a time.
    ///
    /// # Errors
    /// A file cannot be read or written.
    pub fn compact_all(&self, now: Timestamp) -> Result<(), StoreError> {
        self.days.compact_all(now)
    }
}

/// For a store that has this one for its spool.
impl SqliteStore {
    /// One definition.
    pub(crate) fn monitor(&self, id: MonitorId) -> Result<Option<MonitorDefinition>, StoreError> {
        self.main.monitor(id)
    }

    /// Whether a definition could be stored: added, or changed from version `expected`.
    pub(crate) fn would_store(
        &self,
        one: &MonitorDefinition,
        expected: Option<u64>,
    ) -> Result<(), StoreError> {
        self.main.would_store(one, expected)
    }

    /// Whether there is such a monitor.
    pub(crate) fn has_monitor(&self, id: MonitorId) -> bool {
        self.days.key(id).is_some()
    }

    /// Makes the definitions those of another store.
    pub(crate) fn take_over_monitors(&self, all: &[MonitorDefinition]) -> Result<(), StoreError> {
        self.main.take_over_monitors(all)
    }

    /// Takes over transitions of another store; see there.
    pub(crate) fn take_over_transitions(
        &self,
        reader: &str,
        after: u64,
        theirs: &[(u64, Transition)],
        floor: u64,
    ) -> Result<(), StoreError> {
        self.main.take_over_transitions(reader, after, theirs, floor)
    }

    /// How far every consumer has come.
    pub(crate) fn cursors(&self) -> Result<Vec<(String, u64)>, StoreError> {
        self.main.cursors()
    }

    /// Every setting of the store's own.
    pub(crate) fn all_meta(&self) -> Result<Vec<(String, String)>, StoreError> {
        self.main.all_meta()
    }

    /// The days that there are samples of, counted from 1970, the oldest first.
    pub(crate) fn days(&self) -> Result<Vec<i64>, StoreError> {
        self.days.all()
    }

    /// Days that were removed although they were to be held, because the store may not grow.
    pub(crate) fn given_up(&self) -> u64 {
        self.days.given_up()
    }

    /// Reads the checks of many monitors.
    pub(crate) fn exporter(&self) -> Result<Exporter<'_>, StoreError> {
        self.days.exporter()
    }

    /// Reads metrics of many monitors.
    pub(crate) fn reader(&self) -> Result<Reader<'_>, StoreError> {
        self.days.reader()
    }
}

/// The definitions of a folder, while a server may be running on it.
///
/// # Errors
/// There is no store in the folder, or it cannot be read.
pub fn read_definitions(folder: &Path) -> Result<Vec<MonitorDefinition>, StoreError> {
    main_file::read_monitors(&folder.join(MAIN))
}

impl DefinitionStore for SqliteStore {
    fn monitors(&self) -> Result<Vec<MonitorDefinition>, StoreError> {
        self.main.monitors()
    }

    fn insert_monitor(&self, definition: &MonitorDefinition) -> Result<(), StoreError> {
        self.main.insert(definition)
    }

    fn update_monitor(&self, definition: &MonitorDefinition, expected: u64) -> Result<(), StoreError> {
        self.main.update(definition, expected)
    }

    fn delete_monitor(&self, id: MonitorId) -> Result<(), StoreError> {
        self.main.delete(id)
    }

    fn meta(&self, key: &str) -> Result<Option<String>, StoreError> {
        self.main.meta(key)
    }

    fn set_meta(&self, key: &str, value: &str) -> Result<(), StoreError> {
        self.main.set_meta(key, value)
    }
}

impl MainRecord for SqliteStore {
    fn commit(&self, transitions: &[Transition]) -> Result<Vec<u64>, StoreError> {
        self.main.commit(transitions)
    }

    fn transitions_after(&self, after: u64, limit: usize) -> Result<Vec<(u64, Transition)>, StoreError> {
        self.main.transitions_after(after, limit)
    }

    fn transitions_of(
        &self,
        monitor: MonitorId,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<(u64, Transition)>, StoreError> {
        self.main.transitions_of(monitor, before, limit)
    }

    fn states(&self, monitor: Option<MonitorId>, from: Timestamp) -> Result<StateChanges, StoreError> {
        self.main.states(monitor, from)
    }

    fn last_states(&self) -> Result<HashMap<MonitorId, LastState>, StoreError> {
        self.main.last_states()
    }

    fn cursor(&self, consumer: &str) -> Result<u64, StoreError> {
        self.main.cursor(consumer)
    }

    fn advance_cursor(&self, consumer: &str, sequence: u64) -> Result<(), StoreError> {
        self.main.advance_cursor(consumer, sequence)
    }
}

impl HistoryStore for SqliteStore {
    fn append(&self, records: &[CheckRecord]) -> Result<(), StoreError> {
        self.days.append(records)
    }

    fn maintain(&self, now: Timestamp) -> Result<(), StoreError> {
        self.days.maintain(now)
    }

    fn answer(&self, plan: &QueryPlan) -> Result<Answer, StoreError> {
        self.days.answer(plan)
    }

    fn read(&self, monitor: MonitorId, plan: &QueryPlan) -> Result<Vec<SeriesPieces>, StoreError> {
        let series = self.days.reader()?.read(i64::MIN, monitor, plan)?;
        Ok(series.into_iter().filter(|one| plan.wants(&one.labels)).collect())
    }

    fn refused_readings(&self) -> u64 {
        self.days.refused()
    }

    fn results(&self, query: &ResultQuery) -> Result<Vec<StoredResult>, StoreError> {
        self.days.results(query)
    }

    fn last_checks(&self) -> Result<HashMap<MonitorId, HashMap<String, Timestamp>>, StoreError> {
        self.days.last_checks()
    }
}

#[cfg(test)]
mod tests;

//! The embedded store: a folder with one main file, and one file a day of raw history.
//!
//! `main_file` keeps objects (`definitions`) and the main record (`record`), `days` the history, one `day` each; `head` is what is not sealed yet,
//! `compact` makes one sealed file of a day that is over (`day_writer`), and its rollups (`rollup_file`, `rollup_chunk`).
//! `files` knows the names, `folder_lock` keeps others out, `read` and `results` read across files, `export` for other
//! backends. SQLite does the crash safety.

mod backup;
mod clock;
mod compact;
mod day;
mod day_writer;
mod days;
mod definitions;
mod export;
mod files;
mod folder_lock;
mod head;
mod main_file;
mod movable;
mod names;
mod open;
mod pool;
mod read;
mod record;
mod results;
mod rice;
mod rollup_chunk;
mod rollup_file;
mod sources;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicI64;

use wise_core::{
    CheckRecord, Event, MonitorDefinition, MonitorId, MonitorState, SourceId, SourceName, Timestamp,
};

use crate::error::StoreError;
use crate::ports::{Commit, DefinitionStore, HistoryStore, MainRecord, SourceSamples, Timeline};
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
    /// Series with labels of one source in a day at most; readings beyond are refused.
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
        self.main.read(|connection| definitions::one(connection, id))
    }

    /// Whether a definition could be stored: added, or changed from version `expected`.
    pub(crate) fn would_store(
        &self,
        one: &MonitorDefinition,
        expected: Option<u64>,
    ) -> Result<(), StoreError> {
        self.main.read(|connection| definitions::would_store(connection, one, expected))
    }

    /// Whether there is such a source.
    pub(crate) fn has(&self, source: &SourceId) -> bool {
        self.days.key(source).is_some()
    }

    /// Adds sources that are no monitors.
    pub(crate) fn add_sources(&self, names: &[SourceName]) -> Result<(), StoreError> {
        self.main.add_sources(names.iter())
    }

    /// Makes the definitions those of another store, `removed` those that it keeps for a while.
    pub(crate) fn take_over_monitors(
        &self,
        all: &[MonitorDefinition],
        removed: &[(MonitorDefinition, Timestamp)],
    ) -> Result<(), StoreError> {
        self.main.write(|transaction| definitions::take_over(transaction, all, removed))?;
        self.main.load_keys()
    }

    /// Takes over events of another store; see there.
    pub(crate) fn take_over_events(
        &self,
        reader: &str,
        after: u64,
        theirs: &[(u64, Event)],
        floor: u64,
    ) -> Result<(), StoreError> {
        self.main.write(|transaction| record::take_over(transaction, reader, after, theirs, floor))
    }

    /// How far every consumer has come.
    pub(crate) fn cursors(&self) -> Result<Vec<(String, u64)>, StoreError> {
        self.main.read(record::cursors)
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

    /// Reads the checks and samples of many sources.
    pub(crate) fn exporter(&self) -> Result<Exporter<'_>, StoreError> {
        self.days.exporter()
    }

    /// Reads metrics of many sources.
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
        self.main.read(definitions::all)
    }

    fn insert_monitor(&self, definition: &MonitorDefinition) -> Result<(), StoreError> {
        self.main.insert(definition)
    }

    fn update_monitor(&self, definition: &MonitorDefinition, expected: u64) -> Result<(), StoreError> {
        self.main.write(|transaction| definitions::update(transaction, definition, expected))
    }

    fn remove_monitor(&self, removal: &Event) -> Result<u64, StoreError> {
        self.main.write(|transaction| {
            definitions::remove(transaction, removal.monitor, removal.time)?;
            record::store(transaction, None, removal)
        })
    }

    fn restore_monitor(&self, definition: &MonitorDefinition, event: &Event) -> Result<u64, StoreError> {
        self.main.write(|transaction| {
            definitions::insert(transaction, definition)?;
            record::store(transaction, None, event)
        })
    }

    fn removed_monitors(&self) -> Result<Vec<(MonitorDefinition, Timestamp)>, StoreError> {
        self.main.read(definitions::removed)
    }

    fn purge_monitor(&self, id: MonitorId) -> Result<(), StoreError> {
        self.main.purge(id)
    }

    fn meta(&self, key: &str) -> Result<Option<String>, StoreError> {
        self.main.meta(key)
    }

    fn set_meta(&self, key: &str, value: &str) -> Result<(), StoreError> {
        self.main.set_meta(key, value)
    }
}

impl MainRecord for SqliteStore {
    fn commit(&self, commit: Commit<'_>) -> Result<Vec<u64>, StoreError> {
        self.main.write(|transaction| {
            let numbers = commit
                .events
                .iter()
                .map(|event| record::store(transaction, None, event))
                .collect::<Result<_, _>>()?;
            if let Some((consumer, sequence)) = commit.cursor {
                record::advance(transaction, consumer, sequence)?;
            }
            Ok(numbers)
        })
    }

    fn events_after(&self, after: u64, limit: usize) -> Result<Vec<(u64, Event)>, StoreError> {
        self.main.read(|connection| record::after(connection, after, limit))
    }

    fn unseen_events(&self, consumer: &str, limit: usize) -> Result<Vec<(u64, Event)>, StoreError> {
        self.main.read(|connection| record::unseen(connection, consumer, limit))
    }

    fn events_of(
        &self,
        monitor: MonitorId,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<(u64, Event)>, StoreError> {
        self.main.read(|connection| record::of(connection, monitor, before, limit))
    }

    fn timeline(&self, monitor: Option<MonitorId>, from: Timestamp) -> Result<Timeline, StoreError> {
        self.main.read(|connection| record::timeline(connection, monitor, from))
    }

    fn states(&self) -> Result<HashMap<MonitorId, MonitorState>, StoreError> {
        self.main.read(record::states)
    }

    fn last_event(&self) -> Result<u64, StoreError> {
        self.main.read(record::last)
    }

    fn cursor(&self, consumer: &str) -> Result<u64, StoreError> {
        self.main.read(|connection| record::cursor(connection, consumer))
    }
}

impl HistoryStore for SqliteStore {
    fn append(&self, records: &[CheckRecord]) -> Result<(), StoreError> {
        self.days.append(records)
    }

    fn append_samples(&self, samples: &[SourceSamples]) -> Result<(), StoreError> {
        self.main.add_sources(samples.iter().map(|one| &one.source))?;
        self.days.append_samples(samples)
    }

    fn sources(&self) -> Result<Vec<SourceName>, StoreError> {
        Ok(self.days.named_sources())
    }

    fn maintain(&self, now: Timestamp) -> Result<(), StoreError> {
        self.days.maintain(now)
    }

    fn answer(&self, plan: &QueryPlan) -> Result<Answer, StoreError> {
        self.days.answer(plan)
    }

    fn read(&self, source: &SourceId, plan: &QueryPlan) -> Result<Vec<SeriesPieces>, StoreError> {
        let series = self.days.reader()?.read(i64::MIN, source, plan)?;
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

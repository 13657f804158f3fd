//! The main file: objects and the main record. Every commit is on the disk before anyone is told.
//!
//! This is the file itself: its tables, its one connection, and the place where errors of SQLite get their path. What is
//! in the tables is read and written by `definitions` and `record`, which know no locks and no paths.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rusqlite::{Connection, OptionalExtension, Row, Transaction};
use wise_core::{MonitorDefinition, MonitorId, SourceName};

use super::open::{Access, check, migrate, open};
use super::sources::{Keys, SourceKey};
use super::{definitions, sources};
use crate::error::StoreError;

/// Format 1. The settings inside `body` of a monitor are sealed by the caller. One that was removed keeps its row for a
/// while, without a name. `until` of an event is how long it bears on uptime: the end of a gap, or its own time; events
/// that do not bear on it have none. Format 2 has the sources that are no monitors.
const STEPS: &[&str] = &[
    "
    CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE monitor (
        key INTEGER PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL UNIQUE,
        name TEXT UNIQUE,
        version INTEGER NOT NULL,
        removed INTEGER,
        body TEXT NOT NULL
    ) STRICT;
    CREATE TABLE event (
        sequence INTEGER PRIMARY KEY AUTOINCREMENT,
        monitor TEXT NOT NULL,
        time INTEGER NOT NULL,
        kind TEXT NOT NULL,
        until INTEGER,
        body TEXT NOT NULL
    ) STRICT;
    CREATE INDEX event_of_monitor ON event (monitor, sequence);
    CREATE INDEX status_of_monitor ON event (monitor, sequence) WHERE kind = 'status';
    CREATE INDEX event_on_uptime ON event (until) WHERE until IS NOT NULL;
    CREATE INDEX uptime_of_monitor ON event (monitor, until) WHERE until IS NOT NULL;
    CREATE TABLE monitor_state (
        monitor TEXT PRIMARY KEY,
        status TEXT NOT NULL,
        down INTEGER NOT NULL,
        since INTEGER NOT NULL,
        reason TEXT,
        gap_until INTEGER
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE condition (
        monitor TEXT NOT NULL,
        key TEXT NOT NULL,
        since INTEGER NOT NULL,
        body TEXT NOT NULL,
        PRIMARY KEY (monitor, key)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE cursor (consumer TEXT PRIMARY KEY, sequence INTEGER NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE seen (
        consumer TEXT NOT NULL,
        sequence INTEGER NOT NULL,
        PRIMARY KEY (consumer, sequence)
    ) STRICT, WITHOUT ROWID;
",
    "
    CREATE TABLE source (key INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE) STRICT;
",
];

/// The number that stands for a monitor in history files.
pub(super) type MonitorKey = SourceKey;

/// Why a piece of work on the main file failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum WorkError {
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    #[error(transparent)]
    Store(#[from] StoreError),
}

#[derive(Debug)]
pub(super) struct MainFile {
    pub(super) path: PathBuf,
    connection: Mutex<Connection>,
    keys: Keys,
}

impl MainFile {
    pub(super) fn open(path: &Path) -> Result<Self, StoreError> {
        let mut connection = open(path, Access::ReadWrite)?;
        check(&connection, path)?;
        migrate(&mut connection, path, STEPS)?;
        let file = Self { path: path.to_owned(), connection: Mutex::new(connection), keys: Keys::default() };
        file.load_keys()?;
        let named = file.read(sources::named)?;
        file.keys.write().unwrap_or_else(PoisonError::into_inner).named = named;
        // Says now, and not at the first change, that the file cannot be written.
        file.set_meta("opened", "yes")?;
        Ok(file)
    }

    pub(super) fn keys(&self) -> Keys {
        self.keys.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Connection> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn located(&self, error: WorkError) -> StoreError {
        located(&self.path, error)
    }

    /// Reads.
    pub(super) fn read<T>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, WorkError>,
    ) -> Result<T, StoreError> {
        work(&self.lock()).map_err(|error| self.located(error))
    }

    /// Writes, all or nothing. On the disk when it returns.
    pub(super) fn write<T>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, WorkError>,
    ) -> Result<T, StoreError> {
        let mut connection = self.lock();
        let all = || {
            let transaction = connection.transaction()?;
            let done = work(&transaction)?;
            transaction.commit()?;
            Ok(done)
        };
        all().map_err(|error| self.located(error))
    }

    /// Brings the numbers of monitors up to date with the table.
    pub(super) fn load_keys(&self) -> Result<(), StoreError> {
        let keys = self.read(definitions::keys)?;
        self.keys.write().unwrap_or_else(PoisonError::into_inner).monitors = keys;
        Ok(())
    }

    /// Adds a definition.
    pub(super) fn insert(&self, definition: &MonitorDefinition) -> Result<(), StoreError> {
        let key = self.write(|transaction| definitions::insert(transaction, definition))?;
        self.keys.write().unwrap_or_else(PoisonError::into_inner).monitors.insert(definition.id, key);
        Ok(())
    }

    /// Forgets a monitor and its record for good.
    pub(super) fn purge(&self, id: MonitorId) -> Result<(), StoreError> {
        self.write(|transaction| definitions::forget(transaction, &id.to_string()))?;
        self.keys.write().unwrap_or_else(PoisonError::into_inner).monitors.remove(&id);
        Ok(())
    }

    /// Gives numbers to sources that have none yet.
    pub(super) fn add_sources<'n>(
        &self,
        names: impl Iterator<Item = &'n SourceName>,
    ) -> Result<(), StoreError> {
        let missing: Vec<&SourceName> = {
            let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
            names.filter(|name| !keys.named.contains_key(*name)).collect()
        };
        if missing.is_empty() {
            return Ok(());
        }
        let added: Vec<(SourceName, SourceKey)> = self.write(|transaction| {
            missing.iter().map(|name| Ok(((*name).clone(), sources::number_of(transaction, name)?))).collect()
        })?;
        self.keys.write().unwrap_or_else(PoisonError::into_inner).named.extend(added);
        Ok(())
    }

    pub(super) fn meta(&self, key: &str) -> Result<Option<String>, StoreError> {
        self.read(|connection| {
            let found =
                connection.query_row("SELECT value FROM meta WHERE key = ?1", [key], |row| row.get(0));
            Ok(found.optional()?)
        })
    }

    pub(super) fn set_meta(&self, key: &str, value: &str) -> Result<(), StoreError> {
        self.write(|transaction| {
            transaction.execute(
                "INSERT INTO meta (key, value) VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
                [key, value],
            )?;
            Ok(())
        })
    }

    /// Every setting of the store's own.
    pub(super) fn all_meta(&self) -> Result<Vec<(String, String)>, StoreError> {
        self.read(|connection| {
            let mut statement = connection.prepare("SELECT key, value FROM meta")?;
            let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }
}

/// The definitions of a file that another process may be writing.
pub(super) fn read_monitors(path: &Path) -> Result<Vec<MonitorDefinition>, StoreError> {
    definitions::all(&open(path, Access::Read)?).map_err(|error| located(path, error))
}

fn located(path: &Path, error: WorkError) -> StoreError {
    match error {
        WorkError::Sqlite(error) => StoreError::sqlite(path, &error),
        WorkError::Json(error) => StoreError::Damaged { path: path.to_owned(), reason: error.to_string() },
        WorkError::Store(error) => error,
    }
}

pub(super) fn id(row: &Row<'_>, column: usize) -> rusqlite::Result<MonitorId> {
    let text: String = row.get(column)?;
    text.parse().map_err(|error| bad(column, error))
}

pub(super) fn json<T: serde::de::DeserializeOwned>(
    row: &Row<'_>,
    column: usize,
) -> rusqlite::Result<Option<T>> {
    let text: Option<String> = row.get(column)?;
    text.map(|text| serde_json::from_str(&text)).transpose().map_err(|error| bad(column, error))
}

pub(super) fn bad(
    column: usize,
    error: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, error.into())
}

pub(super) fn as_i64(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

pub(super) fn as_u64(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

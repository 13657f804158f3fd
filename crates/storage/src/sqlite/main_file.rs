//! The main file: definitions and the main record. Every commit is on the disk before anybody is told.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};
use wise_core::{MonitorDefinition, MonitorId, Reason, Status, Timestamp, Transition};

use super::open::{Access, check, migrate, open};
use crate::error::StoreError;
use crate::ports::{LastState, StateChanges};

/// Format 1. The settings inside `body` are sealed by the caller.
const STEPS: &[&str] = &["
    CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE monitor (
        key INTEGER PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL UNIQUE,
        name TEXT NOT NULL UNIQUE,
        version INTEGER NOT NULL,
        body TEXT NOT NULL
    ) STRICT;
    CREATE TABLE transition (
        sequence INTEGER PRIMARY KEY AUTOINCREMENT,
        monitor TEXT NOT NULL,
        time INTEGER NOT NULL,
        before TEXT,
        status TEXT NOT NULL,
        down INTEGER NOT NULL,
        reason TEXT,
        evidence TEXT
    ) STRICT;
    CREATE INDEX transition_of_monitor ON transition (monitor, sequence);
    CREATE INDEX transition_by_time ON transition (time);
    CREATE TABLE monitor_state (
        monitor TEXT PRIMARY KEY,
        status TEXT NOT NULL,
        since INTEGER NOT NULL,
        reason TEXT,
        was_down INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE cursor (consumer TEXT PRIMARY KEY, sequence INTEGER NOT NULL) STRICT, WITHOUT ROWID;
"];

/// The number that stands for a monitor in history files.
pub(super) type MonitorKey = u32;

/// Which number stands for which monitor; shared with the history.
pub(super) type Keys = Arc<RwLock<HashMap<MonitorId, MonitorKey>>>;

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
        // Says now, and not at the first change, that the file cannot be written.
        file.set_meta("opened", "yes")?;
        Ok(file)
    }

    pub(super) fn keys(&self) -> Keys {
        self.keys.clone()
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Connection> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn wrap(&self, error: rusqlite::Error) -> StoreError {
        StoreError::sqlite(&self.path, &error)
    }

    pub(super) fn other(&self, what: impl std::fmt::Display) -> StoreError {
        StoreError::Other { path: self.path.clone(), reason: what.to_string() }
    }

    pub(super) fn load_keys(&self) -> Result<(), StoreError> {
        let connection = self.lock();
        let mut statement = connection.prepare("SELECT id, key FROM monitor").map_err(|e| self.wrap(e))?;
        let rows = statement.query_map([], |row| Ok((id(row, 0)?, row.get(1)?))).map_err(|e| self.wrap(e))?;
        let keys: HashMap<_, _> = rows.collect::<Result<_, _>>().map_err(|e| self.wrap(e))?;
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = keys;
        Ok(())
    }

    pub(super) fn monitors(&self) -> Result<Vec<MonitorDefinition>, StoreError> {
        monitors_in(&self.lock(), &self.path)
    }

    pub(super) fn insert(&self, definition: &MonitorDefinition) -> Result<(), StoreError> {
        let body = serde_json::to_string(definition).map_err(|error| self.other(error))?;
        let connection = self.lock();
        connection
            .execute(
                "INSERT INTO monitor (id, name, version, body) VALUES (?1, ?2, ?3, ?4)",
                params![definition.id.to_string(), definition.spec.name, as_i64(definition.version), body],
            )
            .map_err(|error| self.name_taken(&error, &definition.spec.name))?;
        let key = connection.last_insert_rowid();
        let key = MonitorKey::try_from(key).map_err(|_| self.other("too many monitors were ever made"))?;
        self.keys.write().unwrap_or_else(PoisonError::into_inner).insert(definition.id, key);
        Ok(())
    }

    pub(super) fn update(&self, definition: &MonitorDefinition, expected: u64) -> Result<(), StoreError> {
        let body = serde_json::to_string(definition).map_err(|error| self.other(error))?;
        let connection = self.lock();
        let id = definition.id.to_string();
        let changed = connection
            .execute(
                "UPDATE monitor SET name = ?2, version = ?3, body = ?4 WHERE id = ?1 AND version = ?5",
                params![id, definition.spec.name, as_i64(definition.version), body, as_i64(expected)],
            )
            .map_err(|error| self.name_taken(&error, &definition.spec.name))?;
        if changed == 1 {
            return Ok(());
        }
        let found: Option<i64> = connection
            .query_row("SELECT version FROM monitor WHERE id = ?1", [id], |row| row.get(0))
            .optional()
            .map_err(|e| self.wrap(e))?;
        Err(found.map_or(StoreError::NotFound, |found| StoreError::Stale {
            found: u64::try_from(found).unwrap_or(0),
        }))
    }

    pub(super) fn delete(&self, id: MonitorId) -> Result<(), StoreError> {
        let mut connection = self.lock();
        let transaction = connection.transaction().map_err(|e| self.wrap(e))?;
        let text = id.to_string();
        let gone = self.forget(&transaction, &text)?;
        transaction.commit().map_err(|e| self.wrap(e))?;
        self.keys.write().unwrap_or_else(PoisonError::into_inner).remove(&id);
        if gone == 0 { Err(StoreError::NotFound) } else { Ok(()) }
    }

    /// Removes a monitor and its record; answers how many there were.
    pub(super) fn forget(&self, transaction: &Transaction<'_>, id: &str) -> Result<usize, StoreError> {
        let run = |sql: &str| transaction.execute(sql, [id]).map_err(|e| self.wrap(e));
        run("DELETE FROM monitor_state WHERE monitor = ?1")?;
        run("DELETE FROM transition WHERE monitor = ?1")?;
        run("DELETE FROM monitor WHERE id = ?1")
    }

    pub(super) fn meta(&self, key: &str) -> Result<Option<String>, StoreError> {
        let connection = self.lock();
        connection
            .query_row("SELECT value FROM meta WHERE key = ?1", [key], |row| row.get(0))
            .optional()
            .map_err(|e| self.wrap(e))
    }

    pub(super) fn set_meta(&self, key: &str, value: &str) -> Result<(), StoreError> {
        self.lock()
            .execute(
                "INSERT INTO meta (key, value) VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
                [key, value],
            )
            .map(|_| ())
            .map_err(|e| self.wrap(e))
    }

    pub(super) fn commit(&self, transitions: &[Transition]) -> Result<Vec<u64>, StoreError> {
        let mut connection = self.lock();
        let transaction = connection.transaction().map_err(|e| self.wrap(e))?;
        let numbers = transitions
            .iter()
            .map(|transition| self.store_transition(&transaction, None, transition))
            .collect::<Result<_, _>>()?;
        transaction.commit().map_err(|e| self.wrap(e))?;
        Ok(numbers)
    }

    /// Stores a transition, under a number of its own or the next one, and what it makes of the monitor's state.
    pub(super) fn store_transition(
        &self,
        transaction: &Transaction<'_>,
        number: Option<u64>,
        transition: &Transition,
    ) -> Result<u64, StoreError> {
        let reason =
            transition.reason.as_ref().map(serde_json::to_string).transpose().map_err(|e| self.other(e))?;
        let evidence = transition.evidence.as_ref().map(|evidence| evidence.to_string());
        let id = transition.monitor.to_string();
        let time = transition.time.as_micros();
        transaction
            .prepare_cached(
                "INSERT INTO transition (sequence, monitor, time, before, status, down, reason, evidence)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            )
            .and_then(|mut statement| {
                statement.execute(params![
                    number.map(as_i64),
                    id,
                    time,
                    transition.from.map(Status::name),
                    transition.to.name(),
                    transition.down,
                    reason,
                    evidence
                ])
            })
            .map_err(|e| self.wrap(e))?;
        let number = u64::try_from(transaction.last_insert_rowid()).unwrap_or(0);
        // Unknown says nothing about the target: whether it was down is kept from before.
        transaction
                .prepare_cached(
                    "INSERT INTO monitor_state (monitor, status, since, reason, was_down) VALUES (?1, ?2, ?3, ?4, ?5)
                     ON CONFLICT (monitor) DO UPDATE SET status = excluded.status, since = excluded.since,
                        reason = excluded.reason,
                        was_down = CASE WHEN excluded.status = 'unknown' THEN was_down ELSE excluded.was_down END",
                )
                .and_then(|mut statement| {
                    statement.execute(params![id, transition.to.name(), time, reason, transition.down])
                })
                .map_err(|e| self.wrap(e))?;
        Ok(number)
    }

    pub(super) fn transitions_after(
        &self,
        after: u64,
        limit: usize,
    ) -> Result<Vec<(u64, Transition)>, StoreError> {
        self.transitions(
            "SELECT sequence, monitor, time, before, status, down, reason, evidence FROM transition
             WHERE sequence > ?1 ORDER BY sequence LIMIT ?2",
            params![as_i64(after), as_i64(limit as u64)],
        )
    }

    pub(super) fn transitions_of(
        &self,
        monitor: MonitorId,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<(u64, Transition)>, StoreError> {
        self.transitions(
            "SELECT sequence, monitor, time, before, status, down, reason, evidence FROM transition
             WHERE monitor = ?1 AND sequence < ?2 ORDER BY sequence DESC LIMIT ?3",
            params![monitor.to_string(), before.map_or(i64::MAX, as_i64), as_i64(limit as u64)],
        )
    }

    fn transitions(
        &self,
        sql: &str,
        params: impl rusqlite::Params,
    ) -> Result<Vec<(u64, Transition)>, StoreError> {
        let connection = self.lock();
        let mut statement = connection.prepare_cached(sql).map_err(|e| self.wrap(e))?;
        let rows = statement.query_map(params, read_transition).map_err(|e| self.wrap(e))?;
        rows.collect::<Result<_, _>>().map_err(|e| self.wrap(e))
    }

    pub(super) fn states(
        &self,
        monitor: Option<MonitorId>,
        from: Timestamp,
    ) -> Result<StateChanges, StoreError> {
        let connection = self.lock();
        let mut found = StateChanges::new();
        // The last one before the range, one seek in the index for each monitor, then those in it. Times may step back with
        // the clock: numbers do not.
        let sql = "
            SELECT monitor, time, status, down, sequence FROM transition WHERE sequence IN (
                SELECT (SELECT last.sequence FROM transition AS last
                        WHERE last.monitor = monitor.id AND last.time < ?2 ORDER BY last.sequence DESC LIMIT 1)
                FROM monitor WHERE ?1 IS NULL OR id = ?1)
            UNION ALL
            SELECT monitor, time, status, down, sequence FROM transition
            WHERE time >= ?2 AND (?1 IS NULL OR monitor = ?1)
            ORDER BY 5";
        let mut statement = connection.prepare_cached(sql).map_err(|e| self.wrap(e))?;
        let rows = statement
            .query_map(params![monitor.map(|id| id.to_string()), from.as_micros()], |row| {
                Ok((id(row, 0)?, Timestamp::from_micros(row.get(1)?), status(row, 2)?, row.get(3)?))
            })
            .map_err(|e| self.wrap(e))?;
        for row in rows {
            let (id, time, status, down) = row.map_err(|e| self.wrap(e))?;
            found.entry(id).or_default().push((time, status, down));
        }
        Ok(found)
    }

    pub(super) fn last_states(&self) -> Result<HashMap<MonitorId, LastState>, StoreError> {
        let connection = self.lock();
        let mut statement = connection
            .prepare("SELECT monitor, status, since, reason, was_down FROM monitor_state")
            .map_err(|e| self.wrap(e))?;
        let rows = statement
            .query_map([], |row| {
                let state = LastState {
                    status: status(row, 1)?,
                    since: Timestamp::from_micros(row.get(2)?),
                    reason: json(row, 3)?,
                    was_down: row.get(4)?,
                };
                Ok((id(row, 0)?, state))
            })
            .map_err(|e| self.wrap(e))?;
        rows.collect::<Result<_, _>>().map_err(|e| self.wrap(e))
    }

    pub(super) fn cursor(&self, consumer: &str) -> Result<u64, StoreError> {
        let found: Option<i64> = self
            .lock()
            .query_row("SELECT sequence FROM cursor WHERE consumer = ?1", [consumer], |row| row.get(0))
            .optional()
            .map_err(|e| self.wrap(e))?;
        Ok(found.and_then(|found| u64::try_from(found).ok()).unwrap_or(0))
    }

    pub(super) fn advance_cursor(&self, consumer: &str, sequence: u64) -> Result<(), StoreError> {
        self.advance(&self.lock(), consumer, sequence)
    }

    pub(super) fn advance(
        &self,
        connection: &Connection,
        consumer: &str,
        sequence: u64,
    ) -> Result<(), StoreError> {
        connection
            .execute(
                "INSERT INTO cursor (consumer, sequence) VALUES (?1, ?2)
                 ON CONFLICT (consumer) DO UPDATE SET sequence = max(sequence, excluded.sequence)",
                params![consumer, as_i64(sequence)],
            )
            .map(|_| ())
            .map_err(|e| self.wrap(e))
    }

    fn name_taken(&self, error: &rusqlite::Error, name: &str) -> StoreError {
        if error.sqlite_error_code() == Some(rusqlite::ErrorCode::ConstraintViolation) {
            StoreError::NameTaken(name.to_owned())
        } else {
            StoreError::sqlite(&self.path, error)
        }
    }
}

/// The definitions of a file that another process may be writing.
pub(super) fn read_monitors(path: &Path) -> Result<Vec<MonitorDefinition>, StoreError> {
    monitors_in(&open(path, Access::Read)?, path)
}

fn monitors_in(connection: &Connection, path: &Path) -> Result<Vec<MonitorDefinition>, StoreError> {
    let wrap = |error: rusqlite::Error| StoreError::sqlite(path, &error);
    let mut statement = connection.prepare("SELECT body FROM monitor ORDER BY key").map_err(wrap)?;
    let bodies = statement.query_map([], |row| row.get::<_, String>(0)).map_err(wrap)?;
    bodies
        .map(|body| {
            serde_json::from_str(&body.map_err(wrap)?).map_err(|error| StoreError::Damaged {
                path: path.to_owned(),
                reason: format!("a definition: {error}"),
            })
        })
        .collect()
}

fn read_transition(row: &Row<'_>) -> rusqlite::Result<(u64, Transition)> {
    let before: Option<String> = row.get(3)?;
    let reason: Option<Reason> = json(row, 6)?;
    let evidence: Option<serde_json::Value> = json(row, 7)?;
    let transition = Transition {
        monitor: id(row, 1)?,
        time: Timestamp::from_micros(row.get(2)?),
        from: before.as_deref().and_then(Status::from_name),
        to: status(row, 4)?,
        down: row.get(5)?,
        reason,
        evidence: evidence.map(Arc::new),
    };
    Ok((u64::try_from(row.get::<_, i64>(0)?).unwrap_or(0), transition))
}

fn id(row: &Row<'_>, column: usize) -> rusqlite::Result<MonitorId> {
    let text: String = row.get(column)?;
    text.parse().map_err(|error| bad(column, error))
}

fn status(row: &Row<'_>, column: usize) -> rusqlite::Result<Status> {
    let text: String = row.get(column)?;
    Status::from_name(&text).ok_or_else(|| bad(column, format!("unknown status {text}")))
}

fn json<T: serde::de::DeserializeOwned>(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<T>> {
    let text: Option<String> = row.get(column)?;
    text.map(|text| serde_json::from_str(&text)).transpose().map_err(|error| bad(column, error))
}

fn bad(column: usize, error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, error.into())
}

pub(super) fn as_i64(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

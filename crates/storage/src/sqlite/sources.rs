//! Which number stands for which source in history files.
//!
//! Monitors have theirs from the table of definitions. What is no monitor gets one when its first sample comes, with the
//! highest bit set: both stay apart, and neither number is ever used twice.

use std::collections::HashMap;
use std::sync::{Arc, RwLock};

use rusqlite::{Connection, OptionalExtension, Transaction};
use wise_core::{MonitorId, SourceId, SourceName};

use super::main_file::{WorkError, bad};
use crate::error::StoreError;

/// The number that stands for a source in history files.
pub(super) type SourceKey = u32;

/// Set in the numbers of what is no monitor.
const NAMED: SourceKey = 1 << 31;

/// The numbers of all sources.
#[derive(Debug, Default)]
pub(super) struct KeyTable {
    /// Of monitors, removed ones too.
    pub(super) monitors: HashMap<MonitorId, SourceKey>,
    /// Of other sources.
    pub(super) named: HashMap<SourceName, SourceKey>,
}

/// The numbers, shared between the main file and the history.
pub(super) type Keys = Arc<RwLock<KeyTable>>;

impl KeyTable {
    pub(super) fn of(&self, source: &SourceId) -> Option<SourceKey> {
        match source {
            SourceId::Monitor(id) => self.monitors.get(id).copied(),
            SourceId::Named(name) => self.named.get(name).copied(),
        }
    }

    /// Every number there is.
    pub(super) fn all(&self) -> impl Iterator<Item = SourceKey> {
        self.monitors.values().chain(self.named.values()).copied()
    }
}

/// The numbers of all sources that are no monitors.
pub(super) fn named(connection: &Connection) -> Result<HashMap<SourceName, SourceKey>, WorkError> {
    let mut statement = connection.prepare("SELECT id, key FROM source")?;
    let rows = statement.query_map([], |row| {
        let text: String = row.get(0)?;
        Ok((text.parse().map_err(|error| bad(0, error))?, row.get::<_, SourceKey>(1)? | NAMED))
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The number of a source that is no monitor, a new one if it has none.
pub(super) fn number_of(transaction: &Transaction<'_>, name: &SourceName) -> Result<SourceKey, WorkError> {
    let known: Option<SourceKey> = transaction
        .query_row("SELECT key FROM source WHERE id = ?1", [name.as_str()], |row| row.get(0))
        .optional()?;
    let key = match known {
        Some(key) => key,
        None => transaction.query_row(
            "INSERT INTO source (id) VALUES (?1) RETURNING key",
            [name.as_str()],
            |row| row.get(0),
        )?,
    };
    if key >= NAMED {
        let reason = "there are no numbers left for sources".to_owned();
        return Err(StoreError::Other { path: "source".into(), reason }.into());
    }
    Ok(key | NAMED)
}

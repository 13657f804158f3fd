//! Definitions in the main file.

use std::collections::{HashMap, HashSet};

use rusqlite::{Connection, OptionalExtension, Transaction, params};
use wise_core::{MonitorDefinition, MonitorId, Timestamp};

use super::main_file::{MonitorKey, WorkError, as_i64, as_u64, id};
use crate::error::StoreError;

/// The numbers of all monitors, removed ones too: their history is there still.
pub(super) fn keys(connection: &Connection) -> Result<HashMap<MonitorId, MonitorKey>, WorkError> {
    let mut statement = connection.prepare("SELECT id, key FROM monitor")?;
    let rows = statement.query_map([], |row| Ok((id(row, 0)?, row.get(1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Every definition in force, in the order in which they were made.
pub(super) fn all(connection: &Connection) -> Result<Vec<MonitorDefinition>, WorkError> {
    bodies(connection, "SELECT body FROM monitor WHERE removed IS NULL ORDER BY key")
}

fn bodies(connection: &Connection, sql: &str) -> Result<Vec<MonitorDefinition>, WorkError> {
    let mut statement = connection.prepare(sql)?;
    let bodies = statement.query_map([], |row| row.get::<_, String>(0))?;
    bodies.map(|body| parsed(&body?)).collect()
}

fn parsed(body: &str) -> Result<MonitorDefinition, WorkError> {
    Ok(serde_json::from_str(body)?)
}

/// Definitions that were removed and can be brought back, and when they were removed.
pub(super) fn removed(connection: &Connection) -> Result<Vec<(MonitorDefinition, Timestamp)>, WorkError> {
    let mut statement =
        connection.prepare("SELECT body, removed FROM monitor WHERE removed IS NOT NULL ORDER BY removed")?;
    let rows = statement.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get(1)?)))?;
    rows.map(|row| {
        let (body, at) = row?;
        Ok((parsed(&body)?, Timestamp::from_micros(at)))
    })
    .collect()
}

/// One definition in force.
pub(super) fn one(connection: &Connection, id: MonitorId) -> Result<Option<MonitorDefinition>, WorkError> {
    let body: Option<String> = connection
        .query_row("SELECT body FROM monitor WHERE id = ?1 AND removed IS NULL", [id.to_string()], |row| {
            row.get(0)
        })
        .optional()?;
    body.map(|body| parsed(&body)).transpose()
}

/// Whether a definition could be stored: added, or changed from version `expected`.
pub(super) fn would_store(
    connection: &Connection,
    one: &MonitorDefinition,
    expected: Option<u64>,
) -> Result<(), WorkError> {
    let id = one.id.to_string();
    let found: Option<i64> = connection
        .query_row("SELECT version FROM monitor WHERE id = ?1 AND removed IS NULL", [&id], |row| row.get(0))
        .optional()?;
    if let Some(expected) = expected {
        let found = as_u64(found.ok_or(StoreError::NotFound)?);
        if found != expected {
            return Err(StoreError::Stale { found }.into());
        }
    }
    let holder: Option<String> = connection
        .query_row("SELECT id FROM monitor WHERE name = ?1", [&one.spec.name], |row| row.get(0))
        .optional()?;
    let is_taken = holder.is_some_and(|holder| holder != id) || (expected.is_none() && found.is_some());
    if is_taken { Err(StoreError::NameTaken(one.spec.name.clone()).into()) } else { Ok(()) }
}

/// Adds a definition; one that was removed under its id comes back with its history.
pub(super) fn insert(
    transaction: &Transaction<'_>,
    definition: &MonitorDefinition,
) -> Result<MonitorKey, WorkError> {
    would_store(transaction, definition, None)?;
    put(transaction, definition)
}

/// Stores a definition in force, whatever there was.
pub(super) fn put(
    transaction: &Transaction<'_>,
    definition: &MonitorDefinition,
) -> Result<MonitorKey, WorkError> {
    put_as(transaction, definition, None)
}

/// Stores a definition in force, or one that was `removed`: that one has no name, which another may have by now.
fn put_as(
    transaction: &Transaction<'_>,
    definition: &MonitorDefinition,
    removed: Option<Timestamp>,
) -> Result<MonitorKey, WorkError> {
    let name = removed.is_none().then_some(&definition.spec.name);
    let removed = removed.map(Timestamp::as_micros);
    let body = serde_json::to_string(definition)?;
    let key = transaction
        .prepare_cached(
            "INSERT INTO monitor (id, name, version, body, removed) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (id) DO UPDATE SET name = excluded.name, version = excluded.version,
                body = excluded.body, removed = excluded.removed
             RETURNING key",
        )?
        .query_row(
            params![definition.id.to_string(), name, as_i64(definition.version), body, removed],
            |row| row.get(0),
        )?;
    Ok(key)
}

/// Replaces a definition whose version is `expected`.
pub(super) fn update(
    transaction: &Transaction<'_>,
    definition: &MonitorDefinition,
    expected: u64,
) -> Result<(), WorkError> {
    would_store(transaction, definition, Some(expected))?;
    put(transaction, definition).map(drop)
}

/// Takes a definition out of force. Its name is free.
pub(super) fn remove(transaction: &Transaction<'_>, id: MonitorId, at: Timestamp) -> Result<(), WorkError> {
    let changed = transaction.execute(
        "UPDATE monitor SET name = NULL, removed = ?2 WHERE id = ?1 AND removed IS NULL",
        params![id.to_string(), at.as_micros()],
    )?;
    if changed == 1 { Ok(()) } else { Err(StoreError::NotFound.into()) }
}

/// Forgets a monitor and its record.
pub(super) fn forget(transaction: &Transaction<'_>, id: &str) -> Result<(), WorkError> {
    for table in ["monitor_state", "condition", "event"] {
        transaction.execute(&format!("DELETE FROM {table} WHERE monitor = ?1"), [id])?;
    }
    transaction.execute("DELETE FROM monitor WHERE id = ?1", [id])?;
    Ok(())
}

/// Makes the definitions those of another store, `removed` those that it keeps for a while. Monitors that stay keep their
/// history.
pub(super) fn take_over(
    transaction: &Transaction<'_>,
    all: &[MonitorDefinition],
    removed: &[(MonitorDefinition, Timestamp)],
) -> Result<(), WorkError> {
    let wanted: HashSet<String> =
        all.iter().chain(removed.iter().map(|(one, _)| one)).map(|one| one.id.to_string()).collect();
    let known: Vec<String> = transaction
        .prepare("SELECT id FROM monitor")?
        .query_map([], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    for gone in known.iter().filter(|id| !wanted.contains(*id)) {
        forget(transaction, gone)?;
    }
    // Two may have swapped their names.
    transaction.execute("UPDATE monitor SET name = NULL", [])?;
    for one in all {
        put(transaction, one)?;
    }
    for (one, at) in removed {
        put_as(transaction, one, Some(*at))?;
    }
    Ok(())
}

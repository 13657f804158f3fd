//! The main file as a copy of another store's: what a spool, or the target of a migration, is given.

use std::collections::{HashMap, HashSet};

use rusqlite::{OptionalExtension, Transaction, params};
use wise_core::{MonitorDefinition, MonitorId, Transition};

use super::main_file::{MainFile, as_i64};
use crate::error::StoreError;

impl MainFile {
    /// One definition.
    pub(super) fn monitor(&self, id: MonitorId) -> Result<Option<MonitorDefinition>, StoreError> {
        let body: Option<String> = self
            .lock()
            .query_row("SELECT body FROM monitor WHERE id = ?1", [id.to_string()], |row| row.get(0))
            .optional()
            .map_err(|e| self.wrap(e))?;
        let damaged = |error: serde_json::Error| StoreError::Damaged {
            path: self.path.clone(),
            reason: format!("a definition: {error}"),
        };
        body.map(|body| serde_json::from_str(&body)).transpose().map_err(damaged)
    }

    /// Whether a definition could be stored: added, or changed from version `expected`.
    pub(super) fn would_store(
        &self,
        one: &MonitorDefinition,
        expected: Option<u64>,
    ) -> Result<(), StoreError> {
        let connection = self.lock();
        let id = one.id.to_string();
        let found: Option<i64> = connection
            .query_row("SELECT version FROM monitor WHERE id = ?1", [&id], |row| row.get(0))
            .optional()
            .map_err(|e| self.wrap(e))?;
        if let Some(expected) = expected {
            let found = found.ok_or(StoreError::NotFound)?;
            let found = u64::try_from(found).unwrap_or(0);
            if found != expected {
                return Err(StoreError::Stale { found });
            }
        }
        let holder: Option<String> = connection
            .query_row("SELECT id FROM monitor WHERE name = ?1", [&one.spec.name], |row| row.get(0))
            .optional()
            .map_err(|e| self.wrap(e))?;
        let is_taken = holder.is_some_and(|holder| holder != id) || (expected.is_none() && found.is_some());
        if is_taken { Err(StoreError::NameTaken(one.spec.name.clone())) } else { Ok(()) }
    }

    /// Makes the definitions those of another store. Monitors that stay keep their history.
    pub(super) fn take_over_monitors(&self, all: &[MonitorDefinition]) -> Result<(), StoreError> {
        let mut connection = self.lock();
        let transaction = connection.transaction().map_err(|e| self.wrap(e))?;
        let wanted: HashSet<String> = all.iter().map(|one| one.id.to_string()).collect();
        let known: Vec<String> = transaction
            .prepare("SELECT id FROM monitor")
            .and_then(|mut statement| statement.query_map([], |row| row.get(0))?.collect())
            .map_err(|e| self.wrap(e))?;
        for gone in known.iter().filter(|id| !wanted.contains(*id)) {
            self.forget(&transaction, gone)?;
        }
        // Two may have swapped their names.
        transaction.execute("UPDATE monitor SET name = id", []).map_err(|e| self.wrap(e))?;
        for one in all {
            let body = serde_json::to_string(one).map_err(|error| self.other(error))?;
            transaction
                .prepare_cached(
                    "INSERT INTO monitor (id, name, version, body) VALUES (?1, ?2, ?3, ?4)
                     ON CONFLICT (id) DO UPDATE SET name = excluded.name, version = excluded.version, body = excluded.body",
                )
                .and_then(|mut statement| {
                    statement.execute(params![one.id.to_string(), one.spec.name, as_i64(one.version), body])
                })
                .map_err(|e| self.wrap(e))?;
        }
        transaction.commit().map_err(|e| self.wrap(e))?;
        drop(connection);
        self.load_keys()
    }

    /// Takes over transitions of another store under their numbers, which follow `after`, and notes that `reader` has come
    /// as far. What stands here above `after` and is not there moves behind them. Numbers go on above `floor`.
    pub(super) fn take_over_transitions(
        &self,
        reader: &str,
        after: u64,
        theirs: &[(u64, Transition)],
        floor: u64,
    ) -> Result<(), StoreError> {
        let own = self.transitions_after(after, usize::MAX)?;
        let here: HashMap<u64, &Transition> = own.iter().map(|(number, one)| (*number, one)).collect();
        let there: HashMap<u64, &Transition> = theirs.iter().map(|(number, one)| (*number, one)).collect();
        let is_in = |all: &HashMap<u64, &Transition>, number: u64, one: &Transition| {
            all.get(&number).is_some_and(|other| one.is_change(other))
        };
        let new: Vec<_> = theirs.iter().filter(|(number, one)| !is_in(&here, *number, one)).collect();
        let unsent: Vec<_> = own.iter().filter(|(number, one)| !is_in(&there, *number, one)).collect();
        let mut connection = self.lock();
        let transaction = connection.transaction().map_err(|e| self.wrap(e))?;
        if !new.is_empty() {
            for (number, _) in &unsent {
                transaction
                    .execute("DELETE FROM transition WHERE sequence = ?1", [as_i64(*number)])
                    .map_err(|e| self.wrap(e))?;
            }
            for (number, transition) in new.iter().copied() {
                self.store_transition(&transaction, Some(*number), transition)?;
            }
        }
        self.raise_numbers(&transaction, floor)?;
        if !new.is_empty() {
            for (_, transition) in unsent {
                self.store_transition(&transaction, None, transition)?;
            }
        }
        if let Some((last, _)) = theirs.last() {
            self.advance(&transaction, reader, *last)?;
        }
        transaction.commit().map_err(|e| self.wrap(e))
    }

    /// Lets numbers of transitions go on above this one.
    fn raise_numbers(&self, transaction: &Transaction<'_>, floor: u64) -> Result<(), StoreError> {
        let run = |sql: &str| transaction.execute(sql, [as_i64(floor)]).map_err(|e| self.wrap(e));
        if run("UPDATE sqlite_sequence SET seq = max(seq, ?1) WHERE name = 'transition'")? == 0 {
            run("INSERT INTO sqlite_sequence (name, seq) VALUES ('transition', ?1)")?;
        }
        Ok(())
    }

    /// Puts transitions in the place of those from `first` on. Numbers go on above `floor`.
    pub(super) fn put_transitions(
        &self,
        first: u64,
        all: &[(u64, Transition)],
        floor: u64,
    ) -> Result<(), StoreError> {
        let mut connection = self.lock();
        let transaction = connection.transaction().map_err(|e| self.wrap(e))?;
        transaction
            .execute("DELETE FROM transition WHERE sequence >= ?1", [as_i64(first)])
            .map_err(|e| self.wrap(e))?;
        for (number, transition) in all {
            self.store_transition(&transaction, Some(*number), transition)?;
        }
        self.raise_numbers(&transaction, floor)?;
        transaction.commit().map_err(|e| self.wrap(e))
    }

    /// How far every consumer has come.
    pub(super) fn cursors(&self) -> Result<Vec<(String, u64)>, StoreError> {
        let connection = self.lock();
        let mut statement =
            connection.prepare("SELECT consumer, sequence FROM cursor").map_err(|e| self.wrap(e))?;
        let rows = statement
            .query_map([], |row| Ok((row.get(0)?, u64::try_from(row.get::<_, i64>(1)?).unwrap_or(0))))
            .map_err(|e| self.wrap(e))?;
        rows.collect::<Result<_, _>>().map_err(|e| self.wrap(e))
    }

    /// Every setting of the store's own.
    pub(super) fn all_meta(&self) -> Result<Vec<(String, String)>, StoreError> {
        let connection = self.lock();
        let mut statement = connection.prepare("SELECT key, value FROM meta").map_err(|e| self.wrap(e))?;
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).map_err(|e| self.wrap(e))?;
        rows.collect::<Result<_, _>>().map_err(|e| self.wrap(e))
    }
}

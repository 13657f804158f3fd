//! One day of raw history: a journal that takes the writes, and the chunks it is sealed into.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OptionalExtension, Transaction, params};
use rustc_hash::FxHashMap;
use wise_core::{CheckRecord, MetricRef, MonitorId, SourceName};

use super::head::{Entry, Head, Row, RowDistribution, SeriesKey};
use super::names::{Names, SeriesLimit};
use super::open::{Access, migrate, open};
use super::sources::SourceKey;
use crate::columns::chunk::{self, Effort};
use crate::columns::{Columns, DOWN, SAMPLES};
use crate::error::StoreError;
use crate::ports::SourceSamples;

/// Format 1, and what leads from each to the next.
pub(super) const STEPS: &[&str] = &["
    CREATE TABLE journal (sequence INTEGER PRIMARY KEY AUTOINCREMENT, rows BLOB NOT NULL) STRICT;
    CREATE TABLE chunk (
        monitor INTEGER NOT NULL,
        probe INTEGER NOT NULL,
        origin INTEGER NOT NULL,
        first INTEGER NOT NULL,
        last INTEGER NOT NULL,
        upto INTEGER NOT NULL,
        checks INTEGER NOT NULL,
        data BLOB NOT NULL,
        PRIMARY KEY (monitor, probe, origin, upto)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE name (id INTEGER PRIMARY KEY, name TEXT NOT NULL, labels TEXT NOT NULL, resolution REAL, UNIQUE (name, labels)) STRICT;
    CREATE TABLE origin (id INTEGER PRIMARY KEY, location TEXT NOT NULL, worker TEXT NOT NULL, UNIQUE (location, worker)) STRICT;
    CREATE TABLE evidence (
        id INTEGER PRIMARY KEY,
        monitor INTEGER NOT NULL,
        class TEXT NOT NULL,
        code TEXT,
        message TEXT NOT NULL,
        body TEXT
    ) STRICT;
", "
    ALTER TABLE name ADD COLUMN sketch INTEGER NOT NULL DEFAULT 0;
", "
    -- Nothing of the tables: journal and chunks may have distributions.
"];

/// First byte of a journal entry.
const JOURNAL_FORMAT: u8 = 1;
/// The same, of one that has distributions behind its rows.
const WITH_DISTRIBUTIONS: u8 = 2;
/// Evidence kept of a probe's failures of one class and code in an hour: a failure that comes and goes every minute would
/// otherwise take thirty times the room of everything else. Changes of status keep theirs in the main record.
const EVIDENCE_AN_HOUR: u32 = 3;
/// Series sealed in one transaction: enough to be quick, few enough not to hold up the writer.
const SLICE: usize = 32;

/// A day that is written to.
#[derive(Debug)]
pub(super) struct Day {
    path: PathBuf,
    connection: Connection,
    pub(super) head: Head,
    names: Names,
    origin: u32,
    /// Number of the last journal entry.
    sequence: i64,
    /// Class and code of the last failure of a series, and the number of its evidence.
    failures: FxHashMap<(u32, u32), (&'static str, Option<String>, u32)>,
    /// What was told lately of the failures of a series, by class and code: they may take turns.
    told: FxHashMap<(u32, u32, &'static str, Option<String>), Told>,
    sealing: Option<Sealing>,
}

/// Evidence that was kept of failures that come and go.
#[derive(Debug, Default)]
struct Told {
    /// In which hour, counted from 1970.
    hour: i64,
    /// How often in that hour.
    count: u32,
    /// Number of the last evidence.
    id: u32,
}

/// A sealing under way.
#[derive(Debug)]
struct Sealing {
    /// The journal up to here can go when the sealing is over.
    upto: i64,
    left: Vec<SeriesKey>,
}

impl Day {
    /// Opens, or makes, the file, and reads what is not sealed back into the head.
    pub(super) fn open(
        path: &Path,
        location: &str,
        worker: &str,
        limit: SeriesLimit,
    ) -> Result<Self, StoreError> {
        let mut connection = open(path, Access::ReadWrite)?;
        migrate(&mut connection, path, STEPS)?;
        let names = Names::load(&connection, limit).map_err(|error| StoreError::sqlite(path, &error))?;
        let mut day = Self {
            path: path.to_owned(),
            connection,
            head: Head::default(),
            names,
            origin: 0,
            sequence: 0,
            failures: FxHashMap::default(),
            told: FxHashMap::default(),
            sealing: None,
        };
        day.origin = day.find_origin(location, worker)?;
        day.replay()?;
        Ok(day)
    }

    fn wrap(&self, error: rusqlite::Error) -> StoreError {
        StoreError::sqlite(&self.path, &error)
    }

    fn damaged(&self, reason: impl std::fmt::Display) -> StoreError {
        StoreError::Damaged { path: self.path.clone(), reason: reason.to_string() }
    }

    fn find_origin(&self, location: &str, worker: &str) -> Result<u32, StoreError> {
        self.connection
            .execute("INSERT OR IGNORE INTO origin (location, worker) VALUES (?1, ?2)", [location, worker])
            .and_then(|_| {
                self.connection.query_row(
                    "SELECT id FROM origin WHERE location = ?1 AND worker = ?2",
                    [location, worker],
                    |row| row.get(0),
                )
            })
            .map_err(|e| self.wrap(e))
    }

    fn replay(&mut self) -> Result<(), StoreError> {
        let mut sealed: FxHashMap<SeriesKey, i64> = FxHashMap::default();
        let mut statement = self
            .connection
            .prepare("SELECT monitor, probe, origin, max(upto) FROM chunk GROUP BY monitor, probe, origin")
            .map_err(|e| self.wrap(e))?;
        let rows = statement
            .query_map([], |row| Ok(((row.get(0)?, row.get(1)?, row.get(2)?), row.get(3)?)))
            .map_err(|e| self.wrap(e))?;
        for row in rows {
            let (key, upto) = row.map_err(|e| self.wrap(e))?;
            sealed.insert(key, upto);
        }
        let mut statement = self
            .connection
            .prepare("SELECT sequence, rows FROM journal ORDER BY sequence")
            .map_err(|e| self.wrap(e))?;
        let mut rows = statement.query([]).map_err(|e| self.wrap(e))?;
        while let Some(row) = rows.next().map_err(|e| self.wrap(e))? {
            let sequence: i64 = row.get(0).map_err(|e| self.wrap(e))?;
            let blob = row.get_ref(1).and_then(|value| Ok(value.as_blob()?)).map_err(|e| self.wrap(e))?;
            self.sequence = sequence;
            let entry = read_journal(blob).map_err(|reason| self.damaged(reason))?;
            for (row, distributions) in entry.each() {
                // A sealing may have been cut off between sealing a series and clearing the journal.
                if sealed.get(&(row.monitor, row.probe, row.origin)).is_none_or(|upto| sequence > *upto) {
                    self.head.push(row, distributions);
                }
            }
        }
        drop(rows);
        drop(statement);
        let last: Option<i64> = self
            .connection
            .query_row("SELECT seq FROM sqlite_sequence WHERE name = 'journal'", [], |row| row.get(0))
            .optional()
            .map_err(|e| self.wrap(e))?;
        self.sequence = self.sequence.max(last.unwrap_or(0));
        Ok(())
    }

    /// Writes checks: one transaction, one sync.
    pub(super) fn append<'r>(
        &mut self,
        records: impl Iterator<Item = &'r CheckRecord>,
        key_of: impl Fn(MonitorId) -> Option<SourceKey>,
    ) -> Result<(), StoreError> {
        let result = self.try_append(records, key_of);
        self.taken_back(result)
    }

    /// Writes samples that are not those of checks: one transaction, one sync.
    pub(super) fn append_samples<'s>(
        &mut self,
        samples: impl Iterator<Item = &'s SourceSamples>,
        key_of: impl Fn(&SourceName) -> Option<SourceKey>,
    ) -> Result<(), StoreError> {
        let result = self.try_append_samples(samples, key_of);
        self.taken_back(result)
    }

    /// Forgets the numbers that were given out in a transaction that failed: they do not exist.
    fn taken_back(&mut self, result: Result<(), StoreError>) -> Result<(), StoreError> {
        if result.is_err() {
            self.failures.clear();
            self.told.clear();
            self.names.load_again(&self.connection).map_err(|error| self.wrap(error))?;
        }
        result
    }

    fn try_append<'r>(
        &mut self,
        records: impl Iterator<Item = &'r CheckRecord>,
        key_of: impl Fn(MonitorId) -> Option<SourceKey>,
    ) -> Result<(), StoreError> {
        let path = self.path.clone();
        let wrap = |error: rusqlite::Error| StoreError::sqlite(&path, &error);
        let transaction = self.connection.transaction().map_err(wrap)?;
        let mut rows = Vec::new();
        for record in records {
            // A monitor may be deleted while its last results are on the way.
            let Some(monitor) = key_of(record.monitor) else { continue };
            let probe = self.names.probe(&transaction, record.probe).map_err(wrap)?;
            let mut values = Vec::with_capacity(record.readings.len());
            let mut refused = 0;
            for reading in &record.readings {
                let Some(value) = reading.value.number() else { continue };
                match self.names.admitted(&transaction, monitor, &reading.metric, &reading.labels) {
                    Ok(Some(series)) => values.push((series, value)),
                    Ok(None) => refused += 1,
                    Err(error) => return Err(wrap(error)),
                }
            }
            self.names.refuse(refused, &format_args!("monitor {}", record.monitor));
            let failure = match &record.failure {
                None => {
                    self.failures.remove(&(monitor, probe));
                    0
                }
                Some(failure) => {
                    let known = self.failures.get(&(monitor, probe)).filter(|(class, code, _)| {
                        *class == failure.class.name
                            && code.as_deref() == failure.code.as_deref()
                            && record.evidence.is_none()
                    });
                    let hour = record.time.as_seconds().div_euclid(3600);
                    let code = failure.code.as_deref().map(str::to_owned);
                    let kind = (monitor, probe, failure.class.name, code.clone());
                    let told = self
                        .told
                        .get(&kind)
                        .filter(|told| told.hour == hour && told.count >= EVIDENCE_AN_HOUR);
                    match (known, told) {
                        (Some((_, _, id)), _) => *id,
                        // It comes and goes: that is no news any more.
                        (None, Some(told)) => told.id,
                        (None, None) => {
                            let body = record.evidence.as_ref().map(|evidence| evidence.to_string());
                            transaction
                                .prepare_cached(
                                    "INSERT INTO evidence (monitor, class, code, message, body) VALUES (?1, ?2, ?3, ?4, ?5)",
                                )
                                .and_then(|mut statement| {
                                    statement.execute(params![monitor, failure.class.name, failure.code, failure.message, body])
                                })
                                .map_err(wrap)?;
                            let id = u32::try_from(transaction.last_insert_rowid()).unwrap_or(u32::MAX);
                            let told = self.told.entry(kind).or_default();
                            let count = if told.hour == hour { told.count + 1 } else { 1 };
                            *told = Told { hour, count, id };
                            self.failures.insert((monitor, probe), (failure.class.name, code, id));
                            id
                        }
                    }
                }
            };
            rows.push(Row {
                monitor,
                probe,
                origin: self.origin,
                time: whole_millis(record.time.as_micros()),
                duration: u32::try_from(record.duration.as_micros()).unwrap_or(u32::MAX),
                status: record.status.code() | if record.down { DOWN } else { 0 },
                failure,
                values,
            });
        }
        let entry = Entry { rows, distributions: Vec::new() };
        let stored = write_entry(transaction, &path, &entry)?;
        self.show(stored, &entry);
        Ok(())
    }

    fn try_append_samples<'s>(
        &mut self,
        samples: impl Iterator<Item = &'s SourceSamples>,
        key_of: impl Fn(&SourceName) -> Option<SourceKey>,
    ) -> Result<(), StoreError> {
        let path = self.path.clone();
        let wrap = |error: rusqlite::Error| StoreError::sqlite(&path, &error);
        let transaction = self.connection.transaction().map_err(wrap)?;
        let mut entry = Entry::default();
        for one in samples {
            let Some(source) = key_of(&one.source) else { continue };
            let row = u32::try_from(entry.rows.len()).unwrap_or(u32::MAX);
            let probe = self.names.probe(&transaction, SAMPLES).map_err(wrap)?;
            let mut values = Vec::with_capacity(one.readings.len());
            let mut refused = 0;
            for reading in &one.readings {
                let Some(value) = reading.value.number() else { continue };
                match self.names.admitted(&transaction, source, &reading.metric, &reading.labels) {
                    Ok(Some(series)) => values.push((series, value)),
                    Ok(None) => refused += 1,
                    Err(error) => return Err(wrap(error)),
                }
            }
            for (metric, labels, sample) in &one.distributions {
                let metric = MetricRef::Declared(metric);
                match self.names.admitted(&transaction, source, &metric, labels) {
                    Ok(Some(series)) => {
                        entry.distributions.push(RowDistribution { row, series, sample: sample.clone() });
                    }
                    Ok(None) => refused += 1,
                    Err(error) => return Err(wrap(error)),
                }
            }
            self.names.refuse(refused, &one.source);
            entry.rows.push(Row {
                monitor: source,
                probe,
                origin: self.origin,
                time: whole_millis(one.time.as_micros()),
                duration: 0,
                status: 0,
                failure: 0,
                values,
            });
        }
        let stored = write_entry(transaction, &path, &entry)?;
        self.show(stored, &entry);
        Ok(())
    }

    /// Shows readers what is in the journal now.
    fn show(&mut self, sequence: Option<i64>, entry: &Entry) {
        if let Some(sequence) = sequence {
            self.sequence = sequence;
            entry.each().for_each(|(row, distributions)| self.head.push(row, distributions));
        }
    }

    /// Whether a sealing is under way.
    pub(super) fn is_sealing(&self) -> bool {
        self.sealing.is_some()
    }

    /// Begins to seal what is in the head now.
    pub(super) fn begin_sealing(&mut self) {
        self.sealing =
            Some(Sealing { upto: self.sequence, left: self.head.series.keys().copied().collect() });
    }

    /// Seals some series; when none is left, clears the journal.
    pub(super) fn seal_some(&mut self) -> Result<(), StoreError> {
        let Some(mut sealing) = self.sealing.take() else { return Ok(()) };
        let slice: Vec<SeriesKey> = sealing.left.split_off(sealing.left.len().saturating_sub(SLICE));
        let mut taken: Vec<(SeriesKey, Columns)> = Vec::with_capacity(slice.len());
        for key in slice {
            if let Some(columns) = self.head.take(key) {
                taken.push((key, columns.sorted()));
            }
        }
        let result = self.write_chunks(&taken);
        if result.is_err() {
            sealing.left.extend(taken.iter().map(|(key, _)| *key));
            for (key, columns) in taken {
                self.head.put_back(key, columns);
            }
        } else if sealing.left.is_empty() {
            return self
                .connection
                .execute("DELETE FROM journal WHERE sequence <= ?1", [sealing.upto])
                .map(|_| ())
                .map_err(|e| self.wrap(e));
        }
        self.sealing = Some(sealing);
        result
    }

    fn write_chunks(&mut self, taken: &[(SeriesKey, Columns)]) -> Result<(), StoreError> {
        let path = self.path.clone();
        let wrap = |error: rusqlite::Error| StoreError::sqlite(&path, &error);
        let transaction = self.connection.transaction().map_err(wrap)?;
        for ((monitor, probe, origin), columns) in taken {
            let (Some(first), Some(last)) = (columns.times.first(), columns.times.last()) else { continue };
            let data = chunk::encode(columns, |series| self.names.resolution(series), Effort::Quick)
                .map_err(|reason| StoreError::Other { path: path.clone(), reason })?;
            transaction
                .prepare_cached(
                    "INSERT OR REPLACE INTO chunk (monitor, probe, origin, first, last, upto, checks, data)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
                )
                .and_then(|mut statement| {
                    statement.execute(params![
                        monitor,
                        probe,
                        origin,
                        first,
                        last,
                        self.sequence,
                        columns.len() as i64,
                        data
                    ])
                })
                .map_err(wrap)?;
        }
        transaction.commit().map_err(wrap)
    }

    /// Seals everything and gives the write-ahead log back to the disk: the day is over.
    pub(super) fn close(mut self) -> Result<(), (Box<Self>, StoreError)> {
        self.begin_sealing();
        while self.is_sealing() {
            if let Err(error) = self.seal_some() {
                return Err((Box::new(self), error));
            }
        }
        // Without this the last megabytes would stay in a second file until someone opens the day again.
        if let Err(error) = self.connection.pragma_update(None, "journal_mode", "DELETE") {
            tracing::debug!("{}: the write-ahead log stays: {error}", self.path.display());
        }
        Ok(())
    }
}

/// A check's time is kept to the millisecond, in the head too, so that it is the same before and after sealing.
fn whole_millis(micros: i64) -> i64 {
    micros.div_euclid(1000) * 1000
}

/// Writes an entry of the journal, and answers its number; `None` without rows.
fn write_entry(transaction: Transaction<'_>, path: &Path, entry: &Entry) -> Result<Option<i64>, StoreError> {
    if entry.rows.is_empty() {
        return Ok(None);
    }
    let wrap = |error: rusqlite::Error| StoreError::sqlite(path, &error);
    let blob = write_journal(entry).map_err(|error| {
        let reason = error.to_string();
        StoreError::Other { path: path.to_owned(), reason }
    })?;
    transaction
        .prepare_cached("INSERT INTO journal (rows) VALUES (?1)")
        .and_then(|mut statement| statement.execute([blob]))
        .map_err(wrap)?;
    let sequence = transaction.last_insert_rowid();
    transaction.commit().map_err(wrap)?;
    Ok(Some(sequence))
}

fn write_journal(entry: &Entry) -> Result<Vec<u8>, postcard::Error> {
    if entry.distributions.is_empty() {
        return postcard::to_extend(&entry.rows, vec![JOURNAL_FORMAT]);
    }
    let rows = postcard::to_extend(&entry.rows, vec![WITH_DISTRIBUTIONS])?;
    postcard::to_extend(&entry.distributions, rows)
}

fn read_journal(blob: &[u8]) -> Result<Entry, String> {
    let error = |error: postcard::Error| error.to_string();
    match blob.split_first() {
        Some((&JOURNAL_FORMAT, rows)) => {
            Ok(Entry { rows: postcard::from_bytes(rows).map_err(error)?, distributions: Vec::new() })
        }
        Some((&WITH_DISTRIBUTIONS, rest)) => {
            let (rows, rest) = postcard::take_from_bytes(rest).map_err(error)?;
            Ok(Entry { rows, distributions: postcard::from_bytes(rest).map_err(error)? })
        }
        Some((other, _)) => Err(format!("journal format {other} is not known here")),
        None => Err("an empty journal entry".to_owned()),
    }
}

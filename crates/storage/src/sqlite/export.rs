//! The checks of a source with all that their numbers stand for: for other backends.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::os::unix::fs::MetadataExt;

use rusqlite::{Connection, OptionalExtension, params};
use wise_core::SourceId;

use super::days::Days;
use super::files::{DayStates, State, day_file, days_in};
use super::head::SeriesKey;
use super::names::PROBE;
use super::open::{Access, is_unmade, open};
use super::read::TRIES;
use super::sources::SourceKey;
use crate::columns::{Columns, Evidence, Gathering, ProbeColumns, SeriesName, chunk};
use crate::error::StoreError;
use crate::rollup::MICROS_A_DAY;

/// Reads the checks of many sources. Its files stay open as long as it lives: while one that is written to is open here, it
/// keeps its write-ahead log, and is not put in order.
pub(crate) struct Exporter<'d> {
    days: &'d Days,
    files: BTreeMap<i64, DayStates>,
    open: HashMap<(i64, State), OpenFile>,
}

/// A day's file, and what its numbers stand for as far as it was asked.
struct OpenFile {
    connection: Connection,
    /// Tells it from another that has taken its name.
    number: u64,
    /// Format 1 of a day has no sketches.
    has_sketch: bool,
    names: HashMap<u32, SeriesName>,
    origins: HashMap<u32, (String, String)>,
}

impl Days {
    /// The days that there are samples of, the oldest first.
    pub(super) fn all(&self) -> Result<Vec<i64>, StoreError> {
        Ok(days_in(&self.folder)?.into_keys().collect())
    }

    pub(super) fn exporter(&self) -> Result<Exporter<'_>, StoreError> {
        Ok(Exporter { days: self, files: days_in(&self.folder)?, open: HashMap::new() })
    }
}

impl Exporter<'_> {
    /// The checks of a source in a range of microseconds within one day; of what is no monitor, its samples.
    pub(crate) fn probes(
        &mut self,
        source: &SourceId,
        range: Range<i64>,
    ) -> Result<Vec<ProbeColumns>, StoreError> {
        let Some(key) = self.days.key(source) else { return Ok(Vec::new()) };
        let day = range.start.div_euclid(MICROS_A_DAY);
        for attempt in 1..=TRIES {
            let mut gathering = Gathering::default();
            let mut is_gone = false;
            for state in self.files.get(&day).cloned().unwrap_or_default() {
                let path = day_file(&self.days.folder, day, state);
                let read = self.gather((day, state), (source, key), range.clone(), &mut gathering);
                is_gone |= read.is_err() && !path.exists();
                self.days.tolerate(&path, read)?;
            }
            // A file that was renamed meanwhile is found at the next try.
            if !is_gone || attempt == TRIES {
                return Ok(gathering.probes());
            }
            *self = self.days.exporter()?;
        }
        Ok(Vec::new())
    }

    fn gather(
        &mut self,
        (day, state): (i64, State),
        (source, key): (&SourceId, SourceKey),
        range: Range<i64>,
        gathering: &mut Gathering,
    ) -> Result<(), StoreError> {
        let path = day_file(&self.days.folder, day, state);
        let wrap = |error: rusqlite::Error| StoreError::sqlite(&path, &error);
        let number = std::fs::metadata(&path).map_err(|error| StoreError::io(&path, &error))?.ino();
        let file = match self.open.entry((day, state)) {
            Entry::Occupied(known) if known.get().number == number => known.into_mut(),
            other => other.insert_entry(OpenFile::new(open(&path, Access::Read)?, number)).into_mut(),
        };
        if is_unmade(&file.connection) {
            return Ok(());
        }
        let mut found: Vec<(SeriesKey, Columns)> = Vec::new();
        // The head first: what is sealed in between is then read twice, which does no harm.
        if state == State::Open
            && let Some(opened) = self.days.lock().days.get(&day)
        {
            let all = (key, 0, 0)..=(key, u32::MAX, u32::MAX);
            let columns = opened.head.series.range(all);
            found.extend(columns.map(|(key, columns)| (*key, columns.clone())));
        }
        let head = found.len();
        let mut statement = file
            .connection
            .prepare_cached(
                "SELECT probe, origin, data FROM chunk WHERE monitor = ?1 AND last >= ?2 AND first < ?3 ORDER BY upto",
            )
            .map_err(wrap)?;
        let mut rows = statement.query(params![key, range.start, range.end]).map_err(wrap)?;
        while let Some(row) = rows.next().map_err(wrap)? {
            let blob = row.get_ref(2).and_then(|value| Ok(value.as_blob()?)).map_err(wrap)?;
            let columns =
                chunk::decode(blob).map_err(|reason| StoreError::Damaged { path: path.clone(), reason })?;
            found.push(((key, row.get(0).map_err(wrap)?, row.get(1).map_err(wrap)?), columns));
        }
        drop(rows);
        drop(statement);
        // What is in the head came last.
        found.rotate_left(head);
        for ((_, probe, origin), columns) in found {
            let columns = columns.within(range.clone());
            for number in columns.series().chain([probe]) {
                file.learn_name(number).map_err(wrap)?;
            }
            file.learn_origin(origin).map_err(wrap)?;
            let probe = file.names.get(&probe).map(|name| name.metric.as_str()).unwrap_or_default();
            let probe = probe.strip_prefix(PROBE).unwrap_or(probe);
            let (location, worker) = file
                .origins
                .get(&origin)
                .map(|(location, worker)| (location.as_str(), worker.as_str()))
                .unwrap_or_default();
            let evidence = |number| evidence(&file.connection, number).unwrap_or_default();
            let series = |number| file.names.get(&number);
            gathering.add(source, (probe, location, worker), columns, series, evidence);
        }
        Ok(())
    }
}

impl OpenFile {
    fn new(connection: Connection, number: u64) -> Self {
        let has_sketch = connection.prepare("SELECT sketch FROM name").is_ok();
        Self { connection, number, has_sketch, names: HashMap::new(), origins: HashMap::new() }
    }

    fn learn_name(&mut self, number: u32) -> rusqlite::Result<()> {
        if self.names.contains_key(&number) {
            return Ok(());
        }
        let query = match self.has_sketch {
            true => "SELECT name, labels, resolution, sketch FROM name WHERE id = ?1",
            false => "SELECT name, labels, resolution, 0 FROM name WHERE id = ?1",
        };
        let found = self
            .connection
            .prepare_cached(query)?
            .query_row([number], |row| {
                Ok(SeriesName {
                    metric: row.get(0)?,
                    labels: row.get(1)?,
                    resolution: row.get(2)?,
                    sketch: row.get(3)?,
                })
            })
            .optional()?;
        self.names.insert(number, found.unwrap_or_default());
        Ok(())
    }

    fn learn_origin(&mut self, number: u32) -> rusqlite::Result<()> {
        if self.origins.contains_key(&number) {
            return Ok(());
        }
        let found = self
            .connection
            .prepare_cached("SELECT location, worker FROM origin WHERE id = ?1")?
            .query_row([number], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        self.origins.insert(number, found.unwrap_or_default());
        Ok(())
    }
}

fn evidence(file: &Connection, number: u32) -> rusqlite::Result<Evidence> {
    file.prepare_cached("SELECT class, code, message, body FROM evidence WHERE id = ?1")?
        .query_row([number], |row| {
            Ok(Evidence { class: row.get(0)?, code: row.get(1)?, message: row.get(2)?, body: row.get(3)? })
        })
}

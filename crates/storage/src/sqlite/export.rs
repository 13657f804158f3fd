//! The checks of a monitor with all that their numbers stand for: for other backends.

use std::collections::HashMap;
use std::ops::Range;

use rusqlite::{Connection, OptionalExtension, params};
use wise_core::MonitorId;

use super::day::PROBE;
use super::days::Days;
use super::files::{State, day_file, days_in};
use super::head::SeriesKey;
use super::open::{Access, open};
use super::read::TRIES;
use crate::columns::{Columns, Evidence, Gathering, ProbeColumns, SeriesName, chunk};
use crate::error::StoreError;
use crate::rollup::MICROS_A_DAY;

impl Days {
    /// The days that there are samples of, the oldest first.
    pub(super) fn all(&self) -> Result<Vec<i64>, StoreError> {
        Ok(days_in(&self.folder)?.into_keys().collect())
    }

    /// The checks of a monitor in a range of microseconds within one day.
    pub(super) fn probes(
        &self,
        monitor: MonitorId,
        range: Range<i64>,
    ) -> Result<Vec<ProbeColumns>, StoreError> {
        let Some(key) = self.key(monitor) else { return Ok(Vec::new()) };
        let day = range.start.div_euclid(MICROS_A_DAY);
        for attempt in 1..=TRIES {
            let mut gathering = Gathering::default();
            let mut is_gone = false;
            for state in days_in(&self.folder)?.remove(&day).unwrap_or_default() {
                let path = day_file(&self.folder, day, state);
                let read = self.gather((day, state), (monitor, key), range.clone(), &mut gathering);
                is_gone |= read.is_err() && !path.exists();
                self.tolerate(&path, read)?;
            }
            // A file that was renamed meanwhile is found at the next try.
            if !is_gone || attempt == TRIES {
                return Ok(gathering.probes());
            }
        }
        Ok(Vec::new())
    }

    fn gather(
        &self,
        (day, state): (i64, State),
        (monitor, key): (MonitorId, u32),
        range: Range<i64>,
        gathering: &mut Gathering,
    ) -> Result<(), StoreError> {
        let path = day_file(&self.folder, day, state);
        let wrap = |error: rusqlite::Error| StoreError::sqlite(&path, &error);
        let file = open(&path, Access::Read)?;
        let mut found: Vec<(SeriesKey, Columns)> = Vec::new();
        // The head first: what is sealed in between is then read twice, which does no harm.
        if state == State::Open
            && let Some(opened) = self.lock().days.get(&day)
        {
            let all = (key, 0, 0)..=(key, u32::MAX, u32::MAX);
            let columns = opened.head.series.range(all);
            found.extend(columns.map(|(key, columns)| (*key, columns.clone())));
        }
        let head = found.len();
        let mut statement = file
            .prepare(
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
        // What is in the head came last.
        found.rotate_left(head);
        let names = names(&file).map_err(wrap)?;
        for ((_, probe, origin), columns) in found {
            let (location, worker) = file
                .prepare_cached("SELECT location, worker FROM origin WHERE id = ?1")
                .and_then(|mut one| one.query_row([origin], |row| Ok((row.get(0)?, row.get(1)?))).optional())
                .map_err(wrap)?
                .unwrap_or_else(|| (String::new(), String::new()));
            let probe = names.get(&probe).map(|name| name.metric.clone()).unwrap_or_default();
            let probe = probe.strip_prefix(PROBE).unwrap_or(&probe);
            let evidence = |number| evidence(&file, number).unwrap_or_default();
            let series = |number| names.get(&number).cloned().unwrap_or_default();
            let source = (probe, location.as_str(), worker.as_str());
            gathering.add(monitor, source, columns.within(range.clone()), series, evidence);
        }
        Ok(())
    }
}

fn names(file: &Connection) -> rusqlite::Result<HashMap<u32, SeriesName>> {
    // Format 1 of a day has no sketches.
    let has_sketch = file.prepare("SELECT sketch FROM name").is_ok();
    let sketch = if has_sketch { "sketch" } else { "0" };
    let mut statement = file.prepare(&format!("SELECT id, name, labels, resolution, {sketch} FROM name"))?;
    let rows = statement.query_map([], |row| {
        let name = SeriesName {
            metric: row.get(1)?,
            labels: row.get(2)?,
            resolution: row.get(3)?,
            sketch: row.get(4)?,
        };
        Ok((row.get(0)?, name))
    })?;
    rows.collect()
}

fn evidence(file: &Connection, number: u32) -> rusqlite::Result<Evidence> {
    file.prepare_cached("SELECT class, code, message, body FROM evidence WHERE id = ?1")?
        .query_row([number], |row| {
            Ok(Evidence { class: row.get(0)?, code: row.get(1)?, message: row.get(2)?, body: row.get(3)? })
        })
}

//! The days together: which file a check goes to, reading across files, retention.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, params};
use wise_core::{CheckRecord, MonitorId, Status, Timestamp};

use super::SqliteOptions;
use super::chunk;
use super::day::{DOWN, Day, PROBE};
use super::head::Columns;
use super::main_file::Keys;
use super::open::{Access, open};
use crate::error::StoreError;
use crate::query::{HistoryQuery, HistorySeries, ResultQuery, StoredResult};

const DAY_SECONDS: i64 = 86_400;
/// A day is closed this long after its end, when the last stragglers have come.
const CLOSING: Duration = Duration::from_secs(120);
/// Unsealed results are sealed at the latest after this long.
const MAX_AGE: Duration = Duration::from_secs(3600);
/// Memory of a check in the head, measured with the eight readings of a website.
const ROW_BYTES: usize = 100;

#[derive(Debug)]
pub(super) struct Days {
    folder: PathBuf,
    location: String,
    worker: String,
    retention: Duration,
    max_rows: usize,
    keys: Keys,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    days: BTreeMap<i64, Day>,
    last_sealed: Option<Timestamp>,
    last_retention: Option<Timestamp>,
}

impl Days {
    pub(super) fn open(
        folder: PathBuf,
        options: &SqliteOptions,
        keys: Keys,
        now: Timestamp,
    ) -> Result<Self, StoreError> {
        let days = Self {
            folder,
            location: options.location.clone(),
            worker: options.worker.clone(),
            retention: options.retention,
            max_rows: (options.head_bytes / ROW_BYTES).max(1000),
            keys,
            open: Mutex::default(),
        };
        days.recover(now)?;
        Ok(days)
    }

    /// Opens today's file and every older one whose journal was not sealed; sets damaged ones aside.
    fn recover(&self, now: Timestamp) -> Result<(), StoreError> {
        let today = day_of(now);
        let mut open_days = self.lock();
        for day in self.files()? {
            let path = self.path(day);
            let needs_opening = day >= today || has_journal(&path).unwrap_or(true);
            if !needs_opening {
                continue;
            }
            match Day::open(&path, &self.location, &self.worker) {
                Ok(opened) => {
                    open_days.days.insert(day, opened);
                }
                Err(StoreError::Damaged { reason, .. }) => set_aside(&path, &reason)?,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn path(&self, day: i64) -> PathBuf {
        let date = Timestamp::from_seconds(day * DAY_SECONDS).to_string();
        self.folder.join(format!("{}.sqlite3", date.get(..10).unwrap_or(&date)))
    }

    /// The days that have a file, oldest first.
    fn files(&self) -> Result<Vec<i64>, StoreError> {
        let entries =
            std::fs::read_dir(&self.folder).map_err(|error| StoreError::io(&self.folder, &error))?;
        let mut days: Vec<i64> = entries
            .filter_map(|entry| {
                let name = entry.ok()?.file_name();
                let date = name.to_str()?.strip_suffix(".sqlite3")?;
                Timestamp::parse(&format!("{date}T00:00:00Z")).ok().map(day_of)
            })
            .collect();
        days.sort_unstable();
        Ok(days)
    }

    pub(super) fn append(&self, records: &[CheckRecord]) -> Result<(), StoreError> {
        let mut open_days = self.lock();
        let mut rest = records;
        // A batch rarely crosses midnight. Should the second day fail after the first was written, a repeated batch
        // writes the first again: readers take equal times of a series once.
        while let Some(first) = rest.first() {
            let day = day_of(first.time);
            let same = rest.iter().take_while(|record| day_of(record.time) == day).count();
            let (part, tail) = rest.split_at(same);
            let opened = match open_days.days.entry(day) {
                std::collections::btree_map::Entry::Occupied(entry) => entry.into_mut(),
                std::collections::btree_map::Entry::Vacant(entry) => {
                    entry.insert(Day::open(&self.path(day), &self.location, &self.worker)?)
                }
            };
            let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
            opened.append(part.iter(), |id| keys.get(&id).copied())?;
            rest = tail;
        }
        Ok(())
    }

    pub(super) fn tend(&self, now: Timestamp) -> Result<(), StoreError> {
        let mut open_days = self.lock();
        let over = day_of(now.minus(CLOSING));
        while let Some(day) = open_days.days.keys().next().copied().filter(|day| *day < over) {
            if let Some(opened) = open_days.days.remove(&day)
                && let Err((opened, error)) = opened.close()
            {
                open_days.days.insert(day, *opened);
                return Err(error);
            }
        }
        let age = open_days.last_sealed.get_or_insert(now);
        let is_old = now.since(*age) >= MAX_AGE;
        let rows: usize = open_days.days.values().map(|day| day.head.rows()).sum();
        if is_old || rows > self.max_rows {
            open_days.last_sealed = Some(now);
            for day in open_days.days.values_mut().filter(|day| !day.is_sealing()) {
                day.begin_sealing();
            }
        }
        for day in open_days.days.values_mut() {
            day.seal_some()?;
        }
        if open_days.last_retention.is_none_or(|last| now.since(last) >= MAX_AGE) {
            open_days.last_retention = Some(now);
            let oldest = day_of(now.minus(self.retention));
            for day in self.files()?.into_iter().filter(|day| *day < oldest) {
                open_days.days.remove(&day);
                self.unlink(day)?;
            }
        }
        Ok(())
    }

    fn unlink(&self, day: i64) -> Result<(), StoreError> {
        let path = self.path(day);
        tracing::info!("history of {} is past its retention and removed", path.display());
        for suffix in ["", "-wal", "-shm"] {
            let file = PathBuf::from(format!("{}{suffix}", path.display()));
            match std::fs::remove_file(&file) {
                Ok(()) => {}
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(StoreError::io(&file, &error)),
            }
        }
        Ok(())
    }

    /// The files that a range touches, oldest first.
    fn files_between(&self, from: Timestamp, to: Timestamp) -> Result<Vec<i64>, StoreError> {
        let (first, last) = (day_of(from), day_of(to));
        Ok(self.files()?.into_iter().filter(|day| (first..=last).contains(day)).collect())
    }

    fn key(&self, monitor: MonitorId) -> Option<u32> {
        self.keys.read().unwrap_or_else(PoisonError::into_inner).get(&monitor).copied()
    }

    pub(super) fn history(&self, query: &HistoryQuery) -> Result<Vec<HistorySeries>, StoreError> {
        let Some(monitor) = self.key(query.monitor) else { return Ok(Vec::new()) };
        let mut series: BTreeMap<String, Vec<(i64, f64)>> = BTreeMap::new();
        for day in self.files_between(query.from, query.to)? {
            let read = self.read_points(day, monitor, query, &mut series);
            self.tolerate(day, read)?;
        }
        Ok(series.into_iter().map(|(labels, points)| bucketed(&labels, points, query)).collect())
    }

    /// Raw points of one day, added to `series` by labels.
    fn read_points(
        &self,
        day: i64,
        monitor: u32,
        query: &HistoryQuery,
        series: &mut BTreeMap<String, Vec<(i64, f64)>>,
    ) -> Result<(), StoreError> {
        let path = self.path(day);
        let wrap = |error: rusqlite::Error| StoreError::sqlite(&path, &error);
        let file = open(&path, Access::Read)?;
        let mut statement = file.prepare("SELECT id, labels FROM name WHERE name = ?1").map_err(wrap)?;
        let names =
            statement.query_map([&query.metric], |row| Ok((row.get(0)?, row.get(1)?))).map_err(wrap)?;
        let names: Vec<(u32, String)> = names.collect::<Result<_, _>>().map_err(wrap)?;
        if names.is_empty() {
            return Ok(());
        }
        let (from, to) = (query.from.as_micros(), query.to.as_micros());
        let mut take = |labels: &str, times: &[i64], values: &[f64]| {
            let points = times
                .iter()
                .zip(values)
                .filter(|(time, value)| (from..to).contains(*time) && !value.is_nan());
            series.entry(labels.to_owned()).or_default().extend(points.map(|(time, value)| (*time, *value)));
        };
        // The head first: what is sealed in between is then read twice, which does no harm, instead of not at all.
        if let Some(opened) = self.lock().days.get(&day) {
            for ((_, _, _), columns) in
                opened.head.series.range((monitor, 0, 0)..=(monitor, u32::MAX, u32::MAX))
            {
                for (id, labels) in &names {
                    if let Some(values) = columns.values.get(id) {
                        take(labels, &columns.times, values);
                    }
                }
            }
        }
        let mut statement = file
            .prepare("SELECT data FROM chunk WHERE monitor = ?1 AND last >= ?2 AND first < ?3")
            .map_err(wrap)?;
        let mut rows = statement.query(params![monitor, from, to]).map_err(wrap)?;
        while let Some(row) = rows.next().map_err(wrap)? {
            let blob = row.get_ref(0).and_then(|value| Ok(value.as_blob()?)).map_err(wrap)?;
            for (id, labels) in &names {
                let decoded = chunk::decode_series(blob, *id)
                    .map_err(|reason| StoreError::Damaged { path: path.clone(), reason })?;
                if let Some((times, values)) = decoded {
                    take(labels, &times, &values);
                }
            }
        }
        Ok(())
    }

    pub(super) fn results(&self, query: &ResultQuery) -> Result<Vec<StoredResult>, StoreError> {
        let Some(monitor) = self.key(query.monitor) else { return Ok(Vec::new()) };
        let mut found = Vec::new();
        for day in self.files_between(query.from, query.to)?.into_iter().rev() {
            let missing = query.limit.saturating_sub(found.len());
            if missing == 0 {
                break;
            }
            let read = self.read_results(day, monitor, query, missing).map(|results| found.extend(results));
            self.tolerate(day, read)?;
        }
        Ok(found)
    }

    fn read_results(
        &self,
        day: i64,
        monitor: u32,
        query: &ResultQuery,
        limit: usize,
    ) -> Result<Vec<StoredResult>, StoreError> {
        let path = self.path(day);
        let wrap = |error: rusqlite::Error| StoreError::sqlite(&path, &error);
        let (from, to) = (query.from.as_micros(), query.to.as_micros());
        // (time, probe, origin, duration, status, failure)
        let mut rows: Vec<(i64, u32, u32, u32, u8, u32)> = Vec::new();
        let mut take = |probe: u32, origin: u32, columns: &Columns| {
            for (index, time) in columns.times.iter().enumerate() {
                let failure = columns.failures[index];
                if (from..to).contains(time) && (!query.failed || failure != 0) {
                    rows.push((
                        *time,
                        probe,
                        origin,
                        columns.durations[index],
                        columns.statuses[index],
                        failure,
                    ));
                }
            }
        };
        let file = open(&path, Access::Read)?;
        if let Some(opened) = self.lock().days.get(&day) {
            for ((_, probe, origin), columns) in
                opened.head.series.range((monitor, 0, 0)..=(monitor, u32::MAX, u32::MAX))
            {
                take(*probe, *origin, columns);
            }
        }
        let mut statement = file
            .prepare("SELECT probe, origin, data FROM chunk WHERE monitor = ?1 AND last >= ?2 AND first < ?3")
            .map_err(wrap)?;
        let mut chunks = statement.query(params![monitor, from, to]).map_err(wrap)?;
        while let Some(row) = chunks.next().map_err(wrap)? {
            let blob = row.get_ref(2).and_then(|value| Ok(value.as_blob()?)).map_err(wrap)?;
            let columns = chunk::decode_results(blob)
                .map_err(|reason| StoreError::Damaged { path: path.clone(), reason })?;
            take(row.get(0).map_err(wrap)?, row.get(1).map_err(wrap)?, &columns);
        }
        rows.sort_unstable_by(|a, b| b.cmp(a));
        rows.dedup();
        rows.truncate(limit);
        rows.into_iter().map(|row| describe(&file, row).map_err(wrap)).collect()
    }

    pub(super) fn last_checks(&self) -> Result<HashMap<MonitorId, HashMap<String, Timestamp>>, StoreError> {
        let ids: HashMap<u32, MonitorId> = self
            .keys
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
            .map(|(id, key)| (*key, *id))
            .collect();
        let mut found: HashMap<MonitorId, HashMap<String, Timestamp>> = HashMap::new();
        // Intervals end at a day, so that nothing older matters.
        for day in self.files()?.into_iter().rev().take(2) {
            let read = self.read_last(day).map(|last| {
                for (key, probe, time) in last {
                    if let Some(id) = ids.get(&key) {
                        let known = found.entry(*id).or_default().entry(probe).or_insert(time);
                        *known = (*known).max(time);
                    }
                }
            });
            self.tolerate(day, read)?;
        }
        Ok(found)
    }

    fn read_last(&self, day: i64) -> Result<Vec<(u32, String, Timestamp)>, StoreError> {
        let path = self.path(day);
        let wrap = |error: rusqlite::Error| StoreError::sqlite(&path, &error);
        let file = open(&path, Access::Read)?;
        let mut statement =
            file.prepare("SELECT id, name FROM name WHERE name LIKE 'probe:%'").map_err(wrap)?;
        let probes = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).map_err(wrap)?;
        let probes: HashMap<u32, String> = probes.collect::<Result<_, _>>().map_err(wrap)?;
        let name = |id: u32| {
            probes.get(&id).and_then(|name| name.strip_prefix(PROBE)).unwrap_or_default().to_owned()
        };
        let mut statement = file
            .prepare("SELECT monitor, probe, max(last) FROM chunk GROUP BY monitor, probe")
            .map_err(wrap)?;
        let rows =
            statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).map_err(wrap)?;
        let rows: Vec<(u32, u32, i64)> = rows.collect::<Result<_, _>>().map_err(wrap)?;
        let mut last: Vec<_> = rows
            .into_iter()
            .map(|(monitor, probe, time)| (monitor, name(probe), Timestamp::from_micros(time)))
            .collect();
        if let Some(opened) = self.lock().days.get(&day) {
            for ((monitor, probe, _), columns) in &opened.head.series {
                if let Some(time) = columns.times.iter().max() {
                    last.push((*monitor, name(*probe), Timestamp::from_micros(*time)));
                }
            }
        }
        Ok(last)
    }

    /// A damaged day, or one that has just been removed, does not keep the others from being read.
    fn tolerate(&self, day: i64, read: Result<(), StoreError>) -> Result<(), StoreError> {
        match read {
            Err(StoreError::Damaged { path, reason }) => {
                tracing::error!("{} is damaged and left out: {reason}", path.display());
                Ok(())
            }
            Err(_) if !self.path(day).exists() => Ok(()),
            other => other,
        }
    }
}

fn describe(file: &Connection, row: (i64, u32, u32, u32, u8, u32)) -> rusqlite::Result<StoredResult> {
    let (time, probe, origin, duration, status, failure) = row;
    let probe: String =
        file.prepare_cached("SELECT name FROM name WHERE id = ?1")?.query_row([probe], |row| row.get(0))?;
    let (location, worker) = file
        .prepare_cached("SELECT location, worker FROM origin WHERE id = ?1")?
        .query_row([origin], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?
        .unwrap_or_default();
    let mut evidence = None;
    let failure = match failure {
        0 => None,
        id => file
            .prepare_cached("SELECT class, code, message, body FROM evidence WHERE id = ?1")?
            .query_row([id], |row| {
                let body: Option<String> = row.get(3)?;
                evidence = body.and_then(|body| serde_json::from_str(&body).ok());
                Ok((row.get(0)?, row.get(1)?, row.get(2)?))
            })
            .optional()?,
    };
    Ok(StoredResult {
        time: Timestamp::from_micros(time),
        probe: probe.strip_prefix(PROBE).unwrap_or(&probe).to_owned(),
        status: Status::from_code(status & !DOWN).unwrap_or(Status::Unknown),
        down: status & DOWN != 0,
        duration_micros: u64::from(duration),
        failure,
        evidence,
        location,
        worker,
    })
}

/// Merges raw points into buckets; a bucket without points stays away.
fn bucketed(labels: &str, mut points: Vec<(i64, f64)>, query: &HistoryQuery) -> HistorySeries {
    points.sort_by_key(|(time, _)| *time);
    points.dedup_by_key(|(time, _)| *time);
    let step = query.step_micros();
    let mut series =
        HistorySeries { labels: serde_json::from_str(labels).unwrap_or_default(), points: Vec::new() };
    let mut bucket: Vec<f64> = Vec::new();
    let mut rest = points.as_slice();
    while let Some((time, _)) = rest.first() {
        let start = time.div_euclid(step) * step;
        let count = rest.iter().take_while(|(time, _)| *time < start + step).count();
        let (part, tail) = rest.split_at(count);
        bucket.clear();
        bucket.extend(part.iter().map(|(_, value)| *value));
        if let Some(value) = query.aggregate.of(&mut bucket) {
            series.points.push((start as f64 / 1e6, value));
        }
        rest = tail;
    }
    series
}

fn day_of(time: Timestamp) -> i64 {
    time.as_seconds().div_euclid(DAY_SECONDS)
}

fn has_journal(path: &Path) -> Result<bool, StoreError> {
    let wrap = |error: rusqlite::Error| StoreError::sqlite(path, &error);
    let file = open(path, Access::Read)?;
    file.query_row("SELECT EXISTS (SELECT 1 FROM journal)", [], |row| row.get(0)).map_err(wrap)
}

/// Renames a damaged file, so that a new one can take its place and somebody can look at the old.
fn set_aside(path: &Path, reason: &str) -> Result<(), StoreError> {
    let aside = path.with_extension("sqlite3.damaged");
    tracing::error!("{} is damaged ({reason}): set aside as {}", path.display(), aside.display());
    for suffix in ["", "-wal", "-shm"] {
        let (from, to) = (format!("{}{suffix}", path.display()), format!("{}{suffix}", aside.display()));
        match std::fs::rename(&from, to) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(StoreError::io(Path::new(&from), &error)),
        }
    }
    Ok(())
}

//! Listing checks.

use std::collections::{HashMap, HashSet};

use rusqlite::{Connection, OptionalExtension, params};
use wise_core::{MonitorId, Status, Timestamp};

use super::days::Days;
use super::files::{State, day_file, day_of, days_in};
use super::names::PROBE;
use super::open::{Access, is_unmade, open};
use super::read::TRIES;
use crate::columns::{Columns, DOWN, chunk};
use crate::error::StoreError;
use crate::query::{ResultQuery, StoredResult};

impl Days {
    pub(super) fn results(&self, query: &ResultQuery) -> Result<Vec<StoredResult>, StoreError> {
        let Some(monitor) = self.key(&query.monitor.into()) else { return Ok(Vec::new()) };
        let mut found: Vec<StoredResult> = Vec::new();
        let range = day_of(query.from)..=day_of(query.to);
        for (day, states) in days_in(&self.folder)?.range(range).rev() {
            let missing = query.limit.saturating_sub(found.len());
            if missing == 0 {
                break;
            }
            let mut here = Vec::new();
            let mut states = states.clone();
            for attempt in 1..=TRIES {
                here.clear();
                let mut is_gone = false;
                for state in &states {
                    let read = self.read_results((*day, *state), monitor, query, missing);
                    let path = day_file(&self.folder, *day, *state);
                    is_gone |= read.is_err() && !path.exists();
                    self.tolerate(&path, read.map(|results| here.extend(results)))?;
                }
                if !is_gone || attempt == TRIES {
                    break;
                }
                // It was renamed meanwhile; what it had is in another file now.
                states = days_in(&self.folder)?.remove(day).unwrap_or_default();
            }
            here.sort_by(|a: &StoredResult, b| (b.time, &b.probe).cmp(&(a.time, &a.probe)));
            here.dedup_by(|a, b| (a.time, &a.probe, &a.worker) == (b.time, &b.probe, &b.worker));
            here.truncate(missing);
            found.append(&mut here);
        }
        Ok(found)
    }

    fn read_results(
        &self,
        (day, state): (i64, State),
        monitor: u32,
        query: &ResultQuery,
        limit: usize,
    ) -> Result<Vec<StoredResult>, StoreError> {
        let path = day_file(&self.folder, day, state);
        let wrap = |error: rusqlite::Error| StoreError::sqlite(&path, &error);
        let (from, to) = (query.from.as_micros(), query.to.as_micros());
        let file = open(&path, Access::Read)?;
        if is_unmade(&file) {
            return Ok(Vec::new());
        }
        let wanted = Wanted::of(&file, query).map_err(wrap)?;
        // (time, probe, origin, duration, status, failure)
        let mut rows: Vec<(i64, u32, u32, u32, u8, u32)> = Vec::new();
        let mut take = |probe: u32, origin: u32, columns: &Columns| {
            for (index, time) in columns.times.iter().enumerate() {
                let failure = columns.failures[index];
                if (from..to).contains(time) && (!query.failed || failure != 0) && wanted.has(probe, failure)
                {
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
        if state == State::Open
            && let Some(opened) = self.lock().days.get(&day)
        {
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
        // What was sealed meanwhile was read twice, once with its duration shortened.
        rows.dedup_by_key(|(time, probe, origin, ..)| (*time, *probe, *origin));
        rows.truncate(limit);
        rows.into_iter().map(|row| describe(&file, row).map_err(wrap)).collect()
    }

    pub(super) fn last_checks(&self) -> Result<HashMap<MonitorId, HashMap<String, Timestamp>>, StoreError> {
        let ids = self.monitors();
        let mut found: HashMap<MonitorId, HashMap<String, Timestamp>> = HashMap::new();
        // Intervals end at a day, so that nothing older matters.
        for (day, states) in days_in(&self.folder)?.into_iter().rev().take(2) {
            for state in states {
                let read = self.read_last((day, state)).map(|last| {
                    for (key, probe, time) in last {
                        if let Some(id) = ids.get(&key) {
                            let known = found.entry(*id).or_default().entry(probe).or_insert(time);
                            *known = (*known).max(time);
                        }
                    }
                });
                self.tolerate(&day_file(&self.folder, day, state), read)?;
            }
        }
        Ok(found)
    }

    fn read_last(&self, (day, state): (i64, State)) -> Result<Vec<(u32, String, Timestamp)>, StoreError> {
        let path = day_file(&self.folder, day, state);
        let wrap = |error: rusqlite::Error| StoreError::sqlite(&path, &error);
        let file = open(&path, Access::Read)?;
        if is_unmade(&file) {
            return Ok(Vec::new());
        }
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
        if state == State::Open
            && let Some(opened) = self.lock().days.get(&day)
        {
            for ((monitor, probe, _), columns) in &opened.head.series {
                if let Some(time) = columns.times.iter().max() {
                    last.push((*monitor, name(*probe), Timestamp::from_micros(*time)));
                }
            }
        }
        Ok(last)
    }
}

/// What a query asks for, by the numbers of a file; `None` where it asks for all.
struct Wanted {
    probe: Option<u32>,
    failures: Option<HashSet<u32>>,
}

impl Wanted {
    fn of(file: &Connection, query: &ResultQuery) -> rusqlite::Result<Self> {
        let number = |probe: &String| {
            file.query_row("SELECT id FROM name WHERE name = ?1", [format!("{PROBE}{probe}")], |row| {
                row.get(0)
            })
            .optional()
            // Zero stands for no probe.
            .map(Option::unwrap_or_default)
        };
        let numbers = |class: &String| {
            let mut statement = file.prepare("SELECT id FROM evidence WHERE class = ?1")?;
            statement.query_map([class], |row| row.get(0))?.collect()
        };
        Ok(Self {
            probe: query.probe.as_ref().map(number).transpose()?,
            failures: query.class.as_ref().map(numbers).transpose()?,
        })
    }

    fn has(&self, probe: u32, failure: u32) -> bool {
        self.probe.is_none_or(|wanted| wanted == probe)
            && self.failures.as_ref().is_none_or(|wanted| wanted.contains(&failure))
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

//! Reading a metric across days and rollups.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use rusqlite::{Connection, params};
use wise_core::SourceId;

use super::days::Days;
use super::files::{DayStates, RollupPath, State, day_file, day_of, days_in, is_complete, rollups_in};
use super::open::{Access, is_unmade, open};
use super::pool::Pooled;
use super::rollup_chunk::Wanted;
use super::rollup_file;
use super::sources::SourceKey;
use crate::columns::chunk::{self, Samples};
use crate::error::StoreError;
use crate::query::{Aggregate, DaySamples, Found, QueryPlan, Resolution, SeriesPieces, series_of};
use crate::rollup::Tier;

/// A file that is renamed while it is looked for is found at the second try, or the third.
pub(super) const TRIES: usize = 3;

/// Reads for one query; files stay open as long as it lives.
pub(crate) struct Reader<'d> {
    days: &'d Days,
    files: BTreeMap<i64, DayStates>,
    rollups: Vec<RollupPath>,
    /// Files that may stay open.
    pooled: RefCell<HashMap<PathBuf, Rc<Pooled>>>,
    /// Files that are closed with the reader: one that is written to could not be closed while it is open here.
    own: RefCell<HashMap<PathBuf, Rc<Connection>>>,
}

impl Drop for Reader<'_> {
    fn drop(&mut self) {
        for (_, pooled) in self.pooled.get_mut().drain() {
            if let Some(pooled) = Rc::into_inner(pooled) {
                self.days.pool.give(pooled);
            }
        }
    }
}

/// The samples of a day by labels.
type ByLabels = BTreeMap<String, DaySamples>;

impl<'d> Reader<'d> {
    pub(super) fn new(days: &'d Days) -> Result<Self, StoreError> {
        let (files, rollups) = (days_in(&days.folder)?, rollups_in(&days.rollups)?);
        Ok(Self { days, files, rollups, pooled: RefCell::default(), own: RefCell::default() })
    }

    fn own(&self, path: &Path) -> Result<Rc<Connection>, StoreError> {
        if let Some(known) = self.own.borrow().get(path) {
            return Ok(known.clone());
        }
        let file = Rc::new(open(path, Access::Read)?);
        self.own.borrow_mut().insert(path.to_owned(), file.clone());
        Ok(file)
    }

    /// A file that is never renamed.
    fn pooled(&self, path: &Path) -> Result<Rc<Pooled>, StoreError> {
        if let Some(known) = self.pooled.borrow().get(path) {
            return Ok(known.clone());
        }
        let pooled = Rc::new(self.days.pool.take(path)?);
        self.pooled.borrow_mut().insert(path.to_owned(), pooled.clone());
        Ok(pooled)
    }

    /// The days of a plan in which there can be anything: a range may reach from the beginning of time to its end.
    fn covered(&self, plan: &QueryPlan) -> Option<std::ops::RangeInclusive<i64>> {
        let first = self.files.first_key_value().map(|(day, _)| *day);
        let last = self.files.last_key_value().map(|(day, _)| *day);
        // A file of rollups has at most a year.
        let (rolled_first, rolled_last) = (
            self.rollups.iter().map(|file| file.end - 366).min(),
            self.rollups.iter().map(|file| file.end).max(),
        );
        let first = first.into_iter().chain(rolled_first).min()?.max(day_of(plan.from));
        let last =
            last.into_iter().chain(rolled_last).max()?.min(day_of(plan.to.minus(Duration::from_micros(1))));
        (first <= last).then_some(first..=last)
    }

    /// The days that there are samples of, counted from 1970, the oldest first.
    pub(crate) fn sample_days(&self) -> impl DoubleEndedIterator<Item = i64> {
        self.files.keys().copied()
    }

    /// Whether there is such a source.
    pub(crate) fn has(&self, source: &SourceId) -> bool {
        self.days.key(source).is_some()
    }

    /// The series of a source that the plan asks for, from a day on.
    pub(crate) fn read(
        &self,
        first: i64,
        source: &SourceId,
        plan: &QueryPlan,
    ) -> Result<Vec<SeriesPieces>, StoreError> {
        let Some(source) = self.days.key(source) else { return Ok(Vec::new()) };
        let mut found = Found::new();
        let Some(range) = self.covered(plan) else { return Ok(Vec::new()) };
        let range = first.max(*range.start())..=*range.end();
        if range.is_empty() {
            return Ok(Vec::new());
        }
        let mut rolled: BTreeSet<i64> = range.clone().collect();
        // Days in which something is not rolled up yet, and all of them where samples are asked for.
        for (day, states) in self.files.range(range) {
            if plan.resolution() == Resolution::Raw || !is_complete(states) {
                rolled.remove(day);
                self.read_day(*day, source, plan, &mut found)?;
            }
        }
        let wanted = Wanted {
            spread: plan.aggregate == Aggregate::StdDev,
            extremes: matches!(plan.aggregate, Aggregate::Min | Aggregate::Max),
            ends: matches!(plan.aggregate, Aggregate::Last | Aggregate::Increase | Aggregate::Rate),
            sketches: plan.aggregate.needs_sketch(),
        };
        for tier in plan.tiers() {
            self.read_tier(tier, (source, &plan.metric), wanted, &mut rolled, &mut found)?;
        }
        for day in rolled.iter().filter(|day| self.files.contains_key(*day)) {
            self.read_day(*day, source, plan, &mut found)?;
        }
        Ok(series_of(found))
    }

    /// Reads the days that a tier has; they are then missing no more.
    fn read_tier(
        &self,
        tier: Tier,
        source: (SourceKey, &str),
        wanted: Wanted,
        missing: &mut BTreeSet<i64>,
        found: &mut Found,
    ) -> Result<(), StoreError> {
        for file in self.rollups.iter().filter(|file| file.tier == tier) {
            let (Some(first), Some(last)) = (missing.first().copied(), missing.last().copied()) else {
                break;
            };
            if file.end < first {
                continue;
            }
            let mut here = Found::new();
            let last = last.min(file.end);
            let read = self.pooled(&file.path).and_then(|pooled| {
                rollup_file::read(
                    &pooled.connection,
                    &file.path,
                    tier,
                    source,
                    first..=last,
                    wanted,
                    &mut here,
                )
            });
            self.days.tolerate(&file.path, read)?;
            let mut taken = BTreeSet::new();
            for (labels, days) in here {
                for (day, pieces) in days.into_iter().filter(|(day, _)| missing.contains(day)) {
                    taken.insert(day);
                    found.entry(labels.clone()).or_default().entry(day).or_default().extend(pieces);
                }
            }
            missing.retain(|day| !taken.contains(day));
        }
        Ok(())
    }

    /// Reads the samples of a source on a day, whatever rollups there are.
    pub(crate) fn samples(
        &self,
        day: i64,
        source: &SourceId,
        plan: &QueryPlan,
        found: &mut Found,
    ) -> Result<(), StoreError> {
        match self.days.key(source) {
            Some(key) => self.read_day(day, key, plan, found),
            None => Ok(()),
        }
    }

    /// Reads the samples of a day from all of its files.
    fn read_day(
        &self,
        day: i64,
        source: SourceKey,
        plan: &QueryPlan,
        found: &mut Found,
    ) -> Result<(), StoreError> {
        let mut states = self.files.get(&day).cloned().unwrap_or_default();
        for attempt in 1..=TRIES {
            let mut samples = ByLabels::new();
            let mut is_gone = false;
            for state in states.iter().copied() {
                let path = day_file(&self.days.folder, day, state);
                let of = (day, state);
                let read = if state == State::Sealed {
                    self.pooled(&path).and_then(|pooled| {
                        self.read_file(&pooled.connection, &path, of, source, plan, &mut samples)
                    })
                } else {
                    self.own(&path)
                        .and_then(|file| self.read_file(&file, &path, of, source, plan, &mut samples))
                };
                if read.is_err() && !path.exists() {
                    is_gone = true;
                    break;
                }
                self.days.tolerate(&path, read)?;
            }
            // It was renamed meanwhile; what it had is in another file now.
            if is_gone && attempt < TRIES {
                states = days_in(&self.days.folder)?.remove(&day).unwrap_or_default();
                continue;
            }
            for (labels, samples) in samples {
                found.entry(labels).or_default().entry(day).or_default().extend(samples.pieces(plan));
            }
            break;
        }
        Ok(())
    }

    fn read_file(
        &self,
        file: &Connection,
        path: &Path,
        (day, state): (i64, State),
        source: SourceKey,
        plan: &QueryPlan,
        samples: &mut ByLabels,
    ) -> Result<(), StoreError> {
        let wrap = |error: rusqlite::Error| StoreError::sqlite(path, &error);
        let mut statement = match file.prepare_cached("SELECT id, labels FROM name WHERE name = ?1") {
            Err(_) if is_unmade(file) => return Ok(()),
            other => other.map_err(wrap)?,
        };
        let names =
            statement.query_map([&plan.metric], |row| Ok((row.get(0)?, row.get(1)?))).map_err(wrap)?;
        let names: HashMap<u32, String> = names.collect::<Result<_, _>>().map_err(wrap)?;
        if names.is_empty() {
            return Ok(());
        }
        let (from, to) = (plan.from.as_micros(), plan.to.as_micros());
        let range = from..to;
        let take = |samples: &mut ByLabels, labels: &str, found: Samples<'_>| {
            // A look-up before an owned key: this runs once a chunk and series.
            match samples.get_mut(labels) {
                Some(known) => known.take(&range, found),
                None => samples.entry(labels.to_owned()).or_default().take(&range, found),
            }
        };
        // The head is read first: what is sealed in between is then read twice, which does no harm, instead of not at
        // all. It goes behind the chunks, because of two samples with the same time the later one counts.
        let mut head = ByLabels::new();
        if state == State::Open
            && let Some(opened) = self.days.lock().days.get(&day)
        {
            let all = (source, 0, 0)..=(source, u32::MAX, u32::MAX);
            for columns in opened.head.series.range(all).map(|(_, columns)| columns) {
                for (id, values) in &columns.values {
                    if let Some(labels) = names.get(id) {
                        take(&mut head, labels, Samples::Numbers(&columns.times, values));
                    }
                }
                for (id, all) in &columns.distributions {
                    if let Some(labels) = names.get(id) {
                        take(&mut head, labels, Samples::Distributions(all.clone()));
                    }
                }
            }
        }
        let mut statement = file
            .prepare_cached(
                "SELECT data FROM chunk WHERE monitor = ?1 AND last >= ?2 AND first < ?3 ORDER BY upto",
            )
            .map_err(wrap)?;
        let mut rows = statement.query(params![source, from, to]).map_err(wrap)?;
        while let Some(row) = rows.next().map_err(wrap)? {
            let blob = row.get_ref(0).and_then(|value| Ok(value.as_blob()?)).map_err(wrap)?;
            let found = |id, found: Samples<'_>| {
                if let Some(labels) = names.get(&id) {
                    take(samples, labels, found);
                }
            };
            chunk::decode_series(blob, |id| names.contains_key(&id), found)
                .map_err(|reason| StoreError::Damaged { path: path.to_owned(), reason })?;
        }
        for (labels, mut later) in head {
            samples.entry(labels).or_default().append(&mut later);
        }
        Ok(())
    }
}

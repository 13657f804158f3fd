//! The days together: which file a check goes to, closing, compaction, retention.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use wise_core::{CheckRecord, MonitorId, SourceId, SourceName, Timestamp};

use super::SqliteOptions;
use super::clock::ClockTrust;
use super::compact::{Job, remove, set_aside};
use super::day::Day;
use super::files::{State, day_file, day_of, days_in, is_complete, rollups_in, size_of, unlink};
use super::names::SeriesLimit;
use super::open::{Access, open};
use super::pool::Pool;
use super::read::Reader;
use super::sources::{Keys, SourceKey};
use crate::error::StoreError;
use crate::ports::SourceSamples;
use crate::query::{Answer, QueryPlan, answer};
use crate::retention::Retention;

/// A day is closed this long after its end, when the last stragglers have come.
const CLOSING: Duration = Duration::from_secs(120);
/// Unsealed results are sealed at the latest after this long.
const MAX_AGE: Duration = Duration::from_secs(3600);
/// A compaction that failed is tried again after this long.
const TRY_AGAIN: Duration = Duration::from_secs(600);
/// A day that cannot be compacted outlives its retention by this.
const EXPIRED: Duration = Duration::from_secs(30 * 86_400);
/// Memory of a check in the head, measured with the eight readings of a website.
const ROW_BYTES: usize = 100;

#[derive(Debug)]
pub(super) struct Days {
    pub(super) folder: PathBuf,
    pub(super) rollups: PathBuf,
    location: String,
    worker: String,
    retention: Retention,
    max_rows: usize,
    limit: SeriesLimit,
    hold_from: Arc<AtomicI64>,
    given_up: AtomicU64,
    keys: Keys,
    open: Mutex<Open>,
    pub(super) pool: Pool,
    compactor: Mutex<Compactor>,
}

#[derive(Debug, Default)]
pub(super) struct Open {
    pub(super) days: BTreeMap<i64, Day>,
    last_sealed: Option<Timestamp>,
    last_retention: Option<Timestamp>,
    trust: ClockTrust,
}

/// The thread that compacts, one day at a time.
#[derive(Debug, Default)]
struct Compactor {
    thread: Option<JoinHandle<Result<bool, StoreError>>>,
    /// The day it is at, or was at last.
    day: Option<i64>,
    stop: Arc<AtomicBool>,
    /// Days that could not be compacted, and when that was.
    failed: BTreeMap<i64, Timestamp>,
}

impl Drop for Days {
    fn drop(&mut self) {
        let compactor = self.compactor.get_mut().unwrap_or_else(PoisonError::into_inner);
        compactor.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = compactor.thread.take() {
            // What it leaves undone is done at the next start.
            thread.join().ok();
        }
    }
}

impl Days {
    pub(super) fn open(
        folder: &Path,
        options: &SqliteOptions,
        keys: Keys,
        now: Timestamp,
    ) -> Result<Self, StoreError> {
        let days = Self {
            folder: folder.join("history"),
            rollups: folder.join("rollup"),
            location: options.location.clone(),
            worker: options.worker.clone(),
            retention: options.retention.clone(),
            max_rows: (options.head_bytes / ROW_BYTES).max(1000),
            limit: SeriesLimit { most: options.max_series, refused: Arc::default() },
            hold_from: options.hold_from.clone(),
            given_up: AtomicU64::new(0),
            keys,
            open: Mutex::default(),
            pool: Pool::default(),
            compactor: Mutex::default(),
        };
        for folder in [&days.folder, &days.rollups] {
            std::fs::create_dir_all(folder).map_err(|error| StoreError::io(folder, &error))?;
        }
        days.lock().trust = ClockTrust::new(options.clock_patience);
        days.recover(now)?;
        Ok(days)
    }

    /// Opens today's file and every older one whose journal was not sealed; sets damaged ones aside.
    fn recover(&self, now: Timestamp) -> Result<(), StoreError> {
        let today = day_of(now);
        let mut open_days = self.lock();
        let days = days_in(&self.folder)?;
        if let Some(newest) = days.last_key_value().map(|(day, _)| *day) {
            open_days.trust.begin(newest, today);
        }
        for entry in std::fs::read_dir(&self.folder).map_err(|error| StoreError::io(&self.folder, &error))? {
            let path = entry.map_err(|error| StoreError::io(&self.folder, &error))?.path();
            if path.extension().is_some_and(|extension| extension == "tmp") {
                remove(&path)?;
            }
        }
        for (day, states) in days {
            let path = day_file(&self.folder, day, State::Open);
            let needs_opening =
                states.contains(&State::Open) && (day >= today || has_journal(&path).unwrap_or(true));
            if !needs_opening {
                continue;
            }
            match Day::open(&path, &self.location, &self.worker, self.limit.clone()) {
                Ok(opened) => {
                    open_days.days.insert(day, opened);
                }
                Err(StoreError::Damaged { reason, .. }) => set_aside(&path, &reason)?,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The file of a day, opened or made.
    fn opened<'d>(&self, open_days: &'d mut Open, day: i64) -> Result<&'d mut Day, StoreError> {
        Ok(match open_days.days.entry(day) {
            std::collections::btree_map::Entry::Occupied(entry) => entry.into_mut(),
            std::collections::btree_map::Entry::Vacant(entry) => {
                let path = day_file(&self.folder, day, State::Open);
                entry.insert(Day::open(&path, &self.location, &self.worker, self.limit.clone())?)
            }
        })
    }

    /// Stores samples that are not those of checks. Their sources have numbers already.
    pub(super) fn append_samples(&self, samples: &[SourceSamples]) -> Result<(), StoreError> {
        let mut open_days = self.lock();
        for part in samples.chunk_by(|one, next| day_of(one.time) == day_of(next.time)) {
            let opened = self.opened(&mut open_days, day_of(part[0].time))?;
            let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
            opened.append_samples(part.iter(), |name| keys.named.get(name).copied())?;
        }
        Ok(())
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
            let opened = self.opened(&mut open_days, day)?;
            let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
            opened.append(part.iter(), |id| keys.monitors.get(&id).copied())?;
            rest = tail;
        }
        Ok(())
    }

    pub(super) fn maintain(&self, now: Timestamp) -> Result<(), StoreError> {
        // Retention makes room: it must not wait for what fails for want of room.
        let outcome = self.seal(now).and_then(|()| self.compact(now));
        // Asked before the days are locked: anyone who holds both locks took that of the compactor first.
        let busy = self.compacting();
        let mut open_days = self.lock();
        open_days.trust.observe(now);
        if open_days.last_retention.is_none_or(|last| is_due(last, now, MAX_AGE)) {
            open_days.last_retention = Some(now);
            if open_days.trust.holds() {
                self.retain(&mut open_days, busy, now)?;
            }
        }
        outcome
    }

    pub(super) fn seal(&self, now: Timestamp) -> Result<(), StoreError> {
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
        let is_old = is_due(*age, now, MAX_AGE);
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
        Ok(())
    }

    /// Starts the compaction of a day that is over, and looks after the one that runs.
    fn compact(&self, now: Timestamp) -> Result<(), StoreError> {
        let mut compactor = self.compactor.lock().unwrap_or_else(PoisonError::into_inner);
        if compactor.thread.as_ref().is_some_and(|thread| !thread.is_finished()) {
            return Ok(());
        }
        if let Some(thread) = compactor.thread.take() {
            let day = compactor.day.unwrap_or_default();
            let trouble = match thread.join() {
                Ok(Ok(_)) => None,
                Ok(Err(error)) => Some(error.to_string()),
                Err(_) => Some("it ended in a panic".to_owned()),
            };
            match trouble {
                None => drop(compactor.failed.remove(&day)),
                Some(trouble) => {
                    compactor.failed.insert(day, now);
                    tracing::error!(
                        "a day of history could not be compacted, and is tried again later: {trouble}"
                    );
                }
            }
        }
        // One day that cannot be compacted does not keep the others from it.
        compactor.failed.retain(|_, failed| !is_due(*failed, now, TRY_AGAIN));
        let Some((day, sources)) = self.next_closed(now, &compactor.failed)? else { return Ok(()) };
        let target = day_file(&self.folder, day, State::Sealed);
        let (rollups, keys, stop) = (self.rollups.clone(), self.keys.clone(), compactor.stop.clone());
        let work = move || {
            let known: std::collections::HashSet<u32> =
                keys.read().unwrap_or_else(PoisonError::into_inner).all().collect();
            let job = Job { day, sources: &sources, target: &target, rollups: &rollups, stop: &stop };
            match job.run(|monitor| known.contains(&monitor)) {
                // Without it the rest is compacted at the next try; a file of rollups is begun again.
                Err(StoreError::Damaged { path, reason }) if path.exists() => {
                    set_aside(&path, &reason).map(|()| false)
                }
                other => other,
            }
        };
        let thread = std::thread::Builder::new().name("compactor".to_owned()).spawn(work);
        compactor.thread = Some(thread.map_err(|error| StoreError::io(&self.folder, &error))?);
        compactor.day = Some(day);
        Ok(())
    }

    /// Compacts every day that is over, and waits for it.
    pub(super) fn compact_all(&self, now: Timestamp) -> Result<(), StoreError> {
        loop {
            self.seal(now)?;
            self.compact(now)?;
            let mut compactor = self.compactor.lock().unwrap_or_else(PoisonError::into_inner);
            let Some(thread) = compactor.thread.take() else { return Ok(()) };
            match thread.join() {
                Ok(outcome) => outcome.map(|_| ())?,
                Err(_) => {
                    let reason = "the compaction of a day ended in a panic".to_owned();
                    return Err(StoreError::Other { path: self.folder.clone(), reason });
                }
            }
        }
    }

    /// The oldest day that is over and not compacted, and what there is of it.
    fn next_closed(
        &self,
        now: Timestamp,
        failed: &BTreeMap<i64, Timestamp>,
    ) -> Result<Option<(i64, Vec<PathBuf>)>, StoreError> {
        let open_days = self.lock();
        let over = day_of(now.minus(CLOSING));
        for (day, states) in days_in(&self.folder)? {
            if day >= over || is_complete(&states) || failed.contains_key(&day) {
                continue;
            }
            let closed = day_file(&self.folder, day, State::Closed);
            if !states.contains(&State::Closed) {
                let path = day_file(&self.folder, day, State::Open);
                // It has been opened again for stragglers, or someone reads it: later.
                if open_days.days.contains_key(&day) || !is_by_itself(&path)? {
                    continue;
                }
                std::fs::rename(&path, &closed).map_err(|error| StoreError::io(&path, &error))?;
            }
            let sealed = states.contains(&State::Sealed).then(|| day_file(&self.folder, day, State::Sealed));
            return Ok(Some((day, sealed.into_iter().chain([closed]).collect())));
        }
        Ok(None)
    }

    /// The day that is being compacted.
    fn compacting(&self) -> Option<i64> {
        let compactor = self.compactor.lock().unwrap_or_else(PoisonError::into_inner);
        compactor.day.filter(|_| compactor.thread.as_ref().is_some_and(|thread| !thread.is_finished()))
    }

    /// Removes what is past its time, and the oldest of what is too much.
    fn retain(&self, open_days: &mut Open, busy: Option<i64>, now: Timestamp) -> Result<(), StoreError> {
        let oldest = day_of(now.minus(self.retention.raw)).min(self.hold_from.load(Ordering::Relaxed));
        // A day that is being compacted would come back from under its new name: it goes the next time.
        let expired = day_of(now.minus(self.retention.raw + EXPIRED));
        for (day, states) in days_in(&self.folder)? {
            if day >= oldest || busy == Some(day) {
                continue;
            }
            // What has no rollups yet gets its time; something must be wrong with what does not get them.
            let is_rolled_up = is_complete(&states);
            if !is_rolled_up && day >= expired {
                continue;
            }
            open_days.days.remove(&day);
            for path in states.into_iter().map(|state| day_file(&self.folder, day, state)) {
                if is_rolled_up {
                    tracing::info!("history of {} is past its retention and removed", path.display());
                } else {
                    tracing::error!("{} was never rolled up, and is removed all the same", path.display());
                }
                self.remove(&path)?;
            }
        }
        for file in rollups_in(&self.rollups)? {
            if file.end < day_of(now.minus(self.retention.of(file.tier))) {
                tracing::info!("rollups of {} are past their retention and removed", file.path.display());
                self.remove(&file.path)?;
            }
        }
        if let Some(most) = self.retention.max_bytes {
            self.cap(open_days, busy, day_of(now), most)?;
        }
        Ok(())
    }

    /// Removes what is past its time, and answers how many days are left.
    #[cfg(test)]
    pub(super) fn retained(&self, now: Timestamp) -> usize {
        let mut open_days = self.lock();
        self.retain(&mut open_days, None, now).unwrap();
        days_in(&self.folder).unwrap().len()
    }

    fn remove(&self, path: &Path) -> Result<(), StoreError> {
        self.pool.forget(path);
        unlink(path)
    }

    /// Removes the oldest files until the rest is small enough: samples first, then rollups, the finest first. What is
    /// written to stays.
    fn cap(&self, open_days: &Open, busy: Option<i64>, today: i64, most: u64) -> Result<(), StoreError> {
        let days = days_in(&self.folder)?;
        let samples = days.iter().flat_map(|(day, states)| {
            let is_over = *day < today && busy != Some(*day) && is_complete(states);
            let is_held = *day >= self.hold_from.load(Ordering::Relaxed);
            states.iter().map(move |state| (is_over, is_held, day_file(&self.folder, *day, *state)))
        });
        let rollups = rollups_in(&self.rollups)?.into_iter().map(|file| (file.end < today, false, file.path));
        let files: Vec<(bool, bool, PathBuf)> = samples.chain(rollups).collect();
        let mut size: u64 = files.iter().map(|(.., path)| size_of(path)).sum();
        let written: Vec<PathBuf> =
            open_days.days.keys().map(|day| day_file(&self.folder, *day, State::Open)).collect();
        for (is_over, is_held, path) in files {
            if size <= most {
                return Ok(());
            }
            if is_over && !written.contains(&path) {
                tracing::warn!(
                    "history takes {size} bytes, and storage.max_bytes allows {most}: {} is removed before its time",
                    path.display()
                );
                if is_held {
                    self.given_up.fetch_add(1, Ordering::Relaxed);
                    tracing::error!("{} had not been sent, and is lost", path.display());
                }
                size -= size_of(&path).min(size);
                self.remove(&path)?;
            }
        }
        if size > most {
            tracing::warn!(
                "history takes {size} bytes, and storage.max_bytes allows {most}; all of it is needed"
            );
        }
        Ok(())
    }

    /// Readings that were refused because their monitor has too many series.
    pub(super) fn refused(&self) -> u64 {
        self.limit.refused.load(Ordering::Relaxed)
    }

    /// Days that were removed although they were to be held.
    pub(super) fn given_up(&self) -> u64 {
        self.given_up.load(Ordering::Relaxed)
    }

    /// The number of a source, if it has one.
    pub(super) fn key(&self, source: &SourceId) -> Option<SourceKey> {
        self.keys.read().unwrap_or_else(PoisonError::into_inner).of(source)
    }

    /// The sources that are no monitors, in order.
    pub(super) fn named_sources(&self) -> Vec<SourceName> {
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<SourceName> = keys.named.keys().cloned().collect();
        all.sort();
        all
    }

    /// The monitors by their numbers.
    pub(super) fn monitors(&self) -> std::collections::HashMap<u32, MonitorId> {
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        keys.monitors.iter().map(|(id, key)| (*key, *id)).collect()
    }

    pub(super) fn answer(&self, plan: &QueryPlan) -> Result<Answer, StoreError> {
        let reader = self.reader()?;
        answer(plan, |source| reader.read(i64::MIN, source, plan))
    }

    pub(super) fn reader(&self) -> Result<Reader<'_>, StoreError> {
        Reader::new(self)
    }

    /// A damaged file, or one that has just been removed, does not keep the others from being read.
    pub(super) fn tolerate(&self, path: &Path, read: Result<(), StoreError>) -> Result<(), StoreError> {
        match read {
            Err(StoreError::Damaged { path, reason }) => {
                tracing::error!("{} is damaged and left out: {reason}", path.display());
                Ok(())
            }
            Err(_) if !path.exists() => Ok(()),
            other => other,
        }
    }
}

fn has_journal(path: &Path) -> Result<bool, StoreError> {
    let wrap = |error: rusqlite::Error| StoreError::sqlite(path, &error);
    let file = open(path, Access::Read)?;
    file.query_row("SELECT EXISTS (SELECT 1 FROM journal)", [], |row| row.get(0)).map_err(wrap)
}

/// Whether a file has no write-ahead log beside it, after trying to give that back: only then it may be renamed.
fn is_by_itself(path: &Path) -> Result<bool, StoreError> {
    let log = PathBuf::from(format!("{}-wal", path.display()));
    if log.exists() {
        let file = open(path, Access::ReadWrite)?;
        if let Err(error) = file.pragma_update(None, "journal_mode", "DELETE") {
            tracing::debug!("{} is in use: {error}", path.display());
        }
    }
    Ok(!log.exists())
}

/// Whether so much time has passed; a clock that was set back counts as if it had.
fn is_due(last: Timestamp, now: Timestamp, every: Duration) -> bool {
    now < last || now.since(last) >= every
}

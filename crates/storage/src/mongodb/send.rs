//! Sending checks: a document for each probe and hour, made again from the spool whenever it has more of them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use mongodb::bson::{RawDocumentBuf, doc};
use rustc_hash::FxHashSet;
use wise_core::{CheckRecord, SourceId, SourceName, Timestamp};

use super::documents::{self, Span};
use super::link::{Link, Names};
use super::remote::Put;
use super::schema::{CHUNKS, RESULTS, SPOOLS};
use crate::error::StoreError;
use crate::ports::{DefinitionStore, HistoryStore, SourceSamples};
use crate::rollup::{MICROS_A_DAY, MICROS_AN_HOUR, Tier};

/// Up to which hour everything was sent.
const MARK: &str = "mongodb_mark";
/// Hours of a source that are read and sent together.
const SLICE: usize = 100;

/// What is not sent yet.
#[derive(Debug, Default)]
pub(super) struct Unsent {
    /// Hours of sources, by their beginning in microseconds.
    hours: FxHashSet<(SourceId, i64)>,
    /// How many are being sent.
    under_way: usize,
    /// Everything before this hour was sent, as far as the spool's own notes say.
    mark: i64,
    pub metas: BTreeMap<String, String>,
    pub cursors: Names,
    /// Sources that are no monitors, and that MongoDB does not know.
    pub sources: BTreeSet<SourceName>,
}

impl Link {
    /// Finds out what an earlier run has left unsent.
    pub(super) fn recall(&self, now: Timestamp) -> Result<(), StoreError> {
        let days = self.recent.days()?;
        let oldest = days.first().map_or(Tier::Hour.start_of(now.as_micros()), |day| day * MICROS_A_DAY);
        let mark = self.recent.meta(MARK)?.and_then(|text| text.parse().ok()).unwrap_or(oldest).max(oldest);
        let monitors = self.recent.monitors()?.into_iter().map(|monitor| SourceId::Monitor(monitor.id));
        let named = self.recent.sources()?.into_iter().map(SourceId::Named);
        let sources: Vec<SourceId> = monitors.chain(named).collect();
        // The clock may have been set back since.
        let newest =
            self.recent.last_checks()?.values().flat_map(|probes| probes.values().max()).max().copied();
        let last = newest.unwrap_or(now).max(now).as_micros();
        let mut unsent = self.unsent();
        for day in days {
            let hours = (0..24).map(|hour| day * MICROS_A_DAY + hour * MICROS_AN_HOUR);
            for hour in hours.filter(|hour| (mark..=last).contains(hour)) {
                // One without checks costs a look into the spool and nothing else.
                unsent.hours.extend(sources.iter().map(|source| (source.clone(), hour)));
            }
        }
        unsent.mark = mark;
        drop(unsent);
        self.hold();
        Ok(())
    }

    /// Notes what is about to be stored.
    pub(super) fn note_checks(&self, records: &[CheckRecord]) -> Result<(), StoreError> {
        self.note_hours(records.iter().map(|record| (SourceId::Monitor(record.monitor), record.time)))
    }

    /// The same of samples.
    pub(super) fn note_samples(&self, samples: &[SourceSamples]) -> Result<(), StoreError> {
        self.note_hours(samples.iter().map(|one| (SourceId::Named(one.source.clone()), one.time)))
    }

    fn note_hours(&self, all: impl Iterator<Item = (SourceId, Timestamp)>) -> Result<(), StoreError> {
        let mut unsent = self.unsent();
        let mut earliest = i64::MAX;
        for (source, time) in all {
            let hour = Tier::Hour.start_of(time.as_micros());
            earliest = earliest.min(hour);
            unsent.hours.insert((source, hour));
        }
        // A straggler must not be forgotten by a restart.
        if earliest < unsent.mark {
            self.recent.set_meta(MARK, &earliest.to_string())?;
            unsent.mark = earliest;
        }
        self.state.set_unsent(unsent.hours.len() + unsent.under_way);
        drop(unsent);
        if earliest.div_euclid(MICROS_A_DAY) < self.hold_from.load(Ordering::Relaxed) {
            self.hold();
        }
        Ok(())
    }

    /// Lets the spool keep the days that are not sent.
    fn hold(&self) {
        let unsent = self.unsent();
        let oldest = unsent.hours.iter().map(|(_, hour)| hour.div_euclid(MICROS_A_DAY)).min();
        self.hold_from.store(oldest.unwrap_or(i64::MAX), Ordering::Relaxed);
        self.state.set_unsent(unsent.hours.len() + unsent.under_way);
    }

    /// Sends every hour that has something new.
    pub(super) fn send_checks(&self) -> Result<(), StoreError> {
        // One after the other: anyone who comes second must not find that all is done while it is being done.
        let _one = self.sending.lock().unwrap_or_else(PoisonError::into_inner);
        let mut waiting: Vec<(SourceId, i64)> = {
            let mut unsent = self.unsent();
            unsent.under_way = unsent.hours.len();
            std::mem::take(&mut unsent.hours).into_iter().collect()
        };
        if waiting.is_empty() {
            return Ok(());
        }
        // The oldest first: should the spool have to give something up, it is what is left.
        waiting.sort_unstable_by(|(one, hour), (other, later)| (hour, one).cmp(&(later, other)));
        let newest = waiting.last().map_or(0, |(_, hour)| *hour);
        let all = waiting.len();
        // Anyone who takes over has to know that there is something of ours on this day.
        let mut outcome = self.announce(newest).and_then(|()| self.send_sources());
        let mut done = 0;
        let (mut kept_aside, mut trouble) = (Vec::new(), Ok(()));
        for slice in waiting.chunks(SLICE) {
            // Changes of status do not wait behind a long outage's checks.
            outcome = outcome.and_then(|()| self.confirm()).and_then(|()| self.send_news());
            match outcome.and_then(|()| self.send_slice(slice)) {
                Ok(()) => outcome = Ok(()),
                Err(error @ (StoreError::Away { .. } | StoreError::Superseded { .. })) => {
                    outcome = Err(error);
                    break;
                }
                // What cannot be read or sent now does not keep the others from it.
                Err(error) => {
                    kept_aside.extend_from_slice(slice);
                    trouble = Err(error);
                    outcome = Ok(());
                }
            }
            done += slice.len();
            if self.must_stop() {
                break;
            }
            self.unsent().under_way = all - done;
            if all > 50 * SLICE && done % (50 * SLICE) == 0 {
                tracing::info!("sending to MongoDB: {done} of {all} hours of monitors and other sources");
            }
        }
        {
            let mut unsent = self.unsent();
            unsent.hours.extend(waiting.drain(done..));
            unsent.hours.extend(kept_aside);
            unsent.under_way = 0;
            let mark = unsent.hours.iter().map(|(_, hour)| *hour).min().unwrap_or(newest);
            if outcome.is_ok() && mark != unsent.mark {
                unsent.mark = mark;
                self.recent.set_meta(MARK, &mark.to_string())?;
            }
        }
        self.hold();
        outcome.and(trouble)
    }

    /// Says up to which day there are checks of this spool.
    fn announce(&self, newest: i64) -> Result<(), StoreError> {
        // A clock that was ahead must not make it a day that has not come.
        let newest = newest.min(self.now.load(Ordering::Relaxed));
        let update =
            doc! { "$set": { "name": self.name() }, "$max": { "last_day": newest.div_euclid(MICROS_A_DAY) } };
        let update = doc! { "q": { "_id": &self.spool }, "u": update, "upsert": true };
        match self.remote.update(SPOOLS, vec![update])?.first() {
            None => Ok(()),
            Some(refused) => Err(StoreError::Server { reason: format!("{SPOOLS}: {}", refused.message) }),
        }
    }

    /// Puts documents of history. What the server does not take is counted, and holds up nothing.
    pub(super) fn put_all(
        &self,
        collection: &str,
        documents: Vec<RawDocumentBuf>,
        put: Put,
    ) -> Result<usize, StoreError> {
        let refused = self.remote.put_all(collection, documents, put, || self.confirm())?;
        self.state.add_refused(refused);
        Ok(refused)
    }

    fn send_slice(&self, slice: &[(SourceId, i64)]) -> Result<(), StoreError> {
        let (mut chunks, mut results) = (Vec::new(), Vec::new());
        let mut exporter = self.recent.exporter()?;
        for (source, hour) in slice {
            for probe in exporter.probes(source, *hour..*hour + MICROS_AN_HOUR)? {
                chunks.extend(documents::chunks(&probe, Span::Hour(*hour), &self.spool)?);
                // What is no monitor has samples, and no checks that could have failed.
                if source.monitor().is_some() {
                    results.push(documents::results(&probe, *hour, &self.spool));
                }
            }
        }
        // Its files could not be put in order while the server works.
        drop(exporter);
        self.put_all(CHUNKS, chunks, Put::Always)?;
        // Of a day that the spool has removed it knows a straggler only, and not how the hour was.
        self.put_all(RESULTS, results, Put::IfMore).map(drop)
    }
}

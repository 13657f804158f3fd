//! Sending checks: a document for each probe and hour, made anew from the spool whenever it has more of them.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use mongodb::bson::{Document, doc};
use rustc_hash::FxHashSet;
use wise_core::{CheckRecord, MonitorId, Timestamp};

use super::documents::{self, MICROS_AN_HOUR, Span};
use super::link::{Link, Names};
use super::schema::{CHUNKS, RESULTS, SPOOLS};
use crate::error::StoreError;
use crate::ports::DefinitionStore;
use crate::rollup::MICROS_A_DAY;

/// Up to which hour everything was sent.
const MARK: &str = "mongodb_mark";
/// Hours of a monitor that are read and sent together.
const SLICE: usize = 100;

/// What is not sent yet.
#[derive(Debug, Default)]
pub(super) struct Unsent {
    /// Hours of monitors, by their beginning in microseconds.
    hours: FxHashSet<(MonitorId, i64)>,
    /// Everything before this hour was sent, as far as the spool's own notes say.
    mark: i64,
    pub metas: BTreeMap<String, String>,
    pub cursors: Names,
}

fn hour_of(micros: i64) -> i64 {
    micros.div_euclid(MICROS_AN_HOUR) * MICROS_AN_HOUR
}

impl Link {
    /// Finds out what an earlier run has left unsent.
    pub(super) fn recall(&self, now: Timestamp) -> Result<(), StoreError> {
        let days = self.near.days()?;
        let oldest = days.first().map_or(hour_of(now.as_micros()), |day| day * MICROS_A_DAY);
        let mark = self.near.meta(MARK)?.and_then(|text| text.parse().ok()).unwrap_or(oldest).max(oldest);
        let monitors = self.near.monitors()?;
        let mut unsent = self.unsent();
        for day in days {
            let hours = (0..24).map(|hour| day * MICROS_A_DAY + hour * MICROS_AN_HOUR);
            for hour in hours.filter(|hour| *hour >= mark) {
                // One without checks costs a look into the spool and nothing else.
                unsent.hours.extend(monitors.iter().map(|monitor| (monitor.id, hour)));
            }
        }
        unsent.mark = mark;
        drop(unsent);
        self.hold();
        Ok(())
    }

    /// Notes what is about to be stored.
    pub(super) fn note_checks(&self, records: &[CheckRecord]) -> Result<(), StoreError> {
        let mut unsent = self.unsent();
        let mut earliest = i64::MAX;
        for record in records {
            let hour = hour_of(record.time.as_micros());
            earliest = earliest.min(hour);
            unsent.hours.insert((record.monitor, hour));
        }
        // A straggler must not be forgotten by a restart.
        if earliest < unsent.mark {
            unsent.mark = earliest;
            self.near.set_meta(MARK, &earliest.to_string())?;
        }
        self.state.set_unsent(unsent.hours.len());
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
        self.state.set_unsent(unsent.hours.len());
    }

    /// Sends every hour that has something new.
    pub(super) fn send_checks(&self) -> Result<(), StoreError> {
        let mut waiting: Vec<(MonitorId, i64)> = {
            let mut unsent = self.unsent();
            std::mem::take(&mut unsent.hours).into_iter().collect()
        };
        if waiting.is_empty() {
            return Ok(());
        }
        // The oldest first: should the spool have to give something up, it is what is left.
        waiting.sort_unstable_by_key(|(monitor, hour)| (*hour, *monitor));
        let newest = waiting.last().map_or(0, |(_, hour)| *hour);
        let all = waiting.len();
        let mut outcome = Ok(());
        let mut done = 0;
        for slice in waiting.chunks(SLICE) {
            outcome = self.send_slice(slice);
            if outcome.is_err() {
                break;
            }
            done += slice.len();
            if all > 50 * SLICE && done % (50 * SLICE) == 0 {
                tracing::info!("sending to MongoDB: {done} of {all} hours of monitors");
            }
        }
        {
            let mut unsent = self.unsent();
            unsent.hours.extend(waiting.drain(done..));
            let mark = unsent.hours.iter().map(|(_, hour)| *hour).min().unwrap_or(newest);
            if outcome.is_ok() && mark != unsent.mark {
                unsent.mark = mark;
                self.near.set_meta(MARK, &mark.to_string())?;
            }
        }
        self.hold();
        outcome?;
        let day = newest.div_euclid(MICROS_A_DAY);
        let update = doc! { "$set": { "name": self.name() }, "$max": { "last_day": day } };
        self.remote
            .update(SPOOLS, vec![doc! { "q": { "_id": &self.spool }, "u": update, "upsert": true }])?;
        Ok(())
    }

    fn send_slice(&self, slice: &[(MonitorId, i64)]) -> Result<(), StoreError> {
        let (mut chunks, mut results): (Vec<Document>, Vec<Document>) = (Vec::new(), Vec::new());
        for (monitor, hour) in slice {
            for probe in self.near.probes(*monitor, *hour..*hour + MICROS_AN_HOUR)? {
                chunks.extend(documents::chunks(&probe, Span::Hour(*hour), &self.spool)?);
                results.push(documents::results(&probe, *hour, &self.spool));
            }
        }
        self.remote.put_all(CHUNKS, chunks, || self.confirm())?;
        self.remote.put_all(RESULTS, results, || self.confirm())
    }
}

//! Reading from both: the spool has the last days of this process, MongoDB has everything.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::Ordering;

use mongodb::bson::{Document, doc};
use wise_core::{MonitorId, Status, Timestamp};

use super::documents::{self, date, micros};
use super::link::Link;
use super::schema::{CHUNKS, rollups};
use crate::columns::{DOWN, Gathering};
use crate::error::StoreError;
use crate::ports::HistoryStore;
use crate::query::{Piece, QueryPlan, Resolution, ResultQuery, SeriesPieces, StoredResult, in_order};
use crate::rollup::{MICROS_A_DAY, Tier};

/// What there is of a metric: by labels, and by day.
type Found = BTreeMap<String, BTreeMap<i64, Vec<Piece>>>;

fn day_of(time: Timestamp) -> i64 {
    time.as_micros().div_euclid(MICROS_A_DAY)
}

/// The days of a range, bounded so that there is a day to each.
fn days(from: i64, before: i64) -> Document {
    let bound = |day: i64| date(day.clamp(-3_000_000, 3_000_000).saturating_mul(MICROS_A_DAY));
    doc! { "$gte": bound(from), "$lt": bound(before) }
}

impl Link {
    /// The first day from which on the spool has all there is.
    fn own_from(&self) -> Result<i64, StoreError> {
        let others = self.others_until.load(Ordering::Relaxed);
        let Some(first) = self.unbroken()? else { return Ok(i64::MAX) };
        if others == i64::MIN && first <= self.began {
            // There never was anything else.
            return Ok(i64::MIN);
        }
        Ok(first.max(others.saturating_add(1)))
    }

    /// The first of the spool's days up to the newest that has none missing after it. A straggler of long ago has a day of
    /// its own, which says nothing about those in between.
    pub(super) fn unbroken(&self) -> Result<Option<i64>, StoreError> {
        let days = self.near.days()?;
        let Some(newest) = days.last() else { return Ok(None) };
        let unbroken = days.iter().rev().zip(0..).take_while(|(day, back)| **day == newest - back);
        Ok(unbroken.map(|(day, _)| *day).last())
    }

    /// The series of a monitor that a plan asks for.
    pub(super) fn read(&self, monitor: MonitorId, plan: &QueryPlan) -> Result<Vec<SeriesPieces>, StoreError> {
        let own_from = self.own_from()?;
        let mut found = Found::new();
        let from = day_of(plan.from);
        if from < own_from && self.near.has_monitor(monitor) {
            self.read_remote(monitor, plan, own_from, &mut found)?;
        }
        let mut series: Vec<SeriesPieces> = found
            .into_iter()
            .map(|(labels, days)| SeriesPieces {
                labels: serde_json::from_str(&labels).unwrap_or_default(),
                pieces: days.into_values().map(in_order).collect(),
            })
            .collect();
        for near in self.near.read_from(own_from, monitor, plan)? {
            match series.iter_mut().find(|one| one.labels == near.labels) {
                Some(known) => known.pieces.extend(near.pieces),
                None => series.push(near),
            }
        }
        Ok(series)
    }

    fn read_remote(
        &self,
        monitor: MonitorId,
        plan: &QueryPlan,
        own_from: i64,
        found: &mut Found,
    ) -> Result<(), StoreError> {
        let last = day_of(plan.to.minus(std::time::Duration::from_micros(1)));
        let (from, before) = (day_of(plan.from), own_from.min(last.saturating_add(1)));
        let mut done: BTreeSet<i64> = BTreeSet::new();
        if plan.resolution() == Resolution::Raw {
            self.read_samples(monitor, plan, (from, before), &mut done, found)?;
        } else {
            // Days that are not over, or not rolled up yet, have hours.
            let of_hours = doc! { "monitor": monitor.to_string(), "span": "hour", "day": days(from, before) };
            let mut open = BTreeSet::new();
            self.remote.each(CHUNKS, of_hours, (doc! {}, Some(doc! { "day": 1 })), |document| {
                open.extend(document.get_datetime("day").map(|day| micros(*day).div_euclid(MICROS_A_DAY)));
                Ok(())
            })?;
            for day in open {
                self.read_samples(monitor, plan, (day, day + 1), &mut done, found)?;
            }
        }
        for tier in plan.tiers() {
            self.read_tier(tier, monitor, plan, (from, before), &mut done, found)?;
        }
        if plan.resolution() != Resolution::Raw {
            self.read_samples(monitor, plan, (from, before), &mut done, found)?;
        }
        Ok(())
    }

    /// Reads the samples of days that were not read yet, those that only the spool has among them.
    fn read_samples(
        &self,
        monitor: MonitorId,
        plan: &QueryPlan,
        (from, before): (i64, i64),
        done: &mut BTreeSet<i64>,
        found: &mut Found,
    ) -> Result<(), StoreError> {
        let (start, end) = (plan.from.as_micros(), plan.to.as_micros());
        let filter = doc! {
            "monitor": monitor.to_string(),
            "series.metric": &plan.metric,
            "day": days(from, before),
            "first": { "$lt": date(end.saturating_add(999)) },
            "last": { "$gte": date(start) },
        };
        let mut here: BTreeMap<(String, i64), Vec<(i64, f64)>> = BTreeMap::new();
        let known = done.clone();
        self.remote.each(CHUNKS, filter, (doc! { "day": 1 }, None), |document| {
            let chunk = documents::read_chunk(document)?;
            if known.contains(&chunk.day) {
                return Ok(());
            }
            done.insert(chunk.day);
            let take = |labels: &str, times: &[i64], values: &[f64]| {
                let fitting = times
                    .iter()
                    .zip(values)
                    .filter(|(time, value)| (start..end).contains(*time) && !value.is_nan());
                here.entry((labels.to_owned(), chunk.day))
                    .or_default()
                    .extend(fitting.map(|(time, value)| (*time, *value)));
            };
            // One that is damaged does not keep the others from being read.
            if let Err(error) = chunk.samples(&plan.metric, take) {
                tracing::error!("{error}; it is left out");
            }
            Ok(())
        })?;
        for ((labels, day), samples) in here {
            found.entry(labels).or_default().entry(day).or_default().push(Piece::Raw(samples));
        }
        // What we have not sent yet.
        for day in
            self.near.days()?.into_iter().filter(|day| (from..before).contains(day) && !known.contains(day))
        {
            self.near.samples(day, monitor, plan, found)?;
            done.insert(day);
        }
        Ok(())
    }

    fn read_tier(
        &self,
        tier: Tier,
        monitor: MonitorId,
        plan: &QueryPlan,
        (from, before): (i64, i64),
        done: &mut BTreeSet<i64>,
        found: &mut Found,
    ) -> Result<(), StoreError> {
        if (from..before).all(|day| done.contains(&day)) {
            return Ok(());
        }
        let filter =
            doc! { "monitor": monitor.to_string(), "metric": &plan.metric, "day": days(from, before) };
        let known = done.clone();
        self.remote.each(rollups(tier), filter, (doc! { "day": 1 }, None), |document| {
            let (day, series) = documents::read_rollups(document)?;
            if known.contains(&day) {
                return Ok(());
            }
            done.insert(day);
            for (labels, (buckets, sketches)) in series {
                let days = found.entry(labels).or_default();
                days.entry(day).or_default().push(Piece::Rolled(tier, buckets, sketches));
            }
            Ok(())
        })
    }

    /// Checks, newest first.
    pub(super) fn results(&self, query: &ResultQuery) -> Result<Vec<StoredResult>, StoreError> {
        let mut found = self.near.results(query)?;
        let own_from = self.own_from()?;
        let is_enough = |found: &Vec<StoredResult>| {
            found.len() >= query.limit && found.last().is_some_and(|last| day_of(last.time) >= own_from)
        };
        if is_enough(&found) || day_of(query.from) >= own_from || !self.near.has_monitor(query.monitor) {
            return Ok(found);
        }
        let last = day_of(query.to).saturating_add(1);
        let filter = doc! {
            "monitor": query.monitor.to_string(),
            "day": days(day_of(query.from), own_from.min(last)),
            "first": { "$lt": date(query.to.as_micros().saturating_add(999)) },
            "last": { "$gte": date(query.from.as_micros()) },
        };
        let range = query.from.as_micros()..query.to.as_micros();
        let mut gathering = Gathering::default();
        let (mut day, mut gathered) = (i64::MAX, 0);
        let newest_first = doc! { "day": -1, "last": -1 };
        let collection = self.remote.collection(CHUNKS)?;
        let mut cursor = self.remote.run(async { collection.find(filter).sort(newest_first).await })?;
        while self.remote.run(cursor.advance())? {
            let document = self.remote.run(async { cursor.deserialize_current() })?;
            let chunk = documents::read_chunk(document)?;
            // A whole day at a time: within one, probes are in any order.
            if chunk.day != day && gathered >= query.limit {
                break;
            }
            day = chunk.day;
            match chunk.gather_results(range.clone(), query.failed, &mut gathering) {
                Ok(count) => gathered += count,
                Err(error) => tracing::error!("{error}; it is left out"),
            }
        }
        for probe in gathering.probes() {
            let columns = &probe.columns;
            for index in 0..columns.len() {
                let evidence = match columns.failures[index] {
                    0 if query.failed => continue,
                    0 => None,
                    number => probe.evidence_of(number),
                };
                let status = columns.statuses[index];
                found.push(StoredResult {
                    time: Timestamp::from_micros(columns.times[index]),
                    probe: probe.probe.clone(),
                    status: Status::from_code(status & !DOWN).unwrap_or(Status::Unknown),
                    down: status & DOWN != 0,
                    duration_micros: u64::from(columns.durations[index]),
                    failure: evidence.map(|one| (one.class.clone(), one.code.clone(), one.message.clone())),
                    evidence: evidence
                        .and_then(|one| one.body.as_ref())
                        .and_then(|body| serde_json::from_str(body).ok()),
                    location: probe.location.clone(),
                    worker: probe.worker.clone(),
                });
            }
        }
        found.sort_by(|a, b| (b.time, &b.probe, &b.worker).cmp(&(a.time, &a.probe, &a.worker)));
        found.dedup_by(|a, b| (a.time, &a.probe, &a.worker) == (b.time, &b.probe, &b.worker));
        found.truncate(query.limit);
        Ok(found)
    }

    /// When each probe of each monitor last ran.
    pub(super) fn last_checks(&self) -> Result<HashMap<MonitorId, HashMap<String, Timestamp>>, StoreError> {
        let mut found = self.near.last_checks()?;
        let others_until = self.others_until.load(Ordering::Relaxed);
        // Intervals end at a day, so that nothing older matters; and a start must not wait for a server that is away.
        if others_until == i64::MIN || !self.state.is_connected() {
            return Ok(found);
        }
        let recent =
            doc! { "day": days(others_until - 1, others_until + 1), "spool": { "$ne": &self.spool } };
        let group = doc! {
            "_id": { "monitor": "$monitor", "probe": "$probe" },
            "last": { "$max": "$last" },
        };
        let stages = vec![doc! { "$match": recent }, doc! { "$group": group }];
        let theirs = self.remote.aggregate(CHUNKS, stages).unwrap_or_else(|error| {
            // A check is then made a little early: that is no reason not to start.
            tracing::warn!("when others have checked last is not known: {error}");
            Vec::new()
        });
        for one in theirs {
            let Ok(id) = one.get_document("_id") else { continue };
            let monitor = id.get_str("monitor").ok().and_then(|id| id.parse::<MonitorId>().ok());
            let (Some(monitor), Ok(probe), Ok(last)) =
                (monitor, id.get_str("probe"), one.get_datetime("last"))
            else {
                continue;
            };
            let last = Timestamp::from_micros(micros(*last));
            let known = found.entry(monitor).or_default().entry(probe.to_owned()).or_insert(last);
            *known = (*known).max(last);
        }
        Ok(found)
    }
}

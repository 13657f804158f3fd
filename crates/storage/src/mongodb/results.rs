//! Single checks, from the spool and from MongoDB.

use std::collections::HashMap;
use std::sync::atomic::Ordering;

use mongodb::bson::doc;
use wise_core::{MonitorId, Status, Timestamp};

use super::documents::{self, date, micros};
use super::link::Link;
use super::read::{day_of, days};
use super::schema::CHUNKS;
use crate::columns::{DOWN, Gathering};
use crate::error::StoreError;
use crate::ports::HistoryStore;
use crate::query::{ResultQuery, StoredResult};

impl Link {
    /// Checks, newest first.
    pub(super) fn results(&self, query: &ResultQuery) -> Result<Vec<StoredResult>, StoreError> {
        let mut found = self.recent.results(query)?;
        let own_from = self.own_from(&self.recent.days()?);
        let is_enough = |found: &Vec<StoredResult>| {
            found.len() >= query.limit && found.last().is_some_and(|last| day_of(last.time) >= own_from)
        };
        if is_enough(&found) || day_of(query.from) >= own_from || !self.recent.has(&query.monitor.into()) {
            return Ok(found);
        }
        let last = day_of(query.to).saturating_add(1);
        let filter = doc! {
            "monitor": query.monitor.to_string(),
            "day": days(day_of(query.from)..own_from.min(last)),
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
            if query.probe.as_ref().is_some_and(|probe| *probe != chunk.probe()) {
                continue;
            }
            match chunk.gather_results(range.clone(), query.failed, &mut gathering) {
                // How many have the class is not known before they are looked at.
                Ok(count) if query.class.is_none() => gathered += count,
                Ok(_) => {}
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
                if query.class.as_ref().is_some_and(|class| evidence.is_none_or(|one| one.class != *class)) {
                    continue;
                }
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
        let mut found = self.recent.last_checks()?;
        let others_until = self.others_until.load(Ordering::Relaxed);
        // Intervals end at a day, so that nothing older matters; and a start must not wait for a server that is away.
        if others_until == i64::MIN || !self.state.is_connected() {
            return Ok(found);
        }
        let recent =
            doc! { "day": days(others_until - 1..others_until + 1), "spool": { "$ne": &self.spool } };
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

//! The store in MongoDB as source and target of a migration.

use std::collections::{BTreeMap, BTreeSet};

use mongodb::bson::{Bson, RawDocumentBuf, doc};
use wise_core::{Event, MonitorDefinition, SourceId, SourceName, Timestamp};

use super::compact::documents_of_day;
use super::documents::{self, Span, date, micros};
use super::lease::Operation;
use super::remote::Put;
use super::schema::{CHUNKS, RESULTS, SPOOLS, rollups};
use super::{MongoStore, link};
use crate::columns::{Gathering, ProbeColumns, SeriesName};
use crate::error::StoreError;
use crate::migrate::{Movable, RolledDays, RolledProbe, Sources};
use crate::rollup::{DayRollup, MICROS_A_DAY, MICROS_AN_HOUR, Tier};

/// The spool that checks of another store are said to come from.
const SPOOL: &str = "migrated";

/// What is damaged is left out, as it is when it is asked for.
fn tolerated<T: Default>(read: Result<T, StoreError>) -> Result<T, StoreError> {
    match read {
        Err(error @ StoreError::Damaged { .. }) => {
            tracing::error!("{error}; it is left out");
            Ok(T::default())
        }
        other => other,
    }
}

impl MongoStore {
    /// Puts documents, all of them.
    fn put(&self, collection: &str, documents: Vec<RawDocumentBuf>) -> Result<(), StoreError> {
        match self.link.put_all(collection, documents, Put::Always)? {
            0 => Ok(()),
            count => {
                let reason = format!("{count} documents of {collection}; the log has them");
                Err(StoreError::Refused { reason })
            }
        }
    }

    /// Commits operations, in as many commits as they need.
    fn commit_all(&self, made: Vec<(u64, Operation)>, numbered: bool) -> Result<(), StoreError> {
        let (mut waiting, mut bytes, mut last) = (Vec::new(), 0, 0);
        for (number, operation) in made {
            let size = operation.size();
            if !waiting.is_empty() && bytes + size > link::COMMIT_BYTES {
                let part = std::mem::take(&mut waiting);
                self.link.commit(&mut self.link.lease(), numbered.then_some(last), |_| Ok(part))?;
                bytes = 0;
            }
            bytes += size;
            last = number;
            waiting.push(operation);
        }
        if waiting.is_empty() {
            return Ok(());
        }
        self.link.commit(&mut self.link.lease(), numbered.then_some(last), |_| Ok(waiting))
    }
}

impl Movable for MongoStore {
    fn small_things(&self) -> Result<Vec<(String, String)>, StoreError> {
        let all = self.link.recent.all_meta()?;
        Ok(all.into_iter().filter(|(key, _)| link::is_shared(key)).collect())
    }

    fn cursors(&self) -> Result<Vec<(String, u64)>, StoreError> {
        let all = self.link.recent.cursors()?;
        Ok(all.into_iter().filter(|(consumer, _)| consumer != link::SENDER).collect())
    }

    fn sample_days(&self) -> Result<Vec<i64>, StoreError> {
        // What is in the spool is sent first: then all is in one place.
        self.link.send_all(Timestamp::default())?;
        // Answered from the index.
        let answer = self.link.remote.command(doc! { "distinct": CHUNKS, "key": "day" })?;
        let days = answer.get_array("values").map(Vec::as_slice).unwrap_or_default();
        let day = |one: &Bson| Some(micros(one.as_datetime().copied()?).div_euclid(MICROS_A_DAY));
        let days: BTreeSet<i64> = days.iter().filter_map(day).collect();
        Ok(days.into_iter().collect())
    }

    fn day_of(&self, source: &SourceId, day: i64) -> Result<Vec<ProbeColumns>, StoreError> {
        let of_the_day = doc! { "monitor": source.to_string(), "day": date(day * MICROS_A_DAY) };
        let mut gathering = Gathering::default();
        self.link.remote.each(CHUNKS, of_the_day, (doc! { "span": 1, "_id": 1 }, None), |document| {
            let range = day * MICROS_A_DAY..(day + 1) * MICROS_A_DAY;
            let read = documents::read_chunk(document).and_then(|chunk| chunk.gather(range, &mut gathering));
            tolerated(read)
        })?;
        Ok(gathering.probes())
    }

    fn rollups_of(
        &self,
        tier: Tier,
        sources: &[SourceId],
        without: &BTreeSet<i64>,
    ) -> Result<RolledDays, StoreError> {
        let mut found = RolledDays::new();
        for source in sources {
            let of_it = doc! { "monitor": source.to_string() };
            let mut by_probe: BTreeMap<(i64, String, String), Vec<(SeriesName, DayRollup)>> = BTreeMap::new();
            self.link.remote.each(rollups(tier), of_it, (doc! { "day": 1 }, None), |document| {
                let text = |field: &str| document.get_str(field).unwrap_or_default().to_owned();
                let (metric, probe, location) = (text("metric"), text("probe"), text("location"));
                let Some((day, series)) = tolerated(documents::read_rollups(document).map(Some))? else {
                    return Ok(());
                };
                if without.contains(&day) {
                    return Ok(());
                }
                let all = by_probe.entry((day, probe, location)).or_default();
                for (labels, (buckets, sketches)) in series {
                    let sketch = !sketches.is_empty();
                    let name = SeriesName { metric: metric.clone(), labels, resolution: None, sketch };
                    all.push((name, DayRollup::of_tier(tier, buckets, sketches)));
                }
                Ok(())
            })?;
            for ((day, probe, location), series) in by_probe {
                let probe = RolledProbe { source: source.clone(), probe, location, series };
                found.entry(day).or_default().push(probe);
            }
        }
        Ok(found)
    }

    fn put_monitors(
        &self,
        all: &[MonitorDefinition],
        removed: &[(MonitorDefinition, Timestamp)],
    ) -> Result<(), StoreError> {
        let first = self.link.lease().as_ref().map_or(0, |lease| lease.changes) + 1;
        let every = all.iter().map(|one| (one, None)).chain(removed.iter().map(|(one, at)| (one, Some(*at))));
        let made = every.zip(first..).map(|((one, removed), change)| {
            let document = match removed {
                None => documents::monitor(one, change)?,
                Some(at) => documents::removed(one, at, change)?,
            };
            Ok((0, Operation::Monitor(document)))
        });
        self.commit_all(made.collect::<Result<_, StoreError>>()?, false)?;
        self.link.note_changes(&self.link.lease())?;
        self.link.recent.take_over_monitors(all, removed)
    }

    fn put_sources(&self, all: &[SourceName]) -> Result<(), StoreError> {
        self.link.add_sources(all)
    }

    fn put_events(&self, all: &[(u64, Event)]) -> Result<(), StoreError> {
        let made =
            all.iter().map(|(number, one)| Ok((*number, Operation::Event(documents::event(*number, one)?))));
        self.commit_all(made.collect::<Result<_, StoreError>>()?, true)
    }

    fn put_day(&self, day: i64, is_over: bool, next: Sources<'_>) -> Result<(), StoreError> {
        let remote = &self.link.remote;
        while let Some(probes) = next()? {
            let mut results = Vec::new();
            let mut hours = Vec::new();
            for probe in &probes {
                for hour in (0..24).map(|hour| day * MICROS_A_DAY + hour * MICROS_AN_HOUR) {
                    let part = probe.part(hour..hour + MICROS_AN_HOUR);
                    if part.columns.times.is_empty() {
                        continue;
                    }
                    if part.source.monitor().is_some() {
                        results.push(documents::results(&part, hour, SPOOL));
                    }
                    if !is_over {
                        hours.extend(documents::chunks(&part, Span::Hour(hour), SPOOL)?);
                    }
                }
            }
            self.put(RESULTS, results)?;
            self.put(CHUNKS, hours)?;
            if is_over && let Some(first) = probes.first() {
                let (source, by_spool) = (first.source.clone(), BTreeMap::from([(SPOOL.to_owned(), probes)]));
                let (chunks, by_tier) = documents_of_day(&source, day, by_spool)?;
                for (tier, documents) in by_tier {
                    self.put(rollups(tier), documents)?;
                }
                self.put(CHUNKS, chunks)?;
            }
        }
        let update = doc! { "$set": { "name": "a migration" }, "$max": { "last_day": day } };
        remote.update(SPOOLS, vec![doc! { "q": { "_id": SPOOL }, "u": update, "upsert": true }])?;
        Ok(())
    }

    fn put_rollups(&self, tier: Tier, all: RolledDays) -> Result<(), StoreError> {
        let mut made = Vec::new();
        for (day, probes) in all {
            for one in probes {
                let measured = (one.probe.as_str(), one.location.as_str());
                made.extend(documents::rollups(&one.source, measured, day, tier, &one.series)?);
            }
        }
        self.put(rollups(tier), made)
    }

    fn finish(&self, now: Timestamp) -> Result<(), StoreError> {
        self.link.send_all(now)
    }
}

//! The end of a day in MongoDB: its hours become one document a probe, and its rollups are made.
//!
//! This is done with what MongoDB has, anyone who sent it, so that the days of a process that is gone are rolled up too.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::Duration;

use mongodb::bson::{Bson, RawDocumentBuf, doc};
use wise_core::{SourceId, Timestamp};

use super::documents::{self, NamedRollup, Span, date, micros};
use super::link::Link;
use super::remote::Put;
use super::schema::{CHUNKS, rollups};
use crate::columns::{Gathering, ProbeColumns, rolled};
use crate::error::StoreError;
use crate::rollup::{MICROS_A_DAY, Tier};

/// How often days that are over are looked for.
pub(super) const EVERY: Duration = Duration::from_secs(300);
/// A day is over this long after its end, when the last stragglers have been sent.
const GRACE: Duration = Duration::from_secs(600);

impl Link {
    /// Makes documents of a day and rollups of every day that is over.
    pub(super) fn compact(&self, now: Timestamp) -> Result<(), StoreError> {
        let today = Tier::Day.start_of(now.minus(GRACE).as_micros());
        let over = doc! { "span": "hour", "day": { "$lt": date(today) } };
        let group = doc! { "$group": { "_id": { "monitor": "$monitor", "day": "$day" } } };
        let mut found = self.remote.aggregate(CHUNKS, vec![doc! { "$match": over }, group])?;
        let mut trouble = Ok(());
        found.retain(|one| one.get_document("_id").is_ok());
        let all = found.len();
        for (done, one) in found.iter().enumerate() {
            let Ok(id) = one.get_document("_id") else { continue };
            let (Ok(source), Ok(day)) = (id.get_str("monitor"), id.get_datetime("day")) else { continue };
            self.confirm()?;
            self.send_news()?;
            if self.must_stop() {
                return Ok(());
            }
            match self.compact_day(source, micros(*day).div_euclid(MICROS_A_DAY)) {
                Ok(()) => {}
                Err(error @ (StoreError::Away { .. } | StoreError::Superseded { .. })) => return Err(error),
                // One that cannot be rolled up does not keep the others from it.
                Err(error) => {
                    tracing::error!("a day of {source} could not be rolled up: {error}");
                    trouble = Err(error);
                }
            }
            if (done + 1) % 1000 == 0 {
                tracing::info!(
                    "rolling up in MongoDB: {} of {all} days of monitors and other sources",
                    done + 1
                );
            }
        }
        trouble
    }

    fn compact_day(&self, source: &str, day: i64) -> Result<(), StoreError> {
        let start = day * MICROS_A_DAY;
        let of_the_day = doc! { "monitor": source, "day": date(start) };
        let mut documents = self.remote.find(CHUNKS, of_the_day, doc! {})?;
        // What was sent last counts where two checks have the same time.
        documents.sort_by_key(|one| one.get_str("span").unwrap_or_default().to_owned());
        let (mut hours, mut damaged): (Vec<Bson>, Vec<Bson>) = (Vec::new(), Vec::new());
        let mut by_spool: BTreeMap<String, Gathering> = BTreeMap::new();
        for document in documents {
            let id = document.get("_id").cloned();
            let is_hour = document.get_str("span").is_ok_and(|span| span == "hour");
            // One that is damaged must not take the others with it.
            let read = documents::read_chunk(document).and_then(|chunk| {
                let gathering = by_spool.entry(chunk.spool.clone()).or_default();
                chunk.gather(start..start + MICROS_A_DAY, gathering)
            });
            match read {
                Ok(()) if is_hour => hours.extend(id),
                Ok(()) => {}
                Err(error) => {
                    tracing::error!(
                        "{error}; it is left out of the rollups, and stays until its time is over"
                    );
                    damaged.extend(id);
                }
            }
        }
        let Ok(source) = source.parse::<SourceId>() else { return Ok(()) };
        let by_spool = by_spool.into_iter().map(|(spool, gathering)| (spool, gathering.probes())).collect();
        let (made, by_tier) = documents_of_day(&source, day, by_spool)?;
        // Of a day whose samples may be gone by now these are a few that came late: what was made of all of them stays.
        let oldest = Timestamp::from_micros(self.now.load(Ordering::Relaxed)).minus(self.retention.raw);
        let is_whole = damaged.is_empty() && start > oldest.as_micros();
        let put = if is_whole { Put::Always } else { Put::IfMissing };
        let mut refused = 0;
        for (tier, documents) in by_tier {
            refused += self.put_all(rollups(tier), documents, put)?;
        }
        refused += self.put_all(CHUNKS, made, Put::Always)?;
        if refused > 0 {
            let reason = format!("{refused} documents of the day were not taken; its hours stay");
            return Err(StoreError::Refused { reason });
        }
        self.confirm()?;
        for id in damaged {
            let mark = doc! { "$set": { "span": "damaged", "sealed": date(start) } };
            self.remote.update(CHUNKS, vec![doc! { "q": { "_id": id }, "u": mark }])?;
        }
        self.remote.delete(CHUNKS, doc! { "_id": { "$in": hours } })
    }
}

/// The documents of a day: its chunks, and its rollups by tier.
type OfDay = (Vec<RawDocumentBuf>, BTreeMap<Tier, Vec<RawDocumentBuf>>);

/// The documents of a day that is over.
pub(super) fn documents_of_day(
    source: &SourceId,
    day: i64,
    by_spool: BTreeMap<String, Vec<ProbeColumns>>,
) -> Result<OfDay, StoreError> {
    let mut chunks = Vec::new();
    // Processes of one location are one source.
    let mut all = Gathering::default();
    for (spool, probes) in by_spool {
        for probe in probes {
            chunks.extend(documents::chunks(&probe, Span::Day(day * MICROS_A_DAY), &spool)?);
            let series = |number: u32| probe.series.get(number as usize);
            let evidence = |number: u32| probe.evidence_of(number).cloned().unwrap_or_default();
            let made = (probe.probe.as_str(), probe.location.as_str(), "");
            all.add(&probe.source, made, probe.columns.clone(), series, evidence);
        }
    }
    let mut by_tier: BTreeMap<Tier, Vec<RawDocumentBuf>> = BTreeMap::new();
    for probe in all.probes() {
        let name = |number: u32| probe.series.get(number as usize);
        let rolled = rolled(&probe.columns, |number| name(number).is_some_and(|name| name.sketch));
        let rolled: Vec<NamedRollup> =
            rolled.into_iter().filter_map(|(number, rollup)| Some((name(number)?.clone(), rollup))).collect();
        for tier in Tier::ALL {
            let made = (probe.probe.as_str(), probe.location.as_str());
            by_tier.entry(tier).or_default().extend(documents::rollups(source, made, day, tier, &rolled)?);
        }
    }
    Ok((chunks, by_tier))
}

//! Reading metrics from both: the spool has the last days of this process, MongoDB has everything.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Range;
use std::sync::atomic::Ordering;
use std::time::Duration;

use mongodb::bson::{Document, doc};
use wise_core::{SourceId, Timestamp};

use super::documents::{self, date, micros};
use super::link::Link;
use super::schema::{CHUNKS, rollups};
use crate::columns::chunk::Samples;
use crate::error::StoreError;
use crate::query::{DaySamples, Found, Piece, QueryPlan, Resolution, SeriesPieces, series_of};
use crate::rollup::{MICROS_A_DAY, Tier};
use crate::sqlite::Reader as RecentReader;

/// Sources that are read from MongoDB together, at most.
const TOGETHER: usize = 32;
/// Samples and buckets that are read together, about: some tens of megabytes.
const READ_TOGETHER: usize = 1_000_000;
/// Days of sources that are read together at most, whatever those before had: of samples, and of rollups.
const SAMPLED_DAYS: i64 = 64;
const ROLLED_DAYS: i64 = 512;

pub(super) fn day_of(time: Timestamp) -> i64 {
    time.as_micros().div_euclid(MICROS_A_DAY)
}

/// The days of a range, bounded so that there is a day to each.
pub(super) fn days(range: Range<i64>) -> Document {
    let bound = |day: i64| date(day.clamp(-3_000_000, 3_000_000).saturating_mul(MICROS_A_DAY));
    doc! { "$gte": bound(range.start), "$lt": bound(range.end) }
}

impl Link {
    /// The first day from which on the spool has all there is; `days` are those it has.
    pub(super) fn own_from(&self, days: &[i64]) -> i64 {
        let others = self.others_until.load(Ordering::Relaxed);
        let Some(first) = unbroken(days) else { return i64::MAX };
        if others == i64::MIN && first <= self.began {
            // There never was anything else.
            return i64::MIN;
        }
        first.max(others.saturating_add(1))
    }

    /// Reads what a plan asks for.
    pub(super) fn reader<'l>(&'l self, plan: &'l QueryPlan) -> Result<Reader<'l>, StoreError> {
        let recent = self.recent.reader()?;
        let own: Vec<i64> = recent.sample_days().collect();
        let own_from = self.own_from(&own);
        let last = day_of(plan.to.minus(Duration::from_micros(1)));
        let remote = day_of(plan.from)..own_from.min(last.saturating_add(1));
        Ok(Reader {
            link: self,
            plan,
            recent,
            own,
            own_from,
            remote,
            ahead: RefCell::default(),
            together: Cell::new(1),
            largest: Cell::new(1),
        })
    }
}

/// The first of the days up to the newest that has none missing after it. A straggler of long ago has a day of its own,
/// which says nothing about those in between.
pub(super) fn unbroken(days: &[i64]) -> Option<i64> {
    let newest = days.last()?;
    let unbroken = days.iter().rev().zip(0..).take_while(|(day, back)| **day == newest - back);
    unbroken.map(|(day, _)| *day).last()
}

/// Reads for one query. The spool's files stay open as long as it lives.
pub(super) struct Reader<'l> {
    link: &'l Link,
    plan: &'l QueryPlan,
    recent: RecentReader<'l>,
    /// The days that the spool has.
    own: Vec<i64>,
    /// From this day on it has all there is.
    own_from: i64,
    /// The days to ask MongoDB for.
    remote: Range<i64>,
    /// What was read for sources that come next.
    ahead: RefCell<HashMap<SourceId, Found>>,
    /// How many sources to read together: what there was of those before tells.
    together: Cell<usize>,
    /// The most that there was of one.
    largest: Cell<usize>,
}

/// What was read from MongoDB, by source.
#[derive(Default)]
struct Together {
    found: HashMap<SourceId, Found>,
    /// Days that are read, and not to be looked for in coarser or finer form.
    done: HashMap<SourceId, BTreeSet<i64>>,
}

impl Together {
    fn is_done(&self, source: &SourceId, day: i64) -> bool {
        self.done.get(source).is_some_and(|done| done.contains(&day))
    }

    fn add_done(&mut self, all: BTreeSet<(SourceId, i64)>) {
        for (source, day) in all {
            self.done.entry(source).or_default().insert(day);
        }
    }

    fn add(&mut self, source: SourceId, labels: String, day: i64, piece: Piece) {
        let series = self.found.entry(source).or_default().entry(labels).or_default();
        series.entry(day).or_default().push(piece);
    }
}

impl Reader<'_> {
    /// The series of a source that the plan asks for.
    pub(super) fn read(&self, source: &SourceId) -> Result<Vec<SeriesPieces>, StoreError> {
        let mut series = Vec::new();
        if !self.remote.is_empty() && self.recent.has(source) {
            series = series_of(self.far(source)?);
        }
        for recent in self.recent.read(self.own_from, source, self.plan)? {
            match series.iter_mut().find(|one| one.labels == recent.labels) {
                Some(known) => known.pieces.extend(recent.pieces),
                None => series.push(recent),
            }
        }
        Ok(series)
    }

    /// What MongoDB has of a source, read together with the next ones of the plan: a round trip each would take longer
    /// than all the rest.
    fn far(&self, source: &SourceId) -> Result<Found, StoreError> {
        if let Some(known) = self.ahead.borrow_mut().remove(source) {
            return Ok(known);
        }
        let count = self.together.get();
        let next = self.plan.sources.iter().skip_while(|one| *one != source);
        let mut sources = vec![source.clone()];
        for one in next.filter(|one| self.recent.has(one)) {
            if sources.len() >= count {
                break;
            }
            if !sources.contains(one) {
                sources.push(one.clone());
            }
        }
        let mut found = self.read_together(&sources)?.found;
        let size = |one: &Found| one.values().flat_map(BTreeMap::values).flatten().map(size_of).sum();
        let largest = found.values().map(size).max().unwrap_or(0).max(self.largest.get());
        self.largest.set(largest);
        let days = if self.plan.resolution() == Resolution::Raw { SAMPLED_DAYS } else { ROLLED_DAYS };
        let length = self.remote.end.saturating_sub(self.remote.start).max(1);
        let by_days = usize::try_from(days / length).unwrap_or(TOGETHER);
        let most = TOGETHER.min(READ_TOGETHER / largest).min(by_days).min(2 * count);
        self.together.set(most.max(1));
        let wanted = found.remove(source).unwrap_or_default();
        let mut ahead = self.ahead.borrow_mut();
        ahead.extend(sources.into_iter().skip(1).map(|one| {
            let found = found.remove(&one).unwrap_or_default();
            (one, found)
        }));
        Ok(wanted)
    }

    fn read_together(&self, sources: &[SourceId]) -> Result<Together, StoreError> {
        let mut together = Together::default();
        let whole = self.remote.clone();
        if self.plan.resolution() == Resolution::Raw {
            self.read_samples(sources, whole.clone(), &mut together)?;
        } else {
            // Days that are not over, or not rolled up yet, have hours.
            let of_hours = doc! { "monitor": among(sources), "span": "hour", "day": days(whole.clone()) };
            let mut open: BTreeMap<i64, BTreeSet<SourceId>> = BTreeMap::new();
            let wanted = Some(doc! { "monitor": 1, "day": 1 });
            self.link.remote.each(CHUNKS, of_hours, (doc! {}, wanted), |document| {
                if let (Some(source), Ok(day)) = (source_of(&document), document.get_datetime("day")) {
                    open.entry(micros(*day).div_euclid(MICROS_A_DAY)).or_default().insert(source);
                }
                Ok(())
            })?;
            for (day, of_the_day) in open {
                let of_the_day: Vec<SourceId> = of_the_day.into_iter().collect();
                self.read_samples(&of_the_day, day..day + 1, &mut together)?;
            }
        }
        for tier in self.plan.tiers() {
            self.read_tier(tier, sources, &mut together)?;
        }
        if self.plan.resolution() != Resolution::Raw {
            self.read_samples(sources, whole, &mut together)?;
        }
        Ok(together)
    }

    /// Whether series with these labels, as they are stored, are asked for.
    fn wants(&self, labels: &str) -> bool {
        self.plan.matchers.is_empty() || self.plan.wants(&serde_json::from_str(labels).unwrap_or_default())
    }

    /// Those of which a day is missing.
    fn unfinished(&self, sources: &[SourceId], range: &Range<i64>, together: &Together) -> Vec<SourceId> {
        let is_unfinished = |one: &&SourceId| range.clone().any(|day| !together.is_done(one, day));
        sources.iter().filter(is_unfinished).cloned().collect()
    }

    /// Reads the samples of days that were not read yet, those that only the spool has among them.
    fn read_samples(
        &self,
        sources: &[SourceId],
        range: Range<i64>,
        together: &mut Together,
    ) -> Result<(), StoreError> {
        let sources = self.unfinished(sources, &range, together);
        if sources.is_empty() {
            return Ok(());
        }
        let (start, end) = (self.plan.from.as_micros(), self.plan.to.as_micros());
        let filter = doc! {
            "monitor": among(&sources),
            "series.metric": &self.plan.metric,
            "day": days(range.clone()),
            "first": { "$lt": date(end.saturating_add(999)) },
            "last": { "$gte": date(start) },
        };
        let mut here: BTreeMap<(SourceId, String, i64), DaySamples> = BTreeMap::new();
        let mut done = BTreeSet::new();
        self.link.remote.each(CHUNKS, filter, (doc! {}, None), |document| {
            let chunk = documents::read_chunk(document)?;
            let (source, day) = (chunk.source(), chunk.day);
            if together.is_done(source, day) {
                return Ok(());
            }
            done.insert((source.clone(), day));
            let take = |labels: &str, samples: Samples<'_>| {
                if self.wants(labels) {
                    let known = here.entry((source.clone(), labels.to_owned(), day)).or_default();
                    known.take(&(start..end), samples);
                }
            };
            // One that is damaged does not keep the others from being read.
            if let Err(error) = chunk.samples(&self.plan.metric, take) {
                tracing::error!("{error}; it is left out");
            }
            Ok(())
        })?;
        for ((source, labels, day), samples) in here {
            for piece in samples.pieces(self.plan) {
                together.add(source.clone(), labels.clone(), day, piece);
            }
        }
        // What we have not sent yet.
        for day in self.own.iter().copied().filter(|day| range.contains(day)) {
            for source in &sources {
                if !together.is_done(source, day) {
                    let found = together.found.entry(source.clone()).or_default();
                    self.recent.samples(day, source, self.plan, found)?;
                    done.insert((source.clone(), day));
                }
            }
        }
        together.add_done(done);
        Ok(())
    }

    fn read_tier(&self, tier: Tier, sources: &[SourceId], together: &mut Together) -> Result<(), StoreError> {
        let sources = self.unfinished(sources, &self.remote, together);
        if sources.is_empty() {
            return Ok(());
        }
        let filter = doc! {
            "monitor": among(&sources),
            "metric": &self.plan.metric,
            "day": days(self.remote.clone()),
        };
        let mut done = BTreeSet::new();
        self.link.remote.each(rollups(tier), filter, (doc! {}, None), |document| {
            let Some(source) = source_of(&document) else { return Ok(()) };
            let (day, series) = documents::read_rollups(document)?;
            if together.is_done(&source, day) {
                return Ok(());
            }
            done.insert((source.clone(), day));
            for (labels, (buckets, sketches)) in series.into_iter().filter(|(labels, _)| self.wants(labels)) {
                together.add(source.clone(), labels, day, Piece::Rolled(tier, buckets, sketches));
            }
            Ok(())
        })?;
        together.add_done(done);
        Ok(())
    }
}

/// Samples or buckets of a piece; a sketch counts as some of them.
fn size_of(piece: &Piece) -> usize {
    match piece {
        Piece::Raw(samples) => samples.len(),
        Piece::Distributions(buckets, sketches) | Piece::Rolled(_, buckets, sketches) => {
            5 * buckets.len() + 20 * sketches.len()
        }
    }
}

fn among(sources: &[SourceId]) -> Document {
    doc! { "$in": sources.iter().map(SourceId::to_string).collect::<Vec<_>>() }
}

fn source_of(document: &Document) -> Option<SourceId> {
    document.get_str("monitor").ok()?.parse().ok()
}

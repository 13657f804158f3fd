//! What documents hold, and how they come about.

use std::collections::{BTreeMap, BTreeSet};

use mongodb::bson::{
    Binary, DateTime, Document, deserialize_from_document, doc, serialize_to_document, spec::BinarySubtype,
};
use serde::{Deserialize, Serialize};
use wise_core::{MonitorDefinition, MonitorId, Reason, Status, Timestamp, Transition};

use crate::columns::chunk::{self, Effort};
use crate::columns::{DOWN, Evidence, Gathering, ProbeColumns, SeriesName};
use crate::error::StoreError;
use crate::rollup::{Bucket, DayRollup, MICROS_A_DAY, Sketch, Tier};

/// Failures listed in a document of results.
const FAILURES: usize = 500;
/// Bytes of evidence in a document of results; the chunks have all of it.
const RESULT_BYTES: usize = 2 << 20;
/// Bytes of a chunk's columns at most: a document may have 16 MB.
const CHUNK_BYTES: usize = 6 << 20;
/// Series in a document of rollups.
const SERIES_A_PART: usize = 256;
/// An hour in microseconds.
pub(super) const MICROS_AN_HOUR: i64 = 3_600_000_000;

pub(super) fn date(micros: i64) -> DateTime {
    DateTime::from_millis(micros.div_euclid(1000))
}

pub(super) fn micros(date: DateTime) -> i64 {
    date.timestamp_millis().saturating_mul(1000)
}

/// The error for a document that cannot be read.
fn damaged(id: impl std::fmt::Debug, reason: impl std::fmt::Display) -> StoreError {
    StoreError::Damaged { path: "the store in MongoDB".into(), reason: format!("document {id:?}: {reason}") }
}

fn encoded(document: &impl Serialize) -> Result<Document, StoreError> {
    serialize_to_document(document).map_err(|error| StoreError::Server { reason: error.to_string() })
}

fn decoded<T: serde::de::DeserializeOwned>(document: Document) -> Result<T, StoreError> {
    let id = document.get("_id").cloned();
    deserialize_from_document(document).map_err(|error| damaged(id, error))
}

/// A definition.
pub(super) fn monitor(definition: &MonitorDefinition, change: i64) -> Result<Document, StoreError> {
    let spec = &definition.spec;
    let tags: Vec<Document> =
        spec.tags.iter().map(|(name, value)| doc! { "name": name, "value": value }).collect();
    let managed_by = match &definition.managed_by {
        wise_core::ManagedBy::Api => "api".to_owned(),
        wise_core::ManagedBy::File(file) => file.clone(),
    };
    let body = serde_json::to_string(definition)
        .map_err(|error| StoreError::Server { reason: format!("a definition: {error}") })?;
    Ok(doc! {
        "_id": definition.id.to_string(),
        "change": change,
        "name": &spec.name,
        "kind": &spec.kind,
        "enabled": spec.enabled,
        "tags": tags,
        "managed_by": managed_by,
        "version": i64::try_from(definition.version).unwrap_or(i64::MAX),
        "created_at": date(definition.created_at.as_micros()),
        "updated_at": date(definition.updated_at.as_micros()),
        "updated_by": &definition.updated_by,
        "definition": body,
    })
}

/// What is left of a definition that was removed.
pub(super) fn tombstone(monitor: MonitorId, change: i64) -> Document {
    doc! { "_id": monitor.to_string(), "change": change, "removed": DateTime::now() }
}

/// Reads a definition; `None` for what is left of one.
pub(super) fn read_monitor(document: &Document) -> Result<Option<MonitorDefinition>, StoreError> {
    if document.contains_key("removed") {
        return Ok(None);
    }
    let body = document.get_str("definition").unwrap_or_default();
    serde_json::from_str(body).map(Some).map_err(|error| damaged(document.get("_id"), error))
}

#[derive(Serialize, Deserialize)]
struct StoredTransition {
    #[serde(rename = "_id")]
    sequence: i64,
    monitor: String,
    time: DateTime,
    time_us: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<String>,
    to: String,
    down: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<Reason>,
    #[serde(skip_serializing_if = "Option::is_none")]
    evidence: Option<String>,
}

/// A transition.
pub(super) fn transition(sequence: u64, transition: &Transition) -> Result<Document, StoreError> {
    encoded(&StoredTransition {
        sequence: i64::try_from(sequence).unwrap_or(i64::MAX),
        monitor: transition.monitor.to_string(),
        time: date(transition.time.as_micros()),
        time_us: transition.time.as_micros(),
        from: transition.from.map(|status| status.name().to_owned()),
        to: transition.to.name().to_owned(),
        down: transition.down,
        reason: transition.reason.clone(),
        evidence: transition.evidence.as_ref().map(ToString::to_string),
    })
}

/// Reads a transition.
pub(super) fn read_transition(document: Document) -> Result<(u64, Transition), StoreError> {
    let stored: StoredTransition = decoded(document)?;
    let id = stored.sequence;
    let transition = Transition {
        monitor: stored.monitor.parse().map_err(|_| damaged(id, "its monitor has no id"))?,
        time: Timestamp::from_micros(stored.time_us),
        from: stored.from.as_deref().and_then(Status::from_name),
        to: Status::from_name(&stored.to).ok_or_else(|| damaged(id, "an unknown status"))?,
        down: stored.down,
        reason: stored.reason,
        evidence: stored.evidence.and_then(|text| serde_json::from_str(&text).ok()).map(std::sync::Arc::new),
    };
    Ok((u64::try_from(id).unwrap_or(0), transition))
}

type LabelMap = BTreeMap<String, String>;

/// Labels as the embedded store has them: a JSON array of pairs, sorted.
fn label_map(text: &str) -> LabelMap {
    let pairs: Vec<(String, String)> = serde_json::from_str(text).unwrap_or_default();
    pairs.into_iter().collect()
}

fn label_text(labels: &LabelMap) -> String {
    if labels.is_empty() {
        return String::new();
    }
    serde_json::to_string(&labels.iter().collect::<Vec<_>>()).unwrap_or_default()
}

#[derive(Serialize, Deserialize)]
struct StoredSeries {
    metric: String,
    labels: LabelMap,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    resolution: Option<f64>,
    sketch: bool,
}

#[derive(Serialize, Deserialize)]
struct StoredEvidence {
    class: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    code: Option<String>,
    message: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    body: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct StoredChunk {
    #[serde(rename = "_id")]
    id: String,
    monitor: String,
    probe: String,
    location: String,
    worker: String,
    spool: String,
    day: DateTime,
    span: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sealed: Option<DateTime>,
    first: DateTime,
    last: DateTime,
    checks: i64,
    series: Vec<StoredSeries>,
    evidence: Vec<StoredEvidence>,
    data: Binary,
}

/// What a chunk covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Span {
    /// The hour that begins then, in microseconds.
    Hour(i64),
    /// The day that begins then, in microseconds.
    Day(i64),
}

impl Span {
    fn name(self) -> &'static str {
        match self {
            Self::Hour(_) => "hour",
            Self::Day(_) => "day",
        }
    }

    fn start(self) -> i64 {
        match self {
            Self::Hour(start) | Self::Day(start) => start,
        }
    }

    fn day(self) -> i64 {
        self.start().div_euclid(MICROS_A_DAY) * MICROS_A_DAY
    }

    /// The hour, or the day, as ids have it.
    fn text(self) -> String {
        let time = Timestamp::from_micros(self.start()).to_string();
        let length = if matches!(self, Self::Hour(_)) { "2026-11-20T10".len() } else { "2026-11-20".len() };
        time.get(..length).unwrap_or(&time).to_owned()
    }
}

fn id_of(probe: &ProbeColumns, span: Span, spool: &str) -> String {
    // Slashes in names would make two ids one.
    let clean = |text: &str| text.replace('%', "%25").replace('/', "%2F");
    let (location, worker) = (clean(&probe.location), clean(&probe.worker));
    format!("{}/{}/{location}/{worker}/{spool}/{}", probe.monitor, clean(&probe.probe), span.text())
}

/// The chunks of a probe: one, or several when it would be too large.
pub(super) fn chunks(probe: &ProbeColumns, span: Span, spool: &str) -> Result<Vec<Document>, StoreError> {
    let mut made = Vec::new();
    chunk_parts(probe, span, spool, &id_of(probe, span, spool), &mut made)?;
    Ok(made)
}

fn chunk_parts(
    probe: &ProbeColumns,
    span: Span,
    spool: &str,
    id: &str,
    made: &mut Vec<Document>,
) -> Result<(), StoreError> {
    let columns = &probe.columns;
    let (Some(first), Some(last)) = (columns.times.first(), columns.times.last()) else { return Ok(()) };
    let effort = if matches!(span, Span::Hour(_)) { Effort::Quick } else { Effort::Thorough };
    // Numbers become places in the lists beside.
    let places: BTreeMap<u32, u32> = probe.series.keys().copied().zip(0..).collect();
    let used: BTreeSet<u32> = columns.failures.iter().copied().filter(|number| *number != 0).collect();
    let evidence: Vec<(&u32, &Evidence)> =
        probe.evidence.iter().filter(|(number, _)| used.contains(number)).collect();
    let failures: BTreeMap<u32, u32> = evidence.iter().map(|(number, _)| **number).zip(1..).collect();
    let place = |number| places.get(&number).copied().unwrap_or(u32::MAX);
    let failure = |number| failures.get(&number).copied().unwrap_or(0);
    let renumbered = columns.clone().renumbered(place, failure);
    let by_place: Vec<&SeriesName> = probe.series.values().collect();
    let data = chunk::encode(&renumbered, |place| by_place.get(place as usize)?.resolution, effort)
        .map_err(|reason| StoreError::Server { reason })?;
    let words: usize =
        evidence.iter().map(|(_, one)| one.message.len() + one.body.as_ref().map_or(0, String::len)).sum();
    // Where every check tells something new, what they tell is more than what they measure.
    if data.len() + words > CHUNK_BYTES && columns.len() > 1 && last > first {
        // Neither half may be empty.
        let middle = columns.times[columns.len() / 2].max(*first + 1);
        for (half, range) in [("a", *first..middle), ("b", middle..*last + 1)] {
            let part = ProbeColumns { columns: columns.clone().within(range), ..probe.clone() };
            chunk_parts(&part, span, spool, &format!("{id}{half}"), made)?;
        }
        return Ok(());
    }
    let series = probe.series.values().map(|name| StoredSeries {
        metric: name.metric.clone(),
        labels: label_map(&name.labels),
        resolution: name.resolution,
        sketch: name.sketch,
    });
    let evidence = evidence.into_iter().map(|(_, one)| StoredEvidence {
        class: one.class.clone(),
        code: one.code.clone(),
        message: one.message.clone(),
        body: one.body.clone(),
    });
    made.push(encoded(&StoredChunk {
        id: id.to_owned(),
        monitor: probe.monitor.to_string(),
        probe: probe.probe.clone(),
        location: probe.location.clone(),
        worker: probe.worker.clone(),
        spool: spool.to_owned(),
        day: date(span.day()),
        span: span.name().to_owned(),
        sealed: matches!(span, Span::Day(_)).then(|| date(span.day())),
        first: date(*first),
        last: date(*last),
        checks: columns.len() as i64,
        series: series.collect(),
        evidence: evidence.collect(),
        data: Binary { subtype: BinarySubtype::Generic, bytes: data },
    })?);
    Ok(())
}

/// A chunk as it was read.
#[derive(Debug)]
pub(super) struct ReadChunk {
    pub spool: String,
    pub day: i64,
    probe: StoredProbe,
    data: Vec<u8>,
}

#[derive(Debug)]
struct StoredProbe {
    id: String,
    monitor: MonitorId,
    probe: String,
    location: String,
    worker: String,
    series: Vec<SeriesName>,
    evidence: Vec<Evidence>,
}

/// Reads a chunk; its columns stay compressed.
pub(super) fn read_chunk(document: Document) -> Result<ReadChunk, StoreError> {
    let stored: StoredChunk = decoded(document)?;
    let series = stored.series.into_iter().map(|one| SeriesName {
        labels: label_text(&one.labels),
        metric: one.metric,
        resolution: one.resolution,
        sketch: one.sketch,
    });
    let evidence = stored.evidence.into_iter().map(|one| Evidence {
        class: one.class,
        code: one.code,
        message: one.message,
        body: one.body,
    });
    let monitor = stored.monitor.parse().map_err(|_| damaged(&stored.id, "its monitor has no id"))?;
    Ok(ReadChunk {
        spool: stored.spool,
        day: micros(stored.day).div_euclid(MICROS_A_DAY),
        probe: StoredProbe {
            id: stored.id,
            monitor,
            probe: stored.probe,
            location: stored.location,
            worker: stored.worker,
            series: series.collect(),
            evidence: evidence.collect(),
        },
        data: stored.data.bytes,
    })
}

impl ReadChunk {
    /// Adds its checks in a range of microseconds to those of other chunks.
    pub(super) fn gather(
        &self,
        range: std::ops::Range<i64>,
        gathering: &mut Gathering,
    ) -> Result<(), StoreError> {
        let probe = &self.probe;
        let columns = chunk::decode(&self.data).map_err(|reason| damaged(&probe.id, reason))?;
        let series = |place: u32| probe.series.get(place as usize).cloned().unwrap_or_default();
        let evidence =
            |place: u32| probe.evidence.get((place as usize).wrapping_sub(1)).cloned().unwrap_or_default();
        let source = (probe.probe.as_str(), probe.location.as_str(), probe.worker.as_str());
        gathering.add(probe.monitor, source, columns.within(range), series, evidence);
        Ok(())
    }

    /// Adds its checks in a range of microseconds without what they have measured, or only those that failed; answers how
    /// many there were.
    pub(super) fn gather_results(
        &self,
        range: std::ops::Range<i64>,
        failed: bool,
        gathering: &mut Gathering,
    ) -> Result<usize, StoreError> {
        let probe = &self.probe;
        let columns = chunk::decode_results(&self.data).map_err(|reason| damaged(&probe.id, reason))?;
        let columns = columns.within(range);
        let columns = if failed { columns.failed() } else { columns };
        let count = columns.len();
        let evidence =
            |place: u32| probe.evidence.get((place as usize).wrapping_sub(1)).cloned().unwrap_or_default();
        let source = (probe.probe.as_str(), probe.location.as_str(), probe.worker.as_str());
        gathering.add(probe.monitor, source, columns, |_| SeriesName::default(), evidence);
        Ok(count)
    }

    /// Hands over the samples of a metric: labels, times, values.
    pub(super) fn samples(
        &self,
        metric: &str,
        mut take: impl FnMut(&str, &[i64], &[f64]),
    ) -> Result<(), StoreError> {
        let probe = &self.probe;
        let is_wanted =
            |place: u32| probe.series.get(place as usize).is_some_and(|name| name.metric == metric);
        let found = |place: u32, times: &[i64], values: &[f64]| {
            if let Some(name) = probe.series.get(place as usize) {
                take(&name.labels, times, values);
            }
        };
        chunk::decode_series(&self.data, is_wanted, found).map_err(|reason| damaged(&probe.id, reason))
    }
}

/// The checks of an hour, summed up.
pub(super) fn results(probe: &ProbeColumns, hour: i64, spool: &str) -> Document {
    let columns = &probe.columns;
    let count = |test: &dyn Fn(usize) -> bool| (0..columns.len()).filter(|index| test(*index)).count() as i64;
    let millis = |micros: u32| f64::from(micros) / 1000.0;
    let sum: f64 = columns.durations.iter().map(|micros| millis(*micros)).sum();
    let longest = columns.durations.iter().copied().max().unwrap_or(0);
    let (mut last, mut words) = (0, 0);
    let failed = (0..columns.len()).filter(|index| columns.failures[*index] != 0).take(FAILURES);
    let failures = failed.map(|index| {
        let number = columns.failures[index];
        let evidence = probe.evidence.get(&number).cloned().unwrap_or_default();
        let status = columns.statuses[index];
        let mut one = doc! {
            "time": date(columns.times[index]),
            "status": Status::from_code(status & !DOWN).unwrap_or(Status::Unknown).name(),
            "down": status & DOWN != 0,
            "duration_ms": millis(columns.durations[index]),
            "class": evidence.class,
            "message": evidence.message,
        };
        if let Some(code) = evidence.code {
            one.insert("code", code);
        }
        // Later failures with the same evidence refer to the one before.
        words += evidence.body.as_ref().map_or(0, String::len);
        if let Some(body) = evidence.body
            && std::mem::replace(&mut last, number) != number
            && words <= RESULT_BYTES
        {
            one.insert("evidence", body);
        }
        one
    });
    let failures: Vec<Document> = failures.collect();
    doc! {
        "_id": id_of(probe, Span::Hour(hour), spool),
        "monitor": probe.monitor.to_string(),
        "probe": &probe.probe,
        "location": &probe.location,
        "worker": &probe.worker,
        "hour": date(hour),
        "checks": columns.len() as i64,
        "failed": count(&|index| columns.failures[index] != 0),
        "down": count(&|index| columns.statuses[index] & DOWN != 0),
        "duration_ms": { "mean": sum / columns.len().max(1) as f64, "max": millis(longest) },
        "failures": failures,
    }
}

/// The rollups of one series of a day, by what it is.
pub(super) type NamedRollup = (SeriesName, DayRollup);

/// The documents of a tier for the series of one probe.
pub(super) fn rollups(
    monitor: MonitorId,
    (probe, location): (&str, &str),
    day: i64,
    tier: Tier,
    all: &[NamedRollup],
) -> Vec<Document> {
    let mut by_metric: BTreeMap<&str, Vec<&NamedRollup>> = BTreeMap::new();
    for one in all.iter().filter(|one| !one.1.buckets(tier).is_empty()) {
        by_metric.entry(&one.0.metric).or_default().push(one);
    }
    let mut made = Vec::new();
    for (metric, mut series) in by_metric {
        // A day that is rolled up again gives the same documents.
        series.sort_by(|a, b| a.0.labels.cmp(&b.0.labels));
        for (part, series) in series.chunks(SERIES_A_PART).enumerate() {
            let clean = |text: &str| text.replace('%', "%25").replace('/', "%2F");
            let text = Span::Day(day * MICROS_A_DAY).text();
            let series: Vec<Document> = series
                .iter()
                .map(|(name, rolled)| {
                    let buckets = buckets(rolled.buckets(tier), &rolled.sketches(tier));
                    let labels: Document = label_map(&name.labels)
                        .into_iter()
                        .map(|(name, value)| (name, value.into()))
                        .collect();
                    doc! { "labels": labels, "buckets": buckets }
                })
                .collect();
            made.push(doc! {
                "_id": format!("{monitor}/{metric}/{text}/{}/{}/{part}", clean(probe), clean(location)),
                "monitor": monitor.to_string(),
                "metric": metric,
                "probe": probe,
                "location": location,
                "day": date(day * MICROS_A_DAY),
                "series": series,
            });
        }
    }
    made
}

fn buckets(buckets: &[Bucket], sketches: &[Sketch]) -> Vec<Document> {
    let mut sketches = sketches.iter();
    let each = buckets.iter().map(|bucket| {
        let mut one = doc! {
            "time": date(bucket.start),
            "count": i64::try_from(bucket.count).unwrap_or(i64::MAX),
            "sum": bucket.sum(),
            "sum_of_squares": bucket.sum_of_squares(),
            "mean": bucket.mean,
            "deviation": bucket.deviation,
            "min": bucket.min,
            "max": bucket.max,
            "first": bucket.first,
            "last": bucket.last,
            "increase": bucket.increase,
        };
        if let Some(sketch) = sketches.next() {
            for (name, q) in [("p50", 0.5), ("p95", 0.95), ("p99", 0.99)] {
                if let Some(value) = sketch.quantile(q) {
                    one.insert(name, value);
                }
            }
            let parts = (sketch.zeros(), sketch.offset(), sketch.bins());
            let bytes = postcard::to_stdvec(&parts).unwrap_or_default();
            one.insert("sketch", Binary { subtype: BinarySubtype::Generic, bytes });
        }
        one
    });
    each.collect()
}

#[derive(Deserialize)]
struct StoredRollup {
    day: DateTime,
    series: Vec<RolledSeries>,
}

#[derive(Deserialize)]
struct RolledSeries {
    labels: LabelMap,
    buckets: Vec<StoredBucket>,
}

#[derive(Deserialize)]
struct StoredBucket {
    time: DateTime,
    count: i64,
    mean: f64,
    deviation: f64,
    min: f64,
    max: f64,
    first: f64,
    last: f64,
    increase: f64,
    sketch: Option<Binary>,
}

/// Buckets and their sketches.
pub(super) type Rolled = (Vec<Bucket>, Vec<Sketch>);

/// Reads a document of rollups: its day, and its series by labels.
pub(super) fn read_rollups(document: Document) -> Result<(i64, Vec<(String, Rolled)>), StoreError> {
    let stored: StoredRollup = decoded(document)?;
    let series = stored.series.into_iter().map(|series| {
        let (mut buckets, mut sketches) = (Vec::new(), Vec::new());
        for one in series.buckets {
            buckets.push(Bucket {
                start: micros(one.time),
                count: u64::try_from(one.count).unwrap_or(0),
                mean: one.mean,
                deviation: one.deviation,
                min: one.min,
                max: one.max,
                first: one.first,
                last: one.last,
                increase: one.increase,
            });
            let sketch = one.sketch.and_then(|binary| {
                let (zeros, offset, bins) = postcard::from_bytes(&binary.bytes).ok()?;
                Sketch::from_parts(zeros, offset, bins)
            });
            sketches.extend(sketch);
        }
        // One for each bucket, or none.
        if sketches.len() != buckets.len() {
            sketches.clear();
        }
        (label_text(&series.labels), (buckets, sketches))
    });
    Ok((micros(stored.day).div_euclid(MICROS_A_DAY), series.collect()))
}

//! Rollups.

use std::collections::BTreeMap;

use mongodb::bson::raw::cstr;
use mongodb::bson::{Binary, DateTime, Document, RawArrayBuf, RawDocumentBuf, rawdoc, spec::BinarySubtype};
use serde::Deserialize;
use wise_core::SourceId;

use super::checks::Span;
use super::{LabelMap, clean, date, decoded, encoded_raw, label_map, label_text, micros};
use crate::columns::SeriesName;
use crate::error::StoreError;
use crate::rollup::{Bucket, DayRollup, MICROS_A_DAY, Sketch, Tier};

/// Series in a document.
const SERIES_A_PART: usize = 256;

/// The rollups of one series of a day, by what it is.
pub(in crate::mongodb) type NamedRollup = (SeriesName, DayRollup);

/// The documents of a tier for the series of one probe.
pub(in crate::mongodb) fn rollups(
    source: &SourceId,
    (probe, location): (&str, &str),
    day: i64,
    tier: Tier,
    all: &[NamedRollup],
) -> Result<Vec<RawDocumentBuf>, StoreError> {
    let mut by_metric: BTreeMap<&str, Vec<&NamedRollup>> = BTreeMap::new();
    for one in all.iter().filter(|one| !one.1.buckets(tier).is_empty()) {
        by_metric.entry(&one.0.metric).or_default().push(one);
    }
    let mut made = Vec::new();
    for (metric, mut series) in by_metric {
        // A day that is rolled up again gives the same documents.
        series.sort_by(|a, b| a.0.labels.cmp(&b.0.labels));
        for (part, series) in series.chunks(SERIES_A_PART).enumerate() {
            let text = Span::Day(day * MICROS_A_DAY).text();
            let series: RawArrayBuf = series
                .iter()
                .map(|(name, rolled)| {
                    let buckets = buckets(rolled.buckets(tier), &rolled.sketches(tier));
                    let labels = encoded_raw(&label_map(&name.labels))?;
                    Ok(rawdoc! { "labels": labels, "buckets": buckets })
                })
                .collect::<Result<_, StoreError>>()?;
            made.push(rawdoc! {
                "_id": format!(
                    "{}/{metric}/{text}/{}/{}/{part}",
                    clean(&source.to_string()),
                    clean(probe),
                    clean(location)
                ),
                "monitor": source.to_string(),
                "metric": metric,
                "probe": probe,
                "location": location,
                "day": date(day * MICROS_A_DAY),
                "series": series,
            });
        }
    }
    Ok(made)
}

fn buckets(buckets: &[Bucket], sketches: &[Sketch]) -> RawArrayBuf {
    let mut sketches = sketches.iter();
    let each = buckets.iter().map(|bucket| {
        let mut one = rawdoc! {
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
            for (name, q) in [(cstr!("p50"), 0.5), (cstr!("p95"), 0.95), (cstr!("p99"), 0.99)] {
                if let Some(value) = sketch.quantile(q) {
                    one.append(name, value);
                }
            }
            let parts = (sketch.zeros(), sketch.offset(), sketch.bins());
            let bytes = postcard::to_stdvec(&parts).unwrap_or_default();
            one.append(cstr!("sketch"), Binary { subtype: BinarySubtype::Generic, bytes });
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
pub(in crate::mongodb) type Rolled = (Vec<Bucket>, Vec<Sketch>);

/// Reads a document of rollups: its day, and its series by labels.
pub(in crate::mongodb) fn read_rollups(
    document: Document,
) -> Result<(i64, Vec<(String, Rolled)>), StoreError> {
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

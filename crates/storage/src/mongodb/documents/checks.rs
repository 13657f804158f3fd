//! Chunks, which have every check of a probe, and results, which sum up those of an hour.

use std::collections::{BTreeMap, BTreeSet};

use mongodb::bson::raw::cstr;
use mongodb::bson::{Binary, DateTime, Document, RawArrayBuf, RawDocumentBuf, rawdoc, spec::BinarySubtype};
use serde::{Deserialize, Serialize};
use wise_core::{SourceId, Status, Timestamp};

use super::{LabelMap, clean, damaged, date, decoded, encoded_raw, label_map, label_text, micros};
use crate::columns::chunk::{self, Effort, Samples};
use crate::columns::{DOWN, Evidence, Gathering, ProbeColumns, SeriesName};
use crate::error::StoreError;
use crate::rollup::{MICROS_A_DAY, Tier};

/// Failures listed in a document of results.
const FAILURES: usize = 500;
/// Bytes of evidence in a document of results; the chunks have all of it.
const RESULT_BYTES: usize = 2 << 20;
/// Bytes of a chunk's columns and evidence at most: a document may have 16 MB.
const CHUNK_BYTES: usize = 6 << 20;

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
pub(in crate::mongodb) enum Span {
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
        Tier::Day.start_of(self.start())
    }

    /// The hour, or the day, as ids have it.
    pub(super) fn text(self) -> String {
        let time = Timestamp::from_micros(self.start()).to_string();
        let length = if matches!(self, Self::Hour(_)) { "2026-11-20T10".len() } else { "2026-11-20".len() };
        time.get(..length).unwrap_or(&time).to_owned()
    }
}

fn id_of(probe: &ProbeColumns, span: Span, spool: &str) -> String {
    let (location, worker) = (clean(&probe.location), clean(&probe.worker));
    let source = clean(&probe.source.to_string());
    format!("{source}/{}/{location}/{worker}/{spool}/{}", clean(&probe.probe), span.text())
}

/// The chunks of a probe: one, or several when it would be too large.
pub(in crate::mongodb) fn chunks(
    probe: &ProbeColumns,
    span: Span,
    spool: &str,
) -> Result<Vec<RawDocumentBuf>, StoreError> {
    let mut made = Vec::new();
    chunk_parts(probe, span, spool, &id_of(probe, span, spool), &mut made)?;
    Ok(made)
}

fn chunk_parts(
    probe: &ProbeColumns,
    span: Span,
    spool: &str,
    id: &str,
    made: &mut Vec<RawDocumentBuf>,
) -> Result<(), StoreError> {
    let columns = &probe.columns;
    let (Some(first), Some(last)) = (columns.times.first(), columns.times.last()) else { return Ok(()) };
    let effort = if matches!(span, Span::Hour(_)) { Effort::Quick } else { Effort::Thorough };
    let used: BTreeSet<u32> = columns.failures.iter().copied().filter(|number| *number != 0).collect();
    // Of a part of a longer time most evidence may be of the rest of it.
    let is_dense = used.len() == probe.evidence.len();
    let renumbered = (!is_dense).then(|| {
        let places: BTreeMap<u32, u32> = used.iter().copied().zip(1..).collect();
        columns.clone().renumbered(|number| number, |number| places.get(&number).copied().unwrap_or(0))
    });
    let evidence: Vec<&Evidence> = used.iter().filter_map(|number| probe.evidence_of(*number)).collect();
    let resolution = |number| probe.series.get(number as usize).and_then(|name| name.resolution);
    let data = chunk::encode(renumbered.as_ref().unwrap_or(columns), resolution, effort)
        .map_err(|reason| StoreError::Server { reason })?;
    let words: usize =
        evidence.iter().map(|one| one.message.len() + one.body.as_ref().map_or(0, String::len)).sum();
    // Where every check tells something new, what they tell is more than what they measure.
    if data.len() + words > CHUNK_BYTES && columns.len() > 1 && last > first {
        // Neither half may be empty.
        let middle = columns.times[columns.len() / 2].max(*first + 1);
        for (half, range) in [("a", *first..middle), ("b", middle..*last + 1)] {
            chunk_parts(&probe.part(range), span, spool, &format!("{id}{half}"), made)?;
        }
        return Ok(());
    }
    let series = probe.series.iter().map(|name| StoredSeries {
        metric: name.metric.clone(),
        labels: label_map(&name.labels),
        resolution: name.resolution,
        sketch: name.sketch,
    });
    let evidence = evidence.into_iter().map(|one| StoredEvidence {
        class: one.class.clone(),
        code: one.code.clone(),
        message: one.message.clone(),
        body: one.body.clone(),
    });
    made.push(encoded_raw(&StoredChunk {
        id: id.to_owned(),
        monitor: probe.source.to_string(),
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
pub(in crate::mongodb) struct ReadChunk {
    pub spool: String,
    pub day: i64,
    probe: StoredProbe,
    data: Vec<u8>,
}

#[derive(Debug)]
struct StoredProbe {
    id: String,
    source: SourceId,
    probe: String,
    location: String,
    worker: String,
    series: Vec<SeriesName>,
    evidence: Vec<Evidence>,
}

/// Reads a chunk; its columns stay compressed.
pub(in crate::mongodb) fn read_chunk(document: Document) -> Result<ReadChunk, StoreError> {
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
    let source = stored.monitor.parse().map_err(|error| damaged(&stored.id, error))?;
    Ok(ReadChunk {
        spool: stored.spool,
        day: micros(stored.day).div_euclid(MICROS_A_DAY),
        probe: StoredProbe {
            id: stored.id,
            source,
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
    /// Whose checks or samples they are.
    pub(in crate::mongodb) fn source(&self) -> &SourceId {
        &self.probe.source
    }

    /// Adds its checks in a range of microseconds to those of other chunks.
    pub(in crate::mongodb) fn gather(
        &self,
        range: std::ops::Range<i64>,
        gathering: &mut Gathering,
    ) -> Result<(), StoreError> {
        let probe = &self.probe;
        let columns = chunk::decode(&self.data).map_err(|reason| damaged(&probe.id, reason))?;
        let series = |place: u32| probe.series.get(place as usize);
        let evidence =
            |place: u32| probe.evidence.get((place as usize).wrapping_sub(1)).cloned().unwrap_or_default();
        let source = (probe.probe.as_str(), probe.location.as_str(), probe.worker.as_str());
        gathering.add(&probe.source, source, columns.within(range), series, evidence);
        Ok(())
    }

    /// The name of its probe.
    pub(in crate::mongodb) fn probe(&self) -> &str {
        &self.probe.probe
    }

    /// Adds its checks in a range of microseconds without what they have measured, or only those that failed; answers how
    /// many there were.
    pub(in crate::mongodb) fn gather_results(
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
        gathering.add(&probe.source, source, columns, |_| None, evidence);
        Ok(count)
    }

    /// Hands over the samples of a metric, by labels.
    pub(in crate::mongodb) fn samples(
        &self,
        metric: &str,
        mut take: impl FnMut(&str, Samples<'_>),
    ) -> Result<(), StoreError> {
        let probe = &self.probe;
        let is_wanted =
            |place: u32| probe.series.get(place as usize).is_some_and(|name| name.metric == metric);
        let found = |place: u32, samples: Samples<'_>| {
            if let Some(name) = probe.series.get(place as usize) {
                take(&name.labels, samples);
            }
        };
        chunk::decode_series(&self.data, is_wanted, found).map_err(|reason| damaged(&probe.id, reason))
    }
}

/// The checks of an hour, summed up.
pub(in crate::mongodb) fn results(probe: &ProbeColumns, hour: i64, spool: &str) -> RawDocumentBuf {
    let columns = &probe.columns;
    let count = |test: &dyn Fn(usize) -> bool| (0..columns.len()).filter(|index| test(*index)).count() as i64;
    let millis = |micros: u32| f64::from(micros) / 1000.0;
    let sum: f64 = columns.durations.iter().map(|micros| millis(*micros)).sum();
    let longest = columns.durations.iter().copied().max().unwrap_or(0);
    let (mut last, mut words) = (0, 0);
    let failed = (0..columns.len()).filter(|index| columns.failures[*index] != 0).take(FAILURES);
    let failures = failed.map(|index| {
        let number = columns.failures[index];
        let evidence = probe.evidence_of(number).cloned().unwrap_or_default();
        let status = columns.statuses[index];
        let mut one = rawdoc! {
            "time": date(columns.times[index]),
            "status": Status::from_code(status & !DOWN).unwrap_or(Status::Unknown).name(),
            "down": status & DOWN != 0,
            "duration_ms": millis(columns.durations[index]),
            "class": evidence.class,
            "message": evidence.message,
        };
        if let Some(code) = evidence.code {
            one.append(cstr!("code"), code);
        }
        // Later failures with the same evidence refer to the one before.
        words += evidence.body.as_ref().map_or(0, String::len);
        if let Some(body) = evidence.body
            && std::mem::replace(&mut last, number) != number
            && words <= RESULT_BYTES
        {
            one.append(cstr!("evidence"), body);
        }
        one
    });
    let failures: RawArrayBuf = failures.collect();
    rawdoc! {
        "_id": id_of(probe, Span::Hour(hour), spool),
        "monitor": probe.source.to_string(),
        "probe": probe.probe.as_str(),
        "location": probe.location.as_str(),
        "worker": probe.worker.as_str(),
        "hour": date(hour),
        "checks": columns.len() as i64,
        "failed": count(&|index| columns.failures[index] != 0),
        "down": count(&|index| columns.statuses[index] & DOWN != 0),
        "duration_ms": { "mean": sum / columns.len().max(1) as f64, "max": millis(longest) },
        "failures": failures,
    }
}

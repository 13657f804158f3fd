//! Readings as the API shows them.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;
use wise_core::{Absent, Labels, MetricRef, Reading, ReadingValue, Timestamp};
use wise_overview::{LastReadings, OverviewItem};

/// What the last checks of a monitor measured.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Readings)]
pub(crate) struct ReadingsView {
    /// By probe, in the order in which they first reported.
    probes: Vec<ProbeReadings>,
}

/// What the last check of a probe measured.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ProbeReadings {
    /// The probe.
    probe: &'static str,
    /// When the check began.
    #[schema(value_type = String)]
    time: Timestamp,
    /// Class of its failure.
    error_class: Option<String>,
    /// Message of its failure.
    message: Option<String>,
    /// The readings.
    readings: Vec<ReadingView>,
    /// Series that the check gave more than once, of which the worse reading is shown: a fault of the monitor's kind.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    duplicates: Vec<String>,
}

/// One reading.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Reading)]
pub(crate) struct ReadingView {
    /// Dotted name of the metric.
    metric: String,
    /// Title of the metric, for people.
    title: String,
    /// Unit; empty where a custom query names none.
    unit: String,
    /// The part of the target.
    labels: BTreeMap<String, String>,
    /// The value; null where there is none.
    value: Option<f64>,
    /// `exact`, `estimate`, or why there is no value: `unsupported`, `no_permission`, `unknown`.
    quality: &'static str,
    /// What grants a missing permission.
    hint: Option<String>,
}

impl ReadingsView {
    pub(crate) fn new(item: &OverviewItem) -> Self {
        Self { probes: item.readings.iter().map(ProbeReadings::new).collect() }
    }
}

impl ProbeReadings {
    fn new(last: &LastReadings) -> Self {
        let (error_class, message) = last.failure.clone().unzip();
        Self {
            probe: last.probe,
            time: last.time,
            error_class,
            message,
            readings: last.readings.iter().map(ReadingView::new).collect(),
            duplicates: last.duplicates.iter().map(|(metric, labels)| series_name(metric, labels)).collect(),
        }
    }
}

impl ReadingView {
    fn new(reading: &Reading) -> Self {
        let (title, unit) = match &reading.metric {
            MetricRef::Declared(spec) => (spec.title.to_owned(), spec.unit.to_owned()),
            MetricRef::Found(found) => (found.name.clone(), found.unit.clone()),
        };
        let (quality, hint) = match &reading.value {
            ReadingValue::Exact(_) => ("exact", None),
            ReadingValue::Estimate(_) => ("estimate", None),
            ReadingValue::Absent(Absent::Unsupported) => ("unsupported", None),
            ReadingValue::Absent(Absent::NoPermission(hint)) => ("no_permission", Some(hint.clone())),
            ReadingValue::Absent(Absent::NotKnown) => ("unknown", None),
        };
        Self {
            metric: reading.metric.name().to_owned(),
            title,
            unit,
            labels: reading.labels.pairs().iter().cloned().collect(),
            value: reading.value.number(),
            quality,
            hint,
        }
    }
}

/// Metric and labels in one text, as Prometheus writes a series.
pub(crate) fn series(reading: &Reading) -> String {
    series_name(&reading.metric, &reading.labels)
}

fn series_name(metric: &MetricRef, labels: &Labels) -> String {
    let labels: Vec<String> =
        labels.pairs().iter().map(|(name, value)| format!("{name}={value:?}")).collect();
    if labels.is_empty() {
        metric.name().to_owned()
    } else {
        format!("{}{{{}}}", metric.name(), labels.join(","))
    }
}

//! What a check returns.

use std::borrow::Cow;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use rustc_hash::FxHasher;
use serde_json::Value;

use crate::class::ErrorClass;
use crate::metric::MetricSpec;

/// The outcome of one check.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// The numbers.
    pub readings: Vec<Reading>,
    /// Short texts that describe the target, such as its version or role; only those that changed need be given.
    pub facts: Vec<(&'static str, String)>,
    /// Why the check failed; `None` when it passed.
    pub failure: Option<Failure>,
    /// The trace of the check: what was tried, what came back. Secrets are masked in it already.
    pub evidence: Option<Value>,
    /// The target is on this machine, so our uplink has no part in the outcome.
    pub local: bool,
}

impl Report {
    /// A report of a failed check, without readings.
    pub fn failed(failure: Failure) -> Self {
        Self { failure: Some(failure), ..Self::default() }
    }

    /// Adds an exact reading.
    pub fn push(&mut self, metric: &'static MetricSpec, value: f64) {
        self.readings.push(Reading::exact(metric, value));
    }

    /// Adds an exact reading of a part of the target.
    pub fn push_labelled(&mut self, metric: &'static MetricSpec, labels: &Labels, value: f64) {
        self.readings.push(Reading::new(metric, labels, ReadingValue::Exact(unsigned_zero(value))));
    }

    /// Adds an exact reading where there is a number.
    pub fn push_some(&mut self, metric: &'static MetricSpec, value: Option<f64>) {
        self.push_labelled_some(metric, &Labels::default(), value);
    }

    /// Adds an exact reading of a part of the target where there is a number.
    pub fn push_labelled_some(&mut self, metric: &'static MetricSpec, labels: &Labels, value: Option<f64>) {
        if let Some(value) = value.filter(|value| value.is_finite()) {
            self.push_labelled(metric, labels, value);
        }
    }

    /// Adds a reading that the target only estimates.
    pub fn push_estimate(&mut self, metric: &'static MetricSpec, labels: &Labels, value: f64) {
        self.readings.push(Reading::new(metric, labels, ReadingValue::Estimate(unsigned_zero(value))));
    }

    /// Adds the reason why there is no reading.
    pub fn push_absent(&mut self, metric: &'static MetricSpec, labels: &Labels, why: Absent) {
        self.readings.push(Reading::new(metric, labels, ReadingValue::Absent(why)));
    }

    /// The readings whose metric and labels an earlier reading has already, by index; empty when every series comes
    /// once, as it must. One allocation, and each set of labels that readings share is looked at once.
    pub fn duplicate_series(&self) -> Vec<DuplicateSeries> {
        let mut found = Vec::new();
        if self.readings.len() < 2 {
            return found;
        }
        let mut keys: Vec<(u64, usize)> = Vec::with_capacity(self.readings.len());
        let mut last: Option<(&Labels, u64)> = None;
        for (index, reading) in self.readings.iter().enumerate() {
            // The readings of one part stand together, and share its labels.
            let of_labels = match last {
                Some((labels, hash)) if labels.is_same(&reading.labels) => hash,
                _ => hash_of(&reading.labels),
            };
            last = Some((&reading.labels, of_labels));
            keys.push((hash_of(&(of_labels, reading.metric.name())), index));
        }
        keys.sort_unstable();
        for alike in keys.chunk_by(|a, b| a.0 == b.0).filter(|alike| alike.len() > 1) {
            // Equal hashes are nearly always equal series, so there is nearly always one first.
            let mut firsts: Vec<usize> = Vec::new();
            for (_, index) in alike {
                let reading = &self.readings[*index];
                match firsts.iter().find(|first| self.readings[**first].is_same_series(reading)) {
                    Some(first) => found.push(DuplicateSeries { first: *first, index: *index }),
                    None => firsts.push(*index),
                }
            }
        }
        found.sort_unstable_by_key(|duplicate| duplicate.index);
        found
    }
}

fn hash_of(value: &impl Hash) -> u64 {
    let mut hasher = FxHasher::default();
    value.hash(&mut hasher);
    hasher.finish()
}

/// A reading of a series that is in the report already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DuplicateSeries {
    /// Index of the first reading of the series.
    pub first: usize,
    /// Index of the reading that comes again.
    pub index: usize,
}

/// Why a check failed.
#[derive(Clone, Debug, PartialEq)]
pub struct Failure {
    /// The class.
    pub class: &'static ErrorClass,
    /// A finer code within the class, such as `expired` in `tls`.
    pub code: Option<Cow<'static, str>>,
    /// One sentence for people, lower case, without secrets.
    pub message: String,
}

impl Failure {
    /// A failure of a class.
    pub fn new(class: &'static ErrorClass, message: impl Into<String>) -> Self {
        Self { class, code: None, message: message.into() }
    }

    /// Adds the finer code.
    pub fn code(mut self, code: impl Into<Cow<'static, str>>) -> Self {
        self.code = Some(code.into());
        self
    }
}

/// Label names and values, sorted by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Labels(Option<Arc<[(String, String)]>>);

impl Labels {
    /// Labels in any order; the last of a repeated name wins.
    pub fn new(pairs: impl IntoIterator<Item = (String, String)>) -> Self {
        let sorted: std::collections::BTreeMap<String, String> = pairs.into_iter().collect();
        if sorted.is_empty() { Self(None) } else { Self(Some(sorted.into_iter().collect())) }
    }

    /// One label.
    pub fn one(name: &str, value: impl Into<String>) -> Self {
        Self(Some(Arc::new([(name.to_owned(), value.into())])))
    }

    /// These labels and one more.
    pub fn with(&self, name: &str, value: impl Into<String>) -> Self {
        Self::new(self.pairs().iter().cloned().chain([(name.to_owned(), value.into())]))
    }

    /// The pairs, sorted by name.
    pub fn pairs(&self) -> &[(String, String)] {
        self.0.as_deref().unwrap_or(&[])
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Whether both are the same without a look at the texts; false may mean either.
    fn is_same(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            (None, None) => true,
            _ => false,
        }
    }
}

impl serde::Serialize for Labels {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.pairs().iter().map(|(name, value)| (name, value)))
    }
}

impl<'de> serde::Deserialize<'de> for Labels {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        std::collections::BTreeMap::<String, String>::deserialize(deserializer).map(Self::new)
    }
}

impl schemars::JsonSchema for Labels {
    fn schema_name() -> Cow<'static, str> {
        "Labels".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        std::collections::BTreeMap::<String, String>::json_schema(generator)
    }
}

/// A metric that was found at run time, under one of the plugin's patterns.
#[derive(Debug, PartialEq)]
pub struct FoundMetric {
    /// Dotted name.
    pub name: String,
    /// Unit.
    pub unit: String,
}

/// The metric of a reading.
#[derive(Clone, Debug, PartialEq)]
pub enum MetricRef {
    /// From the catalogue.
    Declared(&'static MetricSpec),
    /// Found at run time.
    Found(Arc<FoundMetric>),
}

impl MetricRef {
    /// The dotted name.
    pub fn name(&self) -> &str {
        match self {
            Self::Declared(spec) => spec.name,
            Self::Found(found) => &found.name,
        }
    }

    /// The step in which values are kept.
    pub fn resolution(&self) -> Option<f64> {
        match self {
            Self::Declared(spec) => spec.resolution,
            Self::Found(_) => None,
        }
    }

    /// Whether quantiles are kept over long ranges.
    pub fn sketch(&self) -> bool {
        match self {
            Self::Declared(spec) => spec.sketch,
            Self::Found(_) => false,
        }
    }
}

/// One measurement of a check.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    /// What was measured.
    pub metric: MetricRef,
    /// On which part of the target.
    pub labels: Labels,
    /// The value, or why there is none.
    pub value: ReadingValue,
}

impl Reading {
    /// A reading of a declared metric.
    pub fn new(metric: &'static MetricSpec, labels: &Labels, value: ReadingValue) -> Self {
        Self { metric: MetricRef::Declared(metric), labels: labels.clone(), value }
    }

    /// An exact value without labels.
    pub fn exact(metric: &'static MetricSpec, value: f64) -> Self {
        Self {
            metric: MetricRef::Declared(metric),
            labels: Labels::default(),
            value: ReadingValue::Exact(unsigned_zero(value)),
        }
    }

    fn is_same_series(&self, other: &Self) -> bool {
        self.metric.name() == other.metric.name() && self.labels == other.labels
    }
}

/// A sum of nothing is -0.0, which reads oddly.
fn unsigned_zero(value: f64) -> f64 {
    value + 0.0
}

/// A value and how good it is. Absent is never zero.
#[derive(Clone, Debug, PartialEq)]
pub enum ReadingValue {
    /// As measured.
    Exact(f64),
    /// From statistics of the target that may lag behind.
    Estimate(f64),
    /// There is none.
    Absent(Absent),
}

impl ReadingValue {
    /// The number, if there is a finite one.
    pub fn number(&self) -> Option<f64> {
        match self {
            Self::Exact(value) | Self::Estimate(value) if value.is_finite() => Some(*value),
            _ => None,
        }
    }
}

/// Why a reading has no value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Absent {
    /// This version of the target does not have it.
    Unsupported,
    /// A right is missing; the text names it.
    NoPermission(String),
    /// The target says that it does not know.
    NotKnown,
}

#[cfg(test)]
mod tests {
    use super::*;

    static SIZE: MetricSpec = MetricSpec::gauge("t.size_bytes", "bytes", "Size", "Size of a part");
    static FREE: MetricSpec = MetricSpec::gauge("t.free_bytes", "bytes", "Free", "Free in a part");

    fn of(report: &Report) -> Vec<(usize, usize)> {
        report.duplicate_series().iter().map(|found| (found.first, found.index)).collect()
    }

    #[test]
    fn a_report_whose_series_come_once_has_no_duplicates() {
        let mut report = Report::default();
        assert_eq!(of(&report), []);
        report.push(&SIZE, 1.0);
        assert_eq!(of(&report), []);
        report.push(&FREE, 1.0);
        for part in ["a", "b"] {
            let labels = Labels::one("part", part);
            report.push_labelled(&SIZE, &labels, 1.0);
            report.push_labelled(&FREE, &labels, 1.0);
            report.push_labelled(&SIZE, &labels.with("window", "7d"), 1.0);
        }
        assert_eq!(of(&report), []);
    }

    #[test]
    fn the_same_metric_and_labels_twice_are_a_duplicate_whatever_the_values() {
        let mut report = Report::default();
        let labels = |part: &str| Labels::one("part", part).with("place", "x");
        report.push_labelled(&SIZE, &labels("a"), 1.0);
        report.push_labelled(&SIZE, &labels("b"), 1.0);
        // Labels that were made again, and in another order.
        let again = [("place".to_owned(), "x".to_owned()), ("part".to_owned(), "a".to_owned())];
        report.push_estimate(&SIZE, &Labels::new(again), 2.0);
        report.push(&FREE, 1.0);
        report.push_absent(&SIZE, &labels("a"), Absent::NotKnown);
        report.push_absent(&FREE, &Labels::default(), Absent::NotKnown);
        assert_eq!(of(&report), [(0, 2), (0, 4), (3, 5)]);
    }

    #[test]
    fn a_metric_found_at_run_time_is_known_by_its_name() {
        let found = |value: f64| Reading {
            metric: MetricRef::Found(Arc::new(FoundMetric {
                name: "t.query.n".to_owned(),
                unit: String::new(),
            })),
            labels: Labels::default(),
            value: ReadingValue::Exact(value),
        };
        let report = Report { readings: vec![found(1.0), found(2.0)], ..Report::default() };
        assert_eq!(of(&report), [(0, 1)]);
    }

    #[test]
    fn many_readings_are_looked_through_in_one_go() {
        let mut report = Report::default();
        for part in 0..20_000 {
            report.push_labelled(&SIZE, &Labels::one("part", part.to_string()), 1.0);
        }
        for _ in 0..20_000 {
            report.push(&FREE, 1.0);
        }
        let found = of(&report);
        assert_eq!(
            (found.len(), found.first(), found.last()),
            (19_999, Some(&(20_000, 20_001)), Some(&(20_000, 39_999)))
        );
    }
}

//! Series that are over a bound, with hysteresis.

use std::cmp::Ordering;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use rustc_hash::FxHashMap;
use wise_core::{
    ClearCause, Condition, ConditionKey, Direction, EventKind, FoundMetric, Labels, MetricRef, MonitorSpec,
    Plugin, ReadingValue, Reason, Severity, Threshold, Timestamp,
};

use super::{Seen, edited};

/// Passed checks without a reading of the target as a whole before its threshold is dropped.
const MISSED_BEFORE_GONE: u32 = 3;

/// The bounds of a monitor's metrics, and the series that are over one.
#[derive(Debug)]
pub(crate) struct Thresholds {
    plugin: &'static Plugin,
    spec: MonitorSpec,
    /// By metric; `None` where there is no bound.
    bounds: FxHashMap<String, Option<Threshold>>,
    /// Only series that are over a bound need memory.
    crossed: FxHashMap<SeriesKey, Crossed>,
}

/// A series of this monitor.
#[derive(Clone, Debug)]
struct SeriesKey {
    metric: MetricRef,
    labels: Labels,
}

impl PartialEq for SeriesKey {
    fn eq(&self, other: &Self) -> bool {
        self.metric.name() == other.metric.name() && self.labels == other.labels
    }
}

impl Eq for SeriesKey {}

impl SeriesKey {
    /// By name, then by labels.
    fn cmp(&self, other: &Self) -> Ordering {
        self.metric
            .name()
            .cmp(other.metric.name())
            .then_with(|| self.labels.pairs().cmp(other.labels.pairs()))
    }
}

impl Hash for SeriesKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.metric.name().hash(state);
        self.labels.hash(state);
    }
}

#[derive(Debug)]
struct Crossed {
    /// The probe that reads the series.
    probe: usize,
    /// Whether the report at hand had it.
    seen: bool,
    /// Passed checks in a row that did not have it.
    missed: u32,
    /// The severity that the last readings ask for, and how many of them.
    wanted: (Severity, u32),
    /// When the run of those readings began.
    run_since: Timestamp,
    value: f64,
    /// Where warning and critical begin.
    bounds: (Option<f64>, Option<f64>),
    /// Set once there were enough.
    condition: Option<Condition>,
}

impl Crossed {
    fn severity(&self) -> Severity {
        self.condition.as_ref().map_or(Severity::Fine, |condition| condition.severity)
    }
}

impl Thresholds {
    pub(super) fn new(spec: &MonitorSpec, plugin: &'static Plugin) -> Self {
        Self { plugin, spec: spec.clone(), bounds: FxHashMap::default(), crossed: FxHashMap::default() }
    }

    /// The worst condition, with the value of the last reading. Of those that are alike the first by name.
    pub(crate) fn worst(&self) -> Option<(Severity, Reason)> {
        let raised = self.crossed.iter().filter(|(_, crossed)| crossed.condition.is_some());
        let (key, crossed) = raised.max_by(|(a_key, a), (b_key, b)| {
            a.severity().cmp(&b.severity()).then_with(|| b_key.cmp(a_key))
        })?;
        let probe = self.plugin.probes[crossed.probe].name;
        Some((crossed.severity(), reason(key, crossed, crossed.severity(), probe)))
    }

    pub(super) fn conditions(&self) -> impl Iterator<Item = &Condition> {
        self.crossed.values().filter_map(|crossed| crossed.condition.as_ref())
    }

    pub(super) fn into_conditions(self) -> impl Iterator<Item = Condition> {
        self.crossed.into_values().filter_map(|crossed| crossed.condition)
    }

    pub(super) fn restore(
        &mut self,
        plugin: &'static Plugin,
        probe: usize,
        metric: &str,
        labels: &Labels,
        condition: &Condition,
    ) {
        let metric = plugin.metric(metric).map_or_else(
            || MetricRef::Found(Arc::new(FoundMetric { name: metric.to_owned(), unit: String::new() })),
            MetricRef::Declared,
        );
        let crossed = Crossed {
            probe,
            seen: false,
            missed: 0,
            wanted: (condition.severity, u32::MAX),
            run_since: condition.since,
            value: condition.reason.value.unwrap_or(f64::NAN),
            bounds: (condition.reason.bound, condition.reason.bound),
            condition: Some(condition.clone()),
        };
        self.crossed.insert(SeriesKey { metric, labels: labels.clone() }, crossed);
    }

    /// Takes over what an earlier definition knew. Whether a reading is over a changed bound is for the next one to say.
    pub(super) fn replace(&mut self, old: Self, runs: &dyn Fn(usize) -> bool, events: &mut Vec<EventKind>) {
        for (key, crossed) in old.crossed {
            if runs(crossed.probe) && self.bounds_of(&key.metric).is_some() {
                self.crossed.insert(key, crossed);
            } else {
                events.extend(crossed.condition.map(edited));
            }
        }
    }

    pub(super) fn resume(&mut self) {
        self.crossed.retain(|_, crossed| crossed.condition.is_some());
        self.crossed.values_mut().for_each(|crossed| (crossed.missed, crossed.wanted.1) = (0, 0));
    }

    /// Whether `one` is worse than `other`, for a metric that has a bound; without one, neither is.
    pub(crate) fn is_worse(&mut self, metric: &MetricRef, one: &ReadingValue, other: &ReadingValue) -> bool {
        let Some(threshold) = self.bounds_of(metric) else { return false };
        match (one.number(), other.number(), threshold.direction) {
            (Some(one), Some(other), Direction::Above) => one > other,
            (Some(one), Some(other), Direction::Below) => one < other,
            // What was measured says more than what was not.
            (one, other, _) => one.is_some() && other.is_none(),
        }
    }

    pub(super) fn apply(&mut self, seen: &Seen<'_>, events: &mut Vec<EventKind>) {
        self.crossed.values_mut().for_each(|crossed| crossed.seen = false);
        for reading in &seen.report.readings {
            let Some(threshold) = self.bounds_of(&reading.metric) else { continue };
            let key = SeriesKey { metric: reading.metric.clone(), labels: reading.labels.clone() };
            let Some(value) = reading.value.number() else {
                // No value is no improvement.
                if let Some(crossed) = self.crossed.get_mut(&key) {
                    crossed.seen = true;
                }
                continue;
            };
            self.take_value(seen, key, value, &threshold, events);
        }
        self.drop_gone(seen, events);
    }

    fn take_value(
        &mut self,
        seen: &Seen<'_>,
        key: SeriesKey,
        value: f64,
        threshold: &Threshold,
        events: &mut Vec<EventKind>,
    ) {
        let current = self.crossed.get(&key).map_or(Severity::Fine, Crossed::severity);
        let asked = threshold.classify(value, current);
        let crossed = match self.crossed.get_mut(&key) {
            None if asked == Severity::Fine => return,
            Some(crossed) => crossed,
            None => self.crossed.entry(key.clone()).or_insert(Crossed {
                probe: seen.index,
                seen: true,
                missed: 0,
                wanted: (Severity::Fine, 0),
                run_since: seen.time,
                value,
                bounds: (threshold.warning, threshold.critical),
                condition: None,
            }),
        };
        crossed.seen = true;
        crossed.value = value;
        crossed.bounds = (threshold.warning, threshold.critical);
        // Warning and critical in turn are both beyond: they count together.
        let goes_on = crossed.wanted.0 == asked || (crossed.wanted.0 > current && asked > current);
        let count = if goes_on { crossed.wanted.1.saturating_add(1) } else { 1 };
        if count == 1 {
            crossed.run_since = seen.time;
        }
        crossed.wanted = (asked, count);
        // Getting better counts at once: the hysteresis has already asked for a margin.
        if asked == current || (asked > current && count < threshold.checks) {
            return;
        }
        if asked == Severity::Fine {
            if let Some(condition) = crossed.condition.take() {
                events.push(EventKind::Cleared { condition, cause: ClearCause::Recovered });
            }
            return;
        }
        let reason = reason(&key, crossed, asked, seen.probe);
        let condition = Condition {
            key: ConditionKey::Threshold {
                probe: seen.probe.to_owned(),
                metric: key.metric.name().to_owned(),
                labels: key.labels,
            },
            severity: asked,
            since: crossed.condition.as_ref().map_or(crossed.run_since, |known| known.since),
            reason,
            evidence: seen.evidence.cloned(),
        };
        events.push(match crossed.condition.replace(condition.clone()) {
            None => EventKind::Raised { condition },
            Some(before) => EventKind::Changed { condition, before: before.severity },
        });
    }

    /// A part of the target that a passed check no longer finds is gone, and so is its trouble: a table that was dropped,
    /// a disk that was taken out. What is measured of the target as a whole may be missing once, as a ratio that needs two
    /// checks; missing for longer, it no longer applies, as the lag of a replica that was promoted.
    fn drop_gone(&mut self, seen: &Seen<'_>, events: &mut Vec<EventKind>) {
        let passed = seen.report.failure.is_none();
        self.crossed.retain(|key, crossed| {
            if passed && crossed.probe == seen.index {
                crossed.missed = if crossed.seen { 0 } else { crossed.missed + 1 };
            }
            let patience = if key.labels.is_empty() { MISSED_BEFORE_GONE } else { 1 };
            if crossed.missed >= patience {
                let gone = crossed.condition.take();
                events
                    .extend(gone.map(|condition| EventKind::Cleared { condition, cause: ClearCause::Gone }));
                return false;
            }
            crossed.condition.is_some() || crossed.wanted.0 != Severity::Fine
        });
    }

    fn bounds_of(&mut self, metric: &MetricRef) -> Option<Threshold> {
        let name = metric.name();
        // Most metrics have no bound: say so without touching the map.
        if let MetricRef::Declared(spec) = metric
            && spec.threshold.is_none()
            && !self.spec.thresholds.contains_key(name)
        {
            return None;
        }
        if let Some(known) = self.bounds.get(name) {
            return *known;
        }
        let threshold =
            self.spec.threshold(self.plugin, name).filter(|t| t.warning.is_some() || t.critical.is_some());
        self.bounds.insert(name.to_owned(), threshold);
        threshold
    }
}

fn reason(key: &SeriesKey, crossed: &Crossed, severity: Severity, probe: &str) -> Reason {
    let (title, unit) = match &key.metric {
        MetricRef::Declared(spec) => (spec.title, spec.unit),
        MetricRef::Found(found) => (found.name.as_str(), ""),
    };
    let unit = match unit {
        "seconds" => " s",
        "bytes" => " bytes",
        "days" => " days",
        _ => "",
    };
    let (level, bound) = match severity {
        Severity::Critical => ("critical", crossed.bounds.1),
        Severity::Warning | Severity::Fine => ("warning", crossed.bounds.0),
    };
    let on: Vec<String> = key.labels.pairs().iter().map(|(name, value)| format!("{name} {value}")).collect();
    let on = if on.is_empty() { String::new() } else { format!(" of {}", on.join(", ")) };
    let at = bound.map(|bound| format!(", {level} at {bound}{unit}")).unwrap_or_default();
    Reason {
        code: Some(level.to_owned()),
        probe: Some(probe.to_owned()),
        metric: Some(key.metric.name().to_owned()),
        labels: key.labels.clone(),
        value: Some(crossed.value).filter(|value| value.is_finite()),
        bound,
        ..Reason::new("threshold", format!("{title}{on} is {}{unit}{at}", round(crossed.value)))
    }
}

/// Four significant digits: enough to compare, short enough to read.
fn round(value: f64) -> f64 {
    if value == 0.0 || !value.is_finite() {
        return value;
    }
    let scale = 10f64.powi(3 - value.abs().log10().floor() as i32);
    (value * scale).round() / scale
}

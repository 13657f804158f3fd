//! The status engine: from reports to a status. Pure, one for each monitor.

use rustc_hash::FxHashMap;
use wise_core::{
    Failure, Fault, Labels, MetricRef, MonitorSpec, Plugin, Reason, Report, Severity, Status, Threshold,
    Timestamp,
};

/// Passed checks without a reading of the target as a whole before its threshold is dropped.
const MISSED_BEFORE_GONE: u32 = 3;

/// Decides the status of one monitor.
#[derive(Debug)]
pub struct StatusEngine {
    plugin: &'static Plugin,
    failures: u32,
    window: u32,
    successes: u32,
    thresholds: FxHashMap<String, Option<Threshold>>,
    spec: MonitorSpec,

    /// Outcomes of the last availability checks, the newest in the lowest bit, 1 for a failure.
    recent: u128,
    passed_in_a_row: u32,
    is_down: bool,
    /// The last availability check failed through the target.
    is_failing: bool,
    last_failure: Option<Reason>,
    own_trouble: Option<Reason>,
    /// Failures in a row and the reason, of each probe other than availability.
    others: Vec<(u32, Option<Reason>)>,
    crossed: FxHashMap<(String, Labels), Crossed>,

    status: Status,
    /// Whether the last change said that the monitor was down.
    shown_down: bool,
    since: Timestamp,
    reason: Option<Reason>,
}

#[derive(Debug)]
struct Crossed {
    /// The probe that reads the series.
    probe: usize,
    /// Whether the report at hand had it.
    seen: bool,
    /// Passed checks in a row that did not have it.
    missed: u32,
    severity: Severity,
    /// The severity that the last readings ask for, and how many of them.
    wanted: (Severity, u32),
    value: f64,
    title: String,
    /// As it is written behind a number, with a space before it.
    unit: &'static str,
    bound: Option<f64>,
}

/// What a report led to.
#[derive(Debug, PartialEq)]
pub struct Evaluation {
    /// The status before, when it changed.
    pub changed_from: Option<Status>,
    /// The next check should come soon: the outcome is bad and not yet decided.
    pub retry: bool,
    /// The failure is final, so the next checks should come late.
    pub back_off: bool,
}

impl StatusEngine {
    /// An engine that knows nothing yet.
    pub fn new(spec: &MonitorSpec, plugin: &'static Plugin, now: Timestamp) -> Self {
        Self {
            plugin,
            failures: spec.failures_before_unhealthy,
            window: spec.failure_window.unwrap_or(spec.failures_before_unhealthy),
            successes: spec.successes_before_healthy,
            thresholds: FxHashMap::default(),
            spec: spec.clone(),
            recent: 0,
            passed_in_a_row: 0,
            is_down: false,
            is_failing: false,
            last_failure: None,
            own_trouble: None,
            others: vec![(0, None); plugin.probes.len()],
            crossed: FxHashMap::default(),
            status: Status::Unknown,
            shown_down: false,
            since: now,
            reason: None,
        }
    }

    /// Goes on where an earlier run ended. A monitor that was down stays down at its first failure.
    pub fn restore(&mut self, status: Status, since: Timestamp, reason: Option<Reason>, was_down: bool) {
        self.status = status;
        self.since = since;
        self.last_failure.clone_from(&reason);
        self.reason = reason;
        if was_down {
            self.is_down = true;
            self.is_failing = true;
            self.recent = (1 << self.window) - 1;
            self.shown_down = self.down();
        }
    }

    /// Takes over what another engine of the same monitor knew, so that a change of its definition forgets nothing.
    pub fn succeed(&mut self, old: Self) {
        self.restore(old.status, old.since, old.reason, old.is_down);
        if std::ptr::eq(self.plugin, old.plugin) {
            self.crossed = old.crossed;
        }
    }

    /// The status now.
    pub fn status(&self) -> Status {
        self.status
    }

    /// Whether the monitor counts as down now.
    pub fn down(&self) -> bool {
        self.is_down && self.status == Status::Unhealthy
    }

    /// Since when it has this status.
    pub fn since(&self) -> Timestamp {
        self.since
    }

    /// Why.
    pub fn reason(&self) -> Option<&Reason> {
        self.reason.as_ref()
    }

    /// Whether the last availability check failed, so that the other probes should wait.
    pub fn is_failing(&self) -> bool {
        self.is_failing
    }

    /// Sets the status from outside: paused, or a definition that does not build.
    pub fn force(&mut self, status: Status, reason: Option<Reason>, time: Timestamp) -> Option<Status> {
        self.set(status, reason, time)
    }

    /// Takes in a report of a probe.
    pub fn apply(&mut self, probe: usize, report: &Report, time: Timestamp) -> Evaluation {
        let name = self.plugin.probes.get(probe).map_or("", |probe| probe.name);
        if probe == 0 {
            self.availability(report.failure.as_ref(), name);
        } else if let Some((count, reason)) = self.others.get_mut(probe) {
            match &report.failure {
                None => (*count, *reason) = (0, None),
                Some(failure) if failure.class.fault == Fault::Own => {}
                Some(failure) => {
                    *count += 1;
                    *reason = Some(Reason::from_failure(failure, name));
                }
            }
        }
        self.take_readings(probe, report);
        let (status, reason) = self.judge();
        let changed_from = self.set(status, reason, time);
        let is_target = report.failure.as_ref().is_some_and(|failure| failure.class.fault == Fault::Target);
        Evaluation {
            changed_from,
            retry: probe == 0 && is_target && !self.is_down,
            back_off: report.failure.as_ref().is_some_and(|failure| failure.class.is_final),
        }
    }

    fn availability(&mut self, failure: Option<&Failure>, probe: &str) {
        match failure {
            // Our own trouble is no evidence either way: what is known of the target stays.
            Some(failure) if failure.class.fault == Fault::Own => {
                self.own_trouble = Some(Reason::from_failure(failure, probe));
            }
            Some(failure) => {
                self.own_trouble = None;
                self.is_failing = true;
                self.passed_in_a_row = 0;
                self.recent = (self.recent << 1) | 1;
                self.last_failure = Some(Reason::from_failure(failure, probe));
                let mask = (1u128 << self.window) - 1;
                if failure.class.is_final || (self.recent & mask).count_ones() >= self.failures {
                    self.is_down = true;
                }
            }
            None => {
                self.own_trouble = None;
                self.is_failing = false;
                self.passed_in_a_row += 1;
                self.recent <<= 1;
                if self.is_down && self.passed_in_a_row >= self.successes {
                    self.is_down = false;
                    // Failures from before the recovery must not count towards the next outage.
                    self.recent = 0;
                }
            }
        }
    }

    fn take_readings(&mut self, probe: usize, report: &Report) {
        self.crossed.values_mut().for_each(|crossed| crossed.seen = false);
        for reading in &report.readings {
            let Some(value) = reading.value.number() else {
                // No value is no improvement.
                if let Some(crossed) =
                    self.crossed.get_mut(&(reading.metric.name().to_owned(), reading.labels.clone()))
                {
                    crossed.seen = true;
                }
                continue;
            };
            let Some(threshold) = self.threshold(&reading.metric) else { continue };
            // Only series that have ever crossed a bound need memory.
            let name = reading.metric.name();
            let known =
                self.crossed.iter_mut().find(|((n, l), _)| n == name && *l == reading.labels).map(|(_, c)| c);
            let current = known.as_ref().map_or(Severity::Fine, |crossed| crossed.severity);
            let asked = threshold.classify(value, current);
            let (title, unit) = match &reading.metric {
                MetricRef::Declared(spec) => (spec.title.to_owned(), spec.unit),
                MetricRef::Found(found) => (found.name.clone(), ""),
            };
            let unit = match unit {
                "seconds" => " s",
                "bytes" => " bytes",
                "days" => " days",
                _ => "",
            };
            let bound = match asked {
                Severity::Critical => threshold.critical,
                Severity::Warning => threshold.warning,
                Severity::Fine => None,
            };
            match known {
                None if asked == Severity::Fine => {}
                None => {
                    let severity = if threshold.checks <= 1 { asked } else { Severity::Fine };
                    let wanted = (asked, 1);
                    let crossed =
                        Crossed { probe, seen: true, missed: 0, severity, wanted, value, title, unit, bound };
                    self.crossed.insert((name.to_owned(), reading.labels.clone()), crossed);
                }
                Some(crossed) => {
                    crossed.seen = true;
                    crossed.value = value;
                    crossed.bound = bound;
                    // Warning and critical in turn are both beyond: they count together.
                    let goes_on = crossed.wanted.0 == asked
                        || (crossed.wanted.0 > crossed.severity && asked > crossed.severity);
                    let count = if goes_on { crossed.wanted.1.saturating_add(1) } else { 1 };
                    crossed.wanted = (asked, count);
                    // Getting better counts at once: the hysteresis has already asked for a margin.
                    if asked < crossed.severity || count >= threshold.checks {
                        crossed.severity = asked;
                    }
                }
            }
        }
        // A part of the target that a passed check no longer finds is gone, and so is its trouble: a table that was
        // dropped, a disk that was taken out. What is measured of the target as a whole may be missing once, as a ratio
        // that needs two checks; missing for longer, it no longer applies, as the lag of a replica that was promoted.
        let passed = report.failure.is_none();
        self.crossed.retain(|(_, labels), crossed| {
            if passed && crossed.probe == probe {
                crossed.missed = if crossed.seen { 0 } else { crossed.missed + 1 };
            }
            let patience = if labels.is_empty() { MISSED_BEFORE_GONE } else { 1 };
            let is_gone = crossed.missed >= patience;
            !is_gone && (crossed.severity != Severity::Fine || crossed.wanted.0 != Severity::Fine)
        });
    }

    fn threshold(&mut self, metric: &MetricRef) -> Option<Threshold> {
        let name = metric.name();
        // Most metrics have no threshold: say so without touching the map.
        if let MetricRef::Declared(spec) = metric
            && spec.threshold.is_none()
            && !self.spec.thresholds.contains_key(name)
        {
            return None;
        }
        if let Some(known) = self.thresholds.get(name) {
            return *known;
        }
        let threshold =
            self.spec.threshold(self.plugin, name).filter(|t| t.warning.is_some() || t.critical.is_some());
        self.thresholds.insert(name.to_owned(), threshold);
        threshold
    }

    fn judge(&self) -> (Status, Option<Reason>) {
        if let Some(own) = &self.own_trouble {
            return (Status::Unknown, Some(own.clone()));
        }
        if self.is_down {
            return (Status::Unhealthy, self.last_failure.clone());
        }
        if self.is_failing || (self.recent == 0 && self.passed_in_a_row == 0) {
            // Not decided yet: the status stays until it is.
            return (self.status, self.reason.clone());
        }
        let worst =
            self.crossed.iter().filter(|(_, crossed)| crossed.severity != Severity::Fine).max_by(
                |(a_key, a), (b_key, b)| a.severity.cmp(&b.severity).then_with(|| b_key.0.cmp(&a_key.0)),
            );
        let critical = worst.filter(|(_, crossed)| crossed.severity == Severity::Critical);
        if let Some(((metric, labels), crossed)) = critical {
            return (Status::Unhealthy, Some(crossed.reason(metric, labels)));
        }
        let failing = self.others.iter().find(|(count, _)| *count >= self.failures);
        if let Some((_, reason)) = failing {
            return (Status::Degraded, reason.clone());
        }
        if let Some(((metric, labels), crossed)) = worst {
            return (Status::Degraded, Some(crossed.reason(metric, labels)));
        }
        (Status::Healthy, None)
    }

    fn set(&mut self, status: Status, reason: Option<Reason>, time: Timestamp) -> Option<Status> {
        self.reason = reason;
        if status == self.status && self.down() == self.shown_down {
            return None;
        }
        let before = std::mem::replace(&mut self.status, status);
        // Unhealthy by a threshold and unhealthy because it is down differ in what counts against uptime: going from
        // one to the other is a change, though the status stays.
        self.shown_down = self.down();
        self.since = time;
        Some(before)
    }
}

impl Crossed {
    fn reason(&self, metric: &str, labels: &Labels) -> Reason {
        let level = if self.severity == Severity::Critical { "critical" } else { "warning" };
        let on: Vec<String> = labels.pairs().iter().map(|(name, value)| format!("{name} {value}")).collect();
        let on = if on.is_empty() { String::new() } else { format!(" of {}", on.join(", ")) };
        let bound = self.bound.map(|bound| format!(", {level} at {bound}{}", self.unit)).unwrap_or_default();
        Reason {
            class: "threshold".to_owned(),
            code: Some(level.to_owned()),
            message: format!("{}{on} is {}{}{bound}", self.title, round(self.value), self.unit),
            probe: None,
            metric: Some(metric.to_owned()),
            value: Some(self.value),
        }
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

#[cfg(test)]
mod tests;

//! Runs the probes of a plugin as the orchestrator would.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use wise_core::{
    Absent, BuildContext, CheckContext, Clock, Monitor, Plugin, Probe, Reading, ReadingValue, Report,
    SecretLookup, SystemClock,
};

/// Between two checks. InnoDB shows transactions and locks from a copy that it renews only when no one has asked for
/// 0.1 s: who asks more often sees the same for ever.
const BETWEEN_CHECKS: Duration = Duration::from_millis(150);

struct Secrets;

impl SecretLookup for Secrets {
    fn env(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }

    fn file(&self, path: &str) -> Result<String, String> {
        std::fs::read_to_string(path).map_err(|error| error.to_string())
    }
}

/// A monitor with its probes, which keep their state from check to check.
pub struct Watch {
    plugin: &'static Plugin,
    monitor: Arc<dyn Monitor>,
    probes: HashMap<&'static str, Box<dyn Probe>>,
}

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watch").field("monitor", &self.monitor).finish_non_exhaustive()
    }
}

impl Watch {
    /// What constructors are given.
    pub fn context() -> BuildContext {
        BuildContext::new(Arc::new(Secrets)).with(Arc::new(wise_net::Net::new(Arc::new(wise_net::AllowAll))))
    }

    /// A monitor with these settings.
    ///
    /// # Panics
    /// They do not build.
    pub fn new(plugin: &'static Plugin, settings: Value) -> Self {
        let monitor = (plugin.build)(settings, &Self::context())
            .unwrap_or_else(|errors| panic!("the settings do not build: {errors}"));
        Self { plugin, monitor, probes: HashMap::new() }
    }

    /// Why the settings do not build.
    ///
    /// # Panics
    /// They do.
    pub fn refused(plugin: &'static Plugin, settings: Value) -> String {
        match (plugin.build)(settings, &Self::context()) {
            Ok(monitor) => panic!("the settings build: {monitor:?}"),
            Err(errors) => errors.to_string(),
        }
    }

    /// Whether a probe has anything to do.
    pub fn has_work(&self, probe: &str) -> bool {
        self.monitor.has_work(probe)
    }

    /// Makes a check under the probe's own deadline.
    pub async fn check(&mut self, probe: &str) -> Report {
        let timeout =
            self.plugin.probes[self.plugin.probe_index(probe).expect("a probe of the plugin")].timeout;
        self.check_within(probe, timeout).await
    }

    /// Makes a check under a deadline, and fails when it is overstayed.
    ///
    /// # Panics
    /// The check overstays its deadline, or its report breaks a rule of [`wise_core::conformance`].
    pub async fn check_within(&mut self, probe: &str, timeout: Duration) -> Report {
        let spec = &self.plugin.probes[self.plugin.probe_index(probe).expect("a probe of the plugin")];
        let monitor = &self.monitor;
        let slot = self
            .probes
            .entry(spec.name)
            .or_insert_with(|| monitor.probe(spec.name).expect("the monitor makes its probes"));
        let cx = CheckContext { timeout, now: SystemClock.now(), detailed: true };
        // The orchestrator grants half a second more before it throws a probe away.
        let report = tokio::time::timeout(timeout + Duration::from_millis(500), slot.check(&cx))
            .await
            .unwrap_or_else(|_| panic!("the probe {probe} overstayed its deadline of {timeout:?}"));
        let problems = wise_core::conformance::report_problems(self.plugin, &report);
        assert!(problems.is_empty(), "the report of the probe {probe}: {}", problems.join("; "));
        report
    }

    /// Checks until the report is as wanted.
    ///
    /// # Panics
    /// It never is; the last report is shown.
    pub async fn check_until(
        &mut self,
        what: &str,
        probe: &str,
        timeout: Duration,
        is_wanted: impl Fn(&Report) -> bool,
    ) -> Report {
        let deadline = crate::deadline();
        loop {
            let report = self.check_within(probe, timeout).await;
            if is_wanted(&report) {
                return report;
            }
            assert!(!deadline(), "{what}: never; last seen: {:?} {:?}", report.failure, report.evidence);
            tokio::time::sleep(BETWEEN_CHECKS).await;
        }
    }

    /// Class, code and message of a check that fails.
    ///
    /// # Panics
    /// It passes.
    pub async fn failure(&mut self, probe: &str, timeout: Duration) -> (String, String, String) {
        let report = self.check_within(probe, timeout).await;
        let failure = report.failure.unwrap_or_else(|| panic!("the check passed: {:?}", report.evidence));
        let code = failure.code.map(std::borrow::Cow::into_owned).unwrap_or_default();
        (failure.class.name.to_owned(), code, failure.message)
    }
}

/// The reading of a metric with these labels; labels that are not named may be anything.
pub fn find<'a>(report: &'a Report, metric: &str, labels: &[(&str, &str)]) -> Option<&'a Reading> {
    report.readings.iter().find(|reading| {
        reading.metric.name() == metric
            && labels.iter().all(|(name, value)| {
                reading.labels.pairs().iter().any(|(known, text)| known == name && text == value)
            })
    })
}

/// The number of a metric, if there is one.
pub fn number(report: &Report, metric: &str, labels: &[(&str, &str)]) -> Option<f64> {
    find(report, metric, labels)?.value.number()
}

/// Code of the failure of a report, empty where there is none.
pub fn code(report: &Report) -> &str {
    report.failure.as_ref().and_then(|failure| failure.code.as_deref()).unwrap_or("")
}

/// The number of a metric.
///
/// # Panics
/// There is none.
pub fn value(report: &Report, metric: &str, labels: &[(&str, &str)]) -> f64 {
    let found = find(report, metric, labels);
    found.and_then(|reading| reading.value.number()).unwrap_or_else(|| {
        let known: Vec<String> = report
            .readings
            .iter()
            .map(|r| format!("{}{:?} {:?}", r.metric.name(), r.labels.pairs(), r.value))
            .collect();
        panic!("no number for {metric} {labels:?}; failure {:?}; readings: {known:#?}", report.failure)
    })
}

/// Why a metric has no number.
///
/// # Panics
/// It has one, or no reading at all.
pub fn absent(report: &Report, metric: &str, labels: &[(&str, &str)]) -> Absent {
    match find(report, metric, labels).map(|reading| &reading.value) {
        Some(ReadingValue::Absent(why)) => why.clone(),
        other => panic!("{metric} {labels:?} is not absent: {other:?}"),
    }
}

/// A fact of the report.
pub fn fact<'a>(report: &'a Report, name: &str) -> Option<&'a str> {
    report.facts.iter().find(|(known, _)| *known == name).map(|(_, text)| text.as_str())
}

/// The evidence as text.
pub fn evidence(report: &Report) -> String {
    report.evidence.as_ref().map(Value::to_string).unwrap_or_default()
}

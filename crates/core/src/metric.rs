//! What a plugin measures.

use schemars::JsonSchema;

use crate::threshold::Threshold;

/// Whether a metric's value is a level or an ever-growing total.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum MetricKind {
    /// A level that goes up and down.
    Gauge,
    /// A total that only grows, emitted raw.
    Counter,
}

/// One measurement that a plugin makes.
#[derive(Debug, PartialEq)]
pub struct MetricSpec {
    /// Dotted name that begins with the kind and ends in the unit: `website.phase.tls_seconds`.
    pub name: &'static str,
    /// Title for charts.
    pub title: &'static str,
    /// Unit, the last word of the name: seconds, bytes, ratio, count, total, state, days or celsius.
    pub unit: &'static str,
    /// One sentence: what it is and where it comes from.
    pub help: &'static str,
    /// Level or total.
    pub kind: MetricKind,
    /// The step in which values are kept, when they need no finer one (0.000001 is a microsecond).
    pub resolution: Option<f64>,
    /// Whether quantiles are kept over long ranges.
    pub sketch: bool,
    /// Default bounds.
    pub threshold: Option<Threshold>,
}

impl MetricSpec {
    /// A whole number of things.
    pub const fn count(name: &'static str, title: &'static str, help: &'static str) -> Self {
        Self::gauge(name, "count", title, help).resolution(1.0)
    }

    /// A share between 0 and 1, to a hundredth of a percent.
    pub const fn ratio(name: &'static str, title: &'static str, help: &'static str) -> Self {
        Self::gauge(name, "ratio", title, help).resolution(0.0001)
    }

    /// A size.
    pub const fn bytes(name: &'static str, title: &'static str, help: &'static str) -> Self {
        Self::gauge(name, "bytes", title, help).resolution(1.0)
    }

    /// A code, or 0 and 1.
    pub const fn state(name: &'static str, title: &'static str, help: &'static str) -> Self {
        Self::gauge(name, "state", title, help).resolution(1.0)
    }

    /// A total of things that only grows.
    pub const fn total(name: &'static str, title: &'static str, help: &'static str) -> Self {
        Self::counter(name, "total", title, help)
    }

    /// A level.
    pub const fn gauge(
        name: &'static str,
        unit: &'static str,
        title: &'static str,
        help: &'static str,
    ) -> Self {
        Self {
            name,
            title,
            unit,
            help,
            kind: MetricKind::Gauge,
            resolution: None,
            sketch: false,
            threshold: None,
        }
    }

    /// A total that only grows.
    pub const fn counter(
        name: &'static str,
        unit: &'static str,
        title: &'static str,
        help: &'static str,
    ) -> Self {
        Self {
            name,
            title,
            unit,
            help,
            kind: MetricKind::Counter,
            resolution: None,
            sketch: false,
            threshold: None,
        }
    }

    /// A duration in seconds, kept to the microsecond, with quantiles.
    pub const fn latency(name: &'static str, title: &'static str, help: &'static str) -> Self {
        let mut spec = Self::gauge(name, "seconds", title, help);
        spec.resolution = Some(1e-6);
        spec.sketch = true;
        spec
    }

    /// Sets the step in which values are kept.
    pub const fn resolution(mut self, step: f64) -> Self {
        self.resolution = Some(step);
        self
    }

    /// Sets the default bounds.
    pub const fn threshold(mut self, threshold: Threshold) -> Self {
        self.threshold = Some(threshold);
        self
    }
}

impl MetricSpec {
    /// The name in Prometheus text, and the factor from our unit to Prometheus's base unit: days are seconds there, and
    /// `_count` is reserved for histograms.
    pub fn prometheus(&self) -> (String, f64) {
        let plain = self.name.replace('.', "_");
        match self.unit {
            "days" => (format!("wise_{}_seconds", plain.trim_end_matches("_days")), 86_400.0),
            "count" => (format!("wise_{}", plain.trim_end_matches("_count")), 1.0),
            _ => (format!("wise_{plain}"), 1.0),
        }
    }
}

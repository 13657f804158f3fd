//! The descriptor of a kind of monitor. Forms, validation, docs, default thresholds, chart titles and Prometheus
//! HELP all come from it.

use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::class::ErrorClass;
use crate::fields::{FieldErrors, deserialize_at};
use crate::metric::MetricSpec;
use crate::monitor::{BuildContext, Monitor};

/// One job of a monitor.
#[derive(Debug, PartialEq)]
pub struct ProbeSpec {
    /// Name, such as `availability`.
    pub name: &'static str,
    /// Title for people.
    pub title: &'static str,
    /// How often it runs unless the definition says otherwise.
    pub interval: Duration,
    /// Its deadline unless the definition says otherwise. For availability the deadline is the smaller of 10 s and
    /// the interval instead, whatever the plugin says here.
    pub timeout: Duration,
}

impl ProbeSpec {
    /// The probe that decides whether a monitor is down. Every plugin has it, as its first.
    pub const AVAILABILITY: &'static str = "availability";

    /// A probe.
    pub const fn new(name: &'static str, title: &'static str, interval: Duration, timeout: Duration) -> Self {
        Self { name, title, interval, timeout }
    }
}

/// The settings of a kind of monitor: the struct, with its doc comments, is the documentation.
pub trait MonitorSettings: DeserializeOwned + JsonSchema {
    /// Settings that a reader can start from. Must deserialise and build.
    fn example() -> Value;

    /// Validates the settings and makes the monitor. Does no I/O.
    ///
    /// # Errors
    /// Each wrong field, by its path within the settings.
    fn build(self, cx: &BuildContext) -> Result<Arc<dyn Monitor>, FieldErrors>;
}

/// Makes a monitor from settings, without I/O.
pub type BuildMonitor = fn(Value, &BuildContext) -> Result<Arc<dyn Monitor>, FieldErrors>;

/// The descriptor of a kind of monitor. Const, so that registering costs nothing.
#[derive(Debug)]
pub struct Plugin {
    /// Name of the kind, `[a-z][a-z0-9_]*`.
    pub kind: &'static str,
    /// The crate it comes from, for error messages.
    pub package: &'static str,
    /// Title for people.
    pub title: &'static str,
    /// One sentence on what it watches.
    pub summary: &'static str,
    /// Group in menus: web, database, host or other.
    pub category: &'static str,
    /// JSON Schema of the settings.
    pub schema: fn() -> Value,
    /// Example settings.
    pub example: fn() -> Value,
    /// Markdown for the kind's page in the documentation: setting the target up, the rights needed, what is left out
    /// and why.
    pub guide: &'static str,
    /// The jobs, `availability` first.
    pub probes: &'static [ProbeSpec],
    /// Every measurement; [`metrics!`](crate::metrics) makes the list.
    pub metrics: &'static [&'static MetricSpec],
    /// Patterns of metrics found at run time: a dotted name with one `*`.
    pub metric_patterns: &'static [&'static str],
    /// Error classes beside the common ones.
    pub classes: &'static [&'static ErrorClass],
    /// The main latency metric, shown in lists.
    pub headline: &'static str,
    /// Makes a monitor from settings, without I/O.
    pub build: BuildMonitor,
}

inventory::collect!(Plugin);

impl Plugin {
    /// A descriptor with the functions of a settings type; the lists start empty.
    pub const fn new<S: MonitorSettings>(kind: &'static str, package: &'static str) -> Self {
        Self {
            kind,
            package,
            title: "",
            summary: "",
            category: "other",
            schema: schema_of::<S>,
            example: S::example,
            guide: "",
            probes: &[],
            metrics: &[],
            metric_patterns: &[],
            classes: &[],
            headline: "",
            build: build::<S>,
        }
    }

    /// The metric of that name.
    pub fn metric(&self, name: &str) -> Option<&'static MetricSpec> {
        self.metrics.iter().copied().find(|metric| metric.name == name)
    }

    /// The index of the probe of that name.
    pub fn probe_index(&self, name: &str) -> Option<usize> {
        self.probes.iter().position(|probe| probe.name == name)
    }

    /// Whether a metric found at run time is declared by a pattern.
    pub fn allows_metric(&self, name: &str) -> bool {
        self.metric(name).is_some()
            || self.metric_patterns.iter().any(|pattern| match pattern.split_once('*') {
                Some((before, after)) => {
                    name.len() > before.len() + after.len()
                        && name.starts_with(before)
                        && name.ends_with(after)
                }
                None => *pattern == name,
            })
    }
}

/// Joins the lists of a catalogue that stands in several files. `N` is the sum of their lengths.
///
/// # Panics
/// At compile time, if `N` is not that sum.
pub const fn join_metrics<const N: usize>(parts: &[&[&'static MetricSpec]]) -> [&'static MetricSpec; N] {
    let mut all = [parts[0][0]; N];
    let (mut at, mut part) = (0, 0);
    while part < parts.len() {
        let mut index = 0;
        while index < parts[part].len() {
            all[at] = parts[part][index];
            at += 1;
            index += 1;
        }
        part += 1;
    }
    assert!(at == N, "N is the number of metrics");
    all
}

/// Declares a catalogue: a static for each metric, and the list of them all.
#[macro_export]
macro_rules! metrics {
    ($(#[$doc:meta])* $list_vis:vis $list:ident; $($name:ident = $spec:expr;)+) => {
        $(pub(crate) static $name: $crate::MetricSpec = $spec;)+
        $(#[$doc])*
        $list_vis const $list: &[&$crate::MetricSpec] = &[$(&$name),+];
    };
}

fn schema_of<S: MonitorSettings>() -> Value {
    let schema = schemars::generate::SchemaSettings::draft2020_12()
        .with(|settings| settings.meta_schema = None)
        .into_generator()
        .into_root_schema_for::<S>();
    schema.to_value()
}

fn build<S: MonitorSettings>(settings: Value, cx: &BuildContext) -> Result<Arc<dyn Monitor>, FieldErrors> {
    let typed: S = deserialize_at("settings", settings)?;
    typed.build(cx).map_err(|errors| errors.under("settings"))
}

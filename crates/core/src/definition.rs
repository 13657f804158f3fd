//! Definitions: what someone configured, before anything runs.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::Value;
use uuid::Uuid;

use crate::clock::Timestamp;
use crate::duration::HumanDuration;
use crate::fields::{FieldError, FieldErrors};
use crate::monitor_id::MonitorId;
use crate::plugin::{Plugin, ProbeSpec};
use crate::threshold::{Direction, Threshold};

/// Shortest interval.
pub const MIN_INTERVAL: Duration = Duration::from_secs(1);
/// Longest interval.
pub const MAX_INTERVAL: Duration = Duration::from_secs(24 * 3600);
/// Shortest deadline.
pub const MIN_TIMEOUT: Duration = Duration::from_millis(10);
/// The deadline when none is given and the interval allows it.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest list of dependencies, tags and the like.
const MAX_ENTRIES: usize = 64;
/// Share of a threshold by which a reading must come back, when the plugin says nothing.
const DEFAULT_HYSTERESIS: f64 = 0.1;

/// Who keeps a definition.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ManagedBy {
    /// The API and the dashboard.
    Api,
    /// A file, by its path.
    File(String),
}

/// What someone writes to have something watched, in the API and in files alike.
#[derive(Clone, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MonitorSpec {
    /// Unique name, for people.
    pub name: String,
    /// Kind of monitor, one of the plugins.
    pub kind: String,
    /// How often availability is checked, from 1s to 24h. Default: the plugin's.
    #[serde(default)]
    pub interval: Option<HumanDuration>,
    /// Deadline of an availability check. Default: the smaller of 10s and the interval.
    #[serde(default)]
    pub timeout: Option<HumanDuration>,
    /// How soon a failed availability check is repeated while the monitor is not yet down. Default: the interval.
    #[serde(default)]
    pub retry_interval: Option<HumanDuration>,
    /// Settings of the kind.
    pub settings: Value,
    /// Free labels.
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
    /// Monitors, by id or name, that this one needs. They annotate its status and never change it.
    #[serde(default)]
    pub depends_on: Vec<String>,
    /// Whether it is watched; false is shown as paused.
    #[serde(default = "default_true")]
    pub enabled: bool,
    /// Failed availability checks before the monitor is down.
    #[serde(default = "default_failures")]
    pub failures_before_unhealthy: u32,
    /// Count failures among this many last checks (N of M) instead of in a row.
    #[serde(default)]
    pub failure_window: Option<u32>,
    /// Passed availability checks in a row before a monitor that was down is healthy.
    #[serde(default = "default_successes")]
    pub successes_before_healthy: u32,
    /// Other schedules for single probes, by name.
    #[serde(default)]
    pub probes: BTreeMap<String, ProbeOverride>,
    /// Other thresholds, by metric.
    #[serde(default)]
    pub thresholds: BTreeMap<String, ThresholdOverride>,
}

impl std::fmt::Debug for MonitorSpec {
    /// Without the settings, which hold secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MonitorSpec")
            .field("name", &self.name)
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

/// Another schedule for a probe.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProbeOverride {
    /// How often it runs.
    #[serde(default)]
    pub interval: Option<HumanDuration>,
    /// Its deadline.
    #[serde(default)]
    pub timeout: Option<HumanDuration>,
    /// Whether it runs.
    #[serde(default)]
    pub enabled: Option<bool>,
}

/// Other bounds for a metric. A bound that is null is switched off.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ThresholdOverride {
    /// Where *degraded* begins.
    #[serde(default)]
    pub warning: Option<f64>,
    /// Where *unhealthy* begins.
    #[serde(default)]
    pub critical: Option<f64>,
    /// Readings in a row that must cross a bound before it counts. Default: the metric's.
    #[serde(default)]
    pub checks: Option<u32>,
}

/// A definition as it is kept.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct MonitorDefinition {
    /// Identity.
    pub id: MonitorId,
    /// What was asked for; names in `depends_on` are resolved to ids.
    pub spec: MonitorSpec,
    /// Counts changes, from 1.
    pub version: u64,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// Who made it.
    pub created_by: String,
    /// Who changed it last.
    pub updated_by: String,
    /// Who keeps it.
    pub managed_by: ManagedBy,
    /// Its place among the monitors of its group on the galaxy map, kept for life; `None` in definitions from before
    /// there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slot: Option<u32>,
}

impl MonitorDefinition {
    /// The first version of a definition that is made through the API, with no place yet.
    pub fn new(id: MonitorId, spec: MonitorSpec, by: &str, at: Timestamp) -> Self {
        Self {
            id,
            spec,
            version: 1,
            created_at: at,
            updated_at: at,
            created_by: by.to_owned(),
            updated_by: by.to_owned(),
            managed_by: ManagedBy::Api,
            slot: None,
        }
    }
}

/// When a probe of a monitor runs, overrides applied.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ProbeSchedule {
    /// The probe.
    pub probe: &'static ProbeSpec,
    /// Its interval.
    pub interval: Duration,
    /// Its deadline.
    pub timeout: Duration,
    /// Whether it runs.
    pub enabled: bool,
}

fn default_true() -> bool {
    true
}

fn default_failures() -> u32 {
    2
}

fn default_successes() -> u32 {
    1
}

impl MonitorSpec {
    /// A spec with every default.
    pub fn new(name: impl Into<String>, kind: impl Into<String>, settings: Value) -> Self {
        Self {
            name: name.into(),
            kind: kind.into(),
            interval: None,
            timeout: None,
            retry_interval: None,
            settings,
            tags: BTreeMap::new(),
            depends_on: Vec::new(),
            enabled: true,
            failures_before_unhealthy: default_failures(),
            failure_window: None,
            successes_before_healthy: default_successes(),
            probes: BTreeMap::new(),
            thresholds: BTreeMap::new(),
        }
    }

    /// The schedule of each probe.
    pub fn schedules(&self, plugin: &'static Plugin) -> Vec<ProbeSchedule> {
        let schedule = |(index, probe): (usize, &'static ProbeSpec)| {
            let other = self.probes.get(probe.name);
            let (interval, timeout) = if index == 0 { (self.interval, self.timeout) } else { (None, None) };
            let interval = other.and_then(|o| o.interval).or(interval).map_or(probe.interval, |d| d.0);
            let fallback = if index == 0 { DEFAULT_TIMEOUT } else { probe.timeout };
            let timeout = other.and_then(|o| o.timeout).or(timeout).map_or(fallback.min(interval), |d| d.0);
            // Availability cannot be switched off: without it there is no status.
            let enabled = index == 0 || other.and_then(|o| o.enabled).unwrap_or(true);
            ProbeSchedule { probe, interval, timeout, enabled }
        };
        plugin.probes.iter().enumerate().map(schedule).collect()
    }

    /// The bounds of a metric, overrides applied.
    pub fn threshold(&self, plugin: &Plugin, metric: &str) -> Option<Threshold> {
        let default = plugin.metric(metric).and_then(|spec| spec.threshold);
        let Some(other) = self.thresholds.get(metric) else { return default };
        let base = default.unwrap_or(Threshold {
            direction: Direction::Above,
            warning: None,
            critical: None,
            hysteresis: DEFAULT_HYSTERESIS,
            checks: 2,
        });
        Some(Threshold {
            warning: other.warning,
            critical: other.critical,
            checks: other.checks.unwrap_or(base.checks),
            ..base
        })
    }
}

/// Checks everything about a spec but its settings, which the plugin's constructor checks.
///
/// # Errors
/// Each wrong field.
pub fn validate_spec(spec: &MonitorSpec, plugin: &'static Plugin) -> Result<(), FieldErrors> {
    let mut errors = FieldErrors::default();
    check_text(&mut errors, "name", &spec.name, 100);
    if spec.name.parse::<Uuid>().is_ok() {
        errors.push(
            FieldError::new("name", "looks like an id, so `depends_on` could not tell which is meant")
                .value(&spec.name),
        );
    }
    check_range(&mut errors, "interval", spec.interval, MIN_INTERVAL, MAX_INTERVAL);
    check_range(&mut errors, "retry_interval", spec.retry_interval, MIN_INTERVAL, MAX_INTERVAL);
    for schedule in spec.schedules(plugin) {
        let is_first = schedule.probe.name == ProbeSpec::AVAILABILITY;
        let other = spec.probes.get(schedule.probe.name);
        let prefix = if is_first && other.is_none_or(|o| o.timeout.is_none()) {
            String::new()
        } else {
            format!("probes.{}.", schedule.probe.name)
        };
        if let Some(other) = other {
            let field = format!("probes.{}.interval", schedule.probe.name);
            check_range(&mut errors, &field, other.interval, MIN_INTERVAL, MAX_INTERVAL);
            if is_first && other.enabled == Some(false) {
                errors.push(
                    FieldError::new(
                        "probes.availability.enabled",
                        "availability cannot be switched off by itself",
                    )
                    .value(false)
                    .hint("set the monitor's `enabled` to false to pause it"),
                );
            }
        }
        let timeout = HumanDuration(schedule.timeout);
        if schedule.timeout < MIN_TIMEOUT || schedule.timeout > schedule.interval {
            errors.push(FieldError::new(format!("{prefix}timeout"), "out of range").value(timeout).hint(
                format!("use a duration from 10ms to the interval, {}", HumanDuration(schedule.interval)),
            ));
        }
    }
    if let Some(retry) = spec.retry_interval
        && let Some(first) = spec.schedules(plugin).first()
        && (retry.0 < first.timeout || retry.0 > first.interval)
    {
        errors.push(FieldError::new("retry_interval", "out of range").value(retry).hint(format!(
            "use a duration from the timeout, {}, to the interval, {}",
            HumanDuration(first.timeout),
            HumanDuration(first.interval)
        )));
    }
    for (field, value) in [
        ("failures_before_unhealthy", spec.failures_before_unhealthy),
        ("successes_before_healthy", spec.successes_before_healthy),
    ] {
        if !(1..=100).contains(&value) {
            errors
                .push(FieldError::new(field, "out of range").value(value).hint("use a number from 1 to 100"));
        }
    }
    if let Some(window) = spec.failure_window
        && !(spec.failures_before_unhealthy..=100).contains(&window)
    {
        errors.push(FieldError::new("failure_window", "out of range").value(window).hint(format!(
            "use a number from failures_before_unhealthy, {}, to 100",
            spec.failures_before_unhealthy
        )));
    }
    for name in spec.probes.keys().filter(|name| plugin.probe_index(name).is_none()) {
        let known: Vec<_> = plugin.probes.iter().map(|probe| probe.name).collect();
        errors.push(
            FieldError::new(format!("probes.{name}"), format!("a {} monitor has no such probe", plugin.kind))
                .hint(format!("known here: {}", known.join(", "))),
        );
    }
    check_thresholds(&mut errors, spec, plugin);
    if spec.tags.len() > MAX_ENTRIES {
        errors.push(FieldError::new("tags", format!("more than {MAX_ENTRIES}")));
    }
    for (key, value) in &spec.tags {
        check_text(&mut errors, &format!("tags.{key}"), key, 64);
        if value.chars().count() > 256 {
            errors.push(FieldError::new(format!("tags.{key}"), "longer than 256 characters"));
        }
    }
    if spec.depends_on.len() > MAX_ENTRIES {
        errors.push(FieldError::new("depends_on", format!("more than {MAX_ENTRIES}")));
    }
    if !spec.settings.is_object() {
        errors.push(FieldError::new("settings", "wrong type: expected an object"));
    }
    errors.into_result()
}

/// Largest bound of a ratio.
const MOST_RATIO: f64 = 20.0;

fn check_thresholds(errors: &mut FieldErrors, spec: &MonitorSpec, plugin: &'static Plugin) {
    for (metric, bounds) in &spec.thresholds {
        let field = format!("thresholds.{metric}");
        if !plugin.allows_metric(metric) {
            let known: Vec<_> = plugin.metrics.iter().map(|metric| metric.name).collect();
            errors.push(
                FieldError::new(field, format!("a {} monitor has no such metric", plugin.kind))
                    .hint(format!("known here: {}", known.join(", "))),
            );
            continue;
        }
        if let Some(checks) = bounds.checks.filter(|checks| !(1..=100).contains(checks)) {
            errors.push(
                FieldError::new(format!("{field}.checks"), "out of range")
                    .value(checks)
                    .hint("use a number from 1 to 100"),
            );
        }
        for (name, bound) in [("warning", bounds.warning), ("critical", bounds.critical)] {
            if bound.is_some_and(|bound| !bound.is_finite()) {
                errors.push(FieldError::new(format!("{field}.{name}"), "must be a finite number"));
            }
            // A load or a queue may be some times as large as it should; a share in per cent is a mistake.
            let is_ratio = plugin.metric(metric).is_some_and(|metric| metric.unit == "ratio");
            if let Some(bound) = bound.filter(|bound| is_ratio && *bound > MOST_RATIO) {
                errors.push(
                    FieldError::new(format!("{field}.{name}"), "is a share, and 1 is all of it")
                        .value(bound)
                        .hint("write 0.9 for 90 %"),
                );
            }
        }
        let direction =
            plugin.metric(metric).and_then(|m| m.threshold).map_or(Direction::Above, |t| t.direction);
        if let (Some(warning), Some(critical)) = (bounds.warning, bounds.critical) {
            let (wrong, word) = match direction {
                Direction::Above => (critical < warning, "below"),
                Direction::Below => (critical > warning, "above"),
            };
            if wrong {
                errors.push(
                    FieldError::new(
                        format!("{field}.critical"),
                        format!("lies {word} the warning value, {warning}"),
                    )
                    .value(critical)
                    .hint("swap the two"),
                );
            }
        }
    }
}

/// The monitors that there are, for anyone who follows dependencies.
pub trait Dependencies {
    /// The id of the monitor with a name.
    fn id_of(&self, name: &str) -> Option<MonitorId>;

    /// The name of a monitor; `None` when there is no such.
    fn name_of(&self, id: MonitorId) -> Option<&str>;

    /// What a monitor depends on.
    fn needed_by(&self, id: MonitorId) -> Vec<MonitorId>;
}

/// Checks that dependencies exist and form no circle, and answers them as ids. What `others` says of the monitor itself is
/// how it was before.
///
/// # Errors
/// A dependency on nothing, on itself, or in a circle, which is shown by name.
pub fn validate_dependencies(
    id: MonitorId,
    spec: &MonitorSpec,
    others: &impl Dependencies,
) -> Result<Vec<MonitorId>, FieldErrors> {
    let mut errors = FieldErrors::default();
    let mut ids = Vec::new();
    for (index, wanted) in spec.depends_on.iter().enumerate() {
        let field = format!("depends_on[{index}]");
        let found = match wanted.parse::<MonitorId>() {
            Ok(by_id) => (by_id == id || others.name_of(by_id).is_some()).then_some(by_id),
            Err(_) if *wanted == spec.name => Some(id),
            // A name that it gives up with this change is no one's.
            Err(_) => others.id_of(wanted).filter(|found| *found != id),
        };
        match found {
            None => errors.push(
                FieldError::new(field, "there is no such monitor")
                    .value(wanted)
                    .hint("use the id or the name of a monitor"),
            ),
            Some(found) if found == id => {
                errors.push(FieldError::new(field, "a monitor cannot depend on itself").value(wanted));
            }
            Some(found) => {
                if let Some(circle) = find_circle(id, found, &spec.name, others) {
                    errors.push(
                        FieldError::new(field, format!("makes a circle: {circle}"))
                            .value(wanted)
                            .hint("remove one of its links"),
                    );
                } else if !ids.contains(&found) {
                    ids.push(found);
                }
            }
        }
    }
    errors.into_result().map(|()| ids)
}

fn find_circle(
    id: MonitorId,
    start: MonitorId,
    own_name: &str,
    others: &impl Dependencies,
) -> Option<String> {
    let mut seen = BTreeSet::new();
    let mut stack = vec![(start, vec![own_name.to_owned()])];
    while let Some((at, mut trail)) = stack.pop() {
        if at == id {
            trail.push(own_name.to_owned());
            return Some(trail.join(" → "));
        }
        if !seen.insert(at) {
            continue;
        }
        if let Some(name) = others.name_of(at) {
            trail.push(name.to_owned());
            stack.extend(others.needed_by(at).into_iter().map(|next| (next, trail.clone())));
        }
    }
    None
}

fn check_text(errors: &mut FieldErrors, field: &str, text: &str, longest: usize) {
    let reason = if text.trim().is_empty() {
        "must not be empty".to_owned()
    } else if text.chars().count() > longest {
        format!("longer than {longest} characters")
    } else if text.chars().any(char::is_control) {
        "must not hold control characters".to_owned()
    } else if text.trim() != text {
        "must not begin or end with a space".to_owned()
    } else {
        return;
    };
    errors.push(FieldError::new(field, reason).value(text.escape_debug()));
}

fn check_range(
    errors: &mut FieldErrors,
    field: &str,
    value: Option<HumanDuration>,
    min: Duration,
    max: Duration,
) {
    if let Some(value) = value
        && !(min..=max).contains(&value.0)
    {
        errors.push(FieldError::new(field, "out of range").value(value).hint(format!(
            "use a duration from {} to {}",
            HumanDuration(min),
            HumanDuration(max)
        )));
    }
}

//! What the API shows: apart from what is stored, so that neither ties the other.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;
use wise_catalog::{Catalog, CatalogEntry};
use wise_core::{CheckRecord, HumanDuration, ManagedBy, Plugin, Reason, Status, Timestamp};
use wise_overview::{Maintenance, Overview, OverviewDelta, OverviewSnapshot, Uptime};
use wise_storage::StoredResult;

use crate::event_view::ConditionView;
use crate::summary::{Compact, FIELDS, Groups};

/// A monitor: its definition and how it stands.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Monitor)]
pub(crate) struct MonitorView {
    /// Identity.
    id: String,
    /// Unique name.
    name: String,
    /// Kind of monitor.
    kind: String,
    /// Interval of its availability probe.
    interval: String,
    /// Deadline of its availability probe.
    timeout: String,
    /// How soon a failed check is repeated while the monitor is not yet down.
    retry_interval: Option<String>,
    /// Settings of the kind, secrets masked.
    #[schema(value_type = Object)]
    settings: Value,
    /// Free labels.
    tags: BTreeMap<String, String>,
    /// Ids of the monitors that it needs.
    depends_on: Vec<String>,
    /// Whether it is watched.
    enabled: bool,
    /// Failed checks before it is down.
    failures_before_unhealthy: u32,
    /// Failures are counted among this many checks.
    failure_window: Option<u32>,
    /// Passed checks before it is healthy again.
    successes_before_healthy: u32,
    /// Other schedules for single probes.
    #[schema(value_type = Object)]
    probes: Value,
    /// Other thresholds, by metric.
    #[schema(value_type = Object)]
    thresholds: Value,
    /// How it stands.
    #[schema(value_type = String)]
    status: Status,
    /// Whether it counts as down.
    down: bool,
    /// Since when.
    #[schema(value_type = String)]
    since: Timestamp,
    /// Why.
    #[schema(value_type = Option<Object>)]
    reason: Option<Reason>,
    /// What is wrong, one entry for each thing; the oldest first. The status is their summary.
    conditions: Vec<ConditionView>,
    /// When it was last checked.
    #[schema(value_type = Option<String>)]
    last_check: Option<Timestamp>,
    /// When it is checked next.
    #[schema(value_type = Option<String>)]
    next_check: Option<Timestamp>,
    /// Short facts about the target.
    facts: BTreeMap<String, String>,
    /// Names of monitors that it needs and that are down.
    affected_by: Vec<String>,
    /// Why it cannot be built.
    problem: Option<String>,
    /// Counts changes.
    version: u64,
    /// When it was made.
    #[schema(value_type = String)]
    created_at: Timestamp,
    /// When it was last changed.
    #[schema(value_type = String)]
    updated_at: Timestamp,
    /// Who made it.
    created_by: String,
    /// Who changed it last.
    updated_by: String,
    /// `api`, or the file that keeps it.
    managed_by: String,
}

impl MonitorView {
    pub(crate) fn new(catalog: &Catalog, overview: &Overview, entry: &CatalogEntry) -> Self {
        let definition = &entry.definition;
        let spec = &definition.spec;
        let live = overview.item(definition.id);
        let schedule = catalog
            .registry()
            .plugin(&spec.kind)
            .and_then(|plugin| spec.schedules(plugin).into_iter().next());
        let text = |duration: Option<HumanDuration>| duration.map(|duration| duration.to_string());
        Self {
            id: definition.id.to_string(),
            name: spec.name.clone(),
            kind: spec.kind.clone(),
            interval: text(schedule.map(|s| HumanDuration(s.interval)).or(spec.interval)).unwrap_or_default(),
            timeout: text(schedule.map(|s| HumanDuration(s.timeout)).or(spec.timeout)).unwrap_or_default(),
            retry_interval: text(spec.retry_interval),
            settings: catalog.masked_settings(definition),
            tags: spec.tags.clone(),
            depends_on: spec.depends_on.clone(),
            enabled: spec.enabled,
            failures_before_unhealthy: spec.failures_before_unhealthy,
            failure_window: spec.failure_window,
            successes_before_healthy: spec.successes_before_healthy,
            probes: json!(spec.probes),
            thresholds: json!(spec.thresholds),
            status: live.as_ref().map_or(Status::Unknown, |live| live.status),
            down: live.as_ref().is_some_and(|live| live.down),
            since: live.as_ref().map_or(definition.created_at, |live| live.since),
            reason: live.as_ref().and_then(|live| live.reason.clone()),
            conditions: live.iter().flat_map(|live| &live.conditions).map(ConditionView::new).collect(),
            last_check: live.as_ref().and_then(|live| live.last_check),
            next_check: live.as_ref().and_then(|live| live.next_check),
            facts: live.map(|live| live.facts).unwrap_or_default(),
            affected_by: catalog.affected_by(definition.id),
            problem: entry.problem.clone(),
            version: definition.version,
            created_at: definition.created_at,
            updated_at: definition.updated_at,
            created_by: definition.created_by.clone(),
            updated_by: definition.updated_by.clone(),
            managed_by: match &definition.managed_by {
                ManagedBy::Api => "api".to_owned(),
                ManagedBy::File(file) => file.clone(),
            },
        }
    }
}

/// A monitor that was removed and can be brought back.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RemovedMonitor)]
pub(crate) struct RemovedView {
    /// Identity.
    pub(crate) id: String,
    /// Name that it had. Another may have taken it.
    pub(crate) name: String,
    /// Kind.
    pub(crate) kind: String,
    /// When it was removed.
    #[schema(value_type = String)]
    pub(crate) removed_at: Timestamp,
    /// Until when it can be brought back.
    #[schema(value_type = String)]
    pub(crate) restorable_until: Timestamp,
}

/// A check.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CheckResult)]
pub(crate) struct ResultView {
    /// Identity within the monitor: its time in microseconds.
    id: String,
    /// When it started.
    #[schema(value_type = String)]
    time: Timestamp,
    /// The probe.
    probe: String,
    /// The monitor's status after it.
    #[schema(value_type = String)]
    status: Status,
    /// How long it took.
    duration_ms: f64,
    /// Why it failed: class.
    error_class: Option<String>,
    /// Why it failed: finer code.
    error_code: Option<String>,
    /// Why it failed: one sentence.
    message: Option<String>,
    /// What happened.
    #[schema(value_type = Option<Object>)]
    evidence: Option<Value>,
    /// The numbers by series, such as `server.filesystem.used_ratio{mount="/"}`, for a check that was made by hand.
    #[serde(skip_serializing_if = "Option::is_none")]
    readings: Option<BTreeMap<String, f64>>,
    /// Where it was made.
    location: String,
    /// By which process.
    worker: String,
}

impl ResultView {
    pub(crate) fn stored(result: StoredResult) -> Self {
        let (error_class, error_code, message) = match result.failure {
            None => (None, None, None),
            Some((class, code, message)) => (Some(class), code, Some(message)),
        };
        Self {
            id: result.time.as_micros().to_string(),
            time: result.time,
            probe: result.probe,
            status: result.status,
            duration_ms: result.duration_micros as f64 / 1e3,
            error_class,
            error_code,
            message,
            evidence: result.evidence,
            readings: None,
            location: result.location,
            worker: result.worker,
        }
    }

    pub(crate) fn fresh(record: &CheckRecord, location: &str, worker: &str) -> Self {
        let failure = record.failure.as_ref();
        let readings = record
            .readings
            .iter()
            .filter_map(|reading| Some((crate::readings::series(reading), reading.value.number()?)))
            .collect();
        Self {
            id: record.time.as_micros().to_string(),
            time: record.time,
            probe: record.probe.to_owned(),
            status: record.status,
            duration_ms: record.duration.as_secs_f64() * 1e3,
            error_class: failure.map(|failure| failure.class.name.to_owned()),
            error_code: failure.and_then(|failure| failure.code.as_deref().map(str::to_owned)),
            message: failure.map(|failure| failure.message.clone()),
            evidence: record.evidence.as_deref().cloned(),
            readings: Some(readings),
            location: location.to_owned(),
            worker: worker.to_owned(),
        }
    }
}

/// Monitors by status.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Counts)]
#[serde(transparent)]
pub(crate) struct CountsView(BTreeMap<&'static str, u32>);

impl From<wise_overview::Counts> for CountsView {
    fn from(counts: wise_overview::Counts) -> Self {
        Self(Status::ALL.into_iter().map(|status| (status.name(), counts.of(status))).collect())
    }
}

/// Every monitor, compactly.
#[derive(Serialize, ToSchema)]
#[schema(as = Overview)]
pub(crate) struct OverviewView {
    /// Place in the event stream: updates after it are newer.
    id: String,
    /// When it was taken.
    #[schema(value_type = String)]
    time: Timestamp,
    /// The zone in which times are shown.
    time_zone: String,
    /// Width of a bucket.
    bucket_seconds: i64,
    /// End of the newest bucket, in unix seconds.
    bucket_end: i64,
    /// Monitors by status.
    counts: CountsView,
    /// The statuses, by their number in `items`.
    statuses: [&'static str; Status::ALL.len()],
    /// Groups of the galaxy map: name, x and y of the centre, radius.
    #[schema(value_type = Vec<Vec<Object>>)]
    groups: Groups,
    /// What the places of the arrays in `items` are.
    fields: [&'static str; FIELDS.len()],
    /// The monitors, by name: an array each.
    #[schema(value_type = Vec<Vec<Object>>)]
    items: Vec<Compact>,
}

impl OverviewView {
    pub(crate) fn new(snapshot: OverviewSnapshot, id: String, time_zone: String) -> Self {
        Self {
            id,
            time: snapshot.time,
            time_zone,
            bucket_seconds: wise_overview::BUCKET_SECONDS,
            bucket_end: snapshot.bucket_end,
            counts: snapshot.counts.into(),
            statuses: Status::ALL.map(Status::name),
            groups: Groups(snapshot.groups),
            fields: FIELDS,
            items: snapshot.items.into_iter().map(Compact).collect(),
        }
    }
}

/// What changed in the overview.
#[derive(Serialize)]
pub(crate) struct UpdateView {
    time: Timestamp,
    bucket_end: i64,
    counts: CountsView,
    #[serde(skip_serializing_if = "Option::is_none")]
    groups: Option<Groups>,
    items: Vec<Compact>,
    removed: Vec<String>,
}

impl From<OverviewDelta> for UpdateView {
    fn from(delta: OverviewDelta) -> Self {
        Self {
            time: delta.time,
            bucket_end: delta.bucket_end,
            counts: delta.counts.into(),
            groups: delta.groups.map(Groups),
            items: delta.items.into_iter().map(Compact).collect(),
            removed: delta.removed.iter().map(ToString::to_string).collect(),
        }
    }
}

/// Time in each state.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Uptime)]
pub(crate) struct UptimeView {
    /// The window, such as `24h`.
    window: String,
    /// Its begin.
    #[schema(value_type = String)]
    from: Timestamp,
    /// Its end.
    #[schema(value_type = String)]
    to: Timestamp,
    /// Up ÷ (up + down); null when there is neither.
    uptime_ratio: Option<f64>,
    /// Not down.
    up_seconds: f64,
    /// Down.
    down_seconds: f64,
    /// Not known, through trouble of our own.
    unknown_seconds: f64,
    /// Switched off.
    paused_seconds: f64,
    /// In maintenance.
    maintenance_seconds: f64,
    /// Times it went down.
    incidents: u32,
}

impl UptimeView {
    pub(crate) fn new(
        window: String,
        from: Timestamp,
        to: Timestamp,
        uptime: Uptime,
        maintenance: Maintenance,
    ) -> Self {
        Self {
            window,
            from,
            to,
            uptime_ratio: uptime.ratio_with(maintenance),
            up_seconds: uptime.up_seconds,
            down_seconds: uptime.down_seconds,
            unknown_seconds: uptime.unknown_seconds,
            paused_seconds: uptime.paused_seconds,
            maintenance_seconds: uptime.maintenance_seconds,
            incidents: uptime.incidents,
        }
    }

    /// The fields from `from` to `incidents`, without the window, separated by commas.
    pub(crate) fn csv(&self) -> String {
        let ratio = self.uptime_ratio.map(|ratio| ratio.to_string()).unwrap_or_default();
        let seconds = [
            self.up_seconds,
            self.down_seconds,
            self.unknown_seconds,
            self.paused_seconds,
            self.maintenance_seconds,
        ];
        let seconds = seconds.map(|seconds| seconds.to_string()).join(",");
        format!("{},{},{ratio},{seconds},{}", self.from, self.to, self.incidents)
    }
}

/// A plugin as JSON.
pub(crate) fn plugin(plugin: &Plugin) -> Value {
    let duration = |duration| HumanDuration(duration).to_string();
    let probes: Vec<Value> = plugin
        .probes
        .iter()
        .map(|p| json!({"name": p.name, "title": p.title, "interval": duration(p.interval), "timeout": duration(p.timeout)}))
        .collect();
    let metrics: Vec<Value> = plugin
        .metrics
        .iter()
        .map(|metric| {
            let threshold = metric.threshold;
            json!({
                "name": metric.name,
                "title": metric.title,
                "unit": metric.unit,
                "help": metric.help,
                "type": metric.kind,
                "warning": threshold.and_then(|t| t.warning),
                "critical": threshold.and_then(|t| t.critical),
                "direction": threshold.map_or(wise_core::Direction::Above, |t| t.direction),
            })
        })
        .collect();
    let classes: Vec<Value> = wise_core::common::ALL
        .iter()
        .chain(plugin.classes)
        .map(|class| json!({"name": class.name, "title": class.title, "fault": class.fault, "hint": class.hint}))
        .collect();
    json!({
        "kind": plugin.kind,
        "title": plugin.title,
        "summary": plugin.summary,
        "category": plugin.category,
        "schema": (plugin.schema)(),
        "example": (plugin.example)(),
        "probes": probes,
        "metrics": metrics,
        "error_classes": classes,
        "headline": plugin.headline,
    })
}

//! Taking up the store's definitions at start.

use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use serde_json::{Value, json};
use wise_core::{
    BuildContext, ConditionKey, FieldError, FieldErrors, MetricSpec, Monitor, MonitorId, MonitorSettings,
    Plugin, ProbeSpec, Status, Timestamp,
};
use wise_orchestrator::{Restored, StartMode};
use wise_overview::{BEATS, BUCKET_SECONDS};
use wise_storage::{Aggregate, QueryPlan, ResultQuery, StoreError};

use crate::catalog::{Catalog, open_secrets};

/// Stands in for a plugin that this program does not have: the definition is kept, and says so.
static MISSING_TOTAL: MetricSpec =
    MetricSpec::latency("missing.total_seconds", "Response time", "Never measured");
const MISSING: Plugin = Plugin {
    title: "Unknown kind",
    summary: "A kind of monitor that is not part of this program",
    probes: &[ProbeSpec::new(
        ProbeSpec::AVAILABILITY,
        "Availability",
        Duration::from_secs(60),
        Duration::from_secs(10),
    )],
    metrics: &[&MISSING_TOTAL],
    headline: "missing.total_seconds",
    ..Plugin::new::<Missing>("missing", env!("CARGO_PKG_NAME"))
};
static MISSING_PLUGIN: Plugin = MISSING;

#[derive(serde::Deserialize, JsonSchema)]
struct Missing {}

impl MonitorSettings for Missing {
    fn example() -> Value {
        json!({})
    }

    fn build(self, _: &BuildContext) -> Result<Arc<dyn Monitor>, FieldErrors> {
        Err(FieldError::new("kind", "is not part of this program").into())
    }
}

/// A check for the bar: when, the status after it, whether it failed, its latency in seconds.
type Beat = (Timestamp, Status, bool, Option<f64>);

impl Catalog {
    /// Takes up every definition of the store. One that cannot be built is kept, with its reason, and stops nothing.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn start(&self) -> Result<usize, StoreError> {
        let _one = self.write();
        let store = &self.parts.store;
        let now = self.parts.clock.now();
        let mut definitions = store.monitors()?;
        self.start_layout(&mut definitions)?;
        let mut states = store.states()?;
        let mut last_checks = store.last_checks()?;
        let alive = store.meta("alive")?.and_then(|text| Timestamp::parse(&text).ok());
        let day = now.minus(Duration::from_secs(86_400));
        let mut timeline = store.timeline(None, day)?;
        let count = definitions.len();
        for mut definition in definitions {
            let id = definition.id;
            let plugin = self.parts.registry.plugin(&definition.spec.kind).unwrap_or(&MISSING_PLUGIN);
            let opened = open_secrets(&mut definition, &self.parts.sealer);
            let monitor = match opened {
                Ok(()) if plugin.kind == definition.spec.kind => {
                    (plugin.build)(definition.spec.settings.clone(), &self.parts.build.for_monitor(id))
                }
                Ok(()) => Err(FieldErrors::from(
                    FieldError::new("kind", "is not part of this program").value(&definition.spec.kind),
                )),
                Err(error) => Err(FieldErrors::from(FieldError::new("settings", error.0))),
            };
            let interval = definition
                .spec
                .schedules(plugin)
                .first()
                .map_or_else(Duration::default, |first| first.interval);
            let group = self.group_number(&definition);
            self.parts.overview.define(&definition, interval, plugin.headline, group);
            let is_known = plugin.kind == definition.spec.kind;
            let restored = states.remove(&id).map(|mut state| {
                if !is_known {
                    // Its other conditions stay as they are in the store, for a program that has the kind again.
                    state.conditions.retain(|one| {
                        matches!(one.key, ConditionKey::Down { .. } | ConditionKey::Unknown { .. })
                            && one.probe() == ProbeSpec::AVAILABILITY
                    });
                }
                let checks = last_checks.remove(&id).unwrap_or_default();
                let last_check = checks.get(ProbeSpec::AVAILABILITY).copied();
                let timeline = timeline.remove(&id).unwrap_or_default().into_iter().collect();
                self.parts.overview.restore(id, &state, last_check, timeline);
                let last_watched = last_check.or(alive).or(Some(state.since));
                Restored { state, last_watched, alive, last_checks: checks }
            });
            self.put_in_force(definition, plugin, monitor, restored, StartMode::Spread);
        }
        Ok(count)
    }

    /// Reads the last hour before `started` of every monitor for its bar. Takes about a millisecond each, so it is done
    /// when checks are being made already, and given up when `is_stopping` says so.
    pub fn fill_bars(&self, started: Timestamp, is_stopping: impl Fn() -> bool) {
        for entry in self.list() {
            if is_stopping() {
                return;
            }
            let (id, kind) = (entry.definition.id, &entry.definition.spec.kind);
            let plugin = self.parts.registry.plugin(kind).unwrap_or(&MISSING_PLUGIN);
            match self.last_hour(id, plugin, started) {
                Ok(beats) => self.parts.overview.fill(id, beats),
                Err(error) => {
                    tracing::warn!("the bars of the last hour stay empty: {error}");
                    return;
                }
            }
        }
    }

    /// The checks of the last hour, with their latencies, for the bars.
    fn last_hour(&self, id: MonitorId, plugin: &Plugin, now: Timestamp) -> Result<Vec<Beat>, StoreError> {
        let seconds = u64::try_from(BUCKET_SECONDS).unwrap_or(60) * BEATS as u64;
        let (from, to) = (now.minus(Duration::from_secs(seconds)), now);
        let results = self.parts.store.results(&ResultQuery::of(id, (from, to), BEATS * 60))?;
        let plan = QueryPlan::of(id, plugin.headline, (from, to), BEATS, Aggregate::Avg);
        let series = self.parts.store.answer(&plan)?.series;
        let mut beats: Vec<_> = results
            .iter()
            .rev()
            .map(|result| (result.time, result.status, result.failure.is_some(), None))
            .collect();
        let latencies = series.into_iter().flat_map(|series| series.points);
        for (seconds, value) in latencies {
            let time = Timestamp::from_micros((seconds * 1e6) as i64);
            let status =
                results.iter().rev().find(|result| result.time >= time).map_or(Status::Healthy, |r| r.status);
            beats.push((time.max(from), status, false, Some(value)));
        }
        Ok(beats)
    }
}

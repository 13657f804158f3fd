//! Taking up the store's definitions at start, and marking the time in which nothing was watched.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use serde_json::{Value, json};
use wise_core::{
    BuildContext, Failure, FieldError, FieldErrors, MetricSpec, Monitor, MonitorDefinition, MonitorId,
    MonitorSettings, Plugin, ProbeSpec, Reason, Status, Timestamp, Transition, common,
};
use wise_orchestrator::{Restored, StartMode};
use wise_storage::ports::LastState;
use wise_storage::{
    Aggregate, BEATS, BUCKET_SECONDS, QueryPlan, ResultQuery, StoreError, UptimeState, Verdicts,
};

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
        let last_states = store.last_states()?;
        let last_checks = store.last_checks()?;
        let alive = store.meta("alive")?.and_then(|text| Timestamp::parse(&text).ok());
        let day = now.minus(Duration::from_secs(86_400));
        let mut states = store.states(None, day)?;
        let count = definitions.len();
        let (mut gaps, mut ready) = (Vec::new(), Vec::new());
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
            let last = last_states.get(&id);
            let checks = last_checks.get(&id).cloned().unwrap_or_default();
            let gap = last.and_then(|last| gap(&definition, plugin, last, &checks, alive, now));
            let interval = definition
                .spec
                .schedules(plugin)
                .first()
                .map_or_else(Duration::default, |first| first.interval);
            let group = self.group_number(&definition);
            self.parts.overview.define(&definition, interval, plugin.headline, group);
            if let Some(last) = last {
                let down = last.was_down && last.status == Status::Unhealthy;
                let states = states
                    .remove(&id)
                    .unwrap_or_default()
                    .into_iter()
                    .map(|(time, s, d)| (time, UptimeState::of(s, d)));
                let last_check = checks.get(ProbeSpec::AVAILABILITY).copied();
                let status = (last.status, down, last.since, last.reason.clone());
                self.parts.overview.restore(id, status, last_check, states);
            }
            let restored = last.map(|last| Restored {
                status: gap.as_ref().map_or(last.status, |gap| gap.to),
                since: gap.as_ref().map_or(last.since, |gap| gap.time),
                reason: gap.as_ref().map_or(last.reason.clone(), |gap| gap.reason.clone()),
                was_down: last.was_down,
                last_checks: checks,
            });
            gaps.extend(gap);
            ready.push((definition, plugin, monitor, restored));
        }
        // The gaps go first: a check that is made from here on must not be overtaken by the past.
        if !gaps.is_empty() {
            tracing::info!(
                "{} monitors were not watched while the server was stopped: marked as unknown",
                gaps.len()
            );
            // The writer has just been started: it takes this.
            self.parts.recorder.send(Verdicts { records: Vec::new(), transitions: gaps }).ok();
        }
        for (definition, plugin, monitor, restored) in ready {
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
        let results = self.parts.store.results(&ResultQuery {
            monitor: id,
            from,
            to,
            failed: false,
            limit: BEATS * 60,
        })?;
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

/// The time in which a monitor should have been checked and was not, because nothing ran.
fn gap(
    definition: &MonitorDefinition,
    plugin: &'static Plugin,
    last: &LastState,
    checks: &HashMap<String, Timestamp>,
    alive: Option<Timestamp>,
    now: Timestamp,
) -> Option<Transition> {
    if !definition.spec.enabled || matches!(last.status, Status::Paused | Status::Unknown) {
        return None;
    }
    let schedule = definition.spec.schedules(plugin).into_iter().next()?;
    let last_check = checks.get(ProbeSpec::AVAILABILITY).copied().or(alive).unwrap_or(last.since);
    let missed = last_check.plus(schedule.interval);
    // A short restart between two checks is no gap.
    if missed.plus(schedule.timeout) >= now {
        return None;
    }
    let seconds = now.since(missed).as_secs();
    let failure = Failure::new(
        &common::RESTART_GAP,
        format!("the monitoring was stopped, and missed {seconds} s of checks"),
    );
    Some(Transition {
        monitor: definition.id,
        time: missed.max(last.since),
        from: Some(last.status),
        to: Status::Unknown,
        down: false,
        reason: Some(Reason::from_failure(&failure, ProbeSpec::AVAILABILITY)),
        evidence: None,
    })
}

//! The live view: every monitor's status, last latency, 24-hour uptime and last hour, kept as checks and events come in.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use wise_core::{CheckRecord, Clock, Event, MonitorDefinition, MonitorId, MonitorState, Status, Timestamp};

use crate::monitor::{Live, bucket_end, letter};
use crate::uptime::Timeline;
use crate::view::{About, Counts, Group, OverviewDelta, OverviewItem, OverviewSnapshot, Summary};

/// Buckets of the heartbeat bar.
pub const BEATS: usize = 60;
/// Width of a bucket in seconds.
pub const BUCKET_SECONDS: i64 = 60;

/// The live view.
#[derive(Debug)]
pub struct Overview {
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    monitors: HashMap<MonitorId, Live>,
    /// By name, as they are shown.
    order: BTreeSet<(String, MonitorId)>,
    dirty: HashSet<MonitorId>,
    removed: Vec<MonitorId>,
    groups: Arc<[Group]>,
    has_new_groups: bool,
}

impl Overview {
    /// An empty view.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, state: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes over the groups of the galaxy map.
    pub fn set_groups(&self, groups: Arc<[Group]>) {
        let mut state = self.lock();
        state.has_new_groups |= *state.groups != *groups;
        state.groups = groups;
    }

    /// Adds a monitor, or takes over its changed definition. `headline` is the metric shown as latency, `group` the number
    /// of its group.
    pub fn define(
        &self,
        definition: &MonitorDefinition,
        interval: Duration,
        headline: &'static str,
        group: u32,
    ) {
        let mut state = self.lock();
        let now = self.clock.now();
        let state = &mut *state;
        let live = state.monitors.entry(definition.id).or_insert_with(|| Live::new(definition, now));
        let spec = &definition.spec;
        if live.item.name != spec.name {
            state.order.remove(&(std::mem::take(&mut live.item.name), definition.id));
            state.order.insert((spec.name.clone(), definition.id));
        }
        live.headline = headline;
        live.item.name.clone_from(&spec.name);
        live.item.kind.clone_from(&spec.kind);
        live.item.interval = interval;
        live.item.tags.clone_from(&spec.tags);
        live.item.depends_on.clone_from(&spec.depends_on);
        live.about = Arc::new(About {
            name: spec.name.clone(),
            kind: spec.kind.clone(),
            interval,
            tags: spec.tags.clone(),
            depends_on: spec.depends_on.clone(),
            group,
            slot: definition.slot.unwrap_or(0),
        });
        state.dirty.insert(definition.id);
    }

    /// Removes a monitor.
    pub fn remove(&self, id: MonitorId) {
        let mut state = self.lock();
        if let Some(live) = state.monitors.remove(&id) {
            state.order.remove(&(live.item.name, id));
            state.dirty.remove(&id);
            state.removed.push(id);
        }
    }

    /// Brings back what an earlier run knew of a monitor: its status and conditions, and the changes of the last day.
    pub fn restore(
        &self,
        id: MonitorId,
        earlier: &MonitorState,
        last_check: Option<Timestamp>,
        timeline: Timeline,
    ) {
        let mut state = self.lock();
        let Some(live) = state.monitors.get_mut(&id) else { return };
        live.item.status = earlier.status;
        live.item.down = earlier.down;
        live.item.since = earlier.since;
        live.item.reason.clone_from(&earlier.reason);
        live.item.conditions.clone_from(&earlier.conditions);
        live.timeline = timeline;
        live.item.last_check = last_check;
    }

    /// Adds checks of an earlier run to a monitor's bar: when, the status after it, whether it failed, its latency in
    /// seconds. Checks may have been made since then; what they say stays.
    pub fn fill(
        &self,
        id: MonitorId,
        checks: impl IntoIterator<Item = (Timestamp, Status, bool, Option<f64>)>,
    ) {
        let mut state = self.lock();
        let Some(live) = state.monitors.get_mut(&id) else { return };
        let has_latency = live.item.latency_ms.is_some();
        for (time, status, failed, latency) in checks {
            live.beat(time, letter(status, failed), latency);
            live.item.last_check = live.item.last_check.max(Some(time));
            if !failed && !has_latency && latency.is_some() {
                live.item.latency_ms = latency.map(|seconds| seconds * 1e3);
            }
        }
        state.dirty.insert(id);
    }

    /// Takes in checks, and the events that came of them.
    pub fn apply(&self, records: &[CheckRecord], events: &[Event]) {
        let mut state = self.lock();
        let state = &mut *state;
        for event in events {
            let Some(live) = state.monitors.get_mut(&event.monitor) else { continue };
            live.take_event(event);
            state.dirty.insert(event.monitor);
        }
        for record in records {
            let Some(live) = state.monitors.get_mut(&record.monitor) else { continue };
            live.take(record);
            state.dirty.insert(record.monitor);
        }
    }

    /// One monitor.
    pub fn item(&self, id: MonitorId) -> Option<OverviewItem> {
        self.lock().monitors.get(&id).map(|live| live.item.clone())
    }

    /// Every monitor whose tags `is_seen` lets pass.
    pub fn snapshot(&self, is_seen: impl Fn(&BTreeMap<String, String>) -> bool) -> OverviewSnapshot {
        let now = self.clock.now();
        let mut state = self.lock();
        let groups = state.groups.clone();
        let State { monitors, order, .. } = &mut *state;
        let mut counts = Counts::default();
        let mut items: Vec<Summary> = Vec::with_capacity(order.len());
        for (_, id) in &*order {
            let Some(live) = monitors.get_mut(id).filter(|live| is_seen(&live.item.tags)) else { continue };
            counts.0[usize::from(live.item.status.code())] += 1;
            items.push(live.shown(now));
        }
        drop(state);
        OverviewSnapshot { time: now, bucket_end: bucket_end(now), counts, groups, items }
    }

    /// What changed since the last call; `None` when nothing did.
    pub fn delta(&self) -> Option<OverviewDelta> {
        let now = self.clock.now();
        let mut state = self.lock();
        if state.dirty.is_empty() && state.removed.is_empty() && !state.has_new_groups {
            return None;
        }
        let groups = std::mem::take(&mut state.has_new_groups).then(|| state.groups.clone());
        let dirty = std::mem::take(&mut state.dirty);
        let removed = std::mem::take(&mut state.removed);
        let counts = state.counts();
        let items =
            dirty.iter().filter_map(|id| state.monitors.get_mut(id).map(|live| live.shown(now))).collect();
        Some(OverviewDelta { time: now, bucket_end: bucket_end(now), counts, groups, items, removed })
    }

    /// Forgets what changed, for when no one listens.
    pub fn forget_changes(&self) {
        let mut state = self.lock();
        state.dirty.clear();
        state.removed.clear();
        state.has_new_groups = false;
    }

    /// Calls `f` with every monitor as it stands, without the bars.
    pub fn for_each(&self, mut f: impl FnMut(&OverviewItem)) {
        for live in self.lock().monitors.values() {
            f(&live.item);
        }
    }

    /// Monitors by status.
    pub fn counts(&self) -> Counts {
        self.lock().counts()
    }
}

impl State {
    fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for live in self.monitors.values() {
            counts.0[usize::from(live.item.status.code())] += 1;
        }
        counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wise_core::{
        ClearCause, Condition, ConditionKey, EventKind, Failure, Gap, ManualClock, MetricSpec, MonitorSpec,
        Reading, Reason, Severity, StatusChange, common,
    };

    static TOTAL: MetricSpec = MetricSpec::latency("t.total_seconds", "Total", "Time of the whole check");

    fn definition() -> MonitorDefinition {
        let now = Timestamp::default();
        MonitorDefinition::new(
            MonitorId::generate(),
            MonitorSpec::new("shop", "t", serde_json::json!({})),
            "",
            now,
        )
    }

    fn record(id: MonitorId, time: Timestamp, status: Status, failed: bool, seconds: f64) -> CheckRecord {
        CheckRecord {
            monitor: id,
            probe: "availability",
            time,
            duration: Duration::from_millis(5),
            status,
            down: status == Status::Unhealthy,
            failure: failed.then(|| Failure::new(&common::REFUSED, "refused")),
            evidence: None,
            readings: if failed { vec![] } else { vec![Reading::exact(&TOTAL, seconds)] },
            duplicates: vec![],
            facts: vec![],
            next: None,
            reason: None,
        }
    }

    #[test]
    fn the_bar_moves_with_the_clock_and_shows_the_worst() {
        let start = Timestamp::from_seconds(1_000_000 * 60);
        let clock = Arc::new(ManualClock::new(start));
        let overview = Overview::new(clock.clone());
        let definition = definition();
        let id = definition.id;
        overview.define(&definition, Duration::from_secs(30), "t.total_seconds", 0);
        overview.apply(
            &[record(id, start, Status::Healthy, false, 0.1), record(id, start, Status::Healthy, true, 0.0)],
            &[],
        );
        overview.apply(&[record(id, start, Status::Healthy, false, 0.3)], &[]);
        clock.advance(Duration::from_secs(120));
        let summary = || overview.snapshot(|_| true).items.remove(0);
        let beats = || String::from_utf8(summary().beats.to_vec()).unwrap();
        assert_eq!(beats(), format!("{}f..", ".".repeat(57)));
        assert!((summary().latency().nth(57).unwrap().unwrap() - 200.0).abs() < 0.01);
        assert_eq!(summary().latency_ms, Some(300.0));
        // The clock steps back by an hour: old beats stay where they are, new ones are not lost.
        clock.set(start.minus(Duration::from_secs(3600)));
        overview.apply(&[record(id, clock.now(), Status::Healthy, false, 0.1)], &[]);
        assert_eq!(beats().len(), BEATS);
        clock.set(start.plus(Duration::from_secs(100 * 60)));
        assert_eq!(beats(), ".".repeat(60));
    }

    #[test]
    fn deltas_hold_what_changed_and_uptime_weighs_time() {
        let start = Timestamp::from_seconds(1_000_000 * 60);
        let clock = Arc::new(ManualClock::new(start));
        let overview = Overview::new(clock.clone());
        let definition = definition();
        let id = definition.id;
        overview.define(&definition, Duration::from_secs(30), "t.total_seconds", 0);
        assert_eq!(overview.delta().unwrap().items.len(), 1);
        assert!(overview.delta().is_none());
        let change = |time: Timestamp, since: Timestamp, to: Status| Event {
            monitor: id,
            time,
            kind: EventKind::Status(StatusChange {
                from: None,
                to,
                down: to == Status::Unhealthy,
                since,
                reason: None,
            }),
        };
        let after = |seconds| start.plus(Duration::from_secs(seconds));
        overview.apply(&[], &[change(start, start, Status::Healthy)]);
        overview.apply(&[], &[change(after(95), after(90), Status::Unhealthy)]);
        clock.advance(Duration::from_secs(100));
        let delta = overview.delta().unwrap();
        assert_eq!((delta.items[0].uptime_24h, delta.counts.of(Status::Unhealthy)), (Some(0.9), 1));
        assert_eq!(overview.item(id).unwrap().since, after(90));
        overview.remove(id);
        assert_eq!(overview.delta().unwrap().removed, [id]);
    }

    #[test]
    fn conditions_come_and_go_with_their_events_and_a_gap_is_marked() {
        let start = Timestamp::from_seconds(1_000_000 * 60);
        let clock = Arc::new(ManualClock::new(start));
        let overview = Overview::new(clock.clone());
        let definition = definition();
        let id = definition.id;
        overview.define(&definition, Duration::from_secs(30), "t.total_seconds", 0);
        let event = |kind: EventKind| Event { monitor: id, time: clock.now(), kind };
        let condition = |severity: Severity| Condition {
            key: ConditionKey::ProbeFailing { probe: "storage".to_owned() },
            severity,
            since: start,
            reason: Reason::new("timeout", "no answer"),
            evidence: None,
        };
        let (warning, critical) = (condition(Severity::Warning), condition(Severity::Critical));
        overview.apply(&[], &[event(EventKind::Raised { condition: warning })]);
        let change = EventKind::Changed { condition: critical.clone(), before: Severity::Warning };
        overview.apply(&[], &[event(change)]);
        assert_eq!(overview.item(id).unwrap().conditions, std::slice::from_ref(&critical));
        let cleared = EventKind::Cleared { condition: critical, cause: ClearCause::Recovered };
        overview.apply(&[], &[event(cleared)]);
        assert_eq!(overview.item(id).unwrap().conditions, []);
        clock.advance(Duration::from_secs(180));
        let gap = Gap {
            from: start.plus(Duration::from_secs(70)),
            until: clock.now().plus(Duration::from_secs(90)),
            reason: Reason::new("unwatched", "stopped"),
        };
        overview.apply(&[], &[event(EventKind::Gap(gap))]);
        let beats = overview.snapshot(|_| true).items.remove(0).beats;
        assert_eq!(String::from_utf8_lossy(&beats[55..]), "..???");
    }
}

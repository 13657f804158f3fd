//! Taking in definitions: what is kept of what was known, and when the first checks are due.

use std::cmp::Reverse;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use wise_core::{EventKind, Gap, MonitorId, ProbeSchedule, Reason, Timestamp};

use super::{Entry, Shard, Slot, SlotState, Tick, unwatched};
use crate::hosts::HostGate;
use crate::run::{MonitorRun, Restored, StartMode};
use crate::schedule::first_delay;
use crate::status::StatusEngine;

impl Shard {
    pub(super) fn upsert(&mut self, run: MonitorRun, gate: Option<Arc<HostGate>>) {
        let MonitorRun { definition, plugin, monitor, restored, start } = run;
        let (id, now, time) = (definition.id, Instant::now(), self.clock.now());
        let spec = &definition.spec;
        self.next_generation += 1;
        let generation = self.next_generation;
        let schedules = spec.schedules(plugin);
        // What cannot be built may be built again: until then no probe is without meaning.
        let has_work = |name: &str| monitor.as_ref().map_or(true, |monitor| monitor.has_work(name));
        let runs =
            |name: &str| schedules.iter().any(|one| one.probe.name == name && one.enabled && has_work(name));
        let old = self.entries.remove(&id);
        let mut gap_until = old.as_ref().and_then(|old| old.gap_until);
        let mut events = Vec::new();
        let mut engine = StatusEngine::new(spec, plugin, time);
        if let Some(old) = old {
            engine.replace(old.engine, &runs, &mut events);
        } else if let Some(restored) = &restored {
            let mut earlier = StatusEngine::new(spec, plugin, time);
            earlier.restore(&restored.state, &mut events);
            engine.replace(earlier, &runs, &mut events);
            gap_until = restored.state.gap_until;
        }
        engine.set_paused(!spec.enabled, time, &mut events);
        engine.set_problem(monitor.as_ref().err().map(ToString::to_string), time, &mut events);
        let is_watched = spec.enabled && monitor.is_ok();
        let delay = |schedule: &ProbeSchedule| match start {
            StartMode::Now => Duration::ZERO,
            StartMode::Spread => {
                let last = restored.as_ref().and_then(|r| r.last_checks.get(schedule.probe.name)).copied();
                first_delay(id, schedule.interval, last, time)
            }
        };
        if let (true, Some(restored), Some(first)) = (is_watched, &restored, schedules.first()) {
            let gap = restart_gap(restored, first, time, time.plus(delay(first)));
            gap_until = gap.as_ref().map_or(gap_until, |gap| Some(gap.until));
            self.stats.add_gaps(u64::from(gap.is_some()));
            events.extend(gap.map(EventKind::Gap));
        }
        let slots: Vec<Slot> = schedules
            .into_iter()
            .map(|schedule| {
                let is_on = is_watched && runs_now(&schedule, &has_work);
                let state = if is_on { SlotState::Scheduled } else { SlotState::Off };
                let due = now + delay(&schedule);
                Slot {
                    schedule,
                    probe: None,
                    due,
                    regular: due,
                    state,
                    final_failures: 0,
                    last_failure: None,
                }
            })
            .collect();
        for (index, slot) in slots.iter().enumerate() {
            if slot.state == SlotState::Scheduled {
                self.ticks.push(Reverse(Tick { due: slot.due, id, slot: index, generation }));
            }
        }
        let monitor = monitor.ok();
        let entry = Entry { definition, plugin, monitor, gate, engine, slots, gap_until, generation };
        self.entries.insert(id, entry);
        self.push_events(id, time, events);
    }

    pub(super) fn set_maintenance(&mut self, id: MonitorId, reason: Option<Reason>) {
        let time = self.clock.now();
        let Some(entry) = self.entries.get_mut(&id) else { return };
        let mut events = Vec::new();
        entry.engine.set_maintenance(reason, time, &mut events);
        self.push_events(id, time, events);
    }
}

fn runs_now(schedule: &ProbeSchedule, has_work: &dyn Fn(&str) -> bool) -> bool {
    schedule.enabled && has_work(schedule.probe.name)
}

/// The time in which a monitor should have been checked and was not, because the server was stopped. `next` is when it is
/// checked next.
fn restart_gap(restored: &Restored, first: &ProbeSchedule, now: Timestamp, next: Timestamp) -> Option<Gap> {
    let missed = restored.last_watched?.plus(first.interval);
    // A check that was overdue while the server ran was put off on purpose, as after a refused login. It would have come
    // an interval after the end at the earliest.
    let alive = restored.alive.filter(|alive| *alive > missed);
    let due = alive.map_or(missed, |alive| alive.plus(first.interval));
    // A short restart between two checks is no gap.
    if due.plus(first.timeout) >= now {
        return None;
    }
    // A gap that was written by a start that came to nothing goes on. One that ends in the future was written while the
    // clock was wrong, unless this start comes before the check that ends it.
    let soon = now.plus(first.interval);
    let gap_until = restored.state.gap_until.filter(|until| *until <= soon);
    let from = gap_until.map_or(due, |last| last.max(due));
    let seconds = now.since(due).as_secs();
    let text = format!("the monitoring was stopped, and missed {seconds} s of checks");
    (from < next).then(|| Gap { from, until: next, reason: unwatched::reason("restart", text) })
}

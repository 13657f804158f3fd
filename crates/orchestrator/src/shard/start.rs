//! From a tick to a check that runs.

use std::cmp::Reverse;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;
use wise_core::{CheckContext, Failure, Monitor, MonitorId, Probe, common};

use super::{Done, Kind, Shard, SlotState, Tick};
use crate::hosts::HostPermit;
use crate::run::CheckOutcome;
use crate::schedule::next_tick;
use crate::task::run_check;

impl Shard {
    pub(super) fn check_now(&mut self, id: MonitorId, reply: oneshot::Sender<CheckOutcome>) {
        let Some(entry) = self.entries.get(&id) else { return };
        let Some(probe) =
            entry.monitor.as_deref().and_then(|monitor| make_probe(monitor, entry.plugin.probes[0].name))
        else {
            return;
        };
        let (generation, timeout) = (entry.generation, entry.slots[0].schedule.timeout);
        self.spawn(id, 0, generation, probe, timeout, None, true, Kind::ByHand(reply));
    }

    /// Starts every check that is due.
    pub(super) fn start_due(&mut self, now: Instant) {
        while let Some(Reverse(tick)) = self.ticks.peek().copied() {
            if tick.due > now {
                break;
            }
            self.ticks.pop();
            let Some(entry) =
                self.entries.get_mut(&tick.id).filter(|entry| entry.generation == tick.generation)
            else {
                continue;
            };
            let slot = &mut entry.slots[tick.slot];
            match slot.state {
                SlotState::Scheduled if tick.due == slot.due => {
                    // While availability fails, the other probes would only fail as well.
                    if tick.slot > 0 && entry.engine.is_failing() {
                        self.schedule_next(tick.id, tick.slot, now, false);
                    } else {
                        slot.state = SlotState::Waiting;
                        self.waiting.push_back((tick.id, tick.slot, tick.generation));
                        self.stats.waiting.fetch_add(1, Ordering::Relaxed);
                    }
                }
                // The check before is still running: it is started when that ends, or counted as dropped.
                SlotState::Running(_) if tick.due == slot.due => slot.state = SlotState::Running(true),
                // Left over from before a retry or a back-off.
                SlotState::Scheduled | SlotState::Running(_) | SlotState::Waiting | SlotState::Off => {}
            }
        }
        self.start_waiting(now);
    }

    /// Starts waiting checks as far as the caps allow.
    pub(super) fn start_waiting(&mut self, now: Instant) {
        let mut blocked = 0;
        while blocked < self.waiting.len() && self.scheduled_running < self.cap {
            let Some((id, slot, generation)) = self.waiting.pop_front() else { break };
            let Some(entry) = self.entries.get_mut(&id).filter(|entry| entry.generation == generation) else {
                self.stats.waiting.fetch_sub(1, Ordering::Relaxed);
                continue;
            };
            let permit = match &entry.gate {
                Some(gate) => match gate.enter() {
                    Some(permit) => Some(permit),
                    None => {
                        self.waiting.push_back((id, slot, generation));
                        blocked += 1;
                        continue;
                    }
                },
                None => None,
            };
            self.stats.waiting.fetch_sub(1, Ordering::Relaxed);
            self.start(id, slot, now, permit);
        }
        self.discard_expired(now);
    }

    /// Counts ticks that have waited for a whole interval as dropped.
    pub(super) fn discard_expired(&mut self, now: Instant) {
        while let Some((id, index, generation)) = self.waiting.front().copied() {
            let Some(entry) = self.entries.get_mut(&id).filter(|entry| entry.generation == generation) else {
                self.waiting.pop_front();
                self.stats.waiting.fetch_sub(1, Ordering::Relaxed);
                continue;
            };
            let slot = &entry.slots[index];
            let due = slot.due;
            if now < due + slot.schedule.interval {
                break;
            }
            self.waiting.pop_front();
            self.stats.waiting.fetch_sub(1, Ordering::Relaxed);
            let text =
                "the check waited for a whole interval: too many checks are in flight, in all or to its host";
            self.dropped(id, index, due, Failure::new(&common::OVERLOAD, text).code("caps"));
            self.schedule_next(id, index, now, true);
        }
    }

    pub(super) fn start(&mut self, id: MonitorId, index: usize, now: Instant, permit: Option<HostPermit>) {
        let Some(entry) = self.entries.get_mut(&id) else { return };
        let (generation, slot) = (entry.generation, &mut entry.slots[index]);
        let due = slot.due;
        let probe =
            slot.probe.take().or_else(|| make_probe(entry.monitor.as_deref()?, slot.schedule.probe.name));
        let Some(probe) = probe else {
            let text = "the monitor makes no probe of this name, or panicked over it";
            self.dropped(id, index, due, Failure::new(&common::INTERNAL, text).code("no_probe"));
            self.schedule_next(id, index, now, false);
            return;
        };
        slot.state = SlotState::Running(false);
        self.stats.observe_delay(now.saturating_duration_since(slot.due));
        // The tick after this one goes onto the heap now, so that a check that overruns it is noticed.
        let (next, lost) = if slot.regular > now {
            (slot.regular, 0)
        } else {
            next_tick(slot.regular, slot.schedule.interval, now)
        };
        let timeout = slot.schedule.timeout;
        (slot.due, slot.regular) = (next, next);
        self.ticks.push(Reverse(Tick { due: next, id, slot: index, generation }));
        if lost > 0 {
            self.stats.dropped.fetch_add(lost, Ordering::Relaxed);
            let text = format!("{lost} checks were due and not made: the monitoring was too busy");
            self.dropped(id, index, due, Failure::new(&common::DROPPED_TICK, text).code("late"));
        }
        self.scheduled_running += 1;
        self.spawn(id, index, generation, probe, timeout, permit, false, Kind::Scheduled);
    }

    #[expect(clippy::too_many_arguments, reason = "they are the parts of a check, used once each")]
    pub(super) fn spawn(
        &mut self,
        id: MonitorId,
        slot: usize,
        generation: u64,
        probe: Box<dyn Probe>,
        timeout: Duration,
        permit: Option<HostPermit>,
        detailed: bool,
        kind: Kind,
    ) {
        let started = self.clock.now();
        let cx = CheckContext { timeout, now: started, detailed };
        let (uplink, lag_before, lapses_before) = (self.uplink.clone(), self.lag, self.lapses);
        self.stats.started.fetch_add(1, Ordering::Relaxed);
        self.stats.in_flight.fetch_add(1, Ordering::Relaxed);
        self.running.spawn(async move {
            let ended = run_check(probe, cx, uplink).await;
            let _permit = permit;
            Done { id, slot, generation, ended, started, timeout, lag_before, lapses_before, kind, _permit }
        });
    }

    /// Moves a slot to its next tick.
    pub(super) fn schedule_next(&mut self, id: MonitorId, index: usize, now: Instant, count_lost: bool) {
        let Some(entry) = self.entries.get_mut(&id) else { return };
        let generation = entry.generation;
        let slot = &mut entry.slots[index];
        let (next, lost) = next_tick(slot.regular, slot.schedule.interval, now);
        if count_lost {
            self.stats.dropped.fetch_add(lost.saturating_add(1), Ordering::Relaxed);
        }
        (slot.due, slot.regular) = (next, next);
        slot.state = SlotState::Scheduled;
        self.ticks.push(Reverse(Tick { due: next, id, slot: index, generation }));
    }
}

/// A plugin's mistake must not end the thread that all its neighbours run on.
fn make_probe(monitor: &dyn Monitor, name: &str) -> Option<Box<dyn Probe>> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| monitor.probe(name))).ok().flatten()
}

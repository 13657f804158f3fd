//! From a check that has ended, or was never made, to a verdict.

use std::cmp::Reverse;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;
use wise_core::{CheckRecord, EventKind, Failure, MonitorId, Report, Status, Timestamp, common};

use super::{Done, Kind, Shard, SlotState, Tick};
use crate::run::CheckOutcome;
use crate::schedule::back_off;
use crate::task::{Completion, Ended, blame_lapse, blame_stall};

impl Shard {
    pub(super) fn joined(&mut self, done: Result<Done, tokio::task::JoinError>) {
        match done {
            Ok(done) => self.ended(done),
            // Panics of probes are caught inside the task; this is one of ours.
            Err(error) => tracing::error!("a check's task failed: {error}"),
        }
    }

    pub(super) fn ended(&mut self, done: Done) {
        let Done {
            id,
            slot: index,
            generation,
            mut ended,
            started,
            timeout,
            lag_before,
            lapses_before,
            kind,
            _permit,
        } = done;
        self.stats.ended.fetch_add(1, Ordering::Relaxed);
        self.stats.in_flight.fetch_sub(1, Ordering::Relaxed);
        match ended.completion {
            Completion::Returned => {}
            Completion::Panicked => {
                self.stats.panics.fetch_add(1, Ordering::Relaxed);
                tracing::error!(monitor.id = %id, "a probe of monitor {id} panicked");
            }
            Completion::Overran => {
                self.stats.overstayed.fetch_add(1, Ordering::Relaxed);
                tracing::error!(monitor.id = %id, "a probe of monitor {id} did not keep its deadline");
            }
        }
        blame_stall(&mut ended.report, self.lag.saturating_sub(lag_before), timeout);
        if self.lapses != lapses_before {
            blame_lapse(&mut ended.report);
        }
        let is_scheduled = matches!(kind, Kind::Scheduled);
        if is_scheduled {
            self.scheduled_running -= 1;
        }
        if let Kind::TryOut(probe, reply) = kind {
            let record = try_out_record(id, probe, started, ended);
            // The asker may have gone.
            reply.send(CheckOutcome { record }).ok();
            return;
        }
        // A monitor that was removed or changed while its check ran wants nothing of the outcome.
        let Some(entry) = self.entries.get_mut(&id).filter(|entry| entry.generation == generation) else {
            return;
        };
        let duplicates = entry.engine.drop_duplicates(&mut ended.report);
        if !duplicates.is_empty() {
            self.stats.duplicates.fetch_add(duplicates.len() as u64, Ordering::Relaxed);
        }
        let evidence = ended.report.evidence.take().map(Arc::new);
        let mut events = Vec::new();
        let evaluation = entry.engine.apply(index, &ended.report, evidence.as_ref(), started, &mut events);
        let slot = &mut entry.slots[index];
        let failure_key =
            ended.report.failure.as_ref().map(|f| (f.class.name, f.code.as_deref().map(str::to_owned)));
        let is_news = failure_key != slot.last_failure;
        slot.last_failure = failure_key;
        let now = Instant::now();
        if is_scheduled {
            slot.probe = ended.probe.take();
            slot.final_failures = if evaluation.back_off { slot.final_failures + 1 } else { 0 };
            let final_failures = slot.final_failures;
            let retry = entry.definition.spec.retry_interval.filter(|_| evaluation.retry).map(|d| d.0);
            self.after_scheduled(id, index, now, final_failures, retry);
        }
        let Some(entry) = self.entries.get(&id) else { return };
        let next = entry.slots[index].due.saturating_duration_since(now);
        let manual = match kind {
            Kind::ByHand(reply) => Some(reply),
            Kind::Scheduled | Kind::TryOut(..) => None,
        };
        let keep = is_news || evaluation.has_changed || manual.is_some();
        let record = CheckRecord {
            monitor: id,
            probe: entry.slots[index].schedule.probe.name,
            time: started,
            duration: ended.took,
            status: entry.engine.status(),
            down: entry.engine.down(),
            failure: ended.report.failure,
            evidence: evidence.filter(|_| keep),
            readings: ended.report.readings,
            duplicates,
            facts: ended.report.facts,
            next: Some(self.clock.now().plus(next)),
            reason: entry.engine.reason().cloned(),
        };
        self.push_events(id, started, events);
        if let Some(reply) = manual {
            reply.send(CheckOutcome { record: record.clone() }).ok();
        }
        self.push_record(record, now);
    }

    /// Decides when a slot runs next, after a check that was scheduled.
    pub(super) fn after_scheduled(
        &mut self,
        id: MonitorId,
        index: usize,
        now: Instant,
        final_failures: u32,
        retry: Option<Duration>,
    ) {
        let Some(entry) = self.entries.get_mut(&id) else { return };
        let slot = &mut entry.slots[index];
        let overrun = slot.state == SlotState::Running(true);
        slot.state = SlotState::Scheduled;
        let (interval, generation) = (slot.schedule.interval, entry.generation);
        if final_failures > 0 {
            slot.due = now + back_off(interval, final_failures);
            slot.regular = slot.due;
            self.ticks.push(Reverse(Tick { due: slot.due, id, slot: index, generation }));
        } else if overrun {
            // Its tick has come while the check before ran.
            if now < slot.due + interval {
                slot.state = SlotState::Waiting;
                self.waiting.push_back((id, index, generation));
                self.stats.waiting.fetch_add(1, Ordering::Relaxed);
            } else {
                let due = slot.due;
                let text = "the check before was still running a whole interval later";
                self.dropped(id, index, due, Failure::new(&common::DROPPED_TICK, text).code("overrun"));
                self.schedule_next(id, index, now, true);
            }
        } else if let Some(retry) = retry
            && now + retry < slot.due
        {
            // The regular tick stays on the heap and is ignored: the slot's due time no longer matches it.
            slot.due = now + retry;
            self.ticks.push(Reverse(Tick { due: slot.due, id, slot: index, generation }));
        }
    }

    /// Marks a check that was never made, under the time at which it was due.
    pub(super) fn dropped(&mut self, id: MonitorId, index: usize, due: Instant, failure: Failure) {
        let now = Instant::now();
        let time = self.clock.now().minus(now.saturating_duration_since(due));
        let Some(entry) = self.entries.get_mut(&id) else { return };
        let report = Report::failed(failure);
        let mut events: Vec<EventKind> = Vec::new();
        entry.engine.apply(index, &report, None, time, &mut events);
        let record = CheckRecord {
            monitor: id,
            probe: entry.slots[index].schedule.probe.name,
            time,
            duration: Duration::ZERO,
            status: entry.engine.status(),
            down: entry.engine.down(),
            failure: report.failure,
            evidence: None,
            readings: Vec::new(),
            duplicates: Vec::new(),
            facts: Vec::new(),
            next: None,
            reason: entry.engine.reason().cloned(),
        };
        self.push_events(id, time, events);
        self.push_record(record, now);
    }
}

/// The record of a check that belongs to no monitor: its status is what this check alone says.
fn try_out_record(id: MonitorId, probe: &'static str, started: Timestamp, ended: Ended) -> CheckRecord {
    let fault = ended.report.failure.as_ref().map(|failure| failure.class.fault);
    let status = match fault {
        None => Status::Healthy,
        Some(wise_core::Fault::Target) => Status::Unhealthy,
        Some(wise_core::Fault::Own) => Status::Unknown,
    };
    let evidence: Option<Arc<Value>> = ended.report.evidence.map(Arc::new);
    CheckRecord {
        monitor: id,
        probe,
        time: started,
        duration: ended.took,
        status,
        down: status == Status::Unhealthy,
        failure: ended.report.failure,
        evidence,
        readings: ended.report.readings,
        duplicates: Vec::new(),
        facts: ended.report.facts,
        next: None,
        reason: None,
    }
}

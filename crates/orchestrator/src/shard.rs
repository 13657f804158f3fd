//! A shard: one thread that owns its monitors, from the tick to the verdict.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};
use wise_core::{
    CheckContext, CheckRecord, Clock, Failure, Monitor, MonitorDefinition, MonitorId, Plugin, Probe,
    ProbeSchedule, Reason, Report, Status, Timestamp, Transition, common,
};

use crate::engine::StatusEngine;
use crate::hosts::{HostGate, Hosts, Pass};
use crate::run::{CheckOutcome, MonitorRun, Pulse, StartMode};
use crate::schedule::{back_off, first_delay, next_tick};
use crate::stats::SchedulerStats;
use crate::task::{Ended, Fate, blame_stall, run_check};
use crate::uplink::Uplink;
use crate::{Batch, Sink};

/// Results wait at most this long before they go to the store.
const FLUSH: Duration = Duration::from_millis(100);
/// The loop turns at least this often, so that the watchdog sees a pulse and waiting checks are tried again.
const PULSE: Duration = Duration::from_millis(100);
/// Results kept while the store takes none. Transitions are kept without limit.
const MAX_KEPT: usize = 10_000;
/// Ticks this close together are started together: one wake-up instead of several.
const COALESCE: Duration = Duration::from_millis(2);

/// What a shard is told.
pub(crate) enum Command {
    Upsert(Box<MonitorRun>, Option<Arc<HostGate>>),
    Remove(MonitorId),
    CheckNow(MonitorId, oneshot::Sender<CheckOutcome>),
    TryOut {
        id: MonitorId,
        probe: Box<dyn Probe>,
        schedule: ProbeSchedule,
        reply: oneshot::Sender<CheckOutcome>,
    },
    Shutdown(Duration),
}

/// A monitor and everything about its run.
struct Entry {
    definition: Arc<MonitorDefinition>,
    plugin: &'static Plugin,
    monitor: Option<Arc<dyn Monitor>>,
    gate: Option<Arc<HostGate>>,
    engine: StatusEngine,
    slots: Vec<Slot>,
    /// Tells checks of this entry from those of one it replaced.
    generation: u64,
}

/// One probe of a monitor.
struct Slot {
    schedule: ProbeSchedule,
    probe: Option<Box<dyn Probe>>,
    /// The tick that is next: a regular one, a retry, or one after a back-off.
    due: Instant,
    /// The regular tick that is next. Retries do not move it.
    regular: Instant,
    state: SlotState,
    final_failures: u32,
    /// Class and code of the last failure: evidence is kept when they change.
    last_failure: Option<(&'static str, Option<String>)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SlotState {
    /// The heap has its tick.
    Scheduled,
    /// Due, and waiting for a place.
    Waiting,
    /// Running; `true` when its next tick has come meanwhile.
    Running(bool),
    /// Switched off.
    Off,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Tick {
    due: Instant,
    id: MonitorId,
    slot: usize,
    generation: u64,
}

/// A check that has ended.
struct Done {
    id: MonitorId,
    slot: usize,
    generation: u64,
    ended: Ended,
    started: Timestamp,
    timeout: Duration,
    lag_before: Duration,
    kind: Kind,
    _pass: Option<Pass>,
}

enum Kind {
    Scheduled,
    ByHand(oneshot::Sender<CheckOutcome>),
    TryOut(&'static str, oneshot::Sender<CheckOutcome>),
}

pub(crate) struct Shard {
    cap: usize,
    epoch: Instant,
    clock: Arc<dyn Clock>,
    sink: Arc<dyn Sink>,
    uplink: Option<Arc<Uplink>>,
    stats: Arc<SchedulerStats>,
    // Keeps the gates of hosts alive between two definitions of the same host.
    _hosts: Arc<Hosts>,
    pulse: Arc<Pulse>,

    entries: HashMap<MonitorId, Entry, rustc_hash::FxBuildHasher>,
    ticks: BinaryHeap<Reverse<Tick>>,
    waiting: VecDeque<(MonitorId, usize, u64)>,
    running: JoinSet<Done>,
    scheduled_running: usize,
    batch: Batch,
    batch_since: Option<Instant>,
    next_generation: u64,
    /// How much later than planned the loop has turned, summed up.
    lag: Duration,
}

impl Shard {
    #[expect(clippy::too_many_arguments, reason = "called once, by the orchestrator")]
    pub(crate) fn new(
        cap: usize,
        epoch: Instant,
        clock: Arc<dyn Clock>,
        sink: Arc<dyn Sink>,
        uplink: Option<Arc<Uplink>>,
        stats: Arc<SchedulerStats>,
        hosts: Arc<Hosts>,
        pulse: Arc<Pulse>,
    ) -> Self {
        Self {
            cap,
            epoch,
            clock,
            sink,
            uplink,
            stats,
            _hosts: hosts,
            pulse,
            entries: HashMap::default(),
            ticks: BinaryHeap::new(),
            waiting: VecDeque::new(),
            running: JoinSet::new(),
            scheduled_running: 0,
            batch: Batch::default(),
            batch_since: None,
            next_generation: 0,
            lag: Duration::ZERO,
        }
    }

    pub(crate) async fn run(mut self, mut inbox: mpsc::UnboundedReceiver<Command>) {
        let mut timer = pin!(sleep_until(Instant::now()));
        loop {
            let now = Instant::now();
            let beat = u64::try_from((now - self.epoch).as_micros()).unwrap_or(u64::MAX);
            self.pulse.beat.store(beat, Ordering::Relaxed);
            self.start_waiting(now);
            self.start_due(now);
            self.flush_if_due(now);
            let wake = self.next_wake(now);
            timer.as_mut().reset(wake);
            tokio::select! {
                biased;
                command = inbox.recv() => match command {
                    Some(Command::Shutdown(grace)) => return self.finish(grace).await,
                    None => return self.finish(Duration::ZERO).await,
                    Some(command) => self.obey(command),
                },
                Some(done) = self.running.join_next() => self.joined(done),
                () = &mut timer => {}
            }
            // Take in all that has ended before the clock is looked at again.
            while let Some(done) = self.running.try_join_next() {
                self.joined(done);
            }
            let late = Instant::now().saturating_duration_since(wake);
            if late > COALESCE * 10 {
                self.lag += late;
            }
        }
    }

    fn next_wake(&self, now: Instant) -> Instant {
        let mut wake = now + PULSE;
        if let Some(Reverse(tick)) = self.ticks.peek() {
            wake = wake.min(tick.due + COALESCE);
        }
        if let Some(since) = self.batch_since {
            wake = wake.min(since + FLUSH);
        }
        wake.max(now)
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Upsert(run, gate) => self.upsert(*run, gate),
            Command::Remove(id) => {
                self.entries.remove(&id);
            }
            Command::CheckNow(id, reply) => self.check_now(id, reply),
            Command::TryOut { id, probe, schedule, reply } => {
                self.spawn(
                    id,
                    0,
                    0,
                    probe,
                    schedule.timeout,
                    None,
                    true,
                    Kind::TryOut(schedule.probe.name, reply),
                );
            }
            Command::Shutdown(_) => {}
        }
    }

    fn upsert(&mut self, run: MonitorRun, gate: Option<Arc<HostGate>>) {
        let MonitorRun { definition, plugin, monitor, restored, start } = run;
        let (id, now, time) = (definition.id, Instant::now(), self.clock.now());
        self.next_generation += 1;
        let generation = self.next_generation;
        let mut engine = StatusEngine::new(&definition.spec, plugin, time);
        let old = self.entries.remove(&id);
        let is_known = old.is_some() || restored.is_some();
        if let Some(old) = old {
            engine.succeed(old.engine);
        } else if let Some(restored) = &restored {
            engine.restore(restored.status, restored.since, restored.reason.clone(), restored.was_down);
        }
        let wanted = match (&monitor, definition.spec.enabled) {
            (_, false) => Some((Status::Paused, None)),
            (Err(errors), true) => {
                let failure = Failure::new(&common::DEFINITION, errors.to_string());
                Some((Status::Unknown, Some(Reason::from_failure(&failure, ""))))
            }
            // What was paused or broken and is not any more is unknown until its first check.
            (Ok(_), true) if matches!(engine.status(), Status::Paused) => Some((Status::Unknown, None)),
            (Ok(_), true) => None,
        };
        if let Some((status, reason)) = wanted {
            let before = engine.force(status, reason.clone(), time);
            if before.is_some() || !is_known {
                let from = before.filter(|_| is_known);
                self.push_transition(Transition {
                    monitor: id,
                    time,
                    from,
                    to: status,
                    down: false,
                    reason,
                    evidence: None,
                });
            }
        }
        let runs = definition.spec.enabled && monitor.is_ok();
        let slots = definition
            .spec
            .schedules(plugin)
            .into_iter()
            .map(|schedule| {
                let delay = match start {
                    StartMode::Now => Duration::ZERO,
                    StartMode::Spread => {
                        let last =
                            restored.as_ref().and_then(|r| r.last_checks.get(schedule.probe.name)).copied();
                        first_delay(id, schedule.interval, last, time)
                    }
                };
                let state = if runs && schedule.enabled { SlotState::Scheduled } else { SlotState::Off };
                let due = now + delay;
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
            .collect::<Vec<_>>();
        for (index, slot) in slots.iter().enumerate() {
            if slot.state == SlotState::Scheduled {
                self.ticks.push(Reverse(Tick { due: slot.due, id, slot: index, generation }));
            }
        }
        let monitor = monitor.ok();
        self.entries.insert(id, Entry { definition, plugin, monitor, gate, engine, slots, generation });
    }

    fn check_now(&mut self, id: MonitorId, reply: oneshot::Sender<CheckOutcome>) {
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
    fn start_due(&mut self, now: Instant) {
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
    fn start_waiting(&mut self, now: Instant) {
        let mut blocked = 0;
        while blocked < self.waiting.len() && self.scheduled_running < self.cap {
            let Some((id, slot, generation)) = self.waiting.pop_front() else { break };
            let Some(entry) = self.entries.get_mut(&id).filter(|entry| entry.generation == generation) else {
                self.stats.waiting.fetch_sub(1, Ordering::Relaxed);
                continue;
            };
            let pass = match &entry.gate {
                Some(gate) => match gate.enter() {
                    Some(pass) => Some(pass),
                    None => {
                        self.waiting.push_back((id, slot, generation));
                        blocked += 1;
                        continue;
                    }
                },
                None => None,
            };
            self.stats.waiting.fetch_sub(1, Ordering::Relaxed);
            self.start(id, slot, now, pass);
        }
        self.drop_hopeless(now);
    }

    /// Counts ticks that have waited for a whole interval as dropped.
    fn drop_hopeless(&mut self, now: Instant) {
        while let Some((id, index, generation)) = self.waiting.front().copied() {
            let Some(entry) = self.entries.get_mut(&id).filter(|entry| entry.generation == generation) else {
                self.waiting.pop_front();
                self.stats.waiting.fetch_sub(1, Ordering::Relaxed);
                continue;
            };
            let slot = &entry.slots[index];
            if now < slot.due + slot.schedule.interval {
                break;
            }
            self.waiting.pop_front();
            self.stats.waiting.fetch_sub(1, Ordering::Relaxed);
            let text =
                "the check waited for a whole interval: too many checks are in flight, in all or to its host";
            self.dropped(id, index, Failure::new(&common::OVERLOAD, text).code("caps"));
            self.schedule_next(id, index, now, true);
        }
    }

    fn start(&mut self, id: MonitorId, index: usize, now: Instant, pass: Option<Pass>) {
        let Some(entry) = self.entries.get_mut(&id) else { return };
        let (generation, slot) = (entry.generation, &mut entry.slots[index]);
        let probe =
            slot.probe.take().or_else(|| make_probe(entry.monitor.as_deref()?, slot.schedule.probe.name));
        let Some(probe) = probe else {
            let text = "the monitor makes no probe of this name, or panicked over it";
            self.dropped(id, index, Failure::new(&common::INTERNAL, text).code("no_probe"));
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
            self.dropped(id, index, Failure::new(&common::DROPPED_TICK, text).code("late"));
        }
        self.scheduled_running += 1;
        self.spawn(id, index, generation, probe, timeout, pass, false, Kind::Scheduled);
    }

    #[expect(clippy::too_many_arguments, reason = "they are the parts of a check, used once each")]
    fn spawn(
        &mut self,
        id: MonitorId,
        slot: usize,
        generation: u64,
        probe: Box<dyn Probe>,
        timeout: Duration,
        pass: Option<Pass>,
        detailed: bool,
        kind: Kind,
    ) {
        let started = self.clock.now();
        let cx = CheckContext { timeout, now: started, detailed };
        let (uplink, lag_before) = (self.uplink.clone(), self.lag);
        self.stats.started.fetch_add(1, Ordering::Relaxed);
        self.stats.in_flight.fetch_add(1, Ordering::Relaxed);
        self.running.spawn(async move {
            let ended = run_check(probe, cx, uplink).await;
            Done { id, slot, generation, ended, started, timeout, lag_before, kind, _pass: pass }
        });
    }

    fn joined(&mut self, done: Result<Done, tokio::task::JoinError>) {
        match done {
            Ok(done) => self.ended(done),
            // Panics of probes are caught inside the task; this is one of ours.
            Err(error) => tracing::error!("a check's task failed: {error}"),
        }
    }

    fn ended(&mut self, done: Done) {
        let Done { id, slot: index, generation, mut ended, started, timeout, lag_before, kind, _pass } = done;
        self.stats.ended.fetch_add(1, Ordering::Relaxed);
        self.stats.in_flight.fetch_sub(1, Ordering::Relaxed);
        match ended.fate {
            Fate::Orderly => {}
            Fate::Panicked => {
                self.stats.panics.fetch_add(1, Ordering::Relaxed);
                tracing::error!(monitor.id = %id, "a probe of monitor {id} panicked");
            }
            Fate::Overstayed => {
                self.stats.overstayed.fetch_add(1, Ordering::Relaxed);
                tracing::error!(monitor.id = %id, "a probe of monitor {id} did not keep its deadline");
            }
        }
        blame_stall(&mut ended.report, self.lag.saturating_sub(lag_before), timeout);
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
        let evaluation = entry.engine.apply(index, &ended.report, started);
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
        let changed = evaluation.changed_from.is_some();
        let evidence = ended.report.evidence.take().map(Arc::new);
        let keep = is_news || changed || manual.is_some();
        let record = CheckRecord {
            monitor: id,
            probe: entry.slots[index].schedule.probe.name,
            time: started,
            duration: ended.took,
            status: entry.engine.status(),
            down: entry.engine.down(),
            failure: ended.report.failure,
            evidence: evidence.clone().filter(|_| keep),
            readings: ended.report.readings,
            facts: ended.report.facts,
            next: Some(self.clock.now().plus(next)),
            reason: entry.engine.reason().cloned(),
        };
        if let Some(from) = evaluation.changed_from {
            let transition = Transition {
                monitor: id,
                time: started,
                from: Some(from),
                to: record.status,
                down: record.down,
                reason: entry.engine.reason().cloned(),
                evidence,
            };
            self.push_transition(transition);
        }
        if let Some(reply) = manual {
            reply.send(CheckOutcome { record: record.clone() }).ok();
        }
        self.push_record(record, now);
    }

    /// Decides when a slot runs next, after a check that was scheduled.
    fn after_scheduled(
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
                let text = "the check before was still running a whole interval later";
                self.dropped(id, index, Failure::new(&common::DROPPED_TICK, text).code("overrun"));
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

    /// Moves a slot to its next tick.
    fn schedule_next(&mut self, id: MonitorId, index: usize, now: Instant, count_lost: bool) {
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

    /// Marks a check that was never made.
    fn dropped(&mut self, id: MonitorId, index: usize, failure: Failure) {
        let time = self.clock.now();
        let Some(entry) = self.entries.get_mut(&id) else { return };
        let report = Report::failed(failure);
        let evaluation = entry.engine.apply(index, &report, time);
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
            facts: Vec::new(),
            next: None,
            reason: entry.engine.reason().cloned(),
        };
        if let Some(from) = evaluation.changed_from {
            let reason = entry.engine.reason().cloned();
            let (to, down) = (record.status, record.down);
            self.push_transition(Transition {
                monitor: id,
                time,
                from: Some(from),
                to,
                down,
                reason,
                evidence: None,
            });
        }
        self.push_record(record, Instant::now());
    }

    fn push_record(&mut self, record: CheckRecord, now: Instant) {
        self.batch.records.push(record);
        self.batch_since.get_or_insert(now);
    }

    fn push_transition(&mut self, transition: Transition) {
        self.batch.transitions.push(transition);
        // A change of status does not wait for company.
        self.batch_since = Some(self.epoch);
    }

    fn flush_if_due(&mut self, now: Instant) {
        if self.batch_since.is_none_or(|since| now < since + FLUSH) {
            return;
        }
        self.batch_since = None;
        if let Err(mut batch) = self.sink.send(std::mem::take(&mut self.batch)) {
            if batch.records.len() > MAX_KEPT {
                let excess = batch.records.len() - MAX_KEPT;
                batch.records.drain(..excess);
                self.stats.discarded.fetch_add(excess as u64, Ordering::Relaxed);
            }
            self.batch = batch;
            self.batch_since = Some(now);
        }
    }

    /// Lets running checks end, then hands over what there is.
    async fn finish(mut self, grace: Duration) {
        let all = async {
            while let Some(done) = self.running.join_next().await {
                self.joined(done);
            }
        };
        if tokio::time::timeout(grace, all).await.is_err() {
            let cut = self.running.len();
            tracing::warn!("{cut} checks were cut off: they did not end within {} s", grace.as_secs());
            self.running.abort_all();
        }
        self.batch_since = Some(self.epoch);
        for _ in 0..50 {
            self.flush_if_due(Instant::now());
            if self.batch.is_empty() {
                break;
            }
            tokio::time::sleep(FLUSH).await;
        }
        self.pulse.ended.store(true, Ordering::Relaxed);
    }
}

/// A plugin's mistake must not end the thread that all its neighbours run on.
fn make_probe(monitor: &dyn Monitor, name: &str) -> Option<Box<dyn Probe>> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| monitor.probe(name))).ok().flatten()
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
        facts: ended.report.facts,
        next: None,
        reason: None,
    }
}

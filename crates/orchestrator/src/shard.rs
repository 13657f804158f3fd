//! A shard: one thread that owns its monitors, from the tick to the verdict.
//!
//! Here is its loop and what it is told; `start` makes checks of ticks, `end` verdicts of checks, `outbox` hands them
//! over.

mod end;
mod outbox;
mod start;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};
use wise_core::{
    Clock, Failure, Monitor, MonitorDefinition, MonitorId, Plugin, Probe, ProbeSchedule, Reason, Status,
    Timestamp, Transition, common,
};

use self::outbox::FLUSH;
use crate::engine::StatusEngine;
use crate::hosts::{HostGate, HostPermit, Hosts};
use crate::run::{CheckOutcome, MonitorRun, Pulse, StartMode};
use crate::schedule::first_delay;
use crate::stats::SchedulerStats;
use crate::task::Ended;
use crate::uplink::Uplink;
use crate::{Batch, Sink};

/// The loop turns at least this often, so that the watchdog sees a pulse and waiting checks are tried again.
const PULSE: Duration = Duration::from_millis(100);
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
    _permit: Option<HostPermit>,
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
                    Some(command) => self.handle(command),
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

    fn handle(&mut self, command: Command) {
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

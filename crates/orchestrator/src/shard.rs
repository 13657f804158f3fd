//! A shard: one thread that owns its monitors, from the tick to the verdict.
//!
//! Here is its loop and what it is told; `define` takes in definitions, `start` makes checks of ticks, `end` records and
//! events of checks, `unwatched` finds the time in which nothing ran, `outbox` hands over.

mod define;
mod end;
mod outbox;
mod start;
mod unwatched;

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
    Batch, Clock, Monitor, MonitorDefinition, MonitorId, Plugin, Probe, ProbeSchedule, Reason, Timestamp,
};

use self::outbox::FLUSH;
use self::unwatched::Moment;
use crate::Sink;
use crate::hosts::{HostGate, HostPermit, Hosts};
use crate::run::{CheckOutcome, MonitorRun, Pulse};
use crate::stats::SchedulerStats;
use crate::status::StatusEngine;
use crate::task::Ended;
use crate::uplink::Uplink;

/// The loop turns at least this often, so that the watchdog sees a pulse and waiting checks are tried again.
const PULSE: Duration = Duration::from_millis(100);
/// Ticks this close together are started together: one wake-up instead of several.
const COALESCE: Duration = Duration::from_millis(2);

/// What a shard is told.
pub(crate) enum Command {
    Upsert(Box<MonitorRun>, Option<Arc<HostGate>>),
    Remove(MonitorId),
    Maintenance(MonitorId, Option<Reason>),
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
    /// The end of the last gap.
    gap_until: Option<Timestamp>,
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
    lapses_before: u64,
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
    /// The clocks at the last turn of the loop.
    last_turn: Moment,
    /// How often it stood still.
    lapses: u64,
}

/// What a turn of the loop waited for.
enum Woken {
    Command(Command),
    Ended(Result<Done, tokio::task::JoinError>),
    Time,
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
            last_turn: Moment::now(&*clock),
            lapses: 0,
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
        let mut now = self.look_at_clocks();
        loop {
            let beat = u64::try_from((now - self.epoch).as_micros()).unwrap_or(u64::MAX);
            self.pulse.beat.store(beat, Ordering::Relaxed);
            self.start_waiting(now);
            self.start_due(now);
            self.flush_if_due(now);
            let wake = self.next_wake(now);
            timer.as_mut().reset(wake);
            let woken = tokio::select! {
                biased;
                command = inbox.recv() => match command {
                    Some(Command::Shutdown(grace)) => return self.finish(grace).await,
                    None => return self.finish(Duration::ZERO).await,
                    Some(command) => Woken::Command(command),
                },
                Some(done) = self.running.join_next() => Woken::Ended(done),
                () = &mut timer => Woken::Time,
            };
            // Once a turn, and first: what lapsed did so under what was known before.
            now = self.look_at_clocks();
            match woken {
                Woken::Command(command) => self.handle(command),
                Woken::Ended(done) => self.joined(done),
                Woken::Time => {}
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
            Command::Maintenance(id, reason) => self.set_maintenance(id, reason),
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

//! The handle to the shards.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use wise_core::{
    CheckRecord, Clock, FieldErrors, Monitor, MonitorDefinition, MonitorId, MonitorState, Plugin, ProbeSpec,
    Reason, Timestamp,
};

use crate::Sink;
use crate::hosts::Hosts;
use crate::shard::{Command, Shard};
use crate::stats::SchedulerStats;
use crate::uplink::Uplink;

/// A runtime that has not moved for this long is reported.
const STALL: Duration = Duration::from_secs(1);

/// Limits of the orchestrator.
#[derive(Clone, Debug)]
pub struct OrchestratorConfig {
    /// Threads that run probes, each with a runtime of its own.
    pub shards: usize,
    /// Checks in flight at most.
    pub max_in_flight: u32,
    /// Checks in flight to one host at most.
    pub max_in_flight_per_host: u32,
    /// How long running checks may go on at shutdown.
    pub shutdown_grace: Duration,
}

/// A monitor ready to be run.
#[derive(Debug)]
pub struct MonitorRun {
    /// What was asked for.
    pub definition: Arc<MonitorDefinition>,
    /// Its plugin.
    pub plugin: &'static Plugin,
    /// The monitor, or why it cannot be built.
    pub monitor: Result<Arc<dyn Monitor>, FieldErrors>,
    /// What an earlier run knew of it.
    pub restored: Option<Restored>,
    /// When its first checks are due.
    pub start: StartMode,
}

/// What an earlier run knew of a monitor.
#[derive(Clone, Debug)]
pub struct Restored {
    /// Its status and conditions.
    pub state: MonitorState,
    /// When it was last watched: its last availability check, or when the server was last known to run. `None` when
    /// nothing was to be watched.
    pub last_watched: Option<Timestamp>,
    /// When the server was last known to run.
    pub alive: Option<Timestamp>,
    /// When each probe last ran.
    pub last_checks: HashMap<String, Timestamp>,
}

/// When the first checks of a monitor are due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartMode {
    /// At once: it is new or was changed.
    Now,
    /// At its place within the spread, or where the last run left off.
    Spread,
}

/// The outcome of a check made by hand.
#[derive(Debug)]
pub struct CheckOutcome {
    /// The check. For a definition that is not saved its status is what this check alone would say.
    pub record: CheckRecord,
}

/// The handle to all shards.
pub struct Orchestrator {
    shards: Vec<ShardHandle>,
    stats: Arc<SchedulerStats>,
    hosts: Arc<Hosts>,
    grace: Duration,
    epoch: Instant,
    stopping: AtomicBool,
}

struct ShardHandle {
    commands: mpsc::UnboundedSender<Command>,
    pulse: Arc<Pulse>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// Shows the watchdog that a shard still moves, and what it does.
#[derive(Debug, Default)]
pub(crate) struct Pulse {
    /// Microseconds since the orchestrator began.
    pub(crate) beat: AtomicU64,
    /// The loop has ended in order.
    pub(crate) ended: AtomicBool,
}

impl std::fmt::Debug for Orchestrator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Orchestrator").field("shards", &self.shards.len()).finish_non_exhaustive()
    }
}

impl Orchestrator {
    /// Starts the shards.
    ///
    /// # Errors
    /// A thread or a runtime cannot be made.
    pub fn start(
        config: &OrchestratorConfig,
        clock: Arc<dyn Clock>,
        sink: Arc<dyn Sink>,
        uplink: Option<Arc<Uplink>>,
    ) -> std::io::Result<Self> {
        let stats = Arc::new(SchedulerStats::default());
        let hosts = Arc::new(Hosts::new(config.max_in_flight_per_host.max(1)));
        let epoch = Instant::now();
        let count = config.shards.max(1);
        let cap = (config.max_in_flight as usize).div_ceil(count).max(1);
        let mut shards = Vec::with_capacity(count);
        for index in 0..count {
            let (commands, inbox) = mpsc::unbounded_channel();
            let pulse = Arc::new(Pulse::default());
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                // Files of certificates are read here; probes otherwise never block.
                .max_blocking_threads(4)
                .build()?;
            let shard = Shard::new(
                cap,
                epoch,
                clock.clone(),
                sink.clone(),
                uplink.clone(),
                stats.clone(),
                hosts.clone(),
                pulse.clone(),
            );
            let thread = std::thread::Builder::new()
                .name(format!("probes-{index}"))
                .spawn(move || runtime.block_on(shard.run(inbox)))?;
            shards.push(ShardHandle { commands, pulse, thread: Mutex::new(Some(thread)) });
        }
        Ok(Self {
            shards,
            stats,
            hosts,
            grace: config.shutdown_grace,
            epoch,
            stopping: AtomicBool::new(false),
        })
    }

    fn shard(&self, id: MonitorId) -> &ShardHandle {
        let index = usize::try_from((id.spread() >> 32) % self.shards.len() as u64).unwrap_or(0);
        &self.shards[index]
    }

    /// Adds a monitor, or replaces the one with its id.
    pub fn upsert(&self, run: MonitorRun) {
        let id = run.definition.id;
        let gate =
            run.monitor.as_ref().ok().and_then(|monitor| monitor.host().map(|host| self.hosts.gate(host)));
        self.tell(id, Command::Upsert(Box::new(run), gate));
    }

    /// Stops watching a monitor.
    pub fn remove(&self, id: MonitorId) {
        self.tell(id, Command::Remove(id));
    }

    /// Puts a monitor into maintenance, for a reason, or takes it out. Checks go on, and its conditions with them; the
    /// status shows them again when the maintenance is over. Windows are the caller's to keep: a monitor that was in
    /// maintenance when the server stopped is so after a restart until this is called.
    pub fn set_maintenance(&self, id: MonitorId, reason: Option<Reason>) {
        self.tell(id, Command::Maintenance(id, reason));
    }

    /// Makes an availability check of a monitor now, beside its schedule. `None` when it is not watched.
    pub async fn check_now(&self, id: MonitorId) -> Option<CheckOutcome> {
        let (reply, answer) = oneshot::channel();
        self.tell(id, Command::CheckNow(id, reply));
        answer.await.ok()
    }

    /// Makes an availability check of a definition that is not watched. Nothing is stored.
    pub async fn try_out(
        &self,
        definition: &MonitorDefinition,
        plugin: &'static Plugin,
        monitor: Arc<dyn Monitor>,
    ) -> Option<CheckOutcome> {
        let (reply, answer) = oneshot::channel();
        let schedule = definition.spec.schedules(plugin).into_iter().next()?;
        let probe = monitor.probe(ProbeSpec::AVAILABILITY)?;
        self.tell(definition.id, Command::TryOut { id: definition.id, probe, schedule, reply });
        answer.await.ok()
    }

    /// The scheduler's counters.
    pub fn stats(&self) -> &Arc<SchedulerStats> {
        &self.stats
    }

    /// Whether every shard moves.
    pub fn is_moving(&self) -> bool {
        !self.stopping.load(Ordering::Relaxed)
            && self.shards.iter().all(|shard| !shard.pulse.ended.load(Ordering::Relaxed))
            && self.shards.iter().all(|shard| {
                let beat = Duration::from_micros(shard.pulse.beat.load(Ordering::Relaxed));
                self.epoch.elapsed().saturating_sub(beat) < STALL * 2
            })
    }

    /// Shards whose pulse is the same as in `seen`, which is brought up to date.
    fn stalled_shards(&self, seen: &mut [u64]) -> Vec<usize> {
        let mut stalled = Vec::new();
        for (index, (shard, seen)) in self.shards.iter().zip(seen.iter_mut()).enumerate() {
            let beat = shard.pulse.beat.load(Ordering::Relaxed);
            if beat == *seen && !shard.pulse.ended.load(Ordering::Relaxed) {
                stalled.push(index);
            }
            *seen = beat;
        }
        stalled
    }

    /// Watches the shards and reports those that stand still. Runs for ever, on another runtime.
    pub async fn watch(&self) {
        let mut seen = vec![u64::MAX; self.shards.len()];
        let mut reported = vec![false; self.shards.len()];
        let mut ticks = tokio::time::interval(STALL);
        loop {
            ticks.tick().await;
            let stalled = self.stalled_shards(&mut seen);
            for (index, reported) in reported.iter_mut().enumerate() {
                let is_stalled = stalled.contains(&index);
                if is_stalled && !*reported {
                    self.stats.stalls.fetch_add(1, Ordering::Relaxed);
                    tracing::error!(
                        shard = index,
                        "probe runtime {index} stands still: a probe blocks its thread, or the machine is overloaded"
                    );
                } else if *reported && !is_stalled {
                    tracing::info!(shard = index, "probe runtime {index} moves again");
                }
                *reported = is_stalled;
            }
        }
    }

    fn tell(&self, id: MonitorId, command: Command) {
        // A shard that has ended takes no commands, and no one misses their effect.
        if self.shard(id).commands.send(command).is_err() {
            tracing::debug!(monitor.id = %id, "the probe runtime of monitor {id} has ended");
        }
    }

    /// Starts no more checks, waits for the running ones, hands over the last results. Blocks.
    pub fn shutdown(&self) {
        self.stopping.store(true, Ordering::Relaxed);
        for shard in &self.shards {
            shard.commands.send(Command::Shutdown(self.grace)).ok();
        }
        for shard in &self.shards {
            let thread = shard.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
            if let Some(thread) = thread
                && thread.join().is_err()
            {
                tracing::error!("a probe runtime ended in a panic");
            }
        }
    }
}

//! The orchestrator with probes that behave in every way: on real threads, awaited by their verdicts.
#![expect(clippy::unwrap_used, reason = "a test that finds something else than it wants fails at once")]

mod behaviour;

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use behaviour::{Behaviour, PLUGIN, Scripted};
use serde_json::json;
use wise_core::{
    Batch, CheckRecord, HumanDuration, MonitorDefinition, MonitorId, MonitorSpec, Status, SystemClock,
    Timestamp,
};
use wise_orchestrator::{MonitorRun, Orchestrator, OrchestratorConfig, Sink, StartMode};

/// How long a verdict may take.
const PATIENCE: Duration = Duration::from_secs(20);

struct ToTest(Mutex<Sender<Batch>>);

impl Sink for ToTest {
    fn send(&self, batch: Batch) -> Result<(), Batch> {
        self.0.lock().unwrap().send(batch).map_err(|error| error.0)
    }
}

struct Fixture {
    orchestrator: Orchestrator,
    batches: Receiver<Batch>,
    records: Vec<CheckRecord>,
}

impl Fixture {
    fn new(shards: usize) -> Self {
        let (sender, batches) = channel();
        let config = OrchestratorConfig {
            shards,
            max_in_flight: 100,
            max_in_flight_per_host: 100,
            shutdown_grace: Duration::from_secs(1),
        };
        let sink = Arc::new(ToTest(Mutex::new(sender)));
        let orchestrator = Orchestrator::start(&config, Arc::new(SystemClock), sink, None).unwrap();
        Self { orchestrator, batches, records: Vec::new() }
    }

    fn watch(&self, behaviour: Behaviour, change: impl FnOnce(&mut MonitorSpec)) -> MonitorId {
        let mut spec = MonitorSpec::new("m", PLUGIN.kind, json!({}));
        spec.interval = Some(HumanDuration::from_secs(1));
        spec.timeout = Some(HumanDuration(Duration::from_millis(300)));
        change(&mut spec);
        let id = MonitorId::generate();
        let definition = MonitorDefinition::new(id, spec, "", Timestamp::default());
        let monitor = Ok(Arc::new(Scripted(behaviour)) as Arc<dyn wise_core::Monitor>);
        let (definition, start) = (Arc::new(definition), StartMode::Now);
        self.orchestrator.upsert(MonitorRun { definition, plugin: &PLUGIN, monitor, restored: None, start });
        id
    }

    /// The nth record of a monitor's probe, from 1.
    fn record(&mut self, id: MonitorId, probe: &str, nth: usize) -> CheckRecord {
        loop {
            let found = self
                .records
                .iter()
                .filter(|record| record.monitor == id && record.probe == probe)
                .nth(nth - 1);
            if let Some(record) = found {
                return record.clone();
            }
            let batch = self.batches.recv_timeout(PATIENCE).expect("a verdict in time");
            self.records.extend(batch.records);
        }
    }

    fn availability(&mut self, id: MonitorId, nth: usize) -> CheckRecord {
        self.record(id, "availability", nth)
    }
}

fn class(record: &CheckRecord) -> &str {
    record.failure.as_ref().map_or("", |failure| failure.class.name)
}

#[test]
fn a_probe_that_panics_is_made_again_and_disturbs_nobody() {
    let mut fixture = Fixture::new(1);
    let bad = fixture.watch(Behaviour::Panic, |_| {});
    let good = fixture.watch(Behaviour::Pass, |_| {});
    for nth in 1..=2 {
        let record = fixture.availability(bad, nth);
        assert_eq!((class(&record), record.status), ("internal", Status::Unknown));
        assert_eq!(fixture.availability(good, nth).status, Status::Healthy);
    }
    assert!(fixture.orchestrator.stats().snapshot().panics >= 2);
}

#[test]
fn a_monitor_that_panics_when_it_makes_its_probe_disturbs_nobody() {
    let mut fixture = Fixture::new(1);
    let bad = fixture.watch(Behaviour::PanicInProbe, |_| {});
    let good = fixture.watch(Behaviour::Pass, |_| {});
    assert_eq!(class(&fixture.availability(bad, 2)), "internal");
    assert_eq!(fixture.availability(good, 2).status, Status::Healthy);
}

#[test]
fn a_probe_that_ignores_its_deadline_is_thrown_away() {
    let mut fixture = Fixture::new(1);
    let id = fixture.watch(Behaviour::Hang, |_| {});
    let record = fixture.availability(id, 2);
    assert_eq!(
        (class(&record), record.failure.as_ref().unwrap().code.as_deref()),
        ("internal", Some("deadline"))
    );
    assert!(record.duration < Duration::from_secs(1), "{:?}", record.duration);
    assert!(fixture.orchestrator.stats().snapshot().overstayed >= 2);
}

#[test]
fn a_timeout_while_our_own_thread_stood_still_is_not_blamed_on_the_target() {
    let mut fixture = Fixture::new(1);
    let alone = fixture.watch(Behaviour::Timeout, |_| {});
    assert_eq!(class(&fixture.availability(alone, 1)), "timeout");
    // Due at the same moment as one that blocks their thread for most of the deadline.
    let slow = fixture.watch(Behaviour::Timeout, |_| {});
    fixture.watch(Behaviour::Block, |_| {});
    let blamed = (1..8).map(|nth| fixture.availability(slow, nth)).find(|record| class(record) == "overload");
    let blamed = blamed.expect("a timeout during the stall");
    assert_eq!(blamed.status, Status::Unknown);
    assert!(!blamed.down);
}

#[test]
fn the_watchdog_sees_a_blocked_thread_and_other_shards_go_on() {
    let mut fixture = Fixture::new(2);
    // One monitor a shard at least, whichever way the ids fall.
    let good: Vec<MonitorId> = (0..16).map(|_| fixture.watch(Behaviour::Pass, |_| {})).collect();
    for id in &good {
        fixture.availability(*id, 1);
    }
    fixture.watch(Behaviour::BlockForLong, |_| {});
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async {
        tokio::select! {
            () = fixture.orchestrator.watch() => {}
            () = async {
                while fixture.orchestrator.stats().snapshot().stalls == 0 {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            } => {}
            () = tokio::time::sleep(PATIENCE) => panic!("the watchdog has not seen the stall"),
        }
    });
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while fixture.orchestrator.is_moving() {
        assert!(tokio::time::Instant::now() < deadline, "the health check does not see the stall");
        std::thread::yield_now();
    }
    let before = fixture.orchestrator.stats().snapshot().ended;
    // The other shard's monitors are checked on.
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while fixture.orchestrator.stats().snapshot().ended < before + 4 {
        assert!(tokio::time::Instant::now() < deadline, "nothing moves any more");
        if let Ok(batch) = fixture.batches.recv_timeout(PATIENCE) {
            fixture.records.extend(batch.records);
        }
    }
}

#[test]
fn failures_are_retried_soon_until_it_is_decided_and_then_regularly() {
    let mut fixture = Fixture::new(1);
    let id = fixture.watch(Behaviour::Refuse, |spec| {
        spec.interval = Some(HumanDuration::from_secs(3600));
        spec.retry_interval = Some(HumanDuration::from_secs(1));
    });
    let first = fixture.availability(id, 1);
    assert_eq!((first.status, first.down), (Status::Unknown, false));
    let wait = first.next.unwrap().since(first.time);
    assert!(wait < Duration::from_secs(2), "{wait:?}");
    let second = fixture.availability(id, 2);
    assert_eq!((second.status, second.down), (Status::Unhealthy, true));
    // Back at the regular tick, an hour after the first, and not an hour after the retry.
    let regular = second.next.unwrap().since(first.time);
    assert!((3599.0..3600.5).contains(&regular.as_secs_f64()), "{regular:?}");
}

#[test]
fn a_wrong_password_is_down_at_once_and_slows_down() {
    let mut fixture = Fixture::new(1);
    let id = fixture.watch(Behaviour::WrongPassword, |_| {});
    let first = fixture.availability(id, 1);
    assert!(first.down);
    assert!(first.next.unwrap().since(first.time) >= Duration::from_secs(299));
}

#[test]
fn other_probes_wait_while_availability_fails() {
    let mut fixture = Fixture::new(1);
    let down = fixture.watch(Behaviour::Refuse, |_| {});
    let up = fixture.watch(Behaviour::Pass, |_| {});
    fixture.record(up, "storage", 3);
    fixture.availability(down, 3);
    let storage =
        fixture.records.iter().filter(|record| record.monitor == down && record.probe == "storage").count();
    // Both were due at once at the start; after the first failure none ran.
    assert!(storage <= 1, "{storage}");
}

#[test]
fn checks_by_hand_are_detailed_and_stored_and_tried_ones_are_not() {
    let mut fixture = Fixture::new(2);
    let id = fixture.watch(Behaviour::Pass, |spec| spec.interval = Some(HumanDuration::from_secs(3600)));
    fixture.availability(id, 1);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let outcome = runtime.block_on(fixture.orchestrator.check_now(id)).unwrap();
    assert_eq!(outcome.record.evidence.as_deref(), Some(&json!({"detailed": true})));
    assert_eq!(fixture.availability(id, 2).time, outcome.record.time);
    assert!(runtime.block_on(fixture.orchestrator.check_now(MonitorId::generate())).is_none());
    fixture.orchestrator.remove(id);
    assert!(runtime.block_on(fixture.orchestrator.check_now(id)).is_none());
}

#[test]
fn a_shutdown_lets_checks_end_and_hands_over_everything() {
    let mut fixture = Fixture::new(1);
    let id = fixture.watch(Behaviour::Timeout, |spec| spec.interval = Some(HumanDuration::from_secs(3600)));
    while fixture.orchestrator.stats().snapshot().in_flight == 0 {
        std::thread::yield_now();
    }
    fixture.orchestrator.shutdown();
    assert_eq!(class(&fixture.availability(id, 1)), "timeout");
    assert!(!fixture.orchestrator.is_moving());
}

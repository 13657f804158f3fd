//! What every backend of the store has to do, whatever it is made of. A backend is a [`Bed`]; the suite is run on each.

#![expect(clippy::unwrap_used, reason = "a test that finds something else than it wants fails at once")]

mod consumers;
mod definitions;
mod history;
mod migration;
mod mongodb;
mod record;
mod sources;

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::json;
use tempfile::TempDir;
use wise_core::{
    CheckRecord, Event, EventKind, Labels, MetricSpec, MonitorDefinition, MonitorId, MonitorSpec, Reading,
    ReadingValue, Reason, Status, StatusChange, Timestamp,
};
use wise_storage::ports::{Commit, Store};
use wise_storage::{MongoOptions, MongoStore, Retention, SqliteOptions, SqliteStore, Timing};
use wise_testbed::Mongo;

static TOTAL: MetricSpec = MetricSpec::latency("t.total_seconds", "Total", "Time of the whole check");
static SIZE: MetricSpec = MetricSpec::bytes("t.table.size_bytes", "Size", "Size of a table");
static REQUESTS: MetricSpec = MetricSpec::total("t.requests_total", "Requests", "Requests so far");

static DURATION: MetricSpec = MetricSpec::latency("t.duration_seconds", "Duration", "Durations of requests");

/// The start of every test's time: 2024-10-04, at midnight.
const START: Timestamp = Timestamp::from_seconds(20_000 * 86_400);

fn at(seconds: u64) -> Timestamp {
    START.plus(Duration::from_secs(seconds))
}

/// A place where a backend keeps its data, over several openings.
trait Bed {
    /// Opens it, as a server that starts would.
    fn open(&self, now: Timestamp) -> Arc<dyn Store>;

    /// Lets the house-keeping of days that are over come to its end.
    fn settle(&self, now: Timestamp);
}

/// The embedded store in a folder of its own.
struct Sqlite(TempDir);

impl Default for Sqlite {
    fn default() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }
}

fn embedded(folder: &Path) -> SqliteOptions {
    SqliteOptions {
        folder: folder.to_owned(),
        retention: Retention::default(),
        head_bytes: 1 << 20,
        max_series: 10_000,
        clock_patience: Duration::ZERO,
        hold_from: Arc::new(i64::MAX.into()),
        location: "here".to_owned(),
        worker: "w1".to_owned(),
    }
}

impl Sqlite {
    fn store(&self, now: Timestamp) -> SqliteStore {
        SqliteStore::open(&embedded(self.0.path()), now).expect("the store opens")
    }
}

impl Bed for Sqlite {
    fn open(&self, now: Timestamp) -> Arc<dyn Store> {
        Arc::new(self.store(now))
    }

    fn settle(&self, now: Timestamp) {
        self.store(now).compact_all(now).expect("days are compacted");
    }
}

/// The store in MongoDB.
struct InMongo {
    server: Arc<Mongo>,
    database: String,
    spool: Mutex<TempDir>,
    /// Whether each opening is on another machine, where nothing is known yet.
    moves: bool,
}

impl InMongo {
    fn new(server: &Arc<Mongo>, moves: bool) -> Self {
        let spool = Mutex::new(tempfile::tempdir().expect("a folder"));
        // A database of its own, so that tests share a server.
        let database = format!("wise_{}", MonitorId::generate().to_string().replace('-', ""));
        Self { server: server.clone(), database, spool, moves }
    }

    fn options(&self, spool: &Path) -> MongoOptions {
        MongoOptions {
            url: format!("{}/{}", self.server.url(), self.database),
            spool: embedded(spool),
            retention: Retention::default(),
            name: "w1".to_owned(),
            timing: Timing::default(),
            is_source: false,
        }
    }

    fn store(&self, now: Timestamp) -> MongoStore {
        let mut spool = self.spool.lock().expect("no one has failed");
        if self.moves {
            *spool = tempfile::tempdir().expect("a folder");
        }
        let options = self.options(spool.path());
        MongoStore::open(options, now, &mut |holder| panic!("{holder} has not given the store back"))
            .expect("the store opens")
    }
}

impl Bed for InMongo {
    fn open(&self, now: Timestamp) -> Arc<dyn Store> {
        Arc::new(self.store(now))
    }

    fn settle(&self, now: Timestamp) {
        self.store(now).send_all(now).expect("all is sent and rolled up");
    }
}

/// Runs a part of the suite on every backend there is.
fn on_every_backend(run: impl Fn(&dyn Bed)) {
    run(&Sqlite::default());
    for program in Mongo::programs() {
        let server = Arc::new(Mongo::start(&program, &[]));
        for moves in [false, true] {
            eprintln!("in MongoDB ({}), on another machine each time: {moves}", program.display());
            run(&InMongo::new(&server, moves));
        }
    }
}

fn definition(name: &str) -> MonitorDefinition {
    MonitorDefinition::new(
        MonitorId::generate(),
        MonitorSpec::new(name, "t", json!({"url": "x"})),
        "me",
        START,
    )
}

fn added(store: &dyn Store, name: &str) -> MonitorId {
    let definition = definition(name);
    store.insert_monitor(&definition).expect("the definition is stored");
    definition.id
}

/// A change of status. Unhealthy is down, since two seconds.
fn change(monitor: MonitorId, time: Timestamp, to: Status) -> Event {
    let down = to == Status::Unhealthy;
    let kind = EventKind::Status(StatusChange {
        from: Some(Status::Healthy),
        to,
        down,
        since: if down { time.minus(Duration::from_secs(2)) } else { time },
        reason: down.then(|| Reason::new("refused", "keine Verbindung ü")),
    });
    Event { monitor, time, kind }
}

fn removal(id: MonitorId, time: Timestamp) -> Event {
    Event { monitor: id, time, kind: EventKind::Removed { name: "shop".to_owned() } }
}

fn commit(store: &dyn Store, events: &[Event]) -> Vec<u64> {
    store.commit(Commit::of(events)).expect("the events are stored")
}

fn advance(store: &dyn Store, consumer: &str, sequence: u64) {
    store.commit(Commit { events: &[], cursor: Some((consumer, sequence)) }).expect("the cursor is stored");
}

fn check(id: MonitorId, time: Timestamp, readings: Vec<Reading>) -> CheckRecord {
    CheckRecord {
        monitor: id,
        probe: "availability",
        time,
        duration: Duration::from_micros(1234),
        status: Status::Healthy,
        down: false,
        failure: None,
        evidence: None,
        readings,
        duplicates: vec![],
        facts: vec![],
        next: None,
        reason: None,
    }
}

fn total(id: MonitorId, time: Timestamp, seconds: f64) -> CheckRecord {
    check(id, time, vec![Reading::exact(&TOTAL, seconds)])
}

fn sized(table: &str, bytes: f64) -> Reading {
    let labels = Labels::new([("table".to_owned(), table.to_owned())]);
    Reading::new(&SIZE, &labels, ReadingValue::Exact(bytes))
}

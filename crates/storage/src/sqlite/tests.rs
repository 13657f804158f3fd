//! The embedded store by itself; what every backend has to do is in `tests/conformance`.

mod backup;
mod compaction;
mod damage;

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use wise_core::{
    EventKind, Failure, FoundMetric, Labels, MetricRef, MetricSpec, MonitorSpec, Reading, ReadingValue,
    Status, common,
};

use super::*;
use crate::query::{Aggregate, Grouping};

static TOTAL: MetricSpec = MetricSpec::latency("t.total_seconds", "Total", "Time of the whole check");
const START: Timestamp = Timestamp::from_seconds(20_000 * 86_400);

fn options(folder: &Path) -> SqliteOptions {
    SqliteOptions {
        folder: folder.to_owned(),
        retention: Retention::default(),
        head_bytes: 1 << 20,
        max_series: 10_000,
        clock_patience: Duration::ZERO,
        hold_from: std::sync::Arc::new(i64::MAX.into()),
        location: "here".to_owned(),
        worker: "w1".to_owned(),
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

fn record(id: MonitorId, time: Timestamp, seconds: f64) -> CheckRecord {
    CheckRecord {
        monitor: id,
        probe: "availability",
        time,
        duration: Duration::from_micros(1234),
        status: Status::Healthy,
        down: false,
        failure: None,
        evidence: None,
        readings: vec![Reading::exact(&TOTAL, seconds)],
        duplicates: vec![],
        facts: vec![],
        next: None,
        reason: None,
    }
}

fn failed(id: MonitorId, time: Timestamp, evidence: Option<serde_json::Value>) -> CheckRecord {
    CheckRecord {
        status: Status::Unhealthy,
        down: true,
        failure: Some(Failure::new(&common::REFUSED, "connection refused").code("refused")),
        evidence: evidence.map(Arc::new),
        readings: vec![],
        ..record(id, time, 0.0)
    }
}

fn all_results(store: &SqliteStore, id: MonitorId) -> Vec<StoredResult> {
    let query =
        ResultQuery::of(id, (Timestamp::default(), START.plus(Duration::from_secs(1 << 30))), 100_000);
    store.results(&query).unwrap()
}

fn points(store: &SqliteStore, id: MonitorId, aggregate: Aggregate) -> Vec<(f64, f64)> {
    let to = START.plus(Duration::from_secs(3600));
    let plan = QueryPlan::of(id, TOTAL.name, (START, to), 60, aggregate);
    store.answer(&plan).unwrap().series.into_iter().flat_map(|series| series.points).collect()
}

#[test]
fn definitions_keep_their_rules() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&options(folder.path()), START).unwrap();
    let mut shop = definition("shop");
    store.insert_monitor(&shop).unwrap();
    assert!(matches!(store.insert_monitor(&definition("shop")), Err(StoreError::NameTaken(_))));
    shop.version = 2;
    shop.spec.name = "store".to_owned();
    store.update_monitor(&shop, 1).unwrap();
    assert!(matches!(store.update_monitor(&shop, 1), Err(StoreError::Stale { found: 2 })));
    let mut other = definition("other");
    store.insert_monitor(&other).unwrap();
    other.spec.name = "store".to_owned();
    other.version = 2;
    assert!(matches!(store.update_monitor(&other, 1), Err(StoreError::NameTaken(_))));
    drop(store);
    let store = SqliteStore::open(&options(folder.path()), START).unwrap();
    assert_eq!(store.monitors().unwrap()[0], shop);
    let removal = Event { monitor: shop.id, time: START, kind: EventKind::Removed { name: String::new() } };
    store.remove_monitor(&removal).unwrap();
    assert!(matches!(store.remove_monitor(&removal), Err(StoreError::NotFound)));
    assert_eq!(store.monitors().unwrap().len(), 1);
}

#[test]
fn history_survives_sealing_reopening_and_a_crash() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&options(folder.path()), START).unwrap();
    let shop = definition("shop");
    store.insert_monitor(&shop).unwrap();
    let at = |seconds| START.plus(Duration::from_secs(seconds));
    let records: Vec<_> =
        (0..600).map(|i| record(shop.id, at(i), 0.001 * f64::from(u32::try_from(i % 60).unwrap()))).collect();
    store.append(&records[..300]).unwrap();
    let expected = |count: usize| (count, 0.0295);
    let check = |store: &SqliteStore, count: usize| {
        let found = points(store, shop.id, Aggregate::Avg);
        let (want_count, want_mean) = expected(count);
        assert_eq!(found.len(), want_count);
        assert!(found.iter().all(|(_, value)| (value - want_mean).abs() < 1e-9), "{found:?}");
        assert_eq!(all_results(store, shop.id).len(), count * 60);
    };
    check(&store, 5);
    // Sealed by hand, half in chunks and half in the head.
    let seal = |store: &SqliteStore| {
        store.maintain(at(1)).unwrap();
        store.maintain(at(4000)).unwrap();
    };
    seal(&store);
    check(&store, 5);
    store.append(&records[300..]).unwrap();
    check(&store, 10);
    // As after kill -9: nothing is closed, and the files are read by another process.
    std::mem::forget(store);
    let copy = tempfile::tempdir().unwrap();
    copy_folder(folder.path(), copy.path());
    let store = SqliteStore::open(&options(copy.path()), at(600)).unwrap();
    check(&store, 10);
    assert_eq!(store.last_checks().unwrap()[&shop.id]["availability"], at(599));
    assert_eq!(points(&store, shop.id, Aggregate::Quantile(0.95))[0].1, 0.056);
    assert_eq!(points(&store, shop.id, Aggregate::Max)[0].1, 0.059);
    assert_eq!(points(&store, shop.id, Aggregate::Count)[0].1, 60.0);
    // The day after, the day is closed and read from its chunks alone.
    store.maintain(at(86_400 + 300)).unwrap();
    check(&store, 10);
    let first = &all_results(&store, shop.id)[0];
    assert_eq!((first.time, first.location.as_str(), first.worker.as_str()), (at(599), "here", "w1"));
    // And after the retention it is gone.
    store.compact_all(at(86_400 + 300)).unwrap();
    store.maintain(at(9 * 86_400)).unwrap();
    assert!(all_results(&store, shop.id).is_empty());
}

#[test]
fn evidence_is_kept_on_change_and_referred_to() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&options(folder.path()), START).unwrap();
    let shop = definition("shop");
    store.insert_monitor(&shop).unwrap();
    let at = |seconds| START.plus(Duration::from_secs(seconds));
    let mut records = vec![failed(shop.id, at(0), Some(json!({"first": true})))];
    records.extend((1..50).map(|i| failed(shop.id, at(i), None)));
    records.push(record(shop.id, at(50), 0.1));
    store.append(&records).unwrap();
    let query = ResultQuery::of(shop.id, (START, at(100)), 1000).failed(true);
    let results = store.results(&query).unwrap();
    assert_eq!(results.len(), 50);
    assert!(results.iter().all(|result| result.evidence == Some(json!({"first": true}))));
    assert_eq!(
        results[0].failure,
        Some(("refused".to_owned(), Some("refused".to_owned()), "connection refused".to_owned()))
    );
    let path = folder.path().join("history").join("2024-10-04.sqlite3");
    let count: i64 = rusqlite::Connection::open(path)
        .unwrap()
        .query_row("SELECT count(*) FROM evidence", [], |row| row.get(0))
        .unwrap();
    assert_eq!(count, 1);
}

#[test]
fn labels_make_series_and_days_are_crossed() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&options(folder.path()), START).unwrap();
    let shop = definition("shop");
    store.insert_monitor(&shop).unwrap();
    let metric = MetricRef::Found(Arc::new(FoundMetric {
        name: "t.table.size_bytes".to_owned(),
        unit: "bytes".to_owned(),
    }));
    let reading = |table: &str, value| Reading {
        metric: metric.clone(),
        labels: Labels::new([("table".to_owned(), table.to_owned())]),
        value: ReadingValue::Exact(value),
    };
    for day in 0..3u64 {
        let mut record = record(shop.id, START.plus(Duration::from_secs(86_400 * day)), 0.0);
        record.readings = vec![reading("ä", day as f64), reading("b", f64::NAN), reading("c", 7.0)];
        store.append(&[record]).unwrap();
    }
    let range = (START, START.plus(Duration::from_secs(3 * 86_400)));
    let plan = QueryPlan::of(shop.id, "t.table.size_bytes", range, 3, Aggregate::Last);
    let series = store.answer(&plan).unwrap().series;
    assert_eq!(series.len(), 2);
    let umlaut = series.iter().find(|series| series.labels[0].1 == "ä").unwrap();
    assert_eq!(umlaut.points.iter().map(|(_, value)| *value).collect::<Vec<_>>(), [0.0, 1.0, 2.0]);
}

#[test]
fn groups_are_answered_across_monitors() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&options(folder.path()), START).unwrap();
    let (one, two) = (definition("one"), definition("two"));
    for (definition, value) in [(&one, 1.0), (&two, 3.0)] {
        store.insert_monitor(definition).unwrap();
        store.append(&[record(definition.id, START, value)]).unwrap();
    }
    let range = (START, START.plus(Duration::from_secs(60)));
    let mut plan = QueryPlan::of(one.id, TOTAL.name, range, 1, Aggregate::Avg);
    plan.sources.push(two.id.into());
    plan.grouping = Grouping::By(vec!["monitor".to_owned()]);
    assert_eq!(store.answer(&plan).unwrap().series.len(), 2);
    plan.grouping = Grouping::By(Vec::new());
    assert_eq!(store.answer(&plan).unwrap().series[0].points[0].1, 2.0);
}

fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// Days of samples every 30 s, stored day by day as they would be.
fn fill(store: &SqliteStore, id: MonitorId, days: u64) {
    for check in 0..days * 2880 {
        let time = START.plus(Duration::from_secs(check * 30));
        let value = 0.05 + ((check as f64) * 0.618_034).fract() * 0.1;
        store.append(&[record(id, time, (value * 1e6).round() / 1e6)]).unwrap();
        if check % 500 == 0 {
            store.maintain(time).unwrap();
        }
    }
}

/// Makes a file unreadable as a whole.
fn ruin(path: &Path) {
    std::fs::write(path, vec![0x5a_u8; 8192]).unwrap();
}

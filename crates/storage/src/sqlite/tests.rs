use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use wise_core::{
    Failure, FoundMetric, Labels, ManagedBy, MetricRef, MetricSpec, MonitorSpec, Reading, ReadingValue,
    Reason, Status, common,
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
        location: "here".to_owned(),
        worker: "w1".to_owned(),
    }
}

fn definition(name: &str) -> MonitorDefinition {
    MonitorDefinition {
        id: MonitorId::generate(),
        spec: MonitorSpec::new(name, "t", json!({"url": "x"})),
        version: 1,
        created_at: START,
        updated_at: START,
        created_by: "me".to_owned(),
        updated_by: "me".to_owned(),
        managed_by: ManagedBy::Api,
    }
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
    let query = ResultQuery {
        monitor: id,
        from: Timestamp::default(),
        to: START.plus(Duration::from_secs(1 << 30)),
        failed: false,
        limit: 100_000,
    };
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
    store.delete_monitor(shop.id).unwrap();
    assert!(matches!(store.delete_monitor(shop.id), Err(StoreError::NotFound)));
    assert_eq!(store.monitors().unwrap().len(), 1);
}

#[test]
fn transitions_are_numbered_and_consumers_resume() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&options(folder.path()), START).unwrap();
    let shop = definition("shop");
    store.insert_monitor(&shop).unwrap();
    let reason = Reason {
        class: "refused".to_owned(),
        code: None,
        message: "connection refused".to_owned(),
        probe: Some("availability".to_owned()),
        metric: None,
        value: None,
    };
    let change = |seconds: u64, to: Status, down: bool| Transition {
        monitor: shop.id,
        time: START.plus(Duration::from_secs(seconds)),
        from: Some(Status::Healthy),
        to,
        down,
        reason: down.then(|| reason.clone()),
        evidence: down.then(|| Arc::new(json!({"a": 1}))),
    };
    let all = [
        change(0, Status::Healthy, false),
        change(10, Status::Unhealthy, true),
        change(20, Status::Unknown, false),
    ];
    assert_eq!(store.commit(&all).unwrap(), [1, 2, 3]);
    store.advance_cursor("log", 2).unwrap();
    store.advance_cursor("log", 1).unwrap();
    drop(store);
    let store = SqliteStore::open(&options(folder.path()), START).unwrap();
    let cursor = store.cursor("log").unwrap();
    assert_eq!(store.transitions_after(cursor, 10).unwrap(), [(3, all[2].clone())]);
    assert_eq!(store.transitions_of(shop.id, Some(3), 1).unwrap(), [(2, all[1].clone())]);
    let last = &store.last_states().unwrap()[&shop.id];
    assert!(last.was_down && last.status == Status::Unknown);
    let states = store.states(Some(shop.id), START.plus(Duration::from_secs(15))).unwrap();
    assert_eq!(states[&shop.id].len(), 2);
    assert!(states[&shop.id][0].2);
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
        store.tend(at(1)).unwrap();
        store.tend(at(4000)).unwrap();
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
    store.tend(at(86_400 + 300)).unwrap();
    check(&store, 10);
    let first = &all_results(&store, shop.id)[0];
    assert_eq!((first.time, first.location.as_str(), first.worker.as_str()), (at(599), "here", "w1"));
    // And after the retention it is gone.
    store.compact_all(at(86_400 + 300)).unwrap();
    store.tend(at(9 * 86_400)).unwrap();
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
    let query = ResultQuery { monitor: shop.id, from: START, to: at(100), failed: true, limit: 1000 };
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

/// Days of samples every 30 s, stored day by day as they would be.
fn fill(store: &SqliteStore, id: MonitorId, days: u64) {
    for check in 0..days * 2880 {
        let time = START.plus(Duration::from_secs(check * 30));
        let value = 0.05 + ((check as f64) * 0.618_034).fract() * 0.1;
        store.append(&[record(id, time, (value * 1e6).round() / 1e6)]).unwrap();
        if check % 500 == 0 {
            store.tend(time).unwrap();
        }
    }
}

#[test]
fn days_that_are_over_are_compacted_and_rolled_up() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&options(folder.path()), START).unwrap();
    let shop = definition("shop");
    store.insert_monitor(&shop).unwrap();
    fill(&store, shop.id, 3);
    let at = |seconds| START.plus(Duration::from_secs(seconds));
    let ask = |store: &SqliteStore, points, aggregate: &str| {
        let aggregate = Aggregate::from_name(aggregate).unwrap();
        let plan = QueryPlan::of(shop.id, TOTAL.name, (START, at(3 * 86_400)), points, aggregate);
        store.answer(&plan).unwrap().series.remove(0).points
    };
    let aggregates = ["avg", "min", "max", "sum", "last", "count", "stddev", "p50", "p95", "p99"];
    let before: Vec<_> = aggregates
        .iter()
        .flat_map(|aggregate| {
            [ask(&store, 3, aggregate), ask(&store, 72, aggregate), ask(&store, 800, aggregate)]
        })
        .collect();
    let listed = all_results(&store, shop.id);
    store.compact_all(at(3 * 86_400 + 300)).unwrap();
    let names = |folder: &Path| {
        let mut names: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name.ends_with(".sqlite3"))
            .collect();
        names.sort();
        names
    };
    let sealed = ["2024-10-04", "2024-10-05", "2024-10-06"].map(|date| format!("{date}.sealed.sqlite3"));
    assert_eq!(names(&folder.path().join("history")), sealed);
    let rollups = ["1d-2024.sqlite3", "1h-2024.sqlite3", "5m-2024-10.sqlite3"];
    assert_eq!(names(&folder.path().join("rollup")), rollups);
    let after: Vec<_> = aggregates
        .iter()
        .flat_map(|aggregate| {
            [ask(&store, 3, aggregate), ask(&store, 72, aggregate), ask(&store, 800, aggregate)]
        })
        .collect();
    for (before, after) in before.iter().zip(&after) {
        assert_eq!(before.len(), after.len());
        for ((at, a), (also, b)) in before.iter().zip(after) {
            assert!(at == also && (a - b).abs() <= a.abs() * 0.032, "{at}: {a} {b}");
        }
    }
    assert_eq!(all_results(&store, shop.id).len(), listed.len());
    // Stragglers of a compacted day go beside it, are read with it, and taken in.
    store.append(&[record(shop.id, at(86_400 + 15), 7.0)]).unwrap();
    assert_eq!(ask(&store, 3, "max")[1].1, 7.0);
    store.tend(at(3 * 86_400 + 300)).unwrap();
    store.compact_all(at(3 * 86_400 + 300)).unwrap();
    assert_eq!(names(&folder.path().join("history")), sealed);
    assert!((ask(&store, 3, "max")[1].1 - 7.0).abs() < 0.01);
    assert_eq!(ask(&store, 3, "count")[1].1, 2881.0);
    // Past the retention of samples, rollups go on answering.
    store.tend(at(12 * 86_400)).unwrap();
    assert!(all_results(&store, shop.id).is_empty());
    assert_eq!(ask(&store, 3, "count")[1].1, 2881.0);
    assert_eq!(ask(&store, 800, "avg").len(), 432, "points of ten minutes, from rollups of five");
    // What belongs to a monitor that is gone goes with the next compaction.
    store.delete_monitor(shop.id).unwrap();
    let other = definition("other");
    store.insert_monitor(&other).unwrap();
    store.append(&[record(other.id, at(4 * 86_400), 1.0)]).unwrap();
    store.compact_all(at(12 * 86_400)).unwrap();
    let left: i64 = rusqlite::Connection::open(folder.path().join("rollup/5m-2024-10.sqlite3"))
        .unwrap()
        .query_row("SELECT count(*) FROM chunk", [], |row| row.get(0))
        .unwrap();
    assert_eq!(left, 1);
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
    plan.monitors.push(two.id);
    plan.grouping = Grouping::By(vec!["monitor".to_owned()]);
    assert_eq!(store.answer(&plan).unwrap().series.len(), 2);
    plan.grouping = Grouping::By(Vec::new());
    assert_eq!(store.answer(&plan).unwrap().series[0].points[0].1, 2.0);
}

#[test]
fn the_oldest_goes_when_there_is_too_much() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&options(folder.path()), START).unwrap();
    let shop = definition("shop");
    store.insert_monitor(&shop).unwrap();
    fill(&store, shop.id, 3);
    let now = START.plus(Duration::from_secs(3 * 86_400 + 300));
    store.compact_all(now).unwrap();
    drop(store);
    let size: u64 = std::fs::read_dir(folder.path().join("history"))
        .unwrap()
        .map(|entry| entry.unwrap().metadata().unwrap().len())
        .sum();
    let rollups: u64 = std::fs::read_dir(folder.path().join("rollup"))
        .unwrap()
        .map(|entry| entry.unwrap().metadata().unwrap().len())
        .sum();
    let mut capped = options(folder.path());
    capped.retention.max_bytes = Some(rollups + size / 2);
    let store = SqliteStore::open(&capped, now).unwrap();
    store.tend(now).unwrap();
    let days: Vec<Timestamp> = all_results(&store, shop.id).iter().map(|result| result.time).collect();
    assert!(
        days.iter().all(|time| *time >= START.plus(Duration::from_secs(2 * 86_400))),
        "the last day is left"
    );
    assert_eq!(days.len(), 2880);
}

#[test]
fn a_backup_made_while_the_store_is_open_comes_back_whole() {
    let (folder, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let store = SqliteStore::open(&options(folder.path()), START).unwrap();
    let shop = definition("shop");
    store.insert_monitor(&shop).unwrap();
    fill(&store, shop.id, 2);
    store.compact_all(START.plus(Duration::from_secs(86_400 + 300))).unwrap();
    let file = out.path().join("backup.tar");
    let mut seen = Vec::new();
    let copied =
        backup(folder.path(), &file, "1.2.3", |progress| seen.push(progress.file.to_owned())).unwrap();
    assert_eq!((copied.files, seen.len()), (6, 6), "{seen:?}");
    assert_eq!(seen.last().map(String::as_str), Some(MAIN));
    let again = backup(folder.path(), &file, "1.2.3", |_| {}).unwrap_err();
    assert!(again.to_string().contains("there already"), "{again}");
    let target = out.path().join("data");
    assert_eq!(restore(&file, &target, |_| {}).unwrap(), copied);
    let back = SqliteStore::open(&options(&target), START.plus(Duration::from_secs(2 * 86_400))).unwrap();
    assert_eq!(back.monitors().unwrap(), store.monitors().unwrap());
    assert_eq!(all_results(&back, shop.id), all_results(&store, shop.id));
    assert_eq!(check_store(&target, |_| {}).unwrap(), []);
    drop(back);
    let taken = restore(&file, &target, |_| {}).unwrap_err();
    assert!(taken.to_string().contains("there already"), "{taken}");
    // Cut off, changed, or made up: refused, and the folder stays empty.
    let whole = std::fs::read(&file).unwrap();
    let empty = out.path().join("empty");
    for (name, bytes) in [
        ("cut", whole[..whole.len() / 2].to_vec()),
        ("flipped", {
            let mut bytes = whole.clone();
            bytes[whole.len() / 3] ^= 1;
            bytes
        }),
    ] {
        let bad = out.path().join(name);
        std::fs::write(&bad, bytes).unwrap();
        let error = restore(&bad, &empty, |_| {}).unwrap_err();
        assert!(matches!(error, StoreError::Damaged { .. }), "{name}: {error}");
        assert!(!empty.join(MAIN).exists() && !empty.join("restoring").exists());
    }
    let mut evil = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(4);
    header.as_mut_bytes()[..11].copy_from_slice(b"../evil.txt");
    header.set_cksum();
    evil.append(&header, &b"evil"[..]).unwrap();
    std::fs::write(out.path().join("evil"), evil.into_inner().unwrap()).unwrap();
    let error = restore(&out.path().join("evil"), &empty, |_| {}).unwrap_err();
    assert!(error.to_string().contains("evil.txt") && !out.path().join("evil.txt").exists(), "{error}");
}

#[test]
fn damaged_partitions_are_found_and_the_rest_is_served() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&options(folder.path()), START).unwrap();
    let shop = definition("shop");
    store.insert_monitor(&shop).unwrap();
    fill(&store, shop.id, 3);
    let now = START.plus(Duration::from_secs(3 * 86_400 + 300));
    store.compact_all(now).unwrap();
    assert_eq!(check_store(folder.path(), |_| {}).unwrap(), []);
    drop(store);
    let history = folder.path().join("history");
    let truncated = history.join("2024-10-04.sealed.sqlite3");
    let bytes = std::fs::read(&truncated).unwrap();
    std::fs::write(&truncated, &bytes[..bytes.len() / 2]).unwrap();
    let flipped = history.join("2024-10-05.sealed.sqlite3");
    let mut bytes = std::fs::read(&flipped).unwrap();
    // Behind the tables' pages: in the middle of the only chunk.
    let middle = bytes.len() * 3 / 4;
    bytes[middle..middle + 64].iter_mut().for_each(|byte| *byte ^= 0x55);
    std::fs::write(&flipped, &bytes).unwrap();
    let store = SqliteStore::open(&options(folder.path()), now).unwrap();
    let found: Vec<PathBuf> =
        check_store(folder.path(), |_| {}).unwrap().into_iter().map(|(path, _)| path).collect();
    assert!(found.contains(&truncated), "{found:?}");
    let days = all_results(&store, shop.id);
    let last_day = START.plus(Duration::from_secs(2 * 86_400));
    assert_eq!(days.iter().filter(|result| result.time >= last_day).count(), 2880);
    let range = (START, START.plus(Duration::from_secs(3 * 86_400)));
    let plan = QueryPlan::of(shop.id, TOTAL.name, range, 3, Aggregate::Count);
    let points = store.answer(&plan).unwrap().series.remove(0).points;
    assert_eq!(points.len(), 3, "rollups stand in for samples: {points:?}");
}

#[test]
fn damage_is_set_aside_and_named() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&options(folder.path()), START).unwrap();
    let shop = definition("shop");
    store.insert_monitor(&shop).unwrap();
    store.append(&[record(shop.id, START, 0.1)]).unwrap();
    assert!(matches!(SqliteStore::open(&options(folder.path()), START), Err(StoreError::InUse { .. })));
    drop(store);
    let day = folder.path().join("history").join("2024-10-04.sqlite3");
    std::fs::write(&day, b"this was a database once, and is not one any more, not even a short one").unwrap();
    let store = SqliteStore::open(&options(folder.path()), START).unwrap();
    assert!(day.with_extension("sqlite3.damaged").exists());
    store.append(&[record(shop.id, START, 0.2)]).unwrap();
    assert_eq!(all_results(&store, shop.id).len(), 1);
    assert_eq!(store.monitors().unwrap().len(), 1);
    drop(store);
    std::fs::write(folder.path().join("wise.sqlite3"), b"junk junk junk junk junk junk junk junk").unwrap();
    let error = SqliteStore::open(&options(folder.path()), START).unwrap_err();
    assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
    assert!(error.to_string().contains("wise.sqlite3"));
}

/// Makes a file unreadable as a whole.
fn ruin(path: &Path) {
    std::fs::write(path, vec![0x5a_u8; 8192]).unwrap();
}

#[test]
fn damaged_rollups_are_begun_anew_and_no_day_is_lost_for_them() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&options(folder.path()), START).unwrap();
    let shop = definition("shop");
    store.insert_monitor(&shop).unwrap();
    fill(&store, shop.id, 2);
    let rollup = folder.path().join("rollup");
    ruin(&rollup.join("1h-2024.sqlite3"));
    let at = |seconds| START.plus(Duration::from_secs(seconds));
    store.compact_all(at(2 * 86_400 + 300)).unwrap();
    assert!(rollup.join("1h-2024.sqlite3.damaged").exists());
    let plan = QueryPlan::of(shop.id, TOTAL.name, (START, at(2 * 86_400)), 48, Aggregate::Count);
    assert_eq!(store.answer(&plan).unwrap().series[0].points.iter().map(|p| p.1).sum::<f64>(), 5760.0);
    // A day that has no rollups is not removed when its time has come, only long after.
    let history = folder.path().join("history");
    let days = |store: &SqliteStore, now| {
        store.tend(now).unwrap();
        std::fs::read_dir(&history).unwrap().count()
    };
    store.append(&[record(shop.id, at(3 * 86_400), 1.0)]).unwrap();
    store.days.seal(at(4 * 86_400 + 300)).unwrap();
    assert_eq!(store.days.retained(at(12 * 86_400)), 1, "the closed day stays, the sealed ones go");
    assert_eq!(store.days.retained(at(60 * 86_400)), 0);
    assert_eq!(days(&store, at(60 * 86_400)), 0);
}

#[test]
fn stragglers_do_not_replace_the_rollups_of_a_day_that_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&options(folder.path()), START).unwrap();
    let shop = definition("shop");
    store.insert_monitor(&shop).unwrap();
    fill(&store, shop.id, 1);
    let at = |seconds| START.plus(Duration::from_secs(seconds));
    store.compact_all(at(86_400 + 300)).unwrap();
    drop(store);
    ruin(&folder.path().join("history/2024-10-04.sealed.sqlite3"));
    let store = SqliteStore::open(&options(folder.path()), at(90_000)).unwrap();
    // The clock steps back to that day for a moment.
    store.append(&[record(shop.id, at(15), 9.0)]).unwrap();
    store.compact_all(at(2 * 86_400)).unwrap();
    let plan = QueryPlan::of(shop.id, TOTAL.name, (START, at(86_400)), 1, Aggregate::Count);
    assert_eq!(store.answer(&plan).unwrap().series[0].points[0].1, 2880.0);
}

#[test]
fn one_damaged_chunk_leaves_the_others_of_its_day() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&options(folder.path()), START).unwrap();
    let (shop, mail) = (definition("shop"), definition("mail"));
    for one in [&shop, &mail] {
        store.insert_monitor(one).unwrap();
        store.append(&[record(one.id, START, 1.0)]).unwrap();
    }
    store.days.seal(START.plus(Duration::from_secs(86_400 + 300))).unwrap();
    let path = folder.path().join("history/2024-10-04.sqlite3");
    rusqlite::Connection::open(&path)
        .unwrap()
        .execute("UPDATE chunk SET data = x'02ff' WHERE monitor = 1", [])
        .unwrap();
    let now = START.plus(Duration::from_secs(2 * 86_400));
    store.compact_all(now).unwrap();
    assert_eq!((all_results(&store, shop.id).len(), all_results(&store, mail.id).len()), (0, 1));
    let aside = folder.path().join("history/2024-10-04.closed.sqlite3.damaged");
    assert!(aside.exists(), "what could not be read is kept for somebody to look at");
}

#[test]
fn a_store_is_not_restored_beside_the_log_of_another() {
    let (folder, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    drop(SqliteStore::open(&options(folder.path()), START).unwrap());
    let file = out.path().join("backup.tar");
    backup(folder.path(), &file, "1", |_| {}).unwrap();
    let target = out.path().join("data");
    std::fs::create_dir(&target).unwrap();
    std::fs::write(target.join(format!("{MAIN}-wal")), b"left by kill -9").unwrap();
    let error = restore(&file, &target, |_| {}).unwrap_err();
    assert!(error.to_string().contains("wise.sqlite3-wal"), "{error}");
}

/// A day as version 1 of the format had it: without sketches, chunks to the microsecond, part of it in the journal.
fn write_first_format(path: &Path, monitor: u32) {
    let file = rusqlite::Connection::open(path).unwrap();
    file.execute_batch(day::STEPS[0]).unwrap();
    file.pragma_update(None, "user_version", 1).unwrap();
    file.execute_batch(
        "INSERT INTO origin (id, location, worker) VALUES (1, 'here', 'old');
         INSERT INTO name (id, name, labels, resolution) VALUES (1, 'probe:availability', '', NULL), (2, 't.total_seconds', '', 1e-6);",
    )
    .unwrap();
    let row = |second: i64| head::Row {
        monitor,
        probe: 1,
        origin: 1,
        time: START.as_micros() + second * 1_000_000 + 123,
        duration: 1234,
        status: 0,
        failure: 0,
        values: vec![(2, 0.25)],
    };
    let mut sealed = head::Columns::default();
    (0..100).for_each(|second| sealed.push(&row(second)));
    let chunk = chunk::encode_first_format(&sealed);
    let last = row(99).time;
    file.execute(
        "INSERT INTO chunk (monitor, probe, origin, first, last, upto, checks, data) VALUES (?1, 1, 1, ?2, ?3, 0, 100, ?4)",
        rusqlite::params![monitor, START.as_micros(), last, chunk],
    )
    .unwrap();
    let rows: Vec<head::Row> = (100..150).map(row).collect();
    let journal = postcard::to_extend(&rows, vec![1_u8]).unwrap();
    file.execute("INSERT INTO journal (rows) VALUES (?1)", [journal]).unwrap();
}

#[test]
fn days_of_every_earlier_format_are_read_and_compacted() {
    for is_today in [true, false] {
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(&options(folder.path()), START).unwrap();
        let shop = definition("shop");
        store.insert_monitor(&shop).unwrap();
        drop(store);
        let path = folder.path().join("history/2024-10-04.sqlite3");
        write_first_format(&path, 1);
        let now = if is_today {
            START.plus(Duration::from_secs(200))
        } else {
            START.plus(Duration::from_secs(90_000))
        };
        let store = SqliteStore::open(&options(folder.path()), now).unwrap();
        let count = |store: &SqliteStore| {
            (
                all_results(store, shop.id).len(),
                points(store, shop.id, Aggregate::Count).iter().map(|p| p.1).sum::<f64>(),
            )
        };
        assert_eq!(count(&store), (150, 150.0), "today: {is_today}");
        if is_today {
            // What is written now goes into the same file.
            store.append(&[record(shop.id, now, 0.25)]).unwrap();
            assert_eq!(count(&store), (151, 151.0));
        }
        store.compact_all(START.plus(Duration::from_secs(90_000))).unwrap();
        let expected = if is_today { 151 } else { 150 };
        assert_eq!(count(&store), (expected, expected as f64), "compacted");
        let range = (START, START.plus(Duration::from_secs(86_400)));
        let plan = QueryPlan::of(shop.id, TOTAL.name, range, 1, Aggregate::Avg);
        assert!((store.answer(&plan).unwrap().series[0].points[0].1 - 0.25).abs() < 1e-9);
        assert_eq!(check_store(folder.path(), |_| {}).unwrap(), []);
    }
}

#[test]
fn a_newer_format_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    drop(SqliteStore::open(&options(folder.path()), START).unwrap());
    let main = rusqlite::Connection::open(folder.path().join("wise.sqlite3")).unwrap();
    main.pragma_update(None, "user_version", 99).unwrap();
    drop(main);
    let error = SqliteStore::open(&options(folder.path()), START).unwrap_err();
    assert!(matches!(error, StoreError::TooNew { found: 99, .. }), "{error}");
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

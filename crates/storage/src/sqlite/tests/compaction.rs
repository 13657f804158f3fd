//! Days that are over: compaction, rollups, retention, formats of earlier versions.

use super::*;

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
    store.maintain(at(3 * 86_400 + 300)).unwrap();
    store.compact_all(at(3 * 86_400 + 300)).unwrap();
    assert_eq!(names(&folder.path().join("history")), sealed);
    assert!((ask(&store, 3, "max")[1].1 - 7.0).abs() < 0.01);
    assert_eq!(ask(&store, 3, "count")[1].1, 2881.0);
    // Past the retention of samples, rollups go on answering.
    store.maintain(at(12 * 86_400)).unwrap();
    assert!(all_results(&store, shop.id).is_empty());
    assert_eq!(ask(&store, 3, "count")[1].1, 2881.0);
    assert_eq!(ask(&store, 800, "avg").len(), 432, "points of ten minutes, from rollups of five");
    // What belongs to a monitor that is gone goes with the next compaction.
    store.purge_monitor(shop.id).unwrap();
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
    store.maintain(now).unwrap();
    let days: Vec<Timestamp> = all_results(&store, shop.id).iter().map(|result| result.time).collect();
    assert!(
        days.iter().all(|time| *time >= START.plus(Duration::from_secs(2 * 86_400))),
        "the last day is left"
    );
    assert_eq!(days.len(), 2880);
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
    let mut sealed = crate::columns::Columns::default();
    for row in (0..100).map(row) {
        sealed.push((row.time, row.duration, row.status, row.failure), &row.values);
    }
    let chunk = crate::columns::chunk::encode_first_format(&sealed);
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

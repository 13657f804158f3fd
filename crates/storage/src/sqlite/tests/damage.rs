//! Files that are damaged, or too new: what is set aside, and what is served all the same.

use super::*;
use crate::sqlite::files::{State, day_file, day_of};

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

#[test]
fn damaged_rollups_are_begun_again_and_no_day_is_lost_for_them() {
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
        store.maintain(now).unwrap();
        std::fs::read_dir(&history).unwrap().count()
    };
    store.append(&[record(shop.id, at(3 * 86_400), 1.0)]).unwrap();
    store.days.seal(at(4 * 86_400 + 300)).unwrap();
    assert_eq!(store.days.retained(at(12 * 86_400)), 1, "the closed day stays, the sealed ones go");
    assert_eq!(store.days.retained(at(60 * 86_400)), 0);
    assert_eq!(days(&store, at(60 * 86_400)), 0);
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
    assert!(aside.exists(), "what could not be read is kept for someone to look at");
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

#[test]
fn a_day_whose_file_was_cut_off_when_it_was_made_is_put_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&options(folder.path()), START).unwrap();
    let shop = definition("shop");
    store.insert_monitor(&shop).unwrap();
    fill(&store, shop.id, 3);
    // As a full disk leaves it, when nothing could be written all day.
    let day = day_of(START) + 3;
    let empty = day_file(&folder.path().join("history"), day, State::Closed);
    std::fs::write(&empty, b"").unwrap();
    let now = START.plus(Duration::from_secs(5 * 86_400));
    store.compact_all(now).unwrap();
    assert!(!empty.exists());
    let plan = QueryPlan::of(shop.id, TOTAL.name, (START, now), 10, Aggregate::Count);
    let found: f64 = store.answer(&plan).unwrap().series[0].points.iter().map(|point| point.1).sum();
    assert!(found > 0.0);
}

#[test]
fn a_file_that_is_being_made_has_nothing_to_read() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&options(folder.path()), START).unwrap();
    let shop = definition("shop");
    store.insert_monitor(&shop).unwrap();
    store.append(&[record(shop.id, START, 0.1)]).unwrap();
    // As the compactor, and the first check of a day, leave them for an instant.
    for path in ["rollup/5m-2024-10.sqlite3", "rollup/1h-2024.sqlite3", "history/2024-10-05.sqlite3"] {
        let file = rusqlite::Connection::open(folder.path().join(path)).unwrap();
        file.pragma_update(None, "journal_mode", "WAL").unwrap();
    }
    let range = (START, START.plus(Duration::from_secs(2 * 86_400)));
    for points in [1, 300] {
        let plan = QueryPlan::of(shop.id, TOTAL.name, range, points, Aggregate::Count);
        assert_eq!(store.answer(&plan).unwrap().series[0].points[0].1, 1.0);
    }
    assert_eq!(all_results(&store, shop.id).len(), 1);
    assert_eq!(store.last_checks().unwrap().len(), 1);
}

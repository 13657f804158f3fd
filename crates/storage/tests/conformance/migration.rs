//! Everything moves from one backend to the other and back, and a migration that is cut off goes on where it stopped.

use std::path::Path;
use std::time::Duration;

use serde_json::json;
use wise_core::{Failure, Labels, MonitorId, Reading, SourceId, SourceName, Status, Timestamp, common};
use wise_storage::ports::{DefinitionStore, HistoryStore, SourceSamples, Store};
use wise_storage::rollup::Distribution;
use wise_storage::{
    Aggregate, MongoOptions, MongoStore, Movable, QueryPlan, ResultQuery, SqliteStore, Timing, migrate,
};
use wise_testbed::Mongo;

use crate::{DURATION, REQUESTS, SIZE, START, TOTAL, added, at, check, definition, embedded, sized};

const DAY: u64 = 86_400;
const NOW: Timestamp = Timestamp::from_seconds((20_000 + 10) * 86_400 + 3600);

/// Ten days, of which the last three still have their samples.
fn filled(folder: &Path) -> (SqliteStore, Vec<MonitorId>) {
    let mut options = embedded(folder);
    options.retention.raw = Duration::from_secs(3 * DAY);
    let store = SqliteStore::open(&options, START).unwrap();
    let monitors = vec![added(&store, "shop"), added(&store, "größer/€"), added(&store, "never checked")];
    for quarter in 0..10 * 96 + 4 {
        let second = quarter * 900;
        let records: Vec<_> = monitors[..2]
            .iter()
            .map(|id| {
                let size = sized("täble", (quarter * 1000) as f64);
                let total = Reading::exact(&TOTAL, 0.1 + (quarter % 17) as f64 * 0.013);
                let mut one = check(
                    *id,
                    at(second),
                    vec![total, size, Reading::exact(&REQUESTS, (quarter * 3) as f64)],
                );
                // Sealing keeps a duration to one in 256: this one exactly.
                one.duration = Duration::from_micros(1024);
                if quarter % 50 == 7 {
                    one.failure = Some(Failure::new(&common::REFUSED, "connection refused"));
                    one.status = Status::Unhealthy;
                    one.down = true;
                    one.evidence = Some(std::sync::Arc::new(json!({"at": quarter})));
                }
                one
            })
            .collect();
        store.append(&records).unwrap();
        let readings =
            vec![Reading::exact(&TOTAL, 0.1 + (quarter % 19) as f64 * 0.01), sized("täble", quarter as f64)];
        let mut samples = SourceSamples::of(server(), at(second), readings);
        let durations = (1..=quarter % 5 + 1).map(|n| 0.1 + (n * 3 + quarter % 23) as f64 / 1000.0);
        samples
            .distributions
            .extend(Distribution::of(durations).map(|one| (&DURATION, Labels::default(), one)));
        store.append_samples(&[samples]).unwrap();
    }
    let number_of = |number: u64| {
        let to = if number.is_multiple_of(2) { Status::Healthy } else { Status::Unhealthy };
        crate::change(monitors[0], at(number * 1000), to)
    };
    for page in (0..1200).collect::<Vec<u64>>().chunks(100) {
        crate::commit(&store, &page.iter().map(|number| number_of(*number)).collect::<Vec<_>>());
    }
    crate::advance(&store, "log", 700);
    let removed = added(&store, "removed");
    store.remove_monitor(&crate::removal(removed, NOW)).unwrap();
    store.set_meta("first_start", "done").unwrap();
    store.compact_all(NOW).unwrap();
    store.maintain(NOW).unwrap();
    (store, monitors)
}

fn server() -> SourceName {
    SourceName::new("server", "a/b").unwrap()
}

/// Everything that can be asked: texts, and the points of series by what they are.
type Everything = (Vec<String>, Vec<(String, Vec<(f64, f64)>)>);

fn everything(store: &dyn Store, monitors: &[MonitorId]) -> Everything {
    let (mut found, mut points_of) = (Vec::new(), Vec::new());
    let mut definitions = store.monitors().unwrap();
    definitions.sort_by_key(|one| one.id);
    found.extend(definitions.iter().map(|one| serde_json::to_string(one).unwrap()));
    found.extend(store.events_after(0, 10_000).unwrap().iter().map(|one| format!("{one:?}")));
    found.push(format!("log {} {:?}", store.cursor("log").unwrap(), store.meta("first_start").unwrap()));
    found.push(format!("{:?}", store.removed_monitors().unwrap()));
    let mut states: Vec<String> = store.states().unwrap().iter().map(|one| format!("{one:?}")).collect();
    states.sort();
    found.extend(states);
    for id in monitors {
        let query = ResultQuery::of(*id, (START, NOW), 100_000);
        found.extend(store.results(&query).unwrap().iter().map(|one| format!("{one:?}")));
    }
    found.extend(store.sources().unwrap().iter().map(ToString::to_string));
    let monitors = monitors.iter().copied().map(SourceId::Monitor);
    for source in monitors.chain([server().into()]) {
        for metric in [TOTAL.name, SIZE.name, REQUESTS.name, DURATION.name] {
            for aggregate in ["avg", "min", "max", "sum", "last", "count", "stddev", "increase", "p50", "p95"]
            {
                // What a value that is no counter went up says nothing.
                if aggregate == "increase" && metric != REQUESTS.name {
                    continue;
                }
                for (from, points) in [(START, 10), (at(8 * DAY), 50)] {
                    let plan = QueryPlan::of(
                        source.clone(),
                        metric,
                        (from, NOW),
                        points,
                        Aggregate::from_name(aggregate).unwrap(),
                    );
                    for series in store.answer(&plan).unwrap().series {
                        points_of.push((format!("{metric} {aggregate} {:?}", series.labels), series.points));
                    }
                }
            }
        }
    }
    (found, points_of)
}

fn same(expected: &Everything, found: &Everything, what: &str) {
    assert_eq!((expected.0.len(), expected.1.len()), (found.0.len(), found.1.len()), "{what}");
    for (expected, found) in expected.0.iter().zip(&found.0) {
        assert_eq!(expected, found, "{what}");
    }
    for ((name, expected), (also, found)) in expected.1.iter().zip(&found.1) {
        assert_eq!((name, expected.len()), (also, found.len()), "{what}");
        for ((time, expected), (also, found)) in expected.iter().zip(found) {
            assert_eq!(time, also, "{what}: {name}");
            // The embedded store rounds rollups to an eighth of the deviation in a bucket; counts and counters never.
            let eighth = if name.contains(SIZE.name) { 96_000.0 * 0.29 / 8.0 } else { 0.064 / 8.0 };
            let is_exact = ["count", "increase"].iter().any(|exact| name.contains(exact));
            let near = if is_exact { 0.0 } else { expected.abs() * 0.02 + eighth };
            assert!(
                (expected - found).abs() <= near,
                "{what}: {name} at {time}: {found} instead of {expected}"
            );
        }
    }
}

fn in_mongo(server: &Mongo, spool: &Path) -> MongoStore {
    let timing =
        Timing { patience: Duration::from_secs(2), send: Duration::from_secs(3600), ..Timing::default() };
    let options = MongoOptions {
        url: format!("{}/moved", server.url()),
        spool: embedded(spool),
        retention: wise_storage::Retention::default(),
        name: "a migration".to_owned(),
        timing,
        is_source: false,
    };
    MongoStore::open(options, NOW, &mut |holder| panic!("{holder} has it")).unwrap()
}

#[test]
fn everything_moves_both_ways_and_goes_on_after_a_cut() {
    for program in Mongo::programs() {
        let mut server = Mongo::start(&program, &[]);
        let folders: Vec<_> = (0..4).map(|_| tempfile::tempdir().unwrap()).collect();
        let (store, monitors) = filled(folders[0].path());
        let expected = everything(&store, &monitors);
        assert!(
            expected.0.len() > 1700 && expected.1.len() > 100,
            "{} {}",
            expected.0.len(),
            expected.1.len()
        );
        let from = Movable::Sqlite(Box::new(store));

        // It is cut off in the middle, by the server going away.
        let to = Movable::Mongo(in_mongo(&server, folders[1].path()));
        let mut told = Vec::new();
        let cut = migrate(&from, &to, NOW, |text| {
            if text.starts_with("samples of day 2") {
                server.service.stop();
            }
            told.push(text.to_owned());
        });
        assert!(cut.is_err(), "{told:?}");
        drop(to);
        server.start_again();
        let to = Movable::Mongo(in_mongo(&server, folders[1].path()));
        let mut again = Vec::new();
        let moved = migrate(&from, &to, NOW, |text| again.push(text.to_owned())).unwrap();
        assert_eq!((moved.monitors, moved.events), (3, 1201));
        assert!(again[0].starts_with("an earlier migration is gone on with"), "{again:?}");
        assert!(
            again.len() < told.len() + 10 && !again.iter().any(|text| text.contains("3 monitors")),
            "{again:?}"
        );
        drop(from);
        drop(to);
        // Once more is once too often: what has come since would be left out.
        let store = SqliteStore::open(&embedded(folders[0].path()), NOW).unwrap();
        let (from, to) =
            (Movable::Sqlite(Box::new(store)), Movable::Mongo(in_mongo(&server, folders[1].path())));
        let refused = migrate(&from, &to, NOW, |_| {}).unwrap_err().to_string();
        assert!(refused.contains("has been moved there already"), "{refused}");
        drop((from, to));
        // As a server that has never been there finds it.
        let fresh = tempfile::tempdir().unwrap();
        let found = in_mongo(&server, fresh.path());
        same(&expected, &everything(&found, &monitors), "in MongoDB");

        let from = Movable::Mongo(found);
        let target = SqliteStore::open(&embedded(folders[2].path()), NOW).unwrap();
        let to = Movable::Sqlite(Box::new(target));
        let moved = migrate(&from, &to, NOW, |_| {}).unwrap();
        assert_eq!((moved.monitors, moved.events), (3, 1201));
        let Movable::Sqlite(back) = to else { panic!("it is in a folder") };
        same(&expected, &everything(&*back, &monitors), "back in a folder");
        // It goes on being used.
        let next = crate::commit(&*back, &[]);
        assert!(next.is_empty());
        back.append(&[check(monitors[0], at(10 * DAY + 4000), vec![])]).unwrap();
        drop(back);

        // A target with monitors of its own is left alone.
        let other = SqliteStore::open(&embedded(folders[3].path()), NOW).unwrap();
        other.insert_monitor(&definition("mine")).unwrap();
        let to = Movable::Sqlite(Box::new(other));
        let refused = migrate(&from, &to, NOW, |_| {}).unwrap_err().to_string();
        assert!(refused.contains("monitors of its own"), "{refused}");
        let Movable::Sqlite(other) = to else { panic!("it is in a folder") };
        assert_eq!(other.monitors().unwrap().len(), 1);
    }
}

//! Results and samples: order, repetition, odd values, many series, and the same answers before and after the day is over.

use wise_core::{Failure, MonitorId, Reading, Status, Timestamp, common};
use wise_storage::ports::Store;
use wise_storage::{Aggregate, Grouping, Matcher, QueryPlan, ResultQuery, StoredResult};

use crate::{Bed, REQUESTS, SIZE, START, TOTAL, added, at, check, on_every_backend, removal, sized, total};

const DAY: u64 = 86_400;

fn points(
    store: &dyn Store,
    id: MonitorId,
    metric: &str,
    span: u64,
    count: usize,
    aggregate: &str,
) -> Vec<(f64, f64)> {
    let aggregate = Aggregate::from_name(aggregate).expect("an aggregate");
    let plan = QueryPlan::of(id, metric, (START, at(span)), count, aggregate);
    store.answer(&plan).expect("an answer").series.into_iter().flat_map(|series| series.points).collect()
}

fn results(store: &dyn Store, id: MonitorId) -> Vec<StoredResult> {
    let to = at(100 * DAY);
    let query = ResultQuery::of(id, (Timestamp::default(), to), 100_000);
    store.results(&query).expect("results")
}

/// As it is now, after a restart, and when the day is over.
fn in_every_state(bed: &dyn Bed, store: std::sync::Arc<dyn Store>, check: impl Fn(&dyn Store, &str)) {
    check(&*store, "open");
    drop(store);
    let again = bed.open(at(DAY / 2));
    check(&*again, "opened again");
    drop(again);
    bed.settle(at(3 * DAY));
    check(&*bed.open(at(3 * DAY)), "when the day is over");
}

#[test]
fn samples_out_of_order_and_twice_count_once_and_in_order() {
    on_every_backend(|bed| {
        let store = bed.open(START);
        let id = added(&*store, "shop");
        // The clock steps back by a minute in the middle; one check is told twice, with another value.
        for second in [0, 10, 20, 30, 5, 15, 25, 20] {
            let value = if second == 20 { 20.5 } else { second as f64 };
            store.append(&[total(id, at(second), value)]).unwrap();
        }
        store.append(&[total(id, at(20), 21.0)]).unwrap();
        in_every_state(bed, store, |store, state| {
            assert_eq!(points(store, id, TOTAL.name, 60, 1, "count")[0].1, 7.0, "{state}");
            assert_eq!(points(store, id, TOTAL.name, 60, 1, "last")[0].1, 30.0, "{state}");
            let at_twenty = points(store, id, TOTAL.name, 60, 60, "last")
                .into_iter()
                .find(|(time, _)| *time == START.as_seconds_f64() + 20.0);
            assert!(
                at_twenty.is_none_or(|(_, value)| value == 21.0),
                "{state}: the later of two samples with one time counts, not {at_twenty:?}"
            );
            let times: Vec<Timestamp> = results(store, id).iter().map(|result| result.time).collect();
            assert_eq!(times, [30, 25, 20, 15, 10, 5, 0].map(at), "{state}: each check once, newest first");
        });
    });
}

#[test]
fn odd_values_harm_nothing() {
    on_every_backend(|bed| {
        let store = bed.open(START);
        let id = added(&*store, "shop");
        for (second, value) in
            [(0, 1.0), (1, f64::NAN), (2, f64::INFINITY), (3, -0.0), (4, f64::MIN_POSITIVE), (5, 1e300)]
        {
            store.append(&[check(id, at(second), vec![sized("t", value)])]).unwrap();
        }
        in_every_state(bed, store, |store, state| {
            assert_eq!(
                points(store, id, SIZE.name, 60, 1, "count")[0].1,
                4.0,
                "{state}: neither what is no number nor what is infinite is a sample"
            );
            assert_eq!(points(store, id, SIZE.name, 60, 1, "min")[0].1, 0.0, "{state}");
            assert_eq!(points(store, id, SIZE.name, 60, 1, "max")[0].1, 1e300, "{state}");
            assert_eq!(points(store, id, SIZE.name, 60, 1, "last")[0].1, 1e300, "{state}");
            assert_eq!(results(store, id).len(), 6, "{state}: the check was made all the same");
        });
    });
}

#[test]
fn ten_thousand_series_are_kept_and_the_next_is_refused() {
    on_every_backend(|bed| {
        let store = bed.open(START);
        let (many, few) = (added(&*store, "many"), added(&*store, "few"));
        let table = |number: usize| format!("täble-{number} 🌌");
        let all: Vec<Reading> = (0..10_000).map(|number| sized(&table(number), number as f64)).collect();
        store.append(&[check(many, at(0), all.clone()), check(few, at(0), vec![sized("a", 1.0)])]).unwrap();
        assert_eq!(store.refused_readings(), 0);
        let mut more = all[..3].to_vec();
        more.push(sized("one too many", 1.0));
        store.append(&[check(many, at(30), more), check(few, at(30), vec![sized("b", 2.0)])]).unwrap();
        assert_eq!(store.refused_readings(), 1, "what is known goes on, what is new is refused");
        in_every_state(bed, store, |store, state| {
            let plan = QueryPlan::of(many, SIZE.name, (START, at(60)), 1, Aggregate::Last);
            let answer = store.answer(&plan).unwrap();
            assert_eq!(answer.series.len(), 10_000, "{state}");
            let mut one = plan.clone();
            one.matchers = vec![Matcher::parse(&format!("table={}", table(7777))).unwrap()];
            let series = store.answer(&one).unwrap().series;
            assert_eq!((series.len(), series[0].points[0].1), (1, 7777.0), "{state}");
            let mut sum = plan;
            sum.sources.push(few.into());
            sum.aggregate = Aggregate::Sum;
            sum.grouping = Grouping::By(vec!["monitor".to_owned()]);
            assert_eq!(store.answer(&sum).unwrap().series.len(), 2, "{state}");
        });
    });
}

#[test]
fn counters_and_gaps_are_the_same_before_and_after_the_day() {
    on_every_backend(|bed| {
        let store = bed.open(START);
        let id = added(&*store, "shop");
        let mut expected = 0.0;
        let (mut counter, mut before) = (0.0, None::<f64>);
        for minute in (0..1440_u64).filter(|minute| !(400..700).contains(minute)) {
            // It begins again in the middle of the day.
            counter = if minute == 900 { 5.0 } else { counter + (minute % 7) as f64 };
            expected +=
                before.map_or(0.0, |before| if counter >= before { counter - before } else { counter });
            before = Some(counter);
            store.append(&[check(id, at(minute * 60), vec![Reading::exact(&REQUESTS, counter)])]).unwrap();
            if minute % 200 == 0 {
                store.maintain(at(minute * 60)).unwrap();
            }
        }
        in_every_state(bed, store, |store, state| {
            for count in [1, 24, 288] {
                let sum: f64 = points(store, id, REQUESTS.name, DAY, count, "increase")
                    .iter()
                    .map(|(_, value)| value)
                    .sum();
                assert_eq!(sum, expected, "{state}, {count} points");
            }
            let hours = points(store, id, REQUESTS.name, DAY, 24, "count");
            let gap = START.as_seconds_f64() + 8.0 * 3600.0;
            assert!(
                hours.iter().all(|(time, _)| *time != gap),
                "{state}: an hour without samples is no point"
            );
        });
    });
}

#[test]
fn failures_keep_their_evidence_and_last_checks_are_known() {
    on_every_backend(|bed| {
        let store = bed.open(START);
        let id = added(&*store, "shop");
        let failed = |second: u64, evidence: Option<serde_json::Value>| {
            let mut one = check(id, at(second), vec![]);
            one.status = Status::Unhealthy;
            one.down = true;
            one.failure = Some(Failure::new(&common::REFUSED, "connection refused").code("refused"));
            one.evidence = evidence.map(std::sync::Arc::new);
            one
        };
        store.append(&[failed(0, Some(serde_json::json!({"first": true}))), failed(30, None)]).unwrap();
        store.append(&[total(id, at(60), 0.1)]).unwrap();
        in_every_state(bed, store, |store, state| {
            let query = ResultQuery::of(id, (START, at(3600)), 10).failed(true);
            let found = store.results(&query).unwrap();
            assert_eq!(found.len(), 2, "{state}");
            for one in &found {
                let (class, code, message) = one.failure.clone().unwrap();
                assert_eq!((class.as_str(), code.as_deref()), ("refused", Some("refused")), "{state}");
                assert_eq!(message, "connection refused", "{state}");
                assert!(one.down && one.status == Status::Unhealthy, "{state}");
                assert_eq!(one.evidence, Some(serde_json::json!({"first": true})), "{state}");
                assert_eq!((one.location.as_str(), one.worker.as_str()), ("here", "w1"), "{state}");
            }
            let limited = ResultQuery { failed: false, limit: 1, ..query };
            assert_eq!(store.results(&limited).unwrap()[0].time, at(60), "{state}");
            if state == "open" || state == "opened again" {
                assert_eq!(store.last_checks().unwrap()[&id]["availability"], at(60), "{state}");
            }
        });
    });
}

#[test]
fn a_monitor_that_is_gone_answers_nothing_and_its_checks_are_no_error() {
    on_every_backend(|bed| {
        let store = bed.open(START);
        let (gone, stays) = (added(&*store, "gone"), added(&*store, "stays"));
        store.append(&[total(gone, at(0), 1.0), total(stays, at(0), 1.0)]).unwrap();
        store.remove_monitor(&removal(gone, at(1))).unwrap();
        store.purge_monitor(gone).unwrap();
        store.append(&[total(gone, at(30), 1.0), total(stays, at(30), 1.0)]).unwrap();
        in_every_state(bed, store, |store, state| {
            assert!(results(store, gone).is_empty(), "{state}");
            assert!(points(store, gone, TOTAL.name, 60, 1, "count").is_empty(), "{state}");
            assert_eq!(points(store, stays, TOTAL.name, 60, 1, "count")[0].1, 2.0, "{state}");
        });
    });
}

//! History of what is no monitor: it goes the same way as that of monitors, and the two never mix.

use wise_core::{Labels, Reading, ReadingValue, SourceId, SourceName};
use wise_storage::ports::{SourceSamples, Store};
use wise_storage::rollup::Distribution;
use wise_storage::{Aggregate, Grouping, QueryPlan, ResultQuery};

use crate::{Bed, DURATION, REQUESTS, SIZE, START, TOTAL, added, at, check, on_every_backend, sized};

const DAY: u64 = 86_400;

fn server() -> SourceName {
    SourceName::new("server", "größe a/b").expect("a source")
}

fn samples(source: &SourceName, second: u64, readings: Vec<Reading>) -> SourceSamples {
    SourceSamples::of(source.clone(), at(second), readings)
}

fn requests(endpoint: &str, total: f64) -> Reading {
    Reading::new(&REQUESTS, &Labels::one("endpoint", endpoint), ReadingValue::Exact(total))
}

fn value(store: &dyn Store, source: impl Into<SourceId>, metric: &str, aggregate: &str) -> Option<f64> {
    let aggregate = Aggregate::from_name(aggregate).expect("an aggregate");
    let plan = QueryPlan::of(source, metric, (START, at(2 * DAY)), 1, aggregate);
    let series = store.answer(&plan).expect("an answer").series;
    assert!(series.len() <= 1, "{series:?}");
    series.first().map(|series| series.points.iter().map(|(_, value)| value).sum())
}

/// As it is now, after a restart, when the day is over, and when its samples are gone.
fn in_every_state(bed: &dyn Bed, store: std::sync::Arc<dyn Store>, check: impl Fn(&dyn Store, &str)) {
    check(&*store, "open");
    drop(store);
    let again = bed.open(at(DAY / 2));
    check(&*again, "opened again");
    drop(again);
    bed.settle(at(3 * DAY));
    check(&*bed.open(at(3 * DAY)), "when the day is over");
    // Days are removed after a week, and what is left of them are rollups.
    let late = bed.open(at(9 * DAY));
    late.maintain(at(9 * DAY)).expect("retention");
    check(&*late, "when its samples are gone");
}

#[test]
fn samples_of_a_source_are_kept_like_those_of_a_monitor() {
    on_every_backend(|bed| {
        let store = bed.open(START);
        assert_eq!(store.sources().unwrap(), []);
        for minute in 0..1440 {
            let readings = vec![
                requests("/a", (minute * 3) as f64),
                Reading::exact(&TOTAL, 0.1 + minute as f64 / 10_000.0),
            ];
            store.append_samples(&[samples(&server(), minute * 60, readings)]).unwrap();
            if minute % 300 == 0 {
                store.maintain(at(minute * 60)).unwrap();
            }
        }
        in_every_state(bed, store, |store, state| {
            assert_eq!(store.sources().unwrap(), [server()], "{state}");
            assert_eq!(value(store, server(), REQUESTS.name, "count"), Some(1440.0), "{state}");
            assert_eq!(value(store, server(), REQUESTS.name, "increase"), Some(1439.0 * 3.0), "{state}");
            let median = value(store, server(), TOTAL.name, "p50").expect("a median");
            let exact = 0.1 + 719.0 / 10_000.0;
            assert!((median / exact - 1.0).abs() <= 0.01, "{state}: {median}");
            let other = SourceName::new("server", "another").unwrap();
            assert_eq!(value(store, other, TOTAL.name, "count"), None, "{state}");
        });
    });
}

#[test]
fn a_source_and_a_monitor_with_the_same_series_do_not_mix() {
    on_every_backend(|bed| {
        let store = bed.open(START);
        let shop = added(&*store, "shop");
        for minute in 0..600 {
            let of_shop = vec![requests("/a", minute as f64), sized("t", 1.0)];
            store.append(&[check(shop, at(minute * 60), of_shop)]).unwrap();
            let of_server = vec![requests("/a", (minute * 10) as f64), sized("t", 100.0)];
            store.append_samples(&[samples(&server(), minute * 60, of_server)]).unwrap();
        }
        in_every_state(bed, store, |store, state| {
            assert_eq!(value(store, shop, REQUESTS.name, "increase"), Some(599.0), "{state}");
            assert_eq!(value(store, server(), REQUESTS.name, "increase"), Some(5990.0), "{state}");
            let mut both = QueryPlan::of(shop, SIZE.name, (START, at(2 * DAY)), 1, Aggregate::Max);
            both.sources.push(server().into());
            let found: Vec<(String, f64)> = store
                .answer(&both)
                .unwrap()
                .series
                .iter()
                .map(|series| (format!("{:?}", series.labels[0]), series.points[0].1))
                .collect();
            let expected = [
                (format!("{:?}", ("monitor", shop.to_string())), 1.0),
                (format!("{:?}", ("source", server().to_string())), 100.0),
            ];
            assert_eq!(found, expected, "{state}");
            both.grouping = Grouping::By(vec!["table".to_owned()]);
            let together = store.answer(&both).unwrap().series;
            assert_eq!((together.len(), together[0].points[0].1), (1, 100.0), "{state}");
            both.grouping = Grouping::By(vec!["source".to_owned()]);
            assert_eq!(store.answer(&both).unwrap().series.len(), 2, "{state}");
            if state != "when its samples are gone" {
                let query = ResultQuery::of(shop, (START, at(2 * DAY)), 10_000);
                assert_eq!(store.results(&query).unwrap().len(), 600, "{state}: samples are no checks");
            }
            let last = store.last_checks().unwrap();
            assert!(last.keys().all(|id| *id == shop), "{state}: samples are no checks");
        });
    });
}

#[test]
fn a_source_has_as_many_series_as_a_monitor_may_have() {
    on_every_backend(|bed| {
        let store = bed.open(START);
        let all: Vec<Reading> = (0..10_000).map(|number| sized(&number.to_string(), number as f64)).collect();
        store.append_samples(&[samples(&server(), 0, all.clone())]).unwrap();
        assert_eq!(store.refused_readings(), 0);
        let more = vec![all[3].clone(), sized("one too many", 1.0), Reading::exact(&TOTAL, 0.1)];
        let other = SourceName::new("logs", "nginx").unwrap();
        let few = vec![sized("another's", 1.0)];
        store.append_samples(&[samples(&server(), 10, more), samples(&other, 10, few)]).unwrap();
        assert_eq!(store.refused_readings(), 1, "what is known goes on, what is new is refused");
        in_every_state(bed, store, |store, state| {
            let plan = QueryPlan::of(server(), SIZE.name, (START, at(60)), 1, Aggregate::Last);
            assert_eq!(store.answer(&plan).unwrap().series.len(), 10_000, "{state}");
            assert_eq!(value(store, server(), TOTAL.name, "count"), Some(1.0), "{state}");
            assert_eq!(store.sources().unwrap(), [other.clone(), server()], "{state}");
        });
    });
}

#[test]
fn samples_that_are_given_twice_are_kept_once() {
    on_every_backend(|bed| {
        let store = bed.open(START);
        // Around midnight: should the second day fail, all is given again.
        let batch: Vec<SourceSamples> =
            (0..4).map(|n| samples(&server(), DAY - 20 + n * 10, vec![requests("/a", n as f64)])).collect();
        store.append_samples(&batch).unwrap();
        store.append_samples(&batch).unwrap();
        store.append_samples(&[]).unwrap();
        in_every_state(bed, store, |store, state| {
            assert_eq!(value(store, server(), REQUESTS.name, "count"), Some(4.0), "{state}");
            assert_eq!(value(store, server(), REQUESTS.name, "increase"), Some(3.0), "{state}");
        });
    });
}

#[test]
fn distributions_answer_every_quantile_to_a_hundredth_over_any_range() {
    on_every_backend(|bed| {
        let store = bed.open(START);
        let mut all: Vec<(u64, f64)> = Vec::new();
        let endpoints = ["/a", "/b"].map(|endpoint| Labels::one("endpoint", endpoint));
        for tick in 0..720_u64 {
            let second = tick * 120;
            let mut one = samples(&server(), second, vec![requests("/a", tick as f64)]);
            for (place, labels) in endpoints.iter().enumerate() {
                // Some ticks have no request, and most have several.
                let count = (tick * 7 + place as u64 * 3) % 11;
                let value =
                    |n: u64| ((((tick * 31 + n * 17 + place as u64) % 997) as f64 / 997.0) * 8.0 - 8.0).exp();
                let values: Vec<f64> = (0..count).map(value).collect();
                all.extend(values.iter().map(|value| (second, *value)));
                one.distributions
                    .extend(Distribution::of(values).map(|one| (&DURATION, labels.clone(), one)));
            }
            store.append_samples(&[one]).unwrap();
            if tick % 100 == 0 {
                store.maintain(at(second)).unwrap();
            }
        }
        let exact = |from: u64, to: u64, q: f64| {
            let mut values: Vec<f64> = all
                .iter()
                .filter(|(second, _)| (from..to).contains(second))
                .map(|(_, value)| *value)
                .collect();
            values.sort_by(f64::total_cmp);
            (values.len(), values[((q * values.len() as f64).ceil() as usize).clamp(1, values.len()) - 1])
        };
        in_every_state(bed, store, |store, state| {
            let ask = |from: u64, to: u64, count: usize, aggregate: &str| {
                let aggregate = Aggregate::from_name(aggregate).unwrap();
                let mut plan = QueryPlan::of(server(), DURATION.name, (at(from), at(to)), count, aggregate);
                plan.grouping = Grouping::By(Vec::new());
                store.answer(&plan).unwrap().series.remove(0).points
            };
            for (from, to) in [(0, DAY), (4 * 3600, 8 * 3600)] {
                for (name, q) in [("p50", 0.5), ("p95", 0.95), ("p99", 0.99)] {
                    let (count, exact) = exact(from, to, q);
                    let found = ask(from, to, 1, name);
                    assert_eq!(found.len(), 1, "{state}");
                    assert!(
                        (found[0].1 / exact - 1.0).abs() <= 0.0101,
                        "{state} {name} of {count} values: {} instead of {exact}",
                        found[0].1
                    );
                    let counted: f64 = ask(from, to, 24, "count").iter().map(|(_, value)| value).sum();
                    assert_eq!(counted, count as f64, "{state}: every request is counted once");
                }
            }
            // By the hour too, and the mean and the extremes are those of the values.
            for (hour, (_, p95)) in ask(0, DAY, 24, "p95").into_iter().enumerate() {
                let (_, exact) = exact(hour as u64 * 3600, (hour as u64 + 1) * 3600, 0.95);
                assert!(
                    (p95 / exact - 1.0).abs() <= 0.0101,
                    "{state}: hour {hour}: {p95} instead of {exact}"
                );
            }
            let largest = all.iter().map(|(_, value)| *value).fold(0.0, f64::max);
            let mean = all.iter().map(|(_, value)| *value).sum::<f64>() / all.len() as f64;
            let spread = all.iter().map(|(_, value)| (value - mean).powi(2)).sum::<f64>() / all.len() as f64;
            // Rollups round to an eighth of the deviation in a bucket.
            let near = spread.sqrt() / 8.0;
            for (name, exact) in [("max", largest), ("avg", mean), ("stddev", spread.sqrt())] {
                let found = ask(0, DAY, 1, name)[0].1;
                assert!((found - exact).abs() <= near, "{state}: {name} is {found} instead of {exact}");
            }
            let plan = QueryPlan::of(server(), DURATION.name, (START, at(DAY)), 1, Aggregate::Count);
            assert_eq!(store.answer(&plan).unwrap().series.len(), 2, "{state}: one by endpoint");
            assert_eq!(value(store, server(), REQUESTS.name, "count"), Some(720.0), "{state}");
        });
    });
}

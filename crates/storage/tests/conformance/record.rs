//! The main record: transitions in one sequence, what follows from them, and how far its readers are.

use std::sync::Arc;

use serde_json::json;
use wise_core::{MonitorId, Reason, Status, Timestamp, Transition};
use wise_storage::incidents;

use crate::{START, added, at, on_every_backend};

fn change(monitor: MonitorId, time: Timestamp, to: Status) -> Transition {
    let is_down = to == Status::Unhealthy;
    Transition {
        monitor,
        time,
        from: Some(Status::Healthy),
        to,
        down: is_down,
        reason: is_down.then(|| Reason {
            class: "refused".to_owned(),
            code: Some("refused".to_owned()),
            message: "keine Verbindung ü".to_owned(),
            probe: Some("availability".to_owned()),
            metric: None,
            value: None,
        }),
        evidence: is_down.then(|| Arc::new(json!({"a.b": {"$c": 1}}))),
    }
}

#[test]
fn transitions_are_numbered_and_readers_resume() {
    on_every_backend(|bed| {
        let store = bed.open(START);
        let (shop, mail) = (added(&*store, "shop"), added(&*store, "mail"));
        let all = [
            change(shop, at(0), Status::Healthy),
            change(shop, at(10), Status::Unhealthy),
            change(mail, at(11), Status::Healthy),
            change(shop, at(20), Status::Unknown),
        ];
        let first = store.commit(&all[..2]).unwrap();
        let second = store.commit(&all[2..]).unwrap();
        let numbers: Vec<u64> = first.into_iter().chain(second).collect();
        assert!(numbers.windows(2).all(|pair| pair[1] > pair[0]), "{numbers:?}");
        assert!(store.commit(&[]).unwrap().is_empty());
        store.advance_cursor("log", numbers[1]).unwrap();
        store.advance_cursor("log", numbers[0]).unwrap();
        drop(store);
        let store = bed.open(at(60));
        assert_eq!(store.cursor("log").unwrap(), numbers[1], "a cursor never goes back");
        assert_eq!(store.cursor("nobody").unwrap(), 0);
        let rest = store.transitions_after(numbers[1], 10).unwrap();
        assert_eq!(rest, [(numbers[2], all[2].clone()), (numbers[3], all[3].clone())]);
        assert_eq!(store.transitions_after(0, 1).unwrap(), [(numbers[0], all[0].clone())]);
        let before = store.transitions_of(shop, Some(numbers[3]), 1).unwrap();
        assert_eq!(before, [(numbers[1], all[1].clone())]);
        let last = &store.last_states().unwrap()[&shop];
        assert!(last.was_down && last.status == Status::Unknown, "unknown does not make it forget an outage");
        let states = store.states(None, at(15)).unwrap();
        assert_eq!(states[&shop].len(), 2, "the last before the range, and those in it");
        assert_eq!(states[&mail], [(at(11), Status::Healthy, false)]);
        let found = incidents(&*store, shop, START, at(100)).unwrap();
        assert_eq!((found.len(), found[0].start, found[0].end), (1, at(10), None));
        // A monitor that goes takes its record with it.
        store.delete_monitor(shop).unwrap();
        assert!(store.transitions_of(shop, None, 10).unwrap().is_empty());
        assert!(!store.last_states().unwrap().contains_key(&shop));
        let later = store.commit(&[change(mail, at(30), Status::Unhealthy)]).unwrap();
        assert!(later[0] > numbers[3], "numbers are never used again");
    });
}

#[test]
fn numbers_go_on_when_the_clock_steps_back() {
    on_every_backend(|bed| {
        let store = bed.open(START);
        let shop = added(&*store, "shop");
        let numbers: Vec<u64> = [100, 50, 75]
            .into_iter()
            .flat_map(|second| store.commit(&[change(shop, at(second), Status::Healthy)]).unwrap())
            .collect();
        assert!(numbers.windows(2).all(|pair| pair[1] > pair[0]), "{numbers:?}");
        assert_eq!(
            store.last_states().unwrap()[&shop].since,
            at(75),
            "the last one counts, and not the latest"
        );
        let order: Vec<Timestamp> = store
            .transitions_of(shop, None, 10)
            .unwrap()
            .into_iter()
            .map(|(_, change)| change.time)
            .collect();
        assert_eq!(order, [at(75), at(50), at(100)]);
    });
}

#[test]
fn incidents_are_found_over_many_pages() {
    on_every_backend(|bed| {
        let store = bed.open(START);
        let shop = added(&*store, "shop");
        let all: Vec<Transition> = (0..1400)
            .map(|n| change(shop, at(n * 10), if n % 2 == 0 { Status::Unhealthy } else { Status::Healthy }))
            .collect();
        store.commit(&all).unwrap();
        assert_eq!(incidents(&*store, shop, START, at(20_000)).unwrap().len(), 700);
        let some = incidents(&*store, shop, at(105), at(205)).unwrap();
        assert_eq!((some.len(), some[0].start, some[0].end), (6, at(100), Some(at(110))));
    });
}

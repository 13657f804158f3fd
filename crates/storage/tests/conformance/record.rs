//! The main record: events in one sequence, what they add up to, and how far its consumers are.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use wise_core::{
    ClearCause, Condition, ConditionKey, Event, EventKind, Gap, Labels, MonitorId, MonitorState, Reason,
    Severity, Status, Timestamp,
};
use wise_storage::ports::{Commit, TimelineChange};

use crate::{START, added, advance, at, change, commit, definition, on_every_backend, removal};

fn condition(key: ConditionKey, severity: Severity) -> Condition {
    Condition {
        key,
        severity,
        since: at(7).plus(Duration::from_micros(1)),
        reason: Reason { value: Some(0.1 + 0.2), ..Reason::new("threshold", "größer als $.a") },
        evidence: Some(Arc::new(json!({"a.b": {"$c": 1}}))),
    }
}

/// One condition of every kind, two of them thresholds that differ in a label alone.
fn conditions() -> Vec<Condition> {
    let probe = |name: &str| name.to_owned();
    let table = |name: &str| ConditionKey::Threshold {
        probe: probe("storage"),
        metric: "t.table.size_bytes".to_owned(),
        labels: Labels::one("table", name),
    };
    vec![
        condition(ConditionKey::Down { probe: probe("availability") }, Severity::Critical),
        condition(ConditionKey::ProbeFailing { probe: probe("storage") }, Severity::Warning),
        condition(ConditionKey::Unknown { probe: probe("storage") }, Severity::Warning),
        condition(table("a.\"b\""), Severity::Warning),
        condition(table("a\".\"b"), Severity::Critical),
    ]
}

fn event(monitor: MonitorId, second: u64, kind: EventKind) -> Event {
    Event { monitor, time: at(second), kind }
}

fn sorted(mut state: MonitorState) -> MonitorState {
    state.conditions.sort_by_key(|condition| condition.key.to_string());
    state
}

#[test]
fn events_are_numbered_and_consumers_resume() {
    on_every_backend(|bed| {
        let store = bed.open(START);
        let (shop, mail) = (added(&*store, "shop"), added(&*store, "mail"));
        let all = [
            change(shop, at(0), Status::Healthy),
            change(shop, at(10), Status::Unhealthy),
            change(mail, at(11), Status::Healthy),
            change(shop, at(20), Status::Unknown),
        ];
        let first = commit(&*store, &all[..2]);
        // What follows from events and how far a consumer has come with them is one commit.
        let second = store.commit(Commit { events: &all[2..], cursor: Some(("log", first[1])) }).unwrap();
        let numbers: Vec<u64> = first.into_iter().chain(second).collect();
        assert!(numbers.windows(2).all(|pair| pair[1] > pair[0]), "{numbers:?}");
        assert!(commit(&*store, &[]).is_empty());
        advance(&*store, "log", numbers[0]);
        drop(store);
        let store = bed.open(at(60));
        assert_eq!(store.cursor("log").unwrap(), numbers[1], "a cursor never goes back");
        assert_eq!((store.cursor("unknown").unwrap(), store.last_event().unwrap()), (0, numbers[3]));
        let rest = [(numbers[2], all[2].clone()), (numbers[3], all[3].clone())];
        assert_eq!(store.events_after(numbers[1], 10).unwrap(), rest);
        assert_eq!(store.unseen_events("log", 10).unwrap(), rest);
        assert_eq!(store.events_after(0, 1).unwrap(), [(numbers[0], all[0].clone())]);
        let before = store.events_of(shop, Some(numbers[3]), 1).unwrap();
        assert_eq!(before, [(numbers[1], all[1].clone())]);
        let timeline = store.timeline(None, at(15)).unwrap();
        let (status, down) = (Status::Unhealthy, true);
        let was_down = TimelineChange::Status { time: at(10), since: at(8), status, down };
        assert_eq!(timeline[&shop].len(), 2, "the last before the range, and those in it");
        assert_eq!((timeline[&shop][0], timeline[&mail].len()), (was_down, 1));
        // A monitor that is purged takes its record with it.
        store.remove_monitor(&removal(shop, at(25))).unwrap();
        store.purge_monitor(shop).unwrap();
        assert!(store.events_of(shop, None, 10).unwrap().is_empty());
        assert!(!store.states().unwrap().contains_key(&shop));
        let later = commit(&*store, &[change(mail, at(30), Status::Unhealthy)]);
        assert!(later[0] > numbers[3] + 1, "numbers are never used again");
    });
}

#[test]
fn conditions_and_gaps_add_up_to_a_state_that_survives() {
    on_every_backend(|bed| {
        let store = bed.open(START);
        let shop = added(&*store, "shop");
        let all = conditions();
        let mut expected = MonitorState::default();
        let mut kinds: Vec<EventKind> =
            all.iter().map(|condition| EventKind::Raised { condition: condition.clone() }).collect();
        let worse = Condition { severity: Severity::Critical, ..all[3].clone() };
        kinds.push(EventKind::Changed { condition: worse, before: Severity::Warning });
        kinds.push(EventKind::Cleared { condition: all[1].clone(), cause: ClearCause::Recovered });
        let EventKind::Status(status) = change(shop, at(9), Status::Unhealthy).kind else {
            panic!("no status")
        };
        kinds.push(EventKind::Status(status));
        let gap =
            |from, until| Gap { from: at(from), until: at(until), reason: Reason::new("unwatched", "x") };
        kinds.push(EventKind::Gap(gap(30, 90)));
        kinds.push(EventKind::Gap(gap(20, 40)));
        kinds.iter().for_each(|kind| expected.apply(kind));
        let events: Vec<Event> = kinds.into_iter().map(|kind| event(shop, 50, kind)).collect();
        for page in events.chunks(3) {
            commit(&*store, page);
        }
        assert_eq!(expected.conditions.len(), 4);
        let expected = sorted(expected);
        assert_eq!(sorted(store.states().unwrap().remove(&shop).unwrap()), expected);
        drop(store);
        let store = bed.open(at(60));
        assert_eq!(sorted(store.states().unwrap().remove(&shop).unwrap()), expected);
        let read: Vec<Event> = store.events_after(0, 100).unwrap().into_iter().map(|(_, one)| one).collect();
        assert_eq!(read, events, "to the microsecond and the last digit");
        // A gap bears on a range that begins within it.
        let timeline = store.timeline(Some(shop), at(80)).unwrap();
        assert!(timeline[&shop].contains(&TimelineChange::Gap { from: at(30), until: at(90) }));
    });
}

#[test]
fn numbers_go_on_when_the_clock_steps_back() {
    on_every_backend(|bed| {
        let store = bed.open(START);
        let shop = added(&*store, "shop");
        let numbers: Vec<u64> = [100, 50, 75]
            .into_iter()
            .flat_map(|second| commit(&*store, &[change(shop, at(second), Status::Healthy)]))
            .collect();
        assert!(numbers.windows(2).all(|pair| pair[1] > pair[0]), "{numbers:?}");
        assert_eq!(store.states().unwrap()[&shop].since, at(75), "the last one counts, and not the latest");
        let order: Vec<Timestamp> =
            store.events_of(shop, None, 10).unwrap().into_iter().map(|(_, change)| change.time).collect();
        assert_eq!(order, [at(75), at(50), at(100)]);
    });
}

#[test]
fn a_monitor_that_was_removed_is_hidden_and_comes_back_as_it_was() {
    on_every_backend(|bed| {
        let store = bed.open(START);
        let shop = definition("shop");
        store.insert_monitor(&shop).unwrap();
        let raised = EventKind::Raised { condition: conditions().remove(0) };
        commit(&*store, &[event(shop.id, 5, raised), change(shop.id, at(5), Status::Unhealthy)]);
        let state = store.states().unwrap()[&shop.id].clone();
        let number = store.remove_monitor(&removal(shop.id, at(10))).unwrap();
        assert!(store.remove_monitor(&removal(shop.id, at(11))).is_err(), "it is gone");
        drop(store);
        let store = bed.open(at(60));
        assert_eq!(store.monitors().unwrap(), []);
        assert_eq!(store.removed_monitors().unwrap(), [(shop.clone(), at(10))]);
        assert_eq!(store.last_event().unwrap(), number);
        assert!(matches!(store.events_of(shop.id, None, 1).unwrap()[0].1.kind, EventKind::Removed { .. }));
        // Its name is free. While another has it, it cannot come back under it.
        let other = definition("shop");
        store.insert_monitor(&other).unwrap();
        let mut again = shop.clone();
        again.version = 2;
        let restored = event(shop.id, 70, EventKind::Restored { name: "shop".to_owned() });
        assert!(store.restore_monitor(&again, &restored).is_err());
        store.remove_monitor(&removal(other.id, at(65))).unwrap();
        store.restore_monitor(&again, &restored).unwrap();
        store.purge_monitor(other.id).unwrap();
        drop(store);
        let store = bed.open(at(120));
        assert_eq!(store.monitors().unwrap(), [again]);
        assert_eq!(store.removed_monitors().unwrap(), []);
        assert_eq!(store.states().unwrap()[&shop.id], state);
        assert_eq!(store.events_of(shop.id, None, 10).unwrap().len(), 4);
    });
}

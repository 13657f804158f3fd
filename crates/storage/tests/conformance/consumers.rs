//! Those who follow the main record, on every backend. What ARCHITECTURE.md says of adding a consumer is done here.

use std::error::Error;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use wise_core::{Event, EventKind, Status};
use wise_storage::{Begin, Consumer, Consumers, Follows};
use wise_testbed::until;

use crate::{START, added, at, change, commit, on_every_backend};

/// Tells of every event that it takes in, and says of each outage that it has seen it by an event of its own.
struct Witness {
    begin: Begin,
    seen: Sender<Event>,
    /// Pages that are refused before one is taken.
    failures: usize,
}

impl Witness {
    fn new(begin: Begin, failures: usize) -> (Box<Self>, Receiver<Event>) {
        let (seen, events) = channel();
        (Box::new(Self { begin, seen, failures }), events)
    }
}

impl Consumer for Witness {
    fn name(&self) -> &'static str {
        "witness"
    }

    fn begins(&self) -> Begin {
        self.begin
    }

    fn take(&mut self, events: &[(u64, Event)]) -> Result<Follows, Box<dyn Error + Send + Sync>> {
        if self.failures > 0 {
            self.failures -= 1;
            // Both are tried again.
            assert!(self.failures.is_multiple_of(2), "a fault of the consumer");
            return Err("not yet".into());
        }
        let mut follows = Follows::default();
        for (_, event) in events {
            self.seen.send(event.clone())?;
            if matches!(&event.kind, EventKind::Status(change) if change.down) {
                let kind = EventKind::Restored { name: "seen".to_owned() };
                follows.events.push(Event { kind, ..event.clone() });
            }
        }
        Ok(follows)
    }
}

fn next(events: &Receiver<Event>) -> Event {
    events.recv_timeout(Duration::from_secs(20)).expect("an event in time")
}

#[test]
fn a_consumer_sees_every_event_once_and_its_work_is_committed_with_its_place() {
    on_every_backend(|bed| {
        let store = bed.open(START);
        let shop = added(&*store, "shop");
        // More than a page, from before there was a consumer.
        let early: Vec<Event> = (0..700).map(|second| change(shop, at(second), Status::Healthy)).collect();
        commit(&*store, &early);
        let consumers = Consumers::new(store.clone());
        let (witness, events) = Witness::new(Begin::WithTheFirst, 2);
        consumers.start(witness).unwrap();
        for expected in &early {
            assert_eq!(&next(&events), expected, "also after a failure, and in order");
        }
        let down = change(shop, at(800), Status::Unhealthy);
        let number = commit(&*store, std::slice::from_ref(&down))[0];
        consumers.notify(number);
        assert_eq!(next(&events), down);
        // What followed from it comes back as any other event does.
        assert!(matches!(next(&events).kind, EventKind::Restored { .. }));
        until("it has caught up", || match consumers.states()[0].lag() {
            0 => Ok(()),
            lag => Err(lag),
        });
        consumers.close();
        assert!(!consumers.states().iter().any(|state| state.is_failing()));
        commit(&*store, &[change(shop, at(900), Status::Healthy)]);
        drop((consumers, store));

        let store = bed.open(at(1000));
        let consumers = Consumers::new(store.clone());
        let (witness, events) = Witness::new(Begin::WithTheFirst, 0);
        consumers.start(witness).unwrap();
        assert_eq!(next(&events).time, at(900), "it goes on where it stood");
        consumers.close();
        assert!(events.try_recv().is_err(), "nothing twice");
        let all = store.events_after(0, 10_000).unwrap();
        assert_eq!(all.len(), 700 + 3, "what follows is there once");
    });
}

#[test]
fn one_for_those_who_look_now_begins_with_what_comes() {
    on_every_backend(|bed| {
        let store = bed.open(START);
        let shop = added(&*store, "shop");
        commit(&*store, &[change(shop, at(0), Status::Healthy)]);
        let consumers = Consumers::new(store.clone());
        let (witness, events) = Witness::new(Begin::WithTheNext, 0);
        consumers.start(witness).unwrap();
        let later = change(shop, at(10), Status::Degraded);
        // No one tells it: it looks by itself.
        commit(&*store, std::slice::from_ref(&later));
        assert_eq!(next(&events), later);
        assert_eq!(store.cursor("witness").unwrap(), 0);
    });
}

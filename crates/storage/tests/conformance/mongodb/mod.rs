//! What a store behind a server has to stand: the server away, half dead, taken over, and documents as documented.

mod access;
mod crashes;
mod documents;
mod outages;

use std::path::Path;
use std::time::Duration;

use wise_core::{Event, Status};
use wise_storage::ports::HistoryStore;
use wise_storage::{MongoOptions, MongoStore, ResultQuery, Timing};
use wise_testbed::Mongo;

use crate::{START, at, embedded};

const FREE: &str = "no one else has the store";

fn servers() -> Vec<Mongo> {
    Mongo::programs().iter().map(|program| Mongo::start(program, &[])).collect()
}

fn quick() -> Timing {
    Timing {
        patience: Duration::from_secs(2),
        beat: Duration::from_millis(200),
        expiry: Duration::from_secs(2),
        send: Duration::from_millis(200),
    }
}

fn options(server: &Mongo, spool: &Path, name: &str) -> MongoOptions {
    MongoOptions {
        url: format!("{}/wise", server.url()),
        spool: embedded(spool),
        retention: wise_storage::Retention::default(),
        name: name.to_owned(),
        timing: quick(),
        is_source: false,
    }
}

fn open(options: MongoOptions) -> MongoStore {
    MongoStore::open(options, START, &mut |holder| panic!("{holder} has the store: {FREE}"))
        .expect("it opens")
}

fn change(monitor: wise_core::MonitorId, second: u64) -> Event {
    let to = if second.is_multiple_of(2) { Status::Healthy } else { Status::Unhealthy };
    crate::change(monitor, at(second), to)
}

fn all_results(store: &dyn HistoryStore, monitor: wise_core::MonitorId) -> usize {
    let query = ResultQuery::of(monitor, (START, at(1_000_000)), 10_000_000);
    store.results(&query).expect("results").len()
}

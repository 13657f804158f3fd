//! The store in MongoDB, with a local spool before it.
//!
//! The spool is an embedded store in a folder. It takes every write first, so that checks, statuses and the live page go
//! on while MongoDB is away, and keeps a copy of the definitions and of the main record. `link` is the thread that sends
//! what is new: events at once, checks and samples as documents of an hour (`send`), which it makes documents of a day and
//! rollups of when the day is over (`compact`); `attach` gets the lease and makes both agree. `lease` lets one process
//! write at a time, `schema` has the collections, `documents` what is in them, `read` and `results` answer from both, and
//! `reserve` keeps room for what MongoDB has taken.

mod attach;
mod compact;
mod documents;
mod lease;
mod link;
mod movable;
mod read;
mod remote;
mod reserve;
mod results;
mod schema;
mod send;
mod sources;
mod state;

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::Sender;
use tokio::time::Instant;
use wise_core::{
    CheckRecord, Event, ManagedBy, MonitorDefinition, MonitorId, MonitorState, SourceId, SourceName,
    Timestamp,
};

use crate::error::StoreError;
use crate::ports::{Commit, DefinitionStore, HistoryStore, MainRecord, SourceSamples, Timeline};
use crate::query::{Answer, QueryPlan, ResultQuery, SeriesPieces, StoredResult, answer};
use crate::retention::Retention;
use crate::sqlite::{SqliteOptions, SqliteStore};

use lease::{Lease, Operation};
use link::{Link, Wake};
pub use state::RemoteState;

/// How long things take at most.
#[derive(Clone, Debug)]
pub struct Timing {
    /// A call to the server.
    pub patience: Duration,
    /// Between two signs of life of the process that may write.
    pub beat: Duration,
    /// Without a sign of life for so long, it counts as dead.
    pub expiry: Duration,
    /// Between two rounds of sending checks.
    pub send: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            patience: Duration::from_secs(10),
            beat: Duration::from_secs(3),
            expiry: Duration::from_secs(15),
            send: Duration::from_secs(60),
        }
    }
}

/// Options of the store in MongoDB.
#[derive(Clone)]
pub struct MongoOptions {
    /// `mongodb://…`. May have a password.
    pub url: String,
    /// The spool. Its retention is how long it keeps what was sent; its cap is that of what was not.
    pub spool: SqliteOptions,
    /// How long MongoDB keeps history.
    pub retention: Retention,
    /// Name of this process, for others that wait.
    pub name: String,
    /// How long things take.
    pub timing: Timing,
    /// Whether it is only opened to be read, as the source of a migration: nothing is brought in line, nor rolled up.
    pub is_source: bool,
}

impl std::fmt::Debug for MongoOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MongoOptions").field("spool", &self.spool.folder).finish_non_exhaustive()
    }
}

/// The store in MongoDB.
#[derive(Debug)]
pub struct MongoStore {
    link: Arc<Link>,
    wake: Sender<Wake>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl MongoStore {
    /// Opens the spool and the store behind it. While another process has the store, `wait` is called again and again
    /// with its name; it may take a while, and says with false that it is not worth waiting. With MongoDB away, what the
    /// spool has is taken.
    ///
    /// # Errors
    /// The spool cannot be used, or belongs to another store; MongoDB refuses the login or its data is too new; or the
    /// wait was given up.
    pub fn open(
        options: MongoOptions,
        now: Timestamp,
        wait: &mut dyn FnMut(&str) -> bool,
    ) -> Result<Self, StoreError> {
        let (wake, woken) = crossbeam_channel::bounded(64);
        let link = Arc::new(Link::open(options, now, wait)?);
        let running = link.clone();
        let thread = std::thread::Builder::new()
            .name("spool".to_owned())
            .spawn(move || running.keep_running(&woken))
            .map_err(|error| StoreError::Server { reason: format!("its thread cannot be made: {error}") })?;
        Ok(Self { link, wake, thread: Mutex::new(Some(thread)) })
    }

    /// How the connection fares.
    pub fn state(&self) -> Arc<RemoteState> {
        self.link.state.clone()
    }

    /// Sends everything there is, and rolls up the days that are over, as far as it goes.
    ///
    /// # Errors
    /// MongoDB is away, or the lease is lost.
    pub fn send_all(&self, now: Timestamp) -> Result<(), StoreError> {
        self.link.send_all(now)
    }

    /// The collections as MongoDB has them, as the tables of docs/storage.md.
    ///
    /// # Errors
    /// MongoDB is away.
    pub fn describe(&self) -> Result<String, StoreError> {
        schema::describe(&self.link.remote)
    }

    /// Runs an aggregation, given as JSON, as a person would with MongoDB's own tools; answers one JSON text a document.
    ///
    /// # Errors
    /// MongoDB is away, or refuses it.
    pub fn aggregate(&self, collection: &str, stages: &serde_json::Value) -> Result<Vec<String>, StoreError> {
        let refused = |error: &dyn std::fmt::Display| StoreError::Server { reason: error.to_string() };
        let stages: Vec<mongodb::bson::Document> = stages
            .as_array()
            .into_iter()
            .flatten()
            .map(|stage| mongodb::bson::serialize_to_document(stage).map_err(|error| refused(&error)))
            .collect::<Result<_, _>>()?;
        let found = self.link.remote.aggregate(collection, stages)?;
        Ok(found.into_iter().map(|document| mongodb::bson::Bson::from(document).to_string()).collect())
    }

    /// Sends what is left if MongoDB is there, and gives the lease back. Blocks.
    pub fn close(&self) {
        self.link.closing.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(Instant::now);
        // A thread that has ended already has nothing left.
        self.wake.send(Wake::Close).ok();
        if let Some(thread) = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take()
            && thread.join().is_err()
        {
            tracing::error!("the thread that sends to MongoDB ended in a panic");
        }
    }

    fn recent(&self) -> &SqliteStore {
        &self.link.recent
    }

    /// Something is to be sent. A full queue means that the thread has been woken already.
    fn wake(&self) {
        self.wake.try_send(Wake::News).ok();
    }

    /// Whether the definition may be kept here until MongoDB is there: a file can be read again, a promise cannot.
    fn can_wait(definition: &MonitorDefinition, error: &StoreError) -> bool {
        matches!(error, StoreError::Away { .. }) && matches!(definition.managed_by, ManagedBy::File(_))
    }

    fn store_definition(
        &self,
        definition: &MonitorDefinition,
        expected: Option<u64>,
        change: impl Fn() -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let mut held = self.link.lease();
        self.recent().would_store(definition, expected)?;
        self.link.reserve.ensure(serde_json::to_string(definition).map_or(0, |body| body.len()))?;
        match self.link.try_spool() {
            // The reserve is for this.
            Err(StoreError::DiskFull { .. }) => {}
            other => other?,
        }
        let sent = self.link.commit(&mut held, None, |lease| {
            Ok(vec![Operation::Monitor(documents::monitor(definition, lease.changes + 1)?)])
        });
        self.keep(&mut held, definition, sent, change)
    }

    /// Stores a change of a definition here when MongoDB has taken it, or is to get it later.
    fn keep(
        &self,
        held: &mut Option<Lease>,
        definition: &MonitorDefinition,
        sent: Result<(), StoreError>,
        change: impl Fn() -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        match sent {
            Ok(()) => {}
            Err(error) if Self::can_wait(definition, &error) => {
                self.link.keep_definitions()?;
                return change();
            }
            Err(error) => return Err(error),
        }
        let reserve = &self.link.reserve;
        let kept = reserve.spend(change).and_then(|()| reserve.spend(|| self.link.note_changes(held)));
        kept.inspect_err(|_| self.link.disagree(held))
    }
}

impl Drop for MongoStore {
    fn drop(&mut self) {
        self.close();
    }
}

impl DefinitionStore for MongoStore {
    fn monitors(&self) -> Result<Vec<MonitorDefinition>, StoreError> {
        self.recent().monitors()
    }

    fn insert_monitor(&self, definition: &MonitorDefinition) -> Result<(), StoreError> {
        self.store_definition(definition, None, || self.recent().insert_monitor(definition))
    }

    fn update_monitor(&self, definition: &MonitorDefinition, expected: u64) -> Result<(), StoreError> {
        self.store_definition(definition, Some(expected), || {
            self.recent().update_monitor(definition, expected)
        })
    }

    fn remove_monitor(&self, removal: &Event) -> Result<u64, StoreError> {
        let id = removal.monitor;
        let mut held = self.link.lease();
        let definition = self.recent().monitor(id)?.ok_or(StoreError::NotFound)?;
        self.link.reserve.ensure(0)?;
        self.link.try_spool()?;
        let sent = self.link.commit(&mut held, None, |lease| {
            let removed = documents::removed(&definition, removal.time, lease.changes + 1)?;
            Ok(vec![Operation::Monitor(removed)])
        });
        let number = std::cell::Cell::new(0);
        self.keep(&mut held, &definition, sent, || {
            number.set(self.recent().remove_monitor(removal)?);
            Ok(())
        })?;
        self.wake();
        Ok(number.get())
    }

    fn restore_monitor(&self, definition: &MonitorDefinition, event: &Event) -> Result<u64, StoreError> {
        let number = std::cell::Cell::new(0);
        self.store_definition(definition, None, || {
            number.set(self.recent().restore_monitor(definition, event)?);
            Ok(())
        })?;
        self.wake();
        Ok(number.get())
    }

    fn removed_monitors(&self) -> Result<Vec<(MonitorDefinition, Timestamp)>, StoreError> {
        self.recent().removed_monitors()
    }

    fn purge_monitor(&self, id: MonitorId) -> Result<(), StoreError> {
        let mut held = self.link.lease();
        self.link.commit(&mut held, None, |lease| Ok(attach::purge(id, lease)))?;
        self.link.note_changes(&held)?;
        self.recent().purge_monitor(id)
    }

    fn meta(&self, key: &str) -> Result<Option<String>, StoreError> {
        self.recent().meta(key)
    }

    fn set_meta(&self, key: &str, value: &str) -> Result<(), StoreError> {
        self.recent().set_meta(key, value)?;
        if link::is_shared(key) {
            self.link.unsent().metas.insert(key.to_owned(), value.to_owned());
            self.wake();
        }
        Ok(())
    }
}

impl MainRecord for MongoStore {
    fn commit(&self, commit: Commit<'_>) -> Result<Vec<u64>, StoreError> {
        let numbers = self.recent().commit(commit)?;
        if let Some((consumer, _)) = commit.cursor {
            self.link.unsent().cursors.insert(consumer.to_owned());
        }
        if !commit.events.is_empty() {
            self.wake();
        }
        Ok(numbers)
    }

    fn events_after(&self, after: u64, limit: usize) -> Result<Vec<(u64, Event)>, StoreError> {
        self.recent().events_after(after, limit)
    }

    fn unseen_events(&self, consumer: &str, limit: usize) -> Result<Vec<(u64, Event)>, StoreError> {
        self.recent().unseen_events(consumer, limit)
    }

    fn events_of(
        &self,
        monitor: MonitorId,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<(u64, Event)>, StoreError> {
        self.recent().events_of(monitor, before, limit)
    }

    fn timeline(&self, monitor: Option<MonitorId>, from: Timestamp) -> Result<Timeline, StoreError> {
        self.recent().timeline(monitor, from)
    }

    fn states(&self) -> Result<HashMap<MonitorId, MonitorState>, StoreError> {
        self.recent().states()
    }

    fn last_event(&self) -> Result<u64, StoreError> {
        self.recent().last_event()
    }

    fn cursor(&self, consumer: &str) -> Result<u64, StoreError> {
        self.recent().cursor(consumer)
    }
}

impl HistoryStore for MongoStore {
    fn append(&self, records: &[CheckRecord]) -> Result<(), StoreError> {
        // Before, so that a crash in between forgets nothing. And after: what is sent in between does not have them.
        self.link.note_checks(records)?;
        let outcome = self.recent().append(records);
        self.link.note_checks(records)?;
        outcome
    }

    fn append_samples(&self, samples: &[SourceSamples]) -> Result<(), StoreError> {
        self.link.note_sources(samples)?;
        // Before and after, as with checks.
        self.link.note_samples(samples)?;
        let outcome = self.recent().append_samples(samples);
        self.link.note_samples(samples)?;
        outcome
    }

    fn sources(&self) -> Result<Vec<SourceName>, StoreError> {
        self.recent().sources()
    }

    fn maintain(&self, now: Timestamp) -> Result<(), StoreError> {
        self.link.now.store(now.as_micros(), Ordering::Relaxed);
        self.recent().maintain(now)
    }

    fn answer(&self, plan: &QueryPlan) -> Result<Answer, StoreError> {
        let reader = self.link.reader(plan)?;
        answer(plan, |source| reader.read(source))
    }

    fn read(&self, source: &SourceId, plan: &QueryPlan) -> Result<Vec<SeriesPieces>, StoreError> {
        let series = self.link.reader(plan)?.read(source)?;
        Ok(series.into_iter().filter(|one| plan.wants(&one.labels)).collect())
    }

    fn refused_readings(&self) -> u64 {
        self.recent().refused_readings()
    }

    fn results(&self, query: &ResultQuery) -> Result<Vec<StoredResult>, StoreError> {
        self.link.results(query)
    }

    fn last_checks(&self) -> Result<HashMap<MonitorId, HashMap<String, Timestamp>>, StoreError> {
        self.link.last_checks()
    }
}

//! The thread between spool and MongoDB, and what it shares with the store.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError};
use mongodb::bson::doc;
use tokio::time::Instant;
use wise_core::Timestamp;

use super::documents;
use super::lease::{Lease, Operation, random_id};
use super::remote::Remote;
use super::reserve::Reserve;
use super::schema::{CURSORS, META};
use super::send::Unsent;
use super::state::{RemoteState, Work};
use super::{MongoOptions, Timing};
use crate::error::StoreError;
use crate::ports::{Commit, DefinitionStore, MainRecord};
use crate::retention::Retention;
use crate::rollup::MICROS_A_DAY;
use crate::sqlite::SqliteStore;

/// Settings of the spool alone begin with this.
const OWN: &str = "mongodb_";
/// Id of the spool.
const SPOOL: &str = "mongodb_spool";
/// Id of the store that the spool belongs to.
pub(super) const STORE: &str = "mongodb_store";
/// Changes of definitions that the copy has.
pub(super) const CHANGES: &str = "mongodb_changes";
/// Whether definitions were changed while MongoDB was away.
pub(super) const KEPT: &str = "mongodb_kept_definitions";
/// The fence under which spool and MongoDB agreed last.
pub(super) const FENCE: &str = "mongodb_fence";
/// The day on which the spool was begun, counted from 1970.
const BEGAN: &str = "mongodb_began";
/// The last day that others have sent checks of, as far as is known.
pub(super) const OTHERS: &str = "mongodb_others_until";
/// Written before MongoDB is, to see whether the spool can be.
const TRIED: &str = "mongodb_tried";
/// What is left to be sent when it is to end may take this long.
const FINAL_MESSAGE: Duration = Duration::from_secs(20);
/// The reader of transitions that sends them.
pub(super) const SENDER: &str = "mongodb";
/// Transitions in one commit.
const PAGE: usize = 200;
/// Bytes of one commit: it has to fit into the document of the writer.
pub(super) const COMMIT_BYTES: usize = 4 << 20;
/// How often it is tried to reach a server that is away.
const RETRY: Duration = Duration::from_secs(1);

/// Whether a setting of the store's own is the same for every process.
pub(super) fn is_shared(key: &str) -> bool {
    !key.starts_with(OWN) && !matches!(key, "alive" | "opened")
}

/// Why the thread is woken.
#[derive(Debug)]
pub(super) enum Wake {
    /// There is something to send.
    News,
    /// It is to end.
    Close,
}

#[derive(Debug)]
pub(super) struct Link {
    pub recent: SqliteStore,
    pub remote: Remote,
    pub state: Arc<RemoteState>,
    pub spool: String,
    pub retention: Retention,
    pub timing: Timing,
    name: String,
    lease: Mutex<Option<Lease>>,
    unsent: Mutex<Unsent>,
    /// Held while checks are being sent.
    pub sending: Mutex<()>,
    /// The time, as house-keeping was told last, in microseconds.
    pub now: AtomicI64,
    /// Where the spool is.
    pub folder: PathBuf,
    /// Room for changes of definitions.
    pub reserve: Reserve,
    /// Whether it is only opened to be read.
    pub is_source: bool,
    /// The day on which the spool was begun.
    pub began: i64,
    /// Since when it is to end.
    pub closing: Mutex<Option<Instant>>,
    /// The last day that another spool has sent checks of.
    pub others_until: AtomicI64,
    /// The oldest day that has something unsent: the spool keeps it.
    pub hold_from: Arc<AtomicI64>,
}

impl Link {
    pub(super) fn open(
        options: MongoOptions,
        now: Timestamp,
        wait: &mut dyn FnMut(&str) -> bool,
    ) -> Result<Self, StoreError> {
        let MongoOptions { url, spool, retention, name, timing, is_source } = options;
        let remote = Remote::new(&url, timing.patience)?;
        let hold_from = spool.hold_from.clone();
        let recent = SqliteStore::open(&spool, now)?;
        let id = match recent.meta(SPOOL)? {
            Some(id) => id,
            None if recent.monitors()?.is_empty() => {
                let id = random_id()?;
                recent.set_meta(BEGAN, &now.as_micros().div_euclid(MICROS_A_DAY).to_string())?;
                recent.set_meta(SPOOL, &id)?;
                id
            }
            None => {
                return Err(StoreError::NotWritable {
                    path: spool.folder,
                    reason: "it is an embedded store with monitors of its own and no spool: name another folder in \
                             storage.spool, and bring the monitors over with `wise-monitoring migrate`"
                        .to_owned(),
                });
            }
        };
        let whole = |key: &str| -> Result<Option<i64>, StoreError> {
            Ok(recent.meta(key)?.and_then(|text| text.parse().ok()))
        };
        let (began, others) = (whole(BEGAN)?.unwrap_or(i64::MIN), whole(OTHERS)?.unwrap_or(i64::MIN));
        let link = Self {
            recent,
            remote,
            state: Arc::default(),
            spool: id,
            retention,
            timing,
            name,
            lease: Mutex::default(),
            unsent: Mutex::default(),
            sending: Mutex::default(),
            now: AtomicI64::new(now.as_micros()),
            reserve: Reserve::new(&spool.folder),
            folder: spool.folder,
            is_source,
            began,
            closing: Mutex::default(),
            others_until: AtomicI64::new(others),
            hold_from,
        };
        link.recall(now)?;
        link.first_attach(wait)?;
        Ok(link)
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The lease, if there is one. Anyone who holds it is the only one who changes definitions.
    pub(super) fn lease(&self) -> MutexGuard<'_, Option<Lease>> {
        self.lease.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn unsent(&self) -> MutexGuard<'_, Unsent> {
        self.unsent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Commits what `operations` makes.
    pub(super) fn commit(
        &self,
        held: &mut Option<Lease>,
        sequence: Option<u64>,
        operations: impl FnOnce(&Lease) -> Result<Vec<Operation>, StoreError>,
    ) -> Result<(), StoreError> {
        // Anyone who asks must not wait for a server that is known not to answer.
        let Some(lease) = held.as_mut().filter(|_| self.state.is_connected()) else {
            return Err(self.state.no_right());
        };
        let operations = operations(lease)?;
        let outcome = lease.commit(&self.remote, &operations, sequence);
        self.note(held, outcome)
    }

    /// Notes how a call went; one that shows that the lease is lost takes it.
    fn note(&self, held: &mut Option<Lease>, outcome: Result<(), StoreError>) -> Result<(), StoreError> {
        if let Err(StoreError::Superseded { .. }) = &outcome {
            *held = None;
        }
        self.state.note(&outcome);
        outcome
    }

    /// Remembers how far the copy of the definitions is.
    pub(super) fn note_changes(&self, held: &Option<Lease>) -> Result<(), StoreError> {
        match held {
            Some(lease) => self.recent.set_meta(CHANGES, &lease.changes.to_string()),
            None => Ok(()),
        }
    }

    /// Whether definitions are to be sent.
    pub(super) fn has_kept(&self) -> Result<bool, StoreError> {
        Ok(self.recent.meta(KEPT)?.as_deref() == Some("yes"))
    }

    /// Whether the spool can be written: one that cannot refuses a change before MongoDB has it.
    pub(super) fn try_spool(&self) -> Result<(), StoreError> {
        // What is the same as before would not be written.
        self.recent.set_meta(TRIED, &random_id()?)
    }

    /// What is in MongoDB is not what is here: this process has to begin again.
    pub(super) fn disagree(&self, held: &mut Option<Lease>) {
        *held = None;
        let by = "a change that the spool could not take".to_owned();
        self.state.note(&Err(StoreError::Superseded { by }));
    }

    /// Whether it is to end, and has had time for last words.
    pub(super) fn must_stop(&self) -> bool {
        let closing = self.closing.lock().unwrap_or_else(PoisonError::into_inner);
        closing.is_some_and(|since| since.elapsed() > FINAL_MESSAGE)
    }

    /// Remembers that definitions are to be sent.
    pub(super) fn keep_definitions(&self) -> Result<(), StoreError> {
        self.recent.set_meta(KEPT, "yes")
    }

    /// Confirms that we may write, if that was not done just now.
    pub(super) fn confirm(&self) -> Result<(), StoreError> {
        let mut held = self.lease();
        match &mut *held {
            None => Err(self.state.no_right()),
            Some(lease) if lease.age() < self.timing.beat / 2 => Ok(()),
            Some(lease) => {
                let outcome = lease.renew(&self.remote);
                self.note(&mut held, outcome)
            }
        }
    }

    /// Runs until it is told to end. A panic is our own trouble: it is told, and everything is tried again.
    pub(super) fn keep_running(&self, woken: &Receiver<Wake>) {
        loop {
            let run = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| self.run(woken)));
            let is_closing = self.closing.lock().unwrap_or_else(PoisonError::into_inner).is_some();
            if run.is_ok() || is_closing {
                return;
            }
            // What it had in its hands is looked for again.
            let now = Timestamp::from_micros(self.now.load(Ordering::Relaxed));
            if let Err(error) = self.recall(now) {
                tracing::error!("what is to be sent is not known: {error}");
            }
            let reason = "what sends to it ended in a panic, and is started again".to_owned();
            self.state.note(&Err(StoreError::Server { reason }));
            pause(RETRY);
        }
    }

    fn run(&self, woken: &Receiver<Wake>) {
        let (mut last_send, mut last_compact) = (Instant::now(), None::<Instant>);
        let mut silent: Option<(i64, Instant)> = None;
        loop {
            match woken.recv_timeout(RETRY.min(self.timing.beat).min(self.timing.send)) {
                Ok(Wake::News) | Err(RecvTimeoutError::Timeout) => {}
                Ok(Wake::Close) | Err(RecvTimeoutError::Disconnected) => return self.final_message(),
            }
            self.state.set_given_up(self.recent.given_up());
            if self.state.is_lost() {
                continue;
            }
            let has_lease = self.lease().is_some();
            if !has_lease {
                let outcome = self.attach_again(&mut silent);
                if outcome.is_err() {
                    // A holder that cannot be seen may be well.
                    silent = None;
                }
                self.state.note(&outcome);
                if outcome.is_err() || self.lease().is_none() {
                    continue;
                }
            }
            let outcome = self.beat().and_then(|()| self.send_news());
            self.state.note(&outcome);
            if outcome.is_err() {
                continue;
            }
            if last_send.elapsed() >= self.timing.send {
                last_send = Instant::now();
                self.state.note_work(Work::Sending, &self.send_checks());
            }
            if !self.is_source
                && self.state.is_connected()
                && last_compact.is_none_or(|last| last.elapsed() >= super::compact::EVERY)
            {
                last_compact = Some(Instant::now());
                let now = Timestamp::from_micros(self.now.load(Ordering::Relaxed));
                self.state.note_work(Work::RollingUp, &self.compact(now));
            }
        }
    }

    fn beat(&self) -> Result<(), StoreError> {
        let mut held = self.lease();
        let is_away = !self.state.is_connected();
        match &mut *held {
            Some(lease) if is_away || lease.age() >= self.timing.beat => {
                let outcome = lease.renew(&self.remote);
                self.note(&mut held, outcome)
            }
            _ => Ok(()),
        }
    }

    /// Sends events, then how far their consumers are, and what else is small.
    pub(super) fn send_news(&self) -> Result<(), StoreError> {
        if self.has_kept()? {
            let mut held = self.lease();
            if let Some(lease) = &mut *held {
                let outcome = self.send_kept_definitions(lease);
                self.note(&mut held, outcome)?;
            }
        }
        loop {
            // Read under the lease, so that a monitor that is being removed does not come back with its last change.
            let mut held = self.lease();
            let sent = self.recent.cursor(SENDER)?;
            let page = self.recent.events_after(sent, PAGE)?;
            let (mut operations, mut last, mut bytes) = (Vec::new(), None, 0);
            for (number, event) in &page {
                let document = documents::event(*number, event)?;
                bytes += mongodb::bson::serialize_to_vec(&document).map_or(0, |bytes| bytes.len());
                if last.is_some() && bytes > COMMIT_BYTES {
                    break;
                }
                operations.push(Operation::Event(document));
                last = Some(*number);
            }
            let Some(last) = last else { break };
            self.commit(&mut held, Some(last), |_| Ok(operations))?;
            self.recent.commit(Commit { events: &[], cursor: Some((SENDER, last)) })?;
        }
        let (metas, cursors) = {
            let mut unsent = self.unsent();
            (std::mem::take(&mut unsent.metas), std::mem::take(&mut unsent.cursors))
        };
        let mut operations = Vec::new();
        for (key, value) in &metas {
            operations.push(Operation::Set(META, doc! { "_id": key, "value": value }));
        }
        for consumer in cursors.iter().filter(|consumer| *consumer != SENDER) {
            let sequence = i64::try_from(self.recent.cursor(consumer)?).unwrap_or(i64::MAX);
            operations.push(Operation::Set(CURSORS, doc! { "_id": consumer, "sequence": sequence }));
        }
        if operations.is_empty() {
            return Ok(());
        }
        let outcome = self.commit(&mut self.lease(), None, |_| Ok(operations));
        if outcome.is_err() {
            let mut unsent = self.unsent();
            for (key, value) in metas {
                unsent.metas.entry(key).or_insert(value);
            }
            unsent.cursors.extend(cursors);
        }
        outcome
    }

    /// Sends everything, as far as it goes.
    pub(super) fn send_all(&self, now: Timestamp) -> Result<(), StoreError> {
        self.confirm()?;
        self.send_news()?;
        self.send_checks()?;
        self.compact(now)
    }

    fn final_message(&self) {
        if self.state.is_lost() || !self.state.is_connected() || self.lease().is_none() {
            return;
        }
        let outcome = self.send_news().and_then(|()| self.send_checks());
        if let Err(error) = outcome {
            tracing::warn!(
                "not everything was sent to MongoDB; the spool has it for the next start: {error}"
            );
            return;
        }
        if let Some(lease) = self.lease().take()
            && let Err(error) = lease.release(&self.remote)
        {
            tracing::debug!("the lease was not given back: {error}");
        }
    }
}

pub(super) fn pause(time: Duration) {
    // A timer that nothing else is heard of.
    crossbeam_channel::after(time).recv().ok();
}

/// Small things that are not sent yet.
pub(super) type Names = BTreeSet<String>;

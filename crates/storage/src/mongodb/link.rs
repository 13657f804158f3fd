//! The thread between spool and MongoDB, and what it shares with the store.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError};
use mongodb::bson::doc;
use tokio::time::Instant;
use wise_core::{ManagedBy, MonitorDefinition, Timestamp, Transition};

use super::documents;
use super::lease::{Asked, Before, Lease, Operation, ask, random_id};
use super::remote::Remote;
use super::schema::{CURSORS, META, MONITORS, SPOOLS, TRANSITIONS, number, prepare};
use super::send::Unsent;
use super::state::RemoteState;
use super::{MongoOptions, Timing};
use crate::error::StoreError;
use crate::ports::{DefinitionStore, MainRecord};
use crate::retention::Retention;
use crate::rollup::MICROS_A_DAY;
use crate::sqlite::SqliteStore;

/// Settings of the spool alone begin with this.
const OWN: &str = "mongodb_";
/// Id of the spool.
const SPOOL: &str = "mongodb_spool";
/// Id of the store that the spool belongs to.
const STORE: &str = "mongodb_store";
/// Changes of definitions that the copy has.
const CHANGES: &str = "mongodb_changes";
/// Whether definitions were changed while MongoDB was away.
const KEPT: &str = "mongodb_kept_definitions";
/// The fence under which spool and MongoDB agreed last.
const FENCE: &str = "mongodb_fence";
/// The day on which the spool was begun, counted from 1970.
const BEGAN: &str = "mongodb_began";
/// The last day that others have sent checks of, as far as is known.
const OTHERS: &str = "mongodb_others_until";
/// What is left to be sent when it is to end may take this long.
const LAST_WORDS: Duration = Duration::from_secs(20);
/// The reader of transitions that sends them.
pub(super) const SENDER: &str = "mongodb";
/// Transitions in one commit.
const PAGE: usize = 200;
/// Bytes of one commit: it has to fit into the document of the writer.
const COMMIT_BYTES: usize = 4 << 20;
/// How often somebody who waits looks for signs of life.
const LOOK: Duration = Duration::from_secs(2);
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
    pub near: SqliteStore,
    pub remote: Remote,
    pub state: Arc<RemoteState>,
    pub spool: String,
    pub retention: Retention,
    pub timing: Timing,
    name: String,
    right: Mutex<Option<Lease>>,
    unsent: Mutex<Unsent>,
    /// The time, as house-keeping was told last, in microseconds.
    pub now: AtomicI64,
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
        let MongoOptions { url, spool, retention, name, timing } = options;
        let remote = Remote::new(&url, timing.patience)?;
        let hold_from = spool.hold_from.clone();
        let near = SqliteStore::open(&spool, now)?;
        let id = match near.meta(SPOOL)? {
            Some(id) => id,
            None if near.monitors()?.is_empty() => {
                let id = random_id()?;
                near.set_meta(BEGAN, &now.as_micros().div_euclid(MICROS_A_DAY).to_string())?;
                near.set_meta(SPOOL, &id)?;
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
            Ok(near.meta(key)?.and_then(|text| text.parse().ok()))
        };
        let (began, others) = (whole(BEGAN)?.unwrap_or(i64::MIN), whole(OTHERS)?.unwrap_or(i64::MIN));
        let link = Self {
            near,
            remote,
            state: Arc::default(),
            spool: id,
            retention,
            timing,
            name,
            right: Mutex::default(),
            unsent: Mutex::default(),
            now: AtomicI64::new(now.as_micros()),
            began,
            closing: Mutex::default(),
            others_until: AtomicI64::new(others),
            hold_from,
        };
        link.recall(now)?;
        link.first_attach(wait)?;
        Ok(link)
    }

    /// Gets the right to write, or goes on without when MongoDB is away.
    fn first_attach(&self, wait: &mut dyn FnMut(&str) -> bool) -> Result<(), StoreError> {
        let mut seen: Option<(i64, Instant)> = None;
        loop {
            let stale = seen.filter(|(_, since)| since.elapsed() >= self.timing.expiry).map(|(beat, _)| beat);
            match ask(&self.remote, &self.spool, &self.name, stale) {
                Ok(Asked::Granted(lease, before)) => {
                    return match self.attach(lease, &before, false) {
                        // It went away meanwhile: the rest is done when it is there again.
                        Err(error @ StoreError::Away { .. }) => {
                            self.state.note(&Err(error));
                            Ok(())
                        }
                        other => other,
                    };
                }
                Ok(Asked::Held { name, beat }) => {
                    if seen.is_none_or(|(known, _)| known != beat) {
                        seen = Some((beat, Instant::now()));
                    }
                    if !wait(&name) {
                        return Err(StoreError::Superseded { by: name });
                    }
                    pause(LOOK.min(self.timing.expiry / 4));
                }
                // The one that has the store may be well, and we do not see it: waiting goes on.
                Err(StoreError::Away { reason }) if seen.is_some() => {
                    tracing::warn!("MongoDB cannot be reached while waiting: {reason}");
                    if !wait("a process that cannot be seen now") {
                        return Err(StoreError::Away { reason });
                    }
                    seen = Some((i64::MIN, Instant::now()));
                    pause(LOOK.min(self.timing.expiry / 4));
                }
                Err(error @ StoreError::Away { .. }) => {
                    self.state.note(&Err(error));
                    return Ok(());
                }
                // With a copy of everything at hand, a login that is refused is no reason not to watch.
                Err(error @ StoreError::Server { .. }) if self.near.meta(STORE)?.is_some() => {
                    self.state.note(&Err(error));
                    return Ok(());
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Makes spool and MongoDB agree. A process that `is_running` cannot be given other definitions: it has to begin anew.
    fn attach(&self, mut lease: Lease, before: &Before, is_running: bool) -> Result<(), StoreError> {
        match self.near.meta(STORE)? {
            None => self.near.set_meta(STORE, &before.store)?,
            Some(known) if known == before.store => {}
            Some(_) => {
                return Err(StoreError::Server {
                    reason: "the database is not the one that the spool belongs to: check storage.url, or restore the \
                             database; to begin with an empty one, move the folder of storage.spool away"
                        .to_owned(),
                });
            }
        }
        prepare(&self.remote, &self.retention)?;
        lease.renew(&self.remote)?;
        // Nobody else has had the right since, and what we had begun with it we have ended.
        let was_us = self.near.meta(FENCE)? == Some(before.fence.to_string());
        let sent = self.near.cursor(SENDER)?;
        let theirs = self.news(sent, &mut lease)?;
        let base = self.near.meta(CHANGES)?.and_then(|text| text.parse::<i64>().ok()).unwrap_or(0);
        let has_changed = base != before.changes;
        let own = self.near.transitions_after(sent, usize::MAX)?;
        let is_own = |one: &(u64, Transition)| own.iter().any(|other| is_same(one, other));
        if is_running && (has_changed || !theirs.iter().all(is_own)) {
            return Err(StoreError::Superseded {
                by: "another process, while MongoDB could not be reached".to_owned(),
            });
        }
        if !is_running {
            if has_changed {
                let mut all = self.their_monitors()?;
                // What a file has added meanwhile is not there yet, and keeps what was seen of it.
                if self.has_kept()? {
                    let known: BTreeSet<_> = all.iter().map(|one| one.id).collect();
                    let ours = self.near.monitors()?.into_iter();
                    all.extend(ours.filter(|one| is_of_a_file(one) && !known.contains(&one.id)));
                }
                self.near.take_over_monitors(&all)?;
            }
            self.near.take_over_transitions(SENDER, sent, &theirs, before.sequence)?;
            if !was_us {
                self.take_over_small_things(before)?;
            }
        }
        let mut unsent = self.unsent();
        for (key, value) in self.near.all_meta()? {
            if is_shared(&key) {
                unsent.metas.insert(key, value);
            }
        }
        unsent.cursors.extend(self.near.cursors()?.into_iter().map(|(consumer, _)| consumer));
        drop(unsent);
        let others = self.remote.find(SPOOLS, doc! { "_id": { "$ne": &self.spool } }, doc! {})?;
        let last = others.iter().filter_map(|spool| spool.get("last_day").and_then(number)).max();
        self.others_until.store(last.unwrap_or(i64::MIN), Ordering::Relaxed);
        self.near.set_meta(OTHERS, &last.unwrap_or(i64::MIN).to_string())?;
        if self.has_kept()? {
            self.send_kept_definitions(&mut lease)?;
        }
        self.near.set_meta(CHANGES, &lease.changes.to_string())?;
        self.near.set_meta(FENCE, &lease.fence.to_string())?;
        *self.right() = Some(lease);
        self.state.note(&Ok(()));
        Ok(())
    }

    fn take_over_small_things(&self, before: &Before) -> Result<(), StoreError> {
        for meta in self.remote.find(META, doc! {}, doc! {})? {
            if let (Ok(key), Ok(value)) = (meta.get_str("_id"), meta.get_str("value")) {
                self.near.set_meta(key, value)?;
            }
        }
        for cursor in self.remote.find(CURSORS, doc! {}, doc! {})? {
            let sequence = cursor.get("sequence").and_then(number).and_then(|n| u64::try_from(n).ok());
            if let (Ok(consumer), Some(sequence)) = (cursor.get_str("_id"), sequence) {
                self.near.advance_cursor(consumer, sequence)?;
            }
        }
        // Since then nobody has watched.
        if before.renewed > Timestamp::default() && before.sequence > 0 {
            self.near.set_meta("alive", &before.renewed.to_string())?;
        }
        Ok(())
    }

    fn their_monitors(&self) -> Result<Vec<MonitorDefinition>, StoreError> {
        let mut found = Vec::new();
        self.remote.each(MONITORS, doc! {}, (doc! { "_id": 1 }, None), |document| {
            found.extend(documents::read_monitor(&document)?);
            Ok(())
        })?;
        Ok(found)
    }

    /// Transitions in MongoDB above a number. There may be many: signs of life are shown meanwhile.
    fn news(&self, after: u64, lease: &mut Lease) -> Result<Vec<(u64, Transition)>, StoreError> {
        let after = i64::try_from(after).unwrap_or(i64::MAX);
        let mut found = Vec::new();
        self.remote.each(
            TRANSITIONS,
            doc! { "_id": { "$gt": after } },
            (doc! { "_id": 1 }, None),
            |document| {
                found.push(documents::read_transition(document)?);
                if lease.age() >= self.timing.beat { lease.renew(&self.remote) } else { Ok(()) }
            },
        )?;
        Ok(found)
    }

    /// Sends what files have changed while MongoDB was away.
    fn send_kept_definitions(&self, lease: &mut Lease) -> Result<(), StoreError> {
        let theirs: BTreeMap<_, _> = self.their_monitors()?.into_iter().map(|one| (one.id, one)).collect();
        let ours: BTreeMap<_, _> = self.near.monitors()?.into_iter().map(|one| (one.id, one)).collect();
        for gone in theirs.values().filter(|one| is_of_a_file(one) && !ours.contains_key(&one.id)) {
            let tombstone = documents::tombstone(gone.id, lease.changes + 1);
            let operations = [Operation::Monitor(tombstone), Operation::Forget(gone.id.to_string())];
            lease.commit(&self.remote, &operations, None)?;
        }
        for one in ours.values().filter(|one| theirs.get(&one.id) != Some(one)) {
            let document = documents::monitor(one, lease.changes + 1)?;
            lease.commit(&self.remote, &[Operation::Monitor(document)], None)?;
        }
        self.near.set_meta(CHANGES, &lease.changes.to_string())?;
        self.near.set_meta(KEPT, "no")
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The right to write, if there is one. Whoever holds it is the only one who changes definitions.
    pub(super) fn right(&self) -> MutexGuard<'_, Option<Lease>> {
        self.right.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn unsent(&self) -> MutexGuard<'_, Unsent> {
        self.unsent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Commits what `operations` makes.
    pub(super) fn commit(
        &self,
        right: &mut Option<Lease>,
        sequence: Option<u64>,
        operations: impl FnOnce(&Lease) -> Result<Vec<Operation>, StoreError>,
    ) -> Result<(), StoreError> {
        // Whoever asks must not wait for a server that is known not to answer.
        let Some(lease) = right.as_mut().filter(|_| self.state.is_connected()) else {
            return Err(self.state.no_right());
        };
        let operations = operations(lease)?;
        let outcome = lease.commit(&self.remote, &operations, sequence);
        self.note(right, outcome)
    }

    /// Notes how a call went; one that shows that the right is lost takes it.
    fn note(&self, right: &mut Option<Lease>, outcome: Result<(), StoreError>) -> Result<(), StoreError> {
        if let Err(StoreError::Superseded { .. }) = &outcome {
            *right = None;
        }
        self.state.note(&outcome);
        outcome
    }

    /// Remembers how far the copy of the definitions is.
    pub(super) fn note_changes(&self, right: &Option<Lease>) -> Result<(), StoreError> {
        match right {
            Some(lease) => self.near.set_meta(CHANGES, &lease.changes.to_string()),
            None => Ok(()),
        }
    }

    /// Whether definitions are to be sent.
    fn has_kept(&self) -> Result<bool, StoreError> {
        Ok(self.near.meta(KEPT)?.as_deref() == Some("yes"))
    }

    /// What is in MongoDB is not what is here: this process has to begin anew.
    pub(super) fn disagree(&self, right: &mut Option<Lease>) {
        *right = None;
        let by = "a change that the spool could not take".to_owned();
        self.state.note(&Err(StoreError::Superseded { by }));
    }

    /// Whether it is to end, and has had time for last words.
    pub(super) fn must_stop(&self) -> bool {
        let closing = self.closing.lock().unwrap_or_else(PoisonError::into_inner);
        closing.is_some_and(|since| since.elapsed() > LAST_WORDS)
    }

    /// Remembers that definitions are to be sent.
    pub(super) fn keep_definitions(&self) -> Result<(), StoreError> {
        self.near.set_meta(KEPT, "yes")
    }

    /// Confirms that we may write, if that was not done just now.
    pub(super) fn confirm(&self) -> Result<(), StoreError> {
        let mut right = self.right();
        match &mut *right {
            None => Err(self.state.no_right()),
            Some(lease) if lease.age() < self.timing.beat / 2 => Ok(()),
            Some(lease) => {
                let outcome = lease.renew(&self.remote);
                self.note(&mut right, outcome)
            }
        }
    }

    /// Runs until it is told to end. A panic is our own trouble: it is told, and everything is tried again.
    pub(super) fn keep_running(&self, woken: &Receiver<Wake>) {
        loop {
            let run = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| self.run(woken)));
            if run.is_ok() {
                return;
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
                Ok(Wake::Close) | Err(RecvTimeoutError::Disconnected) => return self.last_words(),
            }
            self.state.set_given_up(self.near.given_up());
            if self.state.is_lost() {
                continue;
            }
            let has_right = self.right().is_some();
            if !has_right {
                let outcome = self.attach_again(&mut silent);
                if outcome.is_err() {
                    // A holder that cannot be seen may be well.
                    silent = None;
                }
                self.state.note(&outcome);
                if outcome.is_err() || self.right().is_none() {
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
                self.state.note_work(&self.send_checks());
            }
            if self.state.is_connected()
                && last_compact.is_none_or(|last| last.elapsed() >= super::compact::EVERY)
            {
                last_compact = Some(Instant::now());
                self.state.note_work(&self.compact(Timestamp::from_micros(self.now.load(Ordering::Relaxed))));
            }
        }
    }

    /// MongoDB was away when we began: tries again.
    fn attach_again(&self, silent: &mut Option<(i64, Instant)>) -> Result<(), StoreError> {
        let stale = silent.filter(|(_, since)| since.elapsed() >= self.timing.expiry).map(|(beat, _)| beat);
        match ask(&self.remote, &self.spool, &self.name, stale)? {
            Asked::Granted(lease, before) => self.attach(lease, &before, true),
            Asked::Held { name, beat } => match *silent {
                None => {
                    *silent = Some((beat, Instant::now()));
                    Ok(())
                }
                Some((known, _)) if known == beat => Ok(()),
                // It is alive, and we are one too many.
                Some(_) => Err(StoreError::Superseded { by: name }),
            },
        }
    }

    fn beat(&self) -> Result<(), StoreError> {
        let mut right = self.right();
        let is_away = !self.state.is_connected();
        match &mut *right {
            Some(lease) if is_away || lease.age() >= self.timing.beat => {
                let outcome = lease.renew(&self.remote);
                self.note(&mut right, outcome)
            }
            _ => Ok(()),
        }
    }

    /// Sends transitions, then how far their readers are, and what else is small.
    pub(super) fn send_news(&self) -> Result<(), StoreError> {
        if self.has_kept()? {
            let mut right = self.right();
            if let Some(lease) = &mut *right {
                let outcome = self.send_kept_definitions(lease);
                self.note(&mut right, outcome)?;
            }
        }
        loop {
            // Read under the right, so that a monitor that is being removed does not come back with its last change.
            let mut right = self.right();
            let sent = self.near.cursor(SENDER)?;
            let page = self.near.transitions_after(sent, PAGE)?;
            let (mut operations, mut last, mut bytes) = (Vec::new(), None, 0);
            for (number, transition) in &page {
                let document = documents::transition(*number, transition)?;
                bytes += mongodb::bson::serialize_to_vec(&document).map_or(0, |bytes| bytes.len());
                if last.is_some() && bytes > COMMIT_BYTES {
                    break;
                }
                operations.push(Operation::Transition(document));
                last = Some(*number);
            }
            let Some(last) = last else { break };
            self.commit(&mut right, Some(last), |_| Ok(operations))?;
            self.near.advance_cursor(SENDER, last)?;
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
            let sequence = i64::try_from(self.near.cursor(consumer)?).unwrap_or(i64::MAX);
            operations.push(Operation::Set(CURSORS, doc! { "_id": consumer, "sequence": sequence }));
        }
        if operations.is_empty() {
            return Ok(());
        }
        let outcome = self.commit(&mut self.right(), None, |_| Ok(operations));
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

    fn last_words(&self) {
        if self.state.is_lost() || !self.state.is_connected() || self.right().is_none() {
            return;
        }
        let outcome = self.send_news().and_then(|()| self.send_checks());
        if let Err(error) = outcome {
            tracing::warn!(
                "not everything was sent to MongoDB; the spool has it for the next start: {error}"
            );
            return;
        }
        if let Some(lease) = self.right().take()
            && let Err(error) = lease.release(&self.remote)
        {
            tracing::debug!("the right to write was not given back: {error}");
        }
    }
}

fn pause(time: Duration) {
    // A timer that nothing else is heard of.
    crossbeam_channel::after(time).recv().ok();
}

fn is_of_a_file(one: &MonitorDefinition) -> bool {
    matches!(one.managed_by, ManagedBy::File(_))
}

/// Whether two transitions with numbers are one, written twice.
pub(crate) fn is_same((number, one): &(u64, Transition), (other_number, other): &(u64, Transition)) -> bool {
    number == other_number && (one.monitor, one.time, one.to) == (other.monitor, other.time, other.to)
}

/// Small things that are not sent yet.
pub(super) type Names = BTreeSet<String>;

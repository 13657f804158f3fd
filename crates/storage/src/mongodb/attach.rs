//! Getting the lease, and making spool and MongoDB agree.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;
use std::time::Duration;

use mongodb::bson::doc;
use tokio::time::Instant;
use wise_core::{Event, ManagedBy, MonitorDefinition, MonitorId, Timestamp};

use super::documents::{self, Found};
use super::lease::{Asked, Before, Lease, Operation, ask};
use super::link::{CHANGES, FENCE, KEPT, Link, OTHERS, SENDER, STORE, is_shared, pause};
use super::schema::{CURSORS, EVENTS, META, MONITORS, SPOOLS, number, prepare};
use crate::error::StoreError;
use crate::ports::{Commit, DefinitionStore, MainRecord};

/// How often someone who waits looks for signs of life.
const LOOK: Duration = Duration::from_secs(2);

impl Link {
    /// Gets the lease, or goes on without when MongoDB is away.
    pub(super) fn first_attach(&self, wait: &mut dyn FnMut(&str) -> bool) -> Result<(), StoreError> {
        let mut seen: Option<(i64, Instant)> = None;
        loop {
            let stale = seen.filter(|(_, since)| since.elapsed() >= self.timing.expiry).map(|(beat, _)| beat);
            match ask(&self.remote, &self.spool, self.name(), stale) {
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
                Err(error @ (StoreError::Server { .. } | StoreError::Forbidden { .. }))
                    if self.recent.meta(STORE)?.is_some() =>
                {
                    self.state.note(&Err(error));
                    return Ok(());
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Makes spool and MongoDB agree, and keeps the lease. A process that `is_running` cannot be given other
    /// definitions: it has to begin again.
    fn attach(&self, mut lease: Lease, before: &Before, is_running: bool) -> Result<(), StoreError> {
        match self.agree(&mut lease, before, is_running) {
            Ok(()) => {
                *self.lease() = Some(lease);
                self.state.note(&Ok(()));
                Ok(())
            }
            Err(error @ (StoreError::Away { .. } | StoreError::Superseded { .. })) => Err(error),
            Err(error) => {
                // Our own trouble, such as a full disk, must not keep another process from watching.
                if let Err(error) = lease.release(&self.remote) {
                    tracing::debug!("the lease was not given back: {error}");
                }
                Err(error)
            }
        }
    }

    fn agree(&self, lease: &mut Lease, before: &Before, is_running: bool) -> Result<(), StoreError> {
        match self.recent.meta(STORE)? {
            None => self.recent.set_meta(STORE, &before.store)?,
            Some(known) if known == before.store => {}
            Some(_) => {
                return Err(StoreError::Server {
                    reason: format!(
                        "the database is not the one that the spool in {} belongs to: check storage.url, or restore the \
                         database; to begin with an empty one, move that folder away",
                        self.folder.display()
                    ),
                });
            }
        }
        if !self.is_source {
            prepare(&self.remote, &self.retention)?;
        }
        lease.renew(&self.remote)?;
        self.agree_on_sources()?;
        // No one else has had the lease since, and what we had begun with it we have ended.
        let was_us = self.recent.meta(FENCE)? == Some(before.fence.to_string());
        if was_us {
            self.recent.set_meta(FENCE, &lease.fence.to_string())?;
        }
        let sent = self.recent.cursor(SENDER)?;
        let theirs = self.news(sent, lease)?;
        let base = self.recent.meta(CHANGES)?.and_then(|text| text.parse::<i64>().ok()).unwrap_or(0);
        let has_changed = base != before.changes;
        let own = self.recent.events_after(sent, usize::MAX)?;
        let is_own = |one: &(u64, Event)| own.iter().any(|other| is_same(one, other));
        if is_running && (has_changed || !theirs.iter().all(is_own)) {
            return Err(StoreError::Superseded {
                by: "another process, while MongoDB could not be reached".to_owned(),
            });
        }
        if !is_running {
            if has_changed {
                let (mut all, removed) = self.their_monitors()?;
                // What a file has added meanwhile is not there yet, and keeps what was seen of it.
                if self.has_kept()? {
                    let known: BTreeSet<_> = all.iter().map(|one| one.id).collect();
                    // Of a name that someone has taken meanwhile the file has to be told.
                    let names: BTreeSet<String> = all.iter().map(|one| one.spec.name.clone()).collect();
                    let ours = self.recent.monitors()?.into_iter();
                    all.extend(ours.filter(|one| {
                        is_of_a_file(one) && !known.contains(&one.id) && !names.contains(&one.spec.name)
                    }));
                }
                self.recent.take_over_monitors(&all, &removed)?;
            }
            self.recent.take_over_events(SENDER, sent, &theirs, before.sequence)?;
            if !was_us {
                self.take_over_small_things(before)?;
            }
        }
        let mut unsent = self.unsent();
        for (key, value) in self.recent.all_meta()? {
            if is_shared(&key) {
                unsent.metas.insert(key, value);
            }
        }
        unsent.cursors.extend(self.recent.cursors()?.into_iter().map(|(consumer, _)| consumer));
        drop(unsent);
        let others = self.remote.find(SPOOLS, doc! { "_id": { "$ne": &self.spool } }, doc! {})?;
        let last = others.iter().filter_map(|spool| spool.get("last_day").and_then(number)).max();
        self.others_until.store(last.unwrap_or(i64::MIN), Ordering::Relaxed);
        self.recent.set_meta(OTHERS, &last.unwrap_or(i64::MIN).to_string())?;
        if self.has_kept()? {
            self.send_kept_definitions(lease)?;
        }
        self.recent.set_meta(CHANGES, &lease.changes.to_string())?;
        self.recent.set_meta(FENCE, &lease.fence.to_string())
    }

    fn take_over_small_things(&self, before: &Before) -> Result<(), StoreError> {
        for meta in self.remote.find(META, doc! {}, doc! {})? {
            if let (Ok(key), Ok(value)) = (meta.get_str("_id"), meta.get_str("value")) {
                self.recent.set_meta(key, value)?;
            }
        }
        for cursor in self.remote.find(CURSORS, doc! {}, doc! {})? {
            let sequence = cursor.get("sequence").and_then(number).and_then(|n| u64::try_from(n).ok());
            if let (Ok(consumer), Some(sequence)) = (cursor.get_str("_id"), sequence) {
                self.recent.commit(Commit { events: &[], cursor: Some((consumer, sequence)) })?;
            }
        }
        // Since then no one has watched.
        if before.renewed > Timestamp::default() && before.sequence > 0 {
            self.recent.set_meta("alive", &before.renewed.to_string())?;
        }
        Ok(())
    }

    /// The definitions that MongoDB has: in force, and removed.
    fn their_monitors(&self) -> Result<(Vec<MonitorDefinition>, Removed), StoreError> {
        let (mut found, mut removed) = (Vec::new(), Vec::new());
        self.remote.each(MONITORS, doc! {}, (doc! { "_id": 1 }, None), |document| {
            match documents::read_monitor(&document)? {
                Found::InForce(one) => found.push(one),
                Found::Removed(one, at) => removed.push((one, at)),
                Found::Purged => {}
            }
            Ok(())
        })?;
        Ok((found, removed))
    }

    /// Events in MongoDB above a number. There may be many: signs of life are shown meanwhile.
    fn news(&self, after: u64, lease: &mut Lease) -> Result<Vec<(u64, Event)>, StoreError> {
        let after = i64::try_from(after).unwrap_or(i64::MAX);
        let mut found = Vec::new();
        self.remote.each(
            EVENTS,
            doc! { "_id": { "$gt": after } },
            (doc! { "_id": 1 }, None),
            |document| {
                found.push(documents::read_event(document)?);
                if lease.age() >= self.timing.beat { lease.renew(&self.remote) } else { Ok(()) }
            },
        )?;
        Ok(found)
    }

    /// Sends what files have changed while MongoDB was away.
    pub(super) fn send_kept_definitions(&self, lease: &mut Lease) -> Result<(), StoreError> {
        let (theirs, _) = self.their_monitors()?;
        let theirs: BTreeMap<_, _> = theirs.into_iter().map(|one| (one.id, one)).collect();
        let ours: BTreeMap<_, _> = self.recent.monitors()?.into_iter().map(|one| (one.id, one)).collect();
        let removed = self.recent.removed_monitors()?;
        for gone in theirs.values().filter(|one| is_of_a_file(one) && !ours.contains_key(&one.id)) {
            let at = removed.iter().find(|(one, _)| one.id == gone.id).map(|(_, at)| *at);
            let operations = match at {
                Some(at) => vec![Operation::Monitor(documents::removed(gone, at, lease.changes + 1)?)],
                None => purge(gone.id, lease),
            };
            lease.commit(&self.remote, &operations, None)?;
        }
        for one in ours.values().filter(|one| theirs.get(&one.id) != Some(one)) {
            let document = documents::monitor(one, lease.changes + 1)?;
            lease.commit(&self.remote, &[Operation::Monitor(document)], None)?;
        }
        self.recent.set_meta(CHANGES, &lease.changes.to_string())?;
        self.recent.set_meta(KEPT, "no")
    }

    /// MongoDB was away when we began: tries again.
    pub(super) fn attach_again(&self, silent: &mut Option<(i64, Instant)>) -> Result<(), StoreError> {
        let stale = silent.filter(|(_, since)| since.elapsed() >= self.timing.expiry).map(|(beat, _)| beat);
        match ask(&self.remote, &self.spool, self.name(), stale)? {
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
}

/// Definitions that were removed, and when.
type Removed = Vec<(MonitorDefinition, Timestamp)>;

/// What makes MongoDB forget a monitor for good.
pub(super) fn purge(id: MonitorId, lease: &Lease) -> Vec<Operation> {
    let tombstone = documents::tombstone(id, lease.changes + 1);
    vec![Operation::Monitor(tombstone), Operation::Forget(id.to_string())]
}

fn is_of_a_file(one: &MonitorDefinition) -> bool {
    matches!(one.managed_by, ManagedBy::File(_))
}

/// Whether two events with numbers are one, written twice.
fn is_same((number, one): &(u64, Event), (other_number, other): &(u64, Event)) -> bool {
    number == other_number && one.is_same(other)
}

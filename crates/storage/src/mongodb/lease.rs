//! Who may write: one process at a time, with a number that makes the writes of an earlier one fail.
//!
//! All that must not be written by two is written through the one document of the collection `writer`. A commit puts its
//! operations there on condition that the fence is still ours, which one update does or does not do as a whole, also
//! without transactions, and then carries them out. They can be carried out twice with the same outcome, so a new holder
//! completes what the last one has left, and a late one changes nothing any more.
//!
//! No clocks are compared: a holder shows signs of life by counting up `beat`, and anyone who waits takes over when it has
//! stood still for a while by its own clock.

use std::time::Duration;

use mongodb::bson::{Bson, DateTime, Document, doc};
use mongodb::options::ReturnDocument;
use tokio::time::Instant;
use wise_core::Timestamp;

use super::remote::Remote;
use super::schema::{EVENTS, FORMAT, MONITORS, WRITER, create_writer};
use crate::error::StoreError;

/// Without a sign of life for so long, one is shown in the middle of a commit.
const LONG: Duration = Duration::from_secs(3);
/// The writer's document.
const ID: &str = "writer";
/// Collections that have documents of a monitor.
const HISTORY: [&str; 6] = ["events", "chunks", "results", "rollups_5m", "rollups_1h", "rollups_1d"];

/// One operation of a commit.
#[derive(Clone, Debug)]
pub(super) enum Operation {
    /// Stores a definition, or what is left of one.
    Monitor(Document),
    /// Adds an event.
    Event(Document),
    /// Stores a document of another collection.
    Set(&'static str, Document),
    /// Removes all but the definition of a monitor.
    Forget(String),
}

impl Operation {
    fn document(&self) -> Document {
        match self {
            Self::Monitor(document) => doc! { "in": MONITORS, "put": document },
            Self::Event(document) => doc! { "in": EVENTS, "put": document },
            Self::Set(collection, document) => doc! { "in": *collection, "put": document },
            Self::Forget(monitor) => doc! { "forget": monitor },
        }
    }

    /// Bytes of its document.
    pub(super) fn size(&self) -> usize {
        mongodb::bson::serialize_to_vec(&self.document()).map_or(0, |bytes| bytes.len())
    }

    fn changes_definitions(&self) -> bool {
        matches!(self, Self::Monitor(_))
    }
}

/// The lease.
#[derive(Debug)]
pub(super) struct Lease {
    spool: String,
    pub fence: i64,
    /// Changes of definitions so far.
    pub changes: i64,
    /// A commit that was made and may not have been carried out.
    left: Vec<Document>,
    renewed: Instant,
}

/// What came of asking for the lease.
#[derive(Debug)]
pub(super) enum Asked {
    /// It is ours.
    Granted(Lease, Before),
    /// Another process has it.
    Held {
        /// Its name.
        name: String,
        /// Its last sign of life.
        beat: i64,
    },
}

/// How the last holder left things.
#[derive(Clone, Debug)]
pub(super) struct Before {
    /// Id of the store.
    pub store: String,
    /// The fence of the last holder.
    pub fence: i64,
    /// When it last showed a sign of life.
    pub renewed: Timestamp,
    /// Changes of definitions so far.
    pub changes: i64,
    /// Number of the last event.
    pub sequence: u64,
}

/// Asks for the lease, once. `stale` is the sign of life of a holder that has been silent for too long.
///
/// # Errors
/// The server is away, or its documents are of a newer version.
pub(super) fn ask(remote: &Remote, spool: &str, name: &str, stale: Option<i64>) -> Result<Asked, StoreError> {
    let writer = remote.collection(WRITER)?;
    let found = remote.run(async { writer.find_one(doc! { "_id": ID }).await })?;
    let Some(found) = found else {
        // With its validator at once: to change it takes rights that writing does not.
        create_writer(remote)?;
        let first = doc! {
            "_id": ID, "format": FORMAT, "store": random_id()?, "fence": 0_i64, "beat": 0_i64,
            "renewed": DateTime::now(), "changes": 0_i64, "sequence": 0_i64, "pending": [],
        };
        // Another may be quicker: then its document is found at the next turn.
        checked(WRITER, remote.insert(WRITER, vec![first])?)?;
        return ask(remote, spool, name, stale);
    };
    let format = whole(&found, "format");
    if format > FORMAT {
        return Err(StoreError::TooNew { path: "the store in MongoDB".into(), found: format, known: FORMAT });
    }
    let (fence, beat) = (whole(&found, "fence"), whole(&found, "beat"));
    let holder = found.get_str("holder").ok();
    let is_free = holder.is_none_or(|holder| holder == spool) || stale == Some(beat);
    if !is_free {
        let name = found.get_str("name").unwrap_or("another process").to_owned();
        return Ok(Asked::Held { name, beat });
    }
    let taken = remote.run(async {
        writer
            .find_one_and_update(
                doc! { "_id": ID, "fence": fence, "beat": beat },
                doc! {
                    "$inc": { "fence": 1_i64, "beat": 1_i64 },
                    "$set": { "holder": spool, "name": name, "renewed": DateTime::now() },
                    // What is written from now on an older program may not understand.
                    "$max": { "format": FORMAT },
                },
            )
            .return_document(ReturnDocument::After)
            .await
    })?;
    let Some(taken) = taken else { return ask(remote, spool, name, None) };
    let before = Before {
        store: found.get_str("store").unwrap_or_default().to_owned(),
        fence,
        renewed: time(&found, "renewed"),
        changes: whole(&taken, "changes"),
        sequence: u64::try_from(whole(&taken, "sequence")).unwrap_or(0),
    };
    let mut lease = Lease {
        spool: spool.to_owned(),
        fence: whole(&taken, "fence"),
        changes: whole(&taken, "changes"),
        left: pending(&taken),
        renewed: Instant::now(),
    };
    // What the last holder had begun is done before anybody reads. What cannot be done at all must not be tried for ever.
    match lease.complete(remote) {
        Err(
            error @ (StoreError::Server { .. }
            | StoreError::Forbidden { .. }
            | StoreError::Refused { .. }
            | StoreError::Superseded { .. }),
        ) => {
            tracing::error!("a part of the last commit cannot be carried out, and is left out: {error}");
            lease.clear(remote)?;
        }
        other => other?,
    }
    Ok(Asked::Granted(lease, before))
}

impl Lease {
    fn mine(&self) -> Document {
        doc! { "_id": ID, "fence": self.fence, "holder": &self.spool }
    }

    /// How long ago the lease was last confirmed.
    pub(super) fn age(&self) -> Duration {
        self.renewed.elapsed()
    }

    /// Shows a sign of life.
    ///
    /// # Errors
    /// The lease is lost, or the server is away.
    pub(super) fn renew(&mut self, remote: &Remote) -> Result<(), StoreError> {
        self.beat(remote)?;
        match self.complete(remote) {
            Err(
                error @ (StoreError::Server { .. }
                | StoreError::Forbidden { .. }
                | StoreError::Refused { .. }),
            ) => {
                tracing::error!("a part of a commit cannot be carried out: {error}");
                self.clear(remote)?;
                // Others have been told that it was: what is there has to be looked at again.
                Err(StoreError::Superseded { by: "a commit of our own that MongoDB did not take".to_owned() })
            }
            other => other,
        }
    }

    fn beat(&mut self, remote: &Remote) -> Result<(), StoreError> {
        self.change(remote, doc! { "$inc": { "beat": 1_i64 }, "$set": { "renewed": DateTime::now() } })
    }

    /// Forgets a commit that cannot be carried out.
    fn clear(&mut self, remote: &Remote) -> Result<(), StoreError> {
        self.left.clear();
        self.change(remote, doc! { "$inc": { "beat": 1_i64 }, "$set": { "pending": [] } })
    }

    /// Changes the writer's document if the lease is still ours.
    fn change(&mut self, remote: &Remote, update: Document) -> Result<(), StoreError> {
        let writer = remote.collection(WRITER)?;
        let found = remote.run(async {
            let change = writer.find_one_and_update(self.mine(), update);
            change.return_document(ReturnDocument::After).projection(doc! { "pending": 0 }).await
        })?;
        match found {
            None => Err(self.lost(remote)),
            // A commit whose answer was lost was made all the same: what we know is not what is there.
            Some(found) if whole(&found, "changes") != self.changes => Err(StoreError::Superseded {
                by: "an earlier change of our own, whose answer was lost".to_owned(),
            }),
            Some(_) => {
                self.renewed = Instant::now();
                Ok(())
            }
        }
    }

    fn lost(&self, remote: &Remote) -> StoreError {
        let name = remote
            .collection(WRITER)
            .and_then(|writer| remote.run(async { writer.find_one(doc! { "_id": ID }).await }));
        let name = name.ok().flatten().and_then(|found| found.get_str("name").ok().map(str::to_owned));
        StoreError::Superseded { by: name.unwrap_or_else(|| "another process".to_owned()) }
    }

    /// Commits operations, all or none, and carries them out. `sequence` is the number of their last event.
    ///
    /// # Errors
    /// The lease is lost; one of them cannot be carried out, and none was; or the server is away, and it is not known
    /// whether they were committed.
    pub(super) fn commit(
        &mut self,
        remote: &Remote,
        operations: &[Operation],
        sequence: Option<u64>,
    ) -> Result<(), StoreError> {
        self.complete(remote)?;
        let changes = operations.iter().filter(|operation| operation.changes_definitions()).count() as i64;
        let pending: Vec<Document> = operations.iter().map(Operation::document).collect();
        let mut update = doc! {
            "$inc": { "beat": 1_i64, "changes": changes },
            "$set": { "renewed": DateTime::now(), "pending": &pending },
        };
        if let Some(sequence) = sequence {
            update.insert("$max", doc! { "sequence": i64::try_from(sequence).unwrap_or(i64::MAX) });
        }
        let before = self.changes;
        self.changes += changes;
        if let Err(error) = self.change(remote, update) {
            self.changes = before;
            return Err(error);
        }
        self.left = pending;
        match self.complete(remote) {
            // It is decided: anyone who writes next carries it out first.
            Err(StoreError::Away { reason }) => {
                tracing::warn!("a commit is carried out when MongoDB is there again: {reason}");
                Ok(())
            }
            Err(
                error @ (StoreError::Server { .. }
                | StoreError::Forbidden { .. }
                | StoreError::Refused { .. }),
            ) => {
                self.clear(remote)?;
                Err(error)
            }
            other => other,
        }
    }

    /// Carries out what was committed and may not have been carried out.
    fn complete(&mut self, remote: &Remote) -> Result<(), StoreError> {
        if self.left.is_empty() {
            return Ok(());
        }
        let mut monitors = Vec::new();
        let mut events = Vec::new();
        let mut forgotten = Vec::new();
        for operation in &self.left {
            if let Ok(monitor) = operation.get_str("forget") {
                forgotten.push(monitor.to_owned());
                continue;
            }
            let document = operation.get_document("put").cloned().unwrap_or_default();
            let id = document.get("_id").cloned().unwrap_or(Bson::Null);
            match operation.get_str("in").unwrap_or_default() {
                // One that is newer stays.
                MONITORS => {
                    monitors.push(doc! { "q": { "_id": id.clone() }, "u": { "$setOnInsert": without_id(&document) }, "upsert": true });
                    let older = doc! { "_id": id, "change": { "$lt": whole(&document, "change") } };
                    monitors.push(doc! { "q": older, "u": document });
                }
                EVENTS => events.push(document),
                collection => {
                    let update = doc! { "q": { "_id": id }, "u": document, "upsert": true };
                    checked(collection, remote.update(collection, vec![update])?)?;
                }
            }
        }
        if !monitors.is_empty() {
            checked(MONITORS, remote.update_in_order(MONITORS, monitors)?)?;
        }
        for monitor in forgotten {
            for collection in HISTORY {
                // There may be much of it.
                if self.age() > LONG {
                    self.beat(remote)?;
                }
                remote.delete(collection, doc! { "monitor": &monitor })?;
            }
        }
        if !events.is_empty() {
            let refused = remote.insert(EVENTS, events.clone())?;
            if !refused.is_empty() {
                if let Some(passing) = refused.iter().find(|one| !one.is_final()) {
                    return Err(StoreError::Away { reason: passing.message.clone() });
                }
                same_or_superseded(remote, &events)?;
            }
        }
        self.left.clear();
        Ok(())
    }

    /// Gives the lease back.
    ///
    /// # Errors
    /// The server is away; others then wait until it counts as lost.
    pub(super) fn release(mut self, remote: &Remote) -> Result<(), StoreError> {
        let last = self.spool.clone();
        self.change(
            remote,
            doc! { "$inc": { "beat": 1_i64 }, "$unset": { "holder": "" }, "$set": { "last": last } },
        )
    }
}

/// What is there under the numbers of these events must be these: otherwise another has written, and we do not know
/// what. One that the server does not take is left to the spool.
fn same_or_superseded(remote: &Remote, events: &[Document]) -> Result<(), StoreError> {
    let ids: Vec<Bson> = events.iter().filter_map(|one| one.get("_id").cloned()).collect();
    let found = remote.find(EVENTS, doc! { "_id": { "$in": ids } }, doc! {})?;
    for one in events {
        match found.iter().find(|other| other.get("_id") == one.get("_id")) {
            Some(other) if other.get("identity") == one.get("identity") => {}
            Some(_) => {
                return Err(StoreError::Superseded {
                    by: "another process, which has written under our numbers".to_owned(),
                });
            }
            None => {
                tracing::error!("MongoDB does not take the event {:?}; the spool has it", one.get("_id"));
            }
        }
    }
    Ok(())
}

/// Refusals are errors, but for documents that are there already.
fn checked(collection: &str, refused: Vec<super::remote::Refused>) -> Result<(), StoreError> {
    match refused.into_iter().find(|refused| !refused.is_there()) {
        None => Ok(()),
        Some(refused) if !refused.is_final() => Err(StoreError::Away { reason: refused.message }),
        Some(refused) => Err(StoreError::Refused { reason: format!("{collection}: {}", refused.message) }),
    }
}

fn without_id(document: &Document) -> Document {
    document
        .iter()
        .filter(|(name, _)| *name != "_id")
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

fn pending(writer: &Document) -> Vec<Document> {
    let pending = writer.get_array("pending").map(Vec::as_slice).unwrap_or_default();
    pending.iter().filter_map(Bson::as_document).cloned().collect()
}

fn whole(document: &Document, field: &str) -> i64 {
    document.get(field).and_then(super::schema::number).unwrap_or(0)
}

fn time(document: &Document, field: &str) -> Timestamp {
    let millis = document.get_datetime(field).map_or(0, |time| time.timestamp_millis());
    Timestamp::from_micros(millis.saturating_mul(1000))
}

/// Sixteen hexadecimal digits that no one else has.
///
/// # Errors
/// The system gives no random numbers.
pub(super) fn random_id() -> Result<String, StoreError> {
    let number = getrandom::u64().map_err(|error| StoreError::Server {
        reason: format!("the system gives no random numbers: {error}"),
    })?;
    Ok(format!("{number:016x}"))
}

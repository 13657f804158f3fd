//! The connection: every call has a deadline, and every error says whether the server was away or has refused.

use std::future::Future;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use mongodb::bson::raw::cstr;
use mongodb::bson::{Bson, Document, RawArrayBuf, RawDocumentBuf, doc, rawdoc};
use mongodb::error::{Error, ErrorKind};
use mongodb::options::{Acknowledgment, ClientOptions, ReadPreference, SelectionCriteria, WriteConcern};
use mongodb::{Client, Collection, Database};
use tokio::runtime::Runtime;

use super::schema::number;
use crate::error::StoreError;

/// Database where the URL names none.
pub(super) const DATABASE: &str = "wise_monitoring";
/// Bytes of one command at most; the server takes 16 MB.
const COMMAND_BYTES: usize = 8 << 20;
/// Writes of one command at most: a slow server must answer before the deadline.
const COMMAND_WRITES: usize = 250;
/// Connections at most.
const POOL: u32 = 8;
/// The server's code for a key that is taken.
const DUPLICATE_KEY: i32 = 11_000;
/// A user may not do this.
const UNAUTHORIZED: i32 = 13;
/// User or password are wrong.
const AUTHENTICATION_FAILED: i32 = 18;
/// Not primary, stepped down, shutting down, timed out: the codes that drivers take for a reason to try again.
const TRY_AGAIN: [i32; 13] = [6, 7, 50, 64, 89, 91, 189, 262, 9001, 10_107, 11_600, 11_602, 13_435];
/// What is wrong with a document, and stays so: bad or unknown values, failed validation, too large, a key that is taken.
const FINAL: [i32; 9] = [2, 9, 14, 52, 121, 10_334, 11_000, 17_419, 17_420];
/// A call that may take long may take so many times as long as others.
const LONG: u32 = 12;

/// A MongoDB database.
pub(super) struct Remote {
    // Taken when dropped: a runtime may not be dropped where others run.
    runtime: Option<Runtime>,
    url: String,
    database: Mutex<Option<Database>>,
    patience: Duration,
}

impl std::fmt::Debug for Remote {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The URL may have a password.
        f.debug_struct("Remote").finish_non_exhaustive()
    }
}

impl Drop for Remote {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// What becomes of a document that is there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Put {
    /// The new one takes its place.
    Always,
    /// The new one takes its place if it has as many `checks`.
    IfMore,
    /// It stays.
    IfMissing,
}

/// A write that the server refused; others of the same command were made.
#[derive(Debug)]
pub(super) struct Refused {
    /// Which of the documents.
    index: usize,
    code: i32,
    is_about_id: bool,
    pub message: String,
}

impl Refused {
    /// Whether it would be refused again: otherwise the server had trouble of its own.
    pub(super) fn is_final(&self) -> bool {
        FINAL.contains(&self.code)
    }

    /// Whether the document is there already.
    pub(super) fn is_there(&self) -> bool {
        self.code == DUPLICATE_KEY && self.is_about_id
    }
}

impl Remote {
    /// For a URL. Nothing is connected yet. A call takes as long as `patience` at most.
    pub(super) fn new(url: &str, patience: Duration) -> Result<Self, StoreError> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("mongodb")
            .enable_all()
            .build()
            .map_err(|error| StoreError::Server { reason: format!("its thread cannot be made: {error}") })?;
        Ok(Self { runtime: Some(runtime), url: url.to_owned(), database: Mutex::default(), patience })
    }

    /// Runs a call. Blocks.
    pub(super) fn run<T>(&self, call: impl Future<Output = Result<T, Error>>) -> Result<T, StoreError> {
        let Some(runtime) = &self.runtime else {
            return Err(StoreError::Away { reason: "it is being closed".to_owned() });
        };
        // The driver itself waits for ever for an answer on a connection that is half open.
        Self::wait_for(runtime, self.patience, call)
    }

    /// Runs a call that the server may have to work on for long.
    fn run_long<T>(&self, call: impl Future<Output = Result<T, Error>>) -> Result<T, StoreError> {
        let Some(runtime) = &self.runtime else {
            return Err(StoreError::Away { reason: "it is being closed".to_owned() });
        };
        Self::wait_for(runtime, self.patience * LONG, call)
    }

    fn wait_for<T>(
        runtime: &Runtime,
        patience: Duration,
        call: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, StoreError> {
        match runtime.block_on(async { tokio::time::timeout(patience, call).await }) {
            Ok(done) => done.map_err(|error| explain(&error)),
            Err(_) => {
                let reason = format!("no answer within {} s", patience.as_secs_f32());
                Err(StoreError::Away { reason })
            }
        }
    }

    /// The database. The first call looks up the URL's name.
    pub(super) fn database(&self) -> Result<Database, StoreError> {
        if let Some(known) = self.database.lock().unwrap_or_else(PoisonError::into_inner).clone() {
            return Ok(known);
        }
        let made = self.run(async {
            let mut options = match ClientOptions::parse(&self.url).await {
                Ok(options) => options,
                Err(error) => return self.explain_url(error).map(Err),
            };
            options.app_name.get_or_insert_with(|| "wise-monitoring".to_owned());
            options.max_pool_size.get_or_insert(POOL);
            options.connect_timeout = Some(self.patience / 2);
            options.server_selection_timeout = Some(self.patience / 2);
            options.selection_criteria = Some(SelectionCriteria::ReadPreference(ReadPreference::Primary));
            let mut concern = WriteConcern::default();
            concern.w = Some(Acknowledgment::Majority);
            concern.w_timeout = Some(self.patience / 2);
            options.write_concern = Some(concern);
            let name = options.default_database.clone().unwrap_or_else(|| DATABASE.to_owned());
            Ok(Ok(Client::with_options(options)?.database(&name)))
        })??;
        *self.database.lock().unwrap_or_else(PoisonError::into_inner) = Some(made.clone());
        Ok(made)
    }

    /// A URL that cannot be used, without what is secret in it: the driver may quote what it was given.
    fn explain_url(&self, error: Error) -> Result<StoreError, Error> {
        match &*error.kind {
            ErrorKind::InvalidArgument { .. } if self.url.contains('@') => Ok(StoreError::Server {
                reason: "storage.url is no MongoDB URL that can be used: write mongodb://USER:PASSWORD@HOST:PORT/DATABASE, \
                         with the signs :/?#[]@% of name and password as %XX"
                    .to_owned(),
            }),
            ErrorKind::InvalidArgument { message, .. } => {
                Ok(StoreError::Server { reason: format!("storage.url cannot be used: {message}") })
            }
            _ => Err(error),
        }
    }

    pub(super) fn collection(&self, name: &str) -> Result<Collection<Document>, StoreError> {
        Ok(self.database()?.collection(name))
    }

    /// Runs a command.
    pub(super) fn command(&self, command: Document) -> Result<Document, StoreError> {
        let database = self.database()?;
        self.run(async { database.run_command(command).await })
    }

    /// Hands over every document that fits. `wanted` may leave fields out.
    pub(super) fn each(
        &self,
        collection: &str,
        filter: Document,
        (sort, wanted): (Document, Option<Document>),
        mut take: impl FnMut(Document) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let collection = self.collection(collection)?;
        let find = collection.find(filter).sort(sort).batch_size(500);
        let find = match wanted {
            Some(wanted) => find.projection(wanted),
            None => find,
        };
        let mut cursor = self.run(async { find.await })?;
        while self.run(cursor.advance())? {
            take(cursor.deserialize_current().map_err(|error| explain(&error))?)?;
        }
        Ok(())
    }

    /// Every document that fits.
    pub(super) fn find(
        &self,
        collection: &str,
        filter: Document,
        sort: Document,
    ) -> Result<Vec<Document>, StoreError> {
        let mut found = Vec::new();
        self.each(collection, filter, (sort, None), |document| {
            found.push(document);
            Ok(())
        })?;
        Ok(found)
    }

    /// The answer of an aggregation.
    pub(super) fn aggregate(
        &self,
        collection: &str,
        stages: Vec<Document>,
    ) -> Result<Vec<Document>, StoreError> {
        let collection = self.collection(collection)?;
        self.run_long(async {
            let mut cursor = collection.aggregate(stages).await?;
            let mut found = Vec::new();
            while cursor.advance().await? {
                found.push(cursor.deserialize_current()?);
            }
            Ok(found)
        })
    }

    /// Puts documents, as `put` says where there is one with the same `_id`, in any order, in as few commands as fit. `pace` is called
    /// before each command. What the server refuses for itself is left out, so that it holds up nothing else; answers
    /// how many these were.
    pub(super) fn put_all(
        &self,
        collection: &str,
        documents: Vec<RawDocumentBuf>,
        put: Put,
        mut pace: impl FnMut() -> Result<(), StoreError>,
    ) -> Result<usize, StoreError> {
        let mut refused = 0;
        let (mut waiting, mut bytes) = (Vec::new(), 0);
        for document in documents {
            let size = document.as_bytes().len();
            if !waiting.is_empty() && (bytes + size > COMMAND_BYTES || waiting.len() >= COMMAND_WRITES) {
                pace()?;
                refused += self.put(collection, &waiting)?;
                waiting.clear();
                bytes = 0;
            }
            bytes += size;
            waiting.push(upsert(&document, put).map_err(|error| explain(&error))?);
        }
        if !waiting.is_empty() {
            pace()?;
            refused += self.put(collection, &waiting)?;
        }
        Ok(refused)
    }

    fn put(&self, collection: &str, updates: &[RawDocumentBuf]) -> Result<usize, StoreError> {
        let tell = |update: &RawDocumentBuf, reason: &str| {
            let id = update.get_document("q").ok().and_then(|query| query.get("_id").ok()?);
            tracing::error!(
                "MongoDB does not take the document {id:?} of {collection}, which is left out: {reason}"
            );
        };
        let mut all = RawArrayBuf::new();
        updates.iter().for_each(|update| all.push(update.as_ref()));
        let mut command = rawdoc! { "update": collection, "ordered": false };
        command.append(cstr!("updates"), all);
        command.append(cstr!("writeConcern"), rawdoc! { "w": "majority", "wtimeout": self.half_patience() });
        match self.write_raw(command) {
            Ok(refused) => {
                let mut count = 0;
                // One that is there knows more.
                for one in refused.iter().filter(|one| !one.is_there()) {
                    if !one.is_final() {
                        return Err(StoreError::Away { reason: one.message.clone() });
                    }
                    updates.get(one.index).inspect(|update| tell(update, &one.message));
                    count += 1;
                }
                Ok(count)
            }
            // One of them must be what the server does not take at all.
            Err(StoreError::Refused { .. }) if updates.len() > 1 => {
                updates.iter().map(|update| self.put(collection, std::slice::from_ref(update))).sum()
            }
            Err(StoreError::Refused { reason }) => {
                updates.iter().for_each(|update| tell(update, &reason));
                Ok(updates.len())
            }
            Err(error) => Err(error),
        }
    }

    /// Makes updates, `{q, u, upsert}` each, in any order; answers those that were refused.
    pub(super) fn update(
        &self,
        collection: &str,
        updates: Vec<Document>,
    ) -> Result<Vec<Refused>, StoreError> {
        self.write(doc! { "update": collection, "updates": updates, "ordered": false })
    }

    /// The same, one after the other, up to the first that is refused.
    pub(super) fn update_in_order(
        &self,
        collection: &str,
        updates: Vec<Document>,
    ) -> Result<Vec<Refused>, StoreError> {
        self.write(doc! { "update": collection, "updates": updates, "ordered": true })
    }

    /// Adds documents, in any order; answers those that were refused.
    pub(super) fn insert(
        &self,
        collection: &str,
        documents: Vec<Document>,
    ) -> Result<Vec<Refused>, StoreError> {
        self.write(doc! { "insert": collection, "documents": documents, "ordered": false })
    }

    /// Removes what fits.
    pub(super) fn delete(&self, collection: &str, filter: Document) -> Result<(), StoreError> {
        self.write(doc! { "delete": collection, "deletes": [{ "q": filter, "limit": 0 }] }).map(drop)
    }

    fn write(&self, mut command: Document) -> Result<Vec<Refused>, StoreError> {
        command.insert("writeConcern", doc! { "w": "majority", "wtimeout": self.half_patience() });
        self.command(command).and_then(|answer| refused_of(&answer))
    }

    /// The same for a command that says its write concern.
    fn write_raw(&self, command: RawDocumentBuf) -> Result<Vec<Refused>, StoreError> {
        let database = self.database()?;
        let answer = self.run(async { database.run_raw_command(command).await })?;
        refused_of(&answer)
    }

    /// Milliseconds that a majority may take.
    fn half_patience(&self) -> i64 {
        i64::try_from(self.patience.as_millis() / 2).unwrap_or(5000)
    }
}

/// What was refused of a command of writes.
fn refused_of(answer: &Document) -> Result<Vec<Refused>, StoreError> {
    if let Ok(trouble) = answer.get_document("writeConcernError") {
        let reason = trouble.get_str("errmsg").unwrap_or("a majority did not write").to_owned();
        return Err(StoreError::Away { reason });
    }
    let errors = answer.get_array("writeErrors").map(Vec::as_slice).unwrap_or_default();
    let refused = errors.iter().filter_map(Bson::as_document).map(|error| {
        let message = error.get_str("errmsg").unwrap_or_default();
        let keys = error.get_document("keyPattern").or_else(|_| error.get_document("keyValue"));
        Refused {
            index: error.get("index").and_then(number).and_then(|n| usize::try_from(n).ok()).unwrap_or(0),
            code: error.get_i32("code").unwrap_or(0),
            // Not from the message: there a name of a monitor may say whatever it likes.
            is_about_id: keys.is_ok_and(|keys| keys.contains_key("_id")),
            message: message.to_owned(),
        }
    });
    Ok(refused.collect())
}

/// The update that puts a document.
fn upsert(document: &RawDocumentBuf, put: Put) -> Result<RawDocumentBuf, Error> {
    let missing = || Error::custom("a document without an id");
    let field = |name: &str| document.get(name).ok().flatten();
    let mut query = RawDocumentBuf::new();
    query.append(cstr!("_id"), field("_id").ok_or_else(missing)?);
    let mut update = RawDocumentBuf::new();
    match put {
        Put::Always => update.append(cstr!("u"), document.as_ref()),
        Put::IfMore => {
            let mut fewer = RawDocumentBuf::new();
            fewer.append(cstr!("$lte"), field("checks").ok_or_else(missing)?);
            query.append(cstr!("checks"), fewer);
            update.append(cstr!("u"), document.as_ref());
        }
        Put::IfMissing => {
            let mut rest = RawDocumentBuf::new();
            for (name, value) in
                document.iter().filter_map(Result::ok).filter(|(name, _)| *name != cstr!("_id"))
            {
                rest.append(name, value);
            }
            let mut set = RawDocumentBuf::new();
            set.append(cstr!("$setOnInsert"), rest);
            update.append(cstr!("u"), set);
        }
    }
    update.append(cstr!("q"), query);
    update.append(cstr!("upsert"), true);
    Ok(update)
}

/// Whether the server was away, or has refused.
fn explain(error: &Error) -> StoreError {
    let away = |reason: String| StoreError::Away { reason };
    match &*error.kind {
        ErrorKind::Io(error) => away(error.to_string()),
        ErrorKind::ServerSelection { .. } => {
            away("no server of it can be reached, or none is primary".to_owned())
        }
        ErrorKind::DnsResolve { .. } => away("its name cannot be looked up".to_owned()),
        ErrorKind::ConnectionPoolCleared { .. } => away("its connections were cut".to_owned()),
        ErrorKind::Shutdown => away("it is being closed".to_owned()),
        // It may have been written by one, and not by a majority.
        ErrorKind::Write(mongodb::error::WriteFailure::WriteConcernError(error)) => {
            away(error.message.clone())
        }
        ErrorKind::Authentication { .. } => refused_login(),
        ErrorKind::Command(command) if command.code == AUTHENTICATION_FAILED => refused_login(),
        ErrorKind::Command(command) if command.code == UNAUTHORIZED => {
            StoreError::Forbidden { reason: command.message.clone() }
        }
        ErrorKind::Command(command) if TRY_AGAIN.contains(&command.code) => away(command.message.clone()),
        ErrorKind::Command(command) if FINAL.contains(&command.code) => {
            StoreError::Refused { reason: command.message.clone() }
        }
        ErrorKind::Command(command) => StoreError::Server { reason: command.message.clone() },
        ErrorKind::InvalidTlsConfig { message, .. } => {
            StoreError::Server { reason: format!("TLS: {message}") }
        }
        other => StoreError::Server { reason: other.to_string() },
    }
}

fn refused_login() -> StoreError {
    StoreError::Server {
        reason: "it refuses the login: check user, password and authSource of storage.url".to_owned(),
    }
}

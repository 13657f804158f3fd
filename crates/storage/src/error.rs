//! What can go wrong in the store.

use std::path::{Path, PathBuf};

/// A store operation that failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The disk, or the quota, is full.
    #[error("the disk is full: {path} cannot grow; free some space, nothing else is needed")]
    DiskFull {
        /// The file.
        path: PathBuf,
    },
    /// The file or its folder cannot be written.
    #[error("{path} cannot be written: {reason}; check owner, mode and mount options")]
    NotWritable {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The file is damaged.
    #[error(
        "{path} is damaged: {reason}; stop the server, keep a copy, and put back a backup or remove the file"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is damaged.
        reason: String,
    },
    /// The file was written by a newer version.
    #[error(
        "{path} has format {found}, and this version reads up to {known}: run the version that wrote it, or a newer one"
    )]
    TooNew {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: i64,
        /// Newest format known here.
        known: i64,
    },
    /// Another process has the store open.
    #[error("{path} is in use by another process: only one server can run on a data folder")]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// The object was changed by someone else meanwhile.
    #[error("the object has version {found} by now")]
    Stale {
        /// The version it has.
        found: u64,
    },
    /// The name is taken.
    #[error("the name `{0}` is taken")]
    NameTaken(String),
    /// There is no such object.
    #[error("there is no such object")]
    NotFound,
    /// Sealing or opening a secret failed.
    #[error("{0}")]
    Seal(String),
    /// The server behind the store cannot be reached.
    #[error("MongoDB cannot be reached: {reason}")]
    Away {
        /// Why.
        reason: String,
    },
    /// The server behind the store refuses.
    #[error("MongoDB: {reason}")]
    Server {
        /// What it says.
        reason: String,
    },
    /// The server behind the store does not allow a command to the user of the URL.
    #[error(
        "MongoDB does not allow it to the user of storage.url: {reason}; give that user the role readWrite on the database"
    )]
    Forbidden {
        /// What it says.
        reason: String,
    },
    /// The server behind the store does not take what it is given, now or ever.
    #[error("MongoDB does not take it: {reason}")]
    Refused {
        /// What it says.
        reason: String,
    },
    /// A migration that must not be made as it was asked for.
    #[error("{0}")]
    Migration(String),
    /// The store was taken over.
    #[error("the store was taken over by {by}; this process writes nothing more")]
    Superseded {
        /// By whom.
        by: String,
    },
    /// Anything else.
    #[error("{path}: {reason}")]
    Other {
        /// The file.
        path: PathBuf,
        /// What happened.
        reason: String,
    },
}

impl StoreError {
    /// From an SQLite error, by its code.
    pub(crate) fn sqlite(path: &Path, error: &rusqlite::Error) -> Self {
        use rusqlite::ErrorCode;
        use rusqlite::ffi::SQLITE_IOERR_SHMSIZE;
        let path = path.to_owned();
        let reason = error.to_string();
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::DiskFull { path },
            // There was no room for the index of a write-ahead log.
            _ if error.sqlite_error().is_some_and(|error| error.extended_code == SQLITE_IOERR_SHMSIZE) => {
                Self::DiskFull { path }
            }
            Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => {
                Self::NotWritable { path, reason }
            }
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Self::Damaged { path, reason },
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::InUse { path },
            _ => Self::Other { path, reason },
        }
    }

    /// From an I/O error.
    pub(crate) fn io(path: &Path, error: &std::io::Error) -> Self {
        let path = path.to_owned();
        match error.kind() {
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => Self::DiskFull { path },
            std::io::ErrorKind::PermissionDenied | std::io::ErrorKind::ReadOnlyFilesystem => {
                Self::NotWritable { path, reason: error.to_string() }
            }
            _ => Self::Other { path, reason: error.to_string() },
        }
    }
}

//! Opening SQLite files, with a format version and clear errors.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use crate::error::StoreError;

/// What a file is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    /// Read and write, made when missing, synced at each commit.
    ReadWrite,
    /// As `ReadWrite`; pages have this size if the file is made.
    Make {
        /// Bytes, a power of two.
        page: u32,
    },
    /// Written in one go and thrown away when that fails: nothing is synced.
    Scratch {
        /// Bytes, a power of two.
        page: u32,
    },
    /// Read only.
    Read,
}

/// Opens a file.
pub(super) fn open(path: &Path, access: Access) -> Result<Connection, StoreError> {
    let wrap = |error: rusqlite::Error| StoreError::sqlite(path, &error);
    let flags = match access {
        Access::Read => OpenFlags::SQLITE_OPEN_READ_ONLY,
        Access::ReadWrite | Access::Make { .. } | Access::Scratch { .. } => {
            OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE
        }
    };
    let connection =
        Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX).map_err(wrap)?;
    connection.busy_timeout(Duration::from_secs(5)).map_err(wrap)?;
    let set =
        |name: &str, value: &dyn rusqlite::ToSql| connection.pragma_update(None, name, value).map_err(wrap);
    if let Access::Make { page } | Access::Scratch { page } = access {
        set("page_size", &page)?;
    }
    match access {
        Access::Read => {}
        Access::Scratch { .. } => {
            set("journal_mode", &"OFF")?;
            set("synchronous", &"OFF")?;
        }
        Access::ReadWrite | Access::Make { .. } => {
            set("journal_mode", &"WAL")?;
            set("synchronous", &"FULL")?;
            set("foreign_keys", &true)?;
        }
    }
    // The default of 2 MB a connection adds up; nothing here scans.
    set("cache_size", &-512)?;
    Ok(connection)
}

/// Brings a file to the newest format: `steps[n]` leads from format n to n + 1.
pub(super) fn migrate(connection: &mut Connection, path: &Path, steps: &[&str]) -> Result<(), StoreError> {
    let wrap = |error: rusqlite::Error| StoreError::sqlite(path, &error);
    let found: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(wrap)?;
    let known = i64::try_from(steps.len()).unwrap_or(i64::MAX);
    if found > known {
        return Err(StoreError::TooNew { path: path.to_owned(), found, known });
    }
    if found == known {
        return Ok(());
    }
    // All steps or none: a crash in the middle leaves the old format.
    let transaction = connection.transaction().map_err(wrap)?;
    for step in steps.iter().skip(usize::try_from(found).unwrap_or(0)) {
        transaction.execute_batch(step).map_err(wrap)?;
    }
    transaction.pragma_update(None, "user_version", known).map_err(wrap)?;
    transaction.commit().map_err(wrap)
}

/// Whether a file is being made: it has a name already, and no tables yet. A reader finds nothing in it.
pub(super) fn is_unmade(connection: &Connection) -> bool {
    connection.pragma_query_value(None, "user_version", |row| row.get(0)) == Ok(0_i64)
}

/// Reads the whole file's structure.
pub(super) fn check(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    let verdict: String = connection
        .pragma_query_value(None, "quick_check", |row| row.get(0))
        .map_err(|error| StoreError::sqlite(path, &error))?;
    if verdict == "ok" { Ok(()) } else { Err(StoreError::Damaged { path: path.to_owned(), reason: verdict }) }
}

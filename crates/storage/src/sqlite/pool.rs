//! Open files that queries share: opening one costs more than most queries read from it.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use rusqlite::Connection;

use super::open::{Access, open};
use crate::error::StoreError;

/// Files kept open at most: a year has 12 of rollups, a week 7 of samples.
const MOST: usize = 48;

/// Files that no one reads at the moment, the one used last at the end.
#[derive(Debug, Default)]
pub(super) struct Pool {
    idle: Mutex<Vec<Pooled>>,
}

/// An open file. The number tells it from another that has taken its name.
#[derive(Debug)]
pub(super) struct Pooled {
    path: PathBuf,
    number: u64,
    pub(super) connection: Connection,
}

impl Pool {
    /// Opens a file for reading, or takes it from those that are open.
    pub(super) fn take(&self, path: &Path) -> Result<Pooled, StoreError> {
        let metadata = std::fs::metadata(path).map_err(|error| StoreError::io(path, &error))?;
        let number = metadata.ino();
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let known = idle.iter().rposition(|one| one.path == path && one.number == number);
        if let Some(known) = known {
            return Ok(idle.remove(known));
        }
        drop(idle);
        Ok(Pooled { path: path.to_owned(), number, connection: open(path, Access::Read)? })
    }

    /// Gives a file back.
    pub(super) fn give(&self, pooled: Pooled) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.push(pooled);
        if idle.len() > MOST {
            idle.remove(0);
        }
    }

    /// Closes a file that is about to go: its room on the disk would not come back.
    pub(super) fn forget(&self, path: &Path) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).retain(|one| one.path != path);
    }
}

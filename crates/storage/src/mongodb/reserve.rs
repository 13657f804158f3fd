//! Room on the spool's disk for a change that MongoDB has taken already: half a change would have to be taken back.

use std::io::Write;
use std::path::{Path, PathBuf};

use crate::error::StoreError;

/// The least that is kept; a change of a small definition writes some thirty kilobytes.
const LEAST: u64 = 256 << 10;
/// A definition is written to the log, and later to the file; indexes come on top.
const TIMES: u64 = 3;
const ON_TOP: u64 = 64 << 10;

/// A file that takes up room, and is given up when there is none.
#[derive(Debug)]
pub(super) struct Reserve {
    path: PathBuf,
}

impl Reserve {
    /// In the spool's folder.
    pub(super) fn new(folder: &Path) -> Self {
        Self { path: folder.join("reserve") }
    }

    /// Makes sure that there is room for a definition of that many bytes.
    ///
    /// # Errors
    /// The disk is full, or cannot be written.
    pub(super) fn ensure(&self, bytes: usize) -> Result<(), StoreError> {
        let wanted = (bytes as u64 * TIMES + ON_TOP).max(LEAST);
        if std::fs::metadata(&self.path).is_ok_and(|file| file.len() >= wanted) {
            return Ok(());
        }
        self.fill(wanted).map_err(|error| {
            std::fs::remove_file(&self.path).ok();
            StoreError::io(&self.path, &error)
        })
    }

    fn fill(&self, size: u64) -> std::io::Result<()> {
        // Zeros would take no room where the file system compresses.
        let mut bytes = vec![0; usize::try_from(size).unwrap_or(usize::MAX)];
        getrandom::fill(&mut bytes).map_err(std::io::Error::other)?;
        let mut file = std::fs::File::create(&self.path)?;
        file.write_all(&bytes)?;
        file.sync_all()
    }

    /// Writes something; should the disk be full, with the room that was kept for it.
    ///
    /// # Errors
    /// Those of `write`.
    pub(super) fn spend(&self, write: impl Fn() -> Result<(), StoreError>) -> Result<(), StoreError> {
        match write() {
            Err(StoreError::DiskFull { .. }) => {
                std::fs::remove_file(&self.path).ok();
                write()
            }
            other => other,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn room_is_kept_until_it_is_needed() {
        let folder = tempfile::tempdir().unwrap();
        let reserve = Reserve::new(folder.path());
        reserve.ensure(100).unwrap();
        let path = folder.path().join("reserve");
        let full = || Err(StoreError::DiskFull { path: path.clone() });
        reserve.spend(|| Ok(())).unwrap();
        assert!(path.exists());
        let tries = Cell::new(0);
        let at_the_second_try = || {
            tries.set(tries.get() + 1);
            if path.exists() { full() } else { Ok(()) }
        };
        reserve.spend(at_the_second_try).unwrap();
        assert_eq!(tries.get(), 2);
        assert!(reserve.spend(full).is_err());
        // What was cut off is made whole.
        std::fs::write(&path, "short").unwrap();
        reserve.ensure(100).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().len(), LEAST);
        for definition in [1_000_000, 100] {
            reserve.ensure(definition).unwrap();
            assert!(std::fs::metadata(&path).unwrap().len() > 3_000_000, "it does not shrink");
        }
        let nowhere = Reserve::new(&folder.path().join("missing"));
        assert!(nowhere.ensure(100).is_err());
    }
}

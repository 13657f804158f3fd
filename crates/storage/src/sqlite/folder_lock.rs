//! One server a folder: two would overwrite each other's journals.

use std::fs::{File, TryLockError};
use std::path::Path;

use crate::error::StoreError;

/// A folder that is this store's alone, until it is dropped or the process ends.
#[derive(Debug)]
pub(super) struct FolderLock(File);

impl FolderLock {
    /// Takes the folder.
    ///
    /// # Errors
    /// Another store has it, or the file `lock` cannot be written.
    pub(super) fn take(folder: &Path) -> Result<Self, StoreError> {
        let path = folder.join("lock");
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(|error| StoreError::io(&path, &error))?;
        match file.try_lock() {
            Ok(()) => Ok(Self(file)),
            Err(TryLockError::WouldBlock) => Err(StoreError::InUse { path: folder.to_owned() }),
            Err(TryLockError::Error(error)) => Err(StoreError::io(&path, &error)),
        }
    }
}

impl Drop for FolderLock {
    fn drop(&mut self) {
        // Closing is not enough: a program that this process is just starting has the file too until it is its own
        // image, and the lock would last as long.
        self.0.unlock().ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_free_at_once_while_a_program_that_is_being_started_still_has_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let lock = FolderLock::take(folder.path()).unwrap();
        let with_the_child = lock.0.try_clone().unwrap();
        assert!(matches!(FolderLock::take(folder.path()), Err(StoreError::InUse { .. })));
        drop(lock);
        FolderLock::take(folder.path()).unwrap();
        drop(with_the_child);
    }
}

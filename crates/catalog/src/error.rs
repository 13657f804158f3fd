//! Why a definition was not taken.

use wise_core::FieldErrors;
use wise_storage::StoreError;

/// A change to the catalog that was refused. Nothing has changed.
#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    /// Fields are wrong.
    #[error("{0}")]
    Invalid(FieldErrors),
    /// The name is taken.
    #[error("the name `{0}` is taken by another monitor")]
    NameTaken(String),
    /// Other monitors depend on it.
    #[error("these monitors depend on it: {0}")]
    InUse(String),
    /// It is kept in a file.
    #[error("the monitor is kept in the file {0}: change it there")]
    KeptInFile(String),
    /// There is no such monitor.
    #[error("there is no such monitor")]
    NotFound,
    /// It is in force, and need not be brought back.
    #[error("the monitor was not removed")]
    NotRemoved,
    /// Another changed it meanwhile.
    #[error("the monitor has version {found} by now")]
    Stale {
        /// The version it has.
        found: u64,
    },
    /// The store failed in the middle of an import, and failed again when it was taken back: how many monitors stayed, and
    /// their names.
    #[error("the store failed in the middle, and {0} monitors could not be taken back: {1}")]
    Partly(usize, String),
    /// The store failed.
    #[error("{0}")]
    Store(StoreError),
}

impl From<StoreError> for CatalogError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NameTaken(name) => Self::NameTaken(name),
            StoreError::NotFound => Self::NotFound,
            StoreError::Stale { found } => Self::Stale { found },
            other => Self::Store(other),
        }
    }
}

impl From<FieldErrors> for CatalogError {
    fn from(errors: FieldErrors) -> Self {
        Self::Invalid(errors)
    }
}

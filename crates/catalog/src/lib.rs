//! The life of a definition: validated, sealed, stored, handed to the orchestrator.
//!
//! API and files go through the same [`Catalog`], so that the same rules hold for both. All calls block, because the
//! store does; callers on an async runtime move them to a blocking thread. The checks made by hand are async.

mod catalog;
mod entries;
mod error;
mod export;
mod files;
mod import;
mod layout;
mod start;

pub use catalog::{Catalog, CatalogEntry, Parts, RESTORABLE, open_secrets};
pub use error::CatalogError;
pub use export::{FIRST_START, Format, export, read_export};
pub use files::{FileMonitor, FileProblem, read_folder};
pub use import::{Conflict, Imported};

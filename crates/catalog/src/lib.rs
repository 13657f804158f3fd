//! The life of a definition: validated, sealed, stored, handed to the orchestrator.
//!
//! API and files go through the same [`Catalog`], so that the same rules hold for both. All calls block, because the
//! store does; callers on an async runtime move them to a blocking thread. The checks made by hand are async.

mod catalog;
mod error;
mod files;
mod sky;
mod start;

pub use catalog::{Catalog, CatalogEntry, Parts, open_secrets};
pub use error::CatalogError;
pub use files::{FileMonitor, FileProblem, export, read_folder};

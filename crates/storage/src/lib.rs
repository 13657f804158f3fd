//! The store: what is kept.
//!
//! Ports by concern are in [`ports`]; [`SqliteStore`] implements them in a folder, [`MongoStore`] in MongoDB. The
//! [`Recorder`] is the one writer of checks and events: it groups them and stores them. [`Consumers`] follow the main
//! record from where they stood. Secrets are sealed by [`Sealer`] before they get here.

mod columns;
mod consumers;
mod error;
mod migrate;
mod mongodb;
pub mod ports;
mod query;
mod recorder;
mod retention;
pub mod rollup;
mod seal;
mod sqlite;

pub use consumers::{Begin, Consumer, ConsumerState, Consumers, Follows, StartError};
pub use error::StoreError;
pub use migrate::Moved;
pub use mongodb::{MongoOptions, MongoStore, RemoteState, Timing};
pub use query::{
    Aggregate, Answer, AnswerSeries, Grouping, Matcher, Piece, QueryPlan, Resolution, ResultQuery,
    SeriesPieces, StoredResult, answer,
};
pub use recorder::{Observer, Recorder, RecorderState, Stored, StoredEvent};
pub use retention::Retention;
pub use seal::{KeySource, Sealer};
pub use sqlite::{
    Copied, Progress, SqliteOptions, SqliteStore, backup, check_store, read_definitions, restore,
};

/// A store that everything can be moved from, or to.
#[derive(Debug)]
pub enum Movable {
    /// In a folder.
    Sqlite(Box<SqliteStore>),
    /// In MongoDB.
    Mongo(MongoStore),
}

impl Movable {
    fn store(&self) -> &dyn migrate::Movable {
        match self {
            Self::Sqlite(store) => &**store,
            Self::Mongo(store) => store,
        }
    }
}

/// Moves everything from one store to another, which has to be empty or the target of the same migration, cut off.
/// `tell` is called with what is being done.
///
/// # Errors
/// A store cannot be read or written, or the target has monitors of its own. It can be called again, and goes on where it
/// stopped.
pub fn migrate(
    from: &Movable,
    to: &Movable,
    now: wise_core::Timestamp,
    mut tell: impl FnMut(&str),
) -> Result<Moved, StoreError> {
    migrate::migrate(from.store(), to.store(), now, &mut tell)
}

//! The store: what is kept, and what is known live.
//!
//! Ports by concern are in [`ports`]; [`SqliteStore`] implements them in a folder, [`MongoStore`] in
//! MongoDB. The [`Recorder`] is the one writer
//! of verdicts: it groups them, stores them, and only then tells the [`Overview`] and anyone who listens. Secrets are
//! sealed by [`Sealer`] before they get here.

mod columns;
mod error;
mod incidents;
mod migrate;
mod mongodb;
mod overview;
pub mod ports;
mod query;
mod recorder;
mod retention;
pub mod rollup;
mod seal;
mod sqlite;
mod uptime;

pub use error::StoreError;
pub use incidents::{Incident, incidents};
pub use migrate::Moved;
pub use mongodb::{MongoOptions, MongoStore, RemoteState, Timing};
pub use overview::{
    About, BEATS, BUCKET_SECONDS, Counts, Group, LastReadings, Overview, OverviewDelta, OverviewItem,
    OverviewSnapshot, Summary,
};
pub use query::{
    Aggregate, Answer, AnswerSeries, Grouping, Matcher, Piece, QueryPlan, Resolution, ResultQuery,
    SeriesPieces, StoredResult, answer,
};
pub use recorder::{Listener, Published, Recorder, RecorderState, StoredTransition, Verdicts};
pub use retention::Retention;
pub use seal::{KeySource, Sealer};
pub use sqlite::{
    Copied, Progress, SqliteOptions, SqliteStore, backup, check_store, read_definitions, restore,
};
pub use uptime::{Maintenance, Uptime, UptimeState, uptime};

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

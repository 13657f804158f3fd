//! The store: what is kept, and what is known live.
//!
//! Ports by concern are in [`ports`]; [`SqliteStore`] implements them in a folder, [`MongoStore`] in
//! MongoDB. The [`Recorder`] is the one writer
//! of verdicts: it groups them, stores them, and only then tells the [`Overview`] and whoever listens. Secrets are
//! sealed by [`Sealer`] before they get here.

mod columns;
mod error;
mod incidents;
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
pub use mongodb::{MongoOptions, MongoStore, RemoteState, Timing};
pub use overview::{
    BEATS, BUCKET_SECONDS, Counts, LastReadings, Overview, OverviewDelta, OverviewItem, OverviewSnapshot,
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

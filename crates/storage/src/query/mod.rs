//! What can be asked of history.
//!
//! A [`QueryPlan`] says which series of a metric, over which range, in how many points, merged how. The store reads what
//! it has of them, raw samples or rollups ([`Piece`]), and [`answer`] makes points of them, the same for every backend.

mod fold;
mod pieces;
mod plan;
mod results;

pub use fold::answer;
pub(crate) use pieces::{DaySamples, Found, series_of};
pub use plan::{Aggregate, Answer, AnswerSeries, Grouping, Matcher, QueryPlan};
pub use results::{ResultQuery, StoredResult};

use crate::rollup::{Bucket, Sketch, Tier};

/// Labels of a series, sorted by name.
pub type LabelPairs = Vec<(String, String)>;

/// What a store has of a series over some time.
#[derive(Clone, Debug, PartialEq)]
pub enum Piece {
    /// Samples: times in microseconds, in order, and values.
    Raw(Vec<(i64, f64)>),
    /// Samples that are distributions, in order, those of a point of the plan together: buckets that begin at the time of
    /// the first of them, and a sketch for each where the plan needs any.
    Distributions(Vec<Bucket>, Vec<Sketch>),
    /// Buckets of a tier in order, and a sketch for each where there are any.
    Rolled(Tier, Vec<Bucket>, Vec<Sketch>),
}

/// A series as the store reads it: pieces in order of time, that do not overlap.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SeriesPieces {
    /// Labels beside the source.
    pub labels: LabelPairs,
    /// The pieces.
    pub pieces: Vec<Piece>,
}

/// How fine a store should read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resolution {
    /// Samples.
    Raw,
    /// Buckets.
    Rolled(Tier),
}

//! What can be asked of history.

use serde_json::Value;
use wise_core::{MonitorId, Status, Timestamp};

/// How the raw points of a bucket become one.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Aggregate {
    /// Mean.
    #[default]
    Avg,
    /// Smallest.
    Min,
    /// Largest.
    Max,
    /// Sum.
    Sum,
    /// Last.
    Last,
    /// How many.
    Count,
    /// Quantile between 0 and 1.
    Quantile(f64),
}

impl Aggregate {
    /// Reads `avg`, `min`, `max`, `sum`, `last`, `count`, `p50` … `p99`.
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "avg" => Self::Avg,
            "min" => Self::Min,
            "max" => Self::Max,
            "sum" => Self::Sum,
            "last" => Self::Last,
            "count" => Self::Count,
            _ => {
                let percent: u32 = name.strip_prefix('p')?.parse().ok().filter(|percent| *percent <= 100)?;
                Self::Quantile(f64::from(percent) / 100.0)
            }
        })
    }

    pub(crate) fn of(self, values: &mut [f64]) -> Option<f64> {
        let count = values.len();
        let last = *values.last()?;
        Some(match self {
            Self::Avg => values.iter().sum::<f64>() / count as f64,
            Self::Min => values.iter().copied().fold(f64::INFINITY, f64::min),
            Self::Max => values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
            Self::Sum => values.iter().sum(),
            Self::Last => last,
            Self::Count => count as f64,
            Self::Quantile(q) => {
                values.sort_by(f64::total_cmp);
                // Nearest rank: always a value that was measured.
                let rank = (q * count as f64).ceil() as usize;
                values[rank.clamp(1, count) - 1]
            }
        })
    }
}

/// A metric of a monitor over a range.
#[derive(Clone, Debug, PartialEq)]
pub struct HistoryQuery {
    /// The monitor.
    pub monitor: MonitorId,
    /// The metric's dotted name.
    pub metric: String,
    /// From, included.
    pub from: Timestamp,
    /// To, excluded.
    pub to: Timestamp,
    /// Points wanted at most.
    pub points: usize,
    /// How points are merged.
    pub aggregate: Aggregate,
}

impl HistoryQuery {
    /// The width of a bucket in microseconds: whole seconds, so that charts of one range line up.
    pub fn step_micros(&self) -> i64 {
        let range = self.to.as_micros().saturating_sub(self.from.as_micros()).max(1);
        let points = i64::try_from(self.points.max(1)).unwrap_or(i64::MAX);
        let step = (range + points - 1) / points;
        ((step + 999_999) / 1_000_000).max(1) * 1_000_000
    }
}

/// One series of an answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HistorySeries {
    /// Labels besides the monitor.
    pub labels: Vec<(String, String)>,
    /// Start of each bucket in unix seconds, and its value. A bucket without data is missing.
    pub points: Vec<(f64, f64)>,
}

/// Which checks to list.
#[derive(Clone, Debug, PartialEq)]
pub struct ResultQuery {
    /// The monitor.
    pub monitor: MonitorId,
    /// From, included.
    pub from: Timestamp,
    /// To, excluded.
    pub to: Timestamp,
    /// Only checks that failed.
    pub failed: bool,
    /// How many at most.
    pub limit: usize,
}

/// A check as it was stored.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredResult {
    /// When it started.
    pub time: Timestamp,
    /// The probe.
    pub probe: String,
    /// The monitor's status after it.
    pub status: Status,
    /// Whether the monitor was down after it.
    pub down: bool,
    /// How long it took, in microseconds.
    pub duration_micros: u64,
    /// Class, code and message of its failure.
    pub failure: Option<(String, Option<String>, String)>,
    /// Evidence: its own, or that of the failure it repeats.
    pub evidence: Option<Value>,
    /// Where it was made.
    pub location: String,
    /// By which process.
    pub worker: String,
}

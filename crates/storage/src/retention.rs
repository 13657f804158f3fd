//! How long what is kept.

use std::time::Duration;

use crate::rollup::Tier;

const DAY: Duration = Duration::from_secs(86_400);

/// How long history is kept, and how much of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Samples and results.
    pub raw: Duration,
    /// Rollups of five minutes.
    pub five_minutes: Duration,
    /// Rollups of an hour.
    pub hours: Duration,
    /// Rollups of a day.
    pub days: Duration,
    /// Bytes of history at most. The oldest goes before its time when there is more.
    pub max_bytes: Option<u64>,
}

impl Default for Retention {
    fn default() -> Self {
        Self { raw: 7 * DAY, five_minutes: 30 * DAY, hours: 365 * DAY, days: 5 * 365 * DAY, max_bytes: None }
    }
}

impl Retention {
    /// That of a tier.
    pub fn of(&self, tier: Tier) -> Duration {
        match tier {
            Tier::FiveMinutes => self.five_minutes,
            Tier::Hour => self.hours,
            Tier::Day => self.days,
        }
    }
}

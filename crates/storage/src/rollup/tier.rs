//! The widths of buckets.

/// An hour in microseconds.
pub const MICROS_AN_HOUR: i64 = 3_600_000_000;
/// A day in microseconds.
pub const MICROS_A_DAY: i64 = 86_400_000_000;

/// A width of buckets. Each is a whole multiple of the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tier {
    /// Five minutes.
    FiveMinutes,
    /// An hour, with sketches.
    Hour,
    /// A day in UTC, with sketches.
    Day,
}

impl Tier {
    /// All, the finest first.
    pub const ALL: [Self; 3] = [Self::FiveMinutes, Self::Hour, Self::Day];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::FiveMinutes => "5m",
            Self::Hour => "1h",
            Self::Day => "1d",
        }
    }

    /// Its width in microseconds.
    pub fn width(self) -> i64 {
        match self {
            Self::FiveMinutes => 300_000_000,
            Self::Hour => MICROS_AN_HOUR,
            Self::Day => MICROS_A_DAY,
        }
    }

    /// Whether it keeps sketches. Those of five minutes would cost more than the samples that they are made of.
    pub fn has_sketches(self) -> bool {
        self != Self::FiveMinutes
    }

    /// Where the bucket of a time begins.
    pub fn start_of(self, micros: i64) -> i64 {
        micros.div_euclid(self.width()) * self.width()
    }
}

//! Rollups: what is left of raw samples when they are too many to keep, or to read.
//!
//! [`Bucket`] sums up the samples of a series over a stretch of time, [`Sketch`] keeps their distribution, [`Distribution`]
//! is a sample that is one itself, [`Tier`] is a width of buckets. [`roll`] makes all three tiers of a day in one pass over its samples.

mod bucket;
mod distribution;
mod sketch;
mod tier;

pub use bucket::{Bucket, counter_step};
pub use distribution::Distribution;
pub(crate) use sketch::MOST_BINS;
pub use sketch::Sketch;
pub use tier::{MICROS_A_DAY, MICROS_AN_HOUR, Tier};

/// The rollups of one series over one day.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DayRollup {
    /// Buckets of five minutes.
    pub five_minutes: Vec<Bucket>,
    /// Buckets of an hour.
    pub hours: Vec<Bucket>,
    /// One bucket.
    pub day: Option<Bucket>,
    /// A sketch for each hour, where the metric keeps them.
    pub hour_sketches: Vec<Sketch>,
}

impl DayRollup {
    /// One that has a tier only, with a sketch for each bucket or none.
    pub(crate) fn of_tier(tier: Tier, buckets: Vec<Bucket>, sketches: Vec<Sketch>) -> Self {
        let mut made = Self { hour_sketches: sketches, ..Self::default() };
        match tier {
            Tier::FiveMinutes => made.five_minutes = buckets,
            Tier::Hour => made.hours = buckets,
            Tier::Day => made.day = buckets.into_iter().next(),
        }
        made
    }

    /// Makes hours and the day of the buckets of five minutes.
    fn with_wider_tiers(mut self) -> Self {
        self.hours = merged(&self.five_minutes, Tier::Hour);
        self.day = merged(&self.hours, Tier::Day).into_iter().next();
        self
    }

    /// The buckets of a tier.
    pub fn buckets(&self, tier: Tier) -> &[Bucket] {
        match tier {
            Tier::FiveMinutes => &self.five_minutes,
            Tier::Hour => &self.hours,
            Tier::Day => self.day.as_slice(),
        }
    }

    /// The sketches of a tier, one a bucket; none where the tier or the metric has none.
    pub fn sketches(&self, tier: Tier) -> Vec<Sketch> {
        match tier {
            Tier::FiveMinutes => Vec::new(),
            Tier::Hour => self.hour_sketches.clone(),
            Tier::Day => {
                let mut sketches = self.hour_sketches.iter();
                let Some(mut day) = sketches.next().cloned() else { return Vec::new() };
                sketches.for_each(|hour| day.merge(hour));
                vec![day]
            }
        }
    }
}

/// Rolls up samples of one series and one day, in order of time. NaN stands for none.
pub fn roll(times: &[i64], values: &[f64], has_sketch: bool) -> DayRollup {
    let mut rolled = DayRollup::default();
    let mut hour = None;
    for (time, value) in times.iter().zip(values).filter(|(_, value)| !value.is_nan()) {
        let start = Tier::FiveMinutes.start_of(*time);
        match rolled.five_minutes.last_mut() {
            Some(bucket) if bucket.start == start => bucket.add(*value),
            _ => rolled.five_minutes.push(Bucket::new(start, *value)),
        }
        if !has_sketch {
            continue;
        }
        let start = Tier::Hour.start_of(*time);
        if hour.replace(start) != Some(start) {
            rolled.hour_sketches.push(Sketch::default());
        }
        if let Some(sketch) = rolled.hour_sketches.last_mut() {
            sketch.add(*value);
        }
    }
    rolled.with_wider_tiers()
}

/// Rolls up samples of one series and one day that are distributions, in order of time.
pub(crate) fn roll_distributions(samples: &[(i64, Distribution)]) -> DayRollup {
    let mut rolled = DayRollup::default();
    let mut hour = None;
    for (time, one) in samples {
        let bucket = one.bucket(Tier::FiveMinutes.start_of(*time));
        match rolled.five_minutes.last_mut() {
            Some(last) if last.start == bucket.start => last.merge(&bucket),
            _ => rolled.five_minutes.push(bucket),
        }
        let start = Tier::Hour.start_of(*time);
        if hour.replace(start) != Some(start) {
            rolled.hour_sketches.push(Sketch::default());
        }
        if let Some(sketch) = rolled.hour_sketches.last_mut() {
            one.add_to(sketch);
        }
    }
    rolled.with_wider_tiers()
}

fn merged(buckets: &[Bucket], tier: Tier) -> Vec<Bucket> {
    let mut found: Vec<Bucket> = Vec::new();
    for bucket in buckets {
        let start = tier.start_of(bucket.start);
        match found.last_mut() {
            Some(last) if last.start == start => last.merge(bucket),
            _ => found.push(Bucket { start, ..*bucket }),
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tiers_of_a_day_agree_with_its_samples() {
        let times: Vec<i64> = (0..2880).map(|index| index * 30_000_000 + 1_000).collect();
        let values: Vec<f64> = (0..2880).map(|index| f64::from(index * 37 % 101)).collect();
        let rolled = roll(&times, &values, true);
        assert_eq!((rolled.five_minutes.len(), rolled.hours.len()), (288, 24));
        let day = rolled.day.unwrap();
        let mean = values.iter().sum::<f64>() / 2880.0;
        assert_eq!(
            (day.count, day.min, day.max, day.first, day.last),
            (2880, 0.0, 100.0, values[0], values[2879])
        );
        assert!((day.mean - mean).abs() < 1e-9);
        let squares: f64 = values.iter().map(|value| value * value).sum();
        assert!((day.sum_of_squares() / squares - 1.0).abs() < 1e-9);
        assert_eq!(rolled.hour_sketches.iter().map(Sketch::count).sum::<u64>(), 2880);
        let median = rolled.sketches(Tier::Day)[0].quantile(0.5).unwrap();
        assert!((median / 50.0 - 1.0).abs() < 0.03, "{median}");
        assert!(rolled.sketches(Tier::FiveMinutes).is_empty());
    }

    #[test]
    fn gaps_stay_gaps() {
        let rolled = roll(&[10, 20, 7_200_000_010], &[1.0, f64::NAN, 3.0], false);
        assert_eq!(rolled.five_minutes.len(), 2);
        assert_eq!((rolled.hours[0].count, rolled.hours[1].start), (1, 7_200_000_000));
        assert_eq!(rolled.day.map(|day| day.count), Some(2));
        assert_eq!(roll(&[1], &[f64::NAN], true), DayRollup::default());
    }
}

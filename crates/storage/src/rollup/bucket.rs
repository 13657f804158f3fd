//! What is known of the samples of a stretch of time.

/// Samples of one series, summed up. Any two that follow each other merge into one, with the same outcome as if their
/// samples had been summed up together.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bucket {
    /// Where it begins, in microseconds since 1970.
    pub start: i64,
    /// How many samples.
    pub count: u64,
    /// Their mean.
    pub mean: f64,
    /// The sum of the squares of their distances from the mean. The sum of squares itself would lose the deviation of
    /// large values to rounding (Chan, Golub, LeVeque 1979).
    pub deviation: f64,
    /// Smallest.
    pub min: f64,
    /// Largest.
    pub max: f64,
    /// Earliest.
    pub first: f64,
    /// Latest.
    pub last: f64,
    /// How much a counter went up from the earliest to the latest, starts at zero taken into account.
    pub increase: f64,
}

impl Bucket {
    /// A bucket with one sample.
    pub fn new(start: i64, value: f64) -> Self {
        Self {
            start,
            count: 1,
            mean: value,
            deviation: 0.0,
            min: value,
            max: value,
            first: value,
            last: value,
            increase: 0.0,
        }
    }

    /// Adds the sample that is next in time.
    pub fn add(&mut self, value: f64) {
        self.merge(&Self::new(self.start, value));
    }

    /// Adds the samples that are next in time.
    pub fn merge(&mut self, later: &Self) {
        let (mine, theirs) = (self.count as f64, later.count as f64);
        let all = mine + theirs;
        let distance = later.mean - self.mean;
        self.count += later.count;
        // Infinite samples have no deviation that could be told.
        let deviation = self.deviation + later.deviation + distance * distance * mine * theirs / all;
        self.deviation = if deviation.is_finite() { deviation } else { 0.0 };
        let mean = self.mean + distance * theirs / all;
        self.mean = if mean.is_nan() { later.mean } else { mean };
        self.min = self.min.min(later.min);
        self.max = self.max.max(later.max);
        self.increase += later.increase + counter_step(self.last, later.first);
        self.last = later.last;
    }

    /// The sum of the samples.
    pub fn sum(&self) -> f64 {
        self.mean * self.count as f64
    }

    /// The sum of their squares.
    pub fn sum_of_squares(&self) -> f64 {
        self.deviation + self.mean * self.mean * self.count as f64
    }

    /// Their standard deviation, as of a whole population.
    pub fn std_dev(&self) -> f64 {
        (self.deviation / self.count.max(1) as f64).sqrt()
    }
}

/// How much a counter went up between two samples. One that went down began again at zero.
pub fn counter_step(before: f64, after: f64) -> f64 {
    let step = if after >= before { after - before } else { after };
    if step.is_finite() { step.max(0.0) } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: &[f64]) -> Bucket {
        let mut bucket = Bucket::new(0, values[0]);
        values[1..].iter().for_each(|value| bucket.add(*value));
        bucket
    }

    #[test]
    fn merging_is_as_if_all_were_added() {
        let values = [3.0, 8.5, -2.0, 8.5, 1e6, 4.25, 0.0];
        for cut in 1..values.len() {
            let mut merged = of(&values[..cut]);
            merged.merge(&of(&values[cut..]));
            let all = of(&values);
            assert_eq!((merged.count, merged.min, merged.max), (all.count, all.min, all.max));
            assert_eq!((merged.first, merged.last, merged.increase), (all.first, all.last, all.increase));
            assert!(
                (merged.mean - all.mean).abs() < 1e-6
                    && (merged.deviation / all.deviation - 1.0).abs() < 1e-9
            );
        }
    }

    #[test]
    fn counters_survive_starts_at_zero() {
        assert_eq!(of(&[100.0, 130.0, 20.0, 25.0]).increase, 30.0 + 20.0 + 5.0);
        let mut split = of(&[100.0, 130.0]);
        split.merge(&of(&[20.0, 25.0]));
        assert_eq!(split.increase, 55.0);
    }

    #[test]
    fn deviations_of_large_values_are_not_lost() {
        let bucket = of(&[1e12, 1e12 + 1.0, 1e12 + 2.0]);
        assert!((bucket.std_dev() - (2.0_f64 / 3.0).sqrt()).abs() < 1e-3, "{}", bucket.std_dev());
    }

    #[test]
    fn infinity_harms_nothing_but_the_mean() {
        let bucket = of(&[1.0, f64::INFINITY, 2.0]);
        assert_eq!((bucket.count, bucket.min, bucket.last, bucket.deviation), (3, 1.0, 2.0, 0.0));
        assert!(!bucket.mean.is_nan());
        let both = of(&[f64::INFINITY, f64::NEG_INFINITY, 1.0]);
        assert!(!both.mean.is_nan() && both.increase == 0.0 + 0.0 + 0.0);
    }
}

//! A sample that is a distribution: many values that were seen since the sample before.

use super::bucket::Bucket;
use super::sketch::Sketch;

/// How values were distributed over a short time, such as the durations of the requests of ten seconds. Merged with
/// others of its series it answers every quantile to a hundredth of the value, over any range. Values are durations, sizes
/// and the like: what is below zero counts as zero in quantiles.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Distribution {
    pub(crate) count: u64,
    pub(crate) sum: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
    /// How many values are zero or below.
    pub(crate) zeros: u64,
    /// Positive values: number of a bin of [`Sketch`], and how many are in it, in order.
    pub(crate) bins: Vec<(i32, u64)>,
}

impl Distribution {
    /// The distribution of some values; `None` without a finite one.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut found: Option<(f64, f64, f64)> = None;
        let mut counted = Vec::new();
        for value in values.into_iter().filter(|value| value.is_finite()) {
            let (sum, min, max) = found.unwrap_or((0.0, f64::INFINITY, f64::NEG_INFINITY));
            found = Some((sum + value, min.min(value), max.max(value)));
            counted.push((value, 1));
        }
        let (sum, min, max) = found?;
        Self::counted(sum, (min, max), counted)
    }

    /// The distribution of values that someone has counted: `counted` has values, and how many are within a hundredth of
    /// each. `None` when it has none.
    pub fn counted(
        sum: f64,
        (min, max): (f64, f64),
        counted: impl IntoIterator<Item = (f64, u64)>,
    ) -> Option<Self> {
        let (mut count, mut zeros) = (0_u64, 0_u64);
        let mut bins: Vec<(i32, u64)> = Vec::new();
        for (value, number) in counted.into_iter().filter(|(_, number)| *number > 0) {
            count = count.saturating_add(number);
            match Sketch::bin_of(value) {
                Some(bin) => bins.push((bin, number)),
                None => zeros = zeros.saturating_add(number),
            }
        }
        bins.sort_unstable_by_key(|(bin, _)| *bin);
        bins.dedup_by(|later, kept| {
            let is_same = later.0 == kept.0;
            if is_same {
                kept.1 = kept.1.saturating_add(later.1);
            }
            is_same
        });
        let is_sound = count > 0 && [sum, min, max].into_iter().all(f64::is_finite);
        is_sound.then_some(Self { count, sum, min, max, zeros, bins })
    }

    /// How many values there are.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Adds the values of another.
    pub fn merge(&mut self, other: &Self) {
        self.count = self.count.saturating_add(other.count);
        self.sum += other.sum;
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
        self.zeros = self.zeros.saturating_add(other.zeros);
        let mut bins = Vec::with_capacity(self.bins.len().max(other.bins.len()));
        let (mut mine, mut theirs) = (self.bins.iter().peekable(), other.bins.iter().peekable());
        while let Some((bin, count)) = match (mine.peek(), theirs.peek()) {
            (Some(one), Some(other)) if other.0 < one.0 => theirs.next(),
            (Some(_), _) => mine.next(),
            (None, _) => theirs.next(),
        } {
            match bins.last_mut() {
                Some((last, known)) if last == bin => *known = u64::saturating_add(*known, *count),
                _ => bins.push((*bin, *count)),
            }
        }
        self.bins = bins;
    }

    /// What is known of its values beside their distribution. No one of them is the first or the last: both are the mean.
    pub(crate) fn bucket(&self, start: i64) -> Bucket {
        let count = self.count.max(1) as f64;
        let mean = self.sum / count;
        let spread = |value: f64, number: u64| (value - mean) * (value - mean) * number as f64;
        let of_bins: f64 =
            self.bins.iter().map(|(bin, number)| spread(Sketch::value_of(*bin), *number)).sum();
        // One value alone has none, and is not quite that of its bin.
        let is_one = self.min == self.max;
        let deviation = if is_one { 0.0 } else { of_bins + spread(0.0, self.zeros) };
        let (min, max) = (self.min, self.max);
        Bucket { start, count: self.count, mean, deviation, min, max, first: mean, last: mean, increase: 0.0 }
    }

    /// Adds its values to a sketch.
    pub(crate) fn add_to(&self, sketch: &mut Sketch) {
        sketch.add_bins(self.zeros, &self.bins);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(seed: u32, count: u32) -> impl Iterator<Item = f64> {
        (1..=count).map(move |n| (f64::from(n * seed) * 0.618_034).fract().mul_add(9.0, -7.0).exp())
    }

    #[test]
    fn merged_distributions_answer_as_one() {
        let mut merged = Distribution::of(values(1, 400)).unwrap();
        merged.merge(&Distribution::of(values(7, 900)).unwrap());
        let mut all: Vec<f64> = values(1, 400).chain(values(7, 900)).collect();
        let whole = Distribution::of(all.iter().copied()).unwrap();
        assert_eq!((merged.count, merged.zeros, &merged.bins), (1300, 0, &whole.bins));
        let (found, exact) = (merged.bucket(0), {
            let mut exact = Bucket::new(0, all[0]);
            all[1..].iter().for_each(|value| exact.add(*value));
            exact
        });
        assert_eq!((found.count, found.min, found.max), (exact.count, exact.min, exact.max));
        assert!((found.mean / exact.mean - 1.0).abs() < 1e-9);
        assert!((found.std_dev() / exact.std_dev() - 1.0).abs() < 0.02);
        let mut sketch = Sketch::default();
        merged.add_to(&mut sketch);
        all.sort_by(f64::total_cmp);
        for q in [0.5, 0.95, 0.99] {
            let exact = all[(q * 1300.0_f64).ceil() as usize - 1];
            assert!((sketch.quantile(q).unwrap() / exact - 1.0).abs() <= 0.01 + 1e-9, "{q}");
        }
    }

    #[test]
    fn what_is_no_number_is_left_out_and_what_is_zero_is_counted() {
        assert_eq!(Distribution::of([]), None);
        assert_eq!(Distribution::of([f64::NAN, f64::INFINITY]), None);
        let odd = Distribution::of([0.0, -1.0, f64::NAN, 2.0]).unwrap();
        assert_eq!((odd.count, odd.zeros, odd.sum, odd.min, odd.max), (3, 2, 1.0, -1.0, 2.0));
        assert_eq!(Distribution::counted(1.0, (1.0, 1.0), [(1.0, 0)]), None);
        assert_eq!(Distribution::counted(f64::NAN, (1.0, 1.0), [(1.0, 1)]), None);
        let one = Distribution::of([3.0]).unwrap().bucket(7);
        assert_eq!((one.start, one.count, one.mean, one.std_dev()), (7, 1, 3.0, 0.0));
    }
}

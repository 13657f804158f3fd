//! A histogram with bins of equal ratio, so that every quantile is right to a hundredth of the value.
//!
//! It is DDSketch (Masson, Rim, Lee: "DDSketch: a fast and fully-mergeable quantile sketch with relative-error
//! guarantees", VLDB 2019) with dense bins. The crates that there are do not show their bins, and bins are what is stored
//! as columns here.

/// Largest relative error of a quantile.
const ERROR: f64 = 0.01;
/// Ratio of one bin to the next: (1 + error) ÷ (1 − error).
const GAMMA: f64 = (1.0 + ERROR) / (1.0 - ERROR);
/// What is nearer to zero than this counts as zero: no latency is shorter than a nanosecond.
const SMALLEST: f64 = 1e-9;
/// What is farther from zero goes to the last bin.
const LARGEST: f64 = 1e18;
/// Bins at most, from the smallest to the largest value.
pub(crate) const MOST_BINS: usize = 3200;

/// The distribution of some values. Two merge without loss.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sketch {
    zeros: u64,
    positive: Bins,
    negative: Bins,
}

/// Bins of values of one sign, by distance from zero.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Bins {
    /// Number of the first.
    offset: i32,
    counts: Vec<u64>,
}

impl Bins {
    /// The number of the bin of a distance.
    fn bin_of(distance: f64) -> i32 {
        (distance.min(LARGEST).ln() / GAMMA.ln()).ceil() as i32
    }

    fn add(&mut self, distance: f64) {
        let bin = Self::bin_of(distance);
        self.room_for(bin, bin);
        self.counts[(bin - self.offset) as usize] += 1;
    }

    /// Adds counts of bins, by number and in order.
    fn add_all(&mut self, bins: &[(i32, u64)]) {
        let (Some((first, _)), Some((last, _))) = (bins.first(), bins.last()) else { return };
        self.room_for(*first, *last);
        for (bin, count) in bins {
            let mine = &mut self.counts[(bin - self.offset) as usize];
            *mine = mine.saturating_add(*count);
        }
    }

    fn merge(&mut self, other: &Self) {
        if other.counts.is_empty() {
            return;
        }
        self.room_for(other.offset, other.offset + other.counts.len() as i32 - 1);
        let start = (other.offset - self.offset) as usize;
        for (mine, theirs) in self.counts[start..].iter_mut().zip(&other.counts) {
            *mine += theirs;
        }
    }

    fn room_for(&mut self, first: i32, last: i32) {
        if self.counts.is_empty() {
            self.offset = first;
        }
        if first < self.offset {
            let missing = (self.offset - first) as usize;
            self.counts.splice(0..0, std::iter::repeat_n(0, missing));
            self.offset = first;
        }
        let length = (last - self.offset) as usize + 1;
        if length > self.counts.len() {
            self.counts.resize(length, 0);
        }
    }

    fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    fn distance(&self, index: usize) -> f64 {
        middle_of(self.offset + index as i32)
    }
}

/// The distance that stands for a bin: it is equally far, by ratio, from both of its ends.
fn middle_of(bin: i32) -> f64 {
    2.0 * GAMMA.powi(bin) / (1.0 + GAMMA)
}

impl Sketch {
    /// The number of the bin of a positive value; `None` for what counts as zero.
    pub(super) fn bin_of(value: f64) -> Option<i32> {
        (value >= SMALLEST).then(|| Bins::bin_of(value))
    }

    /// The value that stands for a bin of positive values.
    pub(super) fn value_of(bin: i32) -> f64 {
        middle_of(bin)
    }

    /// Adds counts of bins of positive values, by number and in order.
    pub(super) fn add_bins(&mut self, zeros: u64, bins: &[(i32, u64)]) {
        self.zeros += zeros;
        self.positive.add_all(bins);
    }

    /// From its parts, as [`Sketch::zeros`], [`Sketch::offset`] and [`Sketch::bins`] give them; `None` when they are not
    /// those of a sketch.
    pub fn from_parts(zeros: u64, offset: i32, counts: Vec<u64>) -> Option<Self> {
        let is_sound = counts.len() <= MOST_BINS && offset.unsigned_abs() as usize <= MOST_BINS;
        is_sound.then(|| Self { zeros, positive: Bins { offset, counts }, negative: Bins::default() })
    }

    /// How many values are zero or negative: rollups keep no more of these.
    pub fn zeros(&self) -> u64 {
        self.zeros + self.negative.count()
    }

    /// Number of the first bin of positive values. Bin `n` has those above 1.0202ⁿ⁻¹ and up to 1.0202ⁿ.
    pub fn offset(&self) -> i32 {
        self.positive.offset
    }

    /// Positive values in each bin.
    pub fn bins(&self) -> &[u64] {
        &self.positive.counts
    }

    /// How many values there are.
    pub fn count(&self) -> u64 {
        self.zeros + self.positive.count() + self.negative.count()
    }

    /// Adds a value. NaN is none.
    pub fn add(&mut self, value: f64) {
        if value.is_nan() {
        } else if value.abs() < SMALLEST {
            self.zeros += 1;
        } else if value > 0.0 {
            self.positive.add(value);
        } else {
            self.negative.add(-value);
        }
    }

    /// Adds the values of another.
    pub fn merge(&mut self, other: &Self) {
        self.zeros += other.zeros;
        self.positive.merge(&other.positive);
        self.negative.merge(&other.negative);
    }

    /// The quantile `q` between 0 and 1 by nearest rank, right to a hundredth of the value; `None` without values.
    pub fn quantile(&self, q: f64) -> Option<f64> {
        let count = self.count();
        let rank = ((q * count as f64).ceil() as u64).clamp(1, count.max(1));
        let mut seen = 0;
        for (index, bin) in self.negative.counts.iter().enumerate().rev() {
            seen += bin;
            if rank <= seen {
                return Some(-self.negative.distance(index));
            }
        }
        seen += self.zeros;
        if rank <= seen {
            return Some(0.0);
        }
        for (index, bin) in self.positive.counts.iter().enumerate() {
            seen += bin;
            if rank <= seen {
                return Some(self.positive.distance(index));
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_right_to_a_hundredth() {
        // A wide distribution without a library: powers of a number that never repeats.
        let mut values: Vec<f64> =
            (1..=5000).map(|n| (f64::from(n) * 0.618_034).fract().mul_add(14.0, -9.0).exp()).collect();
        let (mut left, mut right) = (Sketch::default(), Sketch::default());
        for (index, value) in values.iter().enumerate() {
            if index % 3 == 0 { left.add(*value) } else { right.add(*value) }
        }
        left.merge(&right);
        values.sort_by(f64::total_cmp);
        assert_eq!(left.count(), 5000);
        for q in [0.0, 0.01, 0.25, 0.5, 0.9, 0.95, 0.99, 0.999, 1.0] {
            let rank = ((q * 5000.0_f64).ceil() as usize).clamp(1, 5000);
            let (exact, found) = (values[rank - 1], left.quantile(q).unwrap());
            assert!((found / exact - 1.0).abs() <= ERROR + 1e-9, "{q}: {found} instead of {exact}");
        }
    }

    #[test]
    fn what_has_no_logarithm_is_counted_all_the_same() {
        let mut sketch = Sketch::default();
        assert_eq!(sketch.quantile(0.5), None);
        for value in [0.0, -3.0, f64::NAN, 1e-12, f64::INFINITY, 2.0] {
            sketch.add(value);
        }
        assert_eq!((sketch.count(), sketch.zeros()), (5, 3));
        assert!((sketch.quantile(0.1).unwrap() / -3.0 - 1.0).abs() < 0.011);
        assert_eq!(sketch.quantile(0.5), Some(0.0));
        assert!((sketch.quantile(0.8).unwrap() / 2.0 - 1.0).abs() < 0.011);
        let back = Sketch::from_parts(sketch.zeros(), sketch.offset(), sketch.bins().to_vec()).unwrap();
        assert_eq!((back.count(), back.quantile(0.8)), (5, sketch.quantile(0.8)));
        assert!(
            Sketch::from_parts(0, i32::MAX, vec![1]).is_none()
                && Sketch::from_parts(0, 0, vec![0; 1 << 20]).is_none()
        );
        let mut bytes = Sketch::default();
        (1..=100).for_each(|n| bytes.add(f64::from(n) * 1.6e9));
        assert!((bytes.quantile(0.95).unwrap() / (95.0 * 1.6e9) - 1.0).abs() < 0.011);
        let mut empty = Sketch::default();
        empty.merge(&sketch);
        assert_eq!(empty, sketch);
    }
}

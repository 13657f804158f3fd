//! Ratios over an interval from counters that only grow.

use std::collections::HashMap;
use std::hash::Hash;

/// The last value of counters, by whatever tells them apart.
#[derive(Debug)]
pub struct Delta<K> {
    last: HashMap<K, f64>,
}

impl<K> Default for Delta<K> {
    fn default() -> Self {
        Self { last: HashMap::new() }
    }
}

impl<K: Eq + Hash> Delta<K> {
    /// What was added since the last call; `None` the first time, and after a reset, when no one can know.
    pub fn add(&mut self, key: K, value: f64) -> Option<f64> {
        let before = self.last.insert(key, value)?;
        (value >= before).then_some(value - before)
    }

    /// Forgets everything, as after a restart of the target.
    pub fn clear(&mut self) {
        self.last.clear();
    }
}

/// The share that one counter has in the sum of itself and another, over the interval between two checks.
#[derive(Debug, Default)]
pub struct Ratio(Delta<bool>);

impl Ratio {
    /// `part ÷ (part + rest)` over the interval; `None` when it is the first, when a counter was reset, or when there
    /// was less activity than `least`, which would make a ratio of noise.
    pub fn of(&mut self, part: f64, rest: f64, least: f64) -> Option<f64> {
        let (part, rest) = (self.0.add(true, part), self.0.add(false, rest));
        let (part, rest) = (part?, rest?);
        (part + rest >= least && part + rest > 0.0).then(|| part / (part + rest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_is_of_the_interval_and_survives_resets() {
        let mut ratio = Ratio::default();
        assert_eq!(ratio.of(900.0, 100.0, 1.0), None);
        assert_eq!(ratio.of(901.0, 103.0, 1.0), Some(0.25));
        assert_eq!(ratio.of(901.0, 103.0, 1.0), None, "no activity is no ratio");
        assert_eq!(ratio.of(5.0, 5.0, 1.0), None, "a reset");
        assert_eq!(ratio.of(10.0, 5.0, 1.0), Some(1.0));
        assert_eq!(ratio.of(11.0, 5.0, 100.0), None, "too little");
    }
}

//! What counters say of the time between two checks.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

/// Checks closer together than this say nothing of an interval: a check made by hand right after another.
const SHORTEST: Duration = Duration::from_millis(500);

/// Seconds between two looks; `None` when they are too close.
pub(crate) fn seconds(now: Instant, before: Instant) -> Option<f64> {
    let between = now.saturating_duration_since(before);
    (between >= SHORTEST).then_some(between.as_secs_f64())
}

/// How much a counter has grown; `None` when it went back, as after a restart of the machine.
pub(crate) fn growth(now: Option<f64>, before: Option<f64>) -> Option<f64> {
    let (now, before) = (now?, before?);
    let grown = now - before;
    (grown.is_finite() && grown >= 0.0).then_some(grown)
}

/// How much a counter has grown lately.
#[derive(Debug)]
pub(crate) struct Recent {
    window: Duration,
    last: Option<f64>,
    /// Growth between two looks, where there was any.
    grown: VecDeque<(Instant, f64)>,
}

impl Recent {
    pub(crate) fn new(window: Duration) -> Self {
        Self { window, last: None, grown: VecDeque::new() }
    }

    /// Takes in the counter's value, and gives its growth within the window; `None` at the first look.
    pub(crate) fn add(&mut self, now: Instant, value: f64) -> Option<f64> {
        let before = self.last.replace(value)?;
        // A counter that began again has grown by what it shows.
        let grown = if value >= before { value - before } else { value };
        if grown > 0.0 {
            self.grown.push_back((now, grown));
        }
        while self.grown.front().is_some_and(|(at, _)| now.saturating_duration_since(*at) > self.window) {
            self.grown.pop_front();
        }
        Some(self.grown.iter().map(|(_, grown)| grown).sum())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_that_went_back_has_no_growth() {
        assert_eq!(growth(Some(5.0), Some(3.0)), Some(2.0));
        assert_eq!(growth(Some(3.0), Some(5.0)), None);
        assert_eq!(growth(None, Some(5.0)), None);
        assert_eq!(growth(Some(f64::NAN), Some(5.0)), None);
    }

    #[tokio::test(start_paused = true)]
    async fn recent_growth_is_forgotten_after_the_window() {
        let mut recent = Recent::new(Duration::from_secs(60));
        assert_eq!(recent.add(Instant::now(), 10.0), None, "what was before is not known");
        tokio::time::advance(Duration::from_secs(30)).await;
        assert_eq!(recent.add(Instant::now(), 12.0), Some(2.0));
        tokio::time::advance(Duration::from_secs(30)).await;
        assert_eq!(recent.add(Instant::now(), 1.0), Some(3.0), "it began again");
        tokio::time::advance(Duration::from_secs(45)).await;
        assert_eq!(recent.add(Instant::now(), 1.0), Some(1.0));
        tokio::time::advance(Duration::from_secs(45)).await;
        assert_eq!(recent.add(Instant::now(), 1.0), Some(0.0));
    }
}

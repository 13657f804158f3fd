//! Whether the clock is to be believed when it says that history is old: what is removed does not come back.

use std::time::Duration;

use tokio::time::Instant;
use wise_core::Timestamp;

/// A clock that is farther ahead than time has passed, by this, has jumped.
const JUMP: Duration = Duration::from_secs(3600);
/// Days without history after which a start may as well be one with a wrong clock.
const GAP_DAYS: i64 = 2;

/// What is known of the clock.
#[derive(Debug, Default)]
pub(super) struct ClockTrust {
    patience: Duration,
    last: Option<(Timestamp, Instant)>,
    jumped: Option<Instant>,
}

impl ClockTrust {
    /// A clock that jumps ahead is believed when it has stayed there for so long.
    pub(super) fn new(patience: Duration) -> Self {
        Self { patience, last: None, jumped: None }
    }

    /// At a start: the newest day that there is history of, and the day that the clock says.
    pub(super) fn begin(&mut self, newest: i64, today: i64) {
        if today - newest > GAP_DAYS {
            self.jumped = Some(Instant::now());
        }
    }

    /// Looks at the clock.
    pub(super) fn observe(&mut self, now: Timestamp) {
        let instant = Instant::now();
        if let Some((before, then)) = self.last {
            let passed = instant.saturating_duration_since(then);
            if now > before.plus(passed + JUMP) {
                self.jumped = Some(instant);
                if self.patience > Duration::ZERO {
                    tracing::warn!(
                        "the clock has jumped ahead to {now}: nothing is removed from history for a while"
                    );
                }
            } else if before > now.plus(JUMP) {
                // It was set back to where it belongs.
                self.jumped = None;
            }
        }
        self.last = Some((now, instant));
    }

    /// Whether it is believed.
    pub(super) fn holds(&self) -> bool {
        self.jumped.is_none_or(|since| since.elapsed() >= self.patience)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_clock_that_jumps_ahead_is_believed_when_it_stays_there() {
        let hours = |hours: u64| Duration::from_secs(hours * 3600);
        let mut trust = ClockTrust::new(hours(6));
        let start = Timestamp::from_seconds(1_000_000);
        trust.observe(start);
        tokio::time::advance(hours(2)).await;
        trust.observe(start.plus(hours(2)));
        assert!(trust.holds(), "time has passed, and the clock with it");
        trust.observe(start.plus(hours(240)));
        assert!(!trust.holds());
        trust.observe(start.plus(hours(2)));
        assert!(trust.holds(), "it was set back");
        trust.observe(start.plus(hours(240)));
        tokio::time::advance(hours(6)).await;
        trust.observe(start.plus(hours(246)));
        assert!(trust.holds(), "it has stayed there");
        let mut at_start = ClockTrust::new(hours(6));
        at_start.begin(100, 102);
        assert!(at_start.holds());
        at_start.begin(100, 110);
        assert!(!at_start.holds());
    }
}

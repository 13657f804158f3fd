//! Restarts of a target, by its uptime.

use std::time::Duration;

/// Notices that an uptime goes back. A target that was just started when it is first seen was not restarted as far as
/// anybody here knows: an alarm for that would greet every new monitor.
#[derive(Debug)]
pub struct RestartWatch {
    /// How long a restart is told of.
    told_for: f64,
    last: Option<f64>,
    was_seen: bool,
}

impl RestartWatch {
    /// Tells of a restart for so long.
    pub const fn new(told_for: Duration) -> Self {
        Self { told_for: told_for.as_secs_f64(), last: None, was_seen: false }
    }

    /// What an earlier run of the monitoring knew: the last uptime.
    pub fn remember(&mut self, uptime: f64) {
        self.last.get_or_insert(uptime);
    }

    /// Whether nothing is known yet.
    pub fn is_new(&self) -> bool {
        self.last.is_none()
    }

    /// Takes in an uptime in seconds; whether a restart was seen that is recent.
    pub fn is_recent(&mut self, uptime: f64) -> bool {
        // A second for clocks that are corrected.
        self.was_seen |= self.last.is_some_and(|last| uptime + 1.0 < last);
        self.was_seen &= uptime < self.told_for;
        self.last = Some(uptime);
        self.was_seen
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_restart_that_was_seen_is_told_and_only_for_a_while() {
        let mut watch = RestartWatch::new(Duration::from_secs(60));
        for (uptime, expected) in [
            (5.0, false),
            (35.0, false),
            (3.0, true),
            (33.0, true),
            (63.0, false),
            (62.5, false),
            (93.0, false),
        ] {
            assert_eq!(watch.is_recent(uptime), expected, "{uptime}");
        }
        let mut watch = RestartWatch::new(Duration::from_secs(60));
        watch.remember(1000.0);
        assert!(watch.is_recent(10.0), "the monitoring was restarted with it");
    }
}

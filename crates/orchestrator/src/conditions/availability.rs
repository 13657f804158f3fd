//! When a monitor is down: N failures of the last M checks of availability, or one that is final.

use std::collections::VecDeque;

use wise_core::{ClearCause, Condition, ConditionKey, EventKind, Failure, MonitorSpec, Severity, Timestamp};

use super::Seen;

/// Outcomes of availability checks, and whether they make the monitor down.
#[derive(Debug)]
pub(crate) struct Availability {
    /// N: failures that make it down.
    failures: u32,
    /// M: among so many last checks.
    window: u32,
    /// Passed checks in a row that end it.
    successes: u32,
    /// Outcomes of the last checks, the newest in the lowest bit, 1 for a failure.
    recent: u128,
    /// When the failures in the window were, the oldest first.
    failed_at: VecDeque<Timestamp>,
    passed_in_a_row: u32,
    is_failing: bool,
    is_known: bool,
    down: Option<Condition>,
}

impl Availability {
    pub(super) fn new(spec: &MonitorSpec) -> Self {
        Self {
            failures: spec.failures_before_unhealthy,
            window: spec.failure_window.unwrap_or(spec.failures_before_unhealthy),
            successes: spec.successes_before_healthy,
            recent: 0,
            failed_at: VecDeque::new(),
            passed_in_a_row: 0,
            is_failing: false,
            is_known: false,
            down: None,
        }
    }

    /// Whether the last check failed through the target, so that the other probes should wait.
    pub(crate) fn is_failing(&self) -> bool {
        self.is_failing
    }

    /// Whether it has been decided once whether the monitor is up or down.
    pub(crate) fn is_known(&self) -> bool {
        self.is_known
    }

    /// Whether it counts as decided. A monitor that was paused is unknown until its next check.
    pub(crate) fn set_known(&mut self, is_known: bool) {
        self.is_known = is_known;
    }

    pub(super) fn resume(&mut self) {
        self.recent = 0;
        self.failed_at.clear();
        self.passed_in_a_row = 0;
        self.is_known = false;
    }

    /// The condition `down`, with the reason of the last failure.
    pub(crate) fn down(&self) -> Option<&Condition> {
        self.down.as_ref()
    }

    pub(super) fn into_condition(self) -> Option<Condition> {
        self.down
    }

    pub(super) fn restore(&mut self, down: Condition) {
        self.is_failing = true;
        self.is_known = true;
        self.down = Some(down);
    }

    pub(super) fn replace(&mut self, old: Self) {
        self.recent = old.recent;
        self.failed_at = old.failed_at;
        self.passed_in_a_row = old.passed_in_a_row;
        self.is_failing = old.is_failing;
        self.is_known = old.is_known;
        self.down = old.down;
        self.forget_old();
    }

    pub(super) fn apply(&mut self, seen: &Seen<'_>, events: &mut Vec<EventKind>) {
        if let Some(failure) = seen.target_failure() {
            self.failed(seen, failure, events);
        } else if seen.report.failure.is_none() {
            self.passed(events);
        }
        // Our own trouble is no evidence either way: what is known of the target stays.
    }

    fn failed(&mut self, seen: &Seen<'_>, failure: &Failure, events: &mut Vec<EventKind>) {
        self.is_failing = true;
        self.passed_in_a_row = 0;
        self.recent = (self.recent << 1) | 1;
        self.failed_at.push_back(seen.time);
        self.forget_old();
        let reason = seen.reason(failure);
        if let Some(down) = &mut self.down {
            // What is told is how it fails now; the event that raised it has how it began.
            down.reason = reason;
            self.is_known = true;
            return;
        }
        let count = self.failed_at.len();
        let run = if failure.class.is_final {
            self.recent.trailing_ones() as usize
        } else if count >= self.failures as usize {
            self.failures as usize
        } else {
            return;
        };
        let since = self.failed_at.get(count.saturating_sub(run)).copied().unwrap_or(seen.time);
        let condition = Condition {
            key: ConditionKey::Down { probe: seen.probe.to_owned() },
            severity: Severity::Critical,
            since,
            reason,
            evidence: seen.evidence.cloned(),
        };
        events.push(EventKind::Raised { condition: condition.clone() });
        self.is_known = true;
        self.down = Some(condition);
    }

    fn passed(&mut self, events: &mut Vec<EventKind>) {
        self.is_failing = false;
        self.passed_in_a_row = self.passed_in_a_row.saturating_add(1);
        self.recent <<= 1;
        self.forget_old();
        if self.down.is_some() && self.passed_in_a_row < self.successes {
            return;
        }
        self.is_known = true;
        if let Some(condition) = self.down.take() {
            // Failures from before the recovery must not count towards the next outage.
            self.recent = 0;
            self.failed_at.clear();
            events.push(EventKind::Cleared { condition, cause: ClearCause::Recovered });
        }
    }

    /// Forgets failures that have left the window.
    fn forget_old(&mut self) {
        if self.failed_at.is_empty() {
            return;
        }
        let mask = 1u128.checked_shl(self.window).map_or(u128::MAX, |bit| bit - 1);
        let count = (self.recent & mask).count_ones() as usize;
        while self.failed_at.len() > count {
            self.failed_at.pop_front();
        }
    }
}

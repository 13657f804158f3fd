//! Probes that fail, and probes whose checks cannot be made.

use wise_core::{ClearCause, Condition, ConditionKey, EventKind, Reason, Severity, Timestamp};

use super::Seen;

/// The runs of failures of one probe.
#[derive(Debug)]
pub(super) struct ProbeRuns {
    /// Failures in a row that raise a condition.
    needed: u32,
    /// Failures of the target.
    failing: Run,
    /// Checks that could not be made.
    unknown: Run,
}

#[derive(Debug, Default)]
struct Run {
    count: u32,
    first: Timestamp,
    condition: Option<Condition>,
}

impl Run {
    /// Counts one more; answers since when, the first time that there are enough.
    fn count(&mut self, time: Timestamp, needed: u32) -> Option<Timestamp> {
        if self.count == 0 {
            self.first = time;
        }
        self.count = self.count.saturating_add(1);
        (self.count >= needed && self.condition.is_none()).then_some(self.first)
    }

    fn raise(&mut self, condition: Condition, events: &mut Vec<EventKind>) {
        events.push(EventKind::Raised { condition: condition.clone() });
        self.condition = Some(condition);
    }

    fn clear(&mut self, cause: ClearCause, events: &mut Vec<EventKind>) {
        self.count = 0;
        if let Some(condition) = self.condition.take() {
            events.push(EventKind::Cleared { condition, cause });
        }
    }

    fn resume(&mut self) {
        if self.condition.is_none() {
            self.count = 0;
        }
    }

    fn restore(&mut self, condition: Condition, needed: u32) {
        *self = Self { count: needed, first: condition.since, condition: Some(condition) };
    }
}

impl ProbeRuns {
    pub(super) fn new(needed: u32) -> Self {
        Self { needed, failing: Run::default(), unknown: Run::default() }
    }

    pub(super) fn failing(&self) -> Option<&Condition> {
        self.failing.condition.as_ref()
    }

    pub(super) fn unknown(&self) -> Option<&Condition> {
        self.unknown.condition.as_ref()
    }

    pub(super) fn conditions(&self) -> impl Iterator<Item = &Condition> {
        self.failing.condition.iter().chain(&self.unknown.condition)
    }

    pub(super) fn into_conditions(self) -> impl Iterator<Item = Condition> {
        self.failing.condition.into_iter().chain(self.unknown.condition)
    }

    pub(super) fn restore_failing(&mut self, condition: Condition) {
        self.failing.restore(condition, self.needed);
    }

    pub(super) fn restore_unknown(&mut self, condition: Condition) {
        self.unknown.restore(condition, self.needed);
    }

    pub(super) fn replace(&mut self, old: Self) {
        self.failing = old.failing;
        self.unknown = old.unknown;
    }

    pub(super) fn resume(&mut self) {
        self.failing.resume();
        self.unknown.resume();
    }

    /// Raises `unknown` at once, whatever the count.
    pub(super) fn cannot_be_checked(
        &mut self,
        probe: &str,
        reason: Reason,
        time: Timestamp,
        events: &mut Vec<EventKind>,
    ) {
        match &mut self.unknown.condition {
            Some(known) => known.reason = reason,
            None => self.unknown.raise(unknown(probe, time, reason), events),
        }
    }

    /// A change of the definition has ended trouble with this code, which no check can have reported.
    pub(super) fn clear_unknown_of(&mut self, code: &str, events: &mut Vec<EventKind>) {
        if self.unknown().is_some_and(|condition| condition.reason.code.as_deref() == Some(code)) {
            self.unknown.clear(ClearCause::Edited, events);
        }
    }

    pub(super) fn apply(&mut self, seen: &Seen<'_>, events: &mut Vec<EventKind>) {
        if let Some(failure) = seen.own_failure() {
            // Without availability there is no status, so that is told at once. Of another probe once is no news.
            let needed = if seen.index == 0 { 1 } else { self.needed };
            let reason = seen.reason(failure);
            if let Some(since) = self.unknown.count(seen.time, needed) {
                let mut condition = unknown(seen.probe, since, reason);
                condition.evidence = seen.evidence.cloned();
                self.unknown.raise(condition, events);
            } else if let Some(known) = &mut self.unknown.condition {
                known.reason = reason;
            }
            return;
        }
        // It could be made, whatever came of it.
        self.unknown.clear(ClearCause::Recovered, events);
        let Some(failure) = seen.target_failure() else {
            self.failing.clear(ClearCause::Recovered, events);
            return;
        };
        // That availability fails is the condition `down`.
        if seen.index == 0 {
            return;
        }
        let needed = if failure.class.is_final { 1 } else { self.needed };
        let reason = seen.reason(failure);
        if let Some(since) = self.failing.count(seen.time, needed) {
            let condition = Condition {
                key: ConditionKey::ProbeFailing { probe: seen.probe.to_owned() },
                severity: Severity::Warning,
                since,
                reason,
                evidence: seen.evidence.cloned(),
            };
            self.failing.raise(condition, events);
        } else if let Some(known) = &mut self.failing.condition {
            known.reason = reason;
        }
    }
}

fn unknown(probe: &str, since: Timestamp, reason: Reason) -> Condition {
    Condition {
        key: ConditionKey::Unknown { probe: probe.to_owned() },
        severity: Severity::Warning,
        since,
        reason,
        evidence: None,
    }
}

//! The status of one monitor: the summary of its conditions, under what a person has set over them.

use std::sync::Arc;

use serde_json::Value;
use wise_core::{
    DuplicateSeries, EventKind, Failure, Fault, Labels, MetricRef, MonitorSpec, MonitorState, Plugin, Reason,
    Report, Severity, Status, StatusChange, Timestamp, common,
};

use crate::conditions::{CANNOT_BE_BUILT, Conditions, edited};

/// Decides the status of one monitor. Pure: no clock, no I/O.
#[derive(Debug)]
pub struct StatusEngine {
    conditions: Conditions,
    /// Its owner has switched it off: no checks are made. Hides the conditions, as maintenance does; no check changes
    /// either.
    is_paused: bool,
    /// Why it is in a maintenance window, if it is. Checks are made. Pausing hides it and does not end it.
    maintenance: Option<Reason>,
    status: Status,
    /// Whether the last change said that the monitor was down.
    shown_down: bool,
    since: Timestamp,
    reason: Option<Reason>,
    /// Whether there was a change of status at all.
    is_told: bool,
}

/// What a report led to, beside events.
#[derive(Debug, PartialEq)]
pub struct Evaluation {
    /// The status has changed, or whether the monitor counts as down.
    pub has_changed: bool,
    /// The next check should come soon: the outcome is bad and not yet decided.
    pub retry: bool,
    /// The failure is final, so the next checks should come late.
    pub back_off: bool,
}

impl StatusEngine {
    /// An engine that knows nothing yet.
    pub fn new(spec: &MonitorSpec, plugin: &'static Plugin, now: Timestamp) -> Self {
        Self {
            conditions: Conditions::new(spec, plugin),
            is_paused: false,
            maintenance: None,
            status: Status::Unknown,
            shown_down: false,
            since: now,
            reason: None,
            is_told: false,
        }
    }

    /// Goes on where an earlier run ended: every condition that it had raised stays until its probe has reported.
    pub fn restore(&mut self, state: &MonitorState, events: &mut Vec<EventKind>) {
        let left = self.conditions.restore(&state.conditions);
        events.extend(left.into_iter().map(edited));
        self.status = state.status;
        self.shown_down = state.down;
        // Conditions may have come before the first change of status.
        self.is_told = state.since > Timestamp::default();
        if self.is_told {
            self.since = state.since;
        }
        self.reason.clone_from(&state.reason);
        self.is_paused = state.status == Status::Paused;
        self.maintenance =
            (state.status == Status::Maintenance).then(|| state.reason.clone().unwrap_or_default());
        match state.status {
            Status::Healthy | Status::Degraded | Status::Unhealthy | Status::Maintenance => {
                self.conditions.availability.set_known(true);
            }
            // Nothing was known of it, whatever was wrong before it was paused.
            Status::Unknown if self.conditions.unknown().is_none() => {
                self.conditions.availability.set_known(false);
            }
            Status::Unknown | Status::Paused => {}
        }
    }

    /// Takes over what another engine of the same monitor knew, so that a change of its definition clears only what it
    /// has left without meaning. `runs` tells which probes are scheduled.
    pub fn replace(&mut self, old: Self, runs: &dyn Fn(&str) -> bool, events: &mut Vec<EventKind>) {
        self.conditions.replace(old.conditions, runs, events);
        self.is_paused = old.is_paused;
        self.maintenance = old.maintenance;
        self.status = old.status;
        self.shown_down = old.shown_down;
        self.since = old.since;
        self.reason = old.reason;
        self.is_told = old.is_told;
    }

    /// The status now.
    pub fn status(&self) -> Status {
        self.status
    }

    /// Whether the monitor counts as down now.
    pub fn down(&self) -> bool {
        self.shown_down
    }

    /// Since when it has this status.
    pub fn since(&self) -> Timestamp {
        self.since
    }

    /// Why.
    pub fn reason(&self) -> Option<&Reason> {
        self.reason.as_ref()
    }

    /// What is wrong, whatever lies over it.
    pub fn conditions(&self) -> impl Iterator<Item = &wise_core::Condition> {
        self.conditions.all()
    }

    /// Whether the last availability check failed, so that the other probes should wait.
    pub fn is_failing(&self) -> bool {
        self.conditions.availability.is_failing()
    }

    /// Switches the monitor off, or on again. Until its next check, one that is switched on again is unknown.
    pub fn set_paused(&mut self, paused: bool, time: Timestamp, events: &mut Vec<EventKind>) {
        if self.is_paused && !paused {
            self.conditions.resume();
        }
        self.is_paused = paused;
        self.settle(time, events);
    }

    /// Puts the monitor into maintenance, or takes it out. One that is paused shows that it is until it is switched on.
    pub fn set_maintenance(
        &mut self,
        maintenance: Option<Reason>,
        time: Timestamp,
        events: &mut Vec<EventKind>,
    ) {
        self.maintenance = maintenance;
        self.settle(time, events);
    }

    /// The definition cannot be built, for this reason; `None` when it can.
    pub fn set_problem(&mut self, problem: Option<String>, time: Timestamp, events: &mut Vec<EventKind>) {
        let problem = problem.map(|text| Failure::new(&common::DEFINITION, text).code(CANNOT_BE_BUILT));
        self.conditions.set_problem(problem.as_ref(), time, events);
        self.settle(time, events);
    }

    /// Keeps one reading a series, the worse where a check gave several; answers the series that came more than once.
    /// Labels identify one part of the target, so this is a fault of the monitor's kind; what is worse must not be hidden by
    /// it.
    pub fn drop_duplicates(&mut self, report: &mut Report) -> Vec<(MetricRef, Labels)> {
        // Without labels a kind would have to measure the same twice by name, which its tests refuse.
        if report.readings.iter().all(|reading| reading.labels.is_empty()) {
            return Vec::new();
        }
        let found = report.duplicate_series();
        let mut dropped = Vec::with_capacity(found.len());
        for DuplicateSeries { first, index } in &found {
            let (kept, other) = (&report.readings[*first], &report.readings[*index]);
            dropped.push((other.metric.clone(), other.labels.clone()));
            if self.conditions.thresholds.is_worse(&other.metric, &other.value, &kept.value) {
                report.readings.swap(*first, *index);
            }
        }
        for DuplicateSeries { index, .. } in found.iter().rev() {
            report.readings.remove(*index);
        }
        dropped
    }

    /// Takes in a report of a probe. What changes is added to `events`: conditions first, then the status.
    pub fn apply(
        &mut self,
        probe: usize,
        report: &Report,
        evidence: Option<&Arc<Value>>,
        time: Timestamp,
        events: &mut Vec<EventKind>,
    ) -> Evaluation {
        self.conditions.apply(probe, report, evidence, time, events);
        let has_changed = self.settle(time, events);
        let is_target = report.failure.as_ref().is_some_and(|failure| failure.class.fault == Fault::Target);
        Evaluation {
            has_changed,
            retry: probe == 0 && is_target && self.conditions.availability.down().is_none(),
            back_off: report.failure.as_ref().is_some_and(|failure| failure.class.is_final),
        }
    }

    fn summary(&self) -> (Status, bool, Option<Reason>) {
        if self.is_paused {
            return (Status::Paused, false, None);
        }
        if let Some(reason) = &self.maintenance {
            return (Status::Maintenance, false, Some(reason.clone()));
        }
        if let Some(unknown) = self.conditions.unknown() {
            return (Status::Unknown, false, Some(unknown.reason.clone()));
        }
        // A monitor that was down when it was paused is not known to be down still.
        if !self.conditions.availability.is_known() {
            return (Status::Unknown, false, None);
        }
        // A failure that decides nothing yet changes nothing: that a check could be made again is no news that the target
        // is well.
        let is_undecided =
            self.conditions.availability.is_failing() && self.conditions.availability.down().is_none();
        if is_undecided && self.status == Status::Unknown {
            return (Status::Unknown, false, self.reason.clone());
        }
        if let Some(down) = self.conditions.availability.down() {
            return (Status::Unhealthy, true, Some(down.reason.clone()));
        }
        let worst = self.conditions.thresholds.worst();
        if let Some((Severity::Critical, reason)) = worst {
            return (Status::Unhealthy, false, Some(reason));
        }
        if let Some(failing) = self.conditions.failing_probe() {
            return (Status::Degraded, false, Some(failing.reason.clone()));
        }
        match worst {
            Some((_, reason)) => (Status::Degraded, false, Some(reason)),
            None => (Status::Healthy, false, None),
        }
    }

    /// Makes the status follow; whether it has changed.
    fn settle(&mut self, time: Timestamp, events: &mut Vec<EventKind>) -> bool {
        let (status, down, reason) = self.summary();
        self.reason = reason;
        // Unhealthy by a threshold and unhealthy because it is down differ in what counts against uptime: going from
        // one to the other is a change, though the status stays.
        if self.is_told && status == self.status && down == self.shown_down {
            return false;
        }
        // Of a new monitor nothing is known, and that is no news; that it cannot be checked is.
        if !self.is_told && status == Status::Unknown && self.reason.is_none() {
            return false;
        }
        // Down counts from the first failure of the run. One that was down already, below our own trouble, is seen to
        // be down from now on.
        let began = events.iter().find_map(|event| match event {
            EventKind::Raised { condition } if down && condition.key.kind() == "down" => {
                Some(condition.since)
            }
            _ => None,
        });
        let before = std::mem::replace(&mut self.status, status);
        let from = std::mem::replace(&mut self.is_told, true).then_some(before);
        self.shown_down = down;
        self.since = began.unwrap_or(time);
        events.push(EventKind::Status(StatusChange {
            from,
            to: status,
            down,
            since: self.since,
            reason: self.reason.clone(),
        }));
        true
    }
}

#[cfg(test)]
mod tests;

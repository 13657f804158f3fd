//! What is wrong with one monitor, from its reports. Pure: no clock, no I/O.
//!
//! [`Conditions`] takes in reports and says which conditions they raise, change and clear. `availability` decides when a
//! monitor is down, `probes` when another probe fails or checks cannot be made, `thresholds` which series are over a
//! bound. What the conditions add up to is decided by [`crate::StatusEngine`].

mod availability;
mod probes;
mod thresholds;

use std::sync::Arc;

use serde_json::Value;
use wise_core::{
    ClearCause, Condition, ConditionKey, EventKind, Failure, Fault, MonitorSpec, Plugin, Reason, Report,
    Timestamp,
};

use availability::Availability;
use probes::ProbeRuns;
use thresholds::Thresholds;

/// The code of a definition that cannot be built. Probes report trouble with their settings under codes of their own.
pub(crate) const CANNOT_BE_BUILT: &str = "cannot_be_built";

/// The conditions of one monitor, and the runs of failures that may become some.
#[derive(Debug)]
pub(crate) struct Conditions {
    plugin: &'static Plugin,
    pub(crate) availability: Availability,
    probes: Vec<ProbeRuns>,
    pub(crate) thresholds: Thresholds,
}

/// A report on its way through the parts.
#[derive(Clone, Copy)]
struct Seen<'r> {
    /// Name of the probe.
    probe: &'static str,
    /// Its place among the probes of the plugin; 0 is availability.
    index: usize,
    report: &'r Report,
    evidence: Option<&'r Arc<Value>>,
    time: Timestamp,
}

impl Seen<'_> {
    fn target_failure(&self) -> Option<&Failure> {
        self.report.failure.as_ref().filter(|failure| failure.class.fault == Fault::Target)
    }

    fn own_failure(&self) -> Option<&Failure> {
        self.report.failure.as_ref().filter(|failure| failure.class.fault == Fault::Own)
    }

    fn reason(&self, failure: &Failure) -> Reason {
        Reason::from_failure(failure, self.probe)
    }
}

impl Conditions {
    /// Nothing is known yet.
    pub(crate) fn new(spec: &MonitorSpec, plugin: &'static Plugin) -> Self {
        Self {
            plugin,
            availability: Availability::new(spec),
            probes: plugin.probes.iter().map(|_| ProbeRuns::new(spec.failures_before_unhealthy)).collect(),
            thresholds: Thresholds::new(spec, plugin),
        }
    }

    /// Takes over conditions that an earlier run had raised. Those of probes that this plugin does not have are not
    /// taken: they are answered.
    pub(crate) fn restore(&mut self, conditions: &[Condition]) -> Vec<Condition> {
        let mut left = Vec::new();
        for condition in conditions {
            let Some(index) = self.plugin.probes.iter().position(|probe| probe.name == condition.probe())
            else {
                left.push(condition.clone());
                continue;
            };
            match &condition.key {
                ConditionKey::Down { .. } => self.availability.restore(condition.clone()),
                ConditionKey::ProbeFailing { .. } => self.probes[index].restore_failing(condition.clone()),
                ConditionKey::Unknown { .. } => self.probes[index].restore_unknown(condition.clone()),
                ConditionKey::Threshold { metric, labels, .. } => {
                    self.thresholds.restore(self.plugin, index, metric, labels, condition);
                }
            }
        }
        left
    }

    /// Goes on from what was known under an earlier definition of the same monitor. Conditions that mean nothing under
    /// this one are cleared: those of another kind, of a probe that no longer `runs`, and of a metric without a bound.
    pub(crate) fn replace(&mut self, old: Self, runs: &dyn Fn(&str) -> bool, events: &mut Vec<EventKind>) {
        if !std::ptr::eq(self.plugin, old.plugin) {
            events.extend(old.into_conditions().map(edited));
            return;
        }
        self.availability.replace(old.availability);
        for (index, (mine, theirs)) in self.probes.iter_mut().zip(old.probes).enumerate() {
            if runs(self.plugin.probes[index].name) {
                mine.replace(theirs);
            } else {
                events.extend(theirs.into_conditions().map(edited));
            }
        }
        let probes = self.plugin.probes;
        self.thresholds.replace(old.thresholds, &|index| runs(probes[index].name), events);
    }

    /// Checks begin again after none were made on purpose: runs of before say nothing any more, and nothing is known until
    /// the next check. What was raised stays until then.
    pub(crate) fn resume(&mut self) {
        self.availability.resume();
        self.probes.iter_mut().for_each(ProbeRuns::resume);
        self.thresholds.resume();
    }

    fn into_conditions(self) -> impl Iterator<Item = Condition> {
        let probes = self.probes.into_iter().flat_map(ProbeRuns::into_conditions);
        self.availability.into_condition().into_iter().chain(probes).chain(self.thresholds.into_conditions())
    }

    /// Everything that is wrong.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Condition> {
        let probes = self.probes.iter().flat_map(ProbeRuns::conditions);
        self.availability.down().into_iter().chain(probes).chain(self.thresholds.conditions())
    }

    /// Whether availability could not be checked, through trouble of our own.
    pub(crate) fn unknown(&self) -> Option<&Condition> {
        self.probes.first().and_then(ProbeRuns::unknown)
    }

    /// The first probe other than availability that is failing.
    pub(crate) fn failing_probe(&self) -> Option<&Condition> {
        self.probes.iter().skip(1).find_map(ProbeRuns::failing)
    }

    /// The definition cannot be built, or can be built again.
    pub(crate) fn set_problem(
        &mut self,
        problem: Option<&Failure>,
        time: Timestamp,
        events: &mut Vec<EventKind>,
    ) {
        let Some((runs, probe)) = self.probes.first_mut().zip(self.plugin.probes.first()) else { return };
        match problem {
            Some(failure) => {
                let reason = Reason::from_failure(failure, probe.name);
                runs.cannot_be_checked(probe.name, reason, time, events);
            }
            None => runs.clear_unknown_of(CANNOT_BE_BUILT, events),
        }
    }

    /// Takes in a report of a probe.
    pub(crate) fn apply(
        &mut self,
        index: usize,
        report: &Report,
        evidence: Option<&Arc<Value>>,
        time: Timestamp,
        events: &mut Vec<EventKind>,
    ) {
        let Some(probe) = self.plugin.probes.get(index) else { return };
        let seen = Seen { probe: probe.name, index, report, evidence, time };
        if index == 0 {
            self.availability.apply(&seen, events);
        }
        self.probes[index].apply(&seen, events);
        self.thresholds.apply(&seen, events);
    }
}

/// The event of a condition that a change of the definition has left without meaning.
pub(crate) fn edited(condition: Condition) -> EventKind {
    EventKind::Cleared { condition, cause: ClearCause::Edited }
}

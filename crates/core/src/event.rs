//! Numbered, durable facts of the main record.

use crate::clock::Timestamp;
use crate::condition::Condition;
use crate::monitor_id::MonitorId;
use crate::record::Reason;
use crate::status::Status;

/// A fact about a monitor, stored before anyone is told. Never rewritten.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Event {
    /// The monitor.
    pub monitor: MonitorId,
    /// When it was decided: the start of the check that decided it, or the time of the change by hand.
    #[serde(with = "crate::clock::micros")]
    pub time: Timestamp,
    /// What happened.
    #[serde(flatten)]
    pub kind: EventKind,
}

/// What an event says.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum EventKind {
    /// A condition began. Its `since` may precede the event.
    Raised {
        /// The condition.
        condition: Condition,
    },
    /// A condition changed in severity.
    Changed {
        /// The condition as it is now.
        condition: Condition,
        /// Its severity before.
        before: crate::threshold::Severity,
    },
    /// A condition ended.
    Cleared {
        /// The condition as it was.
        condition: Condition,
        /// What ended it.
        cause: ClearCause,
    },
    /// The status changed, or whether the monitor counts as down.
    Status(StatusChange),
    /// A time in which no one watched. Counts as unknown; changes no condition and no status.
    Gap(Gap),
    /// The monitor was removed. It can be brought back for a while.
    Removed {
        /// Its name.
        name: String,
    },
    /// The monitor was brought back.
    Restored {
        /// Its name.
        name: String,
    },
}

/// A change of status.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct StatusChange {
    /// The status before; `None` for the first that the monitor ever had.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Status>,
    /// The status after.
    pub to: Status,
    /// Whether the monitor counts as down after it.
    pub down: bool,
    /// From when it holds. A monitor is down from the first failure of the run that decided it, which precedes the
    /// event.
    #[serde(with = "crate::clock::micros")]
    pub since: Timestamp,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
}

/// A time in which no one watched.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Gap {
    /// The first check that was due and not made.
    #[serde(with = "crate::clock::micros")]
    pub from: Timestamp,
    /// When the next check was due after it.
    #[serde(with = "crate::clock::micros")]
    pub until: Timestamp,
    /// Why: the server was stopped, the process or the machine stood still, or the clock was set forward.
    pub reason: Reason,
}

/// What ended a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClearCause {
    /// Its probe has reported that it is over.
    Recovered,
    /// The part of the target that it was about is gone.
    Gone,
    /// A change of the definition left it without meaning.
    Edited,
}

impl EventKind {
    /// The name of the kind, as in stored formats and the API.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Raised { .. } => "raised",
            Self::Changed { .. } => "changed",
            Self::Cleared { .. } => "cleared",
            Self::Status(_) => "status",
            Self::Gap(_) => "gap",
            Self::Removed { .. } => "removed",
            Self::Restored { .. } => "restored",
        }
    }

    /// The condition that it is about, if it is about one.
    pub const fn condition(&self) -> Option<&Condition> {
        match self {
            Self::Raised { condition }
            | Self::Changed { condition, .. }
            | Self::Cleared { condition, .. } => Some(condition),
            Self::Status(_) | Self::Gap(_) | Self::Removed { .. } | Self::Restored { .. } => None,
        }
    }
}

impl Event {
    /// A text that identifies the event wherever it is stored: monitor, what it is about, and the time of the check. Its
    /// number may change when another process takes over a store; this does not, so a consumer that has seen it can tell.
    pub fn identity(&self) -> String {
        let (monitor, time, name) = (self.monitor, self.time.as_micros(), self.kind.name());
        match &self.kind {
            // Two probes may change it in the same microsecond.
            EventKind::Status(change) => format!("{monitor}/{name}/{time}/{}/{}", change.to, change.down),
            kind => match kind.condition() {
                Some(condition) => format!("{monitor}/{name}/{time}/{}", condition.key),
                None => format!("{monitor}/{name}/{time}"),
            },
        }
    }

    /// Whether both tell of the same fact: how they put it may come from another version.
    pub fn is_same(&self, other: &Self) -> bool {
        let keys = |event: &Self| event.kind.condition().map(|condition| condition.key.to_string());
        let to = |event: &Self| match &event.kind {
            EventKind::Status(change) => Some(change.to),
            _ => None,
        };
        (self.monitor, self.time, self.kind.name()) == (other.monitor, other.time, other.kind.name())
            && to(self) == to(other)
            && keys(self) == keys(other)
    }
}

/// What the events of a monitor add up to: what a restart, or another process, goes on from.
#[derive(Clone, Debug, PartialEq)]
pub struct MonitorState {
    /// The status after the last change.
    pub status: Status,
    /// Whether the monitor counts as down.
    pub down: bool,
    /// From when the status holds.
    pub since: Timestamp,
    /// Why.
    pub reason: Option<Reason>,
    /// What is wrong, the oldest first.
    pub conditions: Vec<Condition>,
    /// The end of the last gap, if there was one.
    pub gap_until: Option<Timestamp>,
}

impl Default for MonitorState {
    fn default() -> Self {
        Self {
            status: Status::Unknown,
            down: false,
            since: Timestamp::default(),
            reason: None,
            conditions: Vec::new(),
            gap_until: None,
        }
    }
}

impl MonitorState {
    /// Takes in the next event.
    pub fn apply(&mut self, kind: &EventKind) {
        match kind {
            EventKind::Raised { condition } | EventKind::Changed { condition, .. } => {
                match self.conditions.iter_mut().find(|known| known.key == condition.key) {
                    Some(known) => known.clone_from(condition),
                    None => self.conditions.push(condition.clone()),
                }
            }
            EventKind::Cleared { condition, .. } => {
                self.conditions.retain(|known| known.key != condition.key);
            }
            EventKind::Status(change) => {
                self.status = change.to;
                self.down = change.down;
                self.since = change.since;
                self.reason.clone_from(&change.reason);
            }
            EventKind::Gap(gap) => self.gap_until = self.gap_until.max(Some(gap.until)),
            EventKind::Removed { .. } | EventKind::Restored { .. } => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::condition::ConditionKey;
    use crate::threshold::Severity;

    fn condition(probe: &str, severity: Severity) -> Condition {
        Condition {
            key: ConditionKey::ProbeFailing { probe: probe.to_owned() },
            severity,
            since: Timestamp::from_micros(7),
            reason: Reason::new("timeout", "no answer"),
            evidence: None,
        }
    }

    #[test]
    fn events_survive_a_round_trip_and_are_identified_without_their_number() {
        let kinds = [
            EventKind::Raised { condition: condition("a", Severity::Warning) },
            EventKind::Changed { condition: condition("a", Severity::Critical), before: Severity::Warning },
            EventKind::Cleared {
                condition: condition("a", Severity::Critical),
                cause: ClearCause::Recovered,
            },
            EventKind::Status(StatusChange {
                from: Some(Status::Healthy),
                to: Status::Unhealthy,
                down: true,
                since: Timestamp::from_micros(1),
                reason: Some(Reason::new("timeout", "no answer")),
            }),
            EventKind::Gap(Gap {
                from: Timestamp::from_micros(3),
                until: Timestamp::from_micros(9),
                reason: Reason::new("unwatched", "stopped"),
            }),
            EventKind::Removed { name: "shop".to_owned() },
            EventKind::Restored { name: "shop".to_owned() },
        ];
        let id = MonitorId::generate();
        let mut identities = std::collections::BTreeSet::new();
        for kind in kinds {
            let event = Event { monitor: id, time: Timestamp::from_micros(12_345_678), kind };
            let text = serde_json::to_string(&event).unwrap();
            let back: Event = serde_json::from_str(&text).unwrap();
            assert_eq!(back, event, "{text}");
            assert!(back.is_same(&event));
            assert!(identities.insert(event.identity()), "{}", event.identity());
        }
    }

    #[test]
    fn a_state_is_the_sum_of_its_events() {
        let mut state = MonitorState::default();
        state.apply(&EventKind::Raised { condition: condition("a", Severity::Warning) });
        state.apply(&EventKind::Raised { condition: condition("b", Severity::Warning) });
        let worse = condition("a", Severity::Critical);
        state.apply(&EventKind::Changed { condition: worse.clone(), before: Severity::Warning });
        assert_eq!(state.conditions, [worse.clone(), condition("b", Severity::Warning)]);
        state.apply(&EventKind::Cleared { condition: worse, cause: ClearCause::Gone });
        assert_eq!(state.conditions, [condition("b", Severity::Warning)]);
    }
}

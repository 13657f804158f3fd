//! What is wrong with a monitor, one condition for each thing.
//!
//! A status is the summary of a monitor's conditions. A condition is raised, changed in severity and cleared by the
//! probe that can see it, and by no other; it stays over restarts, edits and takeovers until that probe has reported.

use std::fmt;
use std::sync::Arc;

use serde_json::Value;

use crate::clock::Timestamp;
use crate::record::Reason;
use crate::report::Labels;
use crate::threshold::Severity;

/// One thing that is wrong with a monitor.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Condition {
    /// Which thing. A monitor has at most one condition with a key.
    pub key: ConditionKey,
    /// How bad it is; never [`Severity::Fine`].
    pub severity: Severity,
    /// When it began: the first failure or reading of the run that raised it, so it may precede its event.
    #[serde(with = "crate::clock::micros")]
    pub since: Timestamp,
    /// Why, as the check that raised it, or changed its severity, told.
    pub reason: Reason,
    /// What that check saw.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<Arc<Value>>,
}

impl Condition {
    /// The probe that can clear it.
    pub fn probe(&self) -> &str {
        self.key.probe()
    }
}

/// The identity of a condition within its monitor.
#[derive(Clone, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum ConditionKey {
    /// Availability has failed as often as asked. Counts against uptime.
    Down {
        /// The availability probe.
        probe: String,
    },
    /// A probe other than availability has failed as often as asked.
    ProbeFailing {
        /// The probe.
        probe: String,
    },
    /// A series is over a threshold.
    Threshold {
        /// The probe that reads the series.
        probe: String,
        /// The metric of the series.
        metric: String,
        /// The part of the target that the series measures.
        #[serde(default, skip_serializing_if = "Labels::is_empty")]
        labels: Labels,
    },
    /// Checks of a probe cannot be made, through trouble of our own. Says nothing about the target.
    Unknown {
        /// The probe.
        probe: String,
    },
}

impl ConditionKey {
    /// The kind: `down`, `probe_failing`, `threshold` or `unknown`.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Down { .. } => "down",
            Self::ProbeFailing { .. } => "probe_failing",
            Self::Threshold { .. } => "threshold",
            Self::Unknown { .. } => "unknown",
        }
    }

    /// The probe that raises and clears it.
    pub fn probe(&self) -> &str {
        match self {
            Self::Down { probe }
            | Self::ProbeFailing { probe }
            | Self::Threshold { probe, .. }
            | Self::Unknown { probe } => probe,
        }
    }
}

impl fmt::Display for ConditionKey {
    /// A text that is the same for the same condition in every process and version: kind, then what tells conditions of
    /// the kind apart. Label values are quoted, so that no two sets of labels give the same text.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Down { .. } => f.write_str("down"),
            Self::ProbeFailing { probe } | Self::Unknown { probe } => write!(f, "{}:{probe}", self.kind()),
            Self::Threshold { metric, labels, .. } => {
                write!(f, "threshold:{metric}")?;
                for (name, value) in labels.pairs() {
                    write!(f, ",{name}={value:?}")?;
                }
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn threshold(labels: &[(&str, &str)]) -> ConditionKey {
        let labels =
            Labels::new(labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        ConditionKey::Threshold { probe: "storage".to_owned(), metric: "t.size_bytes".to_owned(), labels }
    }

    #[test]
    fn texts_of_keys_tell_conditions_apart() {
        assert_eq!(threshold(&[("table", "a\"b")]).to_string(), r#"threshold:t.size_bytes,table="a\"b""#);
        let one = threshold(&[("a", "1\",b=\"2")]);
        let two = threshold(&[("a", "1"), ("b", "2")]);
        assert_ne!(one.to_string(), two.to_string());
        assert_eq!(ConditionKey::Unknown { probe: "storage".to_owned() }.to_string(), "unknown:storage");
    }

    #[test]
    fn a_condition_survives_a_round_trip_to_the_microsecond() {
        let condition = Condition {
            key: threshold(&[("table", "orders")]),
            severity: Severity::Warning,
            since: Timestamp::from_micros(1_234_567),
            reason: Reason::new("threshold", "too large"),
            evidence: Some(Arc::new(serde_json::json!({"rows": 1}))),
        };
        let text = serde_json::to_string(&condition).unwrap();
        assert_eq!(serde_json::from_str::<Condition>(&text).unwrap(), condition, "{text}");
    }
}

//! Events in the log.

use std::sync::Arc;

use wise_core::{Event, EventKind, Severity, Status};
use wise_overview::Overview;
use wise_storage::{Consumer, Follows};

/// Writes every event to the log, once each, also those from just before a crash.
pub(crate) struct EventLog {
    overview: Arc<Overview>,
}

impl EventLog {
    pub(crate) fn new(overview: Arc<Overview>) -> Self {
        Self { overview }
    }

    fn write(&self, sequence: u64, event: &Event) {
        let id = event.monitor;
        let name = self.overview.item(id).map_or_else(|| id.to_string(), |item| item.name);
        match &event.kind {
            EventKind::Status(change) => {
                let (to, before) = (change.to, change.from.map_or("new", Status::name));
                let reason = change.reason.as_ref();
                let why = reason.map(|reason| format!(": {}", reason.message)).unwrap_or_default();
                let class = reason.map_or("", |reason| reason.class.as_str());
                let text = format!("{name}: {before} → {to}{why}");
                match to {
                    Status::Unhealthy => {
                        tracing::error!(monitor.id = %id, sequence, status = %to, error.class = class, "{text}");
                    }
                    Status::Degraded | Status::Unknown => {
                        tracing::warn!(monitor.id = %id, sequence, status = %to, error.class = class, "{text}");
                    }
                    _ => tracing::info!(monitor.id = %id, sequence, status = %to, "{text}"),
                }
            }
            EventKind::Raised { condition } | EventKind::Changed { condition, .. } => {
                let (key, class, level) =
                    (&condition.key, &condition.reason.class, condition.severity.name());
                let text = format!("{name}: {level}: {}", condition.reason.message);
                if condition.severity == Severity::Critical {
                    tracing::error!(monitor.id = %id, sequence, condition = %key, error.class = class, "{text}");
                } else {
                    tracing::warn!(monitor.id = %id, sequence, condition = %key, error.class = class, "{text}");
                }
            }
            EventKind::Cleared { condition, .. } => {
                let text = format!("{name}: over: {}", condition.reason.message);
                tracing::info!(monitor.id = %id, sequence, condition = %condition.key, "{text}");
            }
            EventKind::Gap(gap) => {
                let seconds = gap.until.since(gap.from).as_secs();
                let text = format!("{name}: not watched for {seconds} s: {}", gap.reason.message);
                tracing::warn!(monitor.id = %id, sequence, "{text}");
            }
            EventKind::Removed { name } => tracing::info!(monitor.id = %id, sequence, "{name}: removed"),
            EventKind::Restored { name } => {
                tracing::info!(monitor.id = %id, sequence, "{name}: brought back");
            }
        }
    }
}

impl Consumer for EventLog {
    fn name(&self) -> &'static str {
        "log"
    }

    fn take(&mut self, events: &[(u64, Event)]) -> Result<Follows, Box<dyn std::error::Error + Send + Sync>> {
        for (sequence, event) in events {
            self.write(*sequence, event);
        }
        Ok(Follows::default())
    }
}

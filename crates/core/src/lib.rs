//! The vocabulary of wise-monitoring, shared by every other crate.
//!
//! A plugin author meets, in this order: [`Plugin`] (the descriptor of a kind of monitor), [`MonitorSettings`] (its
//! settings, from which schema and form come), [`Monitor`] and [`Probe`] (the work), [`Report`] (what a check
//! returns) and [`ErrorClass`] (what went wrong, and whose fault it is). This crate does no I/O.

mod class;
mod clock;
mod condition;
pub mod conformance;
mod definition;
mod duration;
mod event;
mod fields;
mod growth;
pub mod label;
mod metric;
mod monitor;
mod monitor_id;
mod plugin;
mod principal;
mod record;
mod registry;
mod report;
mod restart;
mod secret;
mod settings;
mod source;
mod status;
mod threshold;

pub use class::{ErrorClass, Fault, common};
pub use clock::{Clock, ManualClock, SystemClock, Timestamp, days_in_zone, is_time_zone};
pub use condition::{Condition, ConditionKey};
pub use definition::{
    Dependencies, ManagedBy, MonitorDefinition, MonitorSpec, ProbeOverride, ProbeSchedule, ThresholdOverride,
    validate_dependencies, validate_spec,
};
pub use duration::{HumanDuration, ParseDurationError};
pub use event::{ClearCause, Event, EventKind, Gap, MonitorState, StatusChange};
pub use fields::{FieldError, FieldErrors, deserialize, deserialize_at, show_value};
pub use growth::{GrowthTracker, Past, PastReadings, PastSeries};
pub use metric::{MetricKind, MetricSpec};
pub use monitor::{BuildContext, CheckContext, Monitor, Probe};
pub use monitor_id::MonitorId;
pub use plugin::{BuildMonitor, MonitorSettings, Plugin, ProbeSpec, join_metrics};
pub use principal::{Principal, Role};
pub use record::{Batch, CheckRecord, Reason};
pub use registry::{Registry, RegistryError};
pub use report::{
    Absent, DuplicateSeries, Failure, FoundMetric, Labels, MetricRef, Reading, ReadingValue, Report,
};
pub use restart::RestartWatch;
pub use secret::{MASK, Masker, Secret, SecretLookup, SecretSource, UnresolvedSecret};
pub use settings::{SealError, SettingsSchema, is_secret_header};
pub use source::{InvalidSource, SourceId, SourceKind, SourceName};
pub use status::Status;
pub use threshold::{Direction, Severity, Threshold};

// A plugin registers itself with `wise_core::inventory::submit!`, so that it needs no dependency of its own for it.
pub use async_trait::async_trait;
pub use inventory;

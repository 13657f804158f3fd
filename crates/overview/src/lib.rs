//! How monitors stand now, and how they stood.
//!
//! [`Overview`] is the live view: it takes in checks and events as they come, before they are stored, so that the page is
//! right while the store is away. [`Uptime`], [`incidents()`] and [`report()`] are worked out from the main record. Nothing
//! here is stored, and nothing is decided: statuses come from the orchestrator.

mod incidents;
mod monitor;
mod overview;
mod report;
mod uptime;
mod view;

pub use incidents::{Incident, incidents};
pub use overview::{BEATS, BUCKET_SECONDS, Overview};
pub use report::{By, ReportRow, report};
pub use uptime::{Maintenance, Timeline, Uptime, UptimeState};
pub use view::{About, Counts, Group, LastReadings, OverviewDelta, OverviewItem, OverviewSnapshot, Summary};

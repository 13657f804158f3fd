//! What the live view shows.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use wise_core::{Condition, Labels, MetricRef, MonitorId, Reading, Reason, Status, Timestamp};

use crate::overview::BEATS;

/// A monitor in the live view.
#[derive(Clone, Debug, PartialEq)]
pub struct OverviewItem {
    /// Identity.
    pub id: MonitorId,
    /// Name.
    pub name: String,
    /// Kind.
    pub kind: String,
    /// Interval of its availability probe.
    pub interval: Duration,
    /// Tags.
    pub tags: BTreeMap<String, String>,
    /// Dependencies.
    pub depends_on: Vec<String>,
    /// Status.
    pub status: Status,
    /// Whether it counts as down.
    pub down: bool,
    /// Since when it has this status.
    pub since: Timestamp,
    /// Why.
    pub reason: Option<Reason>,
    /// What is wrong, as it was when it was raised or last changed in severity; the oldest first.
    pub conditions: Vec<Condition>,
    /// When it was last checked.
    pub last_check: Option<Timestamp>,
    /// When it is checked next.
    pub next_check: Option<Timestamp>,
    /// Latency of the last passed check, in milliseconds.
    pub latency_ms: Option<f64>,
    /// Facts, the newest value of each.
    pub facts: BTreeMap<String, String>,
    /// The readings of each probe's last check.
    pub readings: Vec<LastReadings>,
}

/// What a definition says of a monitor. Shared: the view is copied often, and this hardly ever changes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct About {
    /// Name.
    pub name: String,
    /// Kind.
    pub kind: String,
    /// Interval of its availability probe.
    pub interval: Duration,
    /// Tags.
    pub tags: BTreeMap<String, String>,
    /// Dependencies.
    pub depends_on: Vec<String>,
    /// Number of its group.
    pub group: u32,
    /// Its place in the group.
    pub slot: u32,
}

/// A group of monitors on the galaxy map: a circle, in which monitors stand in a spiral by their slots.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    /// Its name: the value of the tag `group`, or nothing.
    pub name: String,
    /// Its centre, in distances between neighbours.
    pub x: f64,
    /// Its centre.
    pub y: f64,
    /// Its radius, with room for some more.
    pub radius: f64,
}

/// A monitor in short.
#[derive(Clone, Debug)]
pub struct Summary {
    /// Identity.
    pub id: MonitorId,
    /// What its definition says.
    pub about: Arc<About>,
    /// Status.
    pub status: Status,
    /// Whether it counts as down.
    pub down: bool,
    /// Since when it has this status.
    pub since: Timestamp,
    /// Why, in a sentence.
    pub reason: Option<String>,
    /// When it was last checked.
    pub last_check: Option<Timestamp>,
    /// Latency of the last passed check, in milliseconds.
    pub latency_ms: Option<f64>,
    /// Up ÷ (up + down) of the last 24 hours.
    pub uptime_24h: Option<f64>,
    /// The heartbeat bar, oldest first: a letter a bucket.
    pub beats: [u8; BEATS],
    pub(super) sums: [f32; BEATS],
    pub(super) counts: [u16; BEATS],
}

impl Summary {
    /// Mean latency a bucket, in milliseconds, oldest first.
    pub fn latency(&self) -> impl Iterator<Item = Option<f32>> + '_ {
        let mean = |(sum, count): (&f32, &u16)| (*count > 0).then(|| *sum / f32::from(*count));
        self.sums.iter().zip(&self.counts).map(mean)
    }
}

/// What the last check of a probe measured.
#[derive(Clone, Debug, PartialEq)]
pub struct LastReadings {
    /// The probe.
    pub probe: &'static str,
    /// When the check began.
    pub time: Timestamp,
    /// Class and message of its failure.
    pub failure: Option<(String, String)>,
    /// Series that the check gave more than once; the worse reading of each is among the readings.
    pub duplicates: Vec<(MetricRef, Labels)>,
    /// The readings. Shared: a database has hundreds, and the view is copied often.
    pub readings: Arc<[Reading]>,
}

/// Monitors by status.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts(pub [u32; Status::ALL.len()]);

impl Counts {
    /// How many have that status.
    pub fn of(&self, status: Status) -> u32 {
        self.0[usize::from(status.code())]
    }
}

/// The whole live view.
#[derive(Clone, Debug)]
pub struct OverviewSnapshot {
    /// When it was taken.
    pub time: Timestamp,
    /// End of the newest bucket, in unix seconds.
    pub bucket_end: i64,
    /// Monitors by status.
    pub counts: Counts,
    /// The groups, by number.
    pub groups: Arc<[Group]>,
    /// The monitors, by name.
    pub items: Vec<Summary>,
}

/// What changed since the last delta.
#[derive(Clone, Debug)]
pub struct OverviewDelta {
    /// When it was taken.
    pub time: Timestamp,
    /// End of the newest bucket, in unix seconds.
    pub bucket_end: i64,
    /// Monitors by status.
    pub counts: Counts,
    /// The groups, by number, when they have changed.
    pub groups: Option<Arc<[Group]>>,
    /// Monitors that are new or changed.
    pub items: Vec<Summary>,
    /// Monitors that are gone.
    pub removed: Vec<MonitorId>,
}

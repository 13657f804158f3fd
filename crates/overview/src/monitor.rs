//! One monitor in the live view: its last check, and the bar of its last hour.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use wise_core::{CheckRecord, Event, EventKind, MonitorDefinition, ProbeSpec, Status, Timestamp};

use wise_storage::ports::TimelineChange;

use crate::overview::{BEATS, BUCKET_SECONDS};
use crate::uptime::Timeline;
use crate::view::{About, LastReadings, OverviewItem, Summary};

const DAY: Duration = Duration::from_secs(24 * 3600);

/// How a monitor stands.
#[derive(Debug)]
pub(super) struct Live {
    pub(super) item: OverviewItem,
    pub(super) about: Arc<About>,
    pub(super) headline: &'static str,
    /// Number of the newest bucket.
    bucket: i64,
    beats: [u8; BEATS],
    sums: [f32; BEATS],
    counts: [u16; BEATS],
    pub(super) timeline: Timeline,
}

impl Live {
    pub(super) fn new(definition: &MonitorDefinition, now: Timestamp) -> Self {
        let item = OverviewItem {
            id: definition.id,
            name: String::new(),
            kind: String::new(),
            interval: Duration::ZERO,
            tags: BTreeMap::new(),
            depends_on: Vec::new(),
            status: if definition.spec.enabled { Status::Unknown } else { Status::Paused },
            down: false,
            since: now,
            reason: None,
            conditions: Vec::new(),
            last_check: None,
            next_check: None,
            latency_ms: None,
            facts: BTreeMap::new(),
            readings: Vec::new(),
        };
        Self {
            item,
            about: Arc::default(),
            headline: "",
            bucket: bucket_of(now),
            beats: [b'.'; BEATS],
            sums: [0.0; BEATS],
            counts: [0; BEATS],
            timeline: Timeline::default(),
        }
    }

    /// Takes in an event.
    pub(super) fn take_event(&mut self, event: &Event) {
        self.timeline.extend_with(TimelineChange::of(event.time, &event.kind));
        let item = &mut self.item;
        match &event.kind {
            EventKind::Raised { condition } | EventKind::Changed { condition, .. } => {
                match item.conditions.iter_mut().find(|known| known.key == condition.key) {
                    Some(known) => known.clone_from(condition),
                    None => item.conditions.push(condition.clone()),
                }
            }
            EventKind::Cleared { condition, .. } => {
                item.conditions.retain(|known| known.key != condition.key);
            }
            EventKind::Status(change) => {
                item.status = change.to;
                item.down = change.down;
                item.since = change.since;
                item.reason.clone_from(&change.reason);
                // That nothing is known yet of a monitor that was just switched on is not worth a mark.
                let is_told =
                    change.to == Status::Paused || (change.to == Status::Unknown && change.reason.is_some());
                if is_told {
                    self.beat(event.time, letter(change.to, false), None);
                }
            }
            EventKind::Gap(gap) => {
                let last = gap.until.min(event.time);
                let first =
                    gap.from.max(last.minus(Duration::from_secs(BUCKET_SECONDS as u64 * BEATS as u64)));
                for bucket in bucket_of(first)..=bucket_of(last) {
                    let time = Timestamp::from_seconds(bucket * BUCKET_SECONDS);
                    self.beat(time, letter(Status::Unknown, false), None);
                }
            }
            EventKind::Removed { .. } | EventKind::Restored { .. } => {}
        }
    }

    pub(super) fn take(&mut self, record: &CheckRecord) {
        let is_availability = record.probe == ProbeSpec::AVAILABILITY;
        let mut latency = None;
        for reading in &record.readings {
            if reading.metric.name() == self.headline {
                latency = reading.value.number();
            }
        }
        // The last check's readings and no others: what it could not measure is absent, and not as it was.
        let last = LastReadings {
            probe: record.probe,
            time: record.time,
            failure: record.failure.as_ref().map(|f| (f.class.name.to_owned(), f.message.clone())),
            duplicates: record.duplicates.clone(),
            readings: record.readings.as_slice().into(),
        };
        match self.item.readings.iter_mut().find(|known| known.probe == record.probe) {
            Some(known) => *known = last,
            None => self.item.readings.push(last),
        }
        // A check that ended just before the status was set otherwise, as by pausing, does not tell why.
        if record.status == self.item.status {
            self.item.reason.clone_from(&record.reason);
        }
        for (name, value) in &record.facts {
            self.item.facts.insert((*name).to_owned(), value.clone());
        }
        if is_availability {
            self.item.last_check = Some(record.time);
            self.item.next_check = record.next.or(self.item.next_check);
            if record.failure.is_none() {
                self.item.latency_ms = latency.map(|seconds| seconds * 1e3);
            }
        }
        self.beat(record.time, letter(record.status, record.failure.is_some()), latency);
    }

    /// Notes a beat. Beats from before the bar, or from a future that a clock step has taken back, change nothing.
    pub(super) fn beat(&mut self, time: Timestamp, letter: u8, latency: Option<f64>) {
        let bucket = bucket_of(time);
        self.advance(bucket);
        let age = self.bucket - bucket;
        let Some(index) = usize::try_from(age).ok().filter(|age| *age < BEATS).map(|age| BEATS - 1 - age)
        else {
            return;
        };
        if rank(letter) > rank(self.beats[index]) {
            self.beats[index] = letter;
        }
        if let Some(seconds) = latency {
            self.sums[index] += (seconds * 1e3) as f32;
            self.counts[index] = self.counts[index].saturating_add(1);
        }
    }

    /// Moves the bar on to a bucket.
    fn advance(&mut self, bucket: i64) {
        let steps = usize::try_from(bucket - self.bucket).unwrap_or(0).min(BEATS);
        if steps == 0 {
            return;
        }
        self.beats.rotate_left(steps);
        self.sums.rotate_left(steps);
        self.counts.rotate_left(steps);
        self.beats[BEATS - steps..].fill(b'.');
        self.sums[BEATS - steps..].fill(0.0);
        self.counts[BEATS - steps..].fill(0);
        self.bucket = bucket;
    }

    pub(super) fn shown(&mut self, now: Timestamp) -> Summary {
        self.advance(bucket_of(now));
        let from = now.minus(DAY);
        self.timeline.forget_before(from);
        let item = &self.item;
        Summary {
            id: item.id,
            about: self.about.clone(),
            status: item.status,
            down: item.down,
            since: item.since,
            reason: item.reason.as_ref().map(|reason| reason.message.clone()),
            last_check: item.last_check,
            latency_ms: item.latency_ms,
            uptime_24h: self.timeline.uptime(from, now).ratio(),
            beats: self.beats,
            sums: self.sums,
            counts: self.counts,
        }
    }
}

fn bucket_of(time: Timestamp) -> i64 {
    time.as_seconds().div_euclid(BUCKET_SECONDS)
}

pub(super) fn bucket_end(now: Timestamp) -> i64 {
    (bucket_of(now) + 1) * BUCKET_SECONDS
}

/// The letter of a check: the status after it, or `f` when it failed and the status does not show it yet.
pub(super) fn letter(status: Status, failed: bool) -> u8 {
    match status {
        Status::Unhealthy => b'u',
        Status::Unknown => b'?',
        Status::Paused => b'p',
        Status::Maintenance => b'm',
        Status::Healthy | Status::Degraded if failed => b'f',
        Status::Degraded => b'd',
        Status::Healthy => b'h',
    }
}

/// The worst letter of a bucket is shown.
fn rank(letter: u8) -> u8 {
    match letter {
        b'.' => 0,
        b'p' => 1,
        b'm' => 2,
        b'h' => 3,
        b'd' => 4,
        b'?' => 5,
        b'f' => 6,
        _ => 7,
    }
}

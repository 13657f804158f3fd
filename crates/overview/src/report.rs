//! A report on service levels: uptime of every monitor, or of every value of a tag, over a range.

use std::collections::BTreeMap;

use wise_core::{MonitorDefinition, MonitorId, Timestamp};
use wise_storage::StoreError;
use wise_storage::ports::MainRecord;

use crate::incidents::incidents;
use crate::uptime::{Timeline, Uptime};

/// What a row of a report stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum By {
    /// A monitor.
    Monitor,
    /// All monitors with the same value of this tag.
    Tag(String),
}

/// A row of a report.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ReportRow {
    /// Name of the monitor, or value of the tag; empty for monitors without the tag.
    pub name: String,
    /// The monitor; `None` in a report by tag.
    pub id: Option<MonitorId>,
    /// Monitors in the row.
    pub monitors: u32,
    /// Their uptime, added up.
    pub uptime: Uptime,
    /// Mean seconds from going down to being up again, of incidents that are over; `None` when there are none.
    pub mean_seconds_to_recover: Option<f64>,
}

/// Works out a report on monitors between `from` and `to`, by name.
///
/// # Errors
/// The store cannot be read.
pub fn report<'d>(
    store: &(impl MainRecord + ?Sized),
    monitors: impl IntoIterator<Item = &'d MonitorDefinition>,
    by: &By,
    (from, to): (Timestamp, Timestamp),
) -> Result<Vec<ReportRow>, StoreError> {
    let mut changes = store.timeline(None, from)?;
    let mut rows: BTreeMap<(String, Option<MonitorId>), (ReportRow, Vec<f64>)> = BTreeMap::new();
    for definition in monitors {
        let (id, spec) = (definition.id, &definition.spec);
        let timeline: Timeline = changes.remove(&id).unwrap_or_default().into_iter().collect();
        // Most monitors were never down: nothing more is read for them.
        let was_down = timeline.outages().next().is_some();
        let found = if was_down { incidents(store, id, from, to)? } else { Vec::new() };
        let key = match by {
            By::Monitor => (spec.name.clone(), Some(id)),
            By::Tag(key) => (spec.tags.get(key).cloned().unwrap_or_default(), None),
        };
        let (row, repairs) = rows.entry(key).or_default();
        row.monitors += 1;
        row.uptime.add(&timeline.uptime(from, to));
        repairs.extend(found.iter().filter_map(|one| Some(one.end?.since(one.start).as_secs_f64())));
    }
    let finished = rows.into_iter().map(|((name, id), (row, repairs))| {
        let mean = repairs.iter().sum::<f64>() / repairs.len() as f64;
        let mean_seconds_to_recover = (!repairs.is_empty()).then_some(mean);
        ReportRow { name, id, mean_seconds_to_recover, ..row }
    });
    Ok(finished.collect())
}

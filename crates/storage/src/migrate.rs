//! Everything from one store to another, whatever they are made of.
//!
//! The work is cut into steps that can be repeated with the same outcome, and the target notes which are done: a migration
//! that was cut off goes on where it stopped.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use wise_core::{MonitorDefinition, MonitorId, Timestamp, Transition};

use crate::columns::{ProbeColumns, SeriesName};
use crate::error::StoreError;
use crate::ports::Store;
use crate::rollup::{DayRollup, Tier};

/// What the target notes of a migration.
const STEP: &str = "migration_step";
/// Where a migration comes from.
const SOURCE: &str = "migration_source";
/// A store's own name, so that a migration is gone on with from the same.
const IDENTITY: &str = "identity";
/// Monitors whose rollups are moved together: some megabytes each.
const BATCH: usize = 40;
/// Transitions that are moved together.
const PAGE: usize = 500;
/// A day is over, for whoever moves it, after this.
const GRACE: Duration = Duration::from_secs(600);

/// The rollups of a probe on one day.
#[derive(Clone, Debug)]
pub(crate) struct RolledProbe {
    pub monitor: MonitorId,
    pub probe: String,
    pub location: String,
    /// Series; only the tier that was asked for is filled.
    pub series: Vec<(SeriesName, DayRollup)>,
}

/// The rollups of some monitors, by day.
pub(crate) type RolledDays = BTreeMap<i64, Vec<RolledProbe>>;

/// A store that can be moved from and to.
pub(crate) trait Movable: Store {
    /// Settings of the store's own that go with it.
    fn small_things(&self) -> Result<Vec<(String, String)>, StoreError>;

    /// How far readers of transitions are.
    fn cursors(&self) -> Result<Vec<(String, u64)>, StoreError>;

    /// The days that there are samples of, the oldest first.
    fn sample_days(&self) -> Result<Vec<i64>, StoreError>;

    /// The checks of a monitor on a day.
    fn day_of(&self, monitor: MonitorId, day: i64) -> Result<Vec<ProbeColumns>, StoreError>;

    /// The rollups of some monitors, but for some days.
    fn rollups_of(
        &self,
        tier: Tier,
        monitors: &[MonitorId],
        without: &BTreeSet<i64>,
    ) -> Result<RolledDays, StoreError>;

    /// Adds definitions, in the place of those with the same ids.
    fn put_monitors(&self, all: &[MonitorDefinition]) -> Result<(), StoreError>;

    /// Adds transitions under their numbers, which follow those that are there.
    fn put_transitions(&self, all: &[(u64, Transition)]) -> Result<(), StoreError>;

    /// Adds the checks of a day, a monitor at a time.
    fn put_day(&self, day: i64, is_over: bool, next: Monitors<'_>) -> Result<(), StoreError>;

    /// Adds rollups.
    fn put_rollups(&self, tier: Tier, all: RolledDays) -> Result<(), StoreError>;

    /// Makes what was added as small as it gets, and durable.
    fn finish(&self, now: Timestamp) -> Result<(), StoreError>;
}

/// Gives the checks of one monitor after the other; `None` after the last.
pub(crate) type Monitors<'a> = &'a mut dyn FnMut() -> Result<Option<Vec<ProbeColumns>>, StoreError>;

/// What was moved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moved {
    /// Definitions.
    pub monitors: usize,
    /// Changes of status.
    pub transitions: usize,
    /// Checks.
    pub checks: usize,
    /// Days of samples.
    pub days: usize,
}

/// Moves everything. `tell` is called with what is being done.
///
/// # Errors
/// A store cannot be read or written; or the target has monitors that do not come from this migration. It can be
/// called again, and goes on where it stopped.
pub(crate) fn migrate(
    from: &dyn Movable,
    to: &dyn Movable,
    now: Timestamp,
    tell: &mut dyn FnMut(&str),
) -> Result<Moved, StoreError> {
    let mut moved = Moved::default();
    let identity = identity_of(from)?;
    let begun = to.meta(SOURCE)?;
    if begun.as_deref() != Some(identity.as_str()) {
        if !to.monitors()?.is_empty() {
            return Err(StoreError::Server {
                reason: "the target has monitors of its own: give an empty one, nothing was changed"
                    .to_owned(),
            });
        }
        to.set_meta(SOURCE, &identity)?;
        to.set_meta(STEP, "0")?;
    }
    let done: usize = to.meta(STEP)?.and_then(|text| text.parse().ok()).unwrap_or(0);
    if done > 0 {
        tell(&format!("an earlier migration is gone on with, after step {done}"));
    }
    let mut step = Steps { to, number: 0, done };
    let monitors = from.monitors()?;
    moved.monitors = monitors.len();
    step.run(tell, &format!("{} monitors", monitors.len()), || to.put_monitors(&monitors))?;

    let mut last = 0;
    loop {
        let page = from.transitions_after(last, PAGE)?;
        let Some((number, _)) = page.last() else { break };
        last = *number;
        moved.transitions += page.len();
        step.run(tell, &format!("changes of status up to number {last}"), || to.put_transitions(&page))?;
    }
    step.run(tell, "small things", || {
        for (key, value) in from.small_things()?.into_iter().filter(|(key, _)| !is_of_migration(key)) {
            to.set_meta(&key, &value)?;
        }
        for (consumer, sequence) in from.cursors()? {
            to.advance_cursor(&consumer, sequence)?;
        }
        Ok(())
    })?;

    let days = from.sample_days()?;
    let today = now.minus(GRACE).as_seconds().div_euclid(86_400);
    for (number, day) in days.iter().enumerate() {
        moved.days += 1;
        let text = format!("samples of day {} of {}", number + 1, days.len());
        let mut checks = 0;
        step.run(tell, &text, || {
            let mut waiting = monitors.iter();
            to.put_day(*day, *day < today, &mut || {
                for one in waiting.by_ref() {
                    let probes = from.day_of(one.id, *day)?;
                    checks += probes.iter().map(|probe| probe.columns.len()).sum::<usize>();
                    if !probes.is_empty() {
                        return Ok(Some(probes));
                    }
                }
                Ok(None)
            })
        })?;
        moved.checks += checks;
    }
    let without: BTreeSet<i64> = days.into_iter().collect();
    let ids: Vec<MonitorId> = monitors.iter().map(|one| one.id).collect();
    for tier in Tier::ALL {
        let batches = ids.len().div_ceil(BATCH);
        for (number, batch) in ids.chunks(BATCH).enumerate() {
            let text = format!("rollups of {}, part {} of {batches}", tier.name(), number + 1);
            step.run(tell, &text, || to.put_rollups(tier, from.rollups_of(tier, batch, &without)?))?;
        }
    }
    tell("making the new store as small as it gets");
    to.finish(now)?;
    Ok(moved)
}

/// The steps of a migration: those that were done are left out.
struct Steps<'a> {
    to: &'a dyn Movable,
    number: usize,
    done: usize,
}

impl Steps<'_> {
    fn run(
        &mut self,
        tell: &mut dyn FnMut(&str),
        text: &str,
        work: impl FnOnce() -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        self.number += 1;
        if self.number <= self.done {
            return Ok(());
        }
        tell(text);
        work()?;
        self.to.set_meta(STEP, &self.number.to_string())
    }
}

fn is_of_migration(key: &str) -> bool {
    matches!(key, STEP | SOURCE | IDENTITY)
}

fn identity_of(store: &dyn Movable) -> Result<String, StoreError> {
    if let Some(known) = store.meta(IDENTITY)? {
        return Ok(known);
    }
    let made = MonitorId::generate().to_string();
    store.set_meta(IDENTITY, &made)?;
    Ok(made)
}

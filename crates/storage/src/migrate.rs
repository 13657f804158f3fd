//! Everything from one store to another, whatever they are made of.
//!
//! The work is cut into steps that can be repeated with the same outcome, and the target notes which are done: a migration
//! that was cut off goes on where it stopped.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use wise_core::{Event, MonitorDefinition, MonitorId, SourceId, SourceName, Timestamp};

use crate::columns::{ProbeColumns, SeriesName};
use crate::error::StoreError;
use crate::ports::{Commit, Store};
use crate::rollup::{DayRollup, Tier};

/// What the target notes of a migration.
const STEPS: &str = "migration_steps";
/// Where a migration comes from.
const SOURCE: &str = "migration_source";
/// A store's own name, so that a migration is gone on with from the same.
const IDENTITY: &str = "identity";
/// Sources whose rollups are moved together: some megabytes each.
const BATCH: usize = 40;
/// Events that are moved together.
const PAGE: usize = 500;
/// A day is over, for anyone who moves it, after this.
const GRACE: Duration = Duration::from_secs(600);

/// The rollups of a probe on one day.
#[derive(Clone, Debug)]
pub(crate) struct RolledProbe {
    pub source: SourceId,
    pub probe: String,
    pub location: String,
    /// Series; only the tier that was asked for is filled.
    pub series: Vec<(SeriesName, DayRollup)>,
}

/// The rollups of some sources, by day.
pub(crate) type RolledDays = BTreeMap<i64, Vec<RolledProbe>>;

/// A store that can be moved from and to.
pub(crate) trait Movable: Store {
    /// Settings of the store's own that go with it.
    fn small_things(&self) -> Result<Vec<(String, String)>, StoreError>;

    /// How far consumers of events are.
    fn cursors(&self) -> Result<Vec<(String, u64)>, StoreError>;

    /// The days that there are samples of, the oldest first.
    fn sample_days(&self) -> Result<Vec<i64>, StoreError>;

    /// The checks of a monitor on a day, or the samples of another source.
    fn day_of(&self, source: &SourceId, day: i64) -> Result<Vec<ProbeColumns>, StoreError>;

    /// The rollups of some sources, but for some days.
    fn rollups_of(
        &self,
        tier: Tier,
        sources: &[SourceId],
        without: &BTreeSet<i64>,
    ) -> Result<RolledDays, StoreError>;

    /// Adds definitions, in the place of those with the same ids; `removed` those that can still be brought back.
    fn put_monitors(
        &self,
        all: &[MonitorDefinition],
        removed: &[(MonitorDefinition, Timestamp)],
    ) -> Result<(), StoreError>;

    /// Adds sources that are no monitors.
    fn put_sources(&self, all: &[SourceName]) -> Result<(), StoreError>;

    /// Adds events under their numbers, which follow those that are there.
    fn put_events(&self, all: &[(u64, Event)]) -> Result<(), StoreError>;

    /// Adds the checks and samples of a day, a source at a time.
    fn put_day(&self, day: i64, is_over: bool, next: Sources<'_>) -> Result<(), StoreError>;

    /// Adds rollups.
    fn put_rollups(&self, tier: Tier, all: RolledDays) -> Result<(), StoreError>;

    /// Makes what was added as small as it gets, and durable.
    fn finish(&self, now: Timestamp) -> Result<(), StoreError>;
}

/// Gives the checks or samples of one source after the other; `None` after the last.
pub(crate) type Sources<'a> = &'a mut dyn FnMut() -> Result<Option<Vec<ProbeColumns>>, StoreError>;

/// What was moved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moved {
    /// Definitions.
    pub monitors: usize,
    /// Events of the main record.
    pub events: usize,
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
    let state = state_of(from)?;
    let mut steps = match to.meta(SOURCE)? {
        Some(begun) if begun == identity => Steps::go_on(to, &state)?,
        _ => {
            if !to.monitors()?.is_empty() {
                return Err(refused(
                    "the target has monitors of its own: give an empty one, nothing was changed",
                ));
            }
            to.set_meta(SOURCE, &identity)?;
            Steps::begin(to, state)
        }
    };
    if !steps.done.steps.is_empty() {
        tell(&format!("an earlier migration is gone on with, after {} steps", steps.done.steps.len()));
    }
    let monitors = from.monitors()?;
    moved.monitors = monitors.len();
    let text = format!("{} monitors", monitors.len());
    let removed = from.removed_monitors()?;
    steps.run(tell, "monitors", &text, || to.put_monitors(&monitors, &removed))?;

    let mut last = 0;
    loop {
        let page = from.events_after(last, PAGE)?;
        let Some((number, _)) = page.last() else { break };
        last = *number;
        moved.events += page.len();
        let text = format!("events up to number {last}");
        steps.run(tell, &format!("events {last}"), &text, || to.put_events(&page))?;
    }
    // Each time: a target that was opened again in between has taken its events for those of another process, and set
    // its consumers back.
    tell("small things");
    for (key, value) in from.small_things()?.into_iter().filter(|(key, _)| !is_of_migration(key)) {
        to.set_meta(&key, &value)?;
    }
    for (consumer, sequence) in from.cursors()? {
        // Behind the last one there is nothing to have been read.
        to.commit(Commit { events: &[], cursor: Some((&consumer, sequence.min(last))) })?;
    }

    let named = from.sources()?;
    let text = format!("{} sources that are no monitors", named.len());
    steps.run(tell, "sources", &text, || to.put_sources(&named))?;
    let sources: Vec<SourceId> = monitors
        .iter()
        .map(|one| SourceId::Monitor(one.id))
        .chain(named.into_iter().map(SourceId::Named))
        .collect();

    let days = from.sample_days()?;
    let today = now.minus(GRACE).as_seconds().div_euclid(86_400);
    for (number, day) in days.iter().enumerate() {
        moved.days += 1;
        let text = format!("samples of day {} of {}", number + 1, days.len());
        let checks = &mut moved.checks;
        steps.run(tell, &format!("day {day}"), &text, || {
            let mut waiting = sources.iter();
            to.put_day(*day, *day < today, &mut || {
                for one in waiting.by_ref() {
                    let probes = from.day_of(one, *day)?;
                    if one.monitor().is_some() {
                        *checks += probes.iter().map(|probe| probe.columns.len()).sum::<usize>();
                    }
                    if !probes.is_empty() {
                        return Ok(Some(probes));
                    }
                }
                Ok(None)
            })
        })?;
    }
    let without: BTreeSet<i64> = days.into_iter().collect();
    for tier in Tier::ALL {
        let batches = sources.len().div_ceil(BATCH);
        for (number, batch) in sources.chunks(BATCH).enumerate() {
            let text = format!("rollups of {}, part {} of {batches}", tier.name(), number + 1);
            let name = format!("{} {number}", tier.name());
            steps
                .run(tell, &name, &text, || to.put_rollups(tier, from.rollups_of(tier, batch, &without)?))?;
        }
    }
    tell("making the new store as small as it gets");
    to.finish(now)?;
    steps.end()?;
    Ok(moved)
}

fn refused(reason: &str) -> StoreError {
    StoreError::Migration(reason.to_owned())
}

/// What changes whenever a server runs on a store.
fn state_of(store: &dyn Movable) -> Result<String, StoreError> {
    let definitions = store.monitors()?;
    let versions: u64 = definitions.iter().map(|one| one.version).sum();
    Ok(format!("{} {versions} {}", definitions.len(), store.meta("alive")?.unwrap_or_default()))
}

/// What the target notes of a migration.
#[derive(Debug, Serialize, Deserialize)]
struct Progress {
    /// The source as it was when it began.
    state: String,
    /// By name: what stands behind a number may be another thing the next time.
    steps: BTreeSet<String>,
    is_over: bool,
}

/// The steps of a migration: those that were done are left out.
struct Steps<'a> {
    to: &'a dyn Movable,
    done: Progress,
}

impl<'a> Steps<'a> {
    fn begin(to: &'a dyn Movable, state: String) -> Self {
        Self { to, done: Progress { state, steps: BTreeSet::new(), is_over: false } }
    }

    fn go_on(to: &'a dyn Movable, state: &str) -> Result<Self, StoreError> {
        let noted = to.meta(STEPS)?;
        let Some(done) = noted.and_then(|text| serde_json::from_str::<Progress>(&text).ok()) else {
            return Ok(Self::begin(to, state.to_owned()));
        };
        if done.is_over {
            return Err(refused(
                "everything has been moved there already: to do it again, give an empty target",
            ));
        }
        if done.state != state {
            return Err(refused(
                "a server has run on the source since the migration was begun: begin again with an empty target",
            ));
        }
        Ok(Self { to, done })
    }

    fn run(
        &mut self,
        tell: &mut dyn FnMut(&str),
        name: &str,
        text: &str,
        work: impl FnOnce() -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        if self.done.steps.contains(name) {
            return Ok(());
        }
        tell(text);
        work()?;
        self.done.steps.insert(name.to_owned());
        self.note()
    }

    fn end(&mut self) -> Result<(), StoreError> {
        self.done.is_over = true;
        self.note()
    }

    fn note(&self) -> Result<(), StoreError> {
        let text = serde_json::to_string(&self.done).unwrap_or_default();
        self.to.set_meta(STEPS, &text)
    }
}

fn is_of_migration(key: &str) -> bool {
    matches!(key, STEPS | SOURCE | IDENTITY)
}

fn identity_of(store: &dyn Movable) -> Result<String, StoreError> {
    if let Some(known) = store.meta(IDENTITY)? {
        return Ok(known);
    }
    let made = MonitorId::generate().to_string();
    store.set_meta(IDENTITY, &made)?;
    Ok(made)
}

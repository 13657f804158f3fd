//! The embedded store as source and target of a migration.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::params;
use wise_core::{Event, MonitorDefinition, MonitorId, SourceId, SourceName, Timestamp};

use super::day_writer::DayWriter;
use super::days::Days;
use super::files::{State, day_file, rollups_in};
use super::names::PROBE;
use super::open::{Access, open};
use super::rollup_chunk::{Wanted, decode};
use super::rollup_file::{NamedRollup, RollupFile, Source, file_of};
use super::{SqliteStore, compact, record};
use crate::columns::chunk::Effort;
use crate::columns::{ProbeColumns, SeriesName};
use crate::error::StoreError;
use crate::migrate::{Movable, RolledDays, RolledProbe, Sources};
use crate::ports::DefinitionStore;
use crate::rollup::{DayRollup, MICROS_A_DAY, Tier};

impl Movable for SqliteStore {
    fn small_things(&self) -> Result<Vec<(String, String)>, StoreError> {
        let all = self.main.all_meta()?;
        Ok(all.into_iter().filter(|(key, _)| key != "opened").collect())
    }

    fn cursors(&self) -> Result<Vec<(String, u64)>, StoreError> {
        self.main.read(record::cursors)
    }

    fn sample_days(&self) -> Result<Vec<i64>, StoreError> {
        self.days.all()
    }

    fn day_of(&self, source: &SourceId, day: i64) -> Result<Vec<ProbeColumns>, StoreError> {
        self.days.exporter()?.probes(source, day * MICROS_A_DAY..(day + 1) * MICROS_A_DAY)
    }

    fn rollups_of(
        &self,
        tier: Tier,
        sources: &[SourceId],
        without: &BTreeSet<i64>,
    ) -> Result<RolledDays, StoreError> {
        self.days.rollups_of(tier, sources, without)
    }

    fn put_monitors(
        &self,
        all: &[MonitorDefinition],
        removed: &[(MonitorDefinition, Timestamp)],
    ) -> Result<(), StoreError> {
        let mut both: BTreeMap<MonitorId, MonitorDefinition> =
            self.monitors()?.into_iter().map(|one| (one.id, one)).collect();
        both.extend(all.iter().map(|one| (one.id, one.clone())));
        self.take_over_monitors(&both.into_values().collect::<Vec<_>>(), removed)
    }

    fn put_sources(&self, all: &[SourceName]) -> Result<(), StoreError> {
        self.add_sources(all)
    }

    fn put_events(&self, all: &[(u64, Event)]) -> Result<(), StoreError> {
        let (Some((first, _)), Some((last, _))) = (all.first(), all.last()) else { return Ok(()) };
        // A page that is put twice takes its own place.
        self.main.write(|transaction| record::put(transaction, *first, all, *last))
    }

    fn put_day(&self, day: i64, _: bool, next: Sources<'_>) -> Result<(), StoreError> {
        self.days.put_day(day, next)
    }

    fn put_rollups(&self, tier: Tier, all: RolledDays) -> Result<(), StoreError> {
        self.days.put_rollups(tier, all)
    }

    fn finish(&self, now: Timestamp) -> Result<(), StoreError> {
        self.compact_all(now)
    }
}

impl Days {
    fn rollups_of(
        &self,
        tier: Tier,
        sources: &[SourceId],
        without: &BTreeSet<i64>,
    ) -> Result<RolledDays, StoreError> {
        let mut found = RolledDays::new();
        for file in rollups_in(&self.rollups)?.into_iter().filter(|file| file.tier == tier) {
            let wrap = |error: rusqlite::Error| StoreError::sqlite(&file.path, &error);
            let connection = open(&file.path, Access::Read)?;
            for source in sources {
                let Some(key) = self.key(source) else { continue };
                let mut statement = connection
                    .prepare_cached("SELECT id, probe, location FROM part WHERE monitor = ?1")
                    .map_err(wrap)?;
                let parts = statement
                    .query_map([key], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
                    .and_then(Iterator::collect::<rusqlite::Result<Vec<(i64, String, String)>>>)
                    .map_err(wrap)?;
                for (part, probe, location) in parts {
                    let mut statement = connection
                        .prepare_cached(
                            "SELECT member.name, name.name, name.labels FROM member JOIN name ON name.id = member.name
                             WHERE member.monitor = ?1 AND member.part = ?2",
                        )
                        .map_err(wrap)?;
                    let members = statement
                        .query_map(params![key, part], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
                        .and_then(Iterator::collect::<rusqlite::Result<Vec<(u32, String, String)>>>)
                        .map_err(wrap)?;
                    let numbers: Vec<u32> = members.iter().map(|(number, ..)| *number).collect();
                    let mut statement = connection
                        .prepare_cached("SELECT day, data FROM chunk WHERE part = ?1")
                        .map_err(wrap)?;
                    let mut rows = statement.query([part]).map_err(wrap)?;
                    while let Some(row) = rows.next().map_err(wrap)? {
                        let day: i64 = row.get(0).map_err(wrap)?;
                        if without.contains(&day) {
                            continue;
                        }
                        let blob = row.get_ref(1).and_then(|value| Ok(value.as_blob()?)).map_err(wrap)?;
                        let decoded =
                            decode(blob, &numbers, Wanted::ALL, day * MICROS_A_DAY, tier.width())
                                .map_err(|reason| StoreError::Damaged { path: file.path.clone(), reason })?;
                        let series =
                            members.iter().zip(decoded).filter(|(_, (buckets, _))| !buckets.is_empty());
                        let series = series.map(|((_, metric, labels), (buckets, sketches))| {
                            let name = SeriesName {
                                metric: metric.clone(),
                                labels: labels.clone(),
                                resolution: None,
                                sketch: !sketches.is_empty(),
                            };
                            (name, DayRollup::of_tier(tier, buckets, sketches))
                        });
                        found.entry(day).or_default().push(RolledProbe {
                            source: source.clone(),
                            probe: probe.clone(),
                            location: location.clone(),
                            series: series.collect(),
                        });
                    }
                }
            }
        }
        Ok(found)
    }

    fn put_rollups(&self, tier: Tier, all: RolledDays) -> Result<(), StoreError> {
        let mut files: BTreeMap<std::path::PathBuf, RollupFile> = BTreeMap::new();
        for (day, probes) in all {
            let path = file_of(&self.rollups, tier, day);
            let file = match files.entry(path.clone()) {
                std::collections::btree_map::Entry::Occupied(entry) => entry.into_mut(),
                std::collections::btree_map::Entry::Vacant(entry) => {
                    entry.insert(RollupFile::open(&path, tier)?)
                }
            };
            let sources: Vec<(Source, Vec<NamedRollup>)> = probes
                .into_iter()
                .filter_map(|probe| {
                    let monitor = self.key(&probe.source)?;
                    let series = probe.series.into_iter().map(|(name, rollup)| NamedRollup {
                        is_counter: name.metric.ends_with("_total"),
                        name: name.metric,
                        labels: name.labels,
                        resolution: name.resolution,
                        rollup,
                    });
                    Some((Source { monitor, probe: probe.probe, location: probe.location }, series.collect()))
                })
                .collect();
            file.put(day, &sources, true)?;
        }
        Ok(())
    }

    /// Writes the checks of a day into a file of their own, which is compacted like any other that is closed.
    fn put_day(&self, day: i64, next: Sources<'_>) -> Result<(), StoreError> {
        let path = day_file(&self.folder, day, State::Closed);
        let scratch = path.with_extension("tmp");
        compact::remove(&scratch)?;
        // It is read once.
        let mut file = DayWriter::create(&scratch, 0, 0)?;
        let mut evidence = 0;
        while let Some(probes) = next()? {
            for probe in probes {
                let Some(key) = self.key(&probe.source) else { continue };
                let name = SeriesName { metric: format!("{PROBE}{}", probe.probe), ..SeriesName::default() };
                let probe_number = file.number_of(&name)?;
                let origin = file.origin_of((probe.location, probe.worker))?;
                let series =
                    probe.series.iter().map(|name| file.number_of(name)).collect::<Result<Vec<_>, _>>()?;
                let before = evidence;
                for one in &probe.evidence {
                    evidence += 1;
                    file.put_evidence(evidence, key, one)?;
                }
                let columns = probe.columns.renumbered(
                    |number| series.get(number as usize).copied().unwrap_or_default(),
                    |number| before + number,
                );
                file.write((key, probe_number, origin), &columns, Effort::Quick)?;
            }
        }
        file.finish()?;
        std::fs::rename(&scratch, &path).map_err(|error| StoreError::io(&path, &error))?;
        compact::sync_folder(&path)
    }
}

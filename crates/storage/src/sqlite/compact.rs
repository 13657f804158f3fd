//! The end of a day: its many chunks become one for each probe, and its rollups are made.
//!
//! A closed day (`2026-11-20.closed.sqlite3`) is read whole and written again as `2026-11-20.sealed.sqlite3`. Should more
//! checks of that day come, they go to a new day file beside it, which is closed and taken in later. The rollups are
//! stored first, then the sealed file takes its name, then the closed one goes: a crash in between repeats the work, and
//! the outcome is the same.

use std::cell::Cell;
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use rusqlite::{Connection, params};

use super::day;
use super::day_writer::DayWriter;
use super::head::SeriesKey;
use super::names::PROBE;
use super::open::{Access, migrate, open};
use super::rollup_file::{NamedRollup, RollupFile, Source, file_of};
use crate::columns::chunk::{self, Effort};
use crate::columns::{Columns, Evidence, SeriesName};
use crate::error::StoreError;
use crate::rollup::{MICROS_A_DAY, Tier};

/// Series whose rollups are stored in one transaction: some forty kilobytes each until then.
const SLICE: usize = 1024;

/// What to compact.
#[derive(Debug)]
pub(super) struct Job<'a> {
    /// The day, counted from 1970.
    pub day: i64,
    /// What there is of it, the oldest first.
    pub sources: &'a [PathBuf],
    /// Where the sealed file goes.
    pub target: &'a Path,
    /// The folder of rollups.
    pub rollups: &'a Path,
    /// Set when the work should be given up.
    pub stop: &'a AtomicBool,
}

/// A source, and what its numbers are in the target.
struct Input {
    path: PathBuf,
    connection: Connection,
    names: HashMap<u32, u32>,
    origins: HashMap<u32, u32>,
    /// What the target's probes and origins are here.
    probes_here: HashMap<u32, u32>,
    origins_here: HashMap<u32, u32>,
    /// Added to the numbers of its evidence.
    evidence: u32,
    /// Whether a chunk could not be read.
    is_damaged: Cell<bool>,
}

impl Job<'_> {
    /// Does it. `is_known` tells whether a monitor is still there: what belongs to others goes.
    ///
    /// # Errors
    /// A file cannot be read or written. The sources are as they were.
    pub(super) fn run(&self, is_known: impl Fn(u32) -> bool) -> Result<bool, StoreError> {
        let scratch = self.target.with_extension("tmp");
        remove(&scratch)?;
        let outcome = self.write(&scratch, is_known);
        if !matches!(outcome, Ok(true)) {
            // On a full disk, what is half done would keep it full.
            remove(&scratch)?;
        }
        outcome
    }

    /// How many series of checks there are, and how many bytes of them, as far as it can be told: a file that was cut off
    /// when it was made has no tables.
    fn size(&self) -> (u64, u64) {
        let (mut bytes, mut series) = (0_u64, 0_u64);
        for path in self.sources {
            let Ok(file) = open(path, Access::Read) else { continue };
            let (here, count): (i64, i64) = file
                .query_row(
                    "SELECT coalesce(sum(bytes), 0), count(*) FROM
                     (SELECT sum(length(data)) AS bytes FROM chunk GROUP BY monitor, probe, origin)",
                    [],
                    |row| Ok((row.get(0)?, row.get(1)?)),
                )
                .unwrap_or_default();
            bytes += here.unsigned_abs();
            // Most are in every source: what there are most of is how many there are.
            series = series.max(count.unsigned_abs());
        }
        (series, bytes)
    }

    fn write(&self, scratch: &Path, is_known: impl Fn(u32) -> bool) -> Result<bool, StoreError> {
        let (series, bytes) = self.size();
        let mut output = DayWriter::create(scratch, series, bytes)?;
        let mut inputs = Vec::with_capacity(self.sources.len());
        for path in self.sources {
            inputs.push(Input::take_up(path, path == self.target, &mut output)?);
        }
        let mut tiers = Tier::ALL
            .iter()
            .map(|tier| RollupFile::open(&file_of(self.rollups, *tier, self.day), *tier))
            .collect::<Result<Vec<_>, _>>()?;
        for file in &mut tiers {
            file.forget(&is_known)?;
        }
        // By probe and location: processes of one location are one source.
        let mut probes: BTreeMap<(u32, u32), Vec<SeriesKey>> = BTreeMap::new();
        for key in inputs.iter().map(|input| input.series()).collect::<Result<Vec<_>, _>>()?.concat() {
            let keys = probes.entry((key.0, key.1)).or_default();
            if is_known(key.0) && !keys.contains(&key) {
                keys.push(key);
            }
        }
        // Without the sealed file these may be stragglers of a day whose rollups are made already.
        let is_whole = self.sources.iter().any(|source| source == self.target);
        let (mut waiting, mut series) = (Vec::new(), 0);
        for ((monitor, probe), keys) in probes {
            if self.stop.load(Ordering::Relaxed) {
                return Ok(false);
            }
            let mut by_location: BTreeMap<String, Columns> = BTreeMap::new();
            for key in keys {
                let mut columns = Columns::default();
                for input in &inputs {
                    input.read(key, self.day, &mut columns)?;
                }
                let columns = columns.sorted_once();
                output.write(key, &columns, Effort::Thorough)?;
                let location = output.location(key.2).to_owned();
                match by_location.remove(&location) {
                    None => by_location.insert(location, columns),
                    Some(mut all) => {
                        all.append(&columns);
                        by_location.insert(location, all.sorted_once())
                    }
                };
            }
            let probe = output.name(probe).metric.strip_prefix(PROBE).unwrap_or_default().to_owned();
            for (location, columns) in by_location {
                let source = Source { monitor, probe: probe.clone(), location };
                let rolled = rolled(&columns, &output);
                series += rolled.len();
                waiting.push((source, rolled));
            }
            if series >= SLICE {
                store(&mut tiers, self.day, &mut waiting, is_whole)?;
                series = 0;
            }
        }
        store(&mut tiers, self.day, &mut waiting, is_whole)?;
        output.finish()?;
        let damaged: Vec<PathBuf> =
            inputs.iter().filter(|input| input.is_damaged.get()).map(|input| input.path.clone()).collect();
        // Closing the connections gives their write-ahead logs back.
        drop((tiers, inputs));
        for path in damaged {
            // What could not be read may be worth something to someone.
            set_aside(&path, "some chunks cannot be read; the others are kept")?;
        }
        std::fs::rename(scratch, self.target).map_err(|error| StoreError::io(self.target, &error))?;
        sync_folder(self.target)?;
        for source in self.sources.iter().filter(|source| *source != self.target) {
            for suffix in ["", "-wal", "-shm"] {
                remove(Path::new(&format!("{}{suffix}", source.display())))?;
            }
        }
        Ok(true)
    }
}

fn rolled(columns: &Columns, output: &DayWriter) -> Vec<NamedRollup> {
    let each = crate::columns::rolled(columns, |number| output.name(number).sketch);
    let named = each.into_iter().map(|(number, rollup)| {
        let name = output.name(number);
        NamedRollup {
            name: name.metric.clone(),
            labels: name.labels.clone(),
            resolution: name.resolution,
            // Counters, and only they, have that unit; the conformance rules see to it.
            is_counter: name.metric.ends_with("_total"),
            rollup,
        }
    });
    named.collect()
}

fn store(
    tiers: &mut [RollupFile],
    day: i64,
    waiting: &mut Vec<(Source, Vec<NamedRollup>)>,
    is_whole: bool,
) -> Result<(), StoreError> {
    for file in tiers {
        file.put(day, waiting, is_whole)?;
    }
    waiting.clear();
    Ok(())
}

impl Input {
    /// Opens a source and takes over its names, origins and evidence.
    fn take_up(path: &Path, is_sealed: bool, target: &mut DayWriter) -> Result<Self, StoreError> {
        let connection = if is_sealed {
            open(path, Access::Read)?
        } else {
            let mut connection = open(path, Access::ReadWrite)?;
            // A day of an earlier version is brought up to date before it is read.
            migrate(&mut connection, path, day::STEPS)?;
            connection
        };
        let wrap = |error: rusqlite::Error| StoreError::sqlite(path, &error);
        let evidence = target.last_evidence()?;
        let (mut names, mut origins) = (HashMap::new(), HashMap::new());
        {
            let mut statement =
                connection.prepare("SELECT id, name, labels, resolution, sketch FROM name").map_err(wrap)?;
            let mut rows = statement.query([]).map_err(wrap)?;
            while let Some(row) = rows.next().map_err(wrap)? {
                let read = |row: &rusqlite::Row<'_>| {
                    let name = SeriesName {
                        metric: row.get(1)?,
                        labels: row.get(2)?,
                        resolution: row.get(3)?,
                        sketch: row.get(4)?,
                    };
                    rusqlite::Result::Ok((row.get(0)?, name))
                };
                let (theirs, name) = read(row).map_err(wrap)?;
                names.insert(theirs, target.number_of(&name)?);
            }
            let mut statement =
                connection.prepare("SELECT id, location, worker FROM origin").map_err(wrap)?;
            let mut rows = statement.query([]).map_err(wrap)?;
            while let Some(row) = rows.next().map_err(wrap)? {
                let read = |row: &rusqlite::Row<'_>| {
                    rusqlite::Result::Ok((row.get(0)?, (row.get::<_, String>(1)?, row.get::<_, String>(2)?)))
                };
                let (theirs, origin) = read(row).map_err(wrap)?;
                origins.insert(theirs, target.origin_of(origin)?);
            }
            let mut statement = connection
                .prepare("SELECT id, monitor, class, code, message, body FROM evidence")
                .map_err(wrap)?;
            let mut rows = statement.query([]).map_err(wrap)?;
            while let Some(row) = rows.next().map_err(wrap)? {
                let read = |row: &rusqlite::Row<'_>| {
                    let (class, code) = (row.get(2)?, row.get(3)?);
                    let one = Evidence { class, code, message: row.get(4)?, body: row.get(5)? };
                    rusqlite::Result::Ok((row.get::<_, u32>(0)? + evidence, row.get(1)?, one))
                };
                let (id, monitor, one) = read(row).map_err(wrap)?;
                target.put_evidence(id, monitor, &one)?;
            }
        }
        let probes_here = names
            .iter()
            .filter(|(_, number)| target.name(**number).metric.starts_with(PROBE))
            .map(|(theirs, number)| (*number, *theirs))
            .collect();
        let origins_here = origins.iter().map(|(theirs, number)| (*number, *theirs)).collect();
        let is_damaged = Cell::new(false);
        Ok(Self {
            path: path.to_owned(),
            connection,
            names,
            origins,
            probes_here,
            origins_here,
            evidence,
            is_damaged,
        })
    }

    fn wrap(&self, error: rusqlite::Error) -> StoreError {
        StoreError::sqlite(&self.path, &error)
    }

    /// Its series, in the target's numbers.
    fn series(&self) -> Result<Vec<SeriesKey>, StoreError> {
        let mut statement = self
            .connection
            .prepare("SELECT DISTINCT monitor, probe, origin FROM chunk")
            .map_err(|error| self.wrap(error))?;
        let rows = statement
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
            .map_err(|error| self.wrap(error))?;
        rows.map(|row| {
            let (monitor, probe, origin): SeriesKey = row.map_err(|error| self.wrap(error))?;
            Ok((monitor, number(&self.names, probe), number(&self.origins, origin)))
        })
        .collect()
    }

    /// Adds what it has of a series.
    fn read(&self, key: SeriesKey, day: i64, columns: &mut Columns) -> Result<(), StoreError> {
        let (Some(probe), Some(origin)) = (self.probes_here.get(&key.1), self.origins_here.get(&key.2))
        else {
            return Ok(());
        };
        let mut statement = self
            .connection
            .prepare_cached(
                "SELECT data FROM chunk WHERE monitor = ?1 AND probe = ?2 AND origin = ?3 ORDER BY upto",
            )
            .map_err(|error| self.wrap(error))?;
        let mut rows = statement.query(params![key.0, probe, origin]).map_err(|error| self.wrap(error))?;
        while let Some(row) = rows.next().map_err(|error| self.wrap(error))? {
            let blob = row.get_ref(0).and_then(|value| Ok(value.as_blob()?));
            let hours = day * MICROS_A_DAY..(day + 1) * MICROS_A_DAY;
            let decoded = chunk::decode(blob.map_err(|error| self.wrap(error))?).and_then(|found| {
                let is_sound = found.all_times().all(|time| hours.contains(time));
                is_sound.then_some(found).ok_or_else(|| "it has times of another day".to_owned())
            });
            let found = match decoded {
                Ok(found) => found,
                Err(reason) => {
                    // One chunk must not take the day of all others with it.
                    if !self.is_damaged.replace(true) {
                        tracing::error!(
                            "{}: a chunk of source {} is left out: {reason}",
                            self.path.display(),
                            key.0
                        );
                    }
                    continue;
                }
            };
            let found =
                found.renumbered(|series| number(&self.names, series), |failure| failure + self.evidence);
            columns.append(&found);
        }
        Ok(())
    }
}

fn number(map: &HashMap<u32, u32>, theirs: u32) -> u32 {
    map.get(&theirs).copied().unwrap_or_default()
}

/// Makes a new name last: it is in the folder, and not in the file.
pub(super) fn sync_folder(path: &Path) -> Result<(), StoreError> {
    let Some(folder) = path.parent() else { return Ok(()) };
    std::fs::File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(|error| StoreError::io(folder, &error))
}

/// Renames a damaged file, so that a new one can take its place and someone can look at the old.
pub(super) fn set_aside(path: &Path, reason: &str) -> Result<(), StoreError> {
    let named = |number: u32| {
        let more = if number > 1 { format!(".{number}") } else { String::new() };
        PathBuf::from(format!("{}.damaged{more}", path.display()))
    };
    let aside = (1..1000).map(named).find(|aside| !aside.exists()).unwrap_or_else(|| named(1000));
    tracing::error!("{} is damaged ({reason}): set aside as {}", path.display(), aside.display());
    for suffix in ["", "-wal", "-shm"] {
        let (from, to) = (format!("{}{suffix}", path.display()), format!("{}{suffix}", aside.display()));
        match std::fs::rename(&from, to) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(StoreError::io(Path::new(&from), &error)),
        }
    }
    Ok(())
}

/// Removes a file if it is there.
pub(super) fn remove(path: &Path) -> Result<(), StoreError> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(StoreError::io(path, &error)),
        _ => Ok(()),
    }
}

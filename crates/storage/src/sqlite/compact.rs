//! The end of a day: its many chunks become one for each probe, and its rollups are made.
//!
//! A closed day (`2026-11-20.closed.sqlite3`) is read whole and written anew as `2026-11-20.sealed.sqlite3`. Should more
//! checks of that day come, they go to a new day file beside it, which is closed and taken in later. The rollups are
//! stored first, then the sealed file takes its name, then the closed one goes: a crash in between repeats the work, and
//! the outcome is the same.

use std::cell::Cell;
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use rusqlite::{Connection, params};

use super::day::{self, PROBE};
use super::head::SeriesKey;
use super::open::{Access, migrate, open};
use super::rollup_file::{NamedRollup, RollupFile, Source, file_of};
use crate::columns::Columns;
use crate::columns::chunk::{self, Effort};
use crate::error::StoreError;
use crate::rollup::{MICROS_A_DAY, Tier, roll};

/// Small pages waste less behind each chunk.
const PAGE: u32 = 512;
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

#[derive(Clone, Debug, PartialEq)]
struct Name {
    name: String,
    labels: String,
    resolution: Option<f64>,
    sketch: bool,
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

struct Output {
    path: PathBuf,
    connection: Connection,
    names: Vec<Name>,
    numbers: HashMap<(String, String), u32>,
    locations: Vec<String>,
    origins: HashMap<(String, String), u32>,
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

    fn write(&self, scratch: &Path, is_known: impl Fn(u32) -> bool) -> Result<bool, StoreError> {
        let mut output = Output::create(scratch)?;
        let mut inputs = Vec::with_capacity(self.sources.len());
        for path in self.sources {
            inputs.push(output.take_up(path, path == self.target)?);
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
        output.begin()?;
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
                output.write(key, &columns)?;
                let location = output.location(key.2).to_owned();
                match by_location.remove(&location) {
                    None => by_location.insert(location, columns),
                    Some(mut all) => {
                        all.append(&columns);
                        by_location.insert(location, all.sorted_once())
                    }
                };
            }
            let probe = output.name(probe).name.strip_prefix(PROBE).unwrap_or_default().to_owned();
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
            // What could not be read may be worth something to somebody.
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

fn rolled(columns: &Columns, output: &Output) -> Vec<NamedRollup> {
    let each = columns.values.iter().map(|(number, values)| {
        let name = output.name(*number);
        NamedRollup {
            name: name.name.clone(),
            labels: name.labels.clone(),
            resolution: name.resolution,
            // Counters, and only they, have that unit; the conformance rules see to it.
            is_counter: name.name.ends_with("_total"),
            rollup: roll(&columns.times, values, name.sketch),
        }
    });
    each.filter(|one| one.rollup.day.is_some()).collect()
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
                let is_sound = found.times.iter().all(|time| hours.contains(time));
                is_sound.then_some(found).ok_or_else(|| "it has times of another day".to_owned())
            });
            let mut found = match decoded {
                Ok(found) => found,
                Err(reason) => {
                    // One chunk must not take the day of all others with it.
                    if !self.is_damaged.replace(true) {
                        tracing::error!(
                            "{}: a chunk of monitor {} is left out: {reason}",
                            self.path.display(),
                            key.0
                        );
                    }
                    continue;
                }
            };
            for failure in found.failures.iter_mut().filter(|failure| **failure != 0) {
                *failure += self.evidence;
            }
            found.values = found
                .values
                .into_iter()
                .map(|(series, values)| (number(&self.names, series), values))
                .collect();
            columns.append(&found);
        }
        Ok(())
    }
}

fn number(map: &HashMap<u32, u32>, theirs: u32) -> u32 {
    map.get(&theirs).copied().unwrap_or_default()
}

impl Output {
    fn create(path: &Path) -> Result<Self, StoreError> {
        let mut connection = open(path, Access::Scratch { page: PAGE })?;
        migrate(&mut connection, path, day::STEPS)?;
        Ok(Self {
            path: path.to_owned(),
            connection,
            // Numbers begin at one.
            names: vec![Name { name: String::new(), labels: String::new(), resolution: None, sketch: false }],
            numbers: HashMap::new(),
            locations: vec![String::new()],
            origins: HashMap::new(),
        })
    }

    fn wrap(&self, error: rusqlite::Error) -> StoreError {
        StoreError::sqlite(&self.path, &error)
    }

    fn name(&self, number: u32) -> &Name {
        self.names.get(number as usize).unwrap_or(&self.names[0])
    }

    fn location(&self, origin: u32) -> &str {
        self.locations.get(origin as usize).map_or("", String::as_str)
    }

    fn begin(&self) -> Result<(), StoreError> {
        self.connection.execute_batch("BEGIN").map_err(|error| self.wrap(error))
    }

    /// Opens a source and takes over its names, origins and evidence.
    fn take_up(&mut self, path: &Path, is_sealed: bool) -> Result<Input, StoreError> {
        let connection = if is_sealed {
            open(path, Access::Read)?
        } else {
            let mut connection = open(path, Access::ReadWrite)?;
            // A day of an earlier version is brought up to date before it is read.
            migrate(&mut connection, path, day::STEPS)?;
            connection
        };
        let wrap = |error: rusqlite::Error| StoreError::sqlite(path, &error);
        let evidence: u32 = self
            .connection
            .query_row("SELECT coalesce(max(id), 0) FROM evidence", [], |row| row.get(0))
            .map_err(|error| self.wrap(error))?;
        let (mut names, mut origins) = (HashMap::new(), HashMap::new());
        {
            let mut statement =
                connection.prepare("SELECT id, name, labels, resolution, sketch FROM name").map_err(wrap)?;
            let mut rows = statement.query([]).map_err(wrap)?;
            while let Some(row) = rows.next().map_err(wrap)? {
                let read = |row: &rusqlite::Row<'_>| {
                    let name = Name {
                        name: row.get(1)?,
                        labels: row.get(2)?,
                        resolution: row.get(3)?,
                        sketch: row.get(4)?,
                    };
                    rusqlite::Result::Ok((row.get(0)?, name))
                };
                let (theirs, name) = read(row).map_err(wrap)?;
                names.insert(theirs, self.number_of(name)?);
            }
            let mut statement =
                connection.prepare("SELECT id, location, worker FROM origin").map_err(wrap)?;
            let mut rows = statement.query([]).map_err(wrap)?;
            while let Some(row) = rows.next().map_err(wrap)? {
                let read = |row: &rusqlite::Row<'_>| {
                    rusqlite::Result::Ok((row.get(0)?, (row.get::<_, String>(1)?, row.get::<_, String>(2)?)))
                };
                let (theirs, origin) = read(row).map_err(wrap)?;
                origins.insert(theirs, self.origin_of(origin)?);
            }
            let mut statement = connection
                .prepare("SELECT id, monitor, class, code, message, body FROM evidence")
                .map_err(wrap)?;
            let mut rows = statement.query([]).map_err(wrap)?;
            while let Some(row) = rows.next().map_err(wrap)? {
                let value = |column: usize| row.get::<_, rusqlite::types::Value>(column);
                let id: u32 = row.get(0).map_err(wrap)?;
                let insert = || {
                    self.connection
                        .prepare_cached(
                            "INSERT INTO evidence (id, monitor, class, code, message, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                        )?
                        .execute(params![id + evidence, value(1)?, value(2)?, value(3)?, value(4)?, value(5)?])
                };
                insert().map_err(|error| self.wrap(error))?;
            }
        }
        let probes_here = names
            .iter()
            .filter(|(_, number)| self.name(**number).name.starts_with(PROBE))
            .map(|(theirs, number)| (*number, *theirs))
            .collect();
        let origins_here = origins.iter().map(|(theirs, number)| (*number, *theirs)).collect();
        let is_damaged = Cell::new(false);
        Ok(Input {
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

    fn number_of(&mut self, name: Name) -> Result<u32, StoreError> {
        let key = (name.name.clone(), name.labels.clone());
        if let Some(number) = self.numbers.get(&key) {
            return Ok(*number);
        }
        let number = self.names.len() as u32;
        self.connection
            .execute(
                "INSERT INTO name (id, name, labels, resolution, sketch) VALUES (?1, ?2, ?3, ?4, ?5)",
                params![number, name.name, name.labels, name.resolution, name.sketch],
            )
            .map_err(|error| self.wrap(error))?;
        self.numbers.insert(key, number);
        self.names.push(name);
        Ok(number)
    }

    fn origin_of(&mut self, origin: (String, String)) -> Result<u32, StoreError> {
        if let Some(number) = self.origins.get(&origin) {
            return Ok(*number);
        }
        let number = self.locations.len() as u32;
        self.connection
            .execute(
                "INSERT INTO origin (id, location, worker) VALUES (?1, ?2, ?3)",
                params![number, origin.0, origin.1],
            )
            .map_err(|error| self.wrap(error))?;
        self.locations.push(origin.0.clone());
        self.origins.insert(origin, number);
        Ok(number)
    }

    fn write(&self, key: SeriesKey, columns: &Columns) -> Result<(), StoreError> {
        let (Some(first), Some(last)) = (columns.times.first(), columns.times.last()) else { return Ok(()) };
        let data = chunk::encode(columns, |series| self.name(series).resolution, Effort::Thorough)
            .map_err(|reason| StoreError::Other { path: self.path.clone(), reason })?;
        self.connection
            .prepare_cached(
                "INSERT INTO chunk (monitor, probe, origin, first, last, upto, checks, data)
                 VALUES (?1, ?2, ?3, ?4, ?5, 0, ?6, ?7)",
            )
            .and_then(|mut statement| {
                statement.execute(params![key.0, key.1, key.2, first, last, columns.len() as i64, data])
            })
            .map(|_| ())
            .map_err(|error| self.wrap(error))
    }

    /// Ends the file: it is whole, and on the disk.
    fn finish(self) -> Result<(), StoreError> {
        self.connection.execute_batch("COMMIT").map_err(|error| self.wrap(error))?;
        let path = self.path;
        self.connection.close().map_err(|(_, error)| StoreError::sqlite(&path, &error))?;
        let file = std::fs::File::open(&path).map_err(|error| StoreError::io(&path, &error))?;
        file.sync_all().map_err(|error| StoreError::io(&path, &error))
    }
}

/// Makes a new name last: it is in the folder, and not in the file.
pub(super) fn sync_folder(path: &Path) -> Result<(), StoreError> {
    let Some(folder) = path.parent() else { return Ok(()) };
    std::fs::File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(|error| StoreError::io(folder, &error))
}

/// Renames a damaged file, so that a new one can take its place and somebody can look at the old.
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

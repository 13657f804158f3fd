//! A file of rollups: one tier, one month or year, so that old ones go by unlinking.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};

use rusqlite::{Connection, Transaction, params};
use wise_core::Timestamp;

use super::open::{Access, is_unmade, migrate, open};
use super::rollup_chunk::{RolledSeries, Wanted, decode, encode};
use crate::error::StoreError;
use crate::query::{Found, Piece};
use crate::rollup::{DayRollup, MICROS_A_DAY, Sketch, Tier};

/// Format 1.
const STEPS: &[&str] = &["
    CREATE TABLE name (id INTEGER PRIMARY KEY, name TEXT NOT NULL, labels TEXT NOT NULL, UNIQUE (name, labels)) STRICT;
    CREATE TABLE part (
        id INTEGER PRIMARY KEY,
        monitor INTEGER NOT NULL,
        probe TEXT NOT NULL,
        location TEXT NOT NULL
    ) STRICT;
    CREATE INDEX part_of_probe ON part (monitor, probe, location);
    CREATE TABLE member (
        monitor INTEGER NOT NULL,
        name INTEGER NOT NULL,
        part INTEGER NOT NULL,
        PRIMARY KEY (monitor, name, part)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE chunk (
        part INTEGER NOT NULL,
        day INTEGER NOT NULL,
        data BLOB NOT NULL,
        PRIMARY KEY (part, day)
    ) STRICT, WITHOUT ROWID;
"];

/// Series of a part at most: their columns are compressed together, and one cannot be read without the others.
const SERIES_A_PART: usize = 16;
/// Small pages waste less behind each chunk.
const PAGE: u32 = 512;

/// Whose rollups, and from where.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Source {
    pub monitor: u32,
    pub probe: String,
    pub location: String,
}

/// One series of a day.
#[derive(Debug)]
pub(super) struct NamedRollup {
    pub name: String,
    /// Labels as JSON.
    pub labels: String,
    pub resolution: Option<f64>,
    pub is_counter: bool,
    pub rollup: DayRollup,
}

/// The file of a tier that has a day.
pub(super) fn file_of(folder: &Path, tier: Tier, day: i64) -> PathBuf {
    let date = Timestamp::from_micros(day * MICROS_A_DAY).to_string();
    let length = if tier == Tier::FiveMinutes { "2026-11".len() } else { "2026".len() };
    folder.join(format!("{}-{}.sqlite3", tier.name(), date.get(..length).unwrap_or(&date)))
}

/// The tier of a file, and the last day it can have; `None` for other files.
pub(super) fn tier_and_end(path: &Path) -> Option<(Tier, i64)> {
    let stem = path.file_name()?.to_str()?.strip_suffix(".sqlite3")?;
    let (tier, period) = stem.split_once('-')?;
    let tier = Tier::ALL.into_iter().find(|known| known.name() == tier)?;
    let day = |text: String| Timestamp::parse(&text).ok().map(|time| time.as_seconds().div_euclid(86_400));
    // The day before the next period begins.
    let next = match period.split_once('-') {
        None => format!("{:04}-01-01T00:00:00Z", period.parse::<i64>().ok()? + 1),
        Some((year, "12")) => format!("{:04}-01-01T00:00:00Z", year.parse::<i64>().ok()? + 1),
        Some((year, month)) => format!("{year}-{:02}-01T00:00:00Z", month.parse::<u32>().ok()? + 1),
    };
    Some((tier, day(next)? - 1))
}

/// A file that is written to.
#[derive(Debug)]
pub(super) struct RollupFile {
    path: PathBuf,
    tier: Tier,
    connection: Connection,
    names: HashMap<(String, String), u32>,
    parts: HashMap<Source, Vec<Part>>,
}

#[derive(Debug)]
struct Part {
    id: i64,
    members: Vec<u32>,
}

impl RollupFile {
    /// Opens, or makes, it.
    pub(super) fn open(path: &Path, tier: Tier) -> Result<Self, StoreError> {
        let mut connection = open(path, Access::Make { page: PAGE })?;
        migrate(&mut connection, path, STEPS)?;
        let mut file =
            Self { path: path.to_owned(), tier, connection, names: HashMap::new(), parts: HashMap::new() };
        file.load().map_err(|error| StoreError::sqlite(path, &error))?;
        Ok(file)
    }

    fn load(&mut self) -> rusqlite::Result<()> {
        (self.names, self.parts) = Default::default();
        let mut statement = self.connection.prepare("SELECT name, labels, id FROM name")?;
        for row in statement.query_map([], |row| Ok(((row.get(0)?, row.get(1)?), row.get(2)?)))? {
            let (name, id) = row?;
            self.names.insert(name, id);
        }
        let mut members: HashMap<i64, Vec<u32>> = HashMap::new();
        let mut statement = self.connection.prepare("SELECT part, name FROM member")?;
        for row in statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))? {
            let (part, name) = row?;
            members.entry(part).or_default().push(name);
        }
        let mut statement =
            self.connection.prepare("SELECT id, monitor, probe, location FROM part ORDER BY id")?;
        let rows = statement.query_map([], |row| {
            Ok((row.get(0)?, Source { monitor: row.get(1)?, probe: row.get(2)?, location: row.get(3)? }))
        })?;
        for row in rows {
            let (id, source) = row?;
            let members = members.remove(&id).unwrap_or_default();
            self.parts.entry(source).or_default().push(Part { id, members });
        }
        Ok(())
    }

    /// Stores the rollups of a day, all or none. Those that are there already are replaced if `is_whole`, and stay if
    /// these are of a part of the day only.
    pub(super) fn put(
        &mut self,
        day: i64,
        all: &[(Source, Vec<NamedRollup>)],
        is_whole: bool,
    ) -> Result<(), StoreError> {
        let (path, tier) = (self.path.clone(), self.tier);
        let wrap = |error: rusqlite::Error| StoreError::sqlite(&path, &error);
        let transaction = self.connection.transaction().map_err(wrap)?;
        let mut result = Ok(());
        for (source, series) in all {
            result = put_source(
                &transaction,
                &mut self.names,
                &mut self.parts,
                (tier, day, is_whole),
                source,
                series,
            )
            .map_err(|error| match error {
                PutError::Sqlite(error) => wrap(error),
                PutError::Format(reason) => StoreError::Other { path: path.clone(), reason },
            });
            if result.is_err() {
                break;
            }
        }
        let result = result.and_then(|()| transaction.commit().map_err(wrap));
        if result.is_err() {
            // Numbers given out in the failed transaction do not exist.
            self.load().map_err(wrap)?;
        }
        result
    }

    /// Removes what belongs to monitors that are gone.
    pub(super) fn forget(&mut self, is_known: impl Fn(u32) -> bool) -> Result<(), StoreError> {
        let path = self.path.clone();
        let wrap = |error: rusqlite::Error| StoreError::sqlite(&path, &error);
        let gone: HashSet<u32> =
            self.parts.keys().map(|source| source.monitor).filter(|monitor| !is_known(*monitor)).collect();
        let transaction = self.connection.transaction().map_err(wrap)?;
        for monitor in &gone {
            for statement in [
                "DELETE FROM chunk WHERE part IN (SELECT id FROM part WHERE monitor = ?1)",
                "DELETE FROM member WHERE monitor = ?1",
                "DELETE FROM part WHERE monitor = ?1",
            ] {
                transaction.execute(statement, [monitor]).map_err(wrap)?;
            }
        }
        transaction.commit().map_err(wrap)?;
        self.parts.retain(|source, _| !gone.contains(&source.monitor));
        Ok(())
    }
}

enum PutError {
    Sqlite(rusqlite::Error),
    Format(String),
}

impl From<rusqlite::Error> for PutError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

/// A series with its number, and its sketches.
type Numbered<'a> = (u32, &'a NamedRollup, Vec<Sketch>);

fn put_source(
    transaction: &Transaction<'_>,
    names: &mut HashMap<(String, String), u32>,
    parts: &mut HashMap<Source, Vec<Part>>,
    (tier, day, is_whole): (Tier, i64, bool),
    source: &Source,
    series: &[NamedRollup],
) -> Result<(), PutError> {
    let mut by_part: BTreeMap<i64, Vec<Numbered<'_>>> = BTreeMap::new();
    for one in series {
        let name = match names.get(&(one.name.clone(), one.labels.clone())) {
            Some(name) => *name,
            None => {
                transaction
                    .prepare_cached("INSERT INTO name (name, labels) VALUES (?1, ?2)")?
                    .execute([&one.name, &one.labels])?;
                let id = u32::try_from(transaction.last_insert_rowid()).unwrap_or(u32::MAX);
                names.insert((one.name.clone(), one.labels.clone()), id);
                id
            }
        };
        let known = parts.entry(source.clone()).or_default();
        let part = match known.iter().find(|part| part.members.contains(&name)) {
            Some(part) => part.id,
            None => {
                let id = match known.iter_mut().find(|part| part.members.len() < SERIES_A_PART) {
                    Some(part) => {
                        part.members.push(name);
                        part.id
                    }
                    None => {
                        transaction
                            .prepare_cached(
                                "INSERT INTO part (monitor, probe, location) VALUES (?1, ?2, ?3)",
                            )?
                            .execute(params![source.monitor, source.probe, source.location])?;
                        let id = transaction.last_insert_rowid();
                        known.push(Part { id, members: vec![name] });
                        id
                    }
                };
                transaction
                    .prepare_cached("INSERT INTO member (monitor, name, part) VALUES (?1, ?2, ?3)")?
                    .execute(params![source.monitor, name, id])?;
                id
            }
        };
        by_part.entry(part).or_default().push((name, one, one.rollup.sketches(tier)));
    }
    for (part, members) in by_part {
        let rolled: Vec<RolledSeries<'_>> = members
            .iter()
            .map(|(name, one, sketches)| RolledSeries {
                series: *name,
                resolution: one.resolution,
                is_counter: one.is_counter,
                buckets: one.rollup.buckets(tier),
                sketches,
            })
            .collect();
        let data = encode(&rolled, day * MICROS_A_DAY, tier.width()).map_err(PutError::Format)?;
        let statement = if is_whole {
            "INSERT OR REPLACE INTO chunk (part, day, data) VALUES (?1, ?2, ?3)"
        } else {
            "INSERT OR IGNORE INTO chunk (part, day, data) VALUES (?1, ?2, ?3)"
        };
        transaction.prepare_cached(statement)?.execute(params![part, day, data])?;
    }
    Ok(())
}

/// Reads a metric of a monitor from a file, and adds it to `found`.
pub(super) fn read(
    connection: &Connection,
    path: &Path,
    tier: Tier,
    (monitor, metric): (u32, &str),
    days: std::ops::RangeInclusive<i64>,
    wanted: Wanted,
    found: &mut Found,
) -> Result<(), StoreError> {
    let wrap = |error: rusqlite::Error| StoreError::sqlite(path, &error);
    let members = connection.prepare_cached(
        "SELECT member.part, member.name, name.labels FROM name JOIN member ON member.name = name.id
         WHERE name.name = ?1 AND member.monitor = ?2",
    );
    let mut statement = match members {
        Err(_) if is_unmade(connection) => return Ok(()),
        other => other.map_err(wrap)?,
    };
    let rows = statement
        .query_map(params![metric, monitor], |row| Ok((row.get(0)?, (row.get(1)?, row.get(2)?))))
        .map_err(wrap)?;
    let mut parts: BTreeMap<i64, Vec<(u32, String)>> = BTreeMap::new();
    for row in rows {
        let (part, member) = row.map_err(wrap)?;
        parts.entry(part).or_default().push(member);
    }
    let mut statement = connection
        .prepare_cached("SELECT day, data FROM chunk WHERE part = ?1 AND day BETWEEN ?2 AND ?3")
        .map_err(wrap)?;
    for (part, members) in parts {
        let series: Vec<u32> = members.iter().map(|(series, _)| *series).collect();
        let mut rows = statement.query(params![part, days.start(), days.end()]).map_err(wrap)?;
        while let Some(row) = rows.next().map_err(wrap)? {
            let day: i64 = row.get(0).map_err(wrap)?;
            let blob = row.get_ref(1).and_then(|value| Ok(value.as_blob()?)).map_err(wrap)?;
            let decoded = decode(blob, &series, wanted, day * MICROS_A_DAY, tier.width())
                .map_err(|reason| StoreError::Damaged { path: path.to_owned(), reason })?;
            for ((_, labels), (buckets, sketches)) in members.iter().zip(decoded) {
                if buckets.is_empty() {
                    continue;
                }
                // A look-up before an owned key: this runs once a day and series.
                if !found.contains_key(labels) {
                    found.insert(labels.clone(), BTreeMap::new());
                }
                if let Some(days) = found.get_mut(labels) {
                    days.entry(day).or_default().push(Piece::Rolled(tier, buckets, sketches));
                }
            }
        }
    }
    Ok(())
}

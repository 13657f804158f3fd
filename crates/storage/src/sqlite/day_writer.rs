//! Writing the file of a day that is over, in one go.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, params};

use super::day::STEPS;
use super::head::SeriesKey;
use super::open::{Access, migrate, open};
use crate::columns::chunk::{self, Effort};
use crate::columns::{Columns, Evidence, SeriesName};
use crate::error::StoreError;

/// Pages of a file: the smaller, the less is wasted behind each chunk; the larger, the fewer reads a chunk takes.
const PAGES: std::ops::RangeInclusive<u32> = 512..=4096;

/// A file that no one reads yet.
#[derive(Debug)]
pub(super) struct DayWriter {
    path: PathBuf,
    connection: Connection,
    names: Vec<SeriesName>,
    numbers: HashMap<(String, String), u32>,
    locations: Vec<String>,
    origins: HashMap<(String, String), u32>,
}

impl DayWriter {
    /// Makes the file, for that many chunks with that many bytes in all, more or less.
    pub(super) fn create(path: &Path, chunks: u64, bytes: u64) -> Result<Self, StoreError> {
        let mut connection = open(path, Access::Scratch { page: page_for(chunks, bytes) })?;
        migrate(&mut connection, path, STEPS)?;
        connection.execute_batch("BEGIN").map_err(|error| StoreError::sqlite(path, &error))?;
        Ok(Self {
            path: path.to_owned(),
            connection,
            // Numbers begin at one.
            names: vec![SeriesName::default()],
            numbers: HashMap::new(),
            locations: vec![String::new()],
            origins: HashMap::new(),
        })
    }

    fn wrap(&self, error: rusqlite::Error) -> StoreError {
        StoreError::sqlite(&self.path, &error)
    }

    /// What the number of a series or a probe stands for.
    pub(super) fn name(&self, number: u32) -> &SeriesName {
        self.names.get(number as usize).unwrap_or(&self.names[0])
    }

    /// Where the checks of an origin were made.
    pub(super) fn location(&self, origin: u32) -> &str {
        self.locations.get(origin as usize).map_or("", String::as_str)
    }

    /// The number of a series or a probe.
    pub(super) fn number_of(&mut self, name: &SeriesName) -> Result<u32, StoreError> {
        let key = (name.metric.clone(), name.labels.clone());
        if let Some(number) = self.numbers.get(&key) {
            return Ok(*number);
        }
        let number = self.names.len() as u32;
        self.connection
            .execute(
                "INSERT INTO name (id, name, labels, resolution, sketch) VALUES (?1, ?2, ?3, ?4, ?5)",
                params![number, name.metric, name.labels, name.resolution, name.sketch],
            )
            .map_err(|error| self.wrap(error))?;
        self.numbers.insert(key, number);
        self.names.push(name.clone());
        Ok(number)
    }

    /// The number of an origin: location and worker.
    pub(super) fn origin_of(&mut self, origin: (String, String)) -> Result<u32, StoreError> {
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

    /// The highest number of evidence; zero without any.
    pub(super) fn last_evidence(&self) -> Result<u32, StoreError> {
        self.connection
            .query_row("SELECT coalesce(max(id), 0) FROM evidence", [], |row| row.get(0))
            .map_err(|error| self.wrap(error))
    }

    /// Adds evidence under a number that is free.
    pub(super) fn put_evidence(&self, id: u32, monitor: u32, one: &Evidence) -> Result<(), StoreError> {
        self.connection
            .prepare_cached(
                "INSERT INTO evidence (id, monitor, class, code, message, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )
            .and_then(|mut statement| {
                statement.execute(params![id, monitor, one.class, one.code, one.message, one.body])
            })
            .map(drop)
            .map_err(|error| self.wrap(error))
    }

    /// Adds all that there is of a series of checks, in the numbers of this file.
    pub(super) fn write(&self, key: SeriesKey, columns: &Columns, effort: Effort) -> Result<(), StoreError> {
        let (Some(first), Some(last)) = (columns.times.first(), columns.times.last()) else { return Ok(()) };
        let data = chunk::encode(columns, |series| self.name(series).resolution, effort)
            .map_err(|reason| StoreError::Other { path: self.path.clone(), reason })?;
        self.connection
            .prepare_cached(
                "INSERT INTO chunk (monitor, probe, origin, first, last, upto, checks, data)
                 VALUES (?1, ?2, ?3, ?4, ?5, 0, ?6, ?7)",
            )
            .and_then(|mut statement| {
                statement.execute(params![key.0, key.1, key.2, first, last, columns.len() as i64, data])
            })
            .map(drop)
            .map_err(|error| self.wrap(error))
    }

    /// Ends the file: it is whole, and on the disk.
    pub(super) fn finish(self) -> Result<(), StoreError> {
        self.connection.execute_batch("COMMIT").map_err(|error| self.wrap(error))?;
        let path = self.path;
        self.connection.close().map_err(|(_, error)| StoreError::sqlite(&path, &error))?;
        let file = std::fs::File::open(&path).map_err(|error| StoreError::io(&path, &error))?;
        file.sync_all().map_err(|error| StoreError::io(&path, &error))
    }
}

/// The size of a page, a power of two: an eighth of a chunk, of which a page or so is wasted, and no more than a small part
/// of the whole file, in which some twenty pages are never full.
fn page_for(chunks: u64, bytes: u64) -> u32 {
    let wanted = (bytes / chunks.max(1) / 8).min(bytes / 64);
    let page = u32::try_from(wanted).unwrap_or(u32::MAX).clamp(*PAGES.start(), *PAGES.end());
    1 << page.ilog2()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_fit_the_chunks() {
        let many = [0, 4_300, 8_191, 8_192, 17_000, 33_000].map(|chunk| page_for(1000, 1000 * chunk));
        assert_eq!(many, [512, 512, 512, 1024, 2048, 4096]);
        let few =
            [(0, 0), (3, 51_000), (8, 136_000), (1, u64::MAX)].map(|(chunks, bytes)| page_for(chunks, bytes));
        assert_eq!(few, [512, 512, 2048, 4096]);
    }
}

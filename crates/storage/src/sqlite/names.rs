//! What the numbers of a day file stand for: series and probes; and how many series a source may have.

use std::fmt::Display;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rusqlite::{Connection, Transaction, params};
use rustc_hash::{FxHashMap, FxHashSet};
use wise_core::{Labels, MetricRef};

use super::sources::SourceKey;

/// Stands before a probe's name in the table of names, where no metric's name can begin with it.
pub(super) const PROBE: &str = "probe:";

/// How many series with labels a source may have in a day, and what was refused for it.
#[derive(Clone, Debug)]
pub(super) struct SeriesLimit {
    pub most: usize,
    pub refused: Arc<AtomicU64>,
}

/// The numbers of a day file that is written to.
#[derive(Debug)]
pub(super) struct Names {
    numbers: Numbers,
    limit: SeriesLimit,
    /// The series with labels of each source since the file was opened.
    labelled: FxHashMap<SourceKey, FxHashSet<u32>>,
}

#[derive(Debug, Default)]
struct Numbers {
    /// Declared metrics without labels, by the address of their descriptor: most readings are found here.
    declared: FxHashMap<usize, u32>,
    all: FxHashMap<(String, String), u32>,
    resolutions: FxHashMap<u32, f64>,
}

impl Names {
    /// Those that a file has.
    pub(super) fn load(connection: &Connection, limit: SeriesLimit) -> rusqlite::Result<Self> {
        let mut numbers = Numbers::default();
        let mut statement = connection.prepare("SELECT id, name, labels, resolution FROM name")?;
        let rows = statement.query_map([], |row| {
            Ok((row.get::<_, u32>(0)?, row.get(1)?, row.get(2)?, row.get::<_, Option<f64>>(3)?))
        })?;
        for row in rows {
            let (id, name, labels, resolution) = row?;
            numbers.all.insert((name, labels), id);
            if let Some(resolution) = resolution {
                numbers.resolutions.insert(id, resolution);
            }
        }
        Ok(Self { numbers, limit, labelled: FxHashMap::default() })
    }

    /// What is left of them when a transaction failed: numbers that were given out in it do not exist.
    pub(super) fn load_again(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        *self = Self::load(connection, self.limit.clone())?;
        Ok(())
    }

    /// The step in which the values of a series are kept.
    pub(super) fn resolution(&self, series: u32) -> Option<f64> {
        self.numbers.resolutions.get(&series).copied()
    }

    /// The number of a probe.
    pub(super) fn probe(&mut self, transaction: &Transaction<'_>, probe: &str) -> rusqlite::Result<u32> {
        // A handful of probe names: the format is cheaper than a map of its own.
        let key = (format!("{PROBE}{probe}"), String::new());
        match self.numbers.all.get(&key) {
            Some(id) => Ok(*id),
            None => self.numbers.add(transaction, key, (None, false)),
        }
    }

    /// The number of a source's series; `None` when it is new and the source has as many as it may have.
    pub(super) fn admitted(
        &mut self,
        transaction: &Transaction<'_>,
        source: SourceKey,
        metric: &MetricRef,
        labels: &Labels,
    ) -> rusqlite::Result<Option<u32>> {
        if labels.is_empty() {
            return self.numbers.series(transaction, metric, labels).map(Some);
        }
        let of_source = self.labelled.entry(source).or_default();
        if of_source.len() >= self.limit.most {
            return Ok(self.numbers.known(metric, labels).filter(|series| of_source.contains(series)));
        }
        let series = self.numbers.series(transaction, metric, labels)?;
        of_source.insert(series);
        Ok(Some(series))
    }

    /// Counts readings that were refused, and says so of the first.
    pub(super) fn refuse(&self, readings: u64, source: &dyn Display) {
        if readings > 0 && self.limit.refused.fetch_add(readings, Ordering::Relaxed) == 0 {
            tracing::warn!(
                source.id = %source,
                "{readings} readings of {source} are not kept: it has more than {} series with labels today. Labels should \
                 name a few parts of the target, and not count things; storage.max_series raises the limit",
                self.limit.most
            );
        }
    }
}

impl Numbers {
    /// The number of a series that has one.
    fn known(&self, metric: &MetricRef, labels: &Labels) -> Option<u32> {
        self.all.get(&(metric.name().to_owned(), label_text(labels))).copied()
    }

    fn series(
        &mut self,
        transaction: &Transaction<'_>,
        metric: &MetricRef,
        labels: &Labels,
    ) -> rusqlite::Result<u32> {
        let address = match metric {
            MetricRef::Declared(spec) if labels.is_empty() => Some(std::ptr::from_ref(*spec).addr()),
            _ => None,
        };
        if let Some(id) = address.and_then(|address| self.declared.get(&address)) {
            return Ok(*id);
        }
        let key = (metric.name().to_owned(), label_text(labels));
        let id = match self.all.get(&key) {
            Some(id) => *id,
            None => self.add(transaction, key, (metric.resolution(), metric.sketch()))?,
        };
        if let Some(address) = address {
            self.declared.insert(address, id);
        }
        Ok(id)
    }

    fn add(
        &mut self,
        transaction: &Transaction<'_>,
        key: (String, String),
        (resolution, sketch): (Option<f64>, bool),
    ) -> rusqlite::Result<u32> {
        transaction.execute(
            "INSERT INTO name (name, labels, resolution, sketch) VALUES (?1, ?2, ?3, ?4)",
            params![key.0, key.1, resolution, sketch],
        )?;
        let id = u32::try_from(transaction.last_insert_rowid()).unwrap_or(u32::MAX);
        self.all.insert(key, id);
        if let Some(resolution) = resolution {
            self.resolutions.insert(id, resolution);
        }
        Ok(id)
    }
}

/// Labels as they stand in the table of names: a JSON array of pairs, sorted, so that equal labels are equal text.
fn label_text(labels: &Labels) -> String {
    if labels.is_empty() {
        return String::new();
    }
    serde_json::to_string(labels.pairs()).unwrap_or_default()
}

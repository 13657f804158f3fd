//! Results that are journalled and not sealed yet, in memory, as columns.

use std::collections::BTreeMap;

use crate::columns::Columns;
use crate::rollup::Distribution;

/// A series of checks: a source's key, the number of a probe's name, the number of an origin.
pub(super) type SeriesKey = (u32, u32, u32);

/// One check as it stands in the journal.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub(super) struct Row {
    /// The key of its source.
    pub monitor: u32,
    pub probe: u32,
    /// Where and by which process it was made.
    pub origin: u32,
    pub time: i64,
    pub duration: u32,
    /// Status code, and 128 when the monitor was down.
    pub status: u8,
    /// Number of the evidence row; 0 for a check that passed.
    pub failure: u32,
    /// Number of a series' name, and value.
    pub values: Vec<(u32, f64)>,
}

/// A sample of a row that is a distribution, as it stands in the journal.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub(super) struct RowDistribution {
    /// Place of its row among those of the entry.
    pub row: u32,
    /// Number of the series' name.
    pub series: u32,
    pub sample: Distribution,
}

/// What is written to the journal together.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Entry {
    pub rows: Vec<Row>,
    /// In order of their rows.
    pub distributions: Vec<RowDistribution>,
}

impl Entry {
    /// The rows, each with its distributions.
    pub(super) fn each(&self) -> impl Iterator<Item = (&Row, &[RowDistribution])> {
        let mut rest = self.distributions.as_slice();
        self.rows.iter().zip(0_u32..).map(move |(row, place)| {
            let here = rest.partition_point(|one| one.row <= place);
            let (of_row, later) = rest.split_at(here);
            rest = later;
            (row, of_row)
        })
    }
}

/// The head of a day.
#[derive(Debug, Default)]
pub(super) struct Head {
    pub series: BTreeMap<SeriesKey, Columns>,
    rows: usize,
}

impl Head {
    pub(super) fn push(&mut self, row: &Row, distributions: &[RowDistribution]) {
        let columns = self.series.entry((row.monitor, row.probe, row.origin)).or_default();
        columns.push((row.time, row.duration, row.status, row.failure), &row.values);
        for one in distributions {
            columns.push_distribution(one.series, row.time, one.sample.clone());
        }
        self.rows += 1;
    }

    pub(super) fn take(&mut self, key: SeriesKey) -> Option<Columns> {
        let columns = self.series.remove(&key)?;
        self.rows -= columns.len();
        Some(columns)
    }

    /// Puts columns back that could not be sealed, before what has come since.
    pub(super) fn put_back(&mut self, key: SeriesKey, mut columns: Columns) {
        self.rows += columns.len();
        if let Some(newer) = self.series.remove(&key) {
            columns.append(&newer);
        }
        self.series.insert(key, columns);
    }

    pub(super) fn rows(&self) -> usize {
        self.rows
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stay_in_step() {
        let row = |time, values: &[(u32, f64)]| Row {
            monitor: 1,
            probe: 1,
            origin: 1,
            time,
            duration: 5,
            status: 0,
            failure: 0,
            values: values.to_vec(),
        };
        let mut head = Head::default();
        head.push(&row(30, &[(1, 1.0)]), &[]);
        head.push(&row(10, &[(2, 2.0)]), &[]);
        let taken = head.take((1, 1, 1)).unwrap();
        head.push(&row(20, &[(1, 3.0)]), &[]);
        head.put_back((1, 1, 1), taken);
        assert_eq!(head.rows(), 3);
        let columns = head.take((1, 1, 1)).unwrap().sorted();
        assert_eq!(columns.times, [10, 20, 30]);
        assert!(columns.values[&1][0].is_nan() && columns.values[&1][1..] == [3.0, 1.0]);
        assert!(columns.values[&2][0] == 2.0 && columns.values[&2][1].is_nan());
        let mut again = Columns::default();
        again.push((20, 5, 0, 0), &[(3, 9.0)]);
        let mut both = columns;
        both.append(&again);
        let once = both.sorted_once();
        assert_eq!((once.times.as_slice(), once.values[&3][1]), (&[10, 20, 30][..], 9.0));
        assert!(once.values[&1][1].is_nan(), "the later of two equal times counts");
    }

    #[test]
    fn distributions_stay_with_their_rows() {
        let row = |time| Row {
            monitor: 1,
            probe: 1,
            origin: 1,
            time,
            duration: 0,
            status: 0,
            failure: 0,
            values: vec![(1, 1.0)],
        };
        let sample = |value: f64| Distribution::of([value]).unwrap();
        let entry = Entry {
            rows: vec![row(30), row(10), row(20)],
            distributions: vec![
                RowDistribution { row: 0, series: 2, sample: sample(3.0) },
                RowDistribution { row: 0, series: 3, sample: sample(30.0) },
                RowDistribution { row: 2, series: 2, sample: sample(2.0) },
            ],
        };
        let mut head = Head::default();
        entry.each().for_each(|(row, distributions)| head.push(row, distributions));
        // The same time once more: the later counts.
        head.push(&row(20), &[RowDistribution { row: 0, series: 2, sample: sample(2.5) }]);
        let columns = head.take((1, 1, 1)).unwrap().sorted_once();
        assert_eq!((columns.len(), columns.series().collect::<Vec<_>>()), (3, vec![1, 2, 3]));
        assert_eq!(columns.distributions[&2], [(20, sample(2.5)), (30, sample(3.0))]);
        let late = columns.clone().within(25..31);
        assert_eq!((late.len(), late.distributions[&2].len(), late.distributions[&3].len()), (1, 1, 1));
        let numbered = columns.renumbered(|series| series + 10, |failure| failure);
        assert_eq!(numbered.series().collect::<Vec<_>>(), [11, 12, 13]);
    }
}

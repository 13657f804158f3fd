//! Results that are journalled and not sealed yet, in memory, as columns.

use std::collections::BTreeMap;

/// A series of checks: a monitor's key, the number of a probe's name, the number of an origin.
pub(super) type SeriesKey = (u32, u32, u32);

/// One check as it stands in the journal.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub(super) struct Row {
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

/// The columns of one series of checks.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Columns {
    pub times: Vec<i64>,
    pub durations: Vec<u32>,
    pub statuses: Vec<u8>,
    pub failures: Vec<u32>,
    /// By series; NaN where a check has no value.
    pub values: BTreeMap<u32, Vec<f64>>,
}

impl Columns {
    pub(super) fn len(&self) -> usize {
        self.times.len()
    }

    pub(super) fn push(&mut self, row: &Row) {
        let before = self.times.len();
        self.times.push(row.time);
        self.durations.push(row.duration);
        self.statuses.push(row.status);
        self.failures.push(row.failure);
        for (series, value) in &row.values {
            let column = self.values.entry(*series).or_default();
            column.resize(before, f64::NAN);
            column.push(*value);
        }
        for column in self.values.values_mut() {
            column.resize(before + 1, f64::NAN);
        }
    }

    /// Adds what came later.
    pub(super) fn append(&mut self, later: &Self) {
        let (before, length) = (self.times.len(), self.times.len() + later.times.len());
        self.times.extend_from_slice(&later.times);
        self.durations.extend_from_slice(&later.durations);
        self.statuses.extend_from_slice(&later.statuses);
        self.failures.extend_from_slice(&later.failures);
        for (series, values) in &later.values {
            let column = self.values.entry(*series).or_default();
            column.resize(before, f64::NAN);
            column.extend_from_slice(values);
        }
        self.values.values_mut().for_each(|column| column.resize(length, f64::NAN));
    }

    /// The rows in order of time. Checks by hand may end before scheduled ones that began earlier.
    pub(super) fn sorted(self) -> Self {
        if self.times.is_sorted() {
            return self;
        }
        let mut order: Vec<usize> = (0..self.times.len()).collect();
        order.sort_by_key(|index| self.times[*index]);
        self.picked(&order)
    }

    /// The rows in order of time, each time once: what was written last counts.
    pub(super) fn sorted_once(self) -> Self {
        let sorted = self.sorted();
        let times = &sorted.times;
        let is_last = |index: &usize| times.get(index + 1) != times.get(*index);
        if times.windows(2).all(|pair| pair[0] != pair[1]) {
            return sorted;
        }
        let order: Vec<usize> = (0..times.len()).filter(is_last).collect();
        sorted.picked(&order)
    }

    fn picked(mut self, order: &[usize]) -> Self {
        fn pick<T: Copy>(column: &mut Vec<T>, order: &[usize]) {
            *column = order.iter().map(|index| column[*index]).collect();
        }
        pick(&mut self.times, order);
        pick(&mut self.durations, order);
        pick(&mut self.statuses, order);
        pick(&mut self.failures, order);
        self.values.values_mut().for_each(|column| pick(column, order));
        self
    }
}

/// The head of a day.
#[derive(Debug, Default)]
pub(super) struct Head {
    pub series: BTreeMap<SeriesKey, Columns>,
    rows: usize,
}

impl Head {
    pub(super) fn push(&mut self, row: &Row) {
        self.series.entry((row.monitor, row.probe, row.origin)).or_default().push(row);
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
        head.push(&row(30, &[(1, 1.0)]));
        head.push(&row(10, &[(2, 2.0)]));
        let taken = head.take((1, 1, 1)).unwrap();
        head.push(&row(20, &[(1, 3.0)]));
        head.put_back((1, 1, 1), taken);
        assert_eq!(head.rows(), 3);
        let columns = head.take((1, 1, 1)).unwrap().sorted();
        assert_eq!(columns.times, [10, 20, 30]);
        assert!(columns.values[&1][0].is_nan() && columns.values[&1][1..] == [3.0, 1.0]);
        assert!(columns.values[&2][0] == 2.0 && columns.values[&2][1].is_nan());
        let mut again = Columns::default();
        again.push(&row(20, &[(3, 9.0)]));
        let mut both = columns;
        both.append(&again);
        let once = both.sorted_once();
        assert_eq!((once.times.as_slice(), once.values[&3][1]), (&[10, 20, 30][..], 9.0));
        assert!(once.values[&1][1].is_nan(), "the later of two equal times counts");
    }
}

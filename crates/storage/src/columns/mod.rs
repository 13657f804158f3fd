//! Checks as columns: what both backends seal into chunks.
//!
//! [`Columns`] are the checks of one probe, with numbers for series and evidence; [`ProbeColumns`] says what the numbers
//! stand for, so that they can go from one backend to another. `chunk` is the sealed format.

pub(crate) mod chunk;
mod minifloat;

use std::collections::BTreeMap;

use wise_core::MonitorId;

/// The columns of one series of checks.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Columns {
    pub times: Vec<i64>,
    pub durations: Vec<u32>,
    pub statuses: Vec<u8>,
    pub failures: Vec<u32>,
    /// By series; NaN where a check has no value.
    pub values: BTreeMap<u32, Vec<f64>>,
}

impl Columns {
    pub(crate) fn len(&self) -> usize {
        self.times.len()
    }

    /// Adds a check.
    pub(crate) fn push(
        &mut self,
        (time, duration, status, failure): (i64, u32, u8, u32),
        values: &[(u32, f64)],
    ) {
        let before = self.times.len();
        self.times.push(time);
        self.durations.push(duration);
        self.statuses.push(status);
        self.failures.push(failure);
        for (series, value) in values {
            let column = self.values.entry(*series).or_default();
            column.resize(before, f64::NAN);
            column.push(*value);
        }
        for column in self.values.values_mut() {
            column.resize(before + 1, f64::NAN);
        }
    }

    /// Adds what came later.
    pub(crate) fn append(&mut self, later: &Self) {
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
    pub(crate) fn sorted(self) -> Self {
        if self.times.is_sorted() {
            return self;
        }
        let mut order: Vec<usize> = (0..self.times.len()).collect();
        order.sort_by_key(|index| self.times[*index]);
        self.picked(&order)
    }

    /// The rows in order of time, each time once: what was written last counts.
    pub(crate) fn sorted_once(self) -> Self {
        let sorted = self.sorted();
        let times = &sorted.times;
        let is_last = |index: &usize| times.get(index + 1) != times.get(*index);
        if times.windows(2).all(|pair| pair[0] != pair[1]) {
            return sorted;
        }
        let order: Vec<usize> = (0..times.len()).filter(is_last).collect();
        sorted.picked(&order)
    }

    /// The checks in a range of time.
    pub(crate) fn within(self, range: std::ops::Range<i64>) -> Self {
        if self.times.iter().all(|time| range.contains(time)) {
            return self;
        }
        let order: Vec<usize> =
            (0..self.times.len()).filter(|index| range.contains(&self.times[*index])).collect();
        self.picked(&order)
    }

    /// The checks that failed.
    pub(crate) fn failed(self) -> Self {
        let order: Vec<usize> = (0..self.times.len()).filter(|index| self.failures[*index] != 0).collect();
        self.picked(&order)
    }

    /// Gives series and failures other numbers.
    pub(crate) fn renumbered(
        mut self,
        mut series: impl FnMut(u32) -> u32,
        mut failure: impl FnMut(u32) -> u32,
    ) -> Self {
        self.values = self.values.into_iter().map(|(number, values)| (series(number), values)).collect();
        self.failures.iter_mut().filter(|number| **number != 0).for_each(|number| *number = failure(*number));
        self
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

/// What the number of a series stands for.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct SeriesName {
    /// The metric's dotted name.
    pub metric: String,
    /// Labels as a JSON array of pairs, sorted; empty without labels.
    pub labels: String,
    /// Values are whole multiples of this.
    pub resolution: Option<f64>,
    /// Whether rollups keep sketches.
    pub sketch: bool,
}

/// What the number of a failure stands for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Evidence {
    /// Error class.
    pub class: String,
    /// Finer code.
    pub code: Option<String>,
    /// One sentence for people.
    pub message: String,
    /// The evidence, as JSON.
    pub body: Option<String>,
}

/// The checks of one probe, made in one place by one process, with all that their numbers stand for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ProbeColumns {
    pub monitor: MonitorId,
    pub probe: String,
    pub location: String,
    pub worker: String,
    pub columns: Columns,
    pub series: BTreeMap<u32, SeriesName>,
    pub evidence: BTreeMap<u32, Evidence>,
}

/// Bit of a status that says that the monitor was down.
pub(crate) const DOWN: u8 = 128;

/// Gathers the checks of probes from several files or documents, each with numbers of its own.
#[derive(Debug, Default)]
pub(crate) struct Gathering {
    probes: BTreeMap<(String, String, String), ProbeColumns>,
}

impl Gathering {
    /// Adds columns of a probe; `series` and `evidence` say what their numbers stand for. What came later counts where two
    /// checks have the same time.
    pub(crate) fn add(
        &mut self,
        monitor: MonitorId,
        (probe, location, worker): (&str, &str, &str),
        columns: Columns,
        mut series: impl FnMut(u32) -> SeriesName,
        mut evidence: impl FnMut(u32) -> Evidence,
    ) {
        if columns.times.is_empty() {
            return;
        }
        let key = (probe.to_owned(), location.to_owned(), worker.to_owned());
        let known = self.probes.entry(key).or_insert_with(|| ProbeColumns {
            monitor,
            probe: probe.to_owned(),
            location: location.to_owned(),
            worker: worker.to_owned(),
            columns: Columns::default(),
            series: BTreeMap::new(),
            evidence: BTreeMap::new(),
        });
        let mut by_name: std::collections::HashMap<(String, String), u32> = known
            .series
            .iter()
            .map(|(number, name)| ((name.metric.clone(), name.labels.clone()), *number))
            .collect();
        let mut failures = BTreeMap::new();
        let columns = columns.renumbered(
            |number| {
                let name = series(number);
                let next = known.series.len() as u32;
                let key = (name.metric.clone(), name.labels.clone());
                *by_name.entry(key).or_insert_with(|| {
                    known.series.insert(next, name);
                    next
                })
            },
            |number| {
                *failures.entry(number).or_insert_with(|| {
                    let found = evidence(number);
                    let same = known.evidence.iter().find(|(_, known)| **known == found);
                    // Zero stands for a check that passed.
                    let next = known.evidence.len() as u32 + 1;
                    let number = same.map_or(next, |(number, _)| *number);
                    known.evidence.entry(number).or_insert(found);
                    number
                })
            },
        );
        known.columns.append(&columns);
    }

    /// What was gathered: in order of time, each time once.
    pub(crate) fn probes(self) -> Vec<ProbeColumns> {
        let in_order = |probe: ProbeColumns| {
            let columns = probe.columns.clone().sorted_once();
            ProbeColumns { columns, ..probe }
        };
        self.probes.into_values().map(in_order).collect()
    }
}

//! Checks as columns: what both backends seal into chunks.
//!
//! [`Columns`] are the checks of one probe, with numbers for series and evidence; [`ProbeColumns`] says what the numbers
//! stand for, so that they can go from one backend to another. `chunk` is the sealed format.

pub(crate) mod chunk;
mod distributions;
mod minifloat;

use std::collections::{BTreeMap, HashMap};

use wise_core::SourceId;

pub(crate) use distributions::Distributions;

use crate::rollup::{DayRollup, Distribution, roll, roll_distributions};

/// The columns of one series of checks.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Columns {
    pub times: Vec<i64>,
    pub durations: Vec<u32>,
    pub statuses: Vec<u8>,
    pub failures: Vec<u32>,
    /// By series; NaN where a check has no value.
    pub values: BTreeMap<u32, Vec<f64>>,
    /// By series: samples that are distributions, each at the time of a row.
    pub distributions: BTreeMap<u32, Distributions>,
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

    /// Adds a distribution at the time of a row.
    pub(crate) fn push_distribution(&mut self, series: u32, time: i64, sample: Distribution) {
        self.distributions.entry(series).or_default().push((time, sample));
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
        for (series, samples) in &later.distributions {
            self.distributions.entry(*series).or_default().extend_from_slice(samples);
        }
    }

    /// Every time: of rows, and of distributions.
    pub(crate) fn all_times(&self) -> impl Iterator<Item = &i64> {
        self.times.iter().chain(self.distributions.values().flatten().map(|(time, _)| time))
    }

    /// Every number of a series.
    pub(crate) fn series(&self) -> impl Iterator<Item = u32> {
        self.values.keys().chain(self.distributions.keys()).copied()
    }

    /// The rows in order of time. Checks by hand may end before scheduled ones that began earlier.
    pub(crate) fn sorted(self) -> Self {
        if self.times.is_sorted() {
            return self;
        }
        let mut order: Vec<usize> = (0..self.times.len()).collect();
        order.sort_by_key(|index| self.times[*index]);
        let mut sorted = self.picked(&order);
        sorted.distributions.values_mut().for_each(|samples| samples.sort_by_key(|(time, _)| *time));
        sorted
    }

    /// The rows in order of time, each time once: what was written last counts.
    pub(crate) fn sorted_once(self) -> Self {
        let mut sorted = self.sorted();
        sorted.distributions.values_mut().for_each(latest_of_each_time);
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
        let mut within = self.picked(&order);
        within
            .distributions
            .values_mut()
            .for_each(|samples| samples.retain(|(time, _)| range.contains(time)));
        within
    }

    /// The checks that failed, without what they have measured as distributions.
    pub(crate) fn failed(mut self) -> Self {
        self.distributions.clear();
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
        self.distributions =
            self.distributions.into_iter().map(|(number, samples)| (series(number), samples)).collect();
        self.failures.iter_mut().filter(|number| **number != 0).for_each(|number| *number = failure(*number));
        self
    }

    /// Some of the rows, which have to be in order of time.
    fn slice(&self, rows: std::ops::Range<usize>) -> Self {
        let times = &self.times[rows.clone()];
        let range = times.first().zip(times.last()).map(|(first, last)| *first..=*last);
        let is_here = |time: &i64| range.as_ref().is_some_and(|range| range.contains(time));
        let part =
            |all: &Distributions| all.iter().filter(|(time, _)| is_here(time)).cloned().collect::<Vec<_>>();
        let distributions = self.distributions.iter().map(|(series, all)| (*series, part(all)));
        Self {
            times: self.times[rows.clone()].to_vec(),
            durations: self.durations[rows.clone()].to_vec(),
            statuses: self.statuses[rows.clone()].to_vec(),
            failures: self.failures[rows.clone()].to_vec(),
            values: self.values.iter().map(|(series, all)| (*series, all[rows.clone()].to_vec())).collect(),
            distributions: distributions.filter(|(_, samples)| !samples.is_empty()).collect(),
        }
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

/// Of samples with the same time the last, of a list in order of time.
fn latest_of_each_time(samples: &mut Distributions) {
    samples.reverse();
    samples.dedup_by_key(|(time, _)| *time);
    samples.reverse();
}

/// The rollups of a day, by series; its columns have to be in order of time, each time once. `has_sketch` tells whether
/// those of a series of numbers keep sketches; those of distributions always do.
pub(crate) fn rolled(columns: &Columns, has_sketch: impl Fn(u32) -> bool) -> BTreeMap<u32, DayRollup> {
    let mut all = BTreeMap::new();
    for (series, values) in &columns.values {
        let numbers = || columns.times.iter().zip(values).filter(|(_, value)| !value.is_nan());
        let rollup = match columns.distributions.get(series) {
            None => roll(&columns.times, values, has_sketch(*series)),
            // A metric that has become a distribution in the middle of the day, or one no more.
            Some(samples) => {
                let single = |(time, value): (&i64, &f64)| Some((*time, Distribution::of([*value])?));
                let mut both: Distributions =
                    numbers().filter_map(single).chain(samples.iter().cloned()).collect();
                both.sort_by_key(|(time, _)| *time);
                roll_distributions(&both)
            }
        };
        all.insert(*series, rollup);
    }
    for (series, samples) in &columns.distributions {
        all.entry(*series).or_insert_with(|| roll_distributions(samples));
    }
    all.retain(|_, rollup| rollup.day.is_some());
    all
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
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
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

/// The checks of one probe, made in one place by one process, with all that their numbers stand for. What is no monitor has
/// samples in their place, under the probe [`SAMPLES`].
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ProbeColumns {
    pub source: SourceId,
    pub probe: String,
    pub location: String,
    pub worker: String,
    pub columns: Columns,
    /// By number.
    pub series: Vec<SeriesName>,
    /// By number less one: zero stands for a check that passed.
    pub evidence: Vec<Evidence>,
}

impl ProbeColumns {
    /// The checks in a range of time; they have to be in order of it.
    pub(crate) fn part(&self, range: std::ops::Range<i64>) -> Self {
        let from = self.columns.times.partition_point(|time| *time < range.start);
        let to = self.columns.times.partition_point(|time| *time < range.end).max(from);
        Self {
            source: self.source.clone(),
            probe: self.probe.clone(),
            location: self.location.clone(),
            worker: self.worker.clone(),
            columns: self.columns.slice(from..to),
            series: self.series.clone(),
            evidence: self.evidence.clone(),
        }
    }

    /// What the number of a failure stands for.
    pub(crate) fn evidence_of(&self, number: u32) -> Option<&Evidence> {
        self.evidence.get((number as usize).checked_sub(1)?)
    }
}

/// Stands for the probe where samples are not those of a check.
pub(crate) const SAMPLES: &str = "samples";

/// Bit of a status that says that the monitor was down.
pub(crate) const DOWN: u8 = 128;

/// Gathers the checks of probes from several files or documents, each with numbers of its own.
#[derive(Debug, Default)]
pub(crate) struct Gathering {
    probes: BTreeMap<(String, String, String), Gathered>,
}

/// What there is of a probe so far.
#[derive(Debug)]
struct Gathered {
    source: SourceId,
    columns: Columns,
    series: Vec<SeriesName>,
    /// Numbers of series by metric and labels.
    numbers: HashMap<String, HashMap<String, u32>>,
    /// Numbers of failures.
    evidence: HashMap<Evidence, u32>,
}

impl Gathered {
    fn number_of(&mut self, name: &SeriesName) -> u32 {
        let known = self.numbers.get(&name.metric).and_then(|of_metric| of_metric.get(&name.labels));
        if let Some(known) = known {
            return *known;
        }
        let next = u32::try_from(self.series.len()).unwrap_or(u32::MAX);
        self.numbers.entry(name.metric.clone()).or_default().insert(name.labels.clone(), next);
        self.series.push(name.clone());
        next
    }

    fn failure_of(&mut self, evidence: Evidence) -> u32 {
        let next = u32::try_from(self.evidence.len() + 1).unwrap_or(u32::MAX);
        *self.evidence.entry(evidence).or_insert(next)
    }
}

impl Gathering {
    /// Adds columns of a probe; `series` and `evidence` say what their numbers stand for. What came later counts where two
    /// checks have the same time.
    pub(crate) fn add<'s>(
        &mut self,
        source: &SourceId,
        (probe, location, worker): (&str, &str, &str),
        columns: Columns,
        series: impl Fn(u32) -> Option<&'s SeriesName>,
        mut evidence: impl FnMut(u32) -> Evidence,
    ) {
        if columns.times.is_empty() {
            return;
        }
        let nameless = SeriesName::default();
        let key = (probe.to_owned(), location.to_owned(), worker.to_owned());
        let known = self.probes.entry(key).or_insert_with(|| Gathered {
            source: source.clone(),
            columns: Columns::default(),
            series: Vec::new(),
            numbers: HashMap::new(),
            evidence: HashMap::new(),
        });
        let numbers: BTreeMap<u32, u32> = columns
            .series()
            .map(|number| (number, known.number_of(series(number).unwrap_or(&nameless))))
            .collect();
        let mut failures = BTreeMap::new();
        let columns = columns.renumbered(
            |number| numbers.get(&number).copied().unwrap_or_default(),
            |number| *failures.entry(number).or_insert_with(|| known.failure_of(evidence(number))),
        );
        if known.columns.times.is_empty() {
            known.columns = columns;
        } else {
            known.columns.append(&columns);
        }
    }

    /// What was gathered: in order of time, each time once.
    pub(crate) fn probes(self) -> Vec<ProbeColumns> {
        let in_order = |((probe, location, worker), known): ((String, String, String), Gathered)| {
            let mut evidence: Vec<(u32, Evidence)> =
                known.evidence.into_iter().map(|(evidence, number)| (number, evidence)).collect();
            evidence.sort_by_key(|(number, _)| *number);
            ProbeColumns {
                source: known.source,
                probe,
                location,
                worker,
                columns: known.columns.sorted_once(),
                series: known.series,
                evidence: evidence.into_iter().map(|(_, evidence)| evidence).collect(),
            }
        };
        self.probes.into_iter().map(in_order).collect()
    }
}

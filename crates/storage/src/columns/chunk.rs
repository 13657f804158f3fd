//! The sealed format: the checks of one probe over some time, as compressed columns.
//!
//! A chunk is a postcard record of pco columns (<https://docs.rs/pco>), one time column for all. Values of metrics that
//! declare a resolution are whole multiples of it, which compress far better than floats. Format 2 keeps times in
//! milliseconds where they are whole ones, and durations to one in 256; format 1 kept both to the microsecond. Format 3 is
//! format 2 with samples that are distributions behind it.

use std::collections::BTreeMap;

use pco::standalone::{simple_compress, simple_decompress};
use pco::{ChunkConfig, DeltaSpec, ModeSpec};

use super::Columns;
use super::distributions::{self, Distributions};
use super::minifloat::{lengthen, shorten};

/// The format that is written.
const FORMAT: u8 = 2;
/// The format where there are distributions.
const WITH_DISTRIBUTIONS: u8 = 3;
const MICROS_A_MILLI: i64 = 1000;

#[derive(serde::Serialize, serde::Deserialize)]
struct StoredOne<'a> {
    format: u8,
    #[serde(borrow)]
    times: &'a [u8],
    #[serde(borrow)]
    durations: &'a [u8],
    #[serde(borrow)]
    statuses: &'a [u8],
    #[serde(borrow)]
    failures: &'a [u8],
    #[serde(borrow)]
    values: Vec<StoredValues<'a>>,
}

#[derive(serde::Serialize, serde::Deserialize)]
struct Stored<'a> {
    format: u8,
    /// Microseconds of a step of `times`.
    unit: i64,
    #[serde(borrow)]
    times: &'a [u8],
    /// Codes of `minifloat`.
    #[serde(borrow)]
    durations: &'a [u8],
    #[serde(borrow)]
    statuses: &'a [u8],
    #[serde(borrow)]
    failures: &'a [u8],
    #[serde(borrow)]
    values: Vec<StoredValues<'a>>,
}

#[derive(serde::Serialize, serde::Deserialize)]
struct StoredValues<'a> {
    series: u32,
    /// Values are whole multiples of this; 0 for plain floats.
    resolution: f64,
    /// A bit for each check that has a value; empty when all have.
    #[serde(borrow)]
    present: &'a [u8],
    #[serde(borrow)]
    data: &'a [u8],
}

/// How hard to try.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Effort {
    /// For chunks that are made again at the end of the day.
    Quick,
    /// For chunks that stay.
    Thorough,
}

impl Effort {
    /// How to compress a column; `climbs` tells whether differences of neighbours are smaller than the values.
    fn config(self, climbs: impl FnOnce() -> bool) -> ChunkConfig {
        match self {
            // To try out what suits a few dozen values takes longer than all the rest.
            Self::Quick => ChunkConfig::default()
                .with_compression_level(4)
                .with_mode_spec(ModeSpec::Classic)
                .with_delta_spec(if climbs() { DeltaSpec::TryConsecutive(1) } else { DeltaSpec::NoOp }),
            Self::Thorough => ChunkConfig::default().with_compression_level(8),
        }
    }
}

/// Whether neighbours are so near to each other, measured by all there is, that their differences are the shorter numbers.
fn climbs(values: impl Iterator<Item = f64> + Clone) -> bool {
    let (low, high) =
        values.clone().fold((f64::MAX, f64::MIN), |(low, high), value| (low.min(value), high.max(value)));
    let (mut steps, mut count) = (0.0, 0.0);
    for (one, next) in values.clone().zip(values.skip(1)) {
        steps += (next - one).abs();
        count += 1.0;
    }
    // Of unordered values a third of the range, on average.
    steps * 8.0 < (high - low) * count
}

/// Compresses columns that are in order of time. `resolution` tells the step of a series.
pub(crate) fn encode(
    columns: &Columns,
    resolution: impl Fn(u32) -> Option<f64>,
    effort: Effort,
) -> Result<Vec<u8>, String> {
    let error = |error: pco::errors::PcoError| error.to_string();
    let statuses: Vec<u16> = columns.statuses.iter().map(|status| u16::from(*status)).collect();
    let unit = if columns.times.iter().all(|time| time % MICROS_A_MILLI == 0) { MICROS_A_MILLI } else { 1 };
    let times: Vec<i64> = columns.times.iter().map(|time| time / unit).collect();
    let times = simple_compress(&times, &effort.config(|| true)).map_err(error)?;
    let durations: Vec<u32> = columns.durations.iter().map(|duration| shorten(*duration)).collect();
    let durations = simple_compress(&durations, &effort.config(|| false)).map_err(error)?;
    let statuses = simple_compress(&statuses, &effort.config(|| false)).map_err(error)?;
    let failures = simple_compress(&columns.failures, &effort.config(|| false)).map_err(error)?;
    let mut parts = Vec::with_capacity(columns.values.len());
    for (series, column) in &columns.values {
        let has_gaps = column.iter().any(|value| value.is_nan());
        let mut present = Vec::new();
        if has_gaps {
            present.resize(column.len().div_ceil(8), 0u8);
            for (index, _) in column.iter().enumerate().filter(|(_, value)| !value.is_nan()) {
                present[index / 8] |= 1 << (index % 8);
            }
        }
        let values: Vec<f64> = column.iter().copied().filter(|value| !value.is_nan()).collect();
        let config = effort.config(|| climbs(values.iter().copied()));
        let step = resolution(*series).filter(|step| fits(&values, *step));
        let data = match step {
            Some(step) => simple_compress(&to_multiples(&values, step), &config).map_err(error)?,
            None => simple_compress(&values, &config).map_err(error)?,
        };
        parts.push((*series, step.unwrap_or(0.0), present, data));
    }
    let values = parts
        .iter()
        .map(|(series, resolution, present, data)| StoredValues {
            series: *series,
            resolution: *resolution,
            present,
            data,
        })
        .collect();
    let has_distributions = columns.distributions.values().any(|samples| !samples.is_empty());
    let stored = Stored {
        format: if has_distributions { WITH_DISTRIBUTIONS } else { FORMAT },
        unit,
        times: &times,
        durations: &durations,
        statuses: &statuses,
        failures: &failures,
        values,
    };
    let mut blob = postcard::to_stdvec(&stored).map_err(|error| error.to_string())?;
    if has_distributions {
        blob.extend(distributions::encode(&columns.distributions, resolution, &effort.config(|| true))?);
    }
    Ok(blob)
}

/// Values as whole multiples of a step.
pub(super) fn to_multiples(values: &[f64], step: f64) -> Vec<i64> {
    values.iter().map(|value| (value / step).round() as i64).collect()
}

/// Whole multiples of a step as values.
pub(super) fn from_multiples(whole: Vec<i64>, step: f64) -> impl Iterator<Item = f64> {
    // Dividing by the whole reciprocal gives back the nearest decimal: 12 µs is 0.000012 and not 0.0000119999.
    let per_unit = (1.0 / step).round();
    let is_exact = (per_unit * step - 1.0).abs() < 1e-9;
    whole.into_iter().map(move |n| if is_exact { n as f64 / per_unit } else { n as f64 * step })
}

/// Whether every value is finite and small enough to be a whole multiple of the step.
pub(super) fn fits(values: &[f64], step: f64) -> bool {
    step > 0.0 && values.iter().all(|value| value.is_finite() && (value / step).abs() < 9e15)
}

/// Samples of a series in a chunk.
#[derive(Debug)]
pub(crate) enum Samples<'s> {
    /// Times, and values; NaN where there is none.
    Numbers(&'s [i64], &'s [f64]),
    /// Distributions.
    Distributions(Distributions),
}

/// Reads the samples of the series that are wanted, and hands over each that the chunk has.
pub(crate) fn decode_series(
    blob: &[u8],
    is_wanted: impl Fn(u32) -> bool,
    mut take: impl FnMut(u32, Samples<'_>),
) -> Result<(), String> {
    let (stored, rest) = read(blob)?;
    let mut times = None;
    for values in stored.values.iter().filter(|values| is_wanted(values.series)) {
        let times = match &mut times {
            Some(times) => times,
            none => none.insert(stored.times()?),
        };
        take(values.series, Samples::Numbers(times, &column(values, times.len())?));
    }
    for (series, samples) in stored.distributions(rest, is_wanted)? {
        take(series, Samples::Distributions(samples));
    }
    Ok(())
}

/// Reads everything but the values.
pub(crate) fn decode_results(blob: &[u8]) -> Result<Columns, String> {
    read(blob)?.0.results()
}

/// Reads everything.
pub(crate) fn decode(blob: &[u8]) -> Result<Columns, String> {
    let (stored, rest) = read(blob)?;
    let mut columns = stored.results()?;
    columns.distributions = stored.distributions(rest, |_| true)?;
    for values in &stored.values {
        columns.values.insert(values.series, column(values, columns.times.len())?);
    }
    Ok(columns)
}

impl Stored<'_> {
    /// The distributions that stand behind it.
    fn distributions(
        &self,
        rest: &[u8],
        is_wanted: impl Fn(u32) -> bool,
    ) -> Result<BTreeMap<u32, Distributions>, String> {
        match self.format {
            WITH_DISTRIBUTIONS => distributions::decode(rest, is_wanted),
            _ => Ok(BTreeMap::new()),
        }
    }

    fn times(&self) -> Result<Vec<i64>, String> {
        let mut times: Vec<i64> = simple_decompress(self.times).map_err(|error| error.to_string())?;
        times.iter_mut().for_each(|time| *time = time.saturating_mul(self.unit));
        Ok(times)
    }

    fn results(&self) -> Result<Columns, String> {
        let error = |error: pco::errors::PcoError| error.to_string();
        let statuses: Vec<u16> = simple_decompress(self.statuses).map_err(error)?;
        let mut durations: Vec<u32> = simple_decompress(self.durations).map_err(error)?;
        if self.format >= FORMAT {
            durations.iter_mut().for_each(|duration| *duration = lengthen(*duration));
        }
        let columns = Columns {
            times: self.times()?,
            durations,
            statuses: statuses.into_iter().map(|status| u8::try_from(status).unwrap_or(u8::MAX)).collect(),
            failures: simple_decompress(self.failures).map_err(error)?,
            values: BTreeMap::new(),
            distributions: BTreeMap::new(),
        };
        let length = columns.times.len();
        if columns.durations.len() != length
            || columns.statuses.len() != length
            || columns.failures.len() != length
        {
            return Err("columns of different lengths".to_owned());
        }
        Ok(columns)
    }
}

/// Reads the columns, and answers what stands behind them.
fn read(blob: &[u8]) -> Result<(Stored<'_>, &[u8]), String> {
    let error = |error: postcard::Error| error.to_string();
    match blob.first() {
        Some(&(FORMAT | WITH_DISTRIBUTIONS)) => postcard::take_from_bytes(blob).map_err(error),
        Some(1) => {
            let old: StoredOne<'_> = postcard::from_bytes(blob).map_err(error)?;
            let StoredOne { format, times, durations, statuses, failures, values } = old;
            Ok((Stored { format, unit: 1, times, durations, statuses, failures, values }, &[]))
        }
        Some(other) => Err(format!("chunk format {other} is not known here")),
        None => Err("an empty chunk".to_owned()),
    }
}

fn column(stored: &StoredValues<'_>, length: usize) -> Result<Vec<f64>, String> {
    let error = |error: pco::errors::PcoError| error.to_string();
    let values: Vec<f64> = if stored.resolution > 0.0 {
        from_multiples(simple_decompress(stored.data).map_err(error)?, stored.resolution).collect()
    } else {
        simple_decompress(stored.data).map_err(error)?
    };
    if stored.present.is_empty() {
        return if values.len() == length {
            Ok(values)
        } else {
            Err("a column of the wrong length".to_owned())
        };
    }
    let mut values = values.into_iter();
    let is_present =
        |index: usize| stored.present.get(index / 8).is_some_and(|byte| byte & (1 << (index % 8)) != 0);
    let full =
        (0..length).map(|index| if is_present(index) { values.next().unwrap_or(f64::NAN) } else { f64::NAN });
    Ok(full.collect())
}

/// As version 1 of the format was written, for tests of reading it: every column as it is.
#[cfg(test)]
pub(crate) fn encode_first_format(columns: &Columns) -> Vec<u8> {
    use pco::data_types::Number;
    fn pack<T: Number>(numbers: &[T]) -> Vec<u8> {
        simple_compress(numbers, &ChunkConfig::default()).unwrap()
    }
    let statuses: Vec<u16> = columns.statuses.iter().map(|status| u16::from(*status)).collect();
    let values: Vec<(u32, Vec<u8>, Vec<u8>)> = columns
        .values
        .iter()
        .map(|(series, column)| {
            let mut present = vec![0_u8; column.len().div_ceil(8)];
            for (index, _) in column.iter().enumerate().filter(|(_, value)| !value.is_nan()) {
                present[index / 8] |= 1 << (index % 8);
            }
            let values: Vec<f64> = column.iter().copied().filter(|value| !value.is_nan()).collect();
            (*series, present, pack(&values))
        })
        .collect();
    postcard::to_stdvec(&StoredOne {
        format: 1,
        times: &pack(&columns.times),
        durations: &pack(&columns.durations),
        statuses: &pack(&statuses),
        failures: &pack(&columns.failures),
        values: values
            .iter()
            .map(|(series, present, data)| StoredValues { series: *series, resolution: 0.0, present, data })
            .collect(),
    })
    .unwrap()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns(jitter: i64) -> Columns {
        let mut columns = Columns::default();
        for index in 0..300i64 {
            columns.times.push(1_700_000_000_000_000 + index * 30_000_000 + index % 7 * jitter);
            columns.durations.push(u32::try_from(1000 + index % 50).unwrap());
            columns.statuses.push(if index == 100 { 130 } else { 0 });
            columns.failures.push(u32::from(index == 100));
            columns.values.entry(1).or_default().push(f64::from(u32::try_from(index).unwrap()) * 0.000_123);
            columns.values.entry(2).or_default().push(if index % 3 == 0 { f64::NAN } else { 1e300 });
            columns.values.entry(3).or_default().push(if index == 5 { f64::INFINITY } else { 0.1 });
        }
        columns
    }

    fn assert_same(found: &Columns, expected: &Columns, durations: f64) {
        assert_eq!(found.times, expected.times);
        assert_eq!((&found.statuses, &found.failures), (&expected.statuses, &expected.failures));
        for (a, b) in found.durations.iter().zip(&expected.durations) {
            assert!(f64::from(a.abs_diff(*b)) <= f64::from(*b) * durations, "{a} {b}");
        }
        for (series, values) in &found.values {
            for (a, b) in values.iter().zip(&expected.values[series]) {
                assert!(a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() < 5e-7, "{a} {b}");
            }
        }
    }

    #[test]
    fn columns_survive_and_keep_their_resolution() {
        for (jitter, effort) in [(1, Effort::Quick), (1000, Effort::Thorough)] {
            let columns = columns(jitter);
            let blob =
                encode(&columns, |series| (series == 1 || series == 3).then_some(1e-6), effort).unwrap();
            assert!(blob.len() < 300 * 8, "{}", blob.len());
            assert_same(&decode(&blob).unwrap(), &columns, 1.0 / 256.0);
            let mut found = Vec::new();
            let take = |series, samples: Samples<'_>| match samples {
                Samples::Numbers(times, values) => found.push((series, times.to_vec(), values[5])),
                Samples::Distributions(_) => panic!("it has none"),
            };
            decode_series(&blob, |series| series == 3 || series == 9, take).unwrap();
            assert_eq!(found, [(3, columns.times.clone(), f64::INFINITY)]);
            for cut in [1, 10, blob.len() / 2] {
                assert!(decode_results(&blob[..cut]).is_err());
            }
        }
        assert!(decode_results(&[9, 1, 2]).is_err() && decode_results(&[]).is_err());
    }

    #[test]
    fn what_is_compressed_quickly_is_hardly_larger() {
        let mut columns = Columns::default();
        let (mut noise, mut total) = (7_u64, 0.0);
        for index in 0..120 {
            noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let value = f64::from(u16::try_from(noise >> 48).unwrap());
            total += value;
            columns.push((index * 30_000_000, 1000, 1, 0), &[(1, value), (2, total), (3, 1.0)]);
        }
        let [quick, thorough] = [Effort::Quick, Effort::Thorough]
            .map(|effort| encode(&columns, |_| Some(1.0), effort).unwrap().len());
        assert!(quick * 20 < thorough * 21, "{quick} {thorough}");
    }

    #[test]
    fn the_first_format_can_still_be_read() {
        let columns = columns(1);
        let blob = encode_first_format(&columns);
        let back = decode(&blob).unwrap();
        assert_same(&back, &columns, 0.0);
        assert_eq!(back.values.len(), 3);
    }
}

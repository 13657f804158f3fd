//! The sealed form of samples that are distributions: columns too, behind those of a chunk.
//!
//! Such samples are few and far between, so they have a column of times of their own. Sums and extremes of a metric with a
//! resolution are whole multiples of it. Bins are sparse: their numbers, and how many values each has.

use std::collections::BTreeMap;

use pco::ChunkConfig;
use pco::data_types::Number;
use pco::standalone::{simple_compress, simple_decompress};

use super::chunk::{from_multiples, to_multiples};
use crate::rollup::{Distribution, MOST_BINS};

/// Distributions of one series, with their times in microseconds, in order.
pub(crate) type Distributions = Vec<(i64, Distribution)>;

/// Samples that are read from one chunk at most: what asks for more is damaged.
const MOST_SAMPLES: usize = 1 << 22;

#[derive(serde::Serialize, serde::Deserialize)]
struct Stored<'a> {
    series: u32,
    /// Sums and extremes are whole multiples of this; 0 for plain floats.
    resolution: f64,
    #[serde(borrow)]
    times: &'a [u8],
    /// Values, zeros among them, and bins of each.
    #[serde(borrow)]
    counts: [&'a [u8]; 3],
    /// Sum, smallest, largest.
    #[serde(borrow)]
    values: [&'a [u8]; 3],
    /// Of each sample the number of its first bin, then distances to the bin before; and the counts.
    #[serde(borrow)]
    bins: [&'a [u8]; 2],
}

fn pack<T: Number>(numbers: &[T], config: &ChunkConfig) -> Result<Vec<u8>, String> {
    simple_compress(numbers, config).map_err(|error| error.to_string())
}

fn unpack<T: Number>(bytes: &[u8], length: usize) -> Result<Vec<T>, String> {
    let numbers: Vec<T> = simple_decompress(bytes).map_err(|error| error.to_string())?;
    if numbers.len() == length {
        Ok(numbers)
    } else {
        Err("a column of distributions of the wrong length".to_owned())
    }
}

/// Compresses distributions by series.
pub(super) fn encode(
    all: &BTreeMap<u32, Distributions>,
    resolution: impl Fn(u32) -> Option<f64>,
    config: &ChunkConfig,
) -> Result<Vec<u8>, String> {
    struct Packed {
        series: u32,
        resolution: f64,
        times: Vec<u8>,
        counts: [Vec<u8>; 3],
        values: [Vec<u8>; 3],
        bins: [Vec<u8>; 2],
    }
    let mut packed = Vec::with_capacity(all.len());
    for (series, samples) in all {
        let samples = || samples.iter().map(|(_, sample)| sample);
        let times: Vec<i64> = all[series].iter().map(|(time, _)| *time).collect();
        let counts = |of: fn(&Distribution) -> u64| samples().map(of).collect::<Vec<u64>>();
        let values = |of: fn(&Distribution) -> f64| samples().map(of).collect::<Vec<f64>>();
        let values = [values(|one| one.sum), values(|one| one.min), values(|one| one.max)];
        let step =
            resolution(*series).filter(|step| values.iter().all(|values| super::chunk::fits(values, *step)));
        let pack_values = |values: &Vec<f64>| match step {
            Some(step) => pack(&to_multiples(values, step), config),
            None => pack(values, config),
        };
        let (mut numbers, mut in_bins) = (Vec::new(), Vec::new());
        for sample in samples() {
            let mut before = 0;
            for (bin, count) in &sample.bins {
                numbers.push(bin - before);
                in_bins.push(*count);
                before = *bin;
            }
        }
        packed.push(Packed {
            series: *series,
            resolution: step.unwrap_or(0.0),
            times: pack(&times, config)?,
            counts: [
                pack(&counts(|one| one.count), config)?,
                pack(&counts(|one| one.zeros), config)?,
                pack(&counts(|one| one.bins.len() as u64), config)?,
            ],
            values: [pack_values(&values[0])?, pack_values(&values[1])?, pack_values(&values[2])?],
            bins: [pack(&numbers, config)?, pack(&in_bins, config)?],
        });
    }
    let stored: Vec<Stored<'_>> = packed
        .iter()
        .map(|one| Stored {
            series: one.series,
            resolution: one.resolution,
            times: &one.times,
            counts: one.counts.each_ref().map(Vec::as_slice),
            values: one.values.each_ref().map(Vec::as_slice),
            bins: one.bins.each_ref().map(Vec::as_slice),
        })
        .collect();
    postcard::to_stdvec(&stored).map_err(|error| error.to_string())
}

/// Reads the distributions of the series that are wanted.
pub(super) fn decode(
    blob: &[u8],
    is_wanted: impl Fn(u32) -> bool,
) -> Result<BTreeMap<u32, Distributions>, String> {
    let stored: Vec<Stored<'_>> = postcard::from_bytes(blob).map_err(|error| error.to_string())?;
    let wanted = stored.iter().filter(|one| is_wanted(one.series));
    wanted.map(|one| Ok((one.series, one.read()?))).collect()
}

impl Stored<'_> {
    fn read(&self) -> Result<Distributions, String> {
        let times: Vec<i64> = simple_decompress(self.times).map_err(|error| error.to_string())?;
        let length = times.len();
        let counts: Vec<u64> = unpack(self.counts[0], length)?;
        let zeros: Vec<u64> = unpack(self.counts[1], length)?;
        let lengths: Vec<u64> = unpack(self.counts[2], length)?;
        let values = |bytes: &[u8]| -> Result<Vec<f64>, String> {
            if self.resolution > 0.0 {
                Ok(from_multiples(unpack(bytes, length)?, self.resolution).collect())
            } else {
                unpack(bytes, length)
            }
        };
        let [sums, mins, maxes] = [values(self.values[0])?, values(self.values[1])?, values(self.values[2])?];
        if length > MOST_SAMPLES || lengths.iter().any(|bins| *bins > MOST_BINS as u64) {
            return Err("a distribution with too many bins".to_owned());
        }
        let all_bins = lengths.iter().sum::<u64>() as usize;
        let (numbers, in_bins) =
            (unpack::<i32>(self.bins[0], all_bins)?, unpack::<u64>(self.bins[1], all_bins)?);
        let mut bins = numbers.into_iter().zip(in_bins);
        let mut read = Vec::with_capacity(length);
        for (at, time) in times.into_iter().enumerate() {
            let mut of_sample: Vec<(i32, u64)> = Vec::with_capacity(lengths[at] as usize);
            let mut bin = 0_i32;
            for (distance, count) in bins.by_ref().take(lengths[at] as usize) {
                bin = bin.saturating_add(distance);
                let is_in_order = of_sample.last().is_none_or(|(before, _)| *before < bin);
                if !is_in_order || bin.unsigned_abs() as usize > MOST_BINS {
                    return Err("a distribution with bins that there are not".to_owned());
                }
                of_sample.push((bin, count));
            }
            let (count, zeros) = (counts[at], zeros[at]);
            let (sum, min, max) = (sums[at], mins[at], maxes[at]);
            read.push((time, Distribution { count, sum, min, max, zeros, bins: of_sample }));
        }
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distributions_survive_and_keep_their_resolution() {
        let sample = |n: u32| {
            let values = (0..n % 7 + 1).map(move |k| f64::from(n * 31 + k * 977) * 1e-6);
            (i64::from(n) * 10_000_000, Distribution::of(values).unwrap())
        };
        let all = BTreeMap::from([
            (3, (0..500).map(sample).collect::<Vec<_>>()),
            (9, vec![(5, Distribution::of([0.0, 1e-30, 1e17]).unwrap())]),
        ]);
        for resolution in [Some(1e-6), None] {
            let blob = encode(&all, |_| resolution, &ChunkConfig::default()).unwrap();
            assert!(blob.len() < 500 * 60, "{}", blob.len());
            let back = decode(&blob, |_| true).unwrap();
            for ((series, expected), (also, found)) in all.iter().zip(&back) {
                assert_eq!((series, expected.len()), (also, found.len()));
                for ((time, expected), (at, found)) in expected.iter().zip(found) {
                    assert_eq!((time, expected.count, expected.zeros), (at, found.count, found.zeros));
                    assert_eq!(expected.bins, found.bins);
                    let pairs =
                        [(expected.sum, found.sum), (expected.min, found.min), (expected.max, found.max)];
                    assert!(pairs.iter().all(|(one, other)| (one - other).abs() < 6e-7), "{pairs:?}");
                }
            }
            assert_eq!(decode(&blob, |series| series == 9).unwrap().len(), 1);
            for cut in [1, 10, blob.len() / 2, blob.len() - 1] {
                assert!(decode(&blob[..cut], |_| true).is_err(), "{cut}");
            }
        }
    }
}

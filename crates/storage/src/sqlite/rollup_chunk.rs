//! The format of rollups: the buckets of up to sixteen series over one day, as packed columns.
//!
//! A chunk is a postcard record. Values are whole multiples of a step, and stand as their distance from the mean (or, for
//! counters, from the first), packed by `rice`. The step is that of the metric, or a power of two of it: an eighth of the
//! deviation that samples of a bucket usually have. So what is smooth is kept exactly, and of what is noise nothing is
//! kept that the next sample would not have changed many times over. What has no step is kept as it is, by pco.

use pco::ChunkConfig;
use pco::standalone::{simple_compress, simple_decompress};

use super::rice;
use crate::rollup::{Bucket, MICROS_A_DAY, MOST_BINS, Sketch, Tier};

const FORMAT: u8 = 1;
/// Parts of the usual deviation that values are kept to, at least.
const PARTS: f64 = 8.0;
/// Sketches of a series and day at most: one an hour.
const MOST_SKETCHES: usize = 24;
/// Deviations are kept finer than values by this.
const FINER: f64 = 2.0;
/// Whole numbers that a float holds exactly.
const EXACT: f64 = 9e15;

/// One series to be kept.
#[derive(Clone, Debug)]
pub(super) struct RolledSeries<'a> {
    /// Its number in the file.
    pub series: u32,
    /// The step of its metric.
    pub resolution: Option<f64>,
    /// Whether it is a counter.
    pub is_counter: bool,
    /// Buckets of one day, in order.
    pub buckets: &'a [Bucket],
    /// A sketch for each, or none at all.
    pub sketches: &'a [Sketch],
}

/// Which parts of a bucket are wanted. Reading less is quicker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Wanted {
    /// Standard deviation.
    pub spread: bool,
    /// Smallest and largest.
    pub extremes: bool,
    /// First and last, and the increase.
    pub ends: bool,
    /// Sketches.
    pub sketches: bool,
}

impl Wanted {
    /// Everything.
    pub(super) const ALL: Self = Self { spread: true, extremes: true, ends: true, sketches: true };
}

#[derive(serde::Serialize, serde::Deserialize)]
struct Stored<'a> {
    format: u8,
    /// Number of the first bucket, counted from the beginning of the day.
    first: u32,
    /// Buckets a series, those without samples too.
    length: u32,
    #[serde(borrow)]
    series: Vec<StoredSeries<'a>>,
}

#[derive(serde::Serialize, serde::Deserialize)]
struct StoredSeries<'a> {
    series: u32,
    /// 0 when values are kept as they are.
    step: f64,
    is_counter: bool,
    /// Samples of each bucket; 0 for one that is not there.
    #[serde(borrow)]
    counts: &'a [u8],
    #[serde(borrow)]
    columns: [&'a [u8]; COLUMNS],
    /// Zeros, number of the first bin, and number of bins of each sketch; then all bins. Empty without sketches.
    #[serde(borrow)]
    sketches: [&'a [u8]; 4],
}

/// The columns, by what they hold for a level; for counters see [`whole`].
const COLUMNS: usize = 8;
const MEAN: usize = 0;
const MIN: usize = 1;
const MAX: usize = 2;
const FIRST: usize = 3;
const LAST: usize = 4;
const SPREAD: usize = 5;
const INCREASE: usize = 6;
/// What rounding takes from the mean, in 256ths of a step. Only kept where a step is much: of a state that is 1 for a
/// third of the time nothing else would be left.
const FRACTION: usize = 7;
const FRACTIONS: f64 = 256.0;
/// Steps from which on a part of one says nothing.
const MANY_STEPS: f64 = 4096.0;

/// Compresses the series. `width` is that of a bucket, `day` the beginning of the day, both in microseconds.
pub(super) fn encode(all: &[RolledSeries<'_>], day: i64, width: i64) -> Result<Vec<u8>, String> {
    let number = |bucket: &Bucket| (bucket.start - day) / width;
    let is_of_the_day = |bucket: &Bucket| (0..MICROS_A_DAY / width).contains(&number(bucket));
    if !all.iter().flat_map(|one| one.buckets).all(is_of_the_day) {
        return Err("a bucket of another day".to_owned());
    }
    let numbers = || all.iter().flat_map(|one| one.buckets.iter().map(number));
    let (first, last) = (numbers().min().unwrap_or(0), numbers().max().unwrap_or(0));
    let length = last - first + 1;
    let mut packed = Vec::with_capacity(all.len());
    for one in all {
        let (step, is_finest) = step_of(one);
        let mut counts = vec![0_i64; length as usize];
        for bucket in one.buckets {
            counts[(number(bucket) - first) as usize] = i64::try_from(bucket.count).unwrap_or(i64::MAX);
        }
        let mut columns: [Vec<u8>; COLUMNS] = Default::default();
        if step > 0.0 {
            let mut values: [Vec<i64>; COLUMNS] = Default::default();
            let means = is_finest && !one.is_counter;
            one.buckets.iter().for_each(|bucket| whole(bucket, step, one.is_counter, means, &mut values));
            for (column, values) in columns.iter_mut().zip(&values) {
                *column = rice::pack(values);
            }
        } else {
            let mut values: [Vec<f64>; COLUMNS] = Default::default();
            one.buckets.iter().for_each(|bucket| plain(bucket, &mut values));
            for (column, values) in columns.iter_mut().zip(&values) {
                *column =
                    simple_compress(values, &ChunkConfig::default()).map_err(|error| error.to_string())?;
            }
        }
        let has_sketches = one.sketches.len() == one.buckets.len();
        let sketches = if has_sketches { pack_sketches(one.sketches) } else { Default::default() };
        packed.push((step, rice::pack(&counts), columns, sketches));
    }
    let series = all
        .iter()
        .zip(&packed)
        .map(|(one, (step, counts, columns, sketches))| StoredSeries {
            series: one.series,
            step: *step,
            is_counter: one.is_counter,
            counts,
            columns: columns.each_ref().map(Vec::as_slice),
            sketches: sketches.each_ref().map(Vec::as_slice),
        })
        .collect();
    let (first, length) = (u32::try_from(first).unwrap_or(0), u32::try_from(length).unwrap_or(0));
    postcard::to_stdvec(&Stored { format: FORMAT, first, length, series }).map_err(|error| error.to_string())
}

/// Buckets and sketches of a series.
pub(super) type Rolled = (Vec<Bucket>, Vec<Sketch>);

/// Reads some series; those that the chunk does not have are empty.
pub(super) fn decode(
    blob: &[u8],
    wanted_series: &[u32],
    wanted: Wanted,
    day: i64,
    width: i64,
) -> Result<Vec<Rolled>, String> {
    match blob.first() {
        Some(&FORMAT) => {}
        Some(other) => return Err(format!("rollup format {other} is not known here")),
        None => return Err("an empty rollup".to_owned()),
    }
    let stored: Stored<'_> = postcard::from_bytes(blob).map_err(|error| error.to_string())?;
    let most = usize::try_from(MICROS_A_DAY / width.max(1)).unwrap_or(0);
    if stored.first as usize + stored.length as usize > most {
        return Err("a rollup of more than a day".to_owned());
    }
    let begin = day + i64::from(stored.first) * width;
    let read = |series: &u32| match stored.series.iter().find(|one| one.series == *series) {
        Some(one) => read_series(one, stored.length as usize, wanted, begin, width),
        None => Ok(Rolled::default()),
    };
    wanted_series.iter().map(read).collect()
}

/// Reads everything.
pub(super) fn verify(blob: &[u8]) -> Result<(), String> {
    let stored: Stored<'_> = postcard::from_bytes(blob).map_err(|error| error.to_string())?;
    let series: Vec<u32> = stored.series.iter().map(|one| one.series).collect();
    decode(blob, &series, Wanted::ALL, 0, Tier::FiveMinutes.width()).map(|_| ())
}

fn read_series(
    one: &StoredSeries<'_>,
    length: usize,
    wanted: Wanted,
    begin: i64,
    width: i64,
) -> Result<Rolled, String> {
    let counts = rice::unpack(one.counts, length)?;
    let present = counts.iter().filter(|count| **count > 0).count();
    let is_wanted = |column: usize| match column {
        MEAN | FRACTION => true,
        MIN | MAX => wanted.extremes,
        // Means and extremes of counters stand beside first and last.
        FIRST | LAST => wanted.ends || one.is_counter,
        SPREAD => wanted.spread,
        _ => wanted.ends,
    };
    let mut wholes: [Vec<i64>; COLUMNS] = Default::default();
    let mut plains: [Vec<f64>; COLUMNS] = Default::default();
    for column in (0..COLUMNS).filter(|column| is_wanted(*column)) {
        if one.step > 0.0 {
            wholes[column] = rice::unpack(one.columns[column], present)?;
        } else {
            plains[column] = simple_decompress(one.columns[column]).map_err(|error| error.to_string())?;
        }
    }
    let mut buckets = Vec::with_capacity(present);
    let places = counts.iter().enumerate().filter(|(_, count)| **count > 0);
    for (at, (place, count)) in places.enumerate() {
        let bucket = if one.step > 0.0 { from_whole(&wholes, at, one) } else { from_plain(&plains, at) };
        let mut bucket = bucket.ok_or_else(|| "a column of the wrong length".to_owned())?;
        (bucket.start, bucket.count) = (begin + place as i64 * width, count.unsigned_abs());
        // The column has the standard deviation.
        bucket.deviation = bucket.deviation * bucket.deviation * *count as f64;
        buckets.push(bucket);
    }
    let sketches = if wanted.sketches { read_sketches(&one.sketches, present)? } else { Vec::new() };
    Ok((buckets, sketches))
}

/// The step that the values of a series are kept to, 0 to keep them as they are; and whether it is the metric's own.
fn step_of(one: &RolledSeries<'_>) -> (f64, bool) {
    let values = || one.buckets.iter().flat_map(|b| [b.min, b.max, b.first, b.last, b.mean, b.increase]);
    let largest = values().fold(0.0_f64, |largest, value| largest.max(value.abs()));
    if !largest.is_finite() {
        return (0.0, false);
    }
    let is_whole =
        || one.buckets.iter().flat_map(|b| [b.min, b.max, b.first, b.last]).all(|v| v.fract() == 0.0);
    let exact = one.resolution.filter(|step| *step > 0.0).or_else(|| is_whole().then_some(1.0));
    let step = if one.is_counter {
        exact.unwrap_or(0.0)
    } else {
        let mut spreads: Vec<f64> =
            one.buckets.iter().filter(|bucket| bucket.count > 1).map(Bucket::std_dev).collect();
        let middle = spreads.len() / 2;
        let usual =
            if spreads.is_empty() { 0.0 } else { *spreads.select_nth_unstable_by(middle, f64::total_cmp).1 };
        let noise = usual / PARTS;
        match exact {
            Some(exact) if noise > exact => exact * (noise / exact).log2().floor().exp2(),
            Some(exact) => exact,
            None if noise > 0.0 => noise.log2().floor().exp2(),
            None => 0.0,
        }
    };
    if step > 0.0 && largest / step < EXACT { (step, exact == Some(step)) } else { (0.0, false) }
}

fn whole(bucket: &Bucket, step: f64, is_counter: bool, keeps_means: bool, columns: &mut [Vec<i64>; COLUMNS]) {
    let steps = |value: f64| (value / step).round() as i64;
    let (mean, min, max) = (steps(bucket.mean), steps(bucket.min), steps(bucket.max));
    let (first, last) = (steps(bucket.first), steps(bucket.last));
    // Deviations are added up and drawn from: they get a bit more.
    let spread = steps(bucket.std_dev() * FINER);
    let increase = steps(bucket.increase);
    let exact = bucket.mean / step;
    let is_many = exact.abs() >= MANY_STEPS;
    let fraction =
        if is_many || !keeps_means { 0 } else { ((exact - exact.round()) * FRACTIONS).round() as i64 };
    let row = if is_counter {
        let up = last - first;
        [mean - first - up / 2, first - min, max - last, first, up, spread, increase - up, 0]
    } else {
        [mean, mean - min, max - mean, first - mean, last - mean, spread, 0, fraction]
    };
    for (column, value) in columns.iter_mut().zip(row) {
        column.push(value);
    }
}

fn from_whole(columns: &[Vec<i64>; COLUMNS], at: usize, head: &StoredSeries<'_>) -> Option<Bucket> {
    // A column that was not wanted is empty.
    let get = |column: usize| {
        let values = &columns[column];
        if values.is_empty() { Some(0) } else { values.get(at).copied() }
    };
    let (mean, min, max) = (get(MEAN)?, get(MIN)?, get(MAX)?);
    let (first, last, increase) = (get(FIRST)?, get(LAST)?, get(INCREASE)?);
    let row = if head.is_counter {
        let (first, up) = (first, last);
        [mean + first + up / 2, first - min, first + up + max, first, first + up, increase + up]
    } else {
        [mean, mean - min, mean + max, mean + first, mean + last, increase]
    };
    // A step that is one over a whole number gives the nearest decimal: 12 µs is 0.000012 and not 0.0000119999.
    let per_unit = (1.0 / head.step).round();
    let is_exact = (per_unit * head.step - 1.0).abs() < 1e-9;
    let parts = |steps: f64| if is_exact { steps / per_unit } else { steps * head.step };
    let value = |steps: i64| parts(steps as f64);
    Some(Bucket {
        start: 0,
        count: 0,
        mean: parts(row[0] as f64 + get(FRACTION)? as f64 / FRACTIONS),
        deviation: value(get(SPREAD)?) / FINER,
        min: value(row[1]),
        max: value(row[2]),
        first: value(row[3]),
        last: value(row[4]),
        increase: value(row[5]),
    })
}

fn plain(bucket: &Bucket, columns: &mut [Vec<f64>; COLUMNS]) {
    let row = [
        bucket.mean,
        bucket.min,
        bucket.max,
        bucket.first,
        bucket.last,
        bucket.std_dev(),
        bucket.increase,
        0.0,
    ];
    for (column, value) in columns.iter_mut().zip(row) {
        column.push(value);
    }
}

fn from_plain(columns: &[Vec<f64>; COLUMNS], at: usize) -> Option<Bucket> {
    let get = |column: usize| {
        let values = &columns[column];
        if values.is_empty() { Some(0.0) } else { values.get(at).copied() }
    };
    Some(Bucket {
        start: 0,
        count: 0,
        mean: get(MEAN)?,
        deviation: get(SPREAD)?,
        min: get(MIN)?,
        max: get(MAX)?,
        first: get(FIRST)?,
        last: get(LAST)?,
        increase: get(INCREASE)?,
    })
}

fn pack_sketches(sketches: &[Sketch]) -> [Vec<u8>; 4] {
    let whole = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    let column = |value: &dyn Fn(&Sketch) -> i64| rice::pack(&sketches.iter().map(value).collect::<Vec<_>>());
    let bins: Vec<i64> = sketches.iter().flat_map(|one| one.bins().iter().map(|bin| whole(*bin))).collect();
    [
        column(&|one| whole(one.zeros())),
        column(&|one| i64::from(one.offset())),
        column(&|one| one.bins().len() as i64),
        rice::pack(&bins),
    ]
}

fn read_sketches(packed: &[&[u8]; 4], count: usize) -> Result<Vec<Sketch>, String> {
    if packed[2].is_empty() {
        return Ok(Vec::new());
    }
    let zeros = rice::unpack(packed[0], count)?;
    let offsets = rice::unpack(packed[1], count)?;
    let lengths = rice::unpack(packed[2], count)?;
    let is_sound = |length: &i64| (0..=MOST_BINS as i64).contains(length);
    if count > MOST_SKETCHES || !lengths.iter().all(is_sound) {
        return Err("a sketch with too many bins".to_owned());
    }
    let all: i64 = lengths.iter().sum();
    let bins = rice::unpack(packed[3], usize::try_from(all).map_err(|error| error.to_string())?)?;
    let mut rest = bins.as_slice();
    let mut found = Vec::with_capacity(count);
    for ((zeros, offset), length) in zeros.into_iter().zip(offsets).zip(lengths) {
        let (mine, tail) = rest.split_at_checked(length as usize).ok_or("bins are missing")?;
        rest = tail;
        let offset = i32::try_from(offset).map_err(|error| error.to_string())?;
        let bins = mine.iter().map(|bin| bin.unsigned_abs()).collect();
        let sketch = Sketch::from_parts(zeros.unsigned_abs(), offset, bins);
        found.push(sketch.ok_or("a sketch with impossible bins")?);
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rollup::roll;

    const ALL: Wanted = Wanted { spread: true, extremes: true, ends: true, sketches: true };

    /// Samples of a day at 30 s, with noise that never repeats.
    fn day(value: impl Fn(i64, f64) -> f64) -> (Vec<i64>, Vec<f64>) {
        let start = 20_000 * MICROS_A_DAY;
        (0..2880)
            .map(|index| (start + index * 30_000_000, value(index, (index as f64 * 0.618_034).fract())))
            .unzip()
    }

    #[test]
    fn buckets_survive_within_an_eighth_of_the_noise() {
        let latency = day(|_, noise| (((noise - 0.5) * 2.0).exp() * 0.05 * 1e6).round() / 1e6);
        let counter = day(|index, _| (index * 7 % 9000) as f64);
        let size = day(|index, _| (4_000_000_000 + index * 1000) as f64);
        let state = day(|index, _| f64::from(u8::from(index > 2000)));
        let odd = day(|index, noise| if index == 5 { f64::INFINITY } else { noise });
        let samples = [
            (1, latency, Some(1e-6), false),
            (2, counter, None, true),
            (3, size, Some(1.0), false),
            (4, state, Some(1.0), false),
            (5, odd, None, false),
        ];
        for tier in Tier::ALL {
            let rolled: Vec<_> =
                samples.iter().map(|(_, (times, values), ..)| roll(times, values, true)).collect();
            let sketches: Vec<_> = rolled.iter().map(|one| one.sketches(tier)).collect();
            let all: Vec<RolledSeries<'_>> = samples
                .iter()
                .zip(&rolled)
                .zip(&sketches)
                .map(|(((series, _, resolution, is_counter), rolled), sketches)| RolledSeries {
                    series: *series,
                    resolution: *resolution,
                    is_counter: *is_counter,
                    buckets: rolled.buckets(tier),
                    sketches,
                })
                .collect();
            let start = 20_000 * MICROS_A_DAY;
            let blob = encode(&all, start, tier.width()).unwrap();
            let found = decode(&blob, &[1, 2, 3, 4, 5, 9], ALL, start, tier.width()).unwrap();
            assert_eq!(found[5], Rolled::default());
            for (index, one) in all.iter().enumerate() {
                let (buckets, found_sketches) = &found[index];
                assert_eq!(found_sketches, &sketches[index]);
                assert_eq!(buckets.len(), one.buckets.len());
                for (a, b) in one.buckets.iter().zip(buckets) {
                    assert_eq!((a.start, a.count), (b.start, b.count));
                    let near = |x: f64, y: f64| {
                        x == y || (x - y).abs() <= a.std_dev().max(1e-6) / 8.0 + x.abs() * 1e-12
                    };
                    assert!(near(a.min, b.min) && near(a.max, b.max), "{index} {a:?} {b:?}");
                    assert!(near(a.first, b.first) && near(a.last, b.last), "{index} {a:?} {b:?}");
                    if index != 4 {
                        assert!(
                            (a.mean - b.mean).abs()
                                <= (a.std_dev() / 8.0).max(if one.is_counter {
                                    0.51
                                } else {
                                    0.002 + a.mean.abs() * 1e-3
                                }),
                            "{index} {a:?} {b:?}"
                        );
                        assert!(
                            (a.std_dev() - b.std_dev()).abs() <= (a.std_dev() / 8.0).max(0.51),
                            "{index} {a:?} {b:?}"
                        );
                    }
                    if one.is_counter {
                        assert_eq!((a.increase, a.first, a.last), (b.increase, b.first, b.last));
                    }
                }
            }
            let less = decode(&blob, &[2], Wanted::default(), start, tier.width()).unwrap();
            assert_eq!(less[0].0[0].mean, found[1].0[0].mean, "what is not wanted changes nothing else");
            for cut in [0, 1, 10, blob.len() / 2, blob.len() - 1] {
                assert!(decode(&blob[..cut], &[1], ALL, start, tier.width()).is_err(), "{cut}");
            }
        }
    }

    #[test]
    fn series_with_gaps_and_single_samples_survive() {
        let start = 20_000 * MICROS_A_DAY;
        let early = [Bucket::new(start, 3.0), Bucket::new(start + 3 * 300_000_000, 5.5)];
        let late = [Bucket::new(start + 287 * 300_000_000, 7.0)];
        let one = |series, buckets| RolledSeries {
            series,
            resolution: None,
            is_counter: false,
            buckets,
            sketches: &[],
        };
        let blob = encode(&[one(1, &early[..]), one(2, &late[..])], start, 300_000_000).unwrap();
        let found = decode(&blob, &[2, 1], ALL, start, 300_000_000).unwrap();
        assert_eq!((found[0].0.as_slice(), found[1].0.as_slice()), (&late[..], &early[..]));
    }
}

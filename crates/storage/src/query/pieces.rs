//! Pieces of one day, from several sources, as one.

use std::collections::BTreeMap;

use super::{Piece, QueryPlan, SeriesPieces};
use crate::columns::Distributions;
use crate::columns::chunk::Samples;
use crate::rollup::{Bucket, Sketch, Tier, roll};

/// What there is of a metric: by labels (a JSON array of pairs, as stored), and by day.
pub(crate) type Found = BTreeMap<String, BTreeMap<i64, Vec<Piece>>>;

/// The series of all that was found.
pub(crate) fn series_of(found: Found) -> Vec<SeriesPieces> {
    let each = found.into_iter().map(|(labels, days)| SeriesPieces {
        labels: serde_json::from_str(&labels).unwrap_or_default(),
        pieces: days.into_values().map(in_order).collect(),
    });
    each.collect()
}

/// The samples of a series on one day, as they are found in chunks and in the head: of two with the same time the later
/// counts.
#[derive(Debug, Default)]
pub(crate) struct DaySamples {
    numbers: Vec<(i64, f64)>,
    distributions: Distributions,
}

impl DaySamples {
    /// Takes what there is in a range of microseconds.
    pub(crate) fn take(&mut self, range: &std::ops::Range<i64>, samples: Samples<'_>) {
        match samples {
            Samples::Numbers(times, values) => {
                let fitting = times.iter().zip(values);
                let fitting = fitting.filter(|(time, value)| range.contains(time) && !value.is_nan());
                self.numbers.extend(fitting.map(|(time, value)| (*time, *value)));
            }
            Samples::Distributions(all) => {
                self.distributions.extend(all.into_iter().filter(|(time, _)| range.contains(time)));
            }
        }
    }

    /// Takes those that came later.
    pub(crate) fn append(&mut self, later: &mut Self) {
        self.numbers.append(&mut later.numbers);
        self.distributions.append(&mut later.distributions);
    }

    /// The pieces that a plan reads. Distributions of one point are one: a day may have thousands of them, and each is
    /// much larger than a number.
    pub(crate) fn pieces(self, plan: &QueryPlan) -> Vec<Piece> {
        let mut pieces = Vec::new();
        if !self.numbers.is_empty() || self.distributions.is_empty() {
            pieces.push(Piece::Raw(self.numbers));
        }
        if self.distributions.is_empty() {
            return pieces;
        }
        let (step, has_sketches) = (plan.step_micros(), plan.aggregate.needs_sketch());
        let (mut buckets, mut sketches): (Vec<Bucket>, Vec<Sketch>) = (Vec::new(), Vec::new());
        let mut point = None;
        for (time, sample) in once(self.distributions) {
            let bucket = sample.bucket(time);
            let here = Some(time.div_euclid(step));
            match buckets.last_mut() {
                Some(last) if point == here => last.merge(&bucket),
                _ => {
                    buckets.push(bucket);
                    sketches.extend(has_sketches.then(Sketch::default));
                }
            }
            if let Some(sketch) = sketches.last_mut() {
                sample.add_to(sketch);
            }
            point = here;
        }
        pieces.push(Piece::Distributions(buckets, sketches));
        pieces
    }
}

/// One piece of all that there is of a day, in order of time. Samples stay samples; beside rollups they are rolled up, and
/// all takes the width of the widest.
fn in_order(pieces: Vec<Piece>) -> Piece {
    let widest = pieces.iter().filter_map(|piece| match piece {
        Piece::Raw(_) | Piece::Distributions(..) => None,
        Piece::Rolled(tier, ..) => Some(*tier),
    });
    let widest: Option<Tier> = widest.max();
    let is_distributed = |piece: &Piece| matches!(piece, Piece::Distributions(..));
    if widest.is_none() && !pieces.iter().any(is_distributed) {
        let samples = pieces.into_iter().filter_map(|piece| match piece {
            Piece::Raw(samples) => Some(samples),
            Piece::Rolled(..) | Piece::Distributions(..) => None,
        });
        let all = samples.reduce(|mut all, mut samples| {
            all.append(&mut samples);
            all
        });
        return Piece::Raw(once(all.unwrap_or_default()));
    }
    if pieces.len() == 1 {
        return pieces.into_iter().next().unwrap_or(Piece::Raw(Vec::new()));
    }
    let mut all: BTreeMap<i64, (Bucket, Option<Sketch>)> = BTreeMap::new();
    for piece in pieces {
        let (buckets, sketches) = match piece {
            Piece::Rolled(_, buckets, sketches) | Piece::Distributions(buckets, sketches) => {
                (buckets, sketches)
            }
            Piece::Raw(samples) => {
                let samples = once(samples);
                match widest {
                    Some(tier) => {
                        let (times, values): (Vec<i64>, Vec<f64>) = samples.into_iter().unzip();
                        let rolled = roll(&times, &values, true);
                        (rolled.buckets(tier).to_vec(), rolled.sketches(tier))
                    }
                    // A metric that has become a distribution in the middle of the day.
                    None => samples.into_iter().map(|(time, value)| single(time, value)).unzip(),
                }
            }
        };
        let mut sketches = sketches.into_iter();
        for mut bucket in buckets {
            bucket.start = widest.map_or(bucket.start, |tier| tier.start_of(bucket.start));
            let sketch = sketches.next();
            match all.get_mut(&bucket.start) {
                None => {
                    all.insert(bucket.start, (bucket, sketch));
                }
                Some((known, known_sketch)) => {
                    known.merge(&bucket);
                    if let (Some(known), Some(sketch)) = (known_sketch, sketch) {
                        known.merge(&sketch);
                    }
                }
            }
        }
    }
    let (buckets, sketches): (Vec<_>, Vec<Option<Sketch>>) = all.into_values().unzip();
    // A sketch for each bucket, or none.
    let sketches: Option<Vec<Sketch>> = sketches.into_iter().collect();
    let sketches = sketches.unwrap_or_default();
    match widest {
        Some(tier) => Piece::Rolled(tier, buckets, sketches),
        None => Piece::Distributions(buckets, sketches),
    }
}

fn single(time: i64, value: f64) -> (Bucket, Sketch) {
    let mut sketch = Sketch::default();
    sketch.add(value);
    (Bucket::new(time, value), sketch)
}

/// In order of time, each time once; of two samples with the same time the later one counts.
fn once<T>(mut samples: Vec<(i64, T)>) -> Vec<(i64, T)> {
    if samples.is_sorted_by(|one, next| one.0 < next.0) {
        return samples;
    }
    samples.sort_by_key(|(time, _)| *time);
    samples.dedup_by(|later, kept| {
        let same = later.0 == kept.0;
        if same {
            std::mem::swap(&mut kept.1, &mut later.1);
        }
        same
    });
    samples
}

//! Pieces of one day, from several sources, as one.

use std::collections::BTreeMap;

use super::{Piece, SeriesPieces};
use crate::rollup::{Bucket, Sketch, roll};

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

/// One piece of all that there is of a day, in order of time. Samples stay samples; beside rollups they are rolled up, and
/// all takes the width of the widest.
fn in_order(pieces: Vec<Piece>) -> Piece {
    let widest = pieces.iter().filter_map(|piece| match piece {
        Piece::Raw(_) => None,
        Piece::Rolled(tier, ..) => Some(*tier),
    });
    let Some(tier) = widest.max() else {
        let samples = pieces.into_iter().filter_map(|piece| match piece {
            Piece::Raw(samples) => Some(samples),
            Piece::Rolled(..) => None,
        });
        let all = samples.reduce(|mut all, mut samples| {
            all.append(&mut samples);
            all
        });
        return Piece::Raw(once(all.unwrap_or_default()));
    };
    if pieces.len() == 1 {
        return pieces.into_iter().next().unwrap_or(Piece::Raw(Vec::new()));
    }
    let mut all: BTreeMap<i64, (Bucket, Option<Sketch>)> = BTreeMap::new();
    for piece in pieces {
        let (buckets, sketches) = match piece {
            Piece::Rolled(_, buckets, sketches) => (buckets, sketches),
            Piece::Raw(samples) => {
                let (times, values): (Vec<i64>, Vec<f64>) = once(samples).into_iter().unzip();
                let rolled = roll(&times, &values, true);
                (rolled.buckets(tier).to_vec(), rolled.sketches(tier))
            }
        };
        let mut sketches = sketches.into_iter();
        for mut bucket in buckets {
            bucket.start = tier.start_of(bucket.start);
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
    Piece::Rolled(tier, buckets, sketches.unwrap_or_default())
}

/// In order of time, each time once; of two samples with the same time the later one counts.
fn once(mut samples: Vec<(i64, f64)>) -> Vec<(i64, f64)> {
    if samples.is_sorted_by(|one, next| one.0 < next.0) {
        return samples;
    }
    samples.sort_by_key(|(time, _)| *time);
    samples.dedup_by(|later, kept| {
        let same = later.0 == kept.0;
        if same {
            kept.1 = later.1;
        }
        same
    });
    samples
}

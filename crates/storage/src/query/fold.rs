//! Pieces of series become the points of an answer.

use std::collections::BTreeMap;
use std::time::Duration;

use wise_core::SourceId;

use super::plan::{Aggregate, Answer, AnswerSeries, Grouping, QueryPlan};
use super::{LabelPairs, Piece, SeriesPieces};
use crate::rollup::{Bucket, Sketch, counter_step};

/// Values of a point that are kept as they are for a quantile; with more of them a sketch says the same.
const MANY: usize = 4096;

/// Answers a plan. `read` gives the series of a source that fit, and what there is of them.
///
/// # Errors
/// Those of `read`.
pub fn answer<E>(
    plan: &QueryPlan,
    mut read: impl FnMut(&SourceId) -> Result<Vec<SeriesPieces>, E>,
) -> Result<Answer, E> {
    let step = plan.step_micros();
    let mut groups: BTreeMap<LabelPairs, Group> = BTreeMap::new();
    let mut size = 0;
    for source in &plan.sources {
        for series in read(source)? {
            if !plan.wants(&series.labels) {
                continue;
            }
            let labels = match &plan.grouping {
                Grouping::Each => told_apart(series.labels, source, plan.sources.len() > 1),
                Grouping::By(names) => grouped(names, source, &series.labels),
            };
            let points = points_of(plan, step, series.pieces);
            let group = groups.entry(labels).or_default();
            let before = group.len();
            group.add(plan.aggregate, points, step, plan.grouping != Grouping::Each);
            size += group.len() - before;
            if plan.grouping == Grouping::Each {
                group.finish(plan.aggregate);
            }
            if size > plan.most {
                return Ok(Answer { is_cut: true, ..Answer::default() });
            }
        }
    }
    let series = groups
        .into_iter()
        .map(|(labels, group)| AnswerSeries { labels, points: group.points(plan.aggregate) });
    let step = Duration::from_micros(step.unsigned_abs());
    let series = series.filter(|series| !series.points.is_empty()).collect();
    Ok(Answer { step, series, is_cut: false })
}

/// Series of two sources may have the same labels, so one label says whose a series is. Anyone who asks for one monitor
/// knows which.
fn told_apart(mut labels: LabelPairs, source: &SourceId, is_one_of_many: bool) -> LabelPairs {
    let own = match source {
        SourceId::Monitor(id) if is_one_of_many => ("monitor".to_owned(), id.to_string()),
        SourceId::Monitor(_) => return labels,
        SourceId::Named(name) => ("source".to_owned(), name.to_string()),
    };
    labels.insert(0, own);
    labels
}

fn grouped(names: &[String], source: &SourceId, labels: &LabelPairs) -> LabelPairs {
    let value = |name: &str| {
        match (name, source) {
            ("source", _) | ("monitor", SourceId::Monitor(_)) => return source.to_string(),
            ("monitor", SourceId::Named(_)) => return String::new(),
            _ => {}
        }
        labels.iter().find(|(label, _)| label == name).map(|(_, value)| value.clone()).unwrap_or_default()
    };
    names.iter().map(|name| (name.clone(), value(name))).collect()
}

/// The samples of a point.
#[derive(Clone, Debug)]
struct Point {
    bucket: Bucket,
    values: Values,
    /// When the first and the last sample were taken, in microseconds; of rollups, where the buckets begin and end.
    span: (i64, i64),
}

/// What a quantile is made of.
#[derive(Clone, Debug)]
enum Values {
    /// Not wanted.
    None,
    /// All of them.
    All(Vec<f64>),
    /// Too many, or rolled up.
    Sketch(Box<Sketch>),
}

impl Values {
    fn of(all: Vec<f64>) -> Self {
        if all.len() <= MANY { Self::All(all) } else { Self::Sketch(Self::All(all).into_sketch()) }
    }

    fn add(&mut self, value: f64) {
        match self {
            Self::All(values) if values.len() < MANY => values.push(value),
            Self::Sketch(sketch) => sketch.add(value),
            _ => self.merge(Self::All(vec![value])),
        }
    }

    fn merge(&mut self, other: Self) {
        match (&mut *self, other) {
            (Self::All(mine), Self::All(theirs)) if mine.len() + theirs.len() <= MANY => mine.extend(theirs),
            (_, Self::None) => {}
            (Self::None, other) => *self = other,
            (_, other) => {
                let mut sketch = std::mem::replace(self, Self::None).into_sketch();
                match other {
                    Self::Sketch(theirs) => sketch.merge(&theirs),
                    Self::All(values) => values.into_iter().for_each(|value| sketch.add(value)),
                    Self::None => {}
                }
                *self = Self::Sketch(sketch);
            }
        }
    }

    fn into_sketch(self) -> Box<Sketch> {
        match self {
            Self::Sketch(sketch) => sketch,
            Self::All(values) => {
                let mut sketch = Box::<Sketch>::default();
                values.into_iter().for_each(|value| sketch.add(value));
                sketch
            }
            Self::None => Box::default(),
        }
    }

    fn quantile(self, q: f64) -> Option<f64> {
        match self {
            Self::None => None,
            Self::All(mut values) => {
                let rank = ((q * values.len() as f64).ceil() as usize).clamp(1, values.len().max(1));
                // Nearest rank: always a value that was measured.
                (!values.is_empty()).then(|| *values.select_nth_unstable_by(rank - 1, f64::total_cmp).1)
            }
            Self::Sketch(sketch) => sketch.quantile(q),
        }
    }
}

/// A value stands for its series so long, where that has no newer one: as long as Prometheus's does.
const STALE: i64 = 300_000_000;

/// The points of one series, in order.
fn points_of(plan: &QueryPlan, step: i64, pieces: Vec<Piece>) -> Vec<Point> {
    let (from, to) = (plan.from.as_micros(), plan.to.as_micros());
    let wants_values = plan.aggregate.needs_sketch();
    let mut points: Vec<Point> = Vec::new();
    fn place(points: &mut Vec<Point>, step: i64, bucket: Bucket, width: i64) -> &mut Values {
        let start = bucket.start.div_euclid(step) * step;
        let span = (bucket.start, bucket.start + width);
        match points.last_mut() {
            Some(last) if last.bucket.start == start => {
                last.bucket.merge(&bucket);
                last.span.1 = span.1;
            }
            _ => points.push(Point { bucket: Bucket { start, ..bucket }, values: Values::None, span }),
        }
        // There is one: it was found or made.
        let last = points.len() - 1;
        &mut points[last].values
    }
    for piece in pieces {
        match piece {
            Piece::Raw(samples) => {
                let wanted = |(time, value): &&(i64, f64)| (from..to).contains(time) && !value.is_nan();
                let mut samples = samples.iter().filter(wanted).peekable();
                while let Some((time, value)) = samples.next() {
                    let end = (time.div_euclid(step) + 1) * step;
                    let mut bucket = Bucket::new(*time, *value);
                    let mut last = *time;
                    if wants_values {
                        // A quantile needs the values alone.
                        let mut all = vec![*value];
                        while let Some((time, value)) = samples.next_if(|(time, _)| *time < end) {
                            all.push(*value);
                            last = *time;
                        }
                        bucket.count = all.len() as u64;
                        place(&mut points, step, bucket, last - time).merge(Values::of(all));
                    } else {
                        while let Some((time, value)) = samples.next_if(|(time, _)| *time < end) {
                            bucket.merge(&Bucket::new(*time, *value));
                            last = *time;
                        }
                        place(&mut points, step, bucket, last - time);
                    }
                }
            }
            Piece::Distributions(buckets, sketches) => {
                let mut sketches = sketches.into_iter();
                for bucket in buckets {
                    let sketch = sketches.next();
                    if !(from..to).contains(&bucket.start) {
                        continue;
                    }
                    let values = place(&mut points, step, bucket, 0);
                    match sketch {
                        Some(sketch) if wants_values => values.merge(Values::Sketch(Box::new(sketch))),
                        None if wants_values => values.add(bucket.mean),
                        _ => {}
                    }
                }
            }
            Piece::Rolled(tier, buckets, sketches) => {
                let mut sketches = sketches.into_iter();
                for mut bucket in buckets {
                    let sketch = sketches.next();
                    // Of a bucket that the range begins in, the whole is taken, and shown where the range begins.
                    if bucket.start + tier.width() <= from || bucket.start >= to {
                        continue;
                    }
                    let end = bucket.start + tier.width();
                    bucket.start = bucket.start.max(from);
                    let values = place(&mut points, step, bucket, end - bucket.start);
                    match sketch {
                        Some(sketch) if wants_values => values.merge(Values::Sketch(Box::new(sketch))),
                        // A metric without sketches: the mean stands for what it is the mean of.
                        None if wants_values => values.add(bucket.mean),
                        _ => {}
                    }
                }
            }
        }
    }
    points
}

/// Series that are one in the answer.
#[derive(Debug, Default)]
struct Group {
    pooled: BTreeMap<i64, Point>,
    added: BTreeMap<i64, f64>,
    finished: Vec<(f64, f64)>,
}

impl Group {
    /// How many points it has.
    fn len(&self) -> usize {
        self.pooled.len() + self.added.len() + self.finished.len()
    }

    fn add(&mut self, aggregate: Aggregate, points: Vec<Point>, step: i64, is_summed: bool) {
        if !aggregate.adds_up() {
            for point in points {
                match self.pooled.entry(point.bucket.start) {
                    std::collections::btree_map::Entry::Vacant(entry) => {
                        entry.insert(point);
                    }
                    std::collections::btree_map::Entry::Occupied(mut entry) => {
                        let mine = entry.get_mut();
                        mine.bucket.merge(&point.bucket);
                        mine.values.merge(point.values);
                    }
                }
            }
            return;
        }
        let mut before: Option<(Bucket, i64, f64)> = None;
        for Point { bucket, span, .. } in points {
            // What it went up since the point before belongs to this one, over all the time between.
            let since = before.map_or(0.0, |(before, ..)| counter_step(before.last, bucket.first));
            let elapsed = span.1 - before.map_or(span.0, |(_, end, _)| end);
            let value = match aggregate {
                Aggregate::Sum => bucket.sum(),
                Aggregate::Increase => bucket.increase + since,
                // One sample alone has no pace.
                Aggregate::Rate if elapsed <= 0 => {
                    before = Some((bucket, span.1, f64::NAN));
                    continue;
                }
                Aggregate::Rate => (bucket.increase + since) / (elapsed as f64 / 1e6),
                _ => bucket.last,
            };
            // Points may be narrower than checks are apart. In a sum a series counts in between too: with its last
            // value, and with the pace that it turns out to have had.
            let carried = match aggregate {
                Aggregate::Rate => Some(value),
                Aggregate::Last => before.map(|(.., value)| value),
                _ => None,
            };
            if let (Some(carried), Some((last, ..))) = (carried, before)
                && is_summed
                && bucket.start - last.start <= STALE
            {
                let mut between = last.start + step;
                while between < bucket.start {
                    *self.added.entry(between).or_default() += carried;
                    between += step;
                }
            }
            *self.added.entry(bucket.start).or_default() += value;
            before = Some((bucket, span.1, value));
        }
    }

    /// Nothing more comes: what is left of it takes less room.
    fn finish(&mut self, aggregate: Aggregate) {
        let all = std::mem::take(self);
        self.finished = all.points(aggregate);
    }

    fn points(mut self, aggregate: Aggregate) -> Vec<(f64, f64)> {
        let seconds = |start: i64| start as f64 / 1e6;
        let mut points = std::mem::take(&mut self.finished);
        points.extend(self.added.into_iter().map(|(start, value)| (seconds(start), value)));
        let value = |Point { bucket, values, .. }: Point| match aggregate {
            Aggregate::Min => Some(bucket.min),
            Aggregate::Max => Some(bucket.max),
            Aggregate::Count => Some(bucket.count as f64),
            Aggregate::StdDev => Some(bucket.std_dev()),
            Aggregate::Quantile(q) => values.quantile(q),
            _ => Some(bucket.mean),
        };
        points.extend(
            self.pooled.into_iter().filter_map(|(start, point)| Some((seconds(start), value(point)?))),
        );
        points
    }
}

#[cfg(test)]
mod tests {
    use wise_core::{MonitorId, SourceName, Timestamp};

    use super::*;
    use crate::rollup::{Tier, roll};

    const DAYS: i64 = 3;

    fn series(name: &str, value: impl Fn(i64) -> f64) -> (LabelPairs, Vec<(i64, f64)>) {
        let labels = vec![("name".to_owned(), name.to_owned()), ("zone".to_owned(), "z".to_owned())];
        (labels, (0..DAYS * 2880).map(|index| (index * 30_000_000, value(index))).collect())
    }

    fn raw((labels, samples): &(LabelPairs, Vec<(i64, f64)>)) -> SeriesPieces {
        SeriesPieces { labels: labels.clone(), pieces: vec![Piece::Raw(samples.clone())] }
    }

    fn rolled((labels, samples): &(LabelPairs, Vec<(i64, f64)>), tier: Tier) -> SeriesPieces {
        let pieces = samples.chunks(2880).map(|day| {
            let (times, values): (Vec<i64>, Vec<f64>) = day.iter().copied().unzip();
            let rolled = roll(&times, &values, true);
            Piece::Rolled(tier, rolled.buckets(tier).to_vec(), rolled.sketches(tier))
        });
        SeriesPieces { labels: labels.clone(), pieces: pieces.collect() }
    }

    fn plan(points: usize, aggregate: &str, by: Option<&str>) -> QueryPlan {
        let range = (Timestamp::from_seconds(0), Timestamp::from_seconds(DAYS * 86_400));
        let aggregate = Aggregate::from_name(aggregate).unwrap();
        let grouping = by.map_or(Grouping::Each, |label| Grouping::By(vec![label.to_owned()]));
        QueryPlan {
            grouping,
            ..QueryPlan::of(MonitorId::from_file_name("m"), "m.x_seconds", range, points, aggregate)
        }
    }

    #[test]
    fn a_series_says_whose_it_is() {
        let all = [raw(&series("a", |_| 1.0))];
        let (monitor, server) = (MonitorId::from_file_name("m"), SourceName::new("server", "x").unwrap());
        let mut plan = plan(1, "count", None);
        let labels = |plan: &QueryPlan| -> Vec<Vec<String>> {
            let told = |one: AnswerSeries| {
                one.labels.iter().map(|(name, value)| format!("{name}={value}")).collect()
            };
            ask(plan, &all).into_iter().map(told).collect()
        };
        assert_eq!(labels(&plan), [["name=a", "zone=z"]], "who asks for one monitor knows which");
        plan.sources = vec![server.into()];
        assert_eq!(labels(&plan), [["source=server:x", "name=a", "zone=z"]]);
        plan.sources.push(monitor.into());
        let id = format!("monitor={monitor}");
        assert_eq!(
            labels(&plan),
            [vec![&id[..], "name=a", "zone=z"], vec!["source=server:x", "name=a", "zone=z"]]
        );
        plan.grouping = Grouping::By(vec!["monitor".to_owned()]);
        assert_eq!(labels(&plan), [["monitor="], [&id[..]]]);
        plan.grouping = Grouping::By(vec!["source".to_owned()]);
        assert_eq!(labels(&plan), [[format!("source={monitor}")], ["source=server:x".to_owned()]]);
    }

    fn ask(plan: &QueryPlan, series: &[SeriesPieces]) -> Vec<AnswerSeries> {
        answer(plan, |_| Ok::<_, ()>(series.to_vec())).unwrap().series
    }

    #[test]
    fn rollups_answer_as_samples_do() {
        let wavy = series("a", |index| 0.2 + (index % 77) as f64 * 0.01);
        let counter = series("b", |index| (index % 5000) as f64 * 3.0);
        for aggregate in [
            "avg", "min", "max", "sum", "last", "count", "stddev", "rate", "increase", "median", "p95", "p99",
        ] {
            for (points, tier) in [(72, Tier::Hour), (3, Tier::Day), (1, Tier::Day), (1, Tier::FiveMinutes)] {
                for one in [&wavy, &counter] {
                    let is_quantile = aggregate.starts_with('p') || aggregate == "median";
                    if tier == Tier::FiveMinutes && is_quantile {
                        continue;
                    }
                    let plan = plan(points, aggregate, None);
                    let exact = ask(&plan, &[raw(one)]);
                    let found = ask(&plan, &[rolled(one, tier)]);
                    assert_eq!(exact[0].points.len(), points, "{aggregate}");
                    for ((at, a), (also, b)) in exact[0].points.iter().zip(&found[0].points) {
                        assert_eq!(at, also);
                        assert!((a - b).abs() <= a.abs() * 0.0101 + 1e-6, "{aggregate} {tier:?}: {a} {b}");
                    }
                }
            }
        }
    }

    #[test]
    fn groups_pool_samples_or_add_up() {
        let (a, b) = (series("a", |_| 1.0), series("b", |index| if index % 2 == 0 { 3.0 } else { 5.0 }));
        let value = |aggregate: &str| {
            let found = ask(&plan(1, aggregate, Some("zone")), &[raw(&a), raw(&b)]);
            assert_eq!((found.len(), &found[0].labels), (1, &vec![("zone".to_owned(), "z".to_owned())]));
            found[0].points[0].1
        };
        let count = (DAYS * 2880 * 2) as f64;
        assert_eq!((value("count"), value("sum"), value("last")), (count, count / 2.0 * 5.0, 6.0));
        assert_eq!((value("avg"), value("min"), value("max")), (2.5, 1.0, 5.0));
        assert!((value("p50") - 1.0).abs() < 0.02, "half of all samples are 1");
        let by_monitor = ask(&plan(1, "avg", Some("monitor")), &[raw(&a), raw(&b)]);
        assert_eq!(by_monitor[0].labels[0].1, MonitorId::from_file_name("m").to_string());
        let mut only = plan(1, "avg", None);
        only.matchers = vec![super::super::Matcher::parse("name=b").unwrap()];
        assert_eq!(ask(&only, &[raw(&a), raw(&b)])[0].points[0].1, 4.0);
    }

    #[test]
    fn rates_are_right_at_the_edges_of_a_range() {
        let steady = series("a", |index| (index * 30) as f64);
        let between = |from: i64, to: i64, points| {
            let range = (Timestamp::from_seconds(from), Timestamp::from_seconds(to));
            QueryPlan { from: range.0, to: range.1, ..plan(points, "rate", None) }
        };
        for (from, to, points) in [(45, 1000, 10), (10, 7210, 7), (100, 86_500, 24)] {
            let found = ask(&between(from, to, points), &[raw(&steady)]);
            assert!(found[0].points.len() >= points.min(8), "{found:?}");
            assert!(found[0].points.iter().all(|(_, rate)| (rate - 1.0).abs() < 1e-9), "{found:?}");
        }
        let rolled = ask(&between(0, DAYS * 86_400, 72), &[rolled(&steady, Tier::Hour)]);
        // Of the first bucket nothing is known from before it: what is lost is the time to its first sample.
        assert!(rolled[0].points.iter().all(|(_, rate)| (rate - 1.0).abs() < 0.01), "{rolled:?}");
    }

    #[test]
    fn a_group_counts_series_that_have_no_sample_in_a_point() {
        // Points of 10 s, samples every 30 s, at other times in each of three series.
        let late = |offset: i64| {
            let labels = vec![("name".to_owned(), offset.to_string())];
            let samples =
                (0..40).map(|index| ((index * 30 + offset * 10) * 1_000_000, (index * 30) as f64)).collect();
            SeriesPieces { labels, pieces: vec![Piece::Raw(samples)] }
        };
        let all: Vec<_> = (0..3).map(late).collect();
        let range = (Timestamp::from_seconds(0), Timestamp::from_seconds(1200));
        for (aggregate, expected) in [("rate", 3.0), ("last", f64::NAN)] {
            let mut plan = plan(120, aggregate, Some("zone"));
            (plan.from, plan.to) = range;
            let points = ask(&plan, &all).remove(0).points;
            for pair in points[6..110].windows(2) {
                if aggregate == "rate" {
                    assert!((pair[0].1 - expected).abs() < 1e-9, "{points:?}");
                } else {
                    assert!((0.0..=31.0).contains(&(pair[1].1 - pair[0].1)), "no saw: {points:?}");
                }
            }
        }
    }

    #[test]
    fn gaps_stay_gaps_and_counters_lose_nothing_in_them() {
        let (labels, mut samples) = series("a", |index| index as f64);
        samples.retain(|(time, _)| !(86_400_000_000..2 * 86_400_000_000).contains(time));
        let holed = SeriesPieces { labels, pieces: vec![Piece::Raw(samples)] };
        let days = ask(&plan(3, "avg", None), std::slice::from_ref(&holed));
        assert_eq!(days[0].points.iter().map(|(at, _)| *at).collect::<Vec<_>>(), [0.0, 172_800.0]);
        let increase: f64 = ask(&plan(3, "increase", None), std::slice::from_ref(&holed))[0]
            .points
            .iter()
            .map(|(_, value)| value)
            .sum();
        assert_eq!(increase, (DAYS * 2880 - 1) as f64);
        let rates = ask(&plan(3, "rate", None), &[holed]);
        assert!(
            (rates[0].points[1].1 - 1.0 / 30.0).abs() < 1e-3,
            "the rate is over the whole gap: {rates:?}"
        );
    }
}

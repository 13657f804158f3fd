//! The plan of a query.

use std::time::Duration;

use regex::Regex;
use wise_core::{SourceId, Timestamp};

use super::{LabelPairs, Resolution};
use crate::rollup::Tier;

/// How the samples of a point become one value.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Aggregate {
    /// Mean.
    #[default]
    Avg,
    /// Smallest.
    Min,
    /// Largest.
    Max,
    /// Sum.
    Sum,
    /// Last.
    Last,
    /// How many.
    Count,
    /// Standard deviation of the whole population.
    StdDev,
    /// How much a counter went up.
    Increase,
    /// How much a counter went up a second.
    Rate,
    /// Quantile between 0 and 1, by nearest rank.
    Quantile(f64),
}

impl Aggregate {
    /// The names, for messages.
    pub const NAMES: &str = "avg, min, max, sum, last, count, stddev, median, rate, increase, or p50 to p99";

    /// Reads one of [`Aggregate::NAMES`].
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "avg" => Self::Avg,
            "min" => Self::Min,
            "max" => Self::Max,
            "sum" => Self::Sum,
            "last" => Self::Last,
            "count" => Self::Count,
            "stddev" => Self::StdDev,
            "median" => Self::Quantile(0.5),
            "increase" => Self::Increase,
            "rate" => Self::Rate,
            _ => {
                let percent: f64 = name.strip_prefix('p')?.parse().ok()?;
                (0.0..=100.0).contains(&percent).then_some(Self::Quantile(percent / 100.0))?
            }
        })
    }

    /// Whether it looks at how samples are distributed, which rollups of five minutes do not keep.
    pub(crate) fn needs_sketch(self) -> bool {
        matches!(self, Self::Quantile(_))
    }

    /// Whether a group is the sum of what its series have. Otherwise it is what all samples of its series have together.
    pub(crate) fn adds_up(self) -> bool {
        matches!(self, Self::Sum | Self::Last | Self::Increase | Self::Rate)
    }
}

/// A condition on a label. A label that a series does not have is empty.
#[derive(Clone, Debug)]
pub struct Matcher {
    /// The label.
    pub label: String,
    /// Whether the condition has to fail.
    pub negated: bool,
    test: Test,
}

#[derive(Clone, Debug)]
enum Test {
    Equal(String),
    Regex(Regex),
}

impl Matcher {
    /// Reads `label=value`, `label!=value`, `label=~regex` or `label!~regex`. A regular expression has to match the whole
    /// value.
    ///
    /// # Errors
    /// What is wrong with it, and the hint.
    pub fn parse(text: &str) -> Result<Self, String> {
        let at = text.find(['=', '!']).filter(|at| *at > 0);
        let split = at.and_then(|at| {
            let (label, rest) = text.split_at(at);
            let operator = ["!=", "!~", "=~", "="].into_iter().find(|operator| rest.starts_with(operator))?;
            Some((label.trim(), operator, &rest[operator.len()..]))
        });
        let Some((label, operator, value)) = split else {
            return Err(
                "is no condition: write label=value, label!=value, label=~regex or label!~regex".to_owned()
            );
        };
        let test = if operator.ends_with('~') {
            // Anchored as in Prometheus; the size bound keeps a hostile pattern small.
            let pattern = format!("^(?:{value})$");
            let built = regex::RegexBuilder::new(&pattern).size_limit(1 << 20).build();
            Test::Regex(built.map_err(|error| format!("is no regular expression: {error}"))?)
        } else {
            Test::Equal(value.to_owned())
        };
        Ok(Self { label: label.to_owned(), negated: operator.starts_with('!'), test })
    }

    /// Whether a series with these labels fits.
    pub fn fits(&self, labels: &[(String, String)]) -> bool {
        let value =
            labels.iter().find(|(name, _)| *name == self.label).map_or("", |(_, value)| value.as_str());
        let holds = match &self.test {
            Test::Equal(wanted) => value == wanted,
            Test::Regex(regex) => regex.is_match(value),
        };
        holds != self.negated
    }
}

/// Which series of an answer are one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Grouping {
    /// Every series by itself.
    #[default]
    Each,
    /// One for each set of values of these labels. The label `monitor` is the id of the monitor, empty for series of other
    /// sources; `source` is the source, whatever it is.
    By(Vec<String>),
}

/// A query.
#[derive(Clone, Debug)]
pub struct QueryPlan {
    /// Whose series.
    pub sources: Vec<SourceId>,
    /// The metric's dotted name.
    pub metric: String,
    /// Conditions on labels; all have to hold.
    pub matchers: Vec<Matcher>,
    /// From, included.
    pub from: Timestamp,
    /// To, excluded.
    pub to: Timestamp,
    /// Points wanted at most.
    pub points: usize,
    /// How samples are merged.
    pub aggregate: Aggregate,
    /// Which series are merged.
    pub grouping: Grouping,
    /// Points of the whole answer at most: [`Answer::is_cut`] says when there would be more.
    pub most: usize,
}

/// Points of an answer at most, where a plan says nothing else: some hundred megabytes.
const MOST_POINTS: usize = 4_000_000;

impl QueryPlan {
    /// The series of one source, each by itself.
    pub fn of(
        source: impl Into<SourceId>,
        metric: impl Into<String>,
        range: (Timestamp, Timestamp),
        points: usize,
        aggregate: Aggregate,
    ) -> Self {
        Self {
            sources: vec![source.into()],
            metric: metric.into(),
            matchers: Vec::new(),
            from: range.0,
            to: range.1,
            points,
            aggregate,
            grouping: Grouping::Each,
            most: MOST_POINTS,
        }
    }

    /// Whether a series with these labels is asked for.
    pub(crate) fn wants(&self, labels: &LabelPairs) -> bool {
        self.matchers.iter().all(|matcher| matcher.fits(labels))
    }

    /// The tiers to look in, the best first: the one that fits, coarser ones, and then finer ones.
    pub(crate) fn tiers(&self) -> Vec<Tier> {
        let best = match self.resolution() {
            Resolution::Raw if self.aggregate.needs_sketch() => Tier::Hour,
            Resolution::Raw => Tier::FiveMinutes,
            Resolution::Rolled(tier) => tier,
        };
        let coarser = Tier::ALL.into_iter().filter(|tier| *tier >= best);
        coarser.chain(Tier::ALL.into_iter().rev().filter(|tier| *tier < best)).collect()
    }

    /// The width of a point in microseconds: whole seconds, so that charts of one range line up, and whole buckets of the
    /// tier that is read.
    pub fn step_micros(&self) -> i64 {
        let wanted = self.wanted_step();
        match self.resolution() {
            Resolution::Raw => wanted,
            Resolution::Rolled(tier) => (wanted + tier.width() - 1) / tier.width() * tier.width(),
        }
    }

    fn wanted_step(&self) -> i64 {
        let range = self.to.as_micros().saturating_sub(self.from.as_micros()).max(1);
        // To the nearest second: a range that ends just behind now must not need a second more for each point.
        let seconds = range.saturating_add(500_000) / 1_000_000;
        let points = i64::try_from(self.points.max(1)).unwrap_or(i64::MAX);
        let step = (seconds.max(1) - 1) / points + 1;
        step.saturating_mul(1_000_000)
    }

    /// The coarsest resolution that answers as well as samples do.
    pub fn resolution(&self) -> Resolution {
        let step = self.wanted_step();
        // A point that is hardly wider than a bucket would be made of one, or of two.
        let fits =
            |tier: &Tier| step >= tier.width() && (!self.aggregate.needs_sketch() || tier.has_sketches());
        Tier::ALL.into_iter().rev().find(fits).map_or(Resolution::Raw, Resolution::Rolled)
    }
}

/// One series of an answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AnswerSeries {
    /// Labels: the series' own, or those it is grouped by.
    pub labels: LabelPairs,
    /// Start of each point in unix seconds, and its value. A point without data is missing.
    pub points: Vec<(f64, f64)>,
}

/// An answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answer {
    /// Width of a point.
    pub step: Duration,
    /// The series, by labels.
    pub series: Vec<AnswerSeries>,
    /// Whether the answer was given up, because it would have more points than the plan allows. It has no series then.
    pub is_cut: bool,
}

#[cfg(test)]
mod tests {
    use wise_core::MonitorId;

    use super::*;

    fn plan(seconds: i64, points: usize, aggregate: Aggregate) -> QueryPlan {
        let range = (Timestamp::from_seconds(0), Timestamp::from_seconds(seconds));
        QueryPlan::of(MonitorId::from_file_name("m"), "a.b_seconds", range, points, aggregate)
    }

    #[test]
    fn the_coarsest_resolution_that_will_do_is_read() {
        let (hour, day) = (3600, 86_400);
        for (seconds, points, resolution, step) in [
            (hour, 60, Resolution::Raw, 60),
            (30 * day, 1000, Resolution::Rolled(Tier::FiveMinutes), 2700),
            (365 * day, 1000, Resolution::Rolled(Tier::Hour), 9 * hour),
            (7 * day, 1, Resolution::Rolled(Tier::Day), 7 * day),
            (1, 10_000, Resolution::Raw, 1),
        ] {
            let plan = plan(seconds, points, Aggregate::Avg);
            assert_eq!((plan.resolution(), plan.step_micros()), (resolution, step * 1_000_000), "{seconds}");
        }
        assert_eq!(plan(30 * day, 1000, Aggregate::Quantile(0.95)).resolution(), Resolution::Raw);
        assert_eq!(
            plan(60 * day, 1000, Aggregate::Quantile(0.95)).resolution(),
            Resolution::Rolled(Tier::Hour)
        );
    }

    #[test]
    fn conditions_are_read_and_hold() {
        let labels = vec![("database".to_owned(), "orders".to_owned())];
        for (text, fits) in [
            ("database=orders", true),
            ("database!=orders", false),
            ("database=~ord.*", true),
            ("database=~ord", false),
            ("database!~x|y", true),
            ("table=", true),
            ("table!=", false),
            ("database=a=b", false),
        ] {
            assert_eq!(Matcher::parse(text).unwrap().fits(&labels), fits, "{text}");
        }
        for text in ["", "database", "=x", "a=~(", "!x"] {
            assert!(Matcher::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn aggregates_have_names() {
        for name in [
            "avg", "min", "max", "sum", "last", "count", "stddev", "median", "rate", "increase", "p50",
            "p99.9",
        ] {
            assert!(Aggregate::from_name(name).is_some(), "{name}");
        }
        for name in ["p101", "p-1", "pp", "mode", ""] {
            assert_eq!(Aggregate::from_name(name), None, "{name}");
        }
    }
}

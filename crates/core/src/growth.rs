//! How fast something grows, and when it will reach its limit.
//!
//! The slope is that of Theil and Sen: the median of the slopes between all pairs of points. A few outliers, such as a
//! backup that came and went, do not move it. Three windows stand side by side, because a disk that a runaway log fills
//! within hours and one that fills over months need different memories.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::clock::Timestamp;
use crate::metric::MetricSpec;
use crate::monitor_id::MonitorId;
use crate::report::{Labels, Report};

const HOUR: u64 = 3600;
const DAY_SECONDS: f64 = 86_400.0;
/// Name, length and step of each window; 48 to 60 points each, so that a fit takes microseconds.
const WINDOWS: [(&str, Duration, Duration); 3] = [
    ("24h", Duration::from_secs(24 * HOUR), Duration::from_secs(HOUR / 2)),
    ("7d", Duration::from_secs(7 * 24 * HOUR), Duration::from_secs(3 * HOUR)),
    ("30d", Duration::from_secs(30 * 24 * HOUR), Duration::from_secs(12 * HOUR)),
];
/// Fewer points say nothing.
const MIN_POINTS: usize = 12;
/// A fall by more than this share is a clean-up, a resize or another node: what was before says nothing any more.
const STEP_DOWN: f64 = 0.1;
/// Forecasts beyond five years are no forecasts.
const FURTHEST_DAYS: f64 = 5.0 * 365.0;
/// Under these shares of the limit, a forecast is given only if it is far off: "full in 3 hours" of a disk that is 2 %
/// full after a restore would wake someone for nothing. The second is for forecasts of less than a day.
const LEVEL: f64 = 0.7;
const LEVEL_OF_A_DAY: f64 = 0.85;
const FAR_OFF_DAYS: f64 = 30.0;
/// Series followed at most: more objects than that come and go.
const MAX_SERIES: usize = 1000;

/// Points of one series.
pub type PastSeries = (Labels, Vec<(Timestamp, f64)>);

/// Reads what was measured earlier, so that a restart does not forget how fast things grow.
#[async_trait]
pub trait PastReadings: Send + Sync {
    /// A metric of a monitor since a moment, in steps of about `step`, oldest first; empty when it cannot be read.
    async fn of(&self, monitor: MonitorId, metric: &str, since: Timestamp, step: Duration)
    -> Vec<PastSeries>;
}

/// [`PastReadings`] of one monitor.
#[derive(Clone)]
pub struct Past {
    monitor: MonitorId,
    source: Arc<dyn PastReadings>,
}

impl Past {
    pub(crate) fn new(monitor: MonitorId, source: Arc<dyn PastReadings>) -> Self {
        Self { monitor, source }
    }

    /// A metric of this monitor since a moment; see [`PastReadings::of`].
    pub async fn of(&self, metric: &str, since: Timestamp, step: Duration) -> Vec<PastSeries> {
        self.source.of(self.monitor, metric, since, step).await
    }
}

impl fmt::Debug for Past {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Past").field("monitor", &self.monitor).finish_non_exhaustive()
    }
}

/// Follows the sizes of one metric, and adds growth and forecast to reports.
#[derive(Debug)]
pub struct GrowthTracker {
    size: &'static MetricSpec,
    per_day: &'static MetricSpec,
    full_in: Option<&'static MetricSpec>,
    past: Option<Past>,
    series: HashMap<Labels, Series>,
}

impl GrowthTracker {
    /// Follows `size`. Growth a day is emitted as `per_day` for each window that has enough points (label `window`),
    /// the days until a limit is reached as `full_in`. With `past` the first check starts from history.
    pub fn new(
        size: &'static MetricSpec,
        per_day: &'static MetricSpec,
        full_in: Option<&'static MetricSpec>,
        past: Option<Past>,
    ) -> Self {
        Self { size, per_day, full_in, past, series: HashMap::new() }
    }

    /// Takes in a size, and adds to the report what follows from it.
    pub async fn observe(
        &mut self,
        now: Timestamp,
        labels: &Labels,
        value: f64,
        limit: Option<f64>,
        report: &mut Report,
    ) {
        if let Some(past) = self.past.take() {
            self.remember(&past, now).await;
        }
        if !value.is_finite() || (!self.series.contains_key(labels) && self.series.len() >= MAX_SERIES) {
            return;
        }
        let series = self.series.entry(labels.clone()).or_default();
        series.push(now, value, limit);
        for (window, (name, length, _)) in series.windows.iter().zip(WINDOWS) {
            let Some(slope) = window.slope(length) else { continue };
            let labels = labels.with("window", name);
            report.push_labelled(self.per_day, &labels, slope.per_day);
            let (Some(full_in), Some(limit)) = (self.full_in, limit) else { continue };
            if let Some(days) = forecast(&slope, value, limit) {
                report.push_labelled(full_in, &labels, days);
            }
        }
    }

    /// Forgets series that are not in this round, such as those of a table that was dropped.
    pub fn retain(&mut self, keep: impl Fn(&Labels) -> bool) {
        self.series.retain(|labels, _| keep(labels));
    }

    async fn remember(&mut self, past: &Past, now: Timestamp) {
        for (index, (_, length, step)) in WINDOWS.into_iter().enumerate() {
            for (labels, points) in past.of(self.size.name, now.minus(length), step).await {
                if self.series.len() >= MAX_SERIES && !self.series.contains_key(&labels) {
                    continue;
                }
                let window = &mut self.series.entry(labels).or_default().windows[index];
                points
                    .into_iter()
                    .filter(|(time, _)| *time <= now)
                    .for_each(|(t, v)| window.push(t, v, index));
            }
        }
    }
}

#[derive(Debug, Default)]
struct Series {
    windows: [Window; WINDOWS.len()],
    limit: Option<f64>,
}

impl Series {
    fn push(&mut self, now: Timestamp, value: f64, limit: Option<f64>) {
        let resized = match (self.limit, limit) {
            (Some(old), Some(new)) => (old - new).abs() > old.abs() * 0.01,
            _ => false,
        };
        self.limit = limit.or(self.limit);
        for (index, window) in self.windows.iter_mut().enumerate() {
            if resized {
                window.points.clear();
            }
            window.push(now, value, index);
        }
    }
}

#[derive(Debug, Default)]
struct Window {
    /// One point a step, the newest of each; oldest first.
    points: VecDeque<(Timestamp, f64)>,
    /// The last value, whether or not it became a point.
    last: f64,
}

struct Slope {
    per_day: f64,
    /// Share of the pairs that grow.
    growing: f64,
}

impl Window {
    fn push(&mut self, now: Timestamp, value: f64, index: usize) {
        let (_, length, step) = WINDOWS[index];
        // After a step back of the clock the order is lost.
        if self.points.back().is_some_and(|(time, _)| *time > now.plus(step)) {
            self.points.clear();
        }
        if !self.points.is_empty() && value < self.last * (1.0 - STEP_DOWN) {
            self.points.clear();
        }
        self.last = value;
        let slot = |time: Timestamp| time.as_seconds().div_euclid(step.as_secs() as i64);
        match self.points.back_mut() {
            // The newest point of a step stands for it, so that the fit always knows the present.
            Some(last) if slot(last.0) == slot(now) => *last = (now, value),
            _ => self.points.push_back((now, value)),
        }
        let oldest = now.minus(length);
        while self.points.front().is_some_and(|(time, _)| *time < oldest) {
            self.points.pop_front();
        }
    }

    fn slope(&self, window: Duration) -> Option<Slope> {
        let (first, last) = (self.points.front()?, self.points.back()?);
        let length = (last.0.as_seconds_f64() - first.0.as_seconds_f64()) / DAY_SECONDS;
        if self.points.len() < MIN_POINTS || length < window.as_secs_f64() / DAY_SECONDS / 2.0 {
            return None;
        }
        let mut slopes = Vec::with_capacity(self.points.len() * (self.points.len() - 1) / 2);
        for (at, (time, value)) in self.points.iter().enumerate() {
            for (later, then) in self.points.iter().skip(at + 1) {
                let days = (later.as_seconds_f64() - time.as_seconds_f64()) / DAY_SECONDS;
                if days > 0.0 {
                    slopes.push((then - value) / days);
                }
            }
        }
        let growing = slopes.iter().filter(|slope| **slope > 0.0).count() as f64 / slopes.len().max(1) as f64;
        let middle = slopes.len() / 2;
        if slopes.is_empty() {
            return None;
        }
        let (_, per_day, _) = slopes.select_nth_unstable_by(middle, f64::total_cmp);
        Some(Slope { per_day: *per_day, growing })
    }
}

/// Days until the limit, if there is a trend that leads there.
fn forecast(slope: &Slope, value: f64, limit: f64) -> Option<f64> {
    let grows = slope.per_day > 0.0 && slope.growing >= 0.5;
    if !grows || limit <= 0.0 {
        return None;
    }
    let days = ((limit - value).max(0.0) / slope.per_day).min(FURTHEST_DAYS);
    let level = if days < 1.0 { LEVEL_OF_A_DAY } else { LEVEL };
    (value >= limit * level || days >= FAR_OFF_DAYS).then_some(days)
}

#[cfg(test)]
mod tests {
    use super::*;

    static SIZE: MetricSpec = MetricSpec::gauge("t.size_bytes", "bytes", "Size", "Size");
    static GROWTH: MetricSpec = MetricSpec::gauge("t.growth_bytes", "bytes", "Growth", "Growth");
    static FULL: MetricSpec = MetricSpec::gauge("t.full_in_days", "days", "Full in", "Full in");

    const START: i64 = 1_700_000_000;

    /// What the last of the checks reported: growth and forecast by window.
    async fn run(
        tracker: &mut GrowthTracker,
        values: impl IntoIterator<Item = (i64, f64)>,
        limit: Option<f64>,
    ) -> Vec<(String, String, f64)> {
        let mut report = Report::default();
        for (seconds, value) in values {
            report = Report::default();
            let now = Timestamp::from_seconds(START + seconds);
            tracker.observe(now, &Labels::default(), value, limit, &mut report).await;
        }
        let found = report.readings.iter().map(|reading| {
            let window = reading.labels.pairs()[0].1.clone();
            (window, reading.metric.name().to_owned(), reading.value.number().unwrap())
        });
        found.collect()
    }

    fn tracker(past: Option<Past>) -> GrowthTracker {
        GrowthTracker::new(&SIZE, &GROWTH, Some(&FULL), past)
    }

    /// Every five minutes for some hours, so much a day from a start.
    fn steady(hours: i64, from: f64, per_day: f64) -> impl Iterator<Item = (i64, f64)> {
        (0..=hours * 12).map(move |at| (at * 300, from + per_day * at as f64 * 300.0 / DAY_SECONDS))
    }

    #[tokio::test]
    async fn a_steady_growth_is_found_and_leads_to_the_limit() {
        let found = run(&mut tracker(None), steady(24, 750.0, 24.0), Some(1000.0)).await;
        assert_eq!(found.len(), 2, "one window has enough points: {found:?}");
        assert!((found[0].2 - 24.0).abs() < 0.1, "{found:?}");
        assert!((found[1].2 - 226.0 / 24.0).abs() < 0.2, "{found:?}");
    }

    #[tokio::test]
    async fn too_few_points_say_nothing_and_outliers_move_nothing() {
        assert_eq!(run(&mut tracker(None), steady(5, 600.0, 24.0), Some(1000.0)).await, []);
        // A backup that comes and goes within an hour.
        let bumpy = steady(24, 600.0, 24.0).map(|(t, v)| if t / 3600 == 12 { (t, v + 50.0) } else { (t, v) });
        let found = run(&mut tracker(None), bumpy, None).await;
        assert!((found[0].2 - 24.0).abs() < 1.0, "{found:?}");
    }

    #[tokio::test]
    async fn a_clean_up_starts_again_and_a_shrinking_size_has_no_forecast() {
        let mut one = tracker(None);
        run(&mut one, steady(24, 600.0, 24.0), None).await;
        assert_eq!(run(&mut one, [(24 * 3600 + 300, 300.0)], None).await, []);
        let found = run(&mut tracker(None), steady(24, 900.0, -24.0), Some(1000.0)).await;
        assert_eq!(found.len(), 1, "growth and no forecast: {found:?}");
        assert!(found[0].2 < 0.0);
    }

    #[tokio::test]
    async fn a_nearly_empty_disk_that_fills_fast_alarms_nobody() {
        let found = run(&mut tracker(None), steady(24, 10.0, 100.0), Some(1000.0)).await;
        assert_eq!(found.len(), 1, "{found:?}");
        let found = run(&mut tracker(None), steady(24, 10.0, 1.0), Some(1000.0)).await;
        assert_eq!(found.len(), 2, "a forecast that is far off is told: {found:?}");
    }

    struct Remembered;

    #[async_trait]
    impl PastReadings for Remembered {
        async fn of(&self, _: MonitorId, _: &str, since: Timestamp, step: Duration) -> Vec<PastSeries> {
            let days = (START as f64 - since.as_seconds_f64()) / DAY_SECONDS;
            let count = (days * DAY_SECONDS / step.as_secs_f64()) as i64;
            let points = (0..count).map(|at| {
                let time = since.plus(step * u32::try_from(at).unwrap());
                (time, 800.0 - (START as f64 - time.as_seconds_f64()) / DAY_SECONDS * 10.0)
            });
            vec![(Labels::default(), points.collect())]
        }
    }

    #[tokio::test]
    async fn history_is_taken_up_at_the_first_check() {
        let past = Past::new(MonitorId::generate(), Arc::new(Remembered));
        let found = run(&mut tracker(Some(past)), [(0, 800.0)], Some(1000.0)).await;
        let windows: Vec<_> = found.iter().map(|(window, ..)| window.as_str()).collect();
        assert_eq!(windows, ["24h", "24h", "7d", "7d", "30d", "30d"]);
        for (_, name, value) in &found {
            let wanted = if name == FULL.name { 20.0 } else { 10.0 };
            assert!((value - wanted).abs() < 0.5, "{found:?}");
        }
    }
}

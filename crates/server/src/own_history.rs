//! The history of this server itself: what is known of requests to it goes into the store every ten seconds.
//!
//! The recorder takes it like everything else: it writes it behind the checks, keeps it for a while when the store fails,
//! and says so once.

use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::MissedTickBehavior;
use wise_core::{Clock, Labels, MetricSpec, Reading, ReadingValue, SourceKind, SourceName, Timestamp};
use wise_storage::Recorder;
use wise_storage::ports::SourceSamples;
use wise_storage::rollup::Distribution;
use wise_telemetry::{HttpMetrics, RouteStatistics};

/// How often.
const EVERY: Duration = Duration::from_secs(10);
/// Samples that the recorder had no room for, and that are handed over again.
const MOST_WAITING: usize = 360;

static REQUESTS: MetricSpec =
    MetricSpec::total("http.requests_total", "Requests", "Requests answered").resolution(1.0);
static ERRORS: MetricSpec =
    MetricSpec::total("http.errors_total", "Errors", "Requests answered with a status of 400 or above")
        .resolution(1.0);
static SLOW: MetricSpec = MetricSpec::total(
    "http.slow_requests_total",
    "Slow requests",
    "Requests that took as long as server.slow_request_threshold or longer, very slow ones among them",
)
.resolution(1.0);
static VERY_SLOW: MetricSpec = MetricSpec::total(
    "http.very_slow_requests_total",
    "Very slow requests",
    "Requests that took as long as server.very_slow_request_threshold or longer",
)
.resolution(1.0);
static DURATION: MetricSpec = MetricSpec::latency(
    "http.request_duration_seconds",
    "Request duration",
    "Time to answer a request: the distribution of all requests of ten seconds",
);

/// The kinds of sources that are no monitors.
pub(crate) static SOURCE_KINDS: &[&SourceKind] = &[&SERVER];

/// This server as a source. Labels are `method` and `endpoint`, the route's pattern.
static SERVER: SourceKind = SourceKind {
    kind: "server",
    title: "This server",
    metrics: &[&REQUESTS, &ERRORS, &SLOW, &VERY_SLOW, &DURATION],
};

/// What goes into the store, and what is known of what has gone there.
pub(crate) struct OwnHistory {
    http: HttpMetrics,
    recorder: Arc<Recorder>,
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

struct State {
    source: SourceName,
    /// When samples were taken last.
    last: Timestamp,
    known: HashSet<(&'static str, Arc<str>)>,
    waiting: VecDeque<SourceSamples>,
}

impl OwnHistory {
    /// The history of the server in a place: it goes on when another process takes the place over.
    ///
    /// # Errors
    /// The place has a name that no source may have.
    pub(crate) fn new(
        location: &str,
        http: HttpMetrics,
        recorder: Arc<Recorder>,
        clock: Arc<dyn Clock>,
    ) -> anyhow::Result<Self> {
        let source = SourceName::new(SERVER.kind, location)?;
        let (known, waiting) = (HashSet::new(), VecDeque::new());
        let state = Mutex::new(State { source, last: clock.now(), known, waiting });
        Ok(Self { http, recorder, clock, state })
    }

    /// Hands samples over for as long as the server runs.
    pub(crate) async fn run(self: Arc<Self>) {
        let mut ticks = tokio::time::interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // The first is at once.
        ticks.tick().await;
        loop {
            ticks.tick().await;
            self.write();
        }
    }

    /// Hands over what there is now.
    pub(crate) fn write(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.clock.now();
        let samples = state.samples(self.http.take(), now);
        state.waiting.extend(samples);
        let excess = state.waiting.len().saturating_sub(MOST_WAITING);
        state.waiting.drain(..excess);
        while let Some(next) = state.waiting.pop_front() {
            if let Err(back) = self.recorder.send_samples(next) {
                state.waiting.push_front(*back);
                break;
            }
        }
    }
}

impl State {
    fn samples(&mut self, all: Vec<RouteStatistics>, now: Timestamp) -> Vec<SourceSamples> {
        let since = std::mem::replace(&mut self.last, now);
        if all.is_empty() {
            return Vec::new();
        }
        // A counter that is new was zero until now. Without that sample its first requests would be part of no increase.
        let mut zeros = Vec::new();
        let (mut readings, mut distributions) = (Vec::new(), Vec::new());
        for one in all {
            let labels = Labels::new([
                ("method".to_owned(), one.method.to_owned()),
                ("endpoint".to_owned(), one.endpoint.to_string()),
            ]);
            let is_new = self.known.insert((one.method, one.endpoint));
            let counters = [
                (&REQUESTS, one.requests),
                (&ERRORS, one.errors),
                (&SLOW, one.slow),
                (&VERY_SLOW, one.very_slow),
            ];
            for (metric, count) in counters {
                readings.push(Reading::new(metric, &labels, ReadingValue::Exact(count as f64)));
                if is_new {
                    zeros.push(Reading::new(metric, &labels, ReadingValue::Exact(0.0)));
                }
            }
            let found = one
                .durations
                .and_then(|found| Distribution::counted(found.sum, (found.min, found.max), found.counted));
            distributions.extend(found.map(|found| (&DURATION, labels, found)));
        }
        // Behind the samples before: two of a source with one time would be one.
        let begin = since.plus(Duration::from_millis(1));
        let zeros = SourceSamples::of(self.source.clone(), begin, zeros);
        let samples = SourceSamples { source: self.source.clone(), time: now, readings, distributions };
        [zeros, samples].into_iter().filter(|one| !one.readings.is_empty()).collect()
    }
}

#[cfg(test)]
mod tests {
    use wise_telemetry::{Durations, Metrics, Thresholds};

    use super::*;

    fn statistics(requests: u64, durations: Option<Durations>) -> RouteStatistics {
        let endpoint: Arc<str> = "/a/{id}".into();
        RouteStatistics { method: "GET", endpoint, requests, errors: 2, slow: 1, very_slow: 0, durations }
    }

    fn state() -> State {
        State {
            source: SourceName::new("server", "here").unwrap(),
            last: Timestamp::from_seconds(100),
            known: HashSet::new(),
            waiting: VecDeque::new(),
        }
    }

    #[test]
    fn a_new_counter_begins_at_zero_and_goes_on_raw() {
        let mut state = state();
        assert_eq!(state.samples(Vec::new(), Timestamp::from_seconds(110)), []);
        let durations = Durations { sum: 0.3, min: 0.1, max: 0.2, counted: vec![(0.1, 1), (0.2, 1)] };
        let first = state.samples(vec![statistics(5, Some(durations))], Timestamp::from_seconds(120));
        let values = |one: &SourceSamples| -> Vec<f64> {
            one.readings.iter().filter_map(|reading| reading.value.number()).collect()
        };
        assert_eq!(first.iter().map(values).collect::<Vec<_>>(), [[0.0; 4], [5.0, 2.0, 1.0, 0.0]]);
        assert_eq!(first[0].time, Timestamp::from_seconds(110).plus(Duration::from_millis(1)));
        assert_eq!(first[1].distributions[0].2.count(), 2);
        let next = state.samples(vec![statistics(6, None)], Timestamp::from_seconds(130));
        assert_eq!(next.iter().map(values).collect::<Vec<_>>(), [[6.0, 2.0, 1.0, 0.0]]);
        assert!(next[0].distributions.is_empty(), "without requests there is no distribution");
    }

    #[test]
    fn the_bins_of_requests_are_those_of_the_store() {
        let mut http = None;
        Metrics::new(|registry| http = Some(HttpMetrics::register(registry, Thresholds::default())));
        let http = http.unwrap();
        let durations: Vec<Duration> =
            (0..2000).map(|power| Duration::from_secs_f64(1e-6 * 1.0101_f64.powi(power))).collect();
        durations.iter().for_each(|duration| http.record("GET", "/", 200, *duration));
        let taken = http.take().remove(0).durations.unwrap();
        // What was told to one percent once must not be told to one percent of that.
        let ends = (taken.min, taken.max);
        let exact = durations.iter().map(|duration| (duration.as_secs_f64(), 1));
        assert_eq!(
            Distribution::counted(taken.sum, ends, taken.counted),
            Distribution::counted(taken.sum, ends, exact)
        );
    }
}

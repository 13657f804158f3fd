//! What is known of requests, by method and endpoint.
//!
//! Counts go on for ever, as Prometheus wants them. How long requests took is kept twice: in the few buckets of
//! Prometheus's histogram, and in bins of two percent since someone last took them, from which any quantile can be told to
//! one percent. What a person sets back is only where the summary begins.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};
use std::time::Duration;

/// Methods as labels: whatever else a client makes up is the last.
pub(crate) const METHODS: [&str; 8] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "other"];
/// Upper bounds of Prometheus's buckets in seconds.
pub(crate) const BUCKETS: [f64; 11] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];
/// Endpoints that are told apart at most. An app has fewer routes; what comes on top is one endpoint.
const MAX_ENDPOINTS: usize = 1000;
const REST: &str = "other";

/// Ratio of the ends of a bin: the middle of one is within 1 % of all that is in it.
const GAMMA: f64 = 1.01 / 0.99;
/// Numbers of the first and the last bin: a microsecond, and twenty minutes. Bin `n` ends at γⁿ seconds.
const FIRST: i32 = -691;
const LAST: i32 = 355;
const BINS: usize = (LAST - FIRST + 1) as usize;

/// From which duration on a request is slow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Thresholds {
    /// It counts as slow.
    pub slow: Duration,
    /// It counts as very slow too.
    pub very_slow: Duration,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self { slow: Duration::from_secs(1), very_slow: Duration::from_secs(3) }
    }
}

/// What is known of the requests of one method to one endpoint.
#[derive(Clone, Debug, PartialEq)]
pub struct RouteStatistics {
    /// The method.
    pub method: &'static str,
    /// The route's pattern.
    pub endpoint: Arc<str>,
    /// Requests since the start.
    pub requests: u64,
    /// Those that were answered with a status of 400 or above.
    pub errors: u64,
    /// Those that were slow, very slow ones among them.
    pub slow: u64,
    /// Those that were very slow.
    pub very_slow: u64,
    /// How long those took that came since the last time; `None` when there were none.
    pub durations: Option<Durations>,
}

/// How long some requests took, in seconds.
#[derive(Clone, Debug, PartialEq)]
pub struct Durations {
    /// All together.
    pub sum: f64,
    /// The shortest.
    pub min: f64,
    /// The longest.
    pub max: f64,
    /// Durations, the shortest first, and how many took within 1 % of each.
    pub counted: Vec<(f64, u64)>,
}

impl Durations {
    /// How many there were.
    pub fn count(&self) -> u64 {
        self.counted.iter().map(|(_, count)| count).sum()
    }

    /// Adds those that came later.
    pub fn merge(&mut self, later: &Self) {
        self.sum += later.sum;
        self.min = self.min.min(later.min);
        self.max = self.max.max(later.max);
        for (duration, count) in &later.counted {
            match self.counted.binary_search_by(|(known, _)| known.total_cmp(duration)) {
                Ok(place) => self.counted[place].1 += count,
                Err(place) => self.counted.insert(place, (*duration, *count)),
            }
        }
    }
}

/// All requests together, since the start or since they were last set back.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct RequestSummary {
    /// Requests answered.
    pub requests: u64,
    /// Those that were answered with a status of 400 or above.
    pub errors: u64,
    /// Those that were slow.
    pub slow: u64,
    /// How long they took together, in seconds.
    pub duration: f64,
}

impl RequestSummary {
    /// The share of errors in percent; 0 without requests.
    pub fn error_rate_percent(&self) -> f64 {
        if self.requests == 0 { 0.0 } else { self.errors as f64 * 100.0 / self.requests as f64 }
    }

    /// The mean duration in milliseconds; 0 without requests.
    pub fn avg_response_time_ms(&self) -> f64 {
        if self.requests == 0 { 0.0 } else { self.duration * 1000.0 / self.requests as f64 }
    }
}

/// Whether a status counts as an error: the caller's faults do too.
pub(crate) fn is_error(status: u16) -> bool {
    status >= 400
}

/// Counts of one method at one endpoint.
#[derive(Debug)]
pub(crate) struct Counted {
    pub(crate) by_status: Vec<(u16, u64)>,
    errors: u64,
    slow: u64,
    very_slow: u64,
    pub(crate) duration: f64,
    /// The last is what took longer than all bounds.
    pub(crate) buckets: [u64; BUCKETS.len() + 1],
    /// Since they were taken last: shortest and longest, how long all took, and the bins.
    shortest: f64,
    longest: f64,
    lately: f64,
    bins: Box<[u32; BINS]>,
}

impl Default for Counted {
    fn default() -> Self {
        Self {
            by_status: Vec::new(),
            errors: 0,
            slow: 0,
            very_slow: 0,
            duration: 0.0,
            buckets: [0; BUCKETS.len() + 1],
            shortest: f64::INFINITY,
            longest: 0.0,
            lately: 0.0,
            bins: Box::new([0; BINS]),
        }
    }
}

/// The place of the bin of a duration.
fn place_of(seconds: f64) -> usize {
    let bin = (seconds.max(1e-9).ln() / GAMMA.ln()).ceil() as i32;
    (bin.clamp(FIRST, LAST) - FIRST) as usize
}

/// The duration that stands for a bin: it is equally far, by ratio, from both of its ends.
fn middle_of(place: usize) -> f64 {
    2.0 * GAMMA.powi(FIRST + place as i32) / (1.0 + GAMMA)
}

impl Counted {
    fn add(&mut self, status: u16, duration: Duration, thresholds: Thresholds) {
        match self.by_status.iter_mut().find(|(known, _)| *known == status) {
            Some((_, count)) => *count += 1,
            None => self.by_status.push((status, 1)),
        }
        self.errors += u64::from(is_error(status));
        self.slow += u64::from(duration >= thresholds.slow);
        self.very_slow += u64::from(duration >= thresholds.very_slow);
        let seconds = duration.as_secs_f64();
        self.duration += seconds;
        self.buckets[BUCKETS.partition_point(|bound| *bound < seconds)] += 1;
        self.shortest = self.shortest.min(seconds);
        self.longest = self.longest.max(seconds);
        self.lately += seconds;
        let bin = &mut self.bins[place_of(seconds)];
        *bin = bin.saturating_add(1);
    }

    pub(crate) fn requests(&self) -> u64 {
        self.by_status.iter().map(|(_, count)| count).sum()
    }

    /// How long requests took since the last time.
    fn take_durations(&mut self) -> Option<Durations> {
        let counted: Vec<(f64, u64)> = (0..BINS)
            .filter(|place| self.bins[*place] > 0)
            .map(|place| (middle_of(place), u64::from(self.bins[place])))
            .collect();
        if counted.is_empty() {
            return None;
        }
        let taken = Durations { sum: self.lately, min: self.shortest, max: self.longest, counted };
        self.bins.fill(0);
        (self.shortest, self.longest, self.lately) = (f64::INFINITY, 0.0, 0.0);
        Some(taken)
    }
}

/// An endpoint, by method.
#[derive(Debug)]
struct Endpoint {
    pattern: Arc<str>,
    methods: [OnceLock<Mutex<Counted>>; METHODS.len()],
}

/// The requests of a service. Recording one takes a short lock of its own route, and allocates nothing but for the first
/// of a route or a status.
#[derive(Debug, Default)]
pub(crate) struct Requests {
    thresholds: Thresholds,
    endpoints: RwLock<HashMap<Arc<str>, Endpoint>>,
    /// Where the summary begins.
    begin: Mutex<RequestSummary>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Requests {
    pub(crate) fn new(thresholds: Thresholds) -> Self {
        Self { thresholds, ..Self::default() }
    }

    pub(crate) fn record(&self, method: &str, endpoint: &str, status: u16, duration: Duration) {
        let others = METHODS.len() - 1;
        let method = METHODS.iter().position(|known| *known == method).unwrap_or(others);
        let add = |endpoint: &Endpoint| {
            let counted = endpoint.methods[method].get_or_init(Mutex::default);
            locked(counted).add(status, duration, self.thresholds);
        };
        {
            let known = self.endpoints.read().unwrap_or_else(PoisonError::into_inner);
            if let Some(endpoint) = known.get(endpoint) {
                return add(endpoint);
            }
        }
        let mut endpoints = self.endpoints.write().unwrap_or_else(PoisonError::into_inner);
        let is_full = endpoints.len() >= MAX_ENDPOINTS && !endpoints.contains_key(endpoint);
        let pattern: Arc<str> = if is_full { REST } else { endpoint }.into();
        let methods = || std::array::from_fn(|_| OnceLock::new());
        add(endpoints.entry(pattern.clone()).or_insert_with(|| Endpoint { pattern, methods: methods() }));
    }

    /// Looks at every method and endpoint that had a request, in order, up to the first error.
    pub(crate) fn try_each<E>(
        &self,
        mut look: impl FnMut(&'static str, &Arc<str>, &mut Counted) -> Result<(), E>,
    ) -> Result<(), E> {
        let endpoints = self.endpoints.read().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<&Endpoint> = endpoints.values().collect();
        all.sort_by(|one, other| one.pattern.cmp(&other.pattern));
        for endpoint in all {
            for (method, counted) in METHODS.into_iter().zip(&endpoint.methods) {
                if let Some(counted) = counted.get() {
                    look(method, &endpoint.pattern, &mut locked(counted))?;
                }
            }
        }
        Ok(())
    }

    fn each(&self, mut look: impl FnMut(&'static str, &Arc<str>, &mut Counted)) {
        let Ok(()) = self.try_each(|method, endpoint, counted| {
            look(method, endpoint, counted);
            Ok::<(), Infallible>(())
        });
    }

    /// Counts so far, and durations since this was last called.
    pub(crate) fn take(&self) -> Vec<RouteStatistics> {
        let mut all = Vec::new();
        self.each(|method, endpoint, counted| {
            all.push(RouteStatistics {
                method,
                endpoint: endpoint.clone(),
                requests: counted.requests(),
                errors: counted.errors,
                slow: counted.slow,
                very_slow: counted.very_slow,
                durations: counted.take_durations(),
            });
        });
        all
    }

    fn total(&self) -> RequestSummary {
        let mut total = RequestSummary::default();
        self.each(|_, _, counted| {
            total.requests += counted.requests();
            total.errors += counted.errors;
            total.slow += counted.slow;
            total.duration += counted.duration;
        });
        total
    }

    pub(crate) fn summary(&self) -> RequestSummary {
        // The beginning first: what is set back in between must not be more than there is.
        let begin = *locked(&self.begin);
        let total = self.total();
        RequestSummary {
            requests: total.requests.saturating_sub(begin.requests),
            errors: total.errors.saturating_sub(begin.errors),
            slow: total.slow.saturating_sub(begin.slow),
            duration: (total.duration - begin.duration).max(0.0),
        }
    }

    pub(crate) fn reset(&self) {
        let total = self.total();
        *locked(&self.begin) = total;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn every_duration_is_within_a_hundredth_of_its_bin() {
        for power in 0..4000 {
            let seconds = 1e-6 * 1.005_f64.powi(power);
            if seconds > 1200.0 {
                break;
            }
            let stands = middle_of(place_of(seconds));
            assert!((stands / seconds - 1.0).abs() <= 0.01 + 1e-9, "{seconds} {stands}");
            assert_eq!(place_of(stands), place_of(seconds), "a bin has its own middle");
        }
        assert_eq!((place_of(0.0), place_of(1e9)), (0, BINS - 1));
    }

    #[test]
    fn counts_go_on_and_durations_are_taken_once() {
        let requests = Requests::new(Thresholds { slow: millis(100), very_slow: millis(300) });
        for (status, time) in [(200, 10), (404, 100), (500, 299), (200, 300)] {
            requests.record("GET", "/a/{id}", status, millis(time));
        }
        requests.record("BREW", "/a/{id}", 405, millis(1));
        let taken = requests.take();
        let of: Vec<_> = taken.iter().map(|one| (one.method, &*one.endpoint)).collect();
        assert_eq!(of, [("GET", "/a/{id}"), ("other", "/a/{id}")]);
        let get = &taken[0];
        assert_eq!((get.requests, get.errors, get.slow, get.very_slow), (4, 2, 3, 1));
        let mut durations = get.durations.clone().unwrap();
        assert_eq!((durations.count(), durations.min, durations.max), (4, 0.01, 0.3));
        assert!((durations.sum - 0.709).abs() < 1e-9);
        assert!(requests.take().iter().all(|one| one.durations.is_none()), "they are taken once");
        requests.record("GET", "/a/{id}", 200, millis(10));
        let again = &requests.take()[0];
        assert_eq!((again.requests, again.durations.as_ref().unwrap().count()), (5, 1));
        durations.merge(again.durations.as_ref().unwrap());
        assert_eq!((durations.count(), durations.counted[0].1), (5, 2));
    }

    #[test]
    fn a_summary_begins_again_and_the_counts_do_not() {
        let requests = Requests::new(Thresholds::default());
        assert_eq!(
            (requests.summary().error_rate_percent(), requests.summary().avg_response_time_ms()),
            (0.0, 0.0)
        );
        requests.record("GET", "/a", 200, millis(1500));
        requests.record("POST", "/b", 400, millis(500));
        let summary = requests.summary();
        assert_eq!((summary.requests, summary.errors, summary.slow), (2, 1, 1));
        assert_eq!((summary.error_rate_percent(), summary.avg_response_time_ms()), (50.0, 1000.0));
        requests.reset();
        assert_eq!(requests.summary(), RequestSummary::default());
        requests.record("GET", "/a", 200, millis(10));
        assert_eq!((requests.summary().requests, requests.summary().errors), (1, 0));
        assert_eq!(requests.take().iter().map(|one| one.requests).sum::<u64>(), 3);
    }

    #[test]
    fn endpoints_that_someone_makes_up_are_one() {
        let requests = Requests::new(Thresholds::default());
        for number in 0..MAX_ENDPOINTS + 50 {
            requests.record("GET", &format!("/{number}"), 200, millis(1));
        }
        let taken = requests.take();
        assert_eq!(taken.len(), MAX_ENDPOINTS + 1);
        let rest = taken.iter().find(|one| &*one.endpoint == REST).unwrap();
        assert_eq!(rest.requests, 50);
    }
}

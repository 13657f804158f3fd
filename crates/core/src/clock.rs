//! Wall-clock time, injectable so that tests can set it.

use std::fmt;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

/// A moment in UTC, in whole microseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(i64);

impl Timestamp {
    /// From microseconds since 1970.
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// From whole seconds since 1970.
    pub const fn from_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1_000_000))
    }

    /// Microseconds since 1970.
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// Milliseconds since 1970, rounded down.
    pub const fn as_millis(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// Seconds since 1970, with the fraction.
    pub fn as_seconds_f64(self) -> f64 {
        self.0 as f64 / 1e6
    }

    /// Whole seconds since 1970, rounded down.
    pub const fn as_seconds(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// The time between `earlier` and this, zero when `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// This moment plus a duration.
    pub fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)))
    }

    /// This moment minus a duration.
    pub fn minus(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)))
    }

    /// Reads RFC 3339 text with any offset.
    ///
    /// # Errors
    /// The text is no RFC 3339 time.
    pub fn parse(text: &str) -> Result<Self, jiff::Error> {
        text.parse::<jiff::Timestamp>().map(|t| Self(t.as_microsecond()))
    }
}

impl fmt::Display for Timestamp {
    /// RFC 3339 in UTC with milliseconds.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = jiff::Timestamp::from_millisecond(self.as_millis()).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
        write!(f, "{time:.3}")
    }
}

impl serde::Serialize for Timestamp {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Timestamp {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

/// Stores a time as microseconds: its text has milliseconds only. For `#[serde(with = …)]`.
pub(crate) mod micros {
    use super::Timestamp;

    pub(crate) fn serialize<S: serde::Serializer>(
        time: &Timestamp,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_i64(time.0)
    }

    pub(crate) fn deserialize<'de, D: serde::Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Timestamp, D::Error> {
        serde::Deserialize::deserialize(deserializer).map(Timestamp)
    }
}

/// Where the wall-clock time comes from.
pub trait Clock: Send + Sync + fmt::Debug {
    /// The time now.
    fn now(&self) -> Timestamp;

    /// Time since the machine was started, with the time that it slept; `None` where that is not known.
    fn since_boot(&self) -> Option<Duration> {
        None
    }
}

/// The machine's own clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp(jiff::Timestamp::now().as_microsecond())
    }

    #[cfg(target_os = "linux")]
    fn since_boot(&self) -> Option<Duration> {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        Some(Duration::new(u64::try_from(time.tv_sec).ok()?, u32::try_from(time.tv_nsec).ok()?))
    }
}

/// A clock that stands still until it is told to move.
#[derive(Debug, Default)]
pub struct ManualClock(AtomicI64);

impl ManualClock {
    /// A clock that shows `start`.
    pub fn new(start: Timestamp) -> Self {
        Self(AtomicI64::new(start.as_micros()))
    }

    /// Moves the clock forward.
    pub fn advance(&self, by: Duration) {
        self.0.fetch_add(i64::try_from(by.as_micros()).unwrap_or(i64::MAX), Ordering::SeqCst);
    }

    /// Sets the clock, forward or back.
    pub fn set(&self, to: Timestamp) {
        self.0.store(to.as_micros(), Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }
}

/// Whether a name is in the IANA time zone list.
pub fn is_time_zone(name: &str) -> bool {
    jiff::tz::TimeZone::get(name).is_ok()
}

/// The days of a time zone that end with the one `now` is in, oldest first: the date, and where the day begins and ends.
/// A day in which clocks change has 23 or 25 hours. `None` when there is no such zone.
pub fn days_in_zone(name: &str, now: Timestamp, days: u32) -> Option<Vec<(String, Timestamp, Timestamp)>> {
    let zone = jiff::tz::TimeZone::get(name).ok()?;
    let today = jiff::Timestamp::from_microsecond(now.as_micros()).ok()?.to_zoned(zone.clone()).date();
    let start = |date: jiff::civil::Date| {
        let begin = date.to_zoned(zone.clone()).ok()?;
        Some(Timestamp::from_micros(begin.timestamp().as_microsecond()))
    };
    (0..i64::from(days))
        .rev()
        .map(|back| {
            let date = today.checked_sub(jiff::Span::new().try_days(back).ok()?).ok()?;
            Some((date.to_string(), start(date)?, start(date.tomorrow().ok()?)?))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_have_the_hours_of_their_zone() {
        let now = Timestamp::parse("2026-03-30T10:00:00Z").unwrap();
        let days = days_in_zone("Europe/Berlin", now, 3).unwrap();
        let hours: Vec<u64> = days.iter().map(|(_, from, to)| to.since(*from).as_secs() / 3600).collect();
        assert_eq!((days[1].0.as_str(), hours), ("2026-03-29", vec![24, 23, 24]));
        assert_eq!(days[0].1.to_string(), "2026-03-27T23:00:00.000Z");
        let autumn = Timestamp::parse("2026-10-25T12:00:00Z").unwrap();
        let long = &days_in_zone("Europe/Berlin", autumn, 1).unwrap()[0];
        assert_eq!(long.2.since(long.1).as_secs(), 25 * 3600);
        assert!(days_in_zone("Mars/Olympus", now, 1).is_none());
    }
}

//! When the next check is due. Arithmetic only.

use std::time::Duration;

use wise_core::{MonitorId, Timestamp};

/// First checks after a start are spread over at most this long.
const SPREAD: Duration = Duration::from_secs(60);
/// After a final failure checks come no faster than this, so that an account is not locked.
const BACK_OFF: Duration = Duration::from_secs(300);
/// And no slower than this.
const BACK_OFF_LIMIT: Duration = Duration::from_secs(3600);

/// How long after the start a monitor's first check is due: where it would have been had there been no restart, or,
/// when that has passed, at the monitor's own place within the spread.
pub(crate) fn first_delay(
    id: MonitorId,
    interval: Duration,
    last: Option<Timestamp>,
    now: Timestamp,
) -> Duration {
    if let Some(last) = last {
        let due = last.plus(interval);
        // A clock that was set back must not put the next check into the far future.
        if due > now && last <= now {
            return due.since(now);
        }
    }
    spread(id, interval)
}

/// A monitor's own place within the interval, or within the first minute of a longer one.
pub(crate) fn spread(id: MonitorId, interval: Duration) -> Duration {
    let window = u64::try_from(interval.min(SPREAD).as_micros()).unwrap_or(u64::MAX).max(1);
    Duration::from_micros(id.spread() % window)
}

/// The tick after `due` that is later than `now`, and how many ticks lie between and are lost.
pub(crate) fn next_tick<I>(due: I, interval: Duration, now: I) -> (I, u64)
where
    I: Copy + PartialOrd + std::ops::Add<Duration, Output = I> + std::ops::Sub<I, Output = Duration>,
{
    let next = due + interval;
    if next > now {
        return (next, 0);
    }
    let behind = (now - next).as_nanos();
    let lost = u64::try_from(behind / interval.as_nanos().max(1)).unwrap_or(u64::MAX).saturating_add(1);
    let skip = interval.saturating_mul(u32::try_from(lost).unwrap_or(u32::MAX));
    (next + skip, lost)
}

/// The wait after the nth final failure in a row.
pub(crate) fn back_off(interval: Duration, failures: u32) -> Duration {
    let base = interval.max(BACK_OFF);
    base.saturating_mul(1 << failures.saturating_sub(1).min(8)).min(BACK_OFF_LIMIT.max(interval))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn the_phase_survives_a_restart() {
        let id = MonitorId::generate();
        let now = Timestamp::from_seconds(1_000_000);
        let last = now.minus(40 * SECOND);
        assert_eq!(first_delay(id, 60 * SECOND, Some(last), now), 20 * SECOND);
        assert_eq!(first_delay(id, 86_400 * SECOND, Some(last), now), 86_360 * SECOND);
        let missed = first_delay(id, 30 * SECOND, Some(last), now);
        assert!(missed < 30 * SECOND);
        assert_eq!(missed, first_delay(id, 30 * SECOND, None, now));
        // The clock was set back by an hour.
        assert!(first_delay(id, 60 * SECOND, Some(now.plus(3600 * SECOND)), now) < 60 * SECOND);
    }

    #[test]
    fn first_checks_are_spread_evenly() {
        let mut buckets = [0u32; 10];
        for _ in 0..10_000 {
            let delay = first_delay(MonitorId::generate(), 3600 * SECOND, None, Timestamp::default());
            assert!(delay < SPREAD);
            buckets[usize::try_from(delay.as_secs() / 6).unwrap()] += 1;
        }
        assert!(buckets.iter().all(|count| (850..1150).contains(count)), "{buckets:?}");
    }

    #[test]
    fn ticks_do_not_drift_and_lost_ones_are_counted() {
        let at = |millis| Duration::from_millis(millis);
        assert_eq!(next_tick(at(1000), SECOND, at(1003)), (at(2000), 0));
        assert_eq!(next_tick(at(1000), SECOND, at(2000)), (at(3000), 1));
        assert_eq!(next_tick(at(1000), SECOND, at(4500)), (at(5000), 3));
    }

    #[test]
    fn final_failures_slow_down() {
        assert_eq!(back_off(30 * SECOND, 1), 300 * SECOND);
        assert_eq!(back_off(30 * SECOND, 3), 1200 * SECOND);
        assert_eq!(back_off(30 * SECOND, 30), 3600 * SECOND);
        assert_eq!(back_off(7200 * SECOND, 1), 7200 * SECOND);
    }
}

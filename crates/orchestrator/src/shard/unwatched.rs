//! Time in which no one watched: the process was stopped, the machine slept, or the clock was set forward.
//!
//! The loop of a shard turns several times a second. When more time has passed between two turns, by whichever clock, the
//! checks that were due in it were not made. What a monitor's status was then is not known: a gap is written for each,
//! and no condition changes. The monotonic clock stands still while a machine sleeps, the one since boot does not, and
//! both know nothing of a clock that is set: together they tell why.

use std::cmp::Reverse;
use std::time::Duration;

use tokio::time::Instant;
use wise_core::{Clock, EventKind, Failure, Gap, Reason, Timestamp, common};

use super::{Shard, SlotState, Tick};
use crate::schedule::{next_tick, spread};
use crate::stats::LATE;

/// The clocks at one moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    pub(super) monotonic: Instant,
    pub(super) wall: Timestamp,
    since_boot: Option<Duration>,
}

/// Why more time has passed than the loop knows of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lapse {
    /// The process, or its thread, stood still.
    Frozen(Duration),
    /// The machine slept.
    Suspended(Duration),
    /// The clock was set forward.
    ClockSet(Duration),
}

impl Moment {
    pub(super) fn now(clock: &dyn Clock) -> Self {
        Self { monotonic: Instant::now(), wall: clock.now(), since_boot: clock.since_boot() }
    }

    /// Why there was no turn of the loop, if there was none for long.
    fn lapse_since(&self, before: &Self) -> Option<Lapse> {
        let wall = self.wall.since(before.wall);
        if wall <= LATE {
            return None;
        }
        let awake = self.monotonic.saturating_duration_since(before.monotonic);
        let since_boot = self.since_boot.zip(before.since_boot);
        let elapsed = since_boot.map_or(awake, |(now, before)| now.saturating_sub(before)).max(awake);
        let (asleep, set) = (elapsed.saturating_sub(awake), wall.saturating_sub(elapsed));
        let all =
            [(awake, Lapse::Frozen(awake)), (asleep, Lapse::Suspended(asleep)), (set, Lapse::ClockSet(set))];
        all.into_iter().max_by_key(|(time, _)| *time).map(|(_, lapse)| lapse)
    }
}

impl Lapse {
    fn reason(self) -> Reason {
        let (code, text) = match self {
            Self::Frozen(time) => ("frozen", format!("the monitoring stood still for {} s", time.as_secs())),
            Self::Suspended(time) => ("suspended", format!("the machine slept for {} s", time.as_secs())),
            Self::ClockSet(time) => {
                ("clock_set", format!("the clock was set forward by {} s", time.as_secs()))
            }
        };
        reason(code, text)
    }
}

/// The reason of a gap.
pub(super) fn reason(code: &'static str, text: String) -> Reason {
    Reason { probe: None, ..Reason::from_failure(&Failure::new(&common::UNWATCHED, text).code(code), "") }
}

impl Shard {
    /// Looks at the clocks, once a turn. After a lapse, writes the gaps and puts the schedule in order.
    pub(super) fn look_at_clocks(&mut self) -> Instant {
        let now = Moment::now(&*self.clock);
        let before = std::mem::replace(&mut self.last_turn, now);
        if before.wall.since(now.wall) > LATE {
            // Set back: gaps that end in what is the future again tell nothing of what is missed from now on.
            self.entries.values_mut().for_each(|entry| entry.gap_until = None);
        }
        if let Some(lapse) = now.lapse_since(&before) {
            // A clock that is set cuts no connection.
            if !matches!(lapse, Lapse::ClockSet(_)) {
                self.lapses += 1;
            }
            self.take_lapse(&before, &now, lapse);
        }
        now.monotonic
    }

    fn take_lapse(&mut self, before: &Moment, now: &Moment, lapse: Lapse) {
        let reason = lapse.reason();
        let mut gaps = Vec::new();
        for (id, entry) in &mut self.entries {
            let generation = entry.generation;
            for (index, slot) in entry.slots.iter_mut().enumerate() {
                if slot.state == SlotState::Off {
                    continue;
                }
                let due = before.wall.plus(slot.due.saturating_duration_since(before.monotonic));
                if due.plus(LATE) >= now.wall {
                    continue;
                }
                // What was missed is made up for once, spread over an interval: all at once would be a storm.
                slot.due = now.monotonic + spread(*id, slot.schedule.interval);
                // The ticks of the lapse are told of by the gap, and not as dropped ones.
                if slot.regular <= now.monotonic {
                    let (next, _) = next_tick(slot.regular, slot.schedule.interval, now.monotonic);
                    slot.regular = next.checked_sub(slot.schedule.interval).unwrap_or(next);
                }
                self.ticks.push(Reverse(Tick { due: slot.due, id: *id, slot: index, generation }));
                if index == 0 {
                    let until = now.wall.plus(slot.due.saturating_duration_since(now.monotonic));
                    let from = entry.gap_until.map_or(due, |last| last.max(due));
                    if from < until {
                        entry.gap_until = Some(until);
                        gaps.push((*id, Gap { from, until, reason: reason.clone() }));
                    }
                }
            }
        }
        if gaps.is_empty() {
            return;
        }
        let count = gaps.len();
        tracing::warn!("{}: {count} monitors were not watched meanwhile", reason.message);
        self.stats.add_gaps(count as u64);
        for (id, gap) in gaps {
            self.push_events(id, now.wall, [EventKind::Gap(gap)]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clocks_together_tell_why_no_one_watched() {
        let at = |awake: u64, boot: u64, wall: i64| Moment {
            monotonic: Instant::now() + Duration::from_secs(awake),
            wall: Timestamp::from_seconds(wall),
            since_boot: Some(Duration::from_secs(boot)),
        };
        let begin = Instant::now();
        let before = Moment { monotonic: begin, ..at(0, 100, 1000) };
        let after = |awake: u64, boot: u64, wall: i64| {
            let now =
                Moment { monotonic: begin + Duration::from_secs(awake), ..at(0, 100 + boot, 1000 + wall) };
            now.lapse_since(&before)
        };
        let seconds = Duration::from_secs;
        assert_eq!(after(0, 0, 0), None);
        assert_eq!(after(1, 1, 1), None);
        assert_eq!(after(20, 20, 20), Some(Lapse::Frozen(seconds(20))));
        assert_eq!(after(1, 7200, 7200), Some(Lapse::Suspended(seconds(7199))));
        assert_eq!(after(0, 0, 10_800), Some(Lapse::ClockSet(seconds(10_800))));
        // Set back, nothing is missing.
        assert_eq!(after(0, 0, -3600), None);
        // A virtual machine that was taken back to a snapshot: only the wall clock is put right.
        assert_eq!(after(0, 0, 86_400), Some(Lapse::ClockSet(seconds(86_400))));
    }
}

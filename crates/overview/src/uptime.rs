//! Honest uptime: weighed by time, from events, with what no one knows left out.

use wise_core::{Status, Timestamp};
use wise_storage::ports::TimelineChange;

/// What a stretch of time counts as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UptimeState {
    /// The monitor was not down.
    Up,
    /// It was down.
    Down,
    /// We could not tell, or no one watched.
    Unknown,
    /// It was switched off.
    Paused,
    /// It was in maintenance.
    Maintenance,
}

impl UptimeState {
    /// What a status counts as. Unhealthy by a threshold is not down.
    pub fn of(status: Status, down: bool) -> Self {
        match (status, down) {
            (Status::Unhealthy, true) => Self::Down,
            (Status::Healthy | Status::Degraded | Status::Unhealthy, _) => Self::Up,
            (Status::Unknown, _) => Self::Unknown,
            (Status::Paused, _) => Self::Paused,
            (Status::Maintenance, _) => Self::Maintenance,
        }
    }
}

/// Seconds spent in each state within a range.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Uptime {
    /// Not down.
    pub up_seconds: f64,
    /// Down.
    pub down_seconds: f64,
    /// Not known.
    pub unknown_seconds: f64,
    /// Switched off.
    pub paused_seconds: f64,
    /// In maintenance.
    pub maintenance_seconds: f64,
    /// Times it went down.
    pub incidents: u32,
}

/// What time in maintenance counts as.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Maintenance {
    /// Nothing: it is left out, as unknown is.
    #[default]
    Apart,
    /// Up.
    Up,
    /// Down.
    Down,
}

impl Maintenance {
    /// Reads `apart`, `up` or `down`.
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "apart" => Self::Apart,
            "up" => Self::Up,
            "down" => Self::Down,
            _ => return None,
        })
    }
}

impl Uptime {
    /// Up ÷ (up + down); `None` when there is neither.
    pub fn ratio(&self) -> Option<f64> {
        self.ratio_with(Maintenance::Apart)
    }

    /// Up ÷ (up + down), with maintenance counted as told; `None` when there is neither.
    pub fn ratio_with(&self, maintenance: Maintenance) -> Option<f64> {
        let (mut up, mut down) = (self.up_seconds, self.down_seconds);
        match maintenance {
            Maintenance::Apart => {}
            Maintenance::Up => up += self.maintenance_seconds,
            Maintenance::Down => down += self.maintenance_seconds,
        }
        (up + down > 0.0).then(|| up / (up + down))
    }

    /// Adds the time of another monitor, or of another range.
    pub fn add(&mut self, other: &Self) {
        self.up_seconds += other.up_seconds;
        self.down_seconds += other.down_seconds;
        self.unknown_seconds += other.unknown_seconds;
        self.paused_seconds += other.paused_seconds;
        self.maintenance_seconds += other.maintenance_seconds;
        self.incidents += other.incidents;
    }

    fn count(&mut self, state: UptimeState, from: Timestamp, to: Timestamp) {
        let seconds = to.since(from).as_secs_f64();
        match state {
            UptimeState::Up => self.up_seconds += seconds,
            UptimeState::Down => self.down_seconds += seconds,
            UptimeState::Unknown => self.unknown_seconds += seconds,
            UptimeState::Paused => self.paused_seconds += seconds,
            UptimeState::Maintenance => self.maintenance_seconds += seconds,
        }
    }
}

/// The states of a monitor, one after the other, and the gaps that lie over them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Timeline {
    /// From when each state holds. In order.
    states: Vec<(Timestamp, UptimeState)>,
    /// Times in which no one watched. In order.
    gaps: Vec<(Timestamp, Timestamp)>,
}

impl FromIterator<TimelineChange> for Timeline {
    fn from_iter<T: IntoIterator<Item = TimelineChange>>(changes: T) -> Self {
        let mut all = Self::default();
        changes.into_iter().for_each(|change| all.push(change));
        all
    }
}

impl Timeline {
    /// Takes in the next change, in the order of events.
    pub fn push(&mut self, change: TimelineChange) {
        match change {
            TimelineChange::Status { time, since, status, down } => {
                let state = UptimeState::of(status, down);
                if state == UptimeState::Down && since < time {
                    self.was_down_from(since, time);
                }
                self.set_from(time, state);
            }
            TimelineChange::Gap { from, until } => match self.gaps.last_mut() {
                Some(last) if from <= last.1 => last.1 = last.1.max(until),
                _ => self.gaps.push((from, until)),
            },
        }
    }

    /// Takes in a change, if there is one.
    pub(crate) fn extend_with(&mut self, change: Option<TimelineChange>) {
        if let Some(change) = change {
            self.push(change);
        }
    }

    fn set_from(&mut self, time: Timestamp, state: UptimeState) {
        // The clock may have been ahead for a while: what comes later may be earlier in time, and counts.
        while self.states.last().is_some_and(|(last, _)| *last >= time) {
            self.states.pop();
        }
        if self.states.last().is_none_or(|(_, last)| *last != state) {
            self.states.push((time, state));
        }
    }

    /// It was decided at `to` that the monitor has been down from `from`. What was not known in between stays so.
    fn was_down_from(&mut self, from: Timestamp, to: Timestamp) {
        let Some(first) = self.states.iter().rposition(|(time, _)| *time <= from) else {
            // Nothing was known before.
            self.states.insert(0, (from, UptimeState::Down));
            return;
        };
        let changed = self.states.split_off(first);
        for (index, (time, state)) in changed.iter().enumerate() {
            let end = changed.get(index + 1).map_or(to, |(next, _)| *next);
            if *state != UptimeState::Up || end <= from {
                self.push_state(*time, *state);
                continue;
            }
            if *time < from {
                self.push_state(*time, *state);
            }
            self.push_state((*time).max(from), UptimeState::Down);
        }
    }

    fn push_state(&mut self, time: Timestamp, state: UptimeState) {
        if self.states.last().is_none_or(|(_, last)| *last != state) {
            self.states.push((time, state));
        }
    }

    /// Forgets what no longer bears on a range that begins at `from`.
    pub fn forget_before(&mut self, from: Timestamp) {
        // One from before says how it begins.
        let old = self.states.iter().skip(1).take_while(|(time, _)| *time <= from).count();
        self.states.drain(..old);
        self.gaps.retain(|(_, until)| *until > from);
    }

    /// The states between `from` and `to`, one after the other, with the gaps as unknown. Time before the first state is
    /// left out.
    fn spans(&self, from: Timestamp, to: Timestamp) -> Vec<(Timestamp, Timestamp, UptimeState)> {
        let mut spans = Vec::with_capacity(self.states.len());
        for (index, (since, state)) in self.states.iter().enumerate() {
            let end = self.states.get(index + 1).map_or(to, |(next, _)| (*next).min(to));
            let mut at = (*since).max(from);
            for (gap, until) in &self.gaps {
                if *until <= at || *gap >= end {
                    continue;
                }
                // Someone had switched it off: that no one watched is no news.
                if matches!(state, UptimeState::Paused) {
                    break;
                }
                spans.push((at, (*gap).max(at), *state));
                spans.push(((*gap).max(at), (*until).min(end), UptimeState::Unknown));
                at = (*until).min(end).max(at);
            }
            spans.push((at, end, *state));
        }
        spans.retain(|(begin, end, _)| begin < end);
        spans
    }

    /// Adds up the states between `from` and `to`.
    pub fn uptime(&self, from: Timestamp, to: Timestamp) -> Uptime {
        let mut sum = Uptime::default();
        for (begin, end, state) in self.spans(from, to) {
            sum.count(state, begin, end);
        }
        sum.incidents = self.outages().filter(|(begin, _)| *begin >= from && *begin < to).count() as u32;
        sum
    }

    /// Times in which the monitor was down, the end `None` while it is. What was down before and after an unknown time
    /// was not seen to recover: that is one outage.
    pub fn outages(&self) -> impl Iterator<Item = (Timestamp, Option<Timestamp>)> + '_ {
        let mut found: Vec<(Timestamp, Option<Timestamp>)> = Vec::new();
        let mut is_down = false;
        for (time, state) in &self.states {
            match state {
                UptimeState::Unknown => {}
                UptimeState::Down => {
                    if !is_down {
                        found.push((*time, None));
                    }
                    is_down = true;
                }
                UptimeState::Up | UptimeState::Paused | UptimeState::Maintenance => {
                    if let Some(last) = found.last_mut().filter(|_| is_down) {
                        last.1 = Some(*time);
                    }
                    is_down = false;
                }
            }
        }
        found.into_iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    fn change(time: i64, since: i64, status: Status, down: bool) -> TimelineChange {
        TimelineChange::Status { time: at(time), since: at(since), status, down }
    }

    fn gap(from: i64, until: i64) -> TimelineChange {
        TimelineChange::Gap { from: at(from), until: at(until) }
    }

    fn up(time: i64) -> TimelineChange {
        change(time, time, Status::Healthy, false)
    }

    fn down(time: i64, since: i64) -> TimelineChange {
        change(time, since, Status::Unhealthy, true)
    }

    fn unknown(time: i64) -> TimelineChange {
        change(time, time, Status::Unknown, false)
    }

    /// Seconds up, down, unknown and paused, and the outages.
    fn of(changes: impl IntoIterator<Item = TimelineChange>, from: i64, to: i64) -> ([f64; 4], u32) {
        let sum = Timeline::from_iter(changes).uptime(at(from), at(to));
        ([sum.up_seconds, sum.down_seconds, sum.unknown_seconds, sum.paused_seconds], sum.incidents)
    }

    #[test]
    fn time_is_weighed_and_unknown_counts_nowhere() {
        let states =
            [up(50), down(200, 200), up(230), unknown(300), up(400), change(450, 450, Status::Paused, false)];
        assert_eq!(of(states, 100, 500), ([220.0, 30.0, 100.0, 50.0], 1));
        let sum = Timeline::from_iter(states).uptime(at(100), at(500));
        assert_eq!(sum.ratio(), Some(220.0 / 250.0));
        assert_eq!(Timeline::from_iter([unknown(450)]).uptime(at(0), at(500)).ratio(), None);
        assert_eq!(Timeline::default().uptime(at(0), at(500)), Uptime::default());
        assert_eq!(of([down(0, 0), up(150)], 100, 200), ([50.0, 50.0, 0.0, 0.0], 0));
    }

    #[test]
    fn down_counts_from_the_first_failure_and_what_was_not_known_in_between_stays_so() {
        assert_eq!(of([up(0), down(100, 70), up(120)], 0, 200), ([150.0, 50.0, 0.0, 0.0], 1));
        // Failure, our own trouble, failure.
        assert_eq!(of([up(0), unknown(80), up(90), down(100, 70)], 0, 110), ([70.0, 30.0, 10.0, 0.0], 1));
        // It had never been seen before.
        assert_eq!(of([down(100, 70)], 0, 110), ([0.0, 40.0, 0.0, 0.0], 1));
        // The outage of a moment ago is not made longer.
        assert_eq!(of([up(0), down(20, 10), up(50), down(70, 60)], 0, 80), ([20.0, 60.0, 0.0, 0.0], 2));
    }

    #[test]
    fn a_gap_is_neither_up_nor_down_and_ends_no_outage() {
        assert_eq!(of([up(0), gap(20, 50)], 0, 100), ([70.0, 0.0, 30.0, 0.0], 0));
        assert_eq!(of([up(0), down(10, 10), gap(20, 50), up(60)], 0, 100), ([50.0, 20.0, 30.0, 0.0], 1));
        // Over a change of status, and two that touch.
        assert_eq!(of([up(0), gap(20, 30), gap(30, 50), down(60, 40)], 0, 70), ([20.0, 20.0, 30.0, 0.0], 1));
        // One that goes on for a moment yet, seen now.
        assert_eq!(of([up(0), gap(80, 200)], 0, 100), ([80.0, 0.0, 20.0, 0.0], 0));
        // Of a monitor that was switched off no one expected anything.
        assert_eq!(
            of([up(0), change(10, 10, Status::Paused, false), gap(20, 50)], 0, 100),
            ([10.0, 0.0, 0.0, 90.0], 0)
        );
    }

    #[test]
    fn what_is_older_than_the_range_is_forgotten_but_for_how_it_began() {
        let mut timeline = Timeline::from_iter([up(0), down(10, 10), up(20), gap(25, 27), down(30, 30)]);
        let before = timeline.uptime(at(22), at(40));
        timeline.forget_before(at(22));
        assert_eq!(timeline.uptime(at(22), at(40)), before);
        timeline.forget_before(at(35));
        assert_eq!((timeline.states.len(), timeline.gaps.len()), (1, 0));
    }

    #[test]
    fn a_clock_that_was_ahead_does_not_hide_what_came_after() {
        // The clock stood at 1000 for a while, and was put right.
        assert_eq!(of([up(0), down(1000, 1000), up(50)], 0, 100), ([100.0, 0.0, 0.0, 0.0], 0));
    }
}

//! Honest uptime: time-weighted from transitions, with unknown apart.

use wise_core::{Status, Timestamp};

/// What a stretch of time counts as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UptimeState {
    /// The monitor was not down.
    Up,
    /// It was down.
    Down,
    /// We could not tell.
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
}

/// Adds up the states between `from` and `to`. `states` are changes, oldest first; the last one before `from` says how
/// it begins, and time before the first counts nowhere.
pub fn uptime(
    states: impl IntoIterator<Item = (Timestamp, UptimeState)>,
    from: Timestamp,
    to: Timestamp,
) -> Uptime {
    let mut sum = Uptime::default();
    let mut current: Option<(Timestamp, UptimeState)> = None;
    let mut was_down = false;
    for (time, state) in states {
        // The clock may have been ahead for a while: what comes later in the record may be earlier in time.
        if time >= to {
            continue;
        }
        if let Some((since, before)) = current {
            add(&mut sum, before, since.max(from), time);
        }
        // What was down before and after an unknown time was not seen to recover: that is one incident.
        if state == UptimeState::Down && !was_down && time >= from {
            sum.incidents += 1;
        }
        if state != UptimeState::Unknown {
            was_down = state == UptimeState::Down;
        }
        current = Some((time, state));
    }
    if let Some((since, state)) = current {
        add(&mut sum, state, since.max(from), to);
    }
    sum
}

fn add(sum: &mut Uptime, state: UptimeState, from: Timestamp, to: Timestamp) {
    let seconds = to.since(from).as_secs_f64();
    match state {
        UptimeState::Up => sum.up_seconds += seconds,
        UptimeState::Down => sum.down_seconds += seconds,
        UptimeState::Unknown => sum.unknown_seconds += seconds,
        UptimeState::Paused => sum.paused_seconds += seconds,
        UptimeState::Maintenance => sum.maintenance_seconds += seconds,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    #[test]
    fn time_is_weighed_and_unknown_counts_nowhere() {
        use UptimeState::{Down, Paused, Unknown, Up};
        let states = [
            (at(50), Up),
            (at(200), Down),
            (at(230), Up),
            (at(300), Unknown),
            (at(400), Up),
            (at(450), Paused),
        ];
        let sum = uptime(states, at(100), at(500));
        assert_eq!((sum.up_seconds, sum.down_seconds), (100.0 + 70.0 + 50.0, 30.0));
        assert_eq!((sum.unknown_seconds, sum.paused_seconds, sum.incidents), (100.0, 50.0, 1));
        assert_eq!(sum.ratio(), Some(220.0 / 250.0));
        assert_eq!(uptime([(at(450), Unknown)], at(0), at(500)).ratio(), None);
        assert_eq!(uptime([], at(0), at(500)), Uptime::default());
        let began_down = uptime([(at(0), Down), (at(150), Up)], at(100), at(200));
        assert_eq!((began_down.down_seconds, began_down.up_seconds, began_down.incidents), (50.0, 50.0, 0));
    }
}

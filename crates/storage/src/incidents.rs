//! Times in which a monitor was down, and why.

use wise_core::{MonitorId, Reason, Status, Timestamp, Transition};

use crate::error::StoreError;
use crate::ports::MainRecord;

/// Transitions read at once.
const PAGE: usize = 500;

/// A time in which a monitor was down.
#[derive(Clone, Debug, PartialEq)]
pub struct Incident {
    /// When it went down.
    pub start: Timestamp,
    /// When it was up again, or was switched off; `None` while it is down.
    pub end: Option<Timestamp>,
    /// Why, as known when it went down.
    pub cause: Option<Reason>,
    /// Number of the transition that began it.
    pub sequence: u64,
}

/// The incidents of a monitor that touch a range, oldest first. While nothing is known, an incident goes on: what was
/// down before and after was not seen to recover.
///
/// # Errors
/// The store cannot be read.
pub fn incidents(
    store: &(impl MainRecord + ?Sized),
    monitor: MonitorId,
    from: Timestamp,
    to: Timestamp,
) -> Result<Vec<Incident>, StoreError> {
    let mut changes: Vec<(u64, Transition)> = Vec::new();
    let mut before = None;
    // Back to the last time before the range that it was known not to be down.
    loop {
        let page = store.transitions_of(monitor, before, PAGE)?;
        let is_last = page.len() < PAGE;
        before = page.last().map(|(sequence, _)| *sequence);
        let reached =
            page.iter().any(|(_, change)| change.time < from && !change.down && change.to != Status::Unknown);
        changes.extend(page);
        if is_last || reached {
            break;
        }
    }
    changes.reverse();
    Ok(found(&changes, from, to))
}

fn found(changes: &[(u64, Transition)], from: Timestamp, to: Timestamp) -> Vec<Incident> {
    let mut all: Vec<Incident> = Vec::new();
    let mut is_down = false;
    for (sequence, change) in changes.iter().filter(|(_, change)| change.time < to) {
        match (change.to, change.down) {
            (Status::Unknown, _) => {}
            (_, true) if !is_down => {
                is_down = true;
                let cause = change.reason.clone();
                all.push(Incident { start: change.time, end: None, cause, sequence: *sequence });
            }
            (_, true) => {}
            (_, false) if is_down => {
                is_down = false;
                if let Some(last) = all.last_mut() {
                    last.end = Some(change.time);
                }
            }
            (_, false) => {}
        }
    }
    all.retain(|incident| incident.end.is_none_or(|end| end > from));
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    fn change(seconds: i64, to: Status) -> Transition {
        Transition {
            monitor: MonitorId::from_file_name("m"),
            time: at(seconds),
            from: None,
            to,
            down: to == Status::Unhealthy,
            reason: None,
            evidence: None,
        }
    }

    #[test]
    fn unknown_neither_begins_nor_ends_an_incident() {
        use Status::{Healthy, Paused, Unhealthy, Unknown};
        let all = [
            (10, Healthy),
            (20, Unhealthy),
            (30, Unknown),
            (40, Unhealthy),
            (50, Healthy),
            (60, Unknown),
            (70, Healthy),
            (80, Unhealthy),
            (90, Paused),
            (100, Unhealthy),
        ];
        let changes: Vec<_> =
            all.iter().zip(1..).map(|((seconds, to), number)| (number, change(*seconds, *to))).collect();
        let spans = |from, to| -> Vec<(Timestamp, Option<Timestamp>)> {
            found(&changes, at(from), at(to)).iter().map(|one| (one.start, one.end)).collect()
        };
        let whole = [(at(20), Some(at(50))), (at(80), Some(at(90))), (at(100), None)];
        assert_eq!(spans(0, 1000), whole);
        assert_eq!(spans(45, 85), [(at(20), Some(at(50))), (at(80), None)]);
        assert_eq!(spans(50, 60), []);
    }
}

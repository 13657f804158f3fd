//! Times in which a monitor was down, and why.

use wise_core::{Event, EventKind, MonitorId, Reason, Status, Timestamp};
use wise_storage::StoreError;
use wise_storage::ports::{MainRecord, TimelineChange};

use crate::uptime::Timeline;

/// Events read at once.
const PAGE: usize = 500;

/// A time in which a monitor was down.
#[derive(Clone, Debug, PartialEq)]
pub struct Incident {
    /// When it went down: the first failure of the run that decided it.
    pub start: Timestamp,
    /// When it was up again, or was switched off; `None` while it is down.
    pub end: Option<Timestamp>,
    /// Why, as known when it went down.
    pub cause: Option<Reason>,
    /// Number of the event that says so.
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
    let mut events: Vec<(u64, Event)> = Vec::new();
    let mut before = None;
    // Back to the last time before the range that it was known not to be down.
    loop {
        let page = store.events_of(monitor, before, PAGE)?;
        let is_last = page.len() < PAGE;
        before = page.last().map(|(sequence, _)| *sequence);
        let reached = page.iter().any(|(_, event)| match &event.kind {
            EventKind::Status(change) => event.time < from && !change.down && change.to != Status::Unknown,
            _ => false,
        });
        events.extend(page);
        if is_last || reached {
            break;
        }
    }
    events.reverse();
    Ok(found(&events, from, to))
}

fn found(events: &[(u64, Event)], from: Timestamp, to: Timestamp) -> Vec<Incident> {
    let timeline: Timeline =
        events.iter().filter_map(|(_, event)| TimelineChange::of(event.time, &event.kind)).collect();
    let went_down: Vec<(u64, Timestamp, &Option<Reason>)> = events
        .iter()
        .filter_map(|(sequence, event)| match &event.kind {
            EventKind::Status(change) if change.down => Some((*sequence, change.since, &change.reason)),
            _ => None,
        })
        .collect();
    timeline
        .outages()
        .filter(|(start, end)| *start < to && end.is_none_or(|end| end > from))
        .map(|(start, end)| {
            let event = went_down.iter().find(|(_, since, _)| *since >= start);
            let (sequence, cause) =
                event.map_or((0, None), |(sequence, _, reason)| (*sequence, (*reason).clone()));
            Incident { start, end, cause, sequence }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use wise_core::StatusChange;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    fn event(seconds: i64, since: i64, to: Status) -> Event {
        let (down, reason) = (to == Status::Unhealthy, Some(Reason::new("refused", seconds.to_string())));
        let change = StatusChange { from: None, to, down, since: at(since), reason };
        Event { monitor: MonitorId::from_file_name("m"), time: at(seconds), kind: EventKind::Status(change) }
    }

    #[test]
    fn unknown_neither_begins_nor_ends_an_incident() {
        use Status::{Healthy, Paused, Unhealthy, Unknown};
        let all = [
            (10, 10, Healthy),
            (20, 15, Unhealthy),
            (30, 30, Unknown),
            (40, 40, Unhealthy),
            (50, 50, Healthy),
            (60, 60, Unknown),
            (70, 70, Healthy),
            (80, 80, Unhealthy),
            (90, 90, Paused),
            (100, 98, Unhealthy),
        ];
        let events: Vec<_> = all
            .iter()
            .zip(1..)
            .map(|((time, since, to), number)| (number, event(*time, *since, *to)))
            .collect();
        let spans = |from, to| -> Vec<(Timestamp, Option<Timestamp>)> {
            found(&events, at(from), at(to)).iter().map(|one| (one.start, one.end)).collect()
        };
        let whole = [(at(15), Some(at(50))), (at(80), Some(at(90))), (at(100), None)];
        assert_eq!(spans(0, 1000), whole);
        assert_eq!(spans(45, 85), [(at(15), Some(at(50))), (at(80), Some(at(90)))]);
        assert_eq!(spans(50, 60), []);
        let first = &found(&events, at(0), at(60))[0];
        assert_eq!((first.sequence, first.cause.as_ref().unwrap().message.as_str()), (2, "20"));
    }
}

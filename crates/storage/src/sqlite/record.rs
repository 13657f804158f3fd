//! The main record in the main file: events in one sequence, what they add up to, and how far consumers are.

use std::collections::{BTreeMap, HashMap};

use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};
use wise_core::{Condition, Event, EventKind, MonitorId, MonitorState, Status, Timestamp};

use super::main_file::{WorkError, as_i64, as_u64, bad, id, json};
use crate::ports::{Timeline, TimelineChange};

const COLUMNS: &str = "sequence, monitor, time, body";

/// Stores an event, under a number of its own or the next one, and what it makes of the monitor's state.
pub(super) fn store(
    transaction: &Transaction<'_>,
    number: Option<u64>,
    event: &Event,
) -> Result<u64, WorkError> {
    let (monitor, time) = (event.monitor.to_string(), event.time.as_micros());
    let until = match &event.kind {
        EventKind::Status(_) => Some(time),
        EventKind::Gap(gap) => Some(time.max(gap.until.as_micros())),
        _ => None,
    };
    let body = serde_json::to_string(&event.kind)?;
    transaction
        .prepare_cached(
            "INSERT INTO event (sequence, monitor, time, kind, until, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute(params![number.map(as_i64), monitor, time, event.kind.name(), until, body])?;
    let number = as_u64(transaction.last_insert_rowid());
    add_up(transaction, &monitor, &event.kind)?;
    Ok(number)
}

/// What an event changes in the state of its monitor. The same as [`MonitorState::apply`], a row at a time.
fn add_up(transaction: &Transaction<'_>, monitor: &str, kind: &EventKind) -> Result<(), WorkError> {
    match kind {
        EventKind::Raised { condition } | EventKind::Changed { condition, .. } => {
            let body = serde_json::to_string(condition)?;
            transaction
                .prepare_cached(
                    "INSERT INTO condition (monitor, key, since, body) VALUES (?1, ?2, ?3, ?4)
                     ON CONFLICT (monitor, key) DO UPDATE SET since = excluded.since, body = excluded.body",
                )?
                .execute(params![monitor, condition.key.to_string(), condition.since.as_micros(), body])?;
            // A monitor that has a condition has a state.
            known(transaction, monitor)?;
        }
        EventKind::Cleared { condition, .. } => {
            transaction
                .prepare_cached("DELETE FROM condition WHERE monitor = ?1 AND key = ?2")?
                .execute(params![monitor, condition.key.to_string()])?;
        }
        EventKind::Status(change) => {
            let reason = change.reason.as_ref().map(serde_json::to_string).transpose()?;
            transaction
                .prepare_cached(
                    "INSERT INTO monitor_state (monitor, status, down, since, reason) VALUES (?1, ?2, ?3, ?4, ?5)
                     ON CONFLICT (monitor) DO UPDATE SET status = excluded.status, down = excluded.down,
                        since = excluded.since, reason = excluded.reason",
                )?
                .execute(params![monitor, change.to.name(), change.down, change.since.as_micros(), reason])?;
        }
        EventKind::Gap(gap) => {
            known(transaction, monitor)?;
            transaction
                .prepare_cached(
                    "UPDATE monitor_state SET gap_until = max(coalesce(gap_until, ?2), ?2) WHERE monitor = ?1",
                )?
                .execute(params![monitor, gap.until.as_micros()])?;
        }
        EventKind::Removed { .. } | EventKind::Restored { .. } => {}
    }
    Ok(())
}

fn known(transaction: &Transaction<'_>, monitor: &str) -> Result<(), WorkError> {
    let nothing = MonitorState::default();
    transaction
        .prepare_cached(
            "INSERT INTO monitor_state (monitor, status, down, since) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (monitor) DO NOTHING",
        )?
        .execute(params![monitor, nothing.status.name(), nothing.down, nothing.since.as_micros()])?;
    Ok(())
}

/// Events with a number above `after`, oldest first.
pub(super) fn after(
    connection: &Connection,
    after: u64,
    limit: usize,
) -> Result<Vec<(u64, Event)>, WorkError> {
    read(
        connection,
        &format!("SELECT {COLUMNS} FROM event WHERE sequence > ?1 ORDER BY sequence LIMIT ?2"),
        params![as_i64(after), as_i64(limit as u64)],
    )
}

/// Events that a consumer has not seen, oldest first.
pub(super) fn unseen(
    connection: &Connection,
    consumer: &str,
    limit: usize,
) -> Result<Vec<(u64, Event)>, WorkError> {
    read(
        connection,
        &format!(
            "SELECT {COLUMNS} FROM event WHERE sequence > ?1
             AND sequence NOT IN (SELECT sequence FROM seen WHERE consumer = ?3) ORDER BY sequence LIMIT ?2"
        ),
        params![as_i64(cursor(connection, consumer)?), as_i64(limit as u64), consumer],
    )
}

/// Events of a monitor with a number below `before`, newest first.
pub(super) fn of(
    connection: &Connection,
    monitor: MonitorId,
    before: Option<u64>,
    limit: usize,
) -> Result<Vec<(u64, Event)>, WorkError> {
    read(
        connection,
        &format!(
            "SELECT {COLUMNS} FROM event WHERE monitor = ?1 AND sequence < ?2 ORDER BY sequence DESC LIMIT ?3"
        ),
        params![monitor.to_string(), before.map_or(i64::MAX, as_i64), as_i64(limit as u64)],
    )
}

fn read(
    connection: &Connection,
    sql: &str,
    params: impl rusqlite::Params,
) -> Result<Vec<(u64, Event)>, WorkError> {
    let mut statement = connection.prepare_cached(sql)?;
    let rows = statement.query_map(params, numbered)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn numbered(row: &Row<'_>) -> rusqlite::Result<(u64, Event)> {
    let event =
        Event { monitor: id(row, 1)?, time: Timestamp::from_micros(row.get(2)?), kind: kind(row, 3)? };
    Ok((as_u64(row.get(0)?), event))
}

fn kind(row: &Row<'_>, column: usize) -> rusqlite::Result<EventKind> {
    json(row, column)?.ok_or_else(|| bad(column, "an event without a body"))
}

/// What decides uptime in a range; see the port.
pub(super) fn timeline(
    connection: &Connection,
    monitor: Option<MonitorId>,
    from: Timestamp,
) -> Result<Timeline, WorkError> {
    // The last status before the range, one seek in the index for each monitor, then what bears on it. Times may step
    // back with the clock: numbers do not. One monitor and all of them are two statements, since one with both would
    // use no index.
    let (each, bears) = match monitor {
        Some(_) => ("WHERE id = ?2", "INDEXED BY uptime_of_monitor WHERE monitor = ?2 AND until >= ?1"),
        None => ("WHERE ?2 IS NULL", "INDEXED BY event_on_uptime WHERE until >= ?1"),
    };
    let sql = format!(
        "SELECT monitor, time, body, sequence FROM event WHERE sequence IN (
            SELECT (SELECT last.sequence FROM event AS last
                    WHERE last.monitor = monitor.id AND last.kind = 'status' AND last.time < ?1
                    ORDER BY last.sequence DESC LIMIT 1)
            FROM monitor {each})
        UNION
        SELECT monitor, time, body, sequence FROM event {bears}
        ORDER BY 4"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let rows = statement.query_map(params![from.as_micros(), monitor.map(|id| id.to_string())], |row| {
        Ok((id(row, 0)?, Timestamp::from_micros(row.get(1)?), kind(row, 2)?))
    })?;
    let mut found = Timeline::new();
    for row in rows {
        let (id, time, kind) = row?;
        found.entry(id).or_default().extend(TimelineChange::of(time, &kind));
    }
    Ok(found)
}

/// What the events of every monitor add up to.
pub(super) fn states(connection: &Connection) -> Result<HashMap<MonitorId, MonitorState>, WorkError> {
    let mut statement =
        connection.prepare("SELECT monitor, key, body FROM condition ORDER BY monitor, since, key")?;
    let mut conditions: BTreeMap<MonitorId, Vec<Condition>> = BTreeMap::new();
    let rows = statement.query_map([], |row| {
        let condition: Option<Condition> = json(row, 2)?;
        Ok((id(row, 0)?, condition.ok_or_else(|| bad(2, "a condition without a body"))?))
    })?;
    for row in rows {
        let (id, condition) = row?;
        conditions.entry(id).or_default().push(condition);
    }
    let mut statement =
        connection.prepare("SELECT monitor, status, down, since, reason, gap_until FROM monitor_state")?;
    let rows = statement.query_map([], |row| {
        let id = id(row, 0)?;
        let status: String = row.get(1)?;
        let state = MonitorState {
            status: Status::from_name(&status).ok_or_else(|| bad(1, format!("unknown status {status}")))?,
            down: row.get(2)?,
            since: Timestamp::from_micros(row.get(3)?),
            reason: json(row, 4)?,
            conditions: Vec::new(),
            gap_until: row.get::<_, Option<i64>>(5)?.map(Timestamp::from_micros),
        };
        Ok((id, state))
    })?;
    let mut found = HashMap::new();
    for row in rows {
        let (id, mut state) = row?;
        state.conditions = conditions.remove(&id).unwrap_or_default();
        found.insert(id, state);
    }
    Ok(found)
}

/// How far a consumer has come.
pub(super) fn cursor(connection: &Connection, consumer: &str) -> Result<u64, WorkError> {
    let found: Option<i64> = connection
        .query_row("SELECT sequence FROM cursor WHERE consumer = ?1", [consumer], |row| row.get(0))
        .optional()?;
    Ok(found.map_or(0, as_u64))
}

/// How far every consumer has come.
pub(super) fn cursors(connection: &Connection) -> Result<Vec<(String, u64)>, WorkError> {
    let mut statement = connection.prepare("SELECT consumer, sequence FROM cursor")?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, as_u64(row.get(1)?))))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Notes how far a consumer has come. Never goes back.
pub(super) fn advance(transaction: &Transaction<'_>, consumer: &str, sequence: u64) -> Result<(), WorkError> {
    transaction
        .prepare_cached(
            "INSERT INTO cursor (consumer, sequence) VALUES (?1, ?2)
             ON CONFLICT (consumer) DO UPDATE SET sequence = max(sequence, excluded.sequence)",
        )?
        .execute(params![consumer, as_i64(sequence)])?;
    transaction
        .prepare_cached("DELETE FROM seen WHERE consumer = ?1 AND sequence <= ?2")?
        .execute(params![consumer, as_i64(sequence)])?;
    Ok(())
}

/// The number of the last event that was ever stored.
pub(super) fn last(connection: &Connection) -> Result<u64, WorkError> {
    let found: Option<i64> = connection
        .query_row("SELECT seq FROM sqlite_sequence WHERE name = 'event'", [], |row| row.get(0))
        .optional()?;
    Ok(found.map_or(0, as_u64))
}

/// Takes over events of another store under their numbers, which follow `number`, and notes that `reader` has come as
/// far. What stands here above it and is not there moves behind them: it gets new numbers, and is not shown again to
/// consumers that have seen it. Numbers go on above `floor`.
pub(super) fn take_over(
    transaction: &Transaction<'_>,
    reader: &str,
    number: u64,
    theirs: &[(u64, Event)],
    floor: u64,
) -> Result<(), WorkError> {
    let own = after(transaction, number, usize::MAX)?;
    let here: HashMap<u64, &Event> = own.iter().map(|(number, one)| (*number, one)).collect();
    let there: HashMap<u64, &Event> = theirs.iter().map(|(number, one)| (*number, one)).collect();
    let is_in = |all: &HashMap<u64, &Event>, number: u64, one: &Event| {
        all.get(&number).is_some_and(|other| one.is_same(other))
    };
    let new: Vec<_> = theirs.iter().filter(|(number, one)| !is_in(&here, *number, one)).collect();
    let unsent: Vec<_> = own.iter().filter(|(number, one)| !is_in(&there, *number, one)).collect();
    let consumers = cursors(transaction)?;
    if !new.is_empty() {
        for (number, _) in &unsent {
            transaction.execute("DELETE FROM event WHERE sequence = ?1", [as_i64(*number)])?;
        }
        for (number, event) in new.iter().copied() {
            store(transaction, Some(*number), event)?;
        }
    }
    raise_numbers(transaction, floor)?;
    if !new.is_empty() {
        let shared = own.iter().filter(|(number, one)| is_in(&there, *number, one));
        let mut seen: Vec<(u64, u64)> = shared.map(|(number, _)| (*number, *number)).collect();
        for (old, event) in unsent {
            seen.push((*old, store(transaction, None, event)?));
        }
        // A place above `number` was one among our own events: of theirs nothing was seen here.
        for (consumer, place) in consumers.iter().filter(|(name, place)| name != reader && *place > number) {
            transaction.execute(
                "UPDATE cursor SET sequence = ?2 WHERE consumer = ?1",
                params![consumer, as_i64(number)],
            )?;
            for (_, now) in seen.iter().filter(|(old, _)| old <= place) {
                transaction
                    .prepare_cached("INSERT OR IGNORE INTO seen (consumer, sequence) VALUES (?1, ?2)")?
                    .execute(params![consumer, as_i64(*now)])?;
            }
        }
    }
    if let Some((last, _)) = theirs.last() {
        advance(transaction, reader, *last)?;
    }
    Ok(())
}

/// Puts events in the place of those from `first` on. Numbers go on above `floor`.
pub(super) fn put(
    transaction: &Transaction<'_>,
    first: u64,
    all: &[(u64, Event)],
    floor: u64,
) -> Result<(), WorkError> {
    transaction.execute("DELETE FROM event WHERE sequence >= ?1", [as_i64(first)])?;
    for (number, event) in all {
        store(transaction, Some(*number), event)?;
    }
    raise_numbers(transaction, floor)
}

/// Lets numbers of events go on above this one.
fn raise_numbers(transaction: &Transaction<'_>, floor: u64) -> Result<(), WorkError> {
    let floor = [as_i64(floor)];
    let changed =
        transaction.execute("UPDATE sqlite_sequence SET seq = max(seq, ?1) WHERE name = 'event'", floor)?;
    if changed == 0 {
        transaction.execute("INSERT INTO sqlite_sequence (name, seq) VALUES ('event', ?1)", floor)?;
    }
    Ok(())
}

//! One replication channel, as the server's statement for it shows it. Pure: versions and flavours differ in names
//! only, and their recorded answers are tried in the tests.

use std::collections::HashMap;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;
use wise_core::{Absent, Failure, Labels, Report};
use wise_database::classes;

use crate::metrics::replication as metrics;
use crate::table::Row;

/// Longest silence of a source whose heartbeat period is not told: twice the default of MariaDB and MySQL (30 s).
const SILENCE: Duration = Duration::from_secs(61);

/// What was last heard of each source, and when.
#[derive(Debug, Default)]
pub(crate) struct Heard(HashMap<Labels, (String, Instant)>);

impl Heard {
    /// How long the source of a channel has been silent. `mark` changes whenever it is heard.
    fn silence(&mut self, channel: &Labels, mark: String) -> Duration {
        match self.0.get(channel) {
            Some((known, since)) if *known == mark => since.elapsed(),
            _ => {
                self.0.insert(channel.clone(), (mark, Instant::now()));
                Duration::ZERO
            }
        }
    }
}

/// Reads a channel into a report, and answers what is written down of it.
pub(crate) fn read(
    row: Row<'_>,
    labels: &Labels,
    beats: Option<&(String, Option<f64>)>,
    heard: &mut Heard,
    report: &mut Report,
    problems: &mut Vec<Failure>,
) -> Value {
    let name = channel_name(row);
    let io = row.text(&["Replica_IO_Running", "Slave_IO_Running"]);
    let sql = row.text(&["Replica_SQL_Running", "Slave_SQL_Running"]);
    let io_state = match io {
        Some("Yes") => 1.0,
        Some("Connecting" | "Preparing") => 2.0,
        _ => 0.0,
    };
    let is_applying = sql == Some("Yes");
    report.push_labelled(&metrics::IO_STATE, labels, io_state);
    report.push_labelled(&metrics::SQL_STATE, labels, f64::from(u8::from(is_applying)));

    // The source is heard whenever its position moves or a heartbeat comes in.
    let file = row.text(&["Source_Log_File", "Master_Log_File"]).unwrap_or("");
    let read_to = row.text(&["Read_Source_Log_Pos", "Read_Master_Log_Pos"]).unwrap_or("");
    let own_beats = row.text(&["Slave_received_heartbeats"]).unwrap_or("");
    let counted = beats.map_or("", |(count, _)| count.as_str());
    let silence = heard.silence(labels, format!("{file}/{read_to}/{own_beats}/{counted}"));
    let period = row.number(&["Slave_heartbeat_period"]).or_else(|| beats.and_then(|(_, period)| *period));
    // With a period of zero there are none.
    let knows_beats = period != Some(0.0) && (row.has(&["Slave_received_heartbeats"]) || beats.is_some());
    let patience = period
        .filter(|period| *period > 0.0)
        .map_or(SILENCE, |period| Duration::from_secs_f64(period * 1.5 + 1.0));
    let is_silent = io_state == 1.0 && knows_beats && silence > patience;
    if io_state == 1.0 && knows_beats {
        report.push_labelled(&metrics::SOURCE_AGE, labels, silence.as_secs_f64());
    }

    let delay = row.number(&["SQL_Delay"]).unwrap_or(0.0);
    if delay > 0.0 {
        report.push_labelled(&metrics::DELAY, labels, delay);
    }
    let behind = row.number(&["Seconds_Behind_Source", "Seconds_Behind_Master"]);
    match behind {
        Some(seconds) if !is_silent => {
            report.push_labelled(&metrics::LAG, labels, (seconds - delay).max(0.0));
        }
        // NULL, or a number that a silent source keeps small.
        _ => report.push_absent(&metrics::LAG, labels, Absent::NotKnown),
    }
    if let Some(bytes) = row.number(&["Relay_Log_Space"]) {
        report.push_labelled(&metrics::RELAY_LOG, labels, bytes);
    }
    let applied_file = row.text(&["Relay_Source_Log_File", "Relay_Master_Log_File"]).unwrap_or("");
    let applied_to = row.number(&["Exec_Source_Log_Pos", "Exec_Master_Log_Pos"]);
    if let (Some(read_to), Some(applied_to)) = (read_to.parse::<f64>().ok(), applied_to)
        && applied_file == file
        && !file.is_empty()
    {
        report.push_labelled(&metrics::UNAPPLIED, labels, (read_to - applied_to).max(0.0));
    }
    if let Some(count) = gtids_behind(row) {
        report.push_labelled(&metrics::GTID_BEHIND, labels, count);
    }

    let errors = [
        ("io", row.number(&["Last_IO_Errno"]), row.text(&["Last_IO_Error"])),
        ("sql", row.number(&["Last_SQL_Errno"]), row.text(&["Last_SQL_Error"])),
    ];
    let error = |which: &str| {
        let found =
            errors.iter().find(|(name, number, _)| *name == which && number.is_some_and(|n| n != 0.0));
        found.map_or(String::new(), |(_, number, _)| format!(" (error {})", number.unwrap_or(0.0)))
    };
    let of = if name.is_empty() { String::new() } else { format!(" of the channel {name}") };
    let failed = |code: &'static str, text: String| Failure::new(&classes::REPLICATION, text).code(code);
    if io_state == 0.0 {
        problems.push(failed("io_stopped", format!("the receiver{of} is stopped{}", error("io"))));
    } else if io_state == 2.0 {
        problems.push(failed(
            "io_connecting",
            format!("the receiver{of} cannot reach its source{}", error("io")),
        ));
    }
    if !is_applying {
        problems.push(failed("sql_stopped", format!("the applier{of} is stopped{}", error("sql"))));
    }
    if is_silent {
        let seconds = silence.as_secs();
        problems.push(failed(
            "source_silent",
            format!("the source{of} has not been heard for {seconds} s, though the connection is open"),
        ));
    }
    json!({
        "channel": name,
        "source": format!("{}:{}", row.string(&["Source_Host", "Master_Host"]), row.string(&["Source_Port", "Master_Port"])),
        "io_running": io,
        "sql_running": sql,
        "seconds_behind": behind,
        "io_error": errors[0].1.filter(|n| *n != 0.0).map(|n| json!([n, errors[0].2])),
        // The text holds values of rows: the number says what went wrong.
        "sql_error": errors[1].1.filter(|n| *n != 0.0),
    })
}

/// Name of the channel: empty for the default one.
pub(crate) fn channel_name(row: Row<'_>) -> String {
    row.string(&["Channel_Name", "Connection_name"])
}

/// Transactions received and not applied, where the server uses global ids.
fn gtids_behind(row: Row<'_>) -> Option<f64> {
    if let (Some(received), Some(applied)) = (row.text(&["Gtid_IO_Pos"]), row.text(&["Gtid_Slave_Pos"])) {
        return mariadb_behind(received, applied);
    }
    let received = row.text(&["Retrieved_Gtid_Set"]).filter(|text| !text.is_empty())?;
    let applied = row.text(&["Executed_Gtid_Set"])?;
    Some(mysql_behind(received, applied))
}

/// MariaDB: `domain-server-sequence`, one a domain.
fn mariadb_behind(received: &str, applied: &str) -> Option<f64> {
    let positions = |text: &str| -> HashMap<String, f64> {
        text.split(',')
            .filter_map(|gtid| {
                let mut parts = gtid.trim().split('-');
                let (domain, _, sequence) = (parts.next()?, parts.next()?, parts.next()?);
                Some((domain.to_owned(), sequence.parse().ok()?))
            })
            .collect()
    };
    let (received, applied) = (positions(received), positions(applied));
    if received.is_empty() {
        return None;
    }
    let behind =
        |(domain, sequence): (&String, &f64)| (sequence - applied.get(domain).unwrap_or(&0.0)).max(0.0);
    Some(received.iter().map(behind).sum())
}

/// MySQL: `uuid:1-5:7,uuid:…`; what is in the first set and not in the second.
fn mysql_behind(received: &str, applied: &str) -> f64 {
    let parse = |text: &str| -> HashMap<String, Vec<(u64, u64)>> {
        let mut sets: HashMap<String, Vec<(u64, u64)>> = HashMap::new();
        for part in text.split(',') {
            let mut pieces = part.trim().split(':');
            let mut key = pieces.next().unwrap_or("").to_owned();
            for piece in pieces {
                let (from, to) = piece.split_once('-').unwrap_or((piece, piece));
                match (from.trim().parse(), to.trim().parse()) {
                    (Ok(from), Ok(to)) => sets.entry(key.clone()).or_default().push((from, to)),
                    // From MySQL 8.3 on a tag may stand between.
                    _ => key = format!("{}:{piece}", key.split(':').next().unwrap_or("")),
                }
            }
        }
        sets
    };
    let (received, applied) = (parse(received), parse(applied));
    let mut missing = 0u64;
    for (source, ranges) in &received {
        let done = applied.get(source).map_or(&[][..], Vec::as_slice);
        for (from, to) in ranges {
            let total = to.saturating_sub(*from).saturating_add(1);
            let covered = done
                .iter()
                .map(|(a, b)| (*b).min(*to).saturating_add(1).saturating_sub((*a).max(*from)))
                .fold(0u64, u64::saturating_add);
            missing = missing.saturating_add(total.saturating_sub(covered));
        }
    }
    missing as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::{Table, table};

    fn outcome(table: &Table) -> (Report, Vec<String>, Value) {
        let (mut report, mut problems) = (Report::default(), Vec::new());
        let row = table.first().unwrap();
        let labels = Labels::one("channel", channel_name(row));
        let shown = read(row, &labels, None, &mut Heard::default(), &mut report, &mut problems);
        let codes = problems.into_iter().map(|p| p.code.unwrap_or_default().into_owned()).collect();
        (report, codes, shown)
    }

    fn number(report: &Report, metric: &wise_core::MetricSpec) -> Option<f64> {
        report.readings.iter().find(|r| r.metric.name() == metric.name).and_then(|r| r.value.number())
    }

    /// The columns of MySQL 8.0's SHOW REPLICA STATUS that are read, in its order.
    const MYSQL_8: [&str; 16] = [
        "Source_Host",
        "Source_Port",
        "Source_Log_File",
        "Read_Source_Log_Pos",
        "Relay_Source_Log_File",
        "Replica_IO_Running",
        "Replica_SQL_Running",
        "Exec_Source_Log_Pos",
        "Relay_Log_Space",
        "Seconds_Behind_Source",
        "Last_SQL_Errno",
        "Last_SQL_Error",
        "SQL_Delay",
        "Retrieved_Gtid_Set",
        "Executed_Gtid_Set",
        "Channel_Name",
    ];

    #[test]
    fn mysql_8_is_read_by_its_new_names() {
        let uuid = "3e11fa47-71ca-11e1-9e33-c80aa9429562";
        let received = format!("{uuid}:1-20");
        let applied = format!("{uuid}:1-12:14-15");
        let row = [
            Some("db1"),
            Some("3306"),
            Some("binlog.000003"),
            Some("900"),
            Some("binlog.000003"),
            Some("Yes"),
            Some("Yes"),
            Some("600"),
            Some("4096"),
            Some("75"),
            Some("0"),
            Some(""),
            Some("60"),
            Some(&received),
            Some(&applied),
            Some("east"),
        ];
        let (report, codes, shown) = outcome(&table(&MYSQL_8, &[&row]));
        assert_eq!(codes, Vec::<String>::new());
        assert_eq!(number(&report, &metrics::LAG), Some(15.0), "the configured delay is no lag");
        assert_eq!(number(&report, &metrics::UNAPPLIED), Some(300.0));
        assert_eq!(number(&report, &metrics::GTID_BEHIND), Some(6.0));
        assert_eq!(shown["source"], "db1:3306");
        assert_eq!(report.readings[0].labels.pairs()[0].1, "east");
    }

    #[test]
    fn a_stopped_applier_is_a_problem_and_its_lag_unknown() {
        let row = [
            Some("db1"),
            Some("3306"),
            Some("b.1"),
            Some("900"),
            Some("b.1"),
            Some("Yes"),
            Some("No"),
            Some("600"),
            Some("1"),
            None,
            Some("1062"),
            Some("Duplicate entry 'secret@example.com' for key 'PRIMARY'"),
            Some("0"),
            Some(""),
            Some(""),
            Some(""),
        ];
        let (report, codes, shown) = outcome(&table(&MYSQL_8, &[&row]));
        assert_eq!(codes, ["sql_stopped"]);
        assert_eq!(number(&report, &metrics::LAG), None);
        assert!(report.readings.iter().any(|r| r.value == wise_core::ReadingValue::Absent(Absent::NotKnown)));
        let text = shown.to_string();
        assert!(text.contains("1062") && !text.contains("secret@example.com"), "{text}");
    }

    #[test]
    fn old_names_are_read_too() {
        let columns = [
            "Master_Host",
            "Master_Port",
            "Slave_IO_Running",
            "Slave_SQL_Running",
            "Seconds_Behind_Master",
            "Last_IO_Errno",
        ];
        let row = [Some("db1"), Some("3306"), Some("Connecting"), Some("Yes"), None, Some("2003")];
        let (report, codes, _) = outcome(&table(&columns, &[&row]));
        assert_eq!(codes, ["io_connecting"]);
        assert_eq!((number(&report, &metrics::IO_STATE), number(&report, &metrics::LAG)), (Some(2.0), None));
    }

    #[test]
    fn global_ids_are_sets_and_not_numbers() {
        assert_eq!(mariadb_behind("0-1-120,5-2-7", "0-1-100"), Some(27.0));
        assert_eq!(mariadb_behind("", "0-1-100"), None);
        assert_eq!(mysql_behind("a:1-5:10,b:3", "a:1-4:10"), 2.0);
        assert_eq!(mysql_behind("a:1-5", "a:1-10"), 0.0);
        assert_eq!(mysql_behind("a:tag:1-5", "a:1-5"), 5.0, "a tag is a sequence of its own");
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_source_is_noticed_by_its_heartbeats() {
        let columns = [
            "Slave_IO_Running",
            "Slave_SQL_Running",
            "Seconds_Behind_Master",
            "Slave_received_heartbeats",
            "Slave_heartbeat_period",
        ];
        let at = |beats: &str| {
            table(&columns, &[&[Some("Yes"), Some("Yes"), Some("0"), Some(beats), Some("2.000")]])
        };
        let mut heard = Heard::default();
        let mut ask = |table: &Table| {
            let (mut report, mut problems) = (Report::default(), Vec::new());
            read(table.first().unwrap(), &Labels::default(), None, &mut heard, &mut report, &mut problems);
            (number(&report, &metrics::LAG), problems.into_iter().next().and_then(|p| p.code))
        };
        assert_eq!(ask(&at("1")), (Some(0.0), None));
        tokio::time::advance(Duration::from_secs(3)).await;
        assert_eq!(ask(&at("1")), (Some(0.0), None));
        tokio::time::advance(Duration::from_secs(2)).await;
        assert_eq!(ask(&at("1")), (None, Some("source_silent".into())));
        assert_eq!(ask(&at("2")), (Some(0.0), None), "a heartbeat ends the silence");
    }
}

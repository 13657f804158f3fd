//! Replication: channels by which this server follows others, replicas that follow it, and groups.

use std::collections::HashMap;

use wise_core::label::UniqueLabels;
use wise_core::{Absent, Failure, Labels, async_trait, common};
use wise_database::classes;

use crate::activity::missing;
use crate::channel::{self, Heard};
use crate::config::{ExpectedRole, Watched};
use crate::metrics::replication as metrics;
use crate::session::Session;
use crate::table::Table;
use crate::{Run, Step};

#[derive(Debug, Default)]
pub(crate) struct Replication {
    heard: Heard,
}

#[async_trait]
impl Step<Watched> for Replication {
    async fn run(&mut self, run: &mut Run<'_>) -> Result<(), Failure> {
        let mut session = run.watched.server.kept(&mut run.stages).await?;
        run.report.local = session.is_local;
        run.stages.begin("replication");
        let mut problems = Vec::new();
        let channels = match channels(&mut session).await {
            Ok(table) => table,
            Err(failure) if failure.class.name == common::PERMISSION.name => {
                let grant = if session.flavour.is_mariadb { "SLAVE MONITOR" } else { "REPLICATION CLIENT" };
                let text = format!("GRANT {grant} ON *.* TO the monitor's user");
                run.report.push_absent(&metrics::CHANNELS, &Labels::default(), Absent::NoPermission(text));
                let text = format!("replication cannot be seen: GRANT {grant} ON *.* TO the monitor's user");
                problems.push(Failure::new(&common::PERMISSION, text).code("1227"));
                Table::default()
            }
            Err(failure) => return Err(failure),
        };
        let beats = heartbeats(&mut session).await;
        if problems.is_empty() {
            run.report.push(&metrics::CHANNELS, channels.rows.len() as f64);
        }
        let mut shown = Vec::new();
        let mut unique = UniqueLabels::default();
        for row in channels.rows() {
            let labels = unique.of(Labels::one("channel", channel::channel_name(row)));
            let beat = beats.get(&channel::channel_name(row));
            shown.push(channel::read(row, &labels, beat, &mut self.heard, &mut run.report, &mut problems));
        }
        if !shown.is_empty() {
            run.note("channels", shown);
        }
        self.expectations(&mut session, &channels, run, &mut problems).await?;
        group(&mut session, run).await;
        if let Some(table) = &run.watched.settings.heartbeat_table {
            let now = if run.watched.settings.heartbeat_utc { "UTC_TIMESTAMP(6)" } else { "NOW(6)" };
            let statement =
                format!("SELECT TIMESTAMPDIFF(MICROSECOND, MAX(ts), {now}) / 1e6 AS age FROM {table}");
            match session.query(&statement).await {
                Ok(table) => match table.first().and_then(|row| row.number(&["age"])) {
                    Some(age) => run.report.push(&metrics::HEARTBEAT_LAG, age.max(0.0)),
                    None => {
                        run.report.push_absent(&metrics::HEARTBEAT_LAG, &Labels::default(), Absent::NotKnown);
                    }
                },
                Err(failure) => {
                    let why = missing(failure, "GRANT SELECT ON the heartbeat table TO the monitor's user")?;
                    run.report.push_absent(&metrics::HEARTBEAT_LAG, &Labels::default(), why);
                }
            }
        }
        run.stages.end();
        session.keep().await;
        problems.into_iter().next().map_or(Ok(()), Err)
    }
}

/// The channels, by the statement that the server knows: old ones were removed, new ones came late, and MariaDB's answer
/// for several channels has a name of its own.
async fn channels(session: &mut Session) -> Result<Table, Failure> {
    let statement = if session.flavour.is_mariadb {
        "SHOW ALL SLAVES STATUS"
    } else if session.flavour.is_mysql_from((8, 0, 22)) {
        "SHOW REPLICA STATUS"
    } else {
        "SHOW SLAVE STATUS"
    };
    session.query(statement).await
}

/// Heartbeats received by channel, and their period; MariaDB has them among the channel's columns.
async fn heartbeats(session: &mut Session) -> HashMap<String, (String, Option<f64>)> {
    if session.flavour.is_mariadb {
        return HashMap::new();
    }
    let statement = "SELECT s.CHANNEL_NAME AS channel, s.COUNT_RECEIVED_HEARTBEATS AS beats, c.HEARTBEAT_INTERVAL AS period \
                     FROM performance_schema.replication_connection_status s \
                     JOIN performance_schema.replication_connection_configuration c USING (CHANNEL_NAME)";
    // It needs SELECT on performance_schema: without it silence is not noticed by heartbeats.
    let Ok(table) = session.query(statement).await else { return HashMap::new() };
    table
        .rows()
        .map(|row| (row.string(&["channel"]), (row.string(&["beats"]), row.number(&["period"]))))
        .collect()
}

impl Replication {
    async fn expectations(
        &mut self,
        session: &mut Session,
        channels: &Table,
        run: &mut Run<'_>,
        problems: &mut Vec<Failure>,
    ) -> Result<(), Failure> {
        let settings = &run.watched.settings;
        let is_known = problems.iter().all(|problem| problem.class.name != common::PERMISSION.name);
        if settings.expected_role == ExpectedRole::Replica && is_known {
            // RESET REPLICA removes the row, and with it every other sign.
            if channels.rows.is_empty() {
                let text = "a replica is expected, and no source is configured";
                problems.push(Failure::new(&classes::REPLICATION, text).code("not_configured"));
            }
            let writable = session.query("SELECT @@global.read_only AS read_only").await?;
            if writable
                .first()
                .and_then(|row| row.text(&["read_only"]))
                .is_some_and(|text| matches!(text, "0" | "OFF"))
            {
                let text = "a replica is expected, and the server takes writes (read_only is off)";
                problems.push(Failure::new(&classes::REPLICATION, text).code("writable_replica"));
            }
        }
        let statement = format!(
            "SELECT COUNT(*) AS replicas FROM {} WHERE COMMAND IN ('Binlog Dump', 'Binlog Dump GTID')",
            crate::activity::sessions(session)
        );
        let replicas = session.query(&statement).await?.first().and_then(|row| row.number(&["replicas"]));
        if let Some(replicas) = replicas {
            run.report.push(&metrics::REPLICAS, replicas);
            let expected = settings.expected_replicas;
            if replicas < f64::from(expected) {
                let text = format!("{replicas} of {expected} expected replicas are connected to this server");
                problems.push(Failure::new(&classes::REPLICATION, text).code("replica_missing"));
            }
        }
        Ok(())
    }
}

/// Group replication, which MySQL alone has.
async fn group(session: &mut Session, run: &mut Run<'_>) {
    if session.flavour.is_mariadb {
        return;
    }
    let statement = "SELECT MEMBER_ID = @@server_uuid AS is_self, MEMBER_HOST AS host, MEMBER_PORT AS port, MEMBER_STATE AS state \
                     FROM performance_schema.replication_group_members";
    let Ok(table) = session.query(statement).await else { return };
    if let Some(online) = members(&table, run) {
        run.report.push(&metrics::MEMBERS_ONLINE, online);
    }
}

fn members(table: &Table, run: &mut Run<'_>) -> Option<f64> {
    // A server outside of any group lists itself as OFFLINE without a host.
    let members: Vec<_> = table.rows().filter(|row| !row.string(&["host"]).is_empty()).collect();
    if members.is_empty() {
        return None;
    }
    for row in &members {
        let state = match row.text(&["state"]) {
            Some("ONLINE") => 0.0,
            Some("RECOVERING") => 1.0,
            Some("OFFLINE") => 2.0,
            Some("UNREACHABLE") => 3.0,
            _ => 4.0,
        };
        if row.text(&["is_self"]) == Some("1") {
            run.report.push(&metrics::MEMBER_STATE, state);
        }
    }
    Some(members.iter().filter(|row| row.text(&["state"]) == Some("ONLINE")).count() as f64)
}

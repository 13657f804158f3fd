//! Replication, seen from the primary or from the standby.

use serde_json::json;
use tokio::time::Instant;
use wise_core::{Absent, Failure, Labels, async_trait};
use wise_database::classes;

use crate::activity::GRANT;
use crate::config::Watched;
use crate::metrics::replication as metrics;
use crate::peer::{self, Peer};
use crate::rows::{Row, Rows};
use crate::session::Session;
use crate::slots::Slots;
use crate::{Run, Step};

#[derive(Debug, Default)]
pub(crate) struct Replication {
    slots: Slots,
    /// When the last check was, and how far the log was received then.
    received: Option<(Instant, f64)>,
}

#[async_trait]
impl Step<Watched> for Replication {
    async fn run(&mut self, run: &mut Run<'_>) -> Result<(), Failure> {
        let session = run.watched.server.kept(&mut run.stages).await?;
        run.report.local = session.is_local;
        run.stages.begin("role");
        let role = session.rows("SELECT pg_is_in_recovery() AS standby").await?;
        let is_standby = role.first().is_some_and(|row| row.is("standby"));
        run.stages.begin("replication");
        let mut problems = Vec::new();
        if is_standby {
            self.standby(&session, run, &mut problems).await?;
        }
        // A standby may have standbys of its own.
        self.primary(&session, is_standby, run, &mut problems).await?;
        self.slots.read(&session, is_standby, run, &mut problems).await?;
        subscriptions(&session, run, &mut problems).await?;
        run.stages.end();
        session.keep().await;
        problems.into_iter().next().map_or(Ok(()), Err)
    }
}

/// Where the log is now: what was written on a primary, what was received or replayed on a standby.
fn position(is_standby: bool) -> &'static str {
    if is_standby {
        "coalesce(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn())"
    } else {
        "pg_current_wal_lsn()"
    }
}

/// Whether a row of pg_stat_replication is one of a standby that may be seen. Backups and log archivers come and go, and
/// replay nothing.
fn is_standby_of_ours(row: &Row) -> bool {
    let name = row.text("application_name");
    !matches!(name, Some("pg_basebackup" | "pg_receivewal" | "pg_rewind"))
        // A base backup has this state, whatever the tool calls itself.
        && row.text("state").is_some_and(|state| state != "backup")
}

impl Replication {
    async fn primary(
        &mut self,
        session: &Session,
        is_standby: bool,
        run: &mut Run<'_>,
        problems: &mut Vec<Failure>,
    ) -> Result<(), Failure> {
        let now = position(is_standby);
        let sets = session
            .run(&format!(
                "SELECT pg_wal_lsn_diff({now}, '0/0') AS position;\
                 SELECT pid, application_name, host(client_addr) AS address, client_port, state, sync_state, \
                 (SELECT slot_name FROM pg_replication_slots o WHERE o.active_pid = r.pid AND NOT o.temporary LIMIT 1) AS slot, \
                 pg_wal_lsn_diff({now}, replay_lsn) AS behind, extract(epoch FROM flush_lag) AS flush_lag, \
                 extract(epoch FROM replay_lag) AS replay_lag FROM pg_stat_replication r \
                 WHERE pid NOT IN (SELECT active_pid FROM pg_replication_slots WHERE slot_type = 'logical' \
                 AND active_pid IS NOT NULL) ORDER BY pid LIMIT 100"
            ))
            .await?;
        let [positions, standbys] = <[Rows; 2]>::try_from(sets).unwrap_or_default();
        run.report
            .push_some(&metrics::WAL_GENERATED, positions.first().and_then(|row| row.number("position")));
        let mut streaming = 0u32;
        let mut shown = Vec::new();
        let report = &mut run.report;
        // Without the right to see them standbys have no names: one reading stands for all.
        if standbys.iter().any(|row| row.text("state").is_none()) {
            for metric in [&metrics::STANDBY_STATE, &metrics::REPLAY_LAG_BYTES] {
                report.push_absent(metric, &Labels::default(), Absent::NoPermission(GRANT.to_owned()));
            }
        }
        let rows: Vec<&Row> = standbys.iter().filter(|row| is_standby_of_ours(row)).collect();
        let peers: Vec<Peer> = rows.iter().map(|row| Peer::read(row)).collect();
        for ((row, peer), labels) in rows.into_iter().zip(&peers).zip(peer::labels(&peers)) {
            let state = row.string("state");
            streaming += u32::from(state == "streaming");
            let code = match state.as_str() {
                "streaming" => 0.0,
                "catchup" | "startup" => 1.0,
                _ => 2.0,
            };
            report.push_labelled(&metrics::STANDBY_STATE, &labels, code);
            let behind = row.number("behind").map(|bytes| bytes.max(0.0));
            if let Some(bytes) = behind {
                report.push_labelled(&metrics::REPLAY_LAG_BYTES, &labels, bytes);
            }
            // The server has no lag for a standby that is idle and has replayed everything: then it is zero.
            for (metric, column) in [(&metrics::FLUSH_LAG, "flush_lag"), (&metrics::REPLAY_LAG, "replay_lag")]
            {
                match (row.number(column), behind) {
                    (Some(lag), _) => report.push_labelled(metric, &labels, lag),
                    (None, Some(0.0)) => report.push_labelled(metric, &labels, 0.0),
                    (None, _) => report.push_absent(metric, &labels, Absent::NotKnown),
                }
            }
            shown.push(json!({"standby": peer.name, "address": peer.address, "port": peer.port, "slot": peer.slot, "state": state, "sync_state": row.text("sync_state"),
                "behind_bytes": behind, "replay_lag_seconds": row.number("replay_lag")}));
        }
        let expected = run.watched.settings.expected_replicas;
        run.report.push(&metrics::STANDBYS, f64::from(streaming));
        if !shown.is_empty() {
            run.evidence.insert("standbys".to_owned(), shown.into());
        }
        if streaming < expected && !is_standby {
            let text = format!("{streaming} of {expected} expected standbys stream from this server");
            problems.push(Failure::new(&classes::REPLICATION, text).code("standby_missing"));
        }
        Ok(())
    }

    async fn standby(
        &mut self,
        session: &Session,
        run: &mut Run<'_>,
        problems: &mut Vec<Failure>,
    ) -> Result<(), Failure> {
        let paused = if session.version >= 140_000 {
            "pg_get_wal_replay_pause_state() <> 'not paused'"
        } else {
            "pg_is_wal_replay_paused()"
        };
        let sets = session
            .run(&format!(
                "SELECT {paused} AS paused, pg_last_wal_receive_lsn() AS received, \
                 pg_wal_lsn_diff(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn()) AS unreplayed, \
                 pg_wal_lsn_diff(pg_last_wal_receive_lsn(), '0/0') AS received_to, \
                 pg_wal_lsn_diff(pg_last_wal_replay_lsn(), '0/0') AS replayed_to, \
                 coalesce(current_setting('primary_conninfo', true), 'unknown') = '' AS ships, \
                 extract(epoch FROM current_setting('recovery_min_apply_delay')::interval) AS delay, \
                 extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp()) AS lag, \
                 extract(epoch FROM current_setting('wal_receiver_timeout')::interval) AS timeout;\
                 SELECT status, extract(epoch FROM clock_timestamp() - last_msg_receipt_time) AS age, slot_name, \
                 pg_has_role('pg_read_all_stats', 'USAGE') AS may_see FROM pg_stat_wal_receiver"
            ))
            .await?;
        let [states, receivers] = <[Rows; 2]>::try_from(sets).unwrap_or_default();
        let Some(state) = states.first() else { return Ok(()) };
        let is_paused = state.is("paused");
        run.report.push(&metrics::REPLAY_PAUSED, f64::from(u8::from(is_paused)));
        let unreplayed = state.number("unreplayed").map(|bytes| bytes.max(0.0));
        run.report.push_some(&metrics::LAG_BYTES, unreplayed);
        let receiver = receivers.first();
        if receiver.is_some_and(|row| row.text("status").is_none() && !row.is("may_see")) {
            let why = || Absent::NoPermission(GRANT.to_owned());
            for metric in [&metrics::RECEIVER, &metrics::RECEIVER_AGE, &metrics::LAG] {
                run.report.push_absent(metric, &Labels::default(), why());
            }
            return Ok(());
        }
        let is_streaming = receiver.is_some_and(|row| row.text("status") == Some("streaming"));
        run.report.push(&metrics::RECEIVER, f64::from(u8::from(is_streaming)));
        let age = receiver.and_then(|row| row.number("age")).map(|age| age.max(0.0));
        run.report.push_some(&metrics::RECEIVER_AGE, age);
        // A receiver asks for a sign of life after half its timeout: with an older message the primary hangs.
        let patience = state.number("timeout").filter(|timeout| *timeout > 0.0).unwrap_or(60.0) / 2.0 + 1.0;
        let is_fresh = is_streaming && age.is_some_and(|age| age <= patience);
        run.evidence.insert(
            "receiver".to_owned(),
            json!({"status": receiver.and_then(|row| row.text("status")), "last_message_age_seconds": age,
                "unreplayed_bytes": unreplayed, "replay_paused": is_paused}),
        );
        // Everything replayed is no lag, but only while the primary is heard: a dead one sends nothing either.
        let delay = state.number("delay").unwrap_or(0.0);
        let lag = state.number("lag").map(|lag| self.bounded(lag, state) - delay);
        match (lag, unreplayed) {
            (_, Some(0.0)) if is_fresh => run.report.push(&metrics::LAG, 0.0),
            (Some(lag), Some(bytes)) if bytes > 0.0 => run.report.push(&metrics::LAG, lag.max(0.0)),
            _ => run.report.push_absent(&metrics::LAG, &Labels::default(), Absent::NotKnown),
        }
        // A standby that takes its log from an archive has no receiver, and one without a timeout asks for no signs.
        let never_pings = state.number("timeout") == Some(0.0);
        if state.is("ships") {
        } else if !is_streaming {
            let text = "this standby does not receive from its primary";
            problems.push(Failure::new(&classes::REPLICATION, text).code("receiver_stopped"));
        } else if !is_fresh && !never_pings {
            let seconds = age.unwrap_or(0.0).round();
            let text = format!(
                "this standby has not heard from its primary for {seconds} s, though the connection is open"
            );
            problems.push(Failure::new(&classes::REPLICATION, text).code("primary_silent"));
        }
        Ok(())
    }
}

impl Replication {
    /// The age of the last replayed commit says nothing while a long transaction is replayed. What was received at the
    /// check before and is replayed now is no older than that check.
    fn bounded(&mut self, lag: f64, state: &Row) -> f64 {
        let (received, replayed) = (state.number("received_to"), state.number("replayed_to"));
        let before = std::mem::replace(&mut self.received, received.map(|to| (Instant::now(), to)));
        match (before, replayed) {
            (Some((since, to)), Some(replayed)) if replayed >= to => lag.min(since.elapsed().as_secs_f64()),
            _ => lag,
        }
    }
}

async fn subscriptions(
    session: &Session,
    run: &mut Run<'_>,
    problems: &mut Vec<Failure>,
) -> Result<(), Failure> {
    // Columns by name: subconninfo holds a password, and only superusers may read it.
    let errors = if session.version >= 150_000 {
        "(SELECT apply_error_count FROM pg_stat_subscription_stats e WHERE e.subid = s.oid)"
    } else {
        "NULL"
    };
    // A subscription has one worker that applies, beside those that help it.
    let leader = match session.version {
        170_000.. => "AND w.worker_type = 'apply'",
        160_000.. => "AND w.leader_pid IS NULL",
        _ => "",
    };
    let rows = match session
        .rows(&format!(
            "SELECT d.datname, s.subname, s.subenabled, w.pid, extract(epoch FROM clock_timestamp() - w.last_msg_receipt_time) AS age, \
             {errors} AS errors FROM pg_subscription s LEFT JOIN pg_stat_subscription w ON w.subid = s.oid AND w.relid IS NULL \
             {leader} JOIN pg_database d ON d.oid = s.subdbid LIMIT 100"
        ))
        .await
    {
        Ok(rows) => rows,
        // Before PostgreSQL 12 ordinary roles may not read the list.
        Err(failure) if failure.class.name == wise_core::common::PERMISSION.name => return Ok(()),
        Err(failure) => return Err(failure),
    };
    for row in &rows {
        let name = row.string("subname");
        let labels = Labels::one("subscription", name.clone()).with("database", row.string("datname"));
        let is_enabled = row.is("subenabled");
        let works = is_enabled && row.number("pid").is_some();
        run.report.push_labelled(&metrics::SUBSCRIPTION_STATE, &labels, f64::from(u8::from(works)));
        if let Some(age) = row.number("age") {
            run.report.push_labelled(&metrics::SUBSCRIPTION_AGE, &labels, age.max(0.0));
        }
        if let Some(errors) = row.number("errors") {
            run.report.push_labelled(&metrics::SUBSCRIPTION_ERRORS, &labels, errors);
        }
        if is_enabled && !works {
            let text = format!("the subscription {name} is enabled, and its worker does not run");
            problems.push(Failure::new(&classes::REPLICATION, text).code("subscription_stopped"));
        }
    }
    Ok(())
}

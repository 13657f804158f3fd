//! Replication slots: what they keep from being removed, and whether they are lost.

use std::collections::HashMap;

use serde_json::json;
use tokio::time::Instant;
use wise_core::{Absent, Failure, Labels};
use wise_database::classes;

use crate::Run;
use crate::metrics::replication as metrics;
use crate::session::Session;

/// Since when each slot has been seen unused.
#[derive(Debug, Default)]
pub(crate) struct Slots(HashMap<String, Instant>);

impl Slots {
    pub(crate) async fn read(
        &mut self,
        session: &Session,
        is_standby: bool,
        run: &mut Run<'_>,
        problems: &mut Vec<Failure>,
    ) -> Result<(), Failure> {
        let version = session.version;
        let status = if version >= 130_000 {
            "wal_status, safe_wal_size"
        } else {
            "NULL AS wal_status, NULL AS safe_wal_size"
        };
        let since = if version >= 170_000 {
            "extract(epoch FROM clock_timestamp() - inactive_since) AS inactive, invalidation_reason"
        } else if version >= 160_000 {
            "NULL AS inactive, CASE WHEN conflicting THEN 'conflicting' END AS invalidation_reason"
        } else {
            "NULL AS inactive, NULL AS invalidation_reason"
        };
        let now = if is_standby { "pg_last_wal_receive_lsn()" } else { "pg_current_wal_lsn()" };
        let rows = session
            .rows(&format!(
                "SELECT slot_name, slot_type, coalesce(database, '') AS database, active, {status}, {since}, \
                 pg_wal_lsn_diff({now}, restart_lsn) AS retained FROM pg_replication_slots ORDER BY slot_name LIMIT 100"
            ))
            .await?;
        let mut shown = Vec::new();
        let mut unused = HashMap::new();
        for row in &rows {
            let name = row.string("slot_name");
            let labels = Labels::one("slot", name.clone());
            let report = &mut run.report;
            let is_active = row.is("active");
            report.push_labelled(&metrics::SLOT_ACTIVE, &labels, f64::from(u8::from(is_active)));
            // On a standby, slots that wait for a failover are unused by design.
            if !is_active && !is_standby {
                let since = self.0.get(&name).copied().unwrap_or_else(Instant::now);
                unused.insert(name.clone(), since);
                let seconds = row.number("inactive").unwrap_or_else(|| since.elapsed().as_secs_f64());
                report.push_labelled(&metrics::SLOT_INACTIVE, &labels, seconds.max(0.0));
            }
            let wal_status = row.text("wal_status");
            let code = match wal_status {
                Some("reserved") => Some(0.0),
                Some("extended") => Some(1.0),
                Some("unreserved") => Some(2.0),
                Some("lost") => Some(3.0),
                _ => None,
            };
            if let Some(code) = code {
                report.push_labelled(&metrics::SLOT_WAL_STATUS, &labels, code);
            }
            if let Some(bytes) = row.number("safe_wal_size") {
                report.push_labelled(&metrics::SLOT_SAFE, &labels, bytes);
            }
            match row.number("retained") {
                Some(bytes) => report.push_labelled(&metrics::SLOT_RETAINED, &labels, bytes.max(0.0)),
                // A lost slot has no position left: silence here is the worst case, not the best.
                None => report.push_absent(&metrics::SLOT_RETAINED, &labels, Absent::NotKnown),
            }
            let reason = row.text("invalidation_reason");
            if wal_status == Some("lost") || reason.is_some() {
                let why = reason.map_or(String::new(), |reason| format!(" ({reason})"));
                let text = format!(
                    "the replication slot {name} has lost the log it needs{why}: its standby must be built again"
                );
                problems.push(Failure::new(&classes::REPLICATION, text).code("slot_lost"));
            }
            shown.push(json!({"slot": name, "type": row.text("slot_type"), "database": row.text("database"),
                "active": is_active, "wal_status": wal_status, "retained_bytes": row.number("retained")}));
        }
        self.0 = unused;
        if !shown.is_empty() {
            run.evidence.insert("slots".to_owned(), shown.into());
        }
        Ok(())
    }
}

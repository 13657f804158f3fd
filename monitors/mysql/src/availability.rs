//! Availability: a fresh login, version and read_only, and SELECT 1.

use wise_core::{Failure, async_trait};
use wise_database::{Reusable, classes};

use crate::config::{ExpectedRole, Watched};
use crate::metrics::availability as metrics;
use crate::table::Row;
use crate::{Run, Step};

pub(crate) struct Availability;

#[async_trait]
impl Step<Watched> for Availability {
    async fn run(&mut self, run: &mut Run<'_>) -> Result<(), Failure> {
        let outcome = check(run).await;
        let stages = [
            ("dns", &metrics::DNS),
            ("connect", &metrics::CONNECT),
            ("handshake", &metrics::HANDSHAKE),
            ("tls", &metrics::TLS),
            ("auth", &metrics::AUTH),
            ("role", &metrics::ROLE),
            ("query", &metrics::QUERY),
        ];
        run.stages.readings(&stages, &mut run.report);
        if let Some(answered) = run.answered {
            run.report.push(&metrics::TOTAL, answered.as_secs_f64());
        }
        outcome
    }
}

/// `read_only` is a switch in MySQL, a level in newer MariaDB.
fn read_only(row: Row<'_>) -> f64 {
    let level = |name: &str| match row.text(&[name]) {
        Some("1" | "ON") => 1.0,
        Some("2" | "3" | "NO_LOCK" | "NO_LOCK_NO_ADMIN") => 2.0,
        _ => 0.0,
    };
    if level("super_read_only") > 0.0 { 2.0 } else { level("read_only") }
}

async fn check(run: &mut Run<'_>) -> Result<(), Failure> {
    let mut session = run.watched.server.login(None, run.cx.timeout, &mut run.stages).await?;
    let tls = session.tls.unwrap_or("plain text");
    if let Some(certificate) = &session.gate.certificate {
        let seconds = certificate.not_after.as_seconds_f64() - run.cx.now.as_seconds_f64();
        run.report.push(&metrics::CERTIFICATE, seconds / 86_400.0);
    }
    let flavour = session.flavour.clone();
    run.report.facts.extend([
        ("version", flavour.text.clone()),
        ("flavour", flavour.name().to_owned()),
        ("tls", tls.to_owned()),
    ]);
    run.stages.begin("query");
    session.query("SELECT 1").await?;
    run.stages.end();
    run.answered = Some(run.started.elapsed());
    let states = session
        .query("SHOW GLOBAL VARIABLES WHERE Variable_name IN ('read_only', 'super_read_only')")
        .await?;
    let cells: Vec<(String, Option<String>)> = states
        .rows()
        .map(|row| (row.string(&["Variable_name"]), row.text(&["Value"]).map(str::to_owned)))
        .collect();
    let columns: Vec<String> = cells.iter().map(|(name, _)| name.clone()).collect();
    let table = crate::table::Table {
        columns: columns.into(),
        rows: vec![cells.into_iter().map(|(_, value)| value).collect()],
    };
    let level = table.first().map_or(0.0, read_only);
    run.report.push(&metrics::READ_ONLY, level);
    let uptime = session.query("SHOW GLOBAL STATUS LIKE 'Uptime'").await?;
    run.report.push_some(&metrics::UPTIME, uptime.first().and_then(|row| row.number(&["Value"])));
    session.close().await;
    if run.watched.settings.expected_role == ExpectedRole::Primary && level > 0.0 {
        let text = "a primary is expected, and the server only reads (read_only)";
        return Err(Failure::new(&classes::READ_ONLY, text).code("read_only"));
    }
    Ok(())
}

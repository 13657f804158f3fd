//! Availability: a fresh login, the role, and SELECT 1.

use serde_json::json;
use wise_core::{Failure, async_trait};
use wise_database::{Reusable, classes};

use crate::config::{ExpectedRole, Watched};
use crate::metrics::availability as metrics;
use crate::{Run, Step};

pub(crate) struct Availability;

const ROLE: &str = "SELECT pg_is_in_recovery() AS standby, \
     extract(epoch FROM clock_timestamp() - pg_postmaster_start_time()) AS uptime, \
     current_setting('default_transaction_read_only') AS read_only";
/// Apart, because a compatible server may not have it.
const TIMELINE: &str = "SELECT timeline_id AS timeline FROM pg_control_checkpoint()";

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

async fn check(run: &mut Run<'_>) -> Result<(), Failure> {
    let server = &run.watched.server;
    let session = server.login(None, run.cx.timeout, &mut run.stages).await?;
    let tls = session.tls.map_or_else(|| "plain text".to_owned(), |(version, _)| version.to_owned());
    run.report.facts.extend([("version", session.version_text.clone()), ("tls", tls)]);
    if let Some(certificate) = &session.certificate {
        let seconds = certificate.not_after.as_seconds_f64() - run.cx.now.as_seconds_f64();
        run.report.push(&metrics::CERTIFICATE, seconds / 86_400.0);
    }
    run.stages.begin("role");
    let rows = session.rows(ROLE).await?;
    if let Ok(timeline) = session.rows(TIMELINE).await
        && let Some(number) = timeline.first().and_then(|row| row.number("timeline"))
    {
        run.report.push(&metrics::TIMELINE, number);
    }
    let Some(row) = rows.first() else {
        return Err(Failure::new(&classes::STATEMENT, "the server does not tell its role").code("no_rows"));
    };
    let is_standby = row.is("standby");
    let is_read_only = is_standby || row.text("read_only") == Some("on");
    if let Some(uptime) = row.number("uptime") {
        run.report.push(&metrics::UPTIME, uptime);
    }
    run.report.push(&metrics::ROLE_STATE, f64::from(u8::from(is_standby)));
    run.report.push(&metrics::READ_ONLY, f64::from(u8::from(is_read_only)));
    let role = if is_standby { "standby" } else { "primary" };
    run.report.facts.push(("role", role.to_owned()));
    run.evidence.insert("role".to_owned(), json!(role));
    run.stages.begin("query");
    session.rows("SELECT 1").await?;
    run.stages.end();
    run.answered = Some(run.started.elapsed());
    session.close().await;
    match run.watched.settings.expected_role {
        ExpectedRole::Primary if is_standby => Err(wrong_role("primary", role)),
        ExpectedRole::Standby if !is_standby => Err(wrong_role("standby", role)),
        ExpectedRole::Primary if is_read_only => {
            let text = "the server is a primary, and default_transaction_read_only is on";
            Err(Failure::new(&classes::READ_ONLY, text).code("default_transaction_read_only"))
        }
        _ => Ok(()),
    }
}

fn wrong_role(expected: &str, found: &'static str) -> Failure {
    Failure::new(&classes::WRONG_ROLE, format!("a {expected} is expected, and the server is a {found}"))
        .code(found)
}

//! Whether the server can be used: a fresh connection, staged, up to INFO and PING.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;
use wise_core::{CheckContext, Probe, Report, RestartWatch};
use wise_database::TlsMode;

use crate::evidence::{self, Course};
use crate::info::Info;
use crate::login::{self, Found};
use crate::metrics::reach;
use crate::server::Server;

/// How long a restart is told of.
const TOLD_FOR: Duration = Duration::from_secs(60);
const SECONDS_A_DAY: f64 = 86_400.0;

/// The probe.
#[derive(Debug)]
pub(crate) struct AvailabilityProbe {
    server: Arc<Server>,
    facts: Vec<(&'static str, String)>,
    restarts: RestartWatch,
}

impl AvailabilityProbe {
    pub(crate) fn new(server: Arc<Server>) -> Self {
        Self { server, facts: Vec::new(), restarts: RestartWatch::new(TOLD_FOR) }
    }

    /// Facts that differ from the last check's.
    fn changed_facts(&mut self, course: &Course, report: &mut Report) {
        let Some(info) = &course.info else { return };
        let tls = course.stages.trace.tls_session;
        let tls = tls.map_or_else(|| "plain text".to_owned(), |(version, _)| version.replace('_', "."));
        let facts = vec![
            ("redis.version", info.version().to_owned()),
            ("redis.flavour", info.flavour().to_owned()),
            ("redis.mode", info.mode().to_owned()),
            ("redis.role", info.standing().name().to_owned()),
            ("redis.tls", tls),
        ];
        if facts != self.facts {
            report.facts.extend(facts.iter().filter(|fact| !self.facts.contains(fact)).cloned());
            self.facts = facts;
        }
    }
}

fn readings(info: &Info, restarts: &mut RestartWatch, report: &mut Report) {
    if let Some(uptime) = info.number("uptime_in_seconds") {
        report.push(&reach::UPTIME, uptime);
        report.push(&reach::RESTARTED, f64::from(u8::from(restarts.is_recent(uptime))));
    }
    if info.is("loading", "1") {
        if let Some(eta) = info.positive("loading_eta_seconds") {
            report.push_estimate(&reach::LOADING_ETA, &wise_core::Labels::default(), eta);
        }
        if let Some(percent) = info.positive("loading_loaded_perc") {
            report.push(&reach::LOADED, percent / 100.0);
        }
    }
}

#[async_trait]
impl Probe for AvailabilityProbe {
    async fn check(&mut self, cx: &CheckContext) -> Report {
        let started = Instant::now();
        let server = self.server.clone();
        let mut course = Course::default();
        let mut found = Found::default();
        let mut report = Report::default();
        let outcome = evidence::bounded(cx, login::login(&server, &mut course.stages, &mut found)).await;
        if matches!(outcome, Some(Ok(()))) {
            report.push(&reach::TOTAL, started.elapsed().as_secs_f64());
        }
        course.stages.readings(&reach::STAGES, &mut report);
        let shown = course.stages.trace.certificates.iter().map(|certificate| certificate.not_after).min();
        if let Some(end) = found.certificates_end.or(shown).filter(|_| server.tls.mode != TlsMode::Off) {
            let days = (end.as_seconds_f64() - cx.now.as_seconds_f64()) / SECONDS_A_DAY;
            report.push(&reach::CERTIFICATE, days);
        }
        course.info = found.info;
        if let Some(info) = &course.info {
            readings(info, &mut self.restarts, &mut report);
        }
        self.changed_facts(&course, &mut report);
        evidence::finish(&server, cx, &course, outcome, &mut report);
        report
    }
}

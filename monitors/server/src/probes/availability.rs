//! Whether the machine answers, since when it runs, and its load.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::json;
use tokio::time::Instant;
use wise_core::{CheckContext, Failure, Probe, Report, RestartWatch};

use super::{Facts, fetch_evidence, local_evidence, mask};
use crate::background::Background;
use crate::exporter::Exporter;
use crate::local::Reader;
use crate::machine::Basics;
use crate::metrics::host;
use crate::readings;
use crate::target::{Server, Source};

/// How long a restart is told of.
const TOLD_FOR: Duration = Duration::from_secs(600);
/// Step in which the past is asked for.
const STEP: Duration = Duration::from_secs(60);

pub(crate) struct Availability {
    server: Arc<Server>,
    facts: Facts,
    /// When the machine was started, in seconds since 1970.
    booted: Option<f64>,
    restarts: RestartWatch,
    reader: Option<Background<Reader, Result<Basics, Failure>>>,
}

impl Availability {
    pub(crate) fn new(server: Arc<Server>) -> Self {
        let reader = match &server.source {
            Source::Local { paths, .. } => {
                let paths = paths.clone();
                Some(Background::new(move || Reader::new(paths.clone())))
            }
            Source::Exporter(_) => None,
        };
        Self { server, facts: Facts::default(), booted: None, restarts: RestartWatch::new(TOLD_FOR), reader }
    }

    async fn local(&mut self, cx: &CheckContext) -> Report {
        let started = Instant::now();
        let mut report = Report { local: true, ..Report::default() };
        let Some(reader) = &mut self.reader else { return report };
        let basics = match reader.run(cx.timeout, Reader::basics).await {
            Ok(basics) => basics,
            Err(failure) => Err(failure),
        };
        match basics {
            Ok(mut basics) => {
                report.push(&host::COLLECTION, started.elapsed().as_secs_f64());
                basics.boot_time = basics.uptime.map(|uptime| cx.now.as_seconds_f64() - uptime);
                self.tell(&basics, &mut report);
                if cx.detailed {
                    report.evidence = Some(json!({"uptime_seconds": basics.uptime, "load": basics.load}));
                }
            }
            Err(failure) => {
                report.evidence = Some(local_evidence(&self.server, &failure));
                report.failure = Some(failure);
            }
        }
        report
    }

    async fn remote(&mut self, exporter: &Exporter, cx: &CheckContext) -> Report {
        let started = Instant::now();
        let fetched = exporter.page(cx.timeout, false).await;
        let mut report = Report { local: fetched.local, ..Report::default() };
        for (metric, took) in [
            (&host::DNS, fetched.trace.dns),
            (&host::TCP_CONNECT, fetched.trace.connect),
            (&host::TLS, fetched.trace.tls),
            (&host::HTTP, fetched.http),
        ] {
            if let Some(took) = took {
                report.push(metric, took.as_secs_f64());
            }
        }
        let shown = fetched.trace.certificates.iter().map(|certificate| certificate.not_after).min();
        if let Some(expires) = fetched.expires.or(shown) {
            report.push(&host::CERTIFICATE, (expires.as_seconds_f64() - cx.now.as_seconds_f64()) / 86_400.0);
        }
        match &fetched.result {
            Ok(page) => {
                report.push(&host::COLLECTION, started.elapsed().as_secs_f64());
                let basics = &page.machine.basics;
                if let Some(time) = basics.time {
                    // The page was made at some time during the check.
                    let now = cx.now.as_seconds_f64() + started.elapsed().as_secs_f64() / 2.0;
                    report.push(&host::CLOCK_DIFFERENCE, (time - now).abs());
                }
                self.tell(basics, &mut report);
            }
            Err(failure) => report.failure = Some(failure.clone()),
        }
        if report.failure.is_some() || cx.detailed {
            report.evidence = Some(fetch_evidence(&self.server, &fetched));
        }
        report
    }

    fn tell(&mut self, basics: &Basics, report: &mut Report) {
        readings::basics(basics, &mut self.restarts, report);
        let mut facts = basics.facts.clone();
        facts.extend(basics.cores.map(|cores| ("server.cores", cores.to_string())));
        if let Some(time) = basics.boot_time {
            // The clock is corrected now and then, and the time of the start with it.
            let moved = self.booted.is_none_or(|known| (known - time).abs() > 60.0);
            let booted = if moved { *self.booted.insert(time) } else { self.booted.unwrap_or(time) };
            let time = wise_core::Timestamp::from_seconds(booted.round() as i64);
            facts.push(("server.booted", time.to_string()));
        }
        self.facts.tell(facts, report);
    }
}

#[async_trait]
impl Probe for Availability {
    async fn check(&mut self, cx: &CheckContext) -> Report {
        let server = self.server.clone();
        // The machine may have taken the monitoring with it when it was started again.
        if let Some(past) = server.past.as_ref().filter(|_| self.restarts.is_new()) {
            let reading = past.of(host::UPTIME.name, cx.now.minus(Duration::from_secs(86_400)), STEP);
            let known = tokio::time::timeout(cx.timeout / 4, reading).await.unwrap_or_default();
            if let Some((_, last)) = known.first().and_then(|(_, points)| points.last()) {
                self.restarts.remember(*last);
            }
        }
        let mut report = match &server.source {
            Source::Local { .. } => self.local(cx).await,
            Source::Exporter(exporter) => self.remote(exporter, cx).await,
        };
        mask(&server, &mut report);
        report
    }
}

//! Processors, memory, disks and network.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};
use tokio::time::Instant;
use wise_core::{CheckContext, Failure, MetricSpec, Probe, Report};

use super::{Facts, fetch_evidence, local_evidence, mask};
use crate::background::Background;
use crate::evidence;
use crate::local::Reader;
use crate::machine::Machine;
use crate::metrics::host;
use crate::readings::Resources;
use crate::target::{Server, Source};

/// The page size of nearly all machines, for those that do not tell theirs.
const USUAL_PAGE: f64 = 4096.0;
/// How often the processes are listed while CPU or memory is short.
const LIST_EVERY: Duration = Duration::from_secs(300);
/// Left of the deadline when the list is given up.
const RESERVE: Duration = Duration::from_millis(200);

pub(crate) struct ResourcesProbe {
    server: Arc<Server>,
    resources: Resources,
    facts: Facts,
    listed: Option<Instant>,
    reader: Option<Background<Reader, Result<Machine, Failure>>>,
}

impl ResourcesProbe {
    pub(crate) fn new(server: Arc<Server>) -> Self {
        let (reader, page) = match &server.source {
            Source::Local { paths, .. } => {
                let paths = paths.clone();
                (Some(Background::new(move || Reader::new(paths.clone()))), rustix::param::page_size() as f64)
            }
            Source::Exporter(_) => (None, USUAL_PAGE),
        };
        Self { server, resources: Resources::new(page), facts: Facts::default(), listed: None, reader }
    }

    async fn local(&mut self, cx: &CheckContext) -> Report {
        let until = Instant::now() + cx.timeout.saturating_sub(RESERVE);
        let mut report = Report { local: true, ..Report::default() };
        let Some(reader) = &mut self.reader else { return report };
        let server = self.server.clone();
        let work = move |reader: &mut Reader| reader.resources(&server.disks, &server.interfaces);
        match reader.run(cx.timeout, work).await {
            Ok(Ok(machine)) => {
                let used = self.resources.read(&machine, false, &mut report);
                let short = self.is_short(used, &machine);
                self.tell(&machine, &mut report);
                self.resources.keep(machine);
                let is_own = matches!(&self.server.source, Source::Local { paths, .. } if paths.own);
                if is_own && (cx.detailed || short) {
                    self.listed = Some(Instant::now());
                    report.evidence = evidence::processes(until).await;
                }
                if cx.detailed {
                    report.evidence.get_or_insert(json!({"cpu_used_ratio": used}));
                }
            }
            Ok(Err(failure)) | Err(failure) => {
                report.evidence = Some(local_evidence(&self.server, &failure));
                report.failure = Some(failure);
            }
        }
        report
    }

    /// Whether CPU or memory is over its default warning, and the processes were not listed lately.
    fn is_short(&self, used: Option<f64>, machine: &Machine) -> bool {
        let warning = |metric: &MetricSpec| metric.threshold.and_then(|threshold| threshold.warning);
        let busy = used.zip(warning(&host::CPU_USED)).is_some_and(|(used, warning)| used >= warning);
        let memory =
            machine.memory.available.zip(machine.memory.total).map(|(available, total)| available / total);
        let full =
            memory.zip(warning(&host::MEMORY_AVAILABLE_RATIO)).is_some_and(|(left, warning)| left <= warning);
        (busy || full) && self.listed.is_none_or(|at| at.elapsed() >= LIST_EVERY)
    }

    fn tell(&mut self, machine: &Machine, report: &mut Report) {
        let memory = machine
            .memory
            .total
            .map(|total| ("server.memory", format!("{:.1} GiB", total / f64::from(1 << 30))));
        self.facts.tell(memory.into_iter().collect(), report);
    }
}

#[async_trait]
impl Probe for ResourcesProbe {
    async fn check(&mut self, cx: &CheckContext) -> Report {
        let server = self.server.clone();
        let mut report = match &server.source {
            Source::Local { .. } => self.local(cx).await,
            Source::Exporter(exporter) => {
                let fetched = exporter.page(cx.timeout, true).await;
                let mut report = Report { local: fetched.local, ..Report::default() };
                let mut used = None;
                match &fetched.result {
                    Ok(page) => {
                        let mut machine = page.machine.clone();
                        machine.disks.retain(|disk| server.disks.allows(&disk.name));
                        machine.interfaces.retain(|interface| server.interfaces.allows(&interface.name));
                        used = self.resources.read(&machine, true, &mut report);
                        self.tell(&machine, &mut report);
                        self.resources.keep(machine);
                    }
                    Err(failure) => report.failure = Some(failure.clone()),
                }
                if report.failure.is_some() || cx.detailed {
                    let mut evidence = fetch_evidence(&server, &fetched);
                    evidence["cpu_used_ratio"] = used.map_or(Value::Null, |used| json!(used));
                    report.evidence = Some(evidence);
                }
                report
            }
        };
        mask(&server, &mut report);
        report
    }
}

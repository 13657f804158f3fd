//! Containers on this machine.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};
use tokio::time::Instant;
use wise_core::{Absent, CheckContext, Labels, Probe, Report};
use wise_net::Trace;

use super::{Facts, local_evidence};
use crate::background::Background;
use crate::containers::{Docker, Groups, OURS, Readings, Round, Seen, labels};
use crate::metrics::containers as metrics;
use crate::target::{Containers, Server, Source};

/// Lines of evidence.
const SHOWN: usize = 50;
/// Left of the deadline when Docker is given up.
const RESERVE: Duration = Duration::from_millis(200);

pub(crate) struct ContainersProbe {
    server: Arc<Server>,
    wanted: Option<Containers>,
    groups: Option<Background<Groups, Round>>,
    docker: Option<Docker>,
    readings: Readings,
    /// What Docker called its containers when it was last heard: without them a name would become an id and back.
    names: HashMap<String, String>,
    facts: Facts,
}

impl ContainersProbe {
    pub(crate) fn new(server: Arc<Server>) -> Self {
        let wanted = server.containers.clone();
        let groups = match &server.source {
            Source::Local { paths, .. } if wanted.is_some() => {
                let paths = paths.clone();
                Some(Background::new(move || Groups::new(paths.clone())))
            }
            _ => None,
        };
        let docker = wanted.as_ref().and_then(|wanted| {
            let socket = wanted.docker_socket.as_deref()?;
            Some(Docker::new(server.net.clone(), socket, wanted.top))
        });
        Self {
            server,
            wanted,
            groups,
            docker,
            readings: Readings::default(),
            names: HashMap::new(),
            facts: Facts::default(),
        }
    }
}

#[async_trait]
impl Probe for ContainersProbe {
    async fn check(&mut self, cx: &CheckContext) -> Report {
        let until = Instant::now() + cx.timeout.saturating_sub(RESERVE);
        let mut report = Report { local: true, ..Report::default() };
        let (Some(wanted), Some(groups)) = (&self.wanted, &mut self.groups) else {
            if matches!(self.server.source, Source::Exporter(_)) {
                report.local = false;
                report.push_absent(&metrics::COUNT, &Labels::default(), Absent::Unsupported);
            }
            return report;
        };
        let top = wanted.top;
        let round = match groups.run(cx.timeout.saturating_sub(RESERVE), move |groups| groups.read(top)).await
        {
            Ok(round) => round,
            Err(failure) => {
                report.evidence = Some(local_evidence(&self.server, &failure));
                report.failure = Some(failure);
                return report;
            }
        };
        let now = Instant::now();
        let mut seen = Seen::default();
        let mut trace = Trace::default();
        if let Some(docker) = &mut self.docker {
            let looked = tokio::time::timeout_at(until, docker.look(&mut trace, &mut seen)).await;
            report.failure = match looked {
                Ok(looked) => looked.err(),
                // Sizes that took too long are no failure: what was asked for before has been answered.
                Err(_) if seen.sizes.is_some() => None,
                Err(_) => Some(trace.deadline_missed(cx.timeout)),
            };
        }
        if !seen.names.is_empty() {
            self.names = std::mem::take(&mut seen.names);
        }
        let labels = labels(&round.groups, &seen, &self.names);
        let running = round.groups.iter().filter(|group| group.id != OURS).count();
        report.push(&metrics::COUNT, (running + round.left_out) as f64);
        report.push(&metrics::LEFT_OUT, (round.left_out + seen.left_out) as f64);
        self.readings.groups(now, &round.groups, &labels, &mut report);
        self.readings.docker(now, cx.now, &seen, &labels, &mut report);
        self.facts.tell(vec![("server.cgroups", round.trees.describe().to_owned())], &mut report);
        if report.failure.is_some() || cx.detailed {
            report.evidence = Some(evidence(&round, &seen, self.docker.is_some().then_some(&trace)));
        }
        report
    }
}

fn evidence(round: &Round, seen: &Seen, trace: Option<&Trace>) -> Value {
    let groups: Vec<Value> = round
        .groups
        .iter()
        .take(SHOWN)
        .map(|group| json!({"id": group.name, "memory_bytes": group.usage.working_set()}))
        .collect();
    let containers: Vec<Value> = seen
        .containers
        .iter()
        .take(SHOWN)
        .map(|container| {
            let inspected = container.inspected.as_ref();
            json!({
                "id": container.id.chars().take(12).collect::<String>(),
                "name": container.name,
                "image": container.image,
                "state": container.state,
                "health": inspected.and_then(|inspected| inspected.health.clone()),
                "restarts": inspected.map(|inspected| inspected.restarts),
            })
        })
        .collect();
    let mut evidence = json!({"cgroups": round.trees.describe(), "groups": groups});
    if let Some(trace) = trace {
        evidence["docker"] = json!({"connection": trace.evidence(), "containers": containers});
    }
    if let Some(Err(failure)) = &seen.sizes {
        evidence["docker_sizes"] = json!(failure.message);
    }
    evidence
}

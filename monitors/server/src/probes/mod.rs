//! The jobs of a server monitor.

mod availability;
mod containers;
mod resources;
mod storage;

use std::sync::Arc;

use serde_json::{Value, json};
use wise_core::{Failure, Probe, ProbeSpec, Report};

use crate::exporter::Fetched;
use crate::target::{Server, Source};

pub(crate) const RESOURCES: &str = "resources";
pub(crate) const STORAGE: &str = "storage";
pub(crate) const CONTAINERS: &str = "containers";

/// The probe of that name.
pub(crate) fn make(name: &str, server: &Arc<Server>) -> Option<Box<dyn Probe>> {
    let server = server.clone();
    Some(match name {
        ProbeSpec::AVAILABILITY => Box::new(availability::Availability::new(server)),
        RESOURCES => Box::new(resources::ResourcesProbe::new(server)),
        STORAGE => Box::new(storage::StorageProbe::new(server)),
        CONTAINERS => Box::new(containers::ContainersProbe::new(server)),
        _ => return None,
    })
}

/// Facts that differ from those of the last check.
#[derive(Debug, Default)]
struct Facts(Vec<(&'static str, String)>);

impl Facts {
    fn tell(&mut self, facts: Vec<(&'static str, String)>, report: &mut Report) {
        if facts != self.0 {
            report.facts.extend(facts.iter().filter(|fact| !self.0.contains(fact)).cloned());
            self.0 = facts;
        }
    }
}

/// Evidence of a fetched page, or of one that could not be fetched.
fn fetch_evidence(server: &Server, fetched: &Fetched) -> Value {
    let Source::Exporter(exporter) = &server.source else { return Value::Null };
    let mut evidence = fetched.trace.evidence();
    evidence["url"] = json!(exporter.shown());
    evidence["http_ms"] = json!(fetched.http.map(|took| took.as_secs_f64() * 1e3));
    if let Some((status, beginning)) = &fetched.answer {
        evidence["answer"] = json!({"status": status.as_u16(), "body": beginning});
    }
    if let Ok(page) = &fetched.result {
        evidence["samples"] = json!({"all": page.samples, "of_a_machine": page.node_samples});
    }
    exporter.masker().mask_json(&mut evidence);
    evidence
}

/// Evidence of a failure to read this machine's files.
fn local_evidence(server: &Server, failure: &Failure) -> Value {
    let paths = match &server.source {
        Source::Local { paths, .. } => json!({"proc": paths.proc, "sys": paths.sys, "root": paths.root}),
        Source::Exporter(_) => Value::Null,
    };
    json!({"paths": paths, "error": failure.message})
}

/// Puts the password of the exporter out of everything that leaves the probe: its page could hold it too.
fn mask(server: &Server, report: &mut Report) {
    let masker = server.masker();
    if masker.is_empty() {
        return;
    }
    for (_, fact) in &mut report.facts {
        *fact = masker.mask(fact).into_owned();
    }
    for reading in &mut report.readings {
        let pairs = reading.labels.pairs();
        if pairs.iter().any(|(_, value)| matches!(masker.mask(value), std::borrow::Cow::Owned(_))) {
            let masked = pairs.iter().map(|(name, value)| (name.clone(), masker.mask(value).into_owned()));
            reading.labels = wise_core::Labels::new(masked.collect::<Vec<_>>());
        }
    }
    if let Some(evidence) = &mut report.evidence {
        masker.mask_json(evidence);
    }
}

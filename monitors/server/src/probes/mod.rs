//! The jobs of a server monitor.

mod availability;
mod containers;
mod resources;
mod storage;

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use serde_json::{Value, json};
use wise_core::label::UniqueLabels;
use wise_core::{Failure, Labels, Masker, Probe, ProbeSpec, Reading, Report};

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

/// Two names may be one when the password is out of them: each part keeps labels of its own.
fn mask_labels(masker: &Masker, readings: &mut [Reading]) {
    let is_masked =
        |labels: &Labels| labels.pairs().iter().any(|(_, value)| matches!(masker.mask(value), Cow::Owned(_)));
    let (mut unique, mut plain) = (UniqueLabels::default(), HashSet::new());
    let mut masked: HashMap<Labels, Labels> = HashMap::new();
    // Those that hold no password keep what they have.
    for labels in readings.iter().map(|reading| &reading.labels).filter(|labels| !is_masked(labels)) {
        if plain.insert(labels) {
            unique.of(labels.clone());
        }
    }
    for reading in readings {
        if !is_masked(&reading.labels) {
            continue;
        }
        let labels = masked.entry(reading.labels.clone()).or_insert_with_key(|labels| {
            let pairs = labels.pairs().iter();
            let pairs = pairs.map(|(name, value)| (name.clone(), masker.mask(value).into_owned()));
            unique.of(Labels::new(pairs))
        });
        reading.labels = labels.clone();
    }
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
    mask_labels(&masker, &mut report.readings);
    if let Some(evidence) = &mut report.evidence {
        masker.mask_json(evidence);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::{host, storage};

    #[test]
    fn a_masked_name_stays_the_name_of_one_part() {
        let mut masker = Masker::default();
        masker.add("hunter2-planted");
        let mut report = Report::default();
        let points = ["/a/hunter2-planted", "/a/********", "/a/hunter2-plantedhunter2-planted"];
        for point in points {
            let labels = Labels::one("mount", point);
            report.push_labelled(&storage::SIZE, &labels, 1.0);
            report.push_labelled(&storage::USED, &labels, 1.0);
        }
        report.push(&host::UPTIME, 1.0);
        mask_labels(&masker, &mut report.readings);
        assert_eq!(report.duplicate_series(), []);
        let of_size: Vec<&Labels> =
            report.readings.iter().map(|reading| &reading.labels).step_by(2).collect();
        let masked = Labels::one("mount", "/a/********");
        assert_eq!(of_size[0], &masked.with("occurrence", "2"), "the plain one was there by this name");
        assert_eq!(of_size[1], &masked);
        assert!(!format!("{report:?}").contains("hunter2"));
    }
}

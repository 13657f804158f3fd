//! What all probes of databases have in common: one deadline, the stages as evidence, masking.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;
use wise_core::{CheckContext, Failure, Masker, Probe, Report, async_trait};

use crate::stages::Stages;

/// What the probes of a monitor share.
pub trait Watched: Send + Sync + 'static {
    /// Takes the monitor's secrets out of texts.
    fn masker(&self) -> &Masker;
}

/// The work of one probe.
#[async_trait]
pub trait Step<W: Watched>: Send {
    /// Measures. What is in the report when it fails stays there.
    ///
    /// # Errors
    /// Why the check fails.
    async fn run(&mut self, run: &mut Run<'_, W>) -> Result<(), Failure>;
}

/// A check under way. It outlives the work, so that a missed deadline keeps what was measured.
pub struct Run<'a, W> {
    /// What the probes share.
    pub watched: &'a W,
    /// What the check was told.
    pub cx: CheckContext,
    /// The stages so far.
    pub stages: Stages,
    /// The report so far.
    pub report: Report,
    /// When the check began.
    pub started: Instant,
    /// How long it took until everything was answered; goodbyes do not count.
    pub answered: Option<Duration>,
    /// What is written down beside the stages.
    pub evidence: serde_json::Map<String, Value>,
    /// Evidence is wanted though the check passes, because something is out of order.
    pub is_notable: bool,
}

impl<W> Run<'_, W> {
    /// Writes something down beside the stages.
    pub fn note(&mut self, name: &str, value: impl Into<Value>) {
        self.evidence.insert(name.to_owned(), value.into());
    }
}

impl<W> std::fmt::Debug for Run<'_, W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Run").field("stages", &self.stages).finish_non_exhaustive()
    }
}

/// A probe made of a step.
pub struct Steps<W, S> {
    watched: Arc<W>,
    step: S,
    /// Facts already told.
    facts: Vec<(&'static str, String)>,
}

impl<W, S> Steps<W, S> {
    /// The probe that runs `step`.
    pub fn new(watched: Arc<W>, step: S) -> Self {
        Self { watched, step, facts: Vec::new() }
    }
}

impl<W, S> std::fmt::Debug for Steps<W, S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Steps").finish_non_exhaustive()
    }
}

#[async_trait]
impl<W: Watched, S: Step<W>> Probe for Steps<W, S> {
    async fn check(&mut self, cx: &CheckContext) -> Report {
        let mut run = Run {
            watched: &*self.watched,
            cx: *cx,
            stages: Stages::default(),
            report: Report::default(),
            started: Instant::now(),
            answered: None,
            evidence: serde_json::Map::new(),
            is_notable: false,
        };
        let outcome = match tokio::time::timeout(cx.timeout, self.step.run(&mut run)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(run.stages.deadline_missed(cx.timeout)),
        };
        let Run { stages, mut report, evidence, is_notable, .. } = run;
        report.local |= stages.trace.is_local();
        if outcome.is_err() || is_notable || cx.detailed {
            let mut all = stages.evidence();
            evidence.into_iter().for_each(|(name, value)| all[name] = value);
            self.watched.masker().mask_json(&mut all);
            report.evidence = Some(all);
        }
        let masker = self.watched.masker();
        report.failure = outcome.err().map(|mut failure| {
            failure.message = masker.mask(&failure.message).into_owned();
            failure
        });
        let known = &mut self.facts;
        report.facts.retain(|fact| !known.contains(fact));
        known.retain(|(name, _)| !report.facts.iter().any(|(new, _)| new == name));
        known.extend(report.facts.iter().cloned());
        report
    }
}

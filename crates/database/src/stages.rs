//! The stages of a login: dns, connect and tls by the network stack, the rest by the driver, each with its time.

use std::time::Duration;

use serde_json::{Value, json};
use wise_core::{Failure, MetricSpec, Report};
use wise_net::{Stage, Trace};

/// How far a login has come, and how long each stage took. Outlives a check that was cut off, so that a timeout still
/// has evidence.
#[derive(Debug, Default)]
pub struct Stages {
    /// The stages below the protocol.
    pub trace: Trace,
    /// The finished stages of the protocol, in their order.
    pub done: Vec<(&'static str, Duration)>,
    /// Whether the connection ended in plain text though TLS was preferred.
    pub is_plaintext: bool,
}

impl Stages {
    /// Begins a stage of the protocol, such as `handshake`, `auth`, `role` or `query`; the one before ends.
    pub fn begin(&mut self, name: &'static str) {
        self.end();
        self.trace.begin(Stage::Protocol(name));
    }

    /// Ends the stage of the protocol that is under way.
    pub fn end(&mut self) {
        if let Stage::Protocol(name) = self.trace.stage
            && name != "done"
        {
            self.done.push((name, self.trace.elapsed()));
            self.trace.begin(Stage::Protocol("done"));
        }
    }

    /// The time of a finished stage.
    pub fn took(&self, name: &str) -> Option<Duration> {
        match name {
            "dns" => self.trace.dns,
            "connect" => self.trace.connect,
            "tls" => self.trace.tls,
            _ => self.done.iter().find(|(done, _)| *done == name).map(|(_, took)| *took),
        }
    }

    /// What a missed deadline means.
    pub fn deadline_missed(&self, timeout: Duration) -> Failure {
        self.trace.deadline_missed(timeout)
    }

    /// Adds the time of each stage to a report.
    pub fn readings(&self, metrics: &[(&str, &'static MetricSpec)], report: &mut Report) {
        for (name, metric) in metrics {
            if let Some(took) = self.took(name) {
                report.push(metric, took.as_secs_f64());
            }
        }
    }

    /// The stages as evidence.
    pub fn evidence(&self) -> Value {
        let mut evidence = self.trace.evidence();
        for (name, took) in &self.done {
            evidence["phases"][format!("{name}_ms")] = json!(took.as_secs_f64() * 1e3);
        }
        if self.is_plaintext {
            evidence["tls"] = json!("the server has no TLS: the connection is in plain text");
        }
        evidence
    }
}

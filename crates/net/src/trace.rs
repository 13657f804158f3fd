//! What happened in the stages of a check so far. It outlives a cancelled check, so that a timeout still has evidence.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;
use wise_core::{Failure, common};

use crate::certificate::Certificate;

/// A stage of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Nothing was done yet.
    Start,
    /// Resolving the name.
    Dns,
    /// Opening the connection.
    Connect,
    /// Agreeing on TLS.
    Tls,
    /// Speaking the protocol; the text names what.
    Protocol(&'static str),
}

impl Stage {
    /// The name in evidence and codes.
    pub fn name(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Dns => "dns",
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::Protocol(name) => name,
        }
    }
}

/// One address that was tried.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// The address.
    pub address: SocketAddr,
    /// How long it took; `None` while it was still under way.
    pub took: Option<Duration>,
    /// Why it failed.
    pub error: Option<String>,
}

/// The stages of a check, as far as they went.
#[derive(Debug)]
pub struct Trace {
    /// The stage that is, or was last, under way.
    pub stage: Stage,
    /// When it began.
    pub stage_started: Instant,
    /// Time to resolve the name; zero for an address.
    pub dns: Option<Duration>,
    /// Time to open the connection that was used.
    pub connect: Option<Duration>,
    /// Time to agree on TLS.
    pub tls: Option<Duration>,
    /// The addresses tried.
    pub attempts: Vec<Attempt>,
    /// The address that was used.
    pub address: Option<SocketAddr>,
    /// The path of the Unix socket, where one was used.
    pub socket: Option<String>,
    /// The peer's certificates, its own first; from a failed handshake too.
    pub certificates: Vec<Certificate>,
    /// Version and cipher suite of TLS.
    pub tls_session: Option<(&'static str, &'static str)>,
}

impl Default for Trace {
    fn default() -> Self {
        Self {
            stage: Stage::Start,
            stage_started: Instant::now(),
            dns: None,
            connect: None,
            tls: None,
            attempts: Vec::new(),
            address: None,
            socket: None,
            certificates: Vec::new(),
            tls_session: None,
        }
    }
}

impl Trace {
    /// Begins a stage.
    pub fn begin(&mut self, stage: Stage) {
        self.stage = stage;
        self.stage_started = Instant::now();
    }

    /// Time since the current stage began.
    pub fn elapsed(&self) -> Duration {
        self.stage_started.elapsed()
    }

    /// The peer in messages: its address, or the path of its socket.
    pub fn peer(&self) -> String {
        let address = self.address.or_else(|| self.attempts.last().map(|attempt| attempt.address));
        address.map(|address| address.to_string()).or_else(|| self.socket.clone()).unwrap_or_default()
    }

    /// Whether every address tried is on this machine.
    pub fn is_local(&self) -> bool {
        self.socket.is_some()
            || !self.attempts.is_empty()
                && self.attempts.iter().all(|attempt| attempt.address.ip().is_loopback())
    }

    /// What a missed deadline means, given how far the check came.
    pub fn deadline_missed(&self, timeout: Duration) -> Failure {
        let after = format!("within {} ms", timeout.as_millis());
        match self.stage {
            // The name servers are ours: their silence says nothing about the target.
            Stage::Dns => {
                Failure::new(&common::RESOLVER, format!("no name server answered {after}")).code("dns")
            }
            Stage::Start => {
                Failure::new(&common::OVERLOAD, format!("the check did not begin {after}")).code("start")
            }
            stage => {
                let what = match stage {
                    Stage::Connect => "no connection",
                    Stage::Tls => "TLS was not agreed",
                    _ => "no complete answer",
                };
                let peer = self.peer();
                let at = if peer.is_empty() { peer } else { format!(" with {peer}") };
                let message = format!("{what}{at} {after}; it was waiting in the stage {}", stage.name());
                Failure::new(&common::TIMEOUT, message).code(stage.name())
            }
        }
    }

    /// The trace as evidence.
    pub fn evidence(&self) -> Value {
        let millis = |time: Option<Duration>| time.map(|time| time.as_secs_f64() * 1e3);
        let addresses: Vec<Value> = self
            .attempts
            .iter()
            .map(|attempt| {
                json!({
                    "address": attempt.address.to_string(),
                    "took_ms": millis(attempt.took),
                    "error": attempt.error,
                })
            })
            .collect();
        let mut evidence = json!({
            "stage": self.stage.name(),
            "addresses": addresses,
            "phases": {"dns_ms": millis(self.dns), "connect_ms": millis(self.connect), "tls_ms": millis(self.tls)},
        });
        if let Some(path) = &self.socket {
            evidence["socket"] = json!(path);
        }
        if let Some((version, cipher)) = self.tls_session {
            evidence["tls"] = json!({"version": version, "cipher": cipher});
        }
        if !self.certificates.is_empty() {
            evidence["certificates"] = self.certificates.iter().map(Certificate::evidence).collect();
        }
        evidence
    }
}

//! A plugin whose probes do as they are told.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};
use wise_core::{
    BuildContext, CheckContext, Failure, FieldErrors, MetricSpec, Monitor, MonitorSettings, Plugin, Probe,
    ProbeSpec, Report, common,
};

static TOTAL: MetricSpec = MetricSpec::latency("scripted.total_seconds", "Total", "Time of the whole check");

pub static PLUGIN: Plugin = Plugin {
    probes: &[
        ProbeSpec::new("availability", "Availability", Duration::from_secs(1), Duration::from_millis(300)),
        ProbeSpec::new("storage", "Storage", Duration::from_secs(1), Duration::from_millis(300)),
    ],
    metrics: &[&TOTAL],
    headline: "scripted.total_seconds",
    ..Plugin::new::<Nothing>("scripted", "tests")
};

#[derive(serde::Deserialize, schemars::JsonSchema)]
pub struct Nothing {}

impl MonitorSettings for Nothing {
    fn example() -> Value {
        json!({})
    }

    fn build(self, _: &BuildContext) -> Result<Arc<dyn Monitor>, FieldErrors> {
        Ok(Arc::new(Scripted(Behaviour::Pass)))
    }
}

/// What a probe does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Behaviour {
    Pass,
    Refuse,
    WrongPassword,
    /// Waits for its deadline, as for a target that is silent.
    Timeout,
    /// Never comes back.
    Hang,
    Panic,
    PanicInProbe,
    /// Blocks its thread for a while.
    Block,
    /// Blocks its thread for longer than the watchdog waits.
    BlockForLong,
}

#[derive(Debug)]
pub struct Scripted(pub Behaviour);

impl Monitor for Scripted {
    fn probe(&self, _: &str) -> Option<Box<dyn Probe>> {
        assert!(self.0 != Behaviour::PanicInProbe, "as told");
        Some(Box::new(ScriptedProbe(self.0)))
    }
}

struct ScriptedProbe(Behaviour);

#[async_trait]
impl Probe for ScriptedProbe {
    async fn check(&mut self, cx: &CheckContext) -> Report {
        match self.0 {
            Behaviour::Pass => {
                Report { evidence: cx.detailed.then(|| json!({"detailed": true})), ..Report::default() }
            }
            Behaviour::Refuse => Report::failed(Failure::new(&common::REFUSED, "refused")),
            Behaviour::WrongPassword => Report::failed(Failure::new(&common::AUTH, "wrong password")),
            Behaviour::Timeout => {
                tokio::time::sleep(cx.timeout).await;
                Report::failed(Failure::new(&common::TIMEOUT, "silent"))
            }
            Behaviour::Hang => std::future::pending().await,
            Behaviour::Panic | Behaviour::PanicInProbe => panic!("as told"),
            Behaviour::Block => {
                block(Duration::from_millis(250));
                Report::default()
            }
            Behaviour::BlockForLong => {
                block(Duration::from_secs(6));
                Report::default()
            }
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the mistake that the watchdog is there for")]
fn block(time: Duration) {
    std::thread::sleep(time);
}

//! One check, run to its end: under a deadline, isolated from panics, and not blamed on the target when it is ours.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::time::Instant;
use wise_core::{CheckContext, Failure, Fault, Probe, Report, common};

use crate::uplink::Uplink;

/// A probe keeps its deadline itself, because only then it can leave evidence. This is the last resort for one that
/// does not.
const GRACE: Duration = Duration::from_millis(500);

/// How a check ended.
pub(crate) struct Ended {
    /// The probe, to be used again; `None` when it panicked or overstayed.
    pub(crate) probe: Option<Box<dyn Probe>>,
    pub(crate) report: Report,
    pub(crate) took: Duration,
    pub(crate) completion: Completion,
}

/// Whether the probe behaved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Completion {
    Returned,
    Panicked,
    Overran,
}

/// Runs a check.
pub(crate) async fn run_check(
    mut probe: Box<dyn Probe>,
    cx: CheckContext,
    uplink: Option<Arc<Uplink>>,
) -> Ended {
    let started = Instant::now();
    let outcome =
        tokio::time::timeout(cx.timeout + GRACE, AssertUnwindSafe(probe.check(&cx)).catch_unwind()).await;
    let took = started.elapsed();
    let (mut report, completion) = match outcome {
        Ok(Ok(report)) => (report, Completion::Returned),
        Ok(Err(panic)) => {
            let text = panic_text(&*panic);
            (
                Report::failed(
                    Failure::new(&common::INTERNAL, format!("the probe panicked: {text}")).code("panic"),
                ),
                Completion::Panicked,
            )
        }
        Err(_) => {
            let text = format!("the probe did not keep its deadline of {} ms", cx.timeout.as_millis());
            (Report::failed(Failure::new(&common::INTERNAL, text).code("deadline")), Completion::Overran)
        }
    };
    if let (Some(uplink), Some(failure)) = (uplink, report.failure.as_mut())
        && failure.class.may_be_egress
        && failure.class.fault == Fault::Target
        && !report.local
        && !uplink.alive_since(started).await
    {
        let text = format!(
            "the egress self-check fails too, so this says nothing about the target: {}",
            failure.message
        );
        *failure = Failure::new(&common::NO_EGRESS, text).code(failure.class.name);
    }
    Ended { probe: (completion == Completion::Returned).then_some(probe), report, took, completion }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    let text =
        panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("no message")
}

/// A missed deadline while our own runtime stood still proves nothing about the target.
pub(crate) fn blame_stall(report: &mut Report, lag: Duration, timeout: Duration) {
    let Some(failure) = report.failure.as_mut() else { return };
    let is_timeout =
        failure.class.name == common::TIMEOUT.name || failure.code.as_deref() == Some("deadline");
    if is_timeout && lag >= timeout.mul_f64(0.2).max(Duration::from_millis(100)) {
        let text = format!(
            "the monitoring itself stood still for {} ms during the check: {}",
            lag.as_millis(),
            failure.message
        );
        *failure = Failure::new(&common::OVERLOAD, text).code("stall");
    }
}

/// A check that went on while the process stood still, or the machine slept, says nothing about the target: its
/// connections were cut by us.
pub(crate) fn blame_lapse(report: &mut Report) {
    let Some(failure) = report.failure.as_mut().filter(|failure| failure.class.fault == Fault::Target) else {
        return;
    };
    let text = format!("the monitoring was not running during the check: {}", failure.message);
    *failure = Failure::new(&common::OVERLOAD, text).code("stall");
}

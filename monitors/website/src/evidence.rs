//! What happened, written down so that someone can see at 3 a.m. why a check failed.

use std::time::Duration;

use serde_json::{Value, json};
use wise_net::{Certificate, Stage};

use crate::assertion::{Verdict, shorten};
use crate::check::{Course, shown_url};
use crate::target::Website;

/// Bytes of the body that are kept.
const SHOWN_BODY: usize = 2048;
/// Response headers that are kept.
const SHOWN_HEADERS: usize = 50;

pub(crate) fn write(
    site: &Website,
    course: &Course,
    chain: Option<&[Certificate]>,
    total: Duration,
) -> Value {
    let last = &course.last;
    let millis = |time: Option<Duration>| time.map(|time| time.as_secs_f64() * 1e3);
    let mut evidence = last.trace.evidence();
    evidence["request"] = json!({"method": course.method.as_str(), "url": shown_url(&course.url)});
    evidence["phases"]["first_byte_ms"] = json!(millis(last.first_byte));
    evidence["phases"]["transfer_ms"] = json!(millis(last.transfer));
    evidence["phases"]["total_ms"] = json!(total.as_secs_f64() * 1e3);
    if matches!(last.trace.stage, Stage::Protocol(_)) {
        evidence["transport"] =
            json!({"sent_bytes": last.traffic.sent(), "received_bytes": last.traffic.received()});
    }
    if !course.hops.is_empty() {
        evidence["redirects"] = course
            .hops
            .iter()
            .map(|hop| json!({"url": hop.url, "status": hop.status, "location": hop.location}))
            .collect();
    }
    if let Some(chain) = chain {
        evidence["certificates"] = chain.iter().map(Certificate::evidence).collect();
    }
    if let Some(head) = &last.head {
        let headers: Vec<Value> = head
            .headers
            .iter()
            .take(SHOWN_HEADERS)
            .map(|(name, value)| {
                // A session cookie is as good as a password.
                let value = if name == http::header::SET_COOKIE {
                    wise_core::MASK.to_owned()
                } else {
                    shorten(&String::from_utf8_lossy(value.as_bytes()))
                };
                json!([name.as_str(), value])
            })
            .collect();
        let shown = &last.body.bytes[..last.body.bytes.len().min(SHOWN_BODY)];
        evidence["response"] = json!({
            "status": head.status,
            "version": format!("{:?}", head.version),
            "headers": headers,
            "body": String::from_utf8_lossy(shown),
            "body_bytes": last.body.bytes.len(),
            "truncated": last.body.truncated,
        });
    }
    if !course.verdicts.is_empty() {
        evidence["assertions"] = course
            .verdicts
            .iter()
            .map(|(index, verdict)| {
                let (passed, found) = match verdict {
                    Verdict::Holds => (Some(true), None),
                    Verdict::Fails(found) => (Some(false), Some(found.as_str())),
                    Verdict::Undecided => (None, Some("the body is longer than the cap")),
                };
                json!({"assertion": site.checks[*index].text, "passed": passed, "found": found})
            })
            .collect();
    }
    site.masker.mask_json(&mut evidence);
    evidence
}

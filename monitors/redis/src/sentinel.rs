//! A Sentinel: what it thinks of the primaries it watches, and whether it could act.

use std::collections::HashSet;

use serde_json::{Value, json};
use wise_core::{Failure, Labels, Report};
use wise_database::classes;

use crate::driver::Session;
use crate::error::{Broken, failure, optional, word};
use crate::evidence::Course;
use crate::info::{Info, Pairs};
use crate::metrics::replication as metric;
use crate::replication::text_of;
use crate::resp::Reply;

/// Primaries looked at.
const MAX_MASTERS: usize = 20;

/// Reads what the Sentinel watches; answers the worst that is wrong.
///
/// # Errors
/// The Sentinel does not answer.
pub(crate) async fn read(
    session: &Session,
    info: &Info,
    course: &mut Course,
    report: &mut Report,
) -> Result<Option<Failure>, Failure> {
    if let Some(tilt) = info.number("sentinel_tilt") {
        report.push(&metric::SENTINEL_TILT, tilt);
    }
    let mut problem = None;
    let mut seen = HashSet::new();
    let masters: Vec<_> = info.masters().filter(|(name, _)| seen.insert(*name)).take(MAX_MASTERS).collect();
    for (name, master) in &masters {
        let found = judge_master(name, master, report);
        problem = problem.or(found);
    }
    let details = session.ask(&["SENTINEL", "MASTERS"]).await;
    match optional(details, "sentinel|masters")? {
        Ok(reply) => course.note("masters", epochs(&reply, report)),
        Err(why) => report.push_absent(&metric::SENTINEL_EPOCH, &Labels::default(), why),
    }
    for (name, _) in &masters {
        let found = quorum(session, name, report).await?;
        problem = problem.or(found);
    }
    Ok(problem)
}

fn judge_master(name: &str, master: &Pairs<'_>, report: &mut Report) -> Option<Failure> {
    let labels = Labels::one("master", name);
    let status = master.get("status").unwrap_or("unknown");
    let is_ok = status == "ok";
    report.push_labelled(&metric::SENTINEL_OK, &labels, f64::from(u8::from(is_ok)));
    for (field, metric) in
        [("sentinels", &metric::SENTINEL_SENTINELS), ("slaves", &metric::SENTINEL_REPLICAS)]
    {
        if let Some(value) = master.number(field) {
            report.push_labelled(metric, &labels, value);
        }
    }
    let (code, how) = match status {
        "odown" => ("odown", "and others agree"),
        "sdown" => ("sdown", "and the others were not asked yet, or do not agree"),
        _ => ("unknown", "or has not been seen yet"),
    };
    let address = master.get("address").unwrap_or("?");
    (!is_ok).then(|| {
        let text = format!("the Sentinel cannot reach the primary {name} at {address}, {how}");
        Failure::new(&classes::REPLICATION, text).code(code)
    })
}

fn epochs(reply: &Reply, report: &mut Report) -> Value {
    let mut seen = HashSet::new();
    let row = |row: &Reply| {
        let name = text_of(row, "name");
        if seen.insert(name.clone())
            && let Some(epoch) = row.field("config-epoch").and_then(Reply::number)
        {
            report.push_labelled(&metric::SENTINEL_EPOCH, &Labels::one("master", name.as_str()), epoch);
        }
        json!({
            "name": name,
            "address": format!("{}:{}", text_of(row, "ip"), text_of(row, "port")),
            "flags": text_of(row, "flags"),
            "quorum": text_of(row, "quorum"),
            "other_sentinels": text_of(row, "num-other-sentinels"),
        })
    };
    reply.list().iter().take(MAX_MASTERS).map(row).collect()
}

/// Whether a failover could be decided and carried out now.
async fn quorum(session: &Session, name: &str, report: &mut Report) -> Result<Option<Failure>, Failure> {
    let labels = Labels::one("master", name);
    match session.ask(&["SENTINEL", "CKQUORUM", name]).await {
        Err(Broken::Refused(text)) if word(&text) == "NOQUORUM" => {
            report.push_labelled(&metric::SENTINEL_QUORUM, &labels, 0.0);
            Ok(Some(failure(&Broken::Refused(text), "sentinel|ckquorum")))
        }
        answer => {
            match optional(answer, "sentinel|ckquorum")? {
                Ok(_) => report.push_labelled(&metric::SENTINEL_QUORUM, &labels, 1.0),
                Err(why) => report.push_absent(&metric::SENTINEL_QUORUM, &labels, why),
            }
            Ok(None)
        }
    }
}

//! A cluster, in the opinion of one of its nodes.

use serde_json::{Value, json};
use wise_core::{Failure, Labels, MetricSpec, Report};
use wise_database::classes;

use crate::driver::Session;
use crate::error::optional;
use crate::evidence::Course;
use crate::metrics::replication as metric;
use crate::resp::Reply;

const SLOTS: f64 = 16_384.0;
/// Bad nodes that are written down.
const SHOWN: usize = 20;

static FIELDS: &[(&str, &MetricSpec)] = &[
    ("cluster_slots_assigned", &metric::CLUSTER_ASSIGNED),
    ("cluster_slots_ok", &metric::CLUSTER_SLOTS_OK),
    ("cluster_slots_pfail", &metric::CLUSTER_PFAIL),
    ("cluster_slots_fail", &metric::CLUSTER_FAIL),
    ("cluster_known_nodes", &metric::CLUSTER_NODES),
    ("cluster_size", &metric::CLUSTER_SIZE),
    ("cluster_current_epoch", &metric::CLUSTER_EPOCH),
];

/// Reads the cluster's state; answers what is wrong with it.
///
/// # Errors
/// The server does not answer.
pub(crate) async fn read(
    session: &Session,
    course: &mut Course,
    report: &mut Report,
) -> Result<Option<Failure>, Failure> {
    let none = Labels::default();
    let nodes = session.ask(&["CLUSTER", "NODES"]).await;
    match optional(nodes, "cluster|nodes")? {
        Ok(reply) => course.note("nodes", judge_nodes(&reply.text().unwrap_or_default(), report)),
        Err(why) => report.push_absent(&metric::CLUSTER_NODES_FAILED, &none, why),
    }
    let state = session.ask(&["CLUSTER", "INFO"]).await;
    match optional(state, "cluster|info")? {
        Ok(reply) => Ok(judge_state(&reply, report)),
        Err(why) => {
            report.push_absent(&metric::CLUSTER_OK, &none, why);
            Ok(None)
        }
    }
}

fn judge_state(reply: &Reply, report: &mut Report) -> Option<Failure> {
    let text = reply.text()?;
    let get = |name: &str| {
        text.lines().find_map(|line| Some(line.trim_end().strip_prefix(name)?.strip_prefix(':')?.to_owned()))
    };
    let number = |name: &str| get(name)?.parse::<f64>().ok().filter(|number| number.is_finite());
    for (field, metric) in FIELDS {
        if let Some(value) = number(field) {
            report.push(metric, value);
        }
    }
    let state = get("cluster_state")?;
    let is_ok = state == "ok";
    report.push(&metric::CLUSTER_OK, f64::from(u8::from(is_ok)));
    if is_ok {
        return None;
    }
    let missing = number("cluster_slots_assigned").map_or(0.0, |assigned| SLOTS - assigned);
    let (code, why) = if missing > 0.0 {
        ("slots_missing", format!("{missing} slots are served by no one"))
    } else {
        ("state", format!("{} slots have failed", number("cluster_slots_fail").unwrap_or(0.0)))
    };
    Some(Failure::new(&classes::CLUSTER, format!("the cluster does not serve: {why}")).code(code))
}

/// Counts nodes by their flags; answers the bad ones as evidence.
fn judge_nodes(text: &str, report: &mut Report) -> Value {
    let (mut failed, mut suspected, mut cut_off) = (0_u32, 0_u32, 0_u32);
    let mut bad = Vec::new();
    for line in text.lines() {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        let [_, address, flags, _, _, _, _, link, ..] = words.as_slice() else { continue };
        let has = |flag: &str| flags.split(',').any(|known| known == flag);
        let is_failed = has("fail") || has("noaddr");
        let is_cut_off = *link != "connected" && !has("myself");
        failed += u32::from(is_failed);
        suspected += u32::from(has("fail?"));
        cut_off += u32::from(is_cut_off);
        if (is_failed || has("fail?") || is_cut_off) && bad.len() < SHOWN {
            bad.push(json!({"address": address, "flags": flags, "link": link}));
        }
    }
    report.push(&metric::CLUSTER_NODES_FAILED, f64::from(failed));
    report.push(&metric::CLUSTER_NODES_SUSPECTED, f64::from(suspected));
    report.push(&metric::CLUSTER_LINKS_DOWN, f64::from(cut_off));
    Value::Array(bad)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(report: &Report, name: &str) -> Option<f64> {
        report.readings.iter().find(|reading| reading.metric.name() == name)?.value.number()
    }

    #[test]
    fn flags_of_nodes_are_counted() {
        let nodes = "07c37dfeb235213a872192d90877d0cd55635b91 127.0.0.1:30004@31004,host4 slave e7d1eecce10fd6bb5eb35b9f99a514335d9ba9ca 0 1426238317239 4 connected\n\
            67ed2db8d677e59ec4a4cefb06858cf2a1a89fa1 127.0.0.1:30002@31002 master,fail? - 0 1426238316232 2 disconnected 5461-10922\n\
            292f8b365bb7edb5e285caf0b7e6ddc7265d2f4f :0@0 master,fail,noaddr - 0 1426238318243 3 disconnected 10923-16383\n\
            e7d1eecce10fd6bb5eb35b9f99a514335d9ba9ca 127.0.0.1:30001@31001 myself,master - 0 0 1 connected 0-5460\n";
        let mut report = Report::default();
        let bad = judge_nodes(nodes, &mut report);
        assert_eq!(bad.as_array().map(Vec::len), Some(2));
        assert_eq!(value(&report, "redis.cluster.nodes_failed_count"), Some(1.0));
        assert_eq!(value(&report, "redis.cluster.nodes_suspected_count"), Some(1.0));
        assert_eq!(value(&report, "redis.cluster.links_down_count"), Some(2.0));
    }

    #[test]
    fn a_failed_state_says_why() {
        let state = |assigned: u32, state: &str| {
            let text = format!(
                "cluster_enabled:1\r\ncluster_state:{state}\r\ncluster_slots_assigned:{assigned}\r\ncluster_slots_fail:5462\r\n"
            );
            let mut report = Report::default();
            let failure = judge_state(&Reply::Text(text), &mut report);
            (
                failure.and_then(|f| f.code).map(std::borrow::Cow::into_owned),
                value(&report, "redis.cluster.ok_state"),
            )
        };
        assert_eq!(state(16_384, "ok"), (None, Some(1.0)));
        assert_eq!(state(16_384, "fail"), (Some("state".to_owned()), Some(0.0)));
        assert_eq!(state(5_461, "fail"), (Some("slots_missing".to_owned()), Some(0.0)));
    }
}

//! Operations that run now, and which of them takes longest.

use bson::{Bson, Document, doc};
use serde_json::{Value, json};
use wise_core::{Failure, Labels};
use wise_database::shorten;

use crate::Run;
use crate::document::{batch, is, number, part, text};
use crate::error::{CLUSTER_MONITOR, missing};
use crate::hello::Role;
use crate::metrics::activity as metrics;
use crate::session::{APPLICATION, Session};

/// Operations read at most, the longest first.
const MOST: i32 = 200;
/// Operations written down at most.
const SHOWN: usize = 5;
/// Characters of a command, and levels of its documents, that are shown.
const SHAPE: usize = 300;
const SHAPE_DEPTH: usize = 6;

pub(crate) async fn read(session: &Session, run: &mut Run<'_>) -> Result<(), Failure> {
    let mut source = doc! {"allUsers": true, "idleConnections": false};
    if session.role == Role::Mongos {
        source.insert("localOps", true);
    }
    let fields = [
        "client",
        "client_s",
        "appName",
        "desc",
        "op",
        "ns",
        "opid",
        "waitingForLock",
        "planSummary",
        "command",
    ];
    let mut shown = doc! {"secs_running": 1, "microsecs_running": 1, "cursor": 1, "originatingCommand": 1};
    fields.iter().for_each(|field| {
        shown.insert(*field, 1);
    });
    let command = doc! {
        "aggregate": 1,
        "pipeline": [
            {"$currentOp": source},
            {"$match": {"active": true}},
            {"$sort": {"microsecs_running": -1}},
            {"$limit": MOST},
            {"$project": shown},
        ],
        "cursor": {"batchSize": MOST},
    };
    let answer = match session.command("admin", command).await {
        Ok(answer) => answer,
        Err(failure) => {
            let Some(why) = missing(&failure, CLUSTER_MONITOR) else { return Err(failure) };
            for metric in
                [&metrics::LONGEST, &metrics::RUNNING, &metrics::LOCK_WAITING, &metrics::INDEX_BUILDS]
            {
                run.report.push_absent(metric, &Labels::default(), why.clone());
            }
            return Ok(());
        }
    };
    let (builds, operations): (Vec<&Document>, Vec<&Document>) =
        batch(&answer).filter(|operation| counts(operation)).partition(|operation| is_index_build(operation));
    let longest = |of: &[&Document]| of.iter().filter_map(|one| seconds(one)).fold(0.0, f64::max);
    let waiting = operations.iter().filter(|operation| is(operation, &["waitingForLock"])).count();
    let report = &mut run.report;
    report.push(&metrics::LONGEST, longest(&operations));
    report.push(&metrics::RUNNING, operations.len() as f64);
    report.push(&metrics::LOCK_WAITING, waiting as f64);
    report.push(&metrics::INDEX_BUILDS, builds.len() as f64);
    if !builds.is_empty() {
        report.push(&metrics::INDEX_BUILD_LONGEST, longest(&builds));
    }
    let over = |metric: &wise_core::MetricSpec, value: f64| {
        metric.threshold.and_then(|threshold| threshold.warning).is_some_and(|warning| value >= warning)
    };
    let is_notable =
        over(&metrics::LONGEST, longest(&operations)) || over(&metrics::LOCK_WAITING, waiting as f64);
    if is_notable || run.cx.detailed {
        run.is_notable |= is_notable;
        let mut longest_first = operations;
        longest_first.sort_by(|a, b| seconds(b).unwrap_or(0.0).total_cmp(&seconds(a).unwrap_or(0.0)));
        let list: Vec<Value> =
            longest_first.iter().take(SHOWN).map(|operation| evidence(operation)).collect();
        run.note("longest_operations", list);
    }
    Ok(())
}

/// Whether an operation is one of a client, and is not long by design.
fn counts(operation: &Document) -> bool {
    let is_of_a_client = text(operation, &["client"]).or_else(|| text(operation, &["client_s"])).is_some();
    let is_own = text(operation, &["appName"]) == Some(APPLICATION);
    let command = part(operation, &["command"]);
    let is_waiting_hello = command.is_some_and(|command| {
        ["hello", "isMaster", "ismaster"].iter().any(|name| command.contains_key(name))
    });
    // Tailing cursors wait for what is to come: replication, change streams, and queues that someone built.
    let cursor = part(operation, &["cursor"]);
    let is_tailing = cursor.is_some_and(|cursor| is(cursor, &["tailable"]) || is(cursor, &["awaitData"]));
    let origin = cursor
        .and_then(|cursor| part(cursor, &["originatingCommand"]))
        .or(part(operation, &["originatingCommand"]));
    let is_change_stream = [command, origin].into_iter().flatten().any(watches_changes);
    let is_oplog =
        text(operation, &["op"]) == Some("getmore") && text(operation, &["ns"]) == Some("local.oplog.rs");
    let is_build = is_index_build(operation);
    text(operation, &["op"]) != Some("none")
        && (is_of_a_client || is_build)
        && !(is_own || is_waiting_hello || is_tailing || is_change_stream || is_oplog)
}

fn watches_changes(command: &Document) -> bool {
    let stages = command.get_array("pipeline").ok();
    let first = stages.and_then(|stages| stages.first()?.as_document());
    first.is_some_and(|first| first.contains_key("$changeStream"))
}

fn is_index_build(operation: &Document) -> bool {
    part(operation, &["command"]).is_some_and(|command| command.contains_key("createIndexes"))
        || text(operation, &["desc"]).is_some_and(|desc| desc.starts_with("IndexBuildsCoordinator"))
}

fn seconds(operation: &Document) -> Option<f64> {
    let micros = number(operation, &["microsecs_running"]).map(|micros| micros / 1e6);
    micros.or_else(|| number(operation, &["secs_running"])).filter(|seconds| *seconds >= 0.0)
}

fn evidence(operation: &Document) -> Value {
    // On mongos the number is a text, with the shard's name before it.
    let id = operation.get("opid").map(|id| match id {
        Bson::String(text) => shorten(text, 60),
        other => other.to_string(),
    });
    json!({
        "opid": id,
        "operation": text(operation, &["op"]),
        "namespace": text(operation, &["ns"]),
        "seconds": seconds(operation).map(|seconds| (seconds * 1e3).round() / 1e3),
        "application": text(operation, &["appName"]).map(|name| shorten(name, 60)),
        "client": text(operation, &["client"]),
        "waits_for_lock": is(operation, &["waitingForLock"]),
        "plan": text(operation, &["planSummary"]).map(|plan| shorten(plan, 100)),
        "command": part(operation, &["command"]).map(shape),
    })
}

/// A command with its names and without its values, which are what users typed.
fn shape(command: &Document) -> String {
    let mut out = String::new();
    for (index, (name, value)) in command.iter().enumerate() {
        if matches!(name.as_str(), "lsid" | "$clusterTime" | "signature" | "$readPreference" | "txnNumber") {
            continue;
        }
        out.push_str(if out.is_empty() { "{" } else { ", " });
        // The first value and the database are names.
        match value {
            Bson::String(text) if index == 0 || name == "$db" => {
                out.push_str(&format!("{name}: {}", shorten(text, 100)));
            }
            _ => {
                out.push_str(&format!("{}: ", shorten(name, 60)));
                mask(value, SHAPE_DEPTH, &mut out);
            }
        }
    }
    out.push('}');
    shorten(&out, SHAPE)
}

fn mask(value: &Bson, depth: usize, out: &mut String) {
    if out.len() > SHAPE * 4 || depth == 0 {
        out.push('…');
        return;
    }
    match value {
        Bson::Document(document) => {
            out.push('{');
            for (index, (name, value)) in document.iter().enumerate() {
                out.push_str(if index > 0 { ", " } else { "" });
                out.push_str(&format!("{}: ", shorten(name, 60)));
                mask(value, depth - 1, out);
            }
            out.push('}');
        }
        // Lists of values are long and all alike; lists of stages are short.
        Bson::Array(values) => {
            out.push('[');
            for (index, value) in values.iter().take(5).enumerate() {
                out.push_str(if index > 0 { ", " } else { "" });
                mask(value, depth - 1, out);
            }
            out.push_str(if values.len() > 5 { ", …]" } else { "]" });
        }
        _ => out.push('?'),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_have_names_and_no_values() {
        let command = doc! {
            "find": "orders", "filter": {"email": "a@b.example", "n": {"$in": [1, 2, 3]}}, "lsid": {"id": 7}, "$db": "shop",
        };
        assert_eq!(shape(&command), "{find: orders, filter: {email: ?, n: {$in: [?, ?, ?]}}, $db: shop}");
        let deep = (0..50).fold(doc! {"a": "secret"}, |inner, _| doc! {"d": inner});
        assert!(!shape(&deep).contains("secret"));
    }

    #[test]
    fn what_is_long_by_design_does_not_count() {
        let operation = |more: Document| {
            let mut operation =
                doc! {"client": "10.0.0.1:5", "op": "command", "ns": "shop.orders", "secs_running": 5};
            operation.extend(more);
            operation
        };
        assert!(counts(&operation(doc! {"command": {"find": "orders"}})));
        for more in [
            doc! {"appName": APPLICATION},
            doc! {"command": {"hello": 1, "maxAwaitTimeMS": 10_000}},
            doc! {"op": "getmore", "cursor": {"tailable": true, "awaitData": true}},
            doc! {"op": "getmore", "cursor": {"originatingCommand": {"aggregate": "a", "pipeline": [{"$changeStream": {}}]}}},
            doc! {"op": "getmore", "ns": "local.oplog.rs"},
            doc! {"op": "none"},
        ] {
            assert!(!counts(&operation(more.clone())), "{more}");
        }
        assert!(!counts(&doc! {"desc": "ReplBatcher", "op": "update"}), "a thread of the server's own");
        let build = doc! {"desc": "IndexBuildsCoordinatorMongod-0", "op": "command", "command": {"createIndexes": "a"}};
        assert!(counts(&build) && is_index_build(&build));
    }
}

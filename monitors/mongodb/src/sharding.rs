//! What a mongos knows about the cluster. Each member of each shard wants a monitor of its own.

use bson::doc;
use serde_json::json;
use wise_core::{Failure, Labels};

use crate::Run;
use crate::document::{documents, is, text};
use crate::error::{CLUSTER_MONITOR, missing};
use crate::metrics::replication as metrics;
use crate::session::Session;

pub(crate) async fn read(session: &Session, run: &mut Run<'_>) -> Result<(), Failure> {
    let answer = session.command("admin", doc! {"listShards": 1}).await?;
    let shards: Vec<_> = documents(&answer, &["shards"]).collect();
    let draining = shards.iter().filter(|shard| is(shard, &["draining"])).count();
    run.report.push(&metrics::SHARDS, shards.len() as f64);
    run.report.push(&metrics::SHARDS_DRAINING, draining as f64);
    let shown: Vec<_> = shards
        .iter()
        .take(50)
        .map(|shard| json!({"name": text(shard, &["_id"]), "draining": is(shard, &["draining"])}))
        .collect();
    run.note("shards", shown);
    match session.command("admin", doc! {"balancerStatus": 1}).await {
        Ok(balancer) => {
            let is_on = text(&balancer, &["mode"]) == Some("full");
            run.report.push(&metrics::BALANCER, f64::from(u8::from(is_on)));
            let is_busy = is(&balancer, &["inBalancerRound"]);
            run.report.push(&metrics::BALANCER_ROUND, f64::from(u8::from(is_busy)));
        }
        Err(failure) => match missing(&failure, CLUSTER_MONITOR) {
            Some(why) => run.report.push_absent(&metrics::BALANCER, &Labels::default(), why),
            None => return Err(failure),
        },
    }
    Ok(())
}

//! Replication, as the member that is watched sees its replica set.

use bson::{Document, doc};
use serde_json::Value;
use wise_core::{Absent, Failure, Labels, MetricSpec, async_trait};
use wise_database::{Delta, classes};

use crate::activity::arbiter;
use crate::config::Watched;
use crate::document::{number, part};
use crate::error::{self, CLUSTER_MONITOR, INVALID_CONFIG, NO_REPLICATION, NOT_INITIALIZED, missing};
use crate::hello::Role;
use crate::members::{Set, lag, state};
use crate::metrics::replication as metrics;
use crate::session::{COMMAND_LIMIT, Session};
use crate::{Run, Step, oplog, sharding};

#[derive(Debug, Default)]
pub(crate) struct Replication {
    terms: Delta<()>,
}

#[async_trait]
impl Step<Watched> for Replication {
    async fn run(&mut self, run: &mut Run<'_>) -> Result<(), Failure> {
        let Some(session) = run.watched.server.kept(COMMAND_LIMIT, &mut run.stages).await? else {
            return arbiter(&[&metrics::OWN_STATE], run);
        };
        run.report.local = session.is_local;
        run.stages.begin("replication");
        let outcome = if session.role == Role::Mongos {
            sharding::read(&session, run).await.map(|()| None)
        } else {
            self.member(&session, run).await
        };
        run.stages.end();
        // What is wrong with the replica set is no reason to log in again.
        let problem = outcome?;
        session.keep().await;
        problem.map_or(Ok(()), Err)
    }
}

impl Replication {
    /// Answers what is wrong with the replica set.
    async fn member(&mut self, session: &Session, run: &mut Run<'_>) -> Result<Option<Failure>, Failure> {
        let status = match session.command("admin", doc! {"replSetGetStatus": 1}).await {
            Ok(status) => status,
            Err(failure) => return without_status(failure, run),
        };
        // Only for delays and votes: what it cannot tell is taken as usual.
        let config = match session.command("admin", doc! {"replSetGetConfig": 1}).await {
            Ok(config) => Some(config),
            Err(failure) if missing(&failure, CLUSTER_MONITOR).is_some() => None,
            Err(failure) => return Err(failure),
        };
        let set = Set::read(&status, config.as_ref());
        self.set(&set, run);
        initial_sync(&status, run);
        let window = match set.own_state {
            Some(state::PRIMARY | state::SECONDARY | state::RECOVERING) => oplog::read(session, run).await?,
            _ => None,
        };
        let lags = lags(&set, run);
        let worst = lags.iter().filter_map(|(_, lag)| *lag).reduce(f64::max);
        if let Some((worst, window)) = worst.zip(window.filter(|window| *window > 0.0)) {
            run.report.push(&metrics::WINDOW_USED, worst / window);
        }
        let problem = problem(&set, run.watched.settings.expected_members);
        let warning = metrics::MEMBER_LAG.threshold.and_then(|threshold| threshold.warning);
        run.is_notable |= worst.zip(warning).is_some_and(|(worst, warning)| worst >= warning);
        let members: Vec<Value> = set
            .members
            .iter()
            .map(|member| {
                let lag = lags.iter().find(|(of, _)| *of == member.labels).and_then(|(_, lag)| *lag);
                member.evidence(lag)
            })
            .collect();
        run.note("members", members);
        Ok(problem)
    }

    fn set(&mut self, set: &Set, run: &mut Run<'_>) {
        let report = &mut run.report;
        report.push_some(&metrics::OWN_STATE, set.own_state.map(|state| state as f64));
        for member in &set.members {
            let labels = &member.labels;
            report.push_labelled(&metrics::MEMBER_STATE, labels, member.state as f64);
            report.push_labelled(&metrics::MEMBER_PROBLEM, labels, member.problem());
            report.push_labelled(&metrics::MEMBER_HEALTH, labels, f64::from(u8::from(member.is_healthy)));
            report.push_labelled_some(&metrics::MEMBER_HEARTBEAT, labels, member.heartbeat_age);
            report.push_labelled_some(
                &metrics::MEMBER_PING,
                labels,
                member.ping.filter(|_| member.is_healthy),
            );
        }
        let voting = set.members.iter().filter(|member| member.is_healthy && member.votes > 0.0).count();
        report.push(&metrics::MEMBERS, set.members.len() as f64);
        report.push(&metrics::WORKING, set.members.iter().filter(|member| member.works()).count() as f64);
        report.push(&metrics::VOTING_UP, voting as f64);
        report.push_some(&metrics::MAJORITY, set.majority);
        report.push(&metrics::HAS_PRIMARY, f64::from(u8::from(set.primary().is_some())));
        report.push_some(&metrics::ELECTIONS, set.term);
        report.push_some(&metrics::ELECTIONS_RECENT, set.term.and_then(|term| self.terms.add((), term)));
        report.push_some(&metrics::MAJORITY_LAG, set.majority_lag);
    }
}

/// A server that has no status has its reasons.
fn without_status(failure: Failure, run: &mut Run<'_>) -> Result<Option<Failure>, Failure> {
    let broken = |text: &str, code: &'static str| {
        Ok(Some(Failure::new(&classes::REPLICATION, text.to_owned()).code(code)))
    };
    match error::number(&failure) {
        Some(NO_REPLICATION) if run.watched.settings.expected_members > 0 => {
            broken("members of a replica set are expected, and the server is a standalone", "standalone")
        }
        Some(NO_REPLICATION) => {
            run.report.push_absent(&metrics::OWN_STATE, &Labels::default(), Absent::Unsupported);
            run.note("replication", "a standalone: it belongs to no replica set");
            Ok(None)
        }
        Some(NOT_INITIALIZED) => {
            broken("the replica set was never initiated (rs.initiate())", "not_initiated")
        }
        Some(INVALID_CONFIG) => broken("the member has been removed from its replica set", "removed"),
        _ => match missing(&failure, CLUSTER_MONITOR) {
            Some(Absent::Unsupported) => {
                run.report.push_absent(&metrics::OWN_STATE, &Labels::default(), Absent::Unsupported);
                Ok(None)
            }
            _ => Err(failure),
        },
    }
}

/// The lag of each member that this one may speak of: the primary of all, a secondary of itself.
fn lags(set: &Set, run: &mut Run<'_>) -> Vec<(Labels, Option<f64>)> {
    let primary = set.primary();
    let mut found = Vec::new();
    let mut tell = |metric: &'static MetricSpec, labels: &Labels, lag: Option<f64>| match lag {
        Some(lag) => run.report.push_labelled(metric, labels, lag),
        None => run.report.push_absent(metric, labels, Absent::NotKnown),
    };
    let followers = set.members.iter().filter(|member| member.has_data() && member.state != state::PRIMARY);
    for member in followers {
        let lag = primary.and_then(|primary| lag(member, primary));
        if set.is_primary() {
            tell(&metrics::MEMBER_LAG, &member.labels, lag);
        } else if member.is_own {
            tell(&metrics::LAG, &Labels::default(), lag);
        } else {
            continue;
        }
        found.push((member.labels.clone(), lag));
    }
    found
}

fn initial_sync(status: &Document, run: &mut Run<'_>) {
    let Some(sync) = part(status, &["initialSyncStatus"]) else {
        run.report.push(&metrics::SYNC_FAILED, 0.0);
        return;
    };
    let report = &mut run.report;
    let size = number(sync, &["approxTotalDataSize"]).filter(|size| *size > 0.0);
    let copied = number(sync, &["approxTotalBytesCopied"]);
    report
        .push_some(&metrics::SYNC_PROGRESS, copied.zip(size).map(|(copied, size)| (copied / size).min(1.0)));
    let remaining = number(sync, &["remainingInitialSyncEstimatedMillis"]);
    report.push_some(&metrics::SYNC_REMAINING, remaining.map(|millis| (millis / 1e3).max(0.0)));
    report.push_some(&metrics::SYNC_FAILED, number(sync, &["failedInitialSyncAttempts"]));
}

/// What is wrong, the member's own trouble first.
fn problem(set: &Set, expected: u32) -> Option<Failure> {
    let broken =
        |text: String, code: &'static str| Some(Failure::new(&classes::REPLICATION, text).code(code));
    if set.is_too_stale {
        return broken("the member fell off the oplog, and must be copied again".to_owned(), "too_stale");
    }
    if set.is_in_maintenance {
        return broken("the member is in maintenance mode".to_owned(), "maintenance");
    }
    let own = match set.own_state {
        Some(state::ROLLBACK) => {
            Some(("the member rolls back writes that the others do not have", "rollback"))
        }
        Some(state::RECOVERING) => Some(("the member recovers, and serves no one", "recovering")),
        Some(state::INITIAL_SYNC) => {
            Some(("the member copies its data from another (initial sync)", "initial_sync"))
        }
        Some(state::STARTUP) => Some(("the member starts, and knows no configuration yet", "startup")),
        Some(state::REMOVED) => Some(("the member has been removed from its replica set", "removed")),
        _ => None,
    };
    if let Some((text, code)) = own {
        return broken(text.to_owned(), code);
    }
    let names = |wanted: &dyn Fn(&crate::members::Member) -> bool| {
        let names: Vec<&str> = set.members.iter().filter(|m| wanted(m)).map(|m| m.name.as_str()).collect();
        names.join(", ")
    };
    let rejected = names(&|member| member.is_rejected);
    if !rejected.is_empty() {
        return broken(
            format!("the members do not trust each other (keyfile?): {rejected}"),
            "not_authenticated",
        );
    }
    if set.primary().is_none() {
        let up = set.members.iter().filter(|member| member.works()).count();
        let text = format!("the replica set has no primary; {up} of {} members work", set.members.len());
        return broken(text, "no_primary");
    }
    let down = names(&|member| member.problem() >= 2.0 && !member.is_own);
    if !down.is_empty() {
        return broken(format!("members do not work: {down}"), "member_down");
    }
    let working = set.members.iter().filter(|member| member.works()).count();
    if working < expected as usize {
        return broken(format!("{expected} members are expected, and {working} work"), "members_missing");
    }
    None
}

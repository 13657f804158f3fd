//! Storage: the disk, the databases, the largest collections, and how fast they grow.

use std::collections::HashSet;

use bson::{Document, doc};
use serde_json::json;
use wise_core::{Absent, Failure, GrowthTracker, Labels, async_trait};

use crate::activity::arbiter;
use crate::collections::Collections;
use crate::config::Watched;
use crate::document::{documents, number, text};
use crate::error::{CLUSTER_MONITOR, missing};
use crate::hello::Role;
use crate::metrics::storage as metrics;
use crate::session::Session;
use crate::{Run, Step};

/// Databases measured at most.
const MOST_DATABASES: usize = 100;
/// Databases of the server's own, whose collections no one made.
const OWN_DATABASES: [&str; 3] = ["admin", "config", "local"];

#[derive(Debug)]
pub(crate) struct Storage {
    disk: GrowthTracker,
    total: GrowthTracker,
    databases: GrowthTracker,
    collections: Collections,
}

impl Storage {
    pub(crate) fn new(watched: &Watched) -> Self {
        let past = || watched.past.clone();
        Self {
            disk: GrowthTracker::new(
                &metrics::FS_USED,
                &metrics::FS_GROWTH,
                Some(&metrics::FS_FULL_IN),
                past(),
            ),
            total: GrowthTracker::new(
                &metrics::TOTAL,
                &metrics::TOTAL_GROWTH,
                Some(&metrics::TOTAL_FULL_IN),
                past(),
            ),
            databases: GrowthTracker::new(&metrics::DATABASE_SIZE, &metrics::DATABASE_GROWTH, None, past()),
            collections: Collections::new(past()),
        }
    }
}

#[async_trait]
impl Step<Watched> for Storage {
    async fn run(&mut self, run: &mut Run<'_>) -> Result<(), Failure> {
        // Statistics of many files take long on a cold disk; one command may take most of the deadline.
        let limit = run.cx.timeout.mul_f64(0.8);
        let Some(session) = run.watched.server.kept(limit, &mut run.stages).await? else {
            return arbiter(&[&metrics::TOTAL, &metrics::FS_USED], run);
        };
        run.report.local = session.is_local;
        run.stages.begin("databases");
        let outcome = if session.role == Role::Mongos {
            self.through_mongos(&session, run).await
        } else {
            self.member(&session, run).await
        };
        run.stages.end();
        // A database that cannot be measured is no reason to log in again; a lost connection is noticed by itself.
        session.keep().await;
        outcome
    }
}

impl Storage {
    async fn member(&mut self, session: &Session, run: &mut Run<'_>) -> Result<(), Failure> {
        let list = session.command("admin", doc! {"listDatabases": 1, "nameOnly": true}).await?;
        let mut seen = HashSet::new();
        let names: Vec<String> = documents(&list, &["databases"])
            .filter_map(|one| text(one, &["name"]))
            .filter(|name| seen.insert(*name))
            .map(str::to_owned)
            .collect();
        let mut all = Some(0.0);
        let mut disk = None;
        let mut problems = Vec::new();
        for name in names.iter().take(MOST_DATABASES) {
            let mut command = doc! {"dbStats": 1, "scale": 1};
            if run.watched.settings.free_storage {
                command.insert("freeStorage", 1);
            }
            match session.command(name, command).await {
                Ok(stats) => {
                    let size = self.database(name, &stats, run).await;
                    all = all.zip(size).map(|(all, size)| all + size);
                    let used = number(&stats, &["fsUsedSize"]).zip(number(&stats, &["fsTotalSize"]));
                    disk = disk.or(used.filter(|(_, total)| *total > 0.0));
                }
                Err(failure) => {
                    all = None;
                    match missing(&failure, CLUSTER_MONITOR) {
                        Some(why) => {
                            let labels = Labels::one("database", name.clone());
                            run.report.push_absent(&metrics::DATABASE_SIZE, &labels, why);
                        }
                        None => problems.push((name.clone(), failure)),
                    }
                }
            }
        }
        self.databases
            .retain(|labels| names.iter().any(|name| *labels == Labels::one("database", name.clone())));
        run.report.push(&metrics::DATABASES_OMITTED, names.len().saturating_sub(MOST_DATABASES) as f64);
        self.disk(disk, run).await;
        self.total(all.filter(|_| names.len() <= MOST_DATABASES), run).await;
        run.stages.begin("collections");
        let wanted =
            names.into_iter().take(MOST_DATABASES).filter(|name| is_wanted(name, run.watched)).collect();
        if run.watched.settings.top_collections > 0 {
            self.collections.read(wanted, session, run, &mut problems).await;
        }
        finish(problems, run)
    }

    /// Through mongos each statistic asks every shard: only what the list of databases has in it is taken.
    async fn through_mongos(&mut self, session: &Session, run: &mut Run<'_>) -> Result<(), Failure> {
        let list = session.command("admin", doc! {"listDatabases": 1}).await?;
        let mut seen = HashSet::new();
        for database in documents(&list, &["databases"]).take(MOST_DATABASES) {
            let Some((name, size)) = text(database, &["name"]).zip(number(database, &["sizeOnDisk"])) else {
                continue;
            };
            if !seen.insert(name) {
                continue;
            }
            let labels = Labels::one("database", name);
            run.report.push_labelled(&metrics::DATABASE_SIZE, &labels, size);
            self.databases.observe(run.cx.now, &labels, size, None, &mut run.report).await;
        }
        self.total(number(&list, &["totalSize"]), run).await;
        run.report.push_absent(&metrics::FS_USED, &Labels::default(), Absent::Unsupported);
        Ok(())
    }

    /// Answers the size on disk.
    async fn database(&mut self, name: &str, stats: &Document, run: &mut Run<'_>) -> Option<f64> {
        let labels = Labels::one("database", name);
        let report = &mut run.report;
        let (storage, index) = (number(stats, &["storageSize"]), number(stats, &["indexSize"]));
        let free = number(stats, &["totalFreeStorageSize"]).or_else(|| number(stats, &["freeStorageSize"]));
        for (metric, value) in [
            (&metrics::DATABASE_DATA, number(stats, &["dataSize"])),
            (&metrics::DATABASE_STORAGE, storage),
            (&metrics::DATABASE_INDEX, index),
            (&metrics::DATABASE_FREE, free),
            (&metrics::DATABASE_COLLECTIONS, number(stats, &["collections"])),
        ] {
            report.push_labelled_some(metric, &labels, value);
        }
        if let Some(objects) = number(stats, &["objects"]) {
            report.push_estimate(&metrics::DATABASE_OBJECTS, &labels, objects);
        }
        let size = storage.map(|storage| storage + index.unwrap_or(0.0));
        if let Some(size) = size {
            report.push_labelled(&metrics::DATABASE_SIZE, &labels, size);
            self.databases.observe(run.cx.now, &labels, size, None, report).await;
        }
        size
    }

    async fn disk(&mut self, disk: Option<(f64, f64)>, run: &mut Run<'_>) {
        let report = &mut run.report;
        let Some((used, total)) = disk else {
            for metric in [&metrics::FS_USED, &metrics::FS_TOTAL, &metrics::FS_RATIO] {
                report.push_absent(metric, &Labels::default(), Absent::Unsupported);
            }
            return;
        };
        report.push(&metrics::FS_USED, used);
        report.push(&metrics::FS_TOTAL, total);
        report.push(&metrics::FS_RATIO, used / total);
        self.disk.observe(run.cx.now, &Labels::default(), used, Some(total), report).await;
    }

    async fn total(&mut self, total: Option<f64>, run: &mut Run<'_>) {
        let quota = run.watched.settings.quota;
        let report = &mut run.report;
        let Some(total) = total else {
            report.push_absent(&metrics::TOTAL, &Labels::default(), Absent::NotKnown);
            return;
        };
        report.push(&metrics::TOTAL, total);
        report.push_some(&metrics::QUOTA_USED, quota.map(|quota| total / quota));
        self.total.observe(run.cx.now, &Labels::default(), total, quota, report).await;
    }
}

fn is_wanted(name: &str, watched: &Watched) -> bool {
    match &watched.settings.databases {
        Some(list) => list.iter().any(|wanted| wanted == name),
        None => !OWN_DATABASES.contains(&name),
    }
}

fn finish(problems: Vec<(String, Failure)>, run: &mut Run<'_>) -> Result<(), Failure> {
    if !problems.is_empty() {
        let all: Vec<_> = problems
            .iter()
            .take(20)
            .map(|(name, f)| json!({"of": name, "class": f.class.name, "code": f.code, "message": f.message}))
            .collect();
        run.note("failed", all);
    }
    problems.into_iter().next().map_or(Ok(()), |(name, mut failure)| {
        failure.message = format!("{name}: {}", failure.message);
        Err(failure)
    })
}

//! How much is stored, and how fast it grows.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use wise_core::{CheckContext, Failure, GrowthTracker, Labels, MetricSpec, Probe, Report};

use crate::error::failure;
use crate::evidence::{self, Course};
use crate::info::{Info, Pairs, Standing};
use crate::keys::Sampler;
use crate::login::read_info;
use crate::metrics::storage as metric;
use crate::server::Server;

/// Databases listed at most; there are 16 unless someone configures more.
const MAX_DATABASES: usize = 64;

static PLAIN: &[(&str, &MetricSpec)] = &[
    ("used_memory_dataset", &metric::DATASET),
    ("used_memory_overhead", &metric::OVERHEAD),
    ("aof_current_size", &metric::AOF_SIZE),
    ("aof_base_size", &metric::AOF_BASE),
];

/// The probe.
#[derive(Debug)]
pub(crate) struct StorageProbe {
    server: Arc<Server>,
    growth: GrowthTracker,
    /// Databases that had keys: one that is empty is not listed any more.
    databases: BTreeSet<String>,
    sampler: Sampler,
}

impl StorageProbe {
    pub(crate) fn new(server: Arc<Server>) -> Self {
        let past = server.past.clone();
        let growth = GrowthTracker::new(&metric::USED, &metric::GROWTH, Some(&metric::FULL_IN), past);
        Self { server, growth, databases: BTreeSet::new(), sampler: Sampler::default() }
    }

    async fn run(
        &mut self,
        cx: &CheckContext,
        course: &mut Course,
        report: &mut Report,
    ) -> Result<(), Failure> {
        let server = self.server.clone();
        let session = server.open(&mut course.stages).await?;
        course.stages.begin("query");
        let reply = session.ask(&["INFO", "default"]).await.map_err(|broken| failure(&broken, "info"))?;
        let info = course.info.insert(read_info(&reply)?).clone();
        self.read(cx, &info, report).await;
        // Only there: a primary has better things to do, and in a cluster the keys may have moved.
        if server.sample_keys > 0 && info.standing() == Standing::Replica && info.mode() != "cluster" {
            self.sampler.read(&session, server.sample_keys, report).await?;
        }
        course.stages.end();
        session.close().await;
        Ok(())
    }

    async fn read(&mut self, cx: &CheckContext, info: &Info, report: &mut Report) {
        if info.standing() == Standing::Sentinel {
            return;
        }
        for (field, metric) in PLAIN {
            if let Some(value) = info.number(field) {
                report.push(metric, value);
            }
        }
        if let Some(extra) = info.number("rdb_last_cow_size").filter(|extra| *extra > 0.0) {
            report.push(&metric::COPY_ON_WRITE, extra);
        }
        self.keys(info, report);
        let Some(used) = info.number("used_memory") else { return };
        report.push(&metric::USED, used);
        // A cache that evicts stays at its limit: to reach it is no event.
        let evicts = !info.is("maxmemory_policy", "noeviction");
        let configured = info.number("maxmemory").filter(|limit| *limit > 0.0 && !evicts);
        let limit = self.server.quota.map(|quota| quota as f64).or(configured);
        if let Some(limit) = limit {
            report.push(&metric::LIMIT, limit);
        }
        self.growth.observe(cx.now, &Labels::default(), used, limit, report).await;
    }

    fn keys(&mut self, info: &Info, report: &mut Report) {
        let mut listed = BTreeSet::new();
        for (number, value) in info.with_prefix("db") {
            if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
                continue;
            }
            if !self.databases.contains(number) && self.databases.len() >= MAX_DATABASES {
                continue;
            }
            self.databases.insert(number.to_owned());
            if !listed.insert(number) {
                continue;
            }
            let (pairs, labels) = (Pairs::read(value), Labels::one("database", number));
            if let Some(keys) = pairs.number("keys") {
                report.push_labelled(&metric::KEYS, &labels, keys);
            }
            let expires = pairs.number("expires");
            if let Some(expires) = expires {
                report.push_labelled(&metric::EXPIRES, &labels, expires);
            }
            if let Some(millis) = pairs.number("avg_ttl").filter(|_| expires.is_some_and(|keys| keys > 0.0)) {
                report.push_estimate(&metric::TTL, &labels, millis / 1e3);
            }
        }
        // A database without keys has no line, and that is a zero that was measured.
        self.databases.insert("0".to_owned());
        for number in self.databases.iter().filter(|number| !listed.contains(number.as_str())) {
            let labels = Labels::one("database", number.as_str());
            report.push_labelled(&metric::KEYS, &labels, 0.0);
            report.push_labelled(&metric::EXPIRES, &labels, 0.0);
        }
    }
}

#[async_trait]
impl Probe for StorageProbe {
    async fn check(&mut self, cx: &CheckContext) -> Report {
        let server = self.server.clone();
        let mut course = Course::default();
        let mut report = Report::default();
        let outcome = evidence::bounded(cx, self.run(cx, &mut course, &mut report)).await;
        evidence::finish(&server, cx, &course, outcome, &mut report);
        report
    }
}

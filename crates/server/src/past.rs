//! What was measured earlier, for probes that look at growth.

use std::sync::Arc;
use std::time::Duration;

use wise_core::{Clock, Labels, MonitorId, PastReadings, PastSeries, Timestamp, async_trait};
use wise_storage::ports::HistoryStore;
use wise_storage::{Aggregate, QueryPlan};

/// Reads the store.
pub(crate) struct FromStore<S: ?Sized> {
    store: Arc<S>,
    clock: Arc<dyn Clock>,
}

impl<S: HistoryStore + ?Sized> FromStore<S> {
    pub(crate) fn new(store: Arc<S>, clock: Arc<dyn Clock>) -> Self {
        Self { store, clock }
    }
}

#[async_trait]
impl<S: HistoryStore + ?Sized + 'static> PastReadings for FromStore<S> {
    async fn of(
        &self,
        monitor: MonitorId,
        metric: &str,
        since: Timestamp,
        step: Duration,
    ) -> Vec<PastSeries> {
        let to = self.clock.now();
        let points = (to.since(since).as_secs() / step.as_secs().max(1)) as usize;
        let plan = QueryPlan::of(monitor, metric, (since, to), points.max(1), Aggregate::Last);
        let store = self.store.clone();
        // Without its past a forecast comes later: that is no reason to fail a check.
        let Ok(Ok(found)) = tokio::task::spawn_blocking(move || store.answer(&plan)).await else {
            return Vec::new();
        };
        let time = |seconds: f64| Timestamp::from_micros((seconds * 1e6) as i64);
        let series = |labels: Vec<(String, String)>, points: Vec<(f64, f64)>| {
            (Labels::new(labels), points.into_iter().map(|(at, value)| (time(at), value)).collect())
        };
        found.series.into_iter().map(|one| series(one.labels, one.points)).collect()
    }
}

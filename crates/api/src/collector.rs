//! The server's metrics: scheduler, store, live stream, and every monitor's last readings.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use wise_core::{MetricKind, MetricRef, Plugin, Registry as Plugins, Status};
use wise_orchestrator::{DELAY_BUCKETS, SchedulerStats};
use wise_overview::Overview;
use wise_storage::{Consumers, RecorderState, RemoteState};
use wise_telemetry::prometheus_client::collector::Collector;
use wise_telemetry::prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, NoLabelSet};
use wise_telemetry::prometheus_client::metrics::MetricType;
use wise_telemetry::prometheus_client::metrics::counter::ConstCounter;
use wise_telemetry::prometheus_client::metrics::gauge::ConstGauge;
use wise_telemetry::prometheus_client::registry::Registry;

/// Registers everything that the server tells about itself and its monitors.
pub fn register(
    registry: &mut Registry,
    plugins: Arc<Plugins>,
    overview: Arc<Overview>,
    scheduler: Arc<SchedulerStats>,
    recorder: Arc<RecorderState>,
    remote: Option<Arc<RemoteState>>,
    consumers: Arc<Consumers>,
) {
    registry.register_collector(Box::new(Monitors { plugins, overview }));
    registry.register_collector(Box::new(Own { scheduler, recorder }));
    registry.register_collector(Box::new(Followers(consumers)));
    if let Some(remote) = remote {
        registry.register_collector(Box::new(Remote(remote)));
    }
}

/// A label of the target's beside ours: one that has the name of ours gets another that no label of the target's has.
fn renamed(name: &str, theirs: &[(String, String)]) -> String {
    let mut renamed = name.to_owned();
    while OWN_LABELS.contains(&renamed.as_str())
        || (renamed != name && theirs.iter().any(|(other, _)| *other == renamed))
    {
        renamed.insert_str(0, "target_");
    }
    renamed
}

struct Own {
    scheduler: Arc<SchedulerStats>,
    recorder: Arc<RecorderState>,
}

impl fmt::Debug for Own {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Own")
    }
}

impl Collector for Own {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let stats = self.scheduler.snapshot();
        let counters = [
            ("wise_scheduler_checks_started", "Checks started", stats.started),
            ("wise_scheduler_checks_ended", "Checks ended", stats.ended),
            (
                "wise_scheduler_checks_late",
                "Checks that started more than a second after they were due",
                stats.late,
            ),
            ("wise_scheduler_ticks_dropped", "Checks that were due and never made", stats.dropped),
            ("wise_scheduler_probe_panics", "Checks that ended in a panic", stats.panics),
            ("wise_scheduler_probe_overstays", "Checks thrown away past their deadline", stats.overstayed),
            ("wise_scheduler_stalls", "Times that a probe runtime stood still", stats.stalls),
            (
                "wise_scheduler_gaps",
                "Times that a monitor was not watched, because the server was stopped or stood still",
                stats.gaps,
            ),
            (
                "wise_scheduler_duplicate_readings",
                "Readings dropped because their check had another of the same series: a fault of the monitor's kind",
                stats.duplicates,
            ),
            (
                "wise_scheduler_results_discarded",
                "Results that the store never took",
                stats.discarded + self.recorder.dropped(),
            ),
            (
                "wise_store_samples_discarded",
                "Samples of the server itself and of other sources that are no monitors, which the store never took",
                self.recorder.samples_dropped(),
            ),
            ("wise_store_results_stored", "Results stored", self.recorder.stored()),
            (
                "wise_store_readings_refused",
                "Readings that were not kept, because their source has more series than storage.max_series",
                self.recorder.refused(),
            ),
        ];
        for (name, help, value) in counters {
            let metric = ConstCounter::new(value);
            metric.encode(encoder.encode_descriptor(name, help, None, metric.metric_type())?)?;
        }
        let gauges = [
            ("wise_scheduler_checks_in_flight", "Checks running", stats.in_flight as f64),
            (
                "wise_scheduler_checks_waiting",
                "Checks that are due and wait for a place",
                stats.waiting as f64,
            ),
            ("wise_store_results_pending", "Results that wait for the store", self.recorder.pending() as f64),
            (
                "wise_store_healthy",
                "Whether the last write to the store succeeded",
                f64::from(u8::from(self.recorder.is_healthy())),
            ),
        ];
        for (name, help, value) in gauges {
            let metric = ConstGauge::new(value);
            metric.encode(encoder.encode_descriptor(name, help, None, metric.metric_type())?)?;
        }
        let mut delays = encoder.encode_descriptor(
            "wise_scheduler_start_delay_seconds",
            "Time between due and started",
            None,
            MetricType::Histogram,
        )?;
        // The encoder sums up itself.
        let bounds = DELAY_BUCKETS.into_iter().chain([f64::INFINITY]);
        let buckets: Vec<(f64, u64)> = bounds.zip(stats.delays.iter().copied()).collect();
        delays.encode_histogram::<NoLabelSet>(
            stats.delay_sum_seconds,
            stats.delays.iter().sum(),
            &buckets,
            None,
        )
    }
}

/// Those who follow the main record.
struct Followers(Arc<Consumers>);

impl fmt::Debug for Followers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Followers")
    }
}

impl Collector for Followers {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let states = self.0.states();
        let mut lag = encoder.encode_descriptor(
            "wise_consumer_lag_events",
            "Events of the main record that a consumer has not taken in yet",
            None,
            MetricType::Gauge,
        )?;
        for state in &states {
            let metric = ConstGauge::new(state.lag() as f64);
            metric.encode(lag.encode_family(&[("consumer", state.name())])?)?;
        }
        let mut failing = encoder.encode_descriptor(
            "wise_consumer_failing",
            "Whether a consumer could not take in its last events",
            None,
            MetricType::Gauge,
        )?;
        for state in &states {
            let metric = ConstGauge::new(f64::from(u8::from(state.is_failing())));
            metric.encode(failing.encode_family(&[("consumer", state.name())])?)?;
        }
        Ok(())
    }
}

/// The connection to a store behind a spool.
struct Remote(Arc<RemoteState>);

impl fmt::Debug for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Remote")
    }
}

impl Collector for Remote {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let gauges = [
            (
                "wise_store_remote_connected",
                "Whether the last call to MongoDB was answered",
                f64::from(u8::from(self.0.is_connected())),
            ),
            (
                "wise_store_remote_unsent_hours",
                "Hours of a monitor's checks that are not in MongoDB yet, the running ones among them",
                self.0.unsent() as f64,
            ),
        ];
        for (name, help, value) in gauges {
            let metric = ConstGauge::new(value);
            metric.encode(encoder.encode_descriptor(name, help, None, metric.metric_type())?)?;
        }
        let counters = [
            (
                "wise_store_remote_days_given_up",
                "Days of checks that were removed from the spool before they were sent, because it may not grow",
                self.0.given_up(),
            ),
            (
                "wise_store_remote_documents_refused",
                "Documents of history that MongoDB did not take, and that were left out",
                self.0.refused(),
            ),
        ];
        for (name, help, value) in counters {
            let metric = ConstCounter::new(value);
            metric.encode(encoder.encode_descriptor(name, help, None, metric.metric_type())?)?;
        }
        Ok(())
    }
}

struct Monitors {
    plugins: Arc<Plugins>,
    overview: Arc<Overview>,
}

impl fmt::Debug for Monitors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Monitors")
    }
}

/// Labels and value of a reading.
type Sample = (Vec<(String, String)>, f64);

/// Names of the labels that every sample of a monitor has.
pub(crate) const OWN_LABELS: [&str; 4] = ["monitor", "monitor_id", "kind", "name"];

/// What stands before the star of the pattern that a metric fits.
pub(crate) fn found_prefix(plugin: &Plugin, name: &str) -> Option<&'static str> {
    plugin
        .metric_patterns
        .iter()
        .filter_map(|pattern| pattern.split_once('*').map(|(before, _)| before))
        .find(|before| name.len() > before.len() && name.starts_with(before))
}

/// Labels of a monitor: names may change, so the id is there too.
type MonitorLabels = [(&'static str, String); 3];

impl Collector for Monitors {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let mut readings: BTreeMap<String, Vec<Sample>> = BTreeMap::new();
        let mut found: BTreeMap<&'static str, Vec<Sample>> = BTreeMap::new();
        let mut states: Vec<(MonitorLabels, Status, bool)> = Vec::new();
        self.overview.for_each(|item| {
            let labels = [
                ("monitor", item.name.clone()),
                ("monitor_id", item.id.to_string()),
                ("kind", item.kind.clone()),
            ];
            states.push((labels.clone(), item.status, item.down));
            // A monitor that is not checked has no readings now: the last ones would look alive.
            if matches!(item.status, Status::Healthy | Status::Degraded | Status::Unhealthy) {
                for reading in item.readings.iter().flat_map(|last| last.readings.iter()) {
                    let Some(value) = reading.value.number() else { continue };
                    let own = labels.iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
                    // A label of the target's must not take the place of ours.
                    let pairs = reading.labels.pairs();
                    let theirs = pairs.iter().map(|(name, value)| (renamed(name, pairs), value.clone()));
                    let mut all: Vec<_> = own.chain(theirs).collect();
                    let name = reading.metric.name();
                    let prefix = self
                        .plugins
                        .plugin(&item.kind)
                        .filter(|_| matches!(reading.metric, MetricRef::Found(_)))
                        .and_then(|plugin| found_prefix(plugin, name));
                    match prefix {
                        // Found at run time: one family a pattern, so that no two names can become one.
                        Some(prefix) => {
                            all.push(("name".to_owned(), name[prefix.len()..].to_owned()));
                            found.entry(prefix).or_default().push((all, value));
                        }
                        None => readings.entry(name.to_owned()).or_default().push((all, value)),
                    }
                }
            }
        });
        let mut up = encoder.encode_descriptor(
            "wise_monitor_up",
            "1 when the monitor is not down, 0 when it is; absent when it is unknown or paused",
            None,
            MetricType::Gauge,
        )?;
        for (labels, status, down) in &states {
            if !matches!(status, Status::Unknown | Status::Paused | Status::Maintenance) {
                ConstGauge::new(f64::from(u8::from(!down))).encode(up.encode_family(labels)?)?;
            }
        }
        let mut state = encoder.encode_descriptor(
            "wise_monitor_status",
            "1 for the status that the monitor has, 0 for the others",
            None,
            MetricType::Gauge,
        )?;
        for (labels, status, _) in &states {
            for one in Status::ALL {
                let [a, b, c] = labels.clone();
                let labels = [a, b, c, ("status", one.name().to_owned())];
                ConstGauge::new(f64::from(u8::from(one == *status))).encode(state.encode_family(&labels)?)?;
            }
        }
        for plugin in self.plugins.plugins() {
            for metric in plugin.metrics {
                let Some(values) = readings.get(metric.name) else { continue };
                let (name, factor) = metric.prometheus();
                match metric.kind {
                    MetricKind::Gauge => {
                        let mut family =
                            encoder.encode_descriptor(&name, metric.help, None, MetricType::Gauge)?;
                        for (labels, value) in values {
                            ConstGauge::new(*value * factor).encode(family.encode_family(labels)?)?;
                        }
                    }
                    MetricKind::Counter => {
                        let name = name.strip_suffix("_total").unwrap_or(&name);
                        let mut family =
                            encoder.encode_descriptor(name, metric.help, None, MetricType::Counter)?;
                        for (labels, value) in values {
                            ConstCounter::new(*value).encode(family.encode_family(labels)?)?;
                        }
                    }
                }
            }
        }
        for (prefix, values) in &found {
            let name = format!("wise_{}", prefix.trim_end_matches('.').replace('.', "_"));
            let help = format!("Metrics found at run time under {prefix}*, such as those of custom queries");
            let mut family = encoder.encode_descriptor(&name, &help, None, MetricType::Gauge)?;
            for (labels, value) in values {
                ConstGauge::new(*value).encode(family.encode_family(labels)?)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_label_of_a_target_takes_the_place_of_another() {
        let own = OWN_LABELS[0];
        let theirs: Vec<(String, String)> = [own.to_owned(), format!("target_{own}"), "table".to_owned()]
            .into_iter()
            .map(|name| (name, String::new()))
            .collect();
        let found: Vec<String> = theirs.iter().map(|(name, _)| renamed(name, &theirs)).collect();
        assert_eq!(found, [format!("target_target_{own}"), format!("target_{own}"), "table".to_owned()]);
    }
}

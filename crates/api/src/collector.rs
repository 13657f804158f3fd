//! The server's metrics: scheduler, store, live stream, and every monitor's last readings.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use wise_core::{MetricKind, Registry as Plugins, Status};
use wise_orchestrator::{DELAY_BUCKETS, SchedulerStats};
use wise_storage::{Overview, RecorderState};
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
) {
    registry.register_collector(Box::new(Monitors { plugins, overview }));
    registry.register_collector(Box::new(Own { scheduler, recorder }));
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
                "wise_scheduler_results_discarded",
                "Results that the store never took",
                stats.discarded + self.recorder.dropped(),
            ),
            ("wise_store_results_stored", "Results stored", self.recorder.stored()),
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

/// Labels of a monitor: names may change, so the id is there too.
type MonitorLabels = [(&'static str, String); 3];

impl Collector for Monitors {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let mut readings: BTreeMap<String, Vec<Sample>> = BTreeMap::new();
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
                for reading in item.readings.iter().flat_map(|(_, readings)| readings) {
                    let Some(value) = reading.value.number() else { continue };
                    let own = labels.iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
                    let all = own.chain(reading.labels.pairs().iter().cloned()).collect();
                    readings.entry(reading.metric.name().to_owned()).or_default().push((all, value));
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
        Ok(())
    }
}

//! From control groups and Docker's answers to readings.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;
use wise_core::{Absent, Labels, Report, Timestamp, common};

use super::{DockerContainer, Group, Seen, Sizes, Usage};
use crate::interval::{self, Recent, growth};
use crate::metrics::containers as metrics;

const OOM_WINDOW: Duration = Duration::from_secs(1800);
const RESTART_WINDOW: Duration = Duration::from_secs(600);

/// What is remembered of containers from check to check.
#[derive(Debug, Default)]
pub(crate) struct Readings {
    before: Option<(Instant, HashMap<String, Usage>)>,
    oom_kills: HashMap<String, Recent>,
    restarts: HashMap<String, Recent>,
}

impl Readings {
    /// Readings of control groups; `labels` has those of each, by its id.
    pub(crate) fn groups(
        &mut self,
        now: Instant,
        groups: &[Group],
        all_labels: &HashMap<String, Labels>,
        report: &mut Report,
    ) {
        let seconds = self.before.as_ref().and_then(|(before, _)| interval::seconds(now, *before));
        for group in groups {
            let Some(labels) = all_labels.get(&group.id) else { continue };
            levels(&group.usage, labels, report);
            if let Some(kills) = group.usage.oom_kills {
                let recent =
                    self.oom_kills.entry(group.id.clone()).or_insert_with(|| Recent::new(OOM_WINDOW));
                report.push_labelled_some(&metrics::OOM_RECENT, labels, recent.add(now, kills));
            }
            let before = self.before.as_ref().and_then(|(_, before)| before.get(&group.id));
            if let (Some(seconds), Some(before)) = (seconds, before) {
                between(&group.usage, before, seconds, labels, report);
            }
        }
        if seconds.is_some() || self.before.is_none() {
            self.before = Some((now, groups.iter().map(|group| (group.id.clone(), group.usage)).collect()));
        }
        self.oom_kills.retain(|id, _| groups.iter().any(|group| group.id == *id));
    }

    /// Readings of what Docker says.
    pub(crate) fn docker(
        &mut self,
        now: Instant,
        time: Timestamp,
        seen: &Seen,
        all_labels: &HashMap<String, Labels>,
        report: &mut Report,
    ) {
        for container in &seen.containers {
            if let Some(labels) = all_labels.get(&container.id) {
                self.container(now, time, container, labels, report);
            }
        }
        self.restarts.retain(|id, _| seen.containers.iter().any(|container| container.id == *id));
        match &seen.sizes {
            Some(Ok(sizes)) => on_disk(sizes, all_labels, report),
            Some(Err(failure)) => {
                let why = if failure.class.name == common::PERMISSION.name {
                    Absent::NoPermission("let the socket's proxy pass GET /system/df".to_owned())
                } else {
                    Absent::NotKnown
                };
                report.push_absent(&metrics::LAYER, &Labels::default(), why);
            }
            None => {}
        }
    }

    fn container(
        &mut self,
        now: Instant,
        time: Timestamp,
        container: &DockerContainer,
        labels: &Labels,
        report: &mut Report,
    ) {
        let is_running = container.state == "running";
        report.push_labelled(&metrics::RUNNING, labels, f64::from(u8::from(is_running)));
        let Some(inspected) = &container.inspected else { return };
        report.push_labelled(&metrics::RESTARTS, labels, inspected.restarts);
        let recent = self.restarts.entry(container.id.clone()).or_insert_with(|| Recent::new(RESTART_WINDOW));
        report.push_labelled_some(&metrics::RESTARTS_RECENT, labels, recent.add(now, inspected.restarts));
        let health = inspected.health.as_deref().and_then(|health| match health {
            "healthy" => Some(0.0),
            "starting" => Some(1.0),
            "unhealthy" => Some(2.0),
            _ => None,
        });
        report.push_labelled_some(&metrics::HEALTH, labels, health);
        if is_running {
            let started = inspected.started_at.as_deref().and_then(|text| Timestamp::parse(text).ok());
            let age = started.map(|started| time.as_seconds_f64() - started.as_seconds_f64());
            report.push_labelled_some(&metrics::AGE, labels, age.filter(|age| *age >= 0.0));
        } else {
            report.push_labelled(&metrics::EXIT_CODE, labels, inspected.exit_code);
            report.push_labelled(&metrics::OOM_KILLED, labels, f64::from(u8::from(inspected.oom_killed)));
        }
    }
}

fn levels(usage: &Usage, labels: &Labels, report: &mut Report) {
    let working_set = usage.working_set();
    let share = |part: Option<f64>, whole: Option<f64>| Some(part? / whole.filter(|whole| *whole > 0.0)?);
    for (metric, value) in [
        (&metrics::CPU_SECONDS, usage.cpu_seconds),
        (&metrics::CPU_LIMIT, usage.cpu_limit),
        (&metrics::THROTTLED_SECONDS, usage.throttled_seconds),
        (&metrics::WORKING_SET, working_set),
        (&metrics::MEMORY_LIMIT, usage.memory_limit),
        (&metrics::MEMORY_RATIO, share(working_set, usage.memory_limit)),
        (&metrics::ANON, usage.anon),
        (&metrics::FILE, usage.file),
        (&metrics::SHARED, usage.shared),
        (&metrics::SWAP, usage.swap),
        (&metrics::OOM_KILLS, usage.oom_kills),
        (&metrics::HIGH_EVENTS, usage.high_events),
        (&metrics::MAX_EVENTS, usage.max_events),
        (&metrics::READ_BYTES, usage.io.map(|io| io.read_bytes)),
        (&metrics::WRITTEN_BYTES, usage.io.map(|io| io.written_bytes)),
        (&metrics::READS, usage.io.map(|io| io.reads)),
        (&metrics::WRITES, usage.io.map(|io| io.writes)),
        (&metrics::PIDS, usage.pids),
        (&metrics::PIDS_RATIO, share(usage.pids, usage.pids_limit)),
        (&metrics::RX_BYTES, usage.network.map(|(received, _)| received)),
        (&metrics::TX_BYTES, usage.network.map(|(_, sent)| sent)),
    ] {
        report.push_labelled_some(metric, labels, value);
    }
}

fn between(now: &Usage, before: &Usage, seconds: f64, labels: &Labels, report: &mut Report) {
    let cores = growth(now.cpu_seconds, before.cpu_seconds).map(|used| used / seconds);
    report.push_labelled_some(&metrics::CPU_CORES, labels, cores);
    let share =
        cores.zip(now.cpu_limit).filter(|(_, limit)| *limit > 0.0).map(|(cores, limit)| cores / limit);
    report.push_labelled_some(&metrics::CPU_RATIO, labels, share);
    // Without a quota there are no periods.
    let periods = growth(now.periods, before.periods).filter(|periods| *periods > 0.0);
    let throttled = growth(now.throttled_periods, before.throttled_periods);
    let share = throttled.zip(periods).map(|(throttled, periods)| (throttled / periods).min(1.0));
    report.push_labelled_some(&metrics::THROTTLED_RATIO, labels, share);
    let (pressure, old) = (&now.pressure, &before.pressure);
    for (metric, now, before) in [
        (&metrics::PRESSURE_CPU, pressure.cpu.some, old.cpu.some),
        (&metrics::PRESSURE_MEMORY, pressure.memory.some, old.memory.some),
        (&metrics::PRESSURE_MEMORY_FULL, pressure.memory.full, old.memory.full),
        (&metrics::PRESSURE_IO, pressure.io.some, old.io.some),
    ] {
        report.push_labelled_some(
            metric,
            labels,
            growth(now, before).map(|stalled| (stalled / seconds).min(1.0)),
        );
    }
}

fn on_disk(sizes: &Sizes, all_labels: &HashMap<String, Labels>, report: &mut Report) {
    for (id, size) in &sizes.layers {
        if let Some(labels) = all_labels.get(id) {
            report.push_labelled(&metrics::LAYER, labels, *size);
        }
    }
    for (name, size) in &sizes.volumes {
        report.push_labelled(&metrics::VOLUME, &Labels::one("volume", name.clone()), *size);
    }
}

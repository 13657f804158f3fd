//! From looks at a machine to readings.

use std::time::Duration;

use wise_core::label::UniqueLabels;
use wise_core::{Absent, Labels, MetricSpec, Report, RestartWatch};

use crate::interval::{self, Recent, growth};
use crate::machine::{
    Basics, Core, Disk, GUEST, GUEST_NICE, IDLE, IOWAIT, IRQ, Interface, MODES, Machine, Memory, NICE,
    SOFTIRQ, STEAL, SYSTEM, Stall, USER,
};
use crate::metrics::host;

const RECENT: Duration = Duration::from_secs(1800);
/// Cores with a reading of their own.
const MAX_CORES: usize = 128;
/// A limit beyond this is none.
const NO_LIMIT: f64 = 1e15;
/// Fewer packets or segments than this in an interval give no ratio: one of three is no trend.
const ENOUGH: f64 = 100.0;

/// Uptime and load.
pub(crate) fn basics(basics: &Basics, restarts: &mut RestartWatch, report: &mut Report) {
    if let Some(uptime) = basics.uptime {
        report.push(&host::UPTIME, uptime);
        report.push(&host::REBOOTED, f64::from(u8::from(restarts.is_recent(uptime))));
    }
    if let Some([one, five, fifteen]) = basics.load {
        report.push(&host::LOAD_1, one);
        report.push(&host::LOAD_5, five);
        report.push(&host::LOAD_15, fifteen);
        if let Some(cores) = basics.cores.filter(|cores| *cores > 0) {
            report.push(&host::LOAD_PER_CORE, fifteen / cores as f64);
        }
    }
    report.push_some(&host::PROCESSES, basics.processes);
}

/// Looks over time: ratios are over the interval since the last one.
#[derive(Debug)]
pub(crate) struct Resources {
    before: Option<Machine>,
    oom_kills: Recent,
    swapped_out: Recent,
    page: f64,
}

impl Resources {
    /// `page` is the size of the machine's pages in bytes.
    pub(crate) fn new(page: f64) -> Self {
        Self { before: None, oom_kills: Recent::new(RECENT), swapped_out: Recent::new(RECENT), page }
    }

    /// The readings of a look, and of the time since the last one. Gives the share of CPU that was used, if known.
    pub(crate) fn read(&mut self, now: &Machine, is_estimate: bool, report: &mut Report) -> Option<f64> {
        self.levels(now, is_estimate, report);
        self.totals(now, report);
        let before = self.before.as_ref().filter(|before| !was_restarted(now, before));
        before.and_then(|before| {
            Some(between(now, before, interval::seconds(now.taken, before.taken)?, report))
        })?
    }

    /// Keeps the look for the next interval. One that follows too soon does not move its beginning.
    pub(crate) fn keep(&mut self, now: Machine) {
        let moves = self.before.as_ref().is_none_or(|before| {
            interval::seconds(now.taken, before.taken).is_some() || was_restarted(&now, before)
        });
        if moves {
            self.before = Some(now);
        }
    }

    fn levels(&mut self, now: &Machine, is_estimate: bool, report: &mut Report) {
        report.push_some(&host::CORES, now.basics.cores.map(|cores| cores as f64));
        memory(&now.memory, report);
        report.push_some(&host::THREADS, now.basics.threads);
        report.push_some(&host::RUNNING, now.basics.running);
        report.push_some(&host::BLOCKED, now.basics.blocked);
        let limits = &now.limits;
        share(report, &host::THREADS_RATIO, now.basics.threads, limits.max_threads);
        report.push_some(&host::FILES_OPEN, limits.open_files);
        share(report, &host::FILES_RATIO, limits.open_files, limits.max_files.filter(|max| *max < NO_LIMIT));
        report.push_some(&host::CONNTRACK, limits.conntrack);
        share(report, &host::CONNTRACK_RATIO, limits.conntrack, limits.max_conntrack);
        report.push_some(&host::TCP_ESTABLISHED, limits.tcp_established);
        report.push_some(&host::RAID_DEGRADED, now.degraded_arrays);
        let mut unique = UniqueLabels::default();
        for sensor in &now.temperatures {
            // Two chips of one device have one name.
            let labels = Labels::one("chip", sensor.chip.as_str()).with("sensor", sensor.sensor.as_str());
            let labels = unique.of(labels);
            report.push_labelled(&host::TEMPERATURE, &labels, sensor.value);
            if let Some(critical) = sensor.critical.filter(|critical| *critical > 0.0) {
                report.push_labelled(&host::TEMPERATURE_RATIO, &labels, (sensor.value / critical).max(0.0));
            }
        }
        clock(now, report);
        if let Some(kills) = now.counters.oom_kills {
            report.push_some(&host::OOM_RECENT, self.oom_kills.add(now.taken, kills));
        }
        if let (Some(pages), Some(memory)) = (now.counters.swapped_out_pages, now.memory.total)
            && let Some(recent) = self.swapped_out.add(now.taken, pages)
            && memory > 0.0
            && now.memory.swap_total.is_some_and(|total| total > 0.0)
        {
            let value = recent * self.page / memory;
            if is_estimate {
                report.push_estimate(&host::SWAP_OUT_RECENT, &Labels::default(), value);
            } else {
                report.push(&host::SWAP_OUT_RECENT, value);
            }
        }
    }

    fn totals(&self, now: &Machine, report: &mut Report) {
        let counters = &now.counters;
        report.push_some(&host::CONTEXT_SWITCHES, counters.context_switches);
        report.push_some(&host::INTERRUPTS, counters.interrupts);
        report.push_some(&host::FORKS, counters.forks);
        report.push_some(&host::SWAP_IN, counters.swapped_in_pages);
        report.push_some(&host::SWAP_OUT, counters.swapped_out_pages);
        report.push_some(&host::MAJOR_FAULTS, counters.major_faults);
        report.push_some(&host::OOM_KILLS, counters.oom_kills);
        report.push_some(&host::TCP_RETRANSMITS, counters.tcp_retransmits);
        report.push_some(&host::TCP_SENT, counters.tcp_sent);
        report.push_some(&host::LISTEN_OVERFLOWS, counters.listen_overflows);
        report.push_some(&host::LISTEN_DROPS, counters.listen_drops);
        for disk in &now.disks {
            let labels = Labels::one("disk", disk.name.clone());
            report.push_labelled(&host::DISK_READ_BYTES, &labels, disk.read_bytes);
            report.push_labelled(&host::DISK_WRITTEN_BYTES, &labels, disk.written_bytes);
            report.push_labelled(&host::DISK_READS, &labels, disk.reads);
            report.push_labelled(&host::DISK_WRITES, &labels, disk.writes);
        }
        for interface in &now.interfaces {
            let labels = Labels::one("interface", interface.name.clone());
            let (received, sent) = (interface.received, interface.sent);
            for (metric, value) in [
                (&host::NET_RX_BYTES, received.bytes),
                (&host::NET_TX_BYTES, sent.bytes),
                (&host::NET_RX_PACKETS, received.packets),
                (&host::NET_TX_PACKETS, sent.packets),
                (&host::NET_RX_ERRORS, received.errors),
                (&host::NET_TX_ERRORS, sent.errors),
                (&host::NET_RX_DROPS, received.drops),
                (&host::NET_TX_DROPS, sent.drops),
            ] {
                report.push_labelled(metric, &labels, value);
            }
            if let Some(up) = interface.up {
                report.push_labelled(&host::NET_UP, &labels, f64::from(u8::from(up)));
            }
            if let Some(speed) = interface.speed {
                report.push_labelled(&host::NET_SPEED, &labels, speed);
            }
        }
    }
}

/// Whether the machine was started again between two looks: all its counters then began again, and some may have passed
/// what they showed before.
fn was_restarted(now: &Machine, before: &Machine) -> bool {
    let passed = now.taken.saturating_duration_since(before.taken).as_secs_f64();
    now.basics.uptime.is_some_and(|uptime| uptime + 5.0 < passed)
        || matches!((now.basics.uptime, before.basics.uptime), (Some(now), Some(before)) if now < before)
}

fn share(report: &mut Report, metric: &'static MetricSpec, part: Option<f64>, whole: Option<f64>) {
    if let (Some(part), Some(whole)) = (part, whole)
        && whole > 0.0
    {
        report.push(metric, part / whole);
    }
}

fn memory(memory: &Memory, report: &mut Report) {
    report.push_some(&host::MEMORY_TOTAL, memory.total);
    report.push_some(&host::MEMORY_FREE, memory.free);
    report.push_some(&host::MEMORY_CACHED, memory.cached);
    report.push_some(&host::MEMORY_BUFFERS, memory.buffers);
    report.push_some(&host::MEMORY_SHARED, memory.shared);
    report.push_some(&host::MEMORY_SLAB, memory.slab);
    report.push_some(&host::MEMORY_DIRTY, memory.dirty);
    report.push_some(&host::MEMORY_COMMITTED, memory.committed);
    // Before kernel 3.14, what is cached stands in for what is available.
    let guess = || Some(memory.free? + memory.buffers? + memory.cached? - memory.shared.unwrap_or(0.0));
    if let Some(total) = memory.total.filter(|total| *total > 0.0)
        && let Some(available) = memory.available.or_else(guess)
    {
        let values = [
            (&host::MEMORY_AVAILABLE, available),
            (&host::MEMORY_AVAILABLE_RATIO, available / total),
            (&host::MEMORY_USED, total - available),
        ];
        for (metric, value) in values {
            if memory.available.is_some() {
                report.push(metric, value);
            } else {
                report.push_estimate(metric, &Labels::default(), value);
            }
        }
    }
    if let (Some(total), Some(free)) = (memory.swap_total, memory.swap_free) {
        report.push(&host::SWAP_TOTAL, total);
        report.push(&host::SWAP_USED, total - free);
        share(report, &host::SWAP_USED_RATIO, Some(total - free), Some(total));
    }
}

fn clock(now: &Machine, report: &mut Report) {
    let Some(clock) = now.clock else {
        report.push_absent(&host::CLOCK_OFFSET, &Labels::default(), Absent::Unsupported);
        return;
    };
    report.push_some(&host::CLOCK_SYNCHRONISED, clock.synchronised.map(|yes| f64::from(u8::from(yes))));
    report.push_some(&host::CLOCK_MAX_ERROR, clock.max_error);
    match clock.synchronised {
        // The kernel's zero of a clock that no one compares with anything is no offset.
        Some(false) => report.push_absent(&host::CLOCK_OFFSET, &Labels::default(), Absent::NotKnown),
        _ => report.push_some(&host::CLOCK_OFFSET, clock.offset.map(f64::abs)),
    }
}

/// What happened between two looks. Gives the share of CPU that was used.
fn between(now: &Machine, before: &Machine, seconds: f64, report: &mut Report) -> Option<f64> {
    let used = cores(&now.cores, &before.cores, report);
    let (pressure, old) = (&now.pressure, &before.pressure);
    let stalled = |now: Option<f64>, before: Option<f64>| {
        growth(now, before).map(|stalled| (stalled / seconds).min(1.0))
    };
    let both = |now: Stall, old: Stall| (stalled(now.some, old.some), stalled(now.full, old.full));
    let (cpu, _) = both(pressure.cpu, old.cpu);
    let (memory, memory_full) = both(pressure.memory, old.memory);
    let (io, io_full) = both(pressure.io, old.io);
    let (_, irq_full) = both(pressure.irq, old.irq);
    report.push_some(&host::PRESSURE_CPU, cpu);
    report.push_some(&host::PRESSURE_MEMORY, memory);
    report.push_some(&host::PRESSURE_MEMORY_FULL, memory_full);
    report.push_some(&host::PRESSURE_IO, io);
    report.push_some(&host::PRESSURE_IO_FULL, io_full);
    report.push_some(&host::PRESSURE_IRQ_FULL, irq_full);
    let sent = growth(now.counters.tcp_sent, before.counters.tcp_sent).filter(|sent| *sent >= ENOUGH);
    let again = growth(now.counters.tcp_retransmits, before.counters.tcp_retransmits);
    share(report, &host::TCP_RETRANSMIT_RATIO, again, sent);
    for disk in &now.disks {
        if let Some(before) = before.disks.iter().find(|before| before.name == disk.name) {
            disk_between(disk, before, seconds, report);
        }
    }
    for interface in &now.interfaces {
        if let Some(before) = before.interfaces.iter().find(|before| before.name == interface.name) {
            interface_between(interface, before, seconds, report);
        }
    }
    used
}

/// The modes of a core over the interval; `None` when it was away in between, which sets its counters back.
fn core_between(now: &Core, before: &Core) -> Option<[f64; MODES]> {
    let mut grown = [0.0; MODES];
    for (mode, grown) in grown.iter_mut().enumerate() {
        let by = now.modes[mode] - before.modes[mode];
        // The kernel itself takes a little idle and waiting time back at times.
        let is_slip = matches!(mode, IDLE | IOWAIT) && by > -2.0;
        *grown = match by {
            by if by >= 0.0 => by,
            _ if is_slip => 0.0,
            _ => return None,
        };
    }
    Some(grown)
}

/// Everything but the guests, who are inside user and nice.
fn whole(modes: &[f64; MODES]) -> f64 {
    modes[..GUEST].iter().sum()
}

fn used(modes: &[f64; MODES]) -> f64 {
    modes[USER] + modes[NICE] + modes[SYSTEM] + modes[IRQ] + modes[SOFTIRQ]
}

fn cores(now: &[Core], before: &[Core], report: &mut Report) -> Option<f64> {
    let mut sum = [0.0; MODES];
    let mut busiest: Option<f64> = None;
    for (index, core) in now.iter().enumerate() {
        // Usually at the same place as last time.
        let old = before.get(index).filter(|old| old.id == core.id);
        let old = old.or_else(|| before.iter().find(|old| old.id == core.id));
        let Some(grown) = old.and_then(|old| core_between(core, old)) else { continue };
        let all = whole(&grown);
        if all <= 0.0 {
            continue;
        }
        sum.iter_mut().zip(grown).for_each(|(sum, grown)| *sum += grown);
        let share = used(&grown) / all;
        busiest = Some(busiest.map_or(share, |busiest| busiest.max(share)));
        if index < MAX_CORES {
            report.push_labelled(&host::CORE_USED, &Labels::one("core", core.id.to_string()), share);
        }
    }
    let all = whole(&sum);
    if all <= 0.0 {
        return None;
    }
    for (metric, part) in [
        (&host::CPU_USED, used(&sum)),
        (&host::CPU_USER, sum[USER]),
        (&host::CPU_NICE, sum[NICE]),
        (&host::CPU_SYSTEM, sum[SYSTEM]),
        (&host::CPU_IOWAIT, sum[IOWAIT]),
        (&host::CPU_IRQ, sum[IRQ] + sum[SOFTIRQ]),
        (&host::CPU_STEAL, sum[STEAL]),
        (&host::CPU_GUEST, sum[GUEST] + sum[GUEST_NICE]),
        (&host::CPU_IDLE, sum[IDLE]),
    ] {
        report.push(metric, (part / all).min(1.0));
    }
    report.push_some(&host::CORE_BUSIEST, busiest);
    Some(used(&sum) / all)
}

/// Fewer requests in an interval make an average of noise.
const ENOUGH_REQUESTS: f64 = 10.0;

fn disk_between(now: &Disk, before: &Disk, seconds: f64, report: &mut Report) {
    let grown = |field: fn(&Disk) -> f64| growth(Some(field(now)), Some(field(before)));
    let Some(busy) = grown(|disk| disk.busy_time).map(|busy| busy / seconds) else { return };
    // Busier than there was time: another disk has taken the name.
    if busy > 1.5 {
        return;
    }
    let labels = Labels::one("disk", now.name.clone());
    report.push_labelled(&host::DISK_BUSY, &labels, busy.min(1.0));
    if let Some(weighted) = grown(|disk| disk.weighted_time) {
        report.push_labelled(&host::DISK_QUEUE, &labels, weighted / seconds);
    }
    for (metric, count, time) in [
        (&host::DISK_READ_AWAIT, grown(|disk| disk.reads), grown(|disk| disk.read_time)),
        (&host::DISK_WRITE_AWAIT, grown(|disk| disk.writes), grown(|disk| disk.write_time)),
    ] {
        if let (Some(count), Some(time)) = (count.filter(|count| *count >= ENOUGH_REQUESTS), time) {
            report.push_labelled(metric, &labels, time / count);
        }
    }
}

fn interface_between(now: &Interface, before: &Interface, seconds: f64, report: &mut Report) {
    let pairs = [(now.received, before.received), (now.sent, before.sent)];
    let (mut errors, mut packets, mut busier) = (0.0, 0.0, 0.0_f64);
    for (now, before) in pairs {
        let grown = |now: f64, before: f64| growth(Some(now), Some(before));
        // One counter that went back says that the interface is a new one.
        let (Some(bytes), Some(count), Some(bad)) = (
            grown(now.bytes, before.bytes),
            grown(now.packets, before.packets),
            grown(now.errors, before.errors),
        ) else {
            return;
        };
        errors += bad;
        packets += count + bad;
        busier = busier.max(bytes / seconds);
    }
    let labels = Labels::one("interface", now.name.clone());
    if packets >= ENOUGH {
        report.push_labelled(&host::NET_ERRORS, &labels, errors / packets);
    }
    // More than the link carries is a new interface of the same name, or a speed that is not true.
    if let Some(used) = now.speed.map(|speed| busier / speed).filter(|used| *used <= 1.5) {
        report.push_labelled(&host::NET_USED, &labels, used.min(1.0));
    }
}

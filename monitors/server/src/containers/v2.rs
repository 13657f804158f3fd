//! Control groups of version 2.

use std::path::Path;

use super::cgroup::{Groups, join};
use super::{Io, Usage};
use crate::machine::Pressures;
use crate::proc;

/// What a group uses.
pub(super) fn usage(groups: &mut Groups, root: &Path, path: &str) -> Usage {
    let group = join(root, path);
    let mut usage = Usage::default();
    if let Some(text) = groups.text(&group, "cpu.stat") {
        each(&text, |name, value| match name {
            "usage_usec" => usage.cpu_seconds = Some(value / 1e6),
            "nr_periods" => usage.periods = Some(value),
            "nr_throttled" => usage.throttled_periods = Some(value),
            "throttled_usec" => usage.throttled_seconds = Some(value / 1e6),
            _ => {}
        });
    }
    usage.cpu_limit = groups.smallest(root, path, "cpu.max", cpu_max);
    usage.memory = groups.number(&group, "memory.current");
    if let Some(text) = groups.text(&group, "memory.stat") {
        each(&text, |name, value| match name {
            "inactive_file" => usage.inactive_file = Some(value),
            "anon" => usage.anon = Some(value),
            "file" => usage.file = Some(value),
            "shmem" => usage.shared = Some(value),
            _ => {}
        });
    }
    usage.memory_limit =
        groups.smallest(root, path, "memory.max", |groups, group| groups.number(group, "memory.max"));
    usage.swap = groups.number(&group, "memory.swap.current");
    if let Some(text) = groups.text(&group, "memory.events") {
        each(&text, |name, value| match name {
            "oom_kill" => usage.oom_kills = Some(value),
            "high" => usage.high_events = Some(value),
            "max" => usage.max_events = Some(value),
            _ => {}
        });
    }
    let mut pressure = Pressures::default();
    for (file, stall) in [
        ("cpu.pressure", &mut pressure.cpu),
        ("memory.pressure", &mut pressure.memory),
        ("io.pressure", &mut pressure.io),
    ] {
        if let Some(text) = groups.text(&group, file) {
            *stall = proc::pressure(&text);
        }
    }
    usage.pressure = pressure;
    usage.io = groups.text(&group, "io.stat").map(|text| io(groups, &text));
    usage.pids = groups.number(&group, "pids.current");
    usage.pids_limit = groups.number(&group, "pids.max");
    usage.network = groups.network(&group);
    usage
}

/// `quota period` in `cpu.max`, in cores; the quota may be `max`.
fn cpu_max(groups: &mut Groups, group: &Path) -> Option<f64> {
    let text = groups.text(group, "cpu.max")?;
    let (quota, period) = text.trim().split_once(' ')?;
    let (quota, period) = (proc::number(quota)?, proc::number(period)?);
    (period > 0.0).then(|| quota / period)
}

/// `8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5 dios=6`, a line a device.
fn io(groups: &mut Groups, text: &str) -> Io {
    let mut sums = [Io::default(), Io::default()];
    let mut seen = [false; 2];
    for line in text.lines() {
        let mut words = line.split_ascii_whitespace();
        let Some(device) = words.next() else { continue };
        let mut io = Io::default();
        for (name, value) in words.filter_map(|word| word.split_once('=')) {
            let value = proc::number(value).unwrap_or(0.0);
            match name {
                "rbytes" => io.read_bytes = value,
                "wbytes" => io.written_bytes = value,
                "rios" => io.reads = value,
                "wios" => io.writes = value,
                _ => {}
            }
        }
        let kind = usize::from(groups.is_layered(device));
        sums[kind].add(io);
        seen[kind] = true;
    }
    // A layer passes its requests on, and they are counted below it again.
    if seen[0] { sums[0] } else { sums[1] }
}

/// Lines of a name and a number.
pub(super) fn each(text: &str, mut take: impl FnMut(&str, f64)) {
    for line in text.lines() {
        if let Some((name, value)) = line.split_once(' ')
            && let Some(value) = proc::number(value)
        {
            take(name, value);
        }
    }
}

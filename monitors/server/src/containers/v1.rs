//! Control groups of version 1: a tree for each controller.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::cgroup::{Groups, join};
use super::v2::each;
use super::{Io, Usage};
use crate::proc;

/// What a group uses; `path` names it in the tree of a controller.
pub(super) fn usage(
    groups: &mut Groups,
    trees: &HashMap<&'static str, PathBuf>,
    path: impl Fn(&str) -> String,
) -> Usage {
    let mut usage = Usage::default();
    let group = |controller: &str| trees.get(controller).map(|tree| join(tree, &path(controller)));
    if let Some(group) = group("cpuacct") {
        usage.cpu_seconds = groups.number(&group, "cpuacct.usage").map(|nanoseconds| nanoseconds / 1e9);
    }
    if let (Some(group), Some(tree)) = (group("cpu"), trees.get("cpu")) {
        if let Some(text) = groups.text(&group, "cpu.stat") {
            each(&text, |name, value| match name {
                "nr_periods" => usage.periods = Some(value),
                "nr_throttled" => usage.throttled_periods = Some(value),
                "throttled_time" => usage.throttled_seconds = Some(value / 1e9),
                _ => {}
            });
        }
        usage.cpu_limit = groups.smallest(tree, &path("cpu"), "cpu.cfs_quota_us", quota);
    }
    if let Some(group) = group("memory") {
        memory(groups, &group, &mut usage);
    }
    if let Some(group) = group("blkio") {
        usage.io = io(groups, &group);
    }
    if let Some(group) = group("pids") {
        usage.pids = groups.number(&group, "pids.current");
        usage.pids_limit = groups.number(&group, "pids.max");
    }
    let any = ["memory", "pids", "cpuacct"].iter().find_map(|controller| group(controller));
    usage.network = any.and_then(|group| groups.network(&group));
    usage
}

fn memory(groups: &mut Groups, group: &Path, usage: &mut Usage) {
    usage.memory = groups.number(group, "memory.usage_in_bytes");
    usage.memory_limit = groups.number(group, "memory.limit_in_bytes");
    let mut cache = None;
    if let Some(text) = groups.text(group, "memory.stat") {
        each(&text, |name, value| match name {
            // Those with `total_` have what is in groups below.
            "total_inactive_file" => usage.inactive_file = Some(value),
            "total_rss" => usage.anon = Some(value),
            "total_cache" => cache = Some(value),
            "total_shmem" => usage.shared = Some(value),
            "total_swap" => usage.swap = Some(value),
            // The kernel's own minimum over the groups above.
            "hierarchical_memory_limit" => {
                usage.memory_limit = Some(usage.memory_limit.map_or(value, |limit| limit.min(value)));
            }
            _ => {}
        });
    }
    usage.file = cache;
    if let Some(text) = groups.text(group, "memory.oom_control") {
        each(&text, |name, value| {
            if name == "oom_kill" {
                usage.oom_kills = Some(value);
            }
        });
    }
    usage.max_events = groups.number(group, "memory.failcnt");
}

/// The quota in cores; without one it is -1, which is no number here.
fn quota(groups: &mut Groups, group: &Path) -> Option<f64> {
    let quota = groups.number(group, "cpu.cfs_quota_us")?;
    let period = groups.number(group, "cpu.cfs_period_us")?;
    (period > 0.0).then(|| quota / period)
}

/// `8:0 Read 5` in the files of the throttling, which count whether or not there is a limit.
fn io(groups: &mut Groups, group: &Path) -> Option<Io> {
    let mut sums = [Io::default(), Io::default()];
    let mut seen = [false; 2];
    let mut any = false;
    for (file, is_bytes) in [("blkio.throttle.io_service_bytes", true), ("blkio.throttle.io_serviced", false)]
    {
        let Some(text) = groups.text(group, file) else { continue };
        any = true;
        for line in text.lines() {
            let mut words = line.split_ascii_whitespace();
            let (Some(device), Some(way), Some(value)) = (words.next(), words.next(), words.next()) else {
                continue;
            };
            let value = proc::number(value).unwrap_or(0.0);
            let mut io = Io::default();
            match (way, is_bytes) {
                ("Read", true) => io.read_bytes = value,
                ("Write", true) => io.written_bytes = value,
                ("Read", false) => io.reads = value,
                ("Write", false) => io.writes = value,
                _ => continue,
            }
            let kind = usize::from(groups.is_layered(device));
            sums[kind].add(io);
            seen[kind] = true;
        }
    }
    any.then(|| if seen[0] { sums[0] } else { sums[1] })
}

//! CPU, load, memory, pressure and the network's own counters.

use std::collections::HashSet;

use crate::machine::{Basics, Core, Counters, Limits, MAX_PARTS, MODES, Memory, Stall};

use super::{number, numbers};

/// /proc/stat: times of each core, in seconds.
pub(crate) fn cpu_times(text: &str, ticks_per_second: f64) -> Vec<Core> {
    let mut cores = Vec::with_capacity(16);
    let mut seen = HashSet::new();
    // The lines of the cores come first.
    for line in text.lines().take_while(|line| line.starts_with("cpu")) {
        let mut words = line.split_ascii_whitespace();
        let Some(id) = words.next().and_then(|word| word[3..].parse().ok()) else { continue };
        let ticks: [f64; MODES] = numbers(&mut words);
        if cores.len() < MAX_PARTS * 4 && seen.insert(id) {
            cores.push(Core { id, modes: ticks.map(|ticks| ticks / ticks_per_second) });
        }
    }
    cores
}

/// /proc/stat: what stands below the cores.
pub(crate) fn stat_counters(text: &str, counters: &mut Counters, basics: &mut Basics) {
    // `intr` and `softirq` have a number for each interrupt there is: only their first is looked at.
    for line in text.lines() {
        let Some((name, rest)) = line.split_once(' ') else { continue };
        match name {
            "intr" => counters.interrupts = number(rest),
            "ctxt" => counters.context_switches = number(rest),
            "processes" => counters.forks = number(rest),
            "btime" => basics.boot_time = number(rest),
            "procs_running" => basics.running = number(rest),
            "procs_blocked" => basics.blocked = number(rest),
            _ => {}
        }
    }
}

/// /proc/loadavg: the three averages, and how many threads there are.
pub(crate) fn load(text: &str, basics: &mut Basics) {
    let mut words = text.split_ascii_whitespace();
    let mut average = || words.next()?.parse::<f64>().ok().filter(|load| load.is_finite());
    let averages = (average(), average(), average());
    if let (Some(one), Some(five), Some(fifteen)) = averages {
        basics.load = Some([one, five, fifteen]);
    }
    basics.threads = words.next().and_then(|word| word.split_once('/')).and_then(|(_, all)| number(all));
}

/// /proc/meminfo, in bytes.
pub(crate) fn meminfo(text: &str) -> Memory {
    let mut memory = Memory::default();
    for line in text.lines() {
        let Some((name, rest)) = line.split_once(':') else { continue };
        let Some(field) = memory.field(name) else { continue };
        *field = number(rest).map(|kib| kib * 1024.0);
    }
    memory
}

impl Memory {
    /// The field for a name of /proc/meminfo.
    pub(crate) fn field(&mut self, name: &str) -> Option<&mut Option<f64>> {
        Some(match name {
            "MemTotal" => &mut self.total,
            "MemAvailable" => &mut self.available,
            "MemFree" => &mut self.free,
            "Buffers" => &mut self.buffers,
            "Cached" => &mut self.cached,
            "Shmem" => &mut self.shared,
            "Slab" => &mut self.slab,
            "Dirty" => &mut self.dirty,
            "Committed_AS" => &mut self.committed,
            "SwapTotal" => &mut self.swap_total,
            "SwapFree" => &mut self.swap_free,
            _ => return None,
        })
    }
}

/// /proc/vmstat.
pub(crate) fn vmstat(text: &str, counters: &mut Counters) {
    for line in text.lines() {
        let Some((name, rest)) = line.split_once(' ') else { continue };
        match name {
            "pswpin" => counters.swapped_in_pages = number(rest),
            "pswpout" => counters.swapped_out_pages = number(rest),
            "pgmajfault" => counters.major_faults = number(rest),
            "oom_kill" => counters.oom_kills = number(rest),
            _ => {}
        }
    }
}

/// A file of /proc/pressure or of a cgroup, in seconds.
pub(crate) fn pressure(text: &str) -> Stall {
    let mut stall = Stall::default();
    for line in text.lines() {
        let total = line.rsplit_once("total=").and_then(|(_, total)| number(total)).map(|us| us / 1e6);
        if line.starts_with("some ") {
            stall.some = total;
        } else if line.starts_with("full ") {
            stall.full = total;
        }
    }
    stall
}

/// /proc/net/snmp: pairs of lines, names above values.
pub(crate) fn snmp(text: &str, counters: &mut Counters, limits: &mut Limits) {
    pairs(text, "Tcp:", |name, value| match name {
        "CurrEstab" => limits.tcp_established = value,
        "OutSegs" => counters.tcp_sent = value,
        "RetransSegs" => counters.tcp_retransmits = value,
        _ => {}
    });
}

/// /proc/net/netstat, of the same shape.
pub(crate) fn netstat(text: &str, counters: &mut Counters) {
    pairs(text, "TcpExt:", |name, value| match name {
        "ListenOverflows" => counters.listen_overflows = value,
        "ListenDrops" => counters.listen_drops = value,
        _ => {}
    });
}

fn pairs<'a>(text: &'a str, prefix: &str, mut take: impl FnMut(&'a str, Option<f64>)) {
    let mut lines = text.lines().filter(|line| line.starts_with(prefix));
    let (Some(names), Some(values)) = (lines.next(), lines.next()) else { return };
    for (name, value) in names.split_ascii_whitespace().zip(values.split_ascii_whitespace()).skip(1) {
        take(name, number(value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::{GUEST, IDLE, STEAL, USER};

    const STAT: &str = "cpu  300 20 100 900 40 5 6 7 8 0\ncpu0 100 10 50 400 20 1 2 3 4 0\n\
        cpu2 200 10 50 500 20 4 4 4 4 0\nintr 77 0 1 2\nctxt 1234\nbtime 1700000000\nprocesses 99\n\
        procs_running 2\nprocs_blocked 1\nsoftirq 5 1 2\n";

    #[test]
    fn stat_has_each_core_and_the_counters() {
        let cores = cpu_times(STAT, 100.0);
        assert_eq!(cores.iter().map(|core| core.id).collect::<Vec<_>>(), [0, 2]);
        assert_eq!(cores[0].modes[USER], 1.0);
        assert_eq!(cores[1].modes[IDLE], 5.0);
        assert_eq!((cores[0].modes[STEAL], cores[0].modes[GUEST]), (0.03, 0.04));
        let (mut counters, mut basics) = (Counters::default(), Basics::default());
        stat_counters(STAT, &mut counters, &mut basics);
        assert_eq!(counters.interrupts, Some(77.0));
        assert_eq!(counters.context_switches, Some(1234.0));
        assert_eq!(counters.forks, Some(99.0));
        assert_eq!(basics.boot_time, Some(1_700_000_000.0));
        assert_eq!((basics.running, basics.blocked), (Some(2.0), Some(1.0)));
        // A kernel of 2.6.10 has fewer modes.
        assert_eq!(cpu_times("cpu0 1 2 3 4\n", 1.0)[0].modes[STEAL], 0.0);
    }

    #[test]
    fn load_memory_and_vmstat() {
        let mut basics = Basics::default();
        load("0.52 1.25 2.00 3/456 7890\n", &mut basics);
        assert_eq!((basics.load, basics.threads), (Some([0.52, 1.25, 2.0]), Some(456.0)));
        let memory = meminfo("MemTotal:  1000 kB\nMemFree: 10 kB\nHugePages_Total: 5\nSwapTotal: 0 kB\n");
        assert_eq!((memory.total, memory.free), (Some(1_024_000.0), Some(10_240.0)));
        assert_eq!((memory.available, memory.swap_total), (None, Some(0.0)));
        let mut counters = Counters::default();
        vmstat("nr_free_pages 5\npswpin 1\npswpout 2\npgmajfault 3\noom_kill 4\n", &mut counters);
        assert_eq!((counters.swapped_in_pages, counters.swapped_out_pages), (Some(1.0), Some(2.0)));
        assert_eq!((counters.major_faults, counters.oom_kills), (Some(3.0), Some(4.0)));
    }

    #[test]
    fn pressure_is_in_seconds() {
        let text = "some avg10=0.00 avg60=0.06 avg300=2.97 total=2500000\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=500000\n";
        assert_eq!(pressure(text), Stall { some: Some(2.5), full: Some(0.5) });
        assert_eq!(pressure("full avg10=0.00 total=7\n"), Stall { some: None, full: Some(7e-6) });
    }

    #[test]
    fn the_networks_counters_are_found_by_name() {
        let (mut counters, mut limits) = (Counters::default(), Limits::default());
        let text = "Ip: Forwarding\nIp: 1\nTcp: RtoMin MaxConn CurrEstab OutSegs RetransSegs\nTcp: 200 -1 12 1000 7\n";
        snmp(text, &mut counters, &mut limits);
        assert_eq!((counters.tcp_sent, counters.tcp_retransmits), (Some(1000.0), Some(7.0)));
        assert_eq!(limits.tcp_established, Some(12.0));
        netstat("TcpExt: A ListenOverflows ListenDrops\nTcpExt: 1 2 3\nIpExt: X\nIpExt: 5\n", &mut counters);
        assert_eq!((counters.listen_overflows, counters.listen_drops), (Some(2.0), Some(3.0)));
    }

    #[test]
    fn junk_gives_nothing_and_does_not_panic() {
        for junk in
            ["", "\n\n", "cpu", "cpux 1", "cpu99999999999 1", "MemTotal", "a b c d", "Tcp:\nTcp:\n", "é ü\n"]
        {
            cpu_times(junk, 100.0);
            let (mut counters, mut basics, mut limits) = Default::default();
            stat_counters(junk, &mut counters, &mut basics);
            load(junk, &mut basics);
            vmstat(junk, &mut counters);
            snmp(junk, &mut counters, &mut limits);
            assert_eq!(meminfo(junk), Memory::default());
            assert_eq!(pressure(junk), Stall::default());
        }
    }
}

//! The machine that this program runs on, read from /proc and /sys. Everything here blocks and is called on a blocking
//! thread, once a check.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sysinfo::System;
use tokio::time::Instant;
use wise_core::{Failure, label};

use crate::clock;
use crate::config::{default_proc, default_root, default_sys};
use crate::error::unreadable;
use crate::filter::Filter;
use crate::hwmon;
use crate::machine::{Basics, MAX_PARTS, Machine, Mount, Temperature};
use crate::proc;

/// Longest file that is read; /proc/stat of a machine with a thousand cores has a tenth of it.
const MAX_FILE: u64 = 4 << 20;
/// How long what rarely changes, or takes long to read, is kept.
const MINUTE: Duration = Duration::from_secs(60);
const TEN_MINUTES: Duration = Duration::from_secs(600);

/// Where the machine's files are.
#[derive(Clone, Debug)]
pub(crate) struct Paths {
    pub proc: String,
    pub sys: String,
    pub root: PathBuf,
    /// None of them is changed, so that what other libraries read is the same machine.
    pub own: bool,
}

impl Paths {
    pub(crate) fn new(proc: &str, sys: &str, root: &str) -> Self {
        let trim = |path: &str| path.strip_suffix('/').unwrap_or(path).to_owned();
        let own = (proc, sys, root) == (&*default_proc(), &*default_sys(), &*default_root());
        Self { proc: trim(proc), sys: trim(sys), root: PathBuf::from(root), own }
    }
}

/// Reads the machine's files, into a buffer that is kept.
pub(crate) struct Reader {
    paths: Arc<Paths>,
    buffer: Vec<u8>,
    ticks: f64,
    /// Where the network's files are: those of the first process are the machine's own when /proc is a mount of it.
    net: Option<&'static str>,
    speeds: HashMap<String, Kept<Option<f64>>>,
    disks: Kept<Option<Vec<String>>>,
    max_threads: Kept<Option<f64>>,
    processes: Kept<Option<f64>>,
    temperatures: Kept<Vec<Temperature>>,
    facts: Kept<Vec<(&'static str, String)>>,
}

/// A value with its age.
#[derive(Debug)]
struct Kept<T>(Option<(Instant, T)>);

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T: Clone> Kept<T> {
    fn get(&self, age: Duration) -> Option<T> {
        self.0.as_ref().filter(|(at, _)| at.elapsed() < age).map(|(_, value)| value.clone())
    }

    fn set(&mut self, value: T) -> T {
        self.0 = Some((Instant::now(), value.clone()));
        value
    }
}

impl Reader {
    pub(crate) fn new(paths: Arc<Paths>) -> Self {
        Self {
            paths,
            buffer: Vec::with_capacity(64 << 10),
            ticks: rustix::param::clock_ticks_per_second() as f64,
            net: None,
            speeds: HashMap::new(),
            disks: Kept::default(),
            max_threads: Kept::default(),
            processes: Kept::default(),
            temperatures: Kept::default(),
            facts: Kept::default(),
        }
    }

    /// A file as text: names in it need not be UTF-8, and stay apart.
    pub(crate) fn text(&mut self, path: &str) -> io::Result<Cow<'_, str>> {
        self.bytes(path).map(label::from_bytes)
    }

    fn bytes(&mut self, path: &str) -> io::Result<&[u8]> {
        self.buffer.clear();
        File::open(path)?.take(MAX_FILE).read_to_end(&mut self.buffer)?;
        Ok(&self.buffer)
    }

    fn proc(&mut self, file: &str) -> io::Result<Cow<'_, str>> {
        self.text(&format!("{}/{file}", self.paths.proc))
    }

    fn proc_number(&mut self, file: &str) -> Option<f64> {
        proc::number(&self.proc(file).ok()?)
    }

    /// What must be there for anything to be said: uptime and load.
    pub(crate) fn basics(&mut self) -> Result<Basics, Failure> {
        let mut basics = Basics::default();
        // Without its root no filesystem can be measured, and that must not look like health.
        let root = self.paths.root.clone();
        std::fs::metadata(&root)
            .map_err(|error| unreadable(&format!("{} (rootfs_path)", root.display()), &error))?;
        let path = |reader: &Self, file| format!("{}/{file}", reader.paths.proc);
        match self.proc("loadavg").map(|text| proc::load(&text, &mut basics)) {
            Ok(()) if basics.load.is_some() => {}
            Ok(()) => return Err(unreadable(&path(self, "loadavg"), &io::ErrorKind::InvalidData.into())),
            Err(error) => return Err(unreadable(&path(self, "loadavg"), &error)),
        }
        let uptime = self
            .proc("uptime")
            .map(|text| text.split_ascii_whitespace().next().and_then(|word| word.parse::<f64>().ok()));
        basics.uptime = match uptime {
            Ok(Some(uptime)) if uptime.is_finite() && uptime >= 0.0 => Some(uptime),
            Ok(_) => return Err(unreadable(&path(self, "uptime"), &io::ErrorKind::InvalidData.into())),
            Err(error) => return Err(unreadable(&path(self, "uptime"), &error)),
        };
        basics.cores = self.online_cores();
        basics.processes = self.count_processes();
        basics.facts = self.facts();
        Ok(basics)
    }

    /// `0-3,8` in /sys/devices/system/cpu/online.
    fn online_cores(&mut self) -> Option<usize> {
        let path = format!("{}/devices/system/cpu/online", self.paths.sys);
        let text = self.text(&path).ok()?;
        let mut cores = 0;
        for part in text.trim().split(',') {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let (first, last): (usize, usize) = (first.parse().ok()?, last.parse().ok()?);
            cores += last.checked_sub(first)? + 1;
        }
        Some(cores)
    }

    /// Counts the folders of processes: it costs more than all other files together where there are thousands, so it is
    /// done once a minute.
    fn count_processes(&mut self) -> Option<f64> {
        if let Some(count) = self.processes.get(MINUTE) {
            return count;
        }
        let count = std::fs::read_dir(&self.paths.proc).ok().map(|entries| {
            let is_process = |name: &std::ffi::OsStr| name.as_encoded_bytes().iter().all(u8::is_ascii_digit);
            entries.filter_map(Result::ok).filter(|entry| is_process(&entry.file_name())).count() as f64
        });
        self.processes.set(count)
    }

    fn facts(&mut self) -> Vec<(&'static str, String)> {
        if let Some(facts) = self.facts.get(TEN_MINUTES) {
            return facts;
        }
        let mut facts = Vec::new();
        let line = |text: io::Result<Cow<'_, str>>| {
            text.ok().map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
        };
        if self.paths.own {
            facts.extend(System::host_name().ok().map(|name| ("server.hostname", name)));
            facts.extend(System::kernel_version().ok().map(|version| ("server.kernel", version)));
            facts.extend(System::long_os_version().ok().map(|version| ("server.os", version)));
        } else {
            facts.extend(line(self.proc("sys/kernel/hostname")).map(|name| ("server.hostname", name)));
            facts.extend(line(self.proc("sys/kernel/osrelease")).map(|version| ("server.kernel", version)));
        }
        let dmi =
            |reader: &mut Self, file| line(reader.text(&format!("{}/class/dmi/id/{file}", reader.paths.sys)));
        let made: Vec<String> =
            [dmi(self, "sys_vendor"), dmi(self, "product_name")].into_iter().flatten().collect();
        let is_guest = self.proc("cpuinfo").is_ok_and(|text| text.contains(" hypervisor"));
        let platform = match (is_guest, made.is_empty()) {
            (true, true) => "virtual machine".to_owned(),
            (true, false) => format!("virtual machine, {}", made.join(" ")),
            (false, false) => made.join(" "),
            (false, true) => "not known".to_owned(),
        };
        facts.push(("server.platform", platform));
        facts.push(("server.source", format!("{} and {}", self.paths.proc, self.paths.sys)));
        self.facts.set(facts)
    }

    /// Everything that is measured over an interval. Files that are not there leave their part empty.
    ///
    /// # Errors
    /// /proc/stat or /proc/meminfo cannot be read.
    pub(crate) fn resources(&mut self, disks: &Filter, interfaces: &Filter) -> Result<Machine, Failure> {
        let mut machine = Machine::new(Instant::now());
        let ticks = self.ticks;
        let path = |reader: &Self, file| format!("{}/{file}", reader.paths.proc);
        match self.proc("stat") {
            Ok(text) => {
                machine.cores = proc::cpu_times(&text, ticks);
                proc::stat_counters(&text, &mut machine.counters, &mut machine.basics);
            }
            Err(error) => return Err(unreadable(&path(self, "stat"), &error)),
        }
        match self.proc("meminfo") {
            Ok(text) => machine.memory = proc::meminfo(&text),
            Err(error) => return Err(unreadable(&path(self, "meminfo"), &error)),
        }
        if let Ok(text) = self.proc("vmstat") {
            proc::vmstat(&text, &mut machine.counters);
        }
        machine.basics.cores = Some(machine.cores.len());
        let pressure = &mut machine.pressure;
        for (file, stall) in [
            ("pressure/cpu", &mut pressure.cpu),
            ("pressure/memory", &mut pressure.memory),
            ("pressure/io", &mut pressure.io),
            ("pressure/irq", &mut pressure.irq),
        ] {
            if let Ok(text) = self.proc(file) {
                *stall = proc::pressure(&text);
            }
        }
        // A machine without RAID has no such file, or an empty one.
        machine.degraded_arrays = self.proc("mdstat").ok().and_then(|text| proc::mdstat(&text));
        self.disks(disks, &mut machine);
        self.network(interfaces, &mut machine);
        self.limits(&mut machine);
        machine.temperatures = self.temperatures();
        machine.clock = self.paths.own.then(clock::read).flatten();
        Ok(machine)
    }

    fn disks(&mut self, filter: &Filter, machine: &mut Machine) {
        // Partitions are not in /sys/block. A disk that is plugged in is seen within a minute.
        let whole = match self.disks.get(MINUTE) {
            Some(whole) => whole,
            None => {
                let names = std::fs::read_dir(format!("{}/block", self.paths.sys)).ok().map(|entries| {
                    let names = entries.filter_map(Result::ok).map(|entry| entry.file_name());
                    names.filter_map(|name| name.into_string().ok()).take(MAX_PARTS * 4).collect::<Vec<_>>()
                });
                self.disks.set(names)
            }
        };
        let wanted = |name: &str| {
            let is_whole = whole.as_ref().is_none_or(|whole| whole.iter().any(|known| known == name));
            (is_whole && filter.allows(name)) || filter.names(name)
        };
        if let Ok(text) = self.proc("diskstats") {
            machine.disks = proc::diskstats(&text, wanted);
        }
    }

    fn network(&mut self, filter: &Filter, machine: &mut Machine) {
        let base = match self.net {
            Some(base) => base,
            None => {
                let base = if self.proc("1/net/dev").is_ok() { "1/net" } else { "net" };
                self.net = Some(base);
                base
            }
        };
        if let Ok(text) = self.proc(&format!("{base}/dev")) {
            machine.interfaces = proc::interfaces(&text, |name| filter.allows(name));
        }
        for at in 0..machine.interfaces.len() {
            let name = machine.interfaces[at].name.clone();
            let folder = format!("{}/class/net/{name}", self.paths.sys);
            if let Ok(text) = self.text(&format!("{folder}/operstate")) {
                machine.interfaces[at].up = match text.trim() {
                    "down" | "notpresent" | "lowerlayerdown" => Some(false),
                    "up" => Some(true),
                    _ => None,
                };
            }
            machine.interfaces[at].speed = self.speed(&name, &folder);
        }
        let present = &machine.interfaces;
        self.speeds.retain(|name, _| present.iter().any(|interface| interface.name == *name));
        if let Ok(text) = self.proc(&format!("{base}/snmp")) {
            proc::snmp(&text, &mut machine.counters, &mut machine.limits);
        }
        if let Ok(text) = self.proc(&format!("{base}/netstat")) {
            proc::netstat(&text, &mut machine.counters);
        }
    }

    /// Bytes a second. The driver is asked under a lock that the whole network shares, so it is asked rarely.
    fn speed(&mut self, name: &str, folder: &str) -> Option<f64> {
        if let Some(speed) = self.speeds.get(name).and_then(|kept| kept.get(TEN_MINUTES)) {
            return speed;
        }
        // A tunnel has no speed of its own; older kernels invent one.
        let is_tunnel = Path::new(&format!("{folder}/tun_flags")).exists();
        let megabits = self
            .text(&format!("{folder}/speed"))
            .ok()
            .filter(|_| !is_tunnel)
            .and_then(|text| proc::number(&text));
        // What drivers say that do not know: -1, 0, or the largest number.
        let speed =
            megabits.filter(|megabits| (1.0..1e7).contains(megabits)).map(|megabits| megabits * 125_000.0);
        self.speeds.entry(name.to_owned()).or_default().set(speed)
    }

    fn limits(&mut self, machine: &mut Machine) {
        if let Ok(text) = self.proc("sys/fs/file-nr") {
            let mut words = text.split_ascii_whitespace();
            let open = words.next().and_then(proc::number);
            let free = words.next().and_then(proc::number).unwrap_or(0.0);
            machine.limits.open_files = open.map(|open| open - free);
            machine.limits.max_files = words.next().and_then(proc::number);
        }
        machine.limits.conntrack = self.proc_number("sys/net/netfilter/nf_conntrack_count");
        if machine.limits.conntrack.is_some() {
            machine.limits.max_conntrack = self.proc_number("sys/net/netfilter/nf_conntrack_max");
        }
        machine.limits.max_threads = match self.max_threads.get(TEN_MINUTES) {
            Some(max) => max,
            None => {
                let ids = self.proc_number("sys/kernel/pid_max");
                let threads = self.proc_number("sys/kernel/threads-max");
                self.max_threads.set(ids.zip(threads).map(|(ids, threads)| ids.min(threads)))
            }
        };
        if let Ok(text) = self.proc("loadavg") {
            proc::load(&text, &mut machine.basics);
        }
    }

    /// Some sensors take milliseconds to answer, so they are asked once a minute.
    fn temperatures(&mut self) -> Vec<Temperature> {
        if let Some(known) = self.temperatures.get(MINUTE) {
            return known;
        }
        let found = hwmon::temperatures(&self.paths.sys);
        self.temperatures.set(found)
    }

    /// The mounts of the machine.
    ///
    /// # Errors
    /// There is no list of them.
    pub(crate) fn mounts(&mut self) -> Result<Vec<Mount>, Failure> {
        let mut read = |process: &str| {
            let path = format!("{}/{process}/mountinfo", self.paths.proc);
            self.bytes(&path).map(proc::mountinfo)
        };
        let (own, first) = (read("self"), read("1").unwrap_or_default());
        let root =
            |mounts: &[Mount]| mounts.iter().find(|mount| mount.point == "/").map(|root| root.number.clone());
        // The first process sees the machine's mounts as they are; a service unit may see some read-only. It is believed
        // where its root is ours too, or is given to us elsewhere.
        let is_given = self.paths.root != Path::new("/");
        match own {
            Ok(own) if first.is_empty() || (!is_given && root(&first) != root(&own)) => Ok(own),
            Err(error) if first.is_empty() => {
                Err(unreadable(&format!("{}/self/mountinfo", self.paths.proc), &error))
            }
            _ => Ok(first),
        }
    }
}

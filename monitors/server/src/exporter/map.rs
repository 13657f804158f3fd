//! From the names of node_exporter to what a machine says of itself.

use std::borrow::Cow;
use std::collections::HashMap;

use tokio::time::Instant;
use wise_core::label;

use crate::hwmon::{self, Sensor};
use crate::machine::{
    Clock, Core, Disk, GUEST, GUEST_NICE, IDLE, IOWAIT, IRQ, Interface, MAX_PARTS, Machine, Mount, NICE,
    SOFTIRQ, STEAL, SYSTEM, Space, Temperature, USER,
};

use super::text::{Sample, sample};

/// Longest fact: a page is not to be trusted with our memory.
const MAX_FACT: usize = 200;
/// Most characters of the name of a part. With a digest behind it, a longer one has 200 bytes.
const MAX_NAME: usize = 165;

/// A page of an exporter.
#[derive(Debug)]
pub(crate) struct Page {
    pub machine: Machine,
    pub filesystems: Vec<(Mount, Option<Space>)>,
    /// Samples of any name, and those of a machine.
    pub samples: usize,
    pub node_samples: usize,
}

/// Takes a page apart.
pub(crate) fn read_page(text: &str, taken: Instant) -> Page {
    let mut reader = Reader {
        page: Page { machine: Machine::new(taken), filesystems: Vec::new(), samples: 0, node_samples: 0 },
        cores: HashMap::new(),
        disks: Parts::default(),
        interfaces: Parts::default(),
        mounts: Parts::default(),
        sensors: Parts::default(),
        zones: Parts::default(),
        arrays: HashMap::new(),
    };
    for line in text.lines() {
        let Some(sample) = sample(line) else { continue };
        reader.page.samples += 1;
        if let Some(name) = sample.name.strip_prefix("node_") {
            reader.page.node_samples += 1;
            // Only these go below zero.
            let is_signed =
                name.starts_with("timex_") || name.starts_with("hwmon_") || name.starts_with("thermal_");
            if sample.value.is_finite() && (is_signed || sample.value >= 0.0) {
                reader.take(name, &sample);
            }
        }
    }
    reader.finish()
}

/// Parts by the values of `N` labels, in the order in which they came, with a bound on how many.
#[derive(Debug)]
struct Parts<T, const N: usize = 1> {
    parts: Vec<([String; N], T)>,
    /// Where the next sample's part is likely to be: an exporter writes one metric after the other, each in the same
    /// order of parts.
    next: usize,
}

impl<T, const N: usize> Default for Parts<T, N> {
    fn default() -> Self {
        Self { parts: Vec::new(), next: 0 }
    }
}

impl<T: Default, const N: usize> Parts<T, N> {
    /// The part that the labels of a sample name, if it has all of them.
    fn of(&mut self, sample: &Sample<'_>, labels: [&str; N]) -> Option<&mut T> {
        let mut names: [Cow<'_, str>; N] = std::array::from_fn(|_| Cow::Borrowed(""));
        for (name, wanted) in names.iter_mut().zip(labels) {
            *name = sample.label(wanted)?;
            if name.len() > MAX_NAME {
                *name = Cow::Owned(label::fit(name, MAX_NAME).into_owned());
            }
        }
        self.get(&names)
    }

    fn get(&mut self, names: &[Cow<'_, str>; N]) -> Option<&mut T> {
        let is_it = |known: &[String; N]| known.iter().zip(names).all(|(known, name)| *known == *name);
        let is_next = self.parts.get(self.next).is_some_and(|(known, _)| is_it(known));
        let known =
            if is_next { Some(self.next) } else { self.parts.iter().position(|(known, _)| is_it(known)) };
        let at = match known {
            Some(at) => at,
            None if self.parts.len() < MAX_PARTS => {
                self.parts.push((names.each_ref().map(|name| name.as_ref().to_owned()), T::default()));
                self.parts.len() - 1
            }
            None => return None,
        };
        self.next = (at + 1) % self.parts.len();
        self.parts.get_mut(at).map(|(_, part)| part)
    }
}

#[derive(Debug, Default)]
struct Files {
    read_only: bool,
    size: Option<f64>,
    free: Option<f64>,
    available: Option<f64>,
    inodes: f64,
    free_inodes: f64,
    failed: bool,
}

struct Reader {
    page: Page,
    cores: HashMap<u32, Core>,
    disks: Parts<Disk>,
    interfaces: Parts<Interface>,
    /// By mount point, device and type: one may be mounted over another.
    mounts: Parts<Files, 3>,
    /// By chip and id.
    sensors: Parts<Sensor, 2>,
    zones: Parts<Option<f64>, 2>,
    arrays: HashMap<String, (f64, f64)>,
}

impl Reader {
    fn take(&mut self, name: &str, sample: &Sample<'_>) {
        let value = sample.value;
        if let Some(rest) = name.strip_prefix("cpu_") {
            self.core(rest, sample);
        } else if let Some(rest) = name.strip_prefix("memory_") {
            let rest = rest.strip_suffix("_bytes").unwrap_or(rest);
            if let Some(field) = self.page.machine.memory.field(rest) {
                *field = Some(value);
            }
        } else if let Some(rest) = name.strip_prefix("disk_") {
            self.disk(rest, sample);
        } else if let Some(rest) = name.strip_prefix("network_") {
            self.interface(rest, sample);
        } else if let Some(rest) = name.strip_prefix("filesystem_") {
            self.filesystem(rest, sample);
        } else if let Some(rest) = name.strip_prefix("pressure_") {
            self.pressure(rest, value);
        } else if let Some(rest) = name.strip_prefix("timex_") {
            let clock = self.page.machine.clock.get_or_insert(Clock::default());
            match rest {
                "offset_seconds" => clock.offset = Some(value),
                "sync_status" => clock.synchronised = Some(value != 0.0),
                "maxerror_seconds" => clock.max_error = Some(value),
                _ => {}
            }
        } else if let Some(rest) = name.strip_prefix("hwmon_") {
            self.sensor(rest, sample);
        } else if name == "thermal_zone_temp" {
            if let Some(zone) = self.zones.of(sample, ["zone", "type"]) {
                *zone = Some(value);
            }
        } else if name.starts_with("md_disks") {
            self.array(name, sample);
        } else {
            self.single(name, sample);
        }
    }

    fn single(&mut self, name: &str, sample: &Sample<'_>) {
        let value = sample.value;
        let machine = &mut self.page.machine;
        let (basics, counters, limits) = (&mut machine.basics, &mut machine.counters, &mut machine.limits);
        let field = match name {
            "load1" | "load5" | "load15" => {
                let load = basics.load.get_or_insert([0.0; 3]);
                load[match name {
                    "load1" => 0,
                    "load5" => 1,
                    _ => 2,
                }] = value;
                return;
            }
            "boot_time_seconds" => &mut basics.boot_time,
            "time_seconds" => &mut basics.time,
            "procs_running" => &mut basics.running,
            "procs_blocked" => &mut basics.blocked,
            "processes_threads" => &mut basics.threads,
            "processes_pids" => &mut basics.processes,
            "processes_max_processes" | "processes_max_threads" => {
                limits.max_threads = Some(limits.max_threads.map_or(value, |known| known.min(value)));
                return;
            }
            "context_switches_total" => &mut counters.context_switches,
            "intr_total" => &mut counters.interrupts,
            "forks_total" => &mut counters.forks,
            "vmstat_pswpin" => &mut counters.swapped_in_pages,
            "vmstat_pswpout" => &mut counters.swapped_out_pages,
            "vmstat_pgmajfault" => &mut counters.major_faults,
            "vmstat_oom_kill" => &mut counters.oom_kills,
            "netstat_Tcp_RetransSegs" => &mut counters.tcp_retransmits,
            "netstat_Tcp_OutSegs" => &mut counters.tcp_sent,
            "netstat_TcpExt_ListenOverflows" => &mut counters.listen_overflows,
            "netstat_TcpExt_ListenDrops" => &mut counters.listen_drops,
            "netstat_Tcp_CurrEstab" => &mut limits.tcp_established,
            "filefd_allocated" => &mut limits.open_files,
            "filefd_maximum" => &mut limits.max_files,
            "nf_conntrack_entries" => &mut limits.conntrack,
            "nf_conntrack_entries_limit" => &mut limits.max_conntrack,
            "uname_info" => {
                for (label, fact) in [("nodename", "server.hostname"), ("release", "server.kernel")] {
                    basics.facts.extend(sample.label(label).map(|value| (fact, short(Some(value)))));
                }
                return;
            }
            "os_info" => {
                basics
                    .facts
                    .extend(sample.label("pretty_name").map(|value| ("server.os", short(Some(value)))));
                return;
            }
            "exporter_build_info" => {
                let version = sample.label("version").map(|version| format!("node_exporter {version}"));
                basics.facts.extend(version.map(|version| ("server.source", short(Some(version.into())))));
                return;
            }
            _ => return,
        };
        *field = Some(value);
    }

    fn sensor(&mut self, name: &str, sample: &Sample<'_>) {
        if !matches!(name, "temp_celsius" | "temp_crit_celsius" | "sensor_label") {
            return;
        }
        // Fans and voltages have labels too.
        if name == "sensor_label" && !sample.label("sensor").is_some_and(|id| id.starts_with("temp")) {
            return;
        }
        let Some(sensor) = self.sensors.of(sample, ["chip", "sensor"]) else { return };
        match name {
            "temp_celsius" => sensor.value = Some(sample.value),
            "temp_crit_celsius" => sensor.critical = Some(sample.value),
            _ => sensor.text = short(sample.label("label")),
        }
    }

    fn core(&mut self, name: &str, sample: &Sample<'_>) {
        let Some((label, mode)) = sample.label("cpu").zip(sample.label("mode")) else { return };
        // `00` is another label than `0`, and no core.
        let Some(id) = label.parse::<u32>().ok().filter(|id| id.to_string() == label) else { return };
        let at = match (name, &*mode) {
            ("seconds_total", "user") => USER,
            ("seconds_total", "nice") => NICE,
            ("seconds_total", "system") => SYSTEM,
            ("seconds_total", "idle") => IDLE,
            ("seconds_total", "iowait") => IOWAIT,
            ("seconds_total", "irq") => IRQ,
            ("seconds_total", "softirq") => SOFTIRQ,
            ("seconds_total", "steal") => STEAL,
            ("guest_seconds_total", "user") => GUEST,
            ("guest_seconds_total", "nice") => GUEST_NICE,
            _ => return,
        };
        if self.cores.len() < MAX_PARTS * 4 || self.cores.contains_key(&id) {
            self.cores.entry(id).or_insert(Core { id, ..Core::default() }).modes[at] = sample.value;
        }
    }

    fn disk(&mut self, name: &str, sample: &Sample<'_>) {
        let Some(disk) = self.disks.of(sample, ["device"]) else { return };
        let field = match name {
            "reads_completed_total" => &mut disk.reads,
            "read_bytes_total" => &mut disk.read_bytes,
            "read_time_seconds_total" => &mut disk.read_time,
            "writes_completed_total" => &mut disk.writes,
            "written_bytes_total" => &mut disk.written_bytes,
            "write_time_seconds_total" => &mut disk.write_time,
            "io_time_seconds_total" => &mut disk.busy_time,
            "io_time_weighted_seconds_total" => &mut disk.weighted_time,
            _ => return,
        };
        *field = sample.value;
    }

    fn interface(&mut self, name: &str, sample: &Sample<'_>) {
        let Some(interface) = self.interfaces.of(sample, ["device"]) else { return };
        let field = match name {
            "receive_bytes_total" => &mut interface.received.bytes,
            "receive_packets_total" => &mut interface.received.packets,
            "receive_errs_total" => &mut interface.received.errors,
            "receive_drop_total" => &mut interface.received.drops,
            "transmit_bytes_total" => &mut interface.sent.bytes,
            "transmit_packets_total" => &mut interface.sent.packets,
            "transmit_errs_total" => &mut interface.sent.errors,
            "transmit_drop_total" => &mut interface.sent.drops,
            "up" => {
                interface.up = Some(sample.value != 0.0);
                return;
            }
            // Drivers that do not know it say -1 megabit.
            "speed_bytes" if sample.value > 0.0 => {
                interface.speed = Some(sample.value);
                return;
            }
            _ => return,
        };
        *field = sample.value;
    }

    fn filesystem(&mut self, name: &str, sample: &Sample<'_>) {
        let Some(files) = self.mounts.of(sample, ["mountpoint", "device", "fstype"]) else { return };
        let value = sample.value;
        match name {
            "size_bytes" => files.size = Some(value),
            "free_bytes" => files.free = Some(value),
            "avail_bytes" => files.available = Some(value),
            "files" => files.inodes = value,
            "files_free" => files.free_inodes = value,
            "readonly" => files.read_only = value != 0.0,
            "device_error" => files.failed = value != 0.0,
            _ => {}
        }
    }

    fn pressure(&mut self, name: &str, value: f64) {
        let pressure = &mut self.page.machine.pressure;
        let field = match name {
            "cpu_waiting_seconds_total" => &mut pressure.cpu.some,
            "memory_waiting_seconds_total" => &mut pressure.memory.some,
            "memory_stalled_seconds_total" => &mut pressure.memory.full,
            "io_waiting_seconds_total" => &mut pressure.io.some,
            "io_stalled_seconds_total" => &mut pressure.io.full,
            "irq_stalled_seconds_total" => &mut pressure.irq.full,
            _ => return,
        };
        *field = Some(value);
    }

    fn array(&mut self, name: &str, sample: &Sample<'_>) {
        let Some(device) = sample.label("device") else { return };
        if self.arrays.len() >= MAX_PARTS || device.len() > MAX_NAME {
            return;
        }
        let (required, active) = self.arrays.entry(device.into_owned()).or_default();
        if name == "md_disks_required" {
            *required = sample.value;
        } else if sample.label("state").as_deref() == Some("active") {
            *active = sample.value;
        }
    }

    fn finish(mut self) -> Page {
        let machine = &mut self.page.machine;
        machine.cores = self.cores.into_values().collect();
        machine.cores.sort_by_key(|core| core.id);
        machine.basics.cores = Some(machine.cores.len()).filter(|cores| *cores > 0);
        // Both from the exporter's clock, so that a difference to ours does not matter.
        machine.basics.uptime = machine
            .basics
            .time
            .zip(machine.basics.boot_time)
            .map(|(now, boot)| now - boot)
            .filter(|uptime| *uptime >= 0.0);
        machine.disks = named(self.disks, |disk, name| disk.name = name);
        machine.interfaces = named(self.interfaces, |interface, name| interface.name = name);
        let sensors =
            self.sensors.parts.into_iter().map(|([chip, id], sensor)| Sensor { chip, id, ..sensor });
        machine.temperatures = hwmon::named(sensors.collect());
        let zones = self.zones.parts.into_iter().filter_map(|([zone, kind], value)| {
            let chip = format!("thermal_zone{zone}");
            Some(Temperature { chip, sensor: kind, value: value?, critical: None })
        });
        machine.temperatures.extend(zones);
        machine.degraded_arrays = (!self.arrays.is_empty())
            .then(|| self.arrays.values().filter(|(required, active)| active < required).count() as f64);
        let files = self.mounts.parts.into_iter().map(|([point, device, kind], files)| {
            let mount = Mount { point, device, kind, read_only: files.read_only, ..Mount::default() };
            let space = match (files.size, files.free, files.available) {
                (Some(size), Some(free), Some(available)) if !files.failed => Some(Space {
                    size,
                    free,
                    available,
                    inodes: files.inodes,
                    free_inodes: files.free_inodes,
                }),
                _ => None,
            };
            (mount, space)
        });
        self.page.filesystems = files.collect();
        self.page
    }
}

fn short(text: Option<Cow<'_, str>>) -> String {
    text.unwrap_or_default().chars().take(MAX_FACT).collect()
}

fn named<T>(parts: Parts<T>, set: impl Fn(&mut T, String)) -> Vec<T> {
    let parts = parts.parts.into_iter().map(|([name], mut part)| {
        set(&mut part, name);
        part
    });
    parts.collect()
}
